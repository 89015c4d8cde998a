# Made of its namesake in `_async` by scripts/unasync.py: change that one.
"""The client: tasks put in, asked for, waited for and cancelled."""

from __future__ import annotations

from time import sleep
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from time import monotonic
from types import TracebackType
from typing import Any

import httpx

from .._batch import Batch
from .._call import Call
from .._repeat import Tries, is_passing
from .._settings import Settings
from .._values import Duration, Instant, duration, seconds
from ..errors import LeveretError, WaitTimeoutError, of_end
from ..fleet import Diagnosis
from ..models import Accepted, Cancelled, Explanation, Task
from ..new_task import LineResult, NewTask
from .dead_letters import DeadLetters
from .each import each
from .queues import Queues
from .schedules import Schedules
from .transport import Transport
from .workers import Workers

MOST_WAITED = 30.0
"""How long one request waits for a task, in seconds; the gateway takes up to 60."""
LINES = 500
"""How many tasks one request holds where nothing else is said."""


class Client:
    """A client of one gateway.

    `url` and `token` are taken from `LEVERET_GATEWAY_URL` and `LEVERET_GATEWAY_TOKEN` where they
    are not given. `by` says who asks, `ann@box`: it is written down with what people do to tasks.
    `timeout` is how long an answer may be silent, before its first piece and between two; one that
    trickles may take longer. `retries` is how often a request is repeated that was not answered, if
    repeating it cannot do anything twice. `http` is for proxies and certificates of one's own; it
    is not closed.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        token: str | None = None,
        by: str | None = None,
        timeout: Duration = "30s",
        retries: int = 4,
        http: httpx.Client | None = None,
    ) -> None:
        self._transport = Transport(Settings.read(url, token, by, timeout, retries), http)
        self.dead = DeadLetters(self._transport)
        self.queues = Queues(self._transport)
        self.workers = Workers(self._transport)
        self.schedules = Schedules(self._transport)

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections."""
        self._transport.close()

    def enqueue(
        self,
        kind: str,
        args: Any = None,
        *,
        queue: str | None = None,
        class_: str | None = None,
        delay: Duration | None = None,
        at: Instant | None = None,
        key: str | None = None,
        id: str | None = None,
        expires: Duration | None = None,
        timeout: Duration | None = None,
        max_attempts: int | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> Accepted:
        """Puts a task in. When it returns, the broker has it safe.

        Without `key` and `id` the task gets an id here, so that a request whose answer was lost is
        repeated and is one task all the same.
        """
        task = NewTask(
            kind, args, queue, class_, delay, at, key, id, expires, timeout, max_attempts, tags
        )
        document = task.document()
        call = Call("POST", "/v1/tasks", Accepted, body=document, repeatable=True, id=task.id)
        return self._transport.send(call)

    def enqueue_many(
        self, tasks: Iterable[NewTask], *, at_once: int = LINES
    ) -> Iterator[LineResult]:
        """Puts many tasks in, `at_once` in a request, and yields what became of each, in order.

        Nothing is put in before it is iterated, and nothing more once that ends early.

        One that is refused stops no other: its result has the error. What passes is repeated. If
        the gateway cannot be asked any more it raises; sent again, a `NewTask` is the same task.
        """
        batch = Batch(0)
        for task in each(tasks):
            batch.add(task)
            if batch.is_full(at_once):
                for result in self._put_in(batch):
                    yield result
                batch = Batch(batch.end)
        if len(batch):
            for result in self._put_in(batch):
                yield result

    def _put_in(self, batch: Batch) -> Iterator[LineResult]:
        tries = self._transport.tries()
        wrong: LeveretError | None = None
        while not batch.is_done:
            answers: list[Any] = []
            wrong = None
            try:
                for line in self._transport.lines(batch.call()):
                    answers.append(line)
            except LeveretError as error:
                wrong = error
            batch.take(answers, tries.is_spent)
            wrong = wrong or batch.passing
            if wrong is not None:
                pause = tries.pause_after(wrong)
                if pause is None:
                    break
                sleep(pause)
        for result in batch.results():
            yield result
        if wrong is not None and not batch.is_done:
            raise wrong

    def get(self, id: str, *, wait: Duration | None = None) -> Task:
        """Asks how a task stands; with `wait` (at most a minute) once it is over or that is."""
        return self._transport.send(_task(id, wait))

    def wait(self, id: str, *, timeout: Duration = "5m") -> Task:
        """Waits until a task is over, however it ends; `WaitTimeoutError` if it is not in time."""
        end = monotonic() + seconds(timeout)
        pauses = Tries(0)
        while True:
            began = monotonic()
            asked = min(max(end - began, 0.0), MOST_WAITED)
            try:
                wait = timedelta(milliseconds=int(asked * 1_000))
                task = self._transport.once(_task(id, wait))
            except LeveretError as error:
                # A broker or a gateway that is away for a while is waited for, too.
                if not is_passing(error) or monotonic() >= end:
                    raise
            else:
                if task.is_over:
                    return task
                if monotonic() >= end:
                    raise WaitTimeoutError(task)
                if monotonic() - began >= asked / 2:
                    continue
            # The answer came early: the gateway ends, or the state is new to us.
            sleep(min(pauses.pause(), max(end - monotonic(), 0.0)))

    def result(self, id: str, *, timeout: Duration = "5m") -> Any:
        """Waits for a task's result; raises a `TaskNotDoneError` if it ends in another way."""
        task = self.wait(id, timeout=timeout)
        if task.state != "done":
            raise of_end(task)
        return task.result

    def cancel(
        self, id: str, *, wait: Duration | None = None, force: bool = False
    ) -> Cancelled:
        """Cancels a task; with `wait` (at most a minute) it waits for the end of one that runs.

        `force` cancels an id that nobody knows: its message may still come.
        """
        waited = None if wait is None else duration(wait)
        call = Call(
            "POST",
            "/v1/tasks/{id}/cancel",
            Cancelled,
            {"id": id},
            {"wait": waited},
            {"force": True} if force else None,
            longer=0.0 if wait is None else seconds(wait),
        )
        return self._transport.send(call)

    def explain(self, id: str) -> Explanation:
        """Says where a task is, why it does not run, and what to do."""
        call = Call("GET", "/v1/tasks/{id}/explain", Explanation, {"id": id})
        return self._transport.send(call)

    def doctor(self) -> Diagnosis:
        """Looks at broker, store and fleet, and says what is wrong."""
        return self._transport.send(Call("GET", "/v1/doctor", Diagnosis))


def _task(id: str, wait: Duration | None) -> Call[Task]:
    waited = None if wait is None else duration(wait)
    longer = 0.0 if wait is None else seconds(wait)
    return Call("GET", "/v1/tasks/{id}", Task, {"id": id}, {"wait": waited}, longer=longer)

# Made of its namesake in `_async` by scripts/unasync.py: change that one.
"""Dead letters: listed, counted, replayed and discarded, one at a time or by filter."""

from __future__ import annotations

from collections.abc import Iterator, Callable
from contextlib import closing
from typing import Any

from .._call import WALK, Call, given
from ..errors import NoAnswerError, ProblemError, of_line
from ..letters import (
    DeadLetter,
    DeadLetterGroups,
    DeadLetterPage,
    GoneDeadLetter,
    MatchingDeadLetters,
    Walked,
    WalkLine,
)
from .transport import Transport


class DeadLetters:
    """What can be asked of dead letters; `client.dead`.

    Filters are text, `reason:handler kind:email.* age>1h`; without one, every letter is meant. The
    verbs over many want `everything=True` for that.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def page(
        self, filter: str | None = None, *, limit: int | None = None, cursor: str | None = None
    ) -> DeadLetterPage:
        """Returns a page, newest first; the page after it is at the cursor `next`."""
        counted = None if limit is None else str(limit)
        query = {"filter": filter, "limit": counted, "cursor": cursor}
        return self._transport.send(Call("GET", "/v1/dead", DeadLetterPage, query=query))

    def list(self, filter: str | None = None) -> Iterator[DeadLetter]:
        """Yields letters, newest first, asking for page after page."""
        cursor: str | None = None
        while True:
            page = self.page(filter, limit=200, cursor=cursor)
            for letter in page.letters:
                yield letter
            cursor = page.next
            if cursor is None:
                return

    def groups(self, by: str = "reason", filter: str | None = None) -> DeadLetterGroups:
        """Counts letters by `kind`, `queue`, `reason` or `error-class`."""
        query = {"by": by, "filter": filter}
        return self._transport.send(
            Call("GET", "/v1/dead/groups", DeadLetterGroups, query=query)
        )

    def get(self, id: str, *, full: bool = False) -> DeadLetter:
        """Returns a letter; `full` looks for it in its queue and has its args whole."""
        query = {"full": "true" if full else None}
        call = Call("GET", "/v1/dead/{id}", DeadLetter, {"id": id}, query, longer=WALK)
        return self._transport.send(call)

    def replay(
        self,
        id: str,
        *,
        queue: str | None = None,
        class_: str | None = None,
        args: Any = None,
        force: bool = False,
    ) -> GoneDeadLetter:
        """Has a dead task begin anew; with `args` an edited copy is enqueued instead.

        `force` replays a letter whose task went on without it and ended.
        """
        body = given(queue=queue, class_=class_, args=args, force=force or None)
        call = Call(
            "POST", "/v1/dead/{id}/replay", GoneDeadLetter, {"id": id}, body=body, longer=WALK
        )
        return self._transport.send(call)

    def discard(self, id: str) -> GoneDeadLetter:
        """Discards a letter: nothing brings it back."""
        call = Call("POST", "/v1/dead/{id}/discard", GoneDeadLetter, {"id": id}, longer=WALK)
        return self._transport.send(call)

    def matching(self, filter: str | None = None) -> MatchingDeadLetters:
        """Counts what a verb over many would be about, and shows up to five."""
        body = given(filter=filter, all=filter is None or None, dry_run=True)
        return self._transport.send(
            Call("POST", "/v1/dead/replay", MatchingDeadLetters, body=body)
        )

    def replay_matching(
        self,
        filter: str | None = None,
        *,
        everything: bool = False,
        queue: str | None = None,
        class_: str | None = None,
        limit: int | None = None,
        rate: float | None = None,
        on_progress: Callable[[WalkLine], object] | None = None,
    ) -> Walked:
        """Replays all letters that match, at most `rate` a second; returns what was done.

        It ends early where somebody else walks a queue, or the broker goes away: the error's
        `totals` has what was done until then. What was done stays done; begin again for the rest.
        """
        body = given(
            filter=filter,
            all=everything or None,
            queue=queue,
            class_=class_,
            limit=limit,
            rate=rate,
        )
        call = Call("POST", "/v1/dead/replay", WalkLine, body=body)
        return self._walk(call, on_progress)

    def discard_matching(
        self,
        filter: str | None = None,
        *,
        everything: bool = False,
        limit: int | None = None,
        rate: float | None = None,
        on_progress: Callable[[WalkLine], object] | None = None,
    ) -> Walked:
        """Discards all letters that match; told and ended as `replay_matching`."""
        body = given(filter=filter, all=everything or None, limit=limit, rate=rate)
        call = Call("POST", "/v1/dead/discard", WalkLine, body=body)
        return self._walk(call, on_progress)

    def _walk(
        self, call: Call[WalkLine], on_progress: Callable[[WalkLine], object] | None
    ) -> Walked:
        with closing(self._transport.lines(call)) as lines:
            for document in lines:
                line = call.decoded(document)
                if line.finished:
                    return line.totals or Walked()
                if line.error is not None and line.queue is None:
                    failed = of_line(document["error"], "the walk")
                    if isinstance(failed, ProblemError):
                        failed.totals = line.totals
                    raise failed
                if on_progress is not None:
                    on_progress(line)
        raise NoAnswerError("the answer broke off; what was done stays done")

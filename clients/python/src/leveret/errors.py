"""What can go wrong, each with a class of its own below `LeveretError`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ._decode import Undecodable, decode
from .problem import Problem

if TYPE_CHECKING:
    from .letters import Walked
    from .models import Task


class LeveretError(Exception):
    """Anything that this package raises, but for mistakes in how it is called."""


class NoAnswerError(LeveretError):
    """The gateway could not be reached, or did not answer in time, or its answer broke off.

    It is not known whether what was asked for was done. An enqueue has the id under which it can
    be repeated: it is one task all the same.
    """

    def __init__(self, message: str, id: str | None = None) -> None:
        super().__init__(message)
        self.id = id


class UnexpectedAnswerError(LeveretError):
    """The answer is not one of a gateway's: a proxy's page, or another server's."""

    def __init__(self, message: str, status: int, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after


class ProblemError(LeveretError):
    """The gateway refused, and says why in a problem (RFC 9457)."""

    def __init__(self, problem: Problem, retry_after: float | None = None) -> None:
        told = [f"{flaw.field}: {flaw.why}" for flaw in problem.errors]
        # A single mistake is the detail already.
        listed = told if len(told) > 1 else []
        super().__init__("; ".join([f"{problem.name}: {problem.detail}", *listed]))
        self.problem = problem
        self.retry_after = retry_after
        self.totals: Walked | None = None
        """What a walk over dead letters had done until then."""


class InvalidError(ProblemError):
    """The request, the task or the schedule is wrong; `problem.errors` has all that is."""


class AccessError(ProblemError):
    """No token or a wrong one, or the gateway was called by a name that it does not go by."""


class NotFoundError(ProblemError):
    """Nobody knows the task, letter, queue, worker or schedule."""


class ConflictError(ProblemError):
    """It cannot be done to what is there: `problem.name` says which of the conflicts it is."""


class TooLargeError(ProblemError):
    """The task or the request is over a limit of the gateway."""


class UnavailableError(ProblemError):
    """The broker or the store cannot be used; nothing was accepted."""


class UnconfirmedError(ProblemError):
    """It is not known whether it was accepted, or done."""


class TaskNotDoneError(LeveretError):
    """The task is over and was not done."""

    def __init__(self, task: Task) -> None:
        why = f": {task.error.message}" if task.error else ""
        reason = f" ({task.reason})" if task.reason else ""
        super().__init__(f"task {task.id} is {task.state}{reason}{why}")
        self.task = task


class TaskDeadError(TaskNotDoneError):
    """The task is a dead letter; `task.reason` and `task.error` say why."""


class TaskCancelledError(TaskNotDoneError):
    """Somebody cancelled the task."""


class TaskExpiredError(TaskNotDoneError):
    """The task was not begun before it expired."""


class TaskDiscardedError(TaskNotDoneError):
    """The task was a dead letter, and somebody discarded it."""


class TaskReplacedError(TaskNotDoneError):
    """The task was a dead letter, and somebody enqueued an edited copy of it."""


class WaitTimeoutError(LeveretError, TimeoutError):
    """The task was not over in time; it goes on. `task` is how it stood then."""

    def __init__(self, task: Task) -> None:
        super().__init__(f"task {task.id} is still {task.state}")
        self.task = task


_BY_STATUS: dict[int, type[ProblemError]] = {
    400: InvalidError,
    401: AccessError,
    403: AccessError,
    404: NotFoundError,
    409: ConflictError,
    413: TooLargeError,
    421: AccessError,
    503: UnavailableError,
    504: UnconfirmedError,
}

_BY_STATE: dict[str, type[TaskNotDoneError]] = {
    "dead": TaskDeadError,
    "cancelled": TaskCancelledError,
    "expired": TaskExpiredError,
    "discarded": TaskDiscardedError,
    "replaced": TaskReplacedError,
}


def of_problem(document: Mapping[str, Any], retry_after: float | None = None) -> ProblemError:
    """Creates the error of a problem document; raises `Undecodable` where it is none."""
    problem = decode(Problem, document)
    return _BY_STATUS.get(problem.status, ProblemError)(problem, retry_after)


def of_end(task: Task) -> TaskNotDoneError:
    """Creates the error of a task that is over and was not done."""
    return _BY_STATE.get(task.state, TaskNotDoneError)(task)


def of_line(document: Any, where: str) -> ProblemError | UnexpectedAnswerError:
    """Creates the error of a problem that came in a line."""
    try:
        return of_problem(document)
    except Undecodable as error:
        return UnexpectedAnswerError(f"{where}: {error}", 200)

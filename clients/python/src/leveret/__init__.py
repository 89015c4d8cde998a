"""A client of Leveret, a task broker and a worker fleet.

    from leveret import Client

    with Client() as client:
        task = client.enqueue("email.welcome", {"user_id": 7}, queue="mail")
        print(client.result(task.id, timeout="1m"))

`Client` and `AsyncClient` have the same methods. `leveret.errors` has what they raise,
`leveret.webhook` the check for receivers of `http` kinds.
"""

from . import errors, fleet, letters, models, timetable, webhook
from ._async.client import AsyncClient
from ._sync.client import Client
from .errors import (
    LeveretError,
    NoAnswerError,
    ProblemError,
    TaskNotDoneError,
    UnexpectedAnswerError,
    WaitTimeoutError,
)
from .models import Accepted, Task
from .new_task import LineResult, NewTask
from .problem import Flaw, Problem
from .timetable import Schedule, ScheduleDefinition

__all__ = [
    "Accepted",
    "AsyncClient",
    "Client",
    "ScheduleDefinition",
    "Flaw",
    "LeveretError",
    "LineResult",
    "NewTask",
    "NoAnswerError",
    "Problem",
    "ProblemError",
    "Schedule",
    "Task",
    "TaskNotDoneError",
    "UnexpectedAnswerError",
    "WaitTimeoutError",
    "errors",
    "fleet",
    "letters",
    "models",
    "timetable",
    "webhook",
]

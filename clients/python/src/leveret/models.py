"""What the gateway answers about tasks.

Times are aware `datetime`s. What is not known is `None`. States, reasons and the like are text,
because a newer gateway may have new ones; `raw` of each object has members that are new.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ._decode import Model

OVER = frozenset({"done", "dead", "cancelled", "expired", "discarded", "replaced"})
"""The states of a task that is over; a dead or discarded one may still be replayed."""


@dataclass(frozen=True)
class Accepted(Model):
    """A task that the broker has safe."""

    id: str
    state: str
    queue: str
    class_: str
    next_at: datetime | None = None
    repeated: bool = False
    """Whether its key or id was accepted before; this is about the first."""


@dataclass(frozen=True)
class Failure(Model):
    """How an attempt failed."""

    class_: str
    message: str
    at: datetime


@dataclass(frozen=True)
class Attempt(Model):
    """An attempt that is over."""

    attempt: int
    outcome: str
    worker: str
    ended_at: datetime
    replay: int = 0
    started_at: datetime | None = None
    next_at: datetime | None = None
    error: Failure | None = None
    reason: str | None = None


@dataclass(frozen=True)
class Act(Model):
    """What somebody did to a task."""

    action: str
    replay: int
    at: datetime
    by: str
    with_: str | None = None
    """The edited copy, where it was replaced."""


@dataclass(frozen=True)
class Running(Model):
    """Who runs a task."""

    since: datetime
    worker: str


@dataclass(frozen=True)
class Progress(Model):
    """What an attempt said last of itself."""

    attempt: int
    at: datetime
    percent: int | None = None
    message: str | None = None
    checkpoint: int | None = None
    """The bytes of what the next attempt goes on from."""


@dataclass(frozen=True)
class TaskOccurrence(Model):
    """The occurrence of a schedule that a task was put in for."""

    schedule: str
    due: datetime | None = None
    revision: int | None = None


@dataclass(frozen=True)
class Task(Model):
    """A task as it stands."""

    id: str
    state: str
    attempt: int
    kind: str | None = None
    queue: str | None = None
    class_: str | None = None
    enqueued_at: datetime | None = None
    key: str | None = None
    origin_id: str | None = None
    tags: dict[str, str] = field(default_factory=dict)
    occurrence: TaskOccurrence | None = None
    next_at: datetime | None = None
    running: Running | None = None
    progress: Progress | None = None
    result: Any = None
    error: Failure | None = None
    reason: str | None = None
    history: list[Attempt] = field(default_factory=list)
    acts: list[Act] = field(default_factory=list)

    @property
    def is_over(self) -> bool:
        """Whether it has come to an end."""
        return self.state in OVER


@dataclass(frozen=True)
class Cancelled(Model):
    """A cancel: `cancelled` if it will not run, `cancelling` while it still runs."""

    id: str
    state: str
    worker: str | None = None
    until: datetime | None = None
    """How long it holds, where nobody knew the task."""


@dataclass(frozen=True)
class Pause(Model):
    """Who paused something, when and why."""

    by: str
    at: datetime
    why: str | None = None


@dataclass(frozen=True)
class WorkerRef(Model):
    """A worker, and how long ago it last spoke."""

    owner: str
    host: str | None = None
    pid: int | None = None
    heartbeat_age_ms: int | None = None


@dataclass(frozen=True)
class Possibility(Model):
    """One of the things that an unknown id may be."""

    what: str
    excluded: bool
    why: str


@dataclass(frozen=True)
class Custody(Model):
    """Where a task is; which members it has depends on `place`."""

    place: str
    possibilities: list[Possibility] = field(default_factory=list)
    lane: str | None = None
    presumed: bool = False
    depth: int | None = None
    consumers: int | None = None
    rate: float | None = None
    waiting: int | None = None
    workers_serving: int | None = None
    workers_able: int | None = None
    paused: Pause | None = None
    until: datetime | None = None
    worker: WorkerRef | None = None
    since: datetime | None = None
    attempt: int | None = None
    cancelling: bool | None = None
    outcome: str | None = None
    why: str | None = None
    queue: str | None = None
    reason: str | None = None
    error_class: str | None = None
    error: str | None = None
    attempts: int | None = None
    listed: bool | None = None
    by: str | None = None
    with_: str | None = None


@dataclass(frozen=True)
class Explanation(Model):
    """Where a task is, why it does not run, and what to do."""

    id: str
    state: str
    summary: str
    custody: Custody
    because: list[str]
    do: list[str]

"""What the gateway answers about schedules, and how a schedule is written."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypedDict

from ._decode import Model
from .models import Pause
from .source import Source


class MisfireRules(TypedDict, total=False):
    """All that can be said of missed occurrences."""

    policy: str
    after: str
    window: str
    max: int


ScheduleDefinition = TypedDict(
    "ScheduleDefinition",
    {
        "when": str,
        "zone": str,
        "kind": str,
        "args": Any,
        "queue": str,
        "class": str,
        "expires": str,
        "timeout": str,
        "max_attempts": int,
        "tags": "dict[str, str]",
        "start": str,
        "end": str,
        "jitter": str,
        "misfire": "str | MisfireRules",
        "overlap": str,
        "exclude": "list[str]",
        "description": str,
    },
    total=False,
)
"""What a schedule says; `when` and `kind` must be there. Times and durations are text."""


@dataclass(frozen=True)
class ClockChange(Model):
    """What the clocks of a schedule's zone do on that day."""

    at: datetime
    by: str


@dataclass(frozen=True)
class Upcoming(Model):
    """An instant to come."""

    due: datetime
    local: datetime
    """The same, with the offset of the schedule's zone."""
    planned: datetime
    clock_change: ClockChange | None = None


@dataclass(frozen=True)
class Occurrence(Model):
    """What became of an occurrence, or of several that were left out together."""

    due: datetime
    planned: datetime
    cause: str
    fate: str
    at: datetime
    revision: int
    task: str | None = None
    state: str | None = None
    why: str | None = None
    count: int | None = None
    lateness_ms: int | None = None
    by: str | None = None


@dataclass(frozen=True)
class ScheduleProblem(Model):
    """Why a schedule cannot be read."""

    field: str
    why: str


@dataclass(frozen=True)
class Schedule(Model):
    """A schedule."""

    name: str
    definition: Any
    """What it says, a `ScheduleDefinition` as `replace` takes it."""
    source: Source
    revision: int
    created_at: datetime
    changed_at: datetime
    words: str | None = None
    problems: list[ScheduleProblem] = field(default_factory=list)
    paused: Pause | None = None
    next: Upcoming | None = None
    last: Occurrence | None = None
    warnings: list[str] = field(default_factory=list)
    repeated: bool = False
    """After `create`: whether it was there already and says the same."""
    was_paused: bool | None = None
    """After `resume`: whether it was paused."""


@dataclass(frozen=True)
class SchedulePage(Model):
    """A page of schedules, by name; `next` is the cursor of the page after it."""

    schedules: list[Schedule]
    next: str | None = None


@dataclass(frozen=True)
class UpcomingList(Model):
    """What comes next of a schedule."""

    name: str
    zone: str
    next: list[Upcoming]


@dataclass(frozen=True)
class PutIn(Model):
    """A task that was put in beside the timetable."""

    id: str
    due: datetime | None = None
    repeated: bool = False


@dataclass(frozen=True)
class Backfilled(Model):
    """Tasks of a range; where `rest` is there, ask again from it with the same key."""

    key: str
    tasks: list[PutIn]
    rest: datetime | None = None


@dataclass(frozen=True)
class Extent(Model):
    """How many occurrences lie in a range."""

    count: int
    complete: bool
    first: datetime | None = None
    last: datetime | None = None


@dataclass(frozen=True)
class TimetableFile(Model):
    """The timetable file of a beat."""

    path: str
    fingerprint: str


@dataclass(frozen=True)
class Beat(Model):
    """A beat."""

    owner: str
    host: str
    pid: int
    version: str
    started_at: datetime
    at: datetime
    leads: bool
    schedules: int
    epoch: int | None = None
    file: TimetableFile | None = None

"""What the gateway answers about dead letters."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ._decode import Model
from .problem import Problem


@dataclass(frozen=True)
class DeadLetter(Model):
    """A dead letter."""

    id: str
    queue: str
    kind: str
    origin: str
    replay: int
    attempt: int
    error_class: str
    error: str
    died_at: datetime
    args_size: int
    args_whole: bool
    args: Any = None
    """JSON where `args_whole`, else the beginning as text."""
    reason: str | None = None
    first_failed_at: datetime | None = None
    key: str | None = None
    origin_id: str | None = None
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class DeadLetterPage(Model):
    """A page of dead letters, newest first; `next` is the cursor of the page after it."""

    letters: list[DeadLetter]
    scanned: int
    next: str | None = None


@dataclass(frozen=True)
class DeadLetterGroup(Model):
    """Dead letters that have something in common."""

    value: str
    count: int
    oldest: datetime
    newest: datetime
    example: str


@dataclass(frozen=True)
class DeadLetterCount(Model):
    """How many letters a queue holds, and how many of them are listed."""

    queue: str
    depth: int
    listed: int


@dataclass(frozen=True)
class DeadLetterGroups(Model):
    """Dead letters counted, the largest group first."""

    groups: list[DeadLetterGroup]
    total: int
    complete: bool
    queues: list[DeadLetterCount]


@dataclass(frozen=True)
class GoneDeadLetter(Model):
    """What became of one dead letter: replayed, replaced by an edited copy, or discarded."""

    id: str
    replay: int | None = None
    replaces: str | None = None
    state: str | None = None


@dataclass(frozen=True)
class MatchingDeadLetters(Model):
    """How many dead letters match, with up to five of them."""

    matching: int
    examples: list[DeadLetter]
    complete: bool


@dataclass(frozen=True)
class Walked(Model):
    """How far a walk over dead letters is."""

    total: int = 0
    taken: int = 0
    kept: int = 0
    hidden: int = 0
    replayed: int = 0
    discarded: int = 0
    replaced: int = 0
    returned: int = 0
    superseded: int = 0
    failed: int = 0


@dataclass(frozen=True)
class WalkLine(Model):
    """What a walk says on its way, and at its end."""

    queue: str | None = None
    walked: Walked | None = None
    error: Problem | None = None
    finished: bool = False
    totals: Walked | None = None

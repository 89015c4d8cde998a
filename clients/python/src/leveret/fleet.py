"""What the gateway answers about queues, workers, and the health of all of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ._decode import Model
from .models import Pause


@dataclass(frozen=True)
class QueueLane(Model):
    """A lane of a queue."""

    lane: str
    class_: str
    depth: int
    consumers: int
    rate: float
    waiting: int
    oldest: datetime | None = None
    oldest_at_most: str | None = None


@dataclass(frozen=True)
class Queue(Model):
    """A queue."""

    queue: str
    workers: int
    dead: int
    lanes: list[QueueLane]
    paused: Pause | None = None


@dataclass(frozen=True)
class PausedQueue(Model):
    """A queue that was paused or resumed."""

    queue: str
    paused: Pause | None = None
    was_paused: bool | None = None


@dataclass(frozen=True)
class WorkerLane(Model):
    """A lane that a worker serves."""

    lane: str
    consuming: bool
    waiting: int
    rate: float
    reached: datetime | None = None


@dataclass(frozen=True)
class Worker(Model):
    """A worker, as its last heartbeat says."""

    owner: str
    host: str
    pid: int
    state: str
    version: str
    started_at: datetime
    at: datetime
    heartbeat_age_ms: int
    slots: int
    in_use: int
    attempts: int
    memory: int
    lanes: list[WorkerLane]
    kinds: list[str]
    running: list[str]


@dataclass(frozen=True)
class Finding(Model):
    """One thing that the doctor looked at."""

    part: str
    check: str
    health: str
    found: str
    mend: str | None = None
    took_ms: int | None = None
    room: int | None = None


@dataclass(frozen=True)
class Diagnosis(Model):
    """What the doctor says, the worst first."""

    healthy: bool
    findings: list[Finding]

"""Lists, as answers hold them."""

from __future__ import annotations

from dataclasses import dataclass

from ._decode import Model
from .fleet import Queue, Worker
from .timetable import Beat, Occurrence


@dataclass(frozen=True)
class QueueList(Model):
    """Queues."""

    queues: list[Queue]


@dataclass(frozen=True)
class WorkerList(Model):
    """Workers."""

    workers: list[Worker]


@dataclass(frozen=True)
class AskedWorkers(Model):
    """The owners of workers that were asked for something."""

    workers: list[str]


@dataclass(frozen=True)
class OccurrenceList(Model):
    """The last occurrences of a schedule."""

    name: str
    occurrences: list[Occurrence]


@dataclass(frozen=True)
class DeletedSchedule(Model):
    """A schedule that was deleted."""

    name: str
    deleted: bool


@dataclass(frozen=True)
class BeatList(Model):
    """Beats."""

    beats: list[Beat]

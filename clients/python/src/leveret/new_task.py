"""Tasks as they are put in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ._call import given
from ._uuid7 import uuid7
from ._values import Duration, Instant, duration, instant
from .errors import ProblemError, UnexpectedAnswerError
from .models import Accepted


@dataclass(frozen=True)
class NewTask:
    """A task to be put in. Without `id` and `key` it gets an id: sent twice, it is one task."""

    kind: str
    args: Any = None
    queue: str | None = None
    class_: str | None = None
    delay: Duration | None = None
    at: Instant | None = None
    key: str | None = None
    id: str | None = None
    expires: Duration | None = None
    timeout: Duration | None = None
    max_attempts: int | None = None
    tags: Mapping[str, str] | None = None

    def __post_init__(self) -> None:
        if self.id is None and self.key is None:
            object.__setattr__(self, "id", uuid7())

    def document(self) -> dict[str, Any]:
        """Returns what is sent."""
        return given(
            kind=self.kind,
            args=self.args,
            queue=self.queue,
            class_=self.class_,
            delay=None if self.delay is None else duration(self.delay),
            at=None if self.at is None else instant(self.at),
            key=self.key,
            id=self.id,
            expires=None if self.expires is None else duration(self.expires),
            timeout=None if self.timeout is None else duration(self.timeout),
            max_attempts=self.max_attempts,
            tags=None if self.tags is None else dict(self.tags),
        )


@dataclass(frozen=True)
class LineResult:
    """What became of one of many tasks."""

    index: int
    """Which of those that were given, from 0."""
    accepted: Accepted | None = None
    error: ProblemError | UnexpectedAnswerError | None = None

    @property
    def task(self) -> Accepted:
        """The accepted task; raises the error of one that was not."""
        if self.accepted is None:
            assert self.error is not None
            raise self.error
        return self.accepted

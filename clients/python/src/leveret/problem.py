"""Problems: what the gateway answers where it refuses (RFC 9457)."""

from __future__ import annotations

from dataclasses import dataclass, field

from ._decode import Model
from .source import Source


@dataclass(frozen=True)
class Flaw(Model):
    """One thing that is wrong with a request."""

    field: str
    why: str
    place: str | None = None
    """Which of several it is about."""
    column: int | None = None
    """The first wrong character of a filter or an expression, from 1."""


@dataclass(frozen=True)
class Problem(Model):
    """A problem; which members beside the first four it has depends on its type."""

    type: str
    title: str
    status: int
    detail: str = ""
    instance: str | None = None
    id: str | None = None
    state: str | None = None
    source: Source | None = None
    key: str | None = None
    revision: int | None = None
    errors: list[Flaw] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The last part of the type, such as `unknown-task`."""
        return self.type.rpartition("/")[2]

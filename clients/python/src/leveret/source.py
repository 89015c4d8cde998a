"""Where a schedule comes from."""

from __future__ import annotations

from dataclasses import dataclass

from ._decode import Model


@dataclass(frozen=True)
class Source(Model):
    """A timetable file (`path`), a program (`program`), or somebody over the API (`by`)."""

    from_: str
    path: str | None = None
    program: str | None = None
    by: str | None = None

"""Values as the gateway takes them: durations, instants, names in a path."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Union
from urllib.parse import quote

Duration = Union[timedelta, str]
"""A `timedelta`, or text with a unit: `250ms`, `30s`, `1h30m`, `7d`."""

Instant = Union[datetime, str]
"""A `datetime` with a time zone, or RFC 3339 text with an offset."""

_UNITS = {"d": 86_400.0, "h": 3_600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
_DURATION = re.compile(r"(?:\d+(?:d|h|ms|us|ns|m|s))+")


def duration(value: Duration) -> str:
    """Writes a duration."""
    if isinstance(value, str):
        return value
    if not isinstance(value, timedelta):
        raise TypeError(f"{value!r} is no duration: write text with a unit, such as '30s'")
    micros = value // timedelta(microseconds=1)
    if micros < 0:
        raise ValueError(f"a duration cannot be negative, as {value} is")
    for unit, length in (("s", 1_000_000), ("ms", 1_000)):
        if micros % length == 0:
            return f"{micros // length}{unit}"
    return f"{micros}us"


def seconds(value: Duration) -> float:
    """Reads how many seconds a duration has."""
    text = duration(value)
    if not _DURATION.fullmatch(text):
        raise ValueError(f"{text!r} is no duration: write a number and a unit, such as '30s'")
    parts = re.findall(r"(\d+)([a-z]+)", text)
    return sum(int(number) * _UNITS[unit] for number, unit in parts)


def instant(value: Instant) -> str:
    """Writes an instant."""
    if isinstance(value, str):
        return value
    if value.tzinfo is None:
        raise ValueError(f"{value!r} has no time zone: write datetime.now(timezone.utc)")
    return value.isoformat(timespec="milliseconds")


def part(name: str) -> str:
    """Writes a name as one part of a path."""
    if name in ("", ".", ".."):
        raise ValueError(f"{name!r} cannot be a name or an id")
    return quote(name, safe="")

"""Goes through tasks as they come."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ..new_task import NewTask


def each(tasks: Iterable[NewTask]) -> Iterator[NewTask]:
    """Yields one after the other."""
    return iter(tasks)

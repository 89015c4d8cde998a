"""Goes through tasks, however they come."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterable

from ..new_task import NewTask


async def each(tasks: Iterable[NewTask] | AsyncIterable[NewTask]) -> AsyncIterator[NewTask]:
    """Yields one after the other."""
    if isinstance(tasks, AsyncIterable):
        async for task in tasks:
            yield task
    else:
        for task in tasks:
            yield task

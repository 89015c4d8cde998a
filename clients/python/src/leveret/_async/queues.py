"""Queues: listed, paused and resumed."""

from __future__ import annotations

from typing import List

from .._call import Call, given
from ..fleet import PausedQueue, Queue
from ..listings import QueueList
from .transport import AsyncTransport


class AsyncQueues:
    """What can be asked of queues; `client.queues`."""

    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport

    async def list(self) -> List[Queue]:
        """Returns all queues that are known."""
        found = await self._transport.send(Call("GET", "/v1/queues", QueueList))
        return found.queues

    async def get(self, queue: str) -> Queue:
        """Returns a queue with a lane for each class."""
        return await self._transport.send(
            Call("GET", "/v1/queues/{queue}", Queue, {"queue": queue})
        )

    async def pause(self, queue: str, *, why: str | None = None) -> PausedQueue:
        """Pauses a queue for the whole fleet; what runs goes on. The first pause stays."""
        call = Call(
            "POST", "/v1/queues/{queue}/pause", PausedQueue, {"queue": queue}, body=given(why=why)
        )
        return await self._transport.send(call)

    async def resume(self, queue: str) -> PausedQueue:
        """Resumes a queue; the answer says whether it was paused."""
        call = Call("POST", "/v1/queues/{queue}/resume", PausedQueue, {"queue": queue})
        return await self._transport.send(call)

"""Workers: listed, and asked to be quiet, to resume, to stop or to resize."""

from __future__ import annotations

from typing import Any, List

from .._call import Call
from ..fleet import Worker
from ..listings import AskedWorkers, WorkerList
from .transport import AsyncTransport


class AsyncWorkers:
    """What can be asked of workers; `client.workers`.

    A worker is called by its `owner`, by a beginning of it that no other has, by `host:pid`, or
    `all`. A signal is taken within about a second; what is asked of workers returns the owners of
    those that it was left for.
    """

    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport

    async def list(self) -> List[Worker]:
        """Returns all living workers."""
        found = await self._transport.send(Call("GET", "/v1/workers", WorkerList))
        return found.workers

    async def get(self, worker: str) -> Worker:
        """Returns one worker; all of them are in `list`."""
        if worker == "all":
            raise ValueError("all are many: ask for the list")
        call = Call("GET", "/v1/workers/{worker}", Worker, {"worker": worker})
        return await self._transport.send(call)

    async def quiet(self, worker: str) -> List[str]:
        """Has them take nothing new."""
        return await self._ask("/v1/workers/{worker}/quiet", worker)

    async def resume(self, worker: str) -> List[str]:
        """Has them take tasks again."""
        return await self._ask("/v1/workers/{worker}/resume", worker)

    async def stop(self, worker: str) -> List[str]:
        """Has them drain and end."""
        return await self._ask("/v1/workers/{worker}/stop", worker)

    async def resize(self, worker: str, slots: int) -> List[str]:
        """Has them run so many tasks at once."""
        return await self._ask("/v1/workers/{worker}/resize", worker, {"slots": slots})

    async def _ask(self, path: str, worker: str, body: Any = None) -> List[str]:
        call = Call("POST", path, AskedWorkers, {"worker": worker}, body=body)
        return (await self._transport.send(call)).workers

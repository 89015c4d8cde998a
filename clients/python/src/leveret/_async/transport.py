"""Sends requests, repeats what can be repeated, and reads lines as they come."""

from __future__ import annotations

from asyncio import sleep
from collections.abc import AsyncGenerator
from typing import Any, TypeVar

import httpx

from .._call import Call
from .._repeat import Tries
from .._settings import URL, Settings
from ..errors import LeveretError, NoAnswerError

T = TypeVar("T")

CONNECT = 5.0
"""How long a connection may take to be made, in seconds."""
SILENCE = 180.0
"""How long an answer of lines may be silent, in seconds."""


class AsyncTransport:
    """Speaks to one gateway."""

    def __init__(self, settings: Settings, http: httpx.AsyncClient | None) -> None:
        self.settings = settings
        self._is_own = http is None
        # A gateway is inside: a proxy of the environment would only be in the way.
        self._http = http or httpx.AsyncClient(trust_env=False)

    async def close(self) -> None:
        """Closes the connections that are its own."""
        if self._is_own:
            await self._http.aclose()

    def tries(self, is_repeatable: bool = True) -> Tries:
        """Begins to count the tries of a request."""
        return Tries(self.settings.retries if is_repeatable else 0)

    async def send(self, call: Call[T]) -> T:
        """Sends a request until it is answered or the tries are over."""
        tries = self.tries(call.is_repeatable)
        while True:
            try:
                return await self.once(call)
            except LeveretError as error:
                pause = tries.pause_after(error)
                if pause is None:
                    raise
            await sleep(pause)

    async def once(self, call: Call[T]) -> T:
        """Sends a request once."""
        try:
            response = await self._http.request(**self._request(call))
        except httpx.RequestError as error:
            raise self._lost(call, error) from error
        if not response.is_success:
            raise call.refusal(response.status_code, response.headers, response.content)
        return call.read(response.content)

    async def lines(self, call: Call[Any]) -> AsyncGenerator[Any, None]:
        """Sends a request once, and yields the lines of its answer."""
        rest = b""
        try:
            async with self._http.stream(**self._request(call, SILENCE)) as response:
                if not response.is_success:
                    content = await response.aread()
                    raise call.refusal(response.status_code, response.headers, content)
                # Not by `aiter_lines`: JSON may hold other ends of lines than the newline.
                async for piece in response.aiter_bytes():
                    *whole, rest = (rest + piece).split(b"\n")
                    for line in whole:
                        if line.strip():
                            yield call.parse(line)
        except httpx.RequestError as error:
            raise self._lost(call, error) from error
        if rest.strip():
            raise NoAnswerError(f"the answer to {call.method} {call.target} broke off in a line")

    def _request(self, call: Call[Any], silence: float = 0.0) -> dict[str, Any]:
        longest = max(self.settings.timeout + call.longer, silence)
        return {
            "method": call.method,
            "url": self.settings.url + call.target,
            "params": call.parameters,
            "content": call.content,
            "headers": {**self.settings.headers(), **call.all_headers},
            "timeout": httpx.Timeout(longest, connect=CONNECT),
            "follow_redirects": False,
        }

    def _lost(self, call: Call[Any], error: httpx.RequestError) -> NoAnswerError:
        told = str(error) or type(error).__name__
        if isinstance(error, httpx.PoolTimeout):
            told = "it was not sent: no connection was free in time"
        what = f"no answer from {self.settings.url} to {call.method} {call.target}: {told}"
        if isinstance(error, httpx.ConnectError):
            what += f"; start a gateway there, or say where it is ({URL})"
        again = f"; it may be accepted, and is one task if it is repeated with id {call.id}"
        is_sent = not isinstance(error, httpx.PoolTimeout)
        return NoAnswerError(what + (again if call.id and is_sent else ""), call.id)

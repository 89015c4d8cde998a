# Made of its namesake in `_async` by scripts/unasync.py: change that one.
"""Schedules: made, changed, paused, run now, foretold."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, List, cast

from .._call import Call, given
from .._uuid7 import uuid7
from .._values import Instant, instant
from ..listings import BeatList, DeletedSchedule, OccurrenceList
from ..timetable import (
    Backfilled,
    Beat,
    Extent,
    Occurrence,
    PutIn,
    Schedule,
    ScheduleDefinition,
    SchedulePage,
    UpcomingList,
)
from .transport import Transport


class Schedules:
    """What can be asked of schedules; `client.schedules`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def page(
        self,
        *,
        source: str | None = None,
        paused: bool | None = None,
        kind: str | None = None,
        name: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> SchedulePage:
        """Returns a page, by name; the page after it is at the cursor `next`.

        `source` is `file`, `code` or `api`; `kind` may have `*` and commas; `name` is a beginning.
        """
        query = {
            "source": source,
            "paused": None if paused is None else str(paused).lower(),
            "kind": kind,
            "name": name,
            "limit": None if limit is None else str(limit),
            "cursor": cursor,
        }
        return self._transport.send(Call("GET", "/v1/schedules", SchedulePage, query=query))

    def list(
        self,
        *,
        source: str | None = None,
        paused: bool | None = None,
        kind: str | None = None,
        name: str | None = None,
    ) -> Iterator[Schedule]:
        """Yields schedules by name, asking for page after page."""
        cursor: str | None = None
        while True:
            page = self.page(
                source=source, paused=paused, kind=kind, name=name, limit=200, cursor=cursor
            )
            for schedule in page.schedules:
                yield schedule
            cursor = page.next
            if cursor is None:
                return

    def get(self, name: str) -> Schedule:
        """Returns a schedule."""
        return self._transport.send(
            Call("GET", "/v1/schedules/{name}", Schedule, {"name": name})
        )

    def create(self, name: str, definition: ScheduleDefinition) -> Schedule:
        """Makes a schedule. One that says the same is `repeated`, another one is a conflict."""
        body = {"name": name, **cast("dict[str, Any]", definition)}
        return self._transport.send(Call("POST", "/v1/schedules", Schedule, body=body))

    def replace(
        self, name: str, definition: ScheduleDefinition, *, revision: int | None = None
    ) -> Schedule:
        """Says all of it anew; with `revision`, only if it is still at that."""
        call = Call(
            "PUT",
            "/v1/schedules/{name}",
            Schedule,
            {"name": name},
            {"revision": None if revision is None else str(revision)},
            definition,
        )
        return self._transport.send(call)

    def delete(self, name: str, *, revision: int | None = None) -> None:
        """Deletes it; tasks that were put in stay."""
        query = {"revision": None if revision is None else str(revision)}
        call = Call("DELETE", "/v1/schedules/{name}", DeletedSchedule, {"name": name}, query)
        self._transport.send(call)

    def pause(self, name: str, *, why: str | None = None) -> Schedule:
        """Pauses it, wherever it comes from; the first pause stays."""
        call = Call(
            "POST", "/v1/schedules/{name}/pause", Schedule, {"name": name}, body=given(why=why)
        )
        return self._transport.send(call)

    def resume(self, name: str) -> Schedule:
        """Resumes it; `was_paused` says whether it was paused."""
        call = Call("POST", "/v1/schedules/{name}/resume", Schedule, {"name": name})
        return self._transport.send(call)

    def run(self, name: str, *, key: str | None = None) -> PutIn:
        """Puts one task in now, beside the timetable.

        Without `key` it gets one here, so that a request whose answer was lost is repeated.
        """
        call = Call(
            "POST",
            "/v1/schedules/{name}/run",
            PutIn,
            {"name": name},
            headers={"idempotency-key": key or uuid7()},
            repeatable=True,
        )
        return self._transport.send(call)

    def backfill(
        self, name: str, from_: Instant, to: Instant | None = None, *, key: str | None = None
    ) -> Backfilled:
        """Puts in the tasks of all occurrences of a range, at most 1,000.

        Where `rest` is there, ask again with it as `from_` and with the answer's `key`.
        """
        call = Call(
            "POST",
            "/v1/schedules/{name}/backfill",
            Backfilled,
            {"name": name},
            body=_range(from_, to),
            headers={"idempotency-key": key or uuid7()},
            repeatable=True,
        )
        return self._transport.send(call)

    def extent(self, name: str, from_: Instant, to: Instant | None = None) -> Extent:
        """Counts the occurrences of a range, as `backfill` would put them in."""
        body = {**_range(from_, to), "dry_run": True}
        call = Call("POST", "/v1/schedules/{name}/backfill", Extent, {"name": name}, body=body)
        return self._transport.send(call)

    def next(
        self, name: str, n: int | None = None, *, from_: Instant | None = None
    ) -> UpcomingList:
        """Returns what is due next, whether or not it is paused."""
        query = {
            "n": None if n is None else str(n),
            "from": None if from_ is None else instant(from_),
        }
        call = Call("GET", "/v1/schedules/{name}/next", UpcomingList, {"name": name}, query)
        return self._transport.send(call)

    def occurrences(self, name: str) -> List[Occurrence]:
        """Returns the last 20 occurrences, newest first."""
        call = Call("GET", "/v1/schedules/{name}/occurrences", OccurrenceList, {"name": name})
        return (self._transport.send(call)).occurrences

    def beats(self) -> List[Beat]:
        """Returns the beats, the one that leads first."""
        return (self._transport.send(Call("GET", "/v1/beats", BeatList))).beats


def _range(from_: Instant, to: Instant | None) -> dict[str, Any]:
    return given(from_=instant(from_), to=None if to is None else instant(to))

"""Whether and when to ask again, what can be asked again safely."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime

from .errors import (
    LeveretError,
    NoAnswerError,
    ProblemError,
    UnavailableError,
    UnconfirmedError,
    UnexpectedAnswerError,
)

FIRST = 0.2
LONGEST = 10.0
MOST_ASKED_FOR = 60.0
"""The longest wait that an answer can ask for; one that asks for more is final."""
SLOW = "slow-body"
"""The request came too slowly to the gateway, which took nothing of what it says this of."""
PASSING = frozenset({429, 502, 503, 504})
"""The statuses, of a proxy too, after which the same may work later."""


def is_passing(error: LeveretError) -> bool:
    """Whether the same request may work later."""
    if isinstance(error, UnexpectedAnswerError):
        return error.status in PASSING
    if isinstance(error, ProblemError) and error.problem.name == SLOW:
        return True
    return isinstance(error, (NoAnswerError, UnavailableError, UnconfirmedError))


class Tries:
    """The tries of one request: growing pauses with jitter, and what `Retry-After` asks for."""

    def __init__(self, retries: int, jitter: Callable[[], float] = random.random) -> None:
        self._left = retries
        self._ceiling = FIRST
        self._jitter = jitter

    @property
    def is_spent(self) -> bool:
        """Whether there is no other try."""
        return self._left == 0

    def pause_after(self, error: LeveretError) -> float | None:
        """Returns how long to wait before the next try; nothing where this was the last one."""
        asked: float = getattr(error, "retry_after", None) or 0.0
        if not is_passing(error) or self._left == 0 or asked > MOST_ASKED_FOR:
            return None
        self._left -= 1
        return asked + self.pause()

    def pause(self) -> float:
        """Returns the next pause."""
        ceiling = self._ceiling
        self._ceiling = min(ceiling * 2, LONGEST)
        # At least a half, so that a server that comes back is not asked by all at once.
        return ceiling * (0.5 + self._jitter() / 2)


def retry_after(header: str | None, now: Callable[[], datetime] | None = None) -> float | None:
    """Reads the header `Retry-After`: seconds, or a date."""
    if header is None:
        return None
    if header.strip().isdecimal():
        return float(header)
    try:
        at = parsedate_to_datetime(header)
    except (TypeError, ValueError):
        return None
    current = now() if now else datetime.now(timezone.utc)
    return max(0.0, (at - current).total_seconds()) if at.tzinfo else None

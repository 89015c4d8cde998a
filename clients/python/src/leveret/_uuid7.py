"""UUIDs of version 7: the ids of tasks that have none."""

from __future__ import annotations

import os
import time
import uuid


def uuid7() -> str:
    """Returns a UUID that begins with the time (RFC 9562)."""
    millis = time.time_ns() // 1_000_000
    random = int.from_bytes(os.urandom(10), "big")
    number = millis << 80 | random
    number = number & ~(0xF << 76) | 7 << 76
    number = number & ~(0x3 << 62) | 2 << 62
    return str(uuid.UUID(int=number))

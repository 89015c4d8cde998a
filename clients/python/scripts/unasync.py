"""Makes `src/leveret/_sync` of `src/leveret/_async`; with `--check` it only compares.

`each.py` is written by hand on both sides: what it goes through differs.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent / "src" / "leveret"
BY_HAND = {"each.py", "__init__.py"}
RULES = [
    (r"from asyncio import sleep", "from time import sleep"),
    (r"Iterable\[NewTask\] \| AsyncIterable\[NewTask\]", "Iterable[NewTask]"),
    (r"AsyncIterable, AsyncIterator, Iterable\b", "Iterable, Iterator"),
    (r"\bAsyncGenerator\[Any, None\]", "Generator[Any, None, None]"),
    (r"\bAsync(Generator|Iterator|Client|Transport|DeadLetters|Queues|Workers|Schedules)\b", r"\1"),
    (r"\basync (def|with|for)\b", r"\1"),
    (r"\bawait ", ""),
    (r"\b__a(enter|exit)__", r"__\1__"),
    (r"\ba(close|closing|read|iter_bytes)\b", r"\1"),
]


def synchronous(text: str) -> str:
    """Returns the synchronous form of a module."""
    for pattern, replacement in RULES:
        text = re.sub(pattern, replacement, text)
    head = "# Made of its namesake in `_async` by scripts/unasync.py: change that one.\n"
    return head + text


def main() -> int:
    """Writes or compares all modules."""
    differs = []
    for source in sorted((PACKAGE / "_async").glob("*.py")):
        target = PACKAGE / "_sync" / source.name
        if source.name in BY_HAND:
            continue
        wanted = synchronous(source.read_text(encoding="utf-8"))
        if "--check" not in sys.argv:
            target.write_text(wanted, encoding="utf-8")
        elif not target.exists() or target.read_text(encoding="utf-8") != wanted:
            differs.append(str(target))
    for path in differs:
        print(f"{path} is not what its asynchronous namesake makes: run scripts/unasync.py")
    return 1 if differs else 0


if __name__ == "__main__":
    sys.exit(main())

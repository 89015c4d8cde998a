"""Many tasks at once: which lines are sent, what their answers mean, which are sent again.

Sends nothing. Each line has an id or a key, so that a request whose answer was lost, or a line
that could not be confirmed, is sent again and is one task all the same.
"""

from __future__ import annotations

from typing import Any

from ._call import NDJSON, Call, dump
from ._decode import Undecodable, decode
from ._repeat import is_passing
from .errors import (
    LeveretError,
    NoAnswerError,
    TooLargeError,
    UnexpectedAnswerError,
    of_line,
)
from .models import Accepted
from .new_task import LineResult, NewTask

MOST_BYTES = 4 << 20
"""About how much is sent in one request."""


class Batch:
    """Tasks of one request, until each has its result."""

    def __init__(self, first: int) -> None:
        self._first = first
        self._lines: list[bytes] = []
        self._results: dict[int, LineResult] = {}
        self._waiting: list[int] = []
        self._bytes = 0
        self.passing: LeveretError | None = None
        """Why lines have to be sent again after a pause."""

    def __len__(self) -> int:
        return len(self._lines)

    @property
    def end(self) -> int:
        """The index of the first task after it."""
        return self._first + len(self)

    def add(self, task: NewTask) -> None:
        """Takes one more task."""
        line = dump(task.document())
        self._waiting.append(len(self._lines))
        self._lines.append(line)
        self._bytes += len(line)

    def is_full(self, most: int) -> bool:
        """Whether it should be sent before more is taken."""
        return len(self) >= most or self._bytes >= MOST_BYTES

    @property
    def is_done(self) -> bool:
        """Whether each task has its result."""
        return not self._waiting

    def call(self) -> Call[Any]:
        """Returns the request with what waits."""
        body = b"".join(self._lines[place] + b"\n" for place in self._waiting)
        headers = {"accept": NDJSON}
        return Call("POST", "/v1/tasks", dict, lines=body, headers=headers, repeatable=True)

    def take(self, answers: list[Any], is_last: bool) -> None:
        """Takes the answers, which come in order; `is_last` ends what may pass with its error.

        Where there are fewer answers than lines, the gateway read no further: it takes fewer at
        once. The rest goes into the next request, as does a last line that was too large there.
        """
        sent, self._waiting, self.passing = self._waiting, [], None
        for number, (place, answer) in enumerate(zip(sent, answers)):
            result = self._result(place, answer)
            error = result.error
            is_cut = isinstance(error, TooLargeError) and 0 < number == len(answers) - 1
            if is_cut:
                self._waiting.append(place)
            elif error is not None and is_passing(error) and not is_last:
                self.passing = error
                self._waiting.append(place)
            else:
                self._results[place] = result
        if not answers:
            self.passing = NoAnswerError("no line of a batch was answered")
        self._waiting.extend(sent[len(answers) :])

    def results(self) -> list[LineResult]:
        """Returns the results that there are, in order."""
        return [self._results[place] for place in sorted(self._results)]

    def _result(self, place: int, answer: Any) -> LineResult:
        index = self._first + place
        document = answer.get("error") if isinstance(answer, dict) else None
        if document is not None:
            return LineResult(index, error=of_line(document, f"task {index}"))
        try:
            return LineResult(index, accepted=decode(Accepted, answer))
        except Undecodable as error:
            return LineResult(index, error=UnexpectedAnswerError(f"task {index}: {error}", 200))

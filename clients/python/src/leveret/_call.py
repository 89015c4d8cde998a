"""One request, and how its answer is read. Sends nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from ._decode import Undecodable, decode
from ._repeat import retry_after
from ._values import part
from .errors import ProblemError, UnexpectedAnswerError, of_problem

T = TypeVar("T")

JSON = "application/json"
NDJSON = "application/x-ndjson"
WALK = 60.0
"""How much longer a request may take that walks a queue of dead letters."""
SHOWN = 200
"""Most of a foreign answer that is shown."""


@dataclass(frozen=True)
class Call(Generic[T]):
    """A request. It is repeated where `repeatable`: where asking twice does it once."""

    method: str
    path: str
    answer: type[T]
    names: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str | None] = field(default_factory=dict)
    body: Any = None
    lines: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    longer: float = 0.0
    """How many seconds more than usual the answer may take."""
    repeatable: bool = False
    id: str | None = None
    """The id under which an enqueue can be repeated."""

    @property
    def target(self) -> str:
        """The path with its names."""
        return self.path.format(**{name: part(value) for name, value in self.names.items()})

    @property
    def parameters(self) -> dict[str, str]:
        """The parameters that were given."""
        return {name: value for name, value in self.query.items() if value is not None}

    @property
    def content(self) -> bytes | None:
        """The body."""
        return self.lines if self.body is None else dump(self.body)

    @property
    def all_headers(self) -> dict[str, str]:
        """The headers of this request alone."""
        media = NDJSON if self.lines is not None else JSON
        typed = {} if self.content is None else {"content-type": media}
        return {**typed, **self.headers}

    @property
    def is_repeatable(self) -> bool:
        """Whether asking twice does it once."""
        return self.repeatable or self.method == "GET"

    def read(self, content: bytes) -> T:
        """Reads the answer."""
        return self.decoded(self.parse(content))

    def decoded(self, document: Any) -> T:
        """Reads the answer, or a line of it, that is JSON already."""
        try:
            return decode(self.answer, document)
        except Undecodable as error:
            what = f"{self.method} {self.target} was answered with what no gateway says: {error}"
            raise UnexpectedAnswerError(what, 200) from None

    def parse(self, content: bytes) -> Any:
        """Reads the answer, or a line of it, as JSON."""
        try:
            return json.loads(content)
        except ValueError:
            raise self.alien(200, content) from None

    def refusal(
        self, status: int, headers: Mapping[str, str], content: bytes
    ) -> ProblemError | UnexpectedAnswerError:
        """Reads an answer that is no success."""
        wait = retry_after(headers.get("retry-after"))
        try:
            return of_problem(json.loads(content), wait)
        except (ValueError, Undecodable):
            return self.alien(status, content, wait)

    def alien(
        self, status: int, content: bytes, wait: float | None = None
    ) -> UnexpectedAnswerError:
        """Creates the error of an answer that no gateway gives."""
        shown = content[:SHOWN].decode(errors="replace")
        what = f"{self.method} {self.target} was answered {status} with what no gateway says"
        return UnexpectedAnswerError(f"{what}: {shown!r}", status, wait)


def dump(value: Any) -> bytes:
    """Writes JSON."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode()


def given(**members: Any) -> dict[str, Any]:
    """Returns the members that were given; `class_` is `class`."""
    return {name.rstrip("_"): value for name, value in members.items() if value is not None}

"""The receiver's side of `http` kinds: whether a request is one's own Leveret's, and of today.

from leveret import webhook

webhook.verify(body, headers.get(webhook.HEADER), SECRET)
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Iterable
from datetime import datetime
from typing import Union

from ._values import Duration, seconds

HEADER = "x-leveret-signature"

Secret = Union[str, bytes]


class SignatureError(Exception):
    """The request is not to be believed. Answer 401, and look at nothing of it."""


def verify(
    body: bytes,
    signature: str | None,
    secrets: Secret | Iterable[Secret],
    *,
    tolerance: Duration = "5m",
    now: datetime | None = None,
) -> None:
    """Returns if the header `signature` signs `body` by one of the secrets, and in time.

    `body` is what was received, byte by byte, before anything read it. Give two secrets while one
    takes the other's place.
    """
    known = [secrets] if isinstance(secrets, (str, bytes)) else list(secrets)
    keys = [key.encode() if isinstance(key, str) else key for key in known]
    if not keys or not all(keys):
        raise ValueError("a secret is missing or empty: everybody could sign with that")
    if not signature:
        raise SignatureError("the request is not signed")
    pairs = [part.strip().partition("=")[::2] for part in signature.split(",")]
    sent = next((value for name, value in pairs if name == "t"), "")
    if not (sent.isascii() and sent.isdecimal()) or len(sent) > 15:
        raise SignatureError("the signature has no time")
    current = time.time() if now is None else now.timestamp()
    if abs(current - int(sent)) > seconds(tolerance):
        raise SignatureError("it was not signed in time: it is a replay, or a clock is wrong")
    # A server may hand on bytes that are no text as lone surrogates, which no signature has.
    found = [value.encode("utf-8", "replace") for name, value in pairs if name == "v1"]
    signed = [hmac.new(key, f"{sent}.".encode() + body, hashlib.sha256) for key in keys]
    if not any(
        hmac.compare_digest(value, one.hexdigest().encode()) for value in found for one in signed
    ):
        raise SignatureError("the signature is of another secret or of another body")

"""Where the gateway is and what to say to it. The environment is read here alone."""

from __future__ import annotations

import os
from dataclasses import dataclass
from urllib.parse import urlsplit

from ._values import Duration, seconds

URL = "LEVERET_GATEWAY_URL"
TOKEN = "LEVERET_GATEWAY_TOKEN"
USUAL_URL = "http://127.0.0.1:7878"
VERSION = "0.1.0"


@dataclass(frozen=True)
class Settings:
    """What a client was told."""

    url: str
    token: str | None
    by: str | None
    timeout: float
    retries: int

    @classmethod
    def read(
        cls, url: str | None, token: str | None, by: str | None, timeout: Duration, retries: int
    ) -> Settings:
        """Takes from the environment what was not given, as the `leveret` commands do."""
        url = url or os.environ.get(URL) or USUAL_URL
        token = token or os.environ.get(TOKEN) or None
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{url!r} is no URL of a gateway: write http://HOST:PORT ({URL})")
        if parts.query or parts.fragment or parts.username or parts.password:
            raise ValueError("the URL of a gateway has no user, no query and no fragment")
        for name, text in (("by", by), ("token", token)):
            if text is not None and not (text.isascii() and text.isprintable()):
                raise ValueError(f"{name} has to be visible ASCII characters")
        if retries < 0:
            raise ValueError(f"retries cannot be {retries}: write 0 to repeat nothing")
        return cls(url.rstrip("/"), token, by, seconds(timeout), retries)

    def headers(self) -> dict[str, str]:
        """Returns what goes with every request."""
        found = {"user-agent": f"leveret-python/{VERSION}"}
        if self.token:
            found["authorization"] = f"Bearer {self.token}"
        if self.by:
            found["leveret-by"] = self.by
        return found

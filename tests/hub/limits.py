"""Rate limits: the headers on every reply, and if wanted a window that really counts."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from .access import error
from .messages import Request, Response
from .site import Clock

WINDOW = 300  # seconds


def bucket_of(kind: str) -> str:
    """Return the bucket a kind of path is counted in. Git and LFS are a guess: nobody has written it down."""
    return {"resolve": "resolvers", "api": "api", "cache": "api"}.get(kind, "pages")


@dataclass
class Limits:
    """Requests allowed per bucket and window, for each token (or for all who have none); 429 only if ``enforced``."""

    clock: Clock
    quota: dict[str, int] = field(default_factory=lambda: {"api": 500, "resolvers": 3000, "pages": 100})
    window: int = WINDOW
    enforced: bool = False
    _used: dict[tuple[str, str, int], int] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, request: Request) -> tuple[dict[str, str], Response | None]:
        """Count a request; return the headers for its answer, and the 429 if it is one too many."""
        bucket, now = bucket_of(request.kind), self.clock.now()
        window = int(now // self.window)
        with self._lock:
            used = self._used[bucket, request.token, window] = self._used.get((bucket, request.token, window), 0) + 1
        quota = self.quota[bucket]
        left = max(0, quota - used)
        headers = rate_headers(bucket, left, int((window + 1) * self.window - now) + 1, quota, self.window)
        if not self.enforced or used <= quota:
            return headers, None
        return headers, error(429, "", "We had to rate limit you.")


def rate_headers(bucket: str, left: int, seconds: int, quota: int = 3000, window: int = WINDOW) -> dict[str, str]:
    """Write the two headers."""
    return {
        "RateLimit": f'"{bucket}";r={left};t={seconds}',
        "RateLimit-Policy": f'"fixed window";"{bucket}";q={quota};w={window}',
    }

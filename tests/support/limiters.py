"""Rate limiters as a server may have them, written from the vendor's words and from nothing in the client.

The documentation speaks of a bucket of tokens refilled at a constant rate, the OpenAPI document of a window; neither
says what RateLimit-Reset means under a bucket, nor whether the headers count the request that they answer.
"""

from __future__ import annotations

import asyncio
import math
import random
from email.utils import formatdate
from functools import lru_cache
from typing import Protocol

from meitner_aio._wire.messages import Headers, RawResponse, Request

EPOCH = 1_700_000_000.37
"""Seconds since 1970 at which the clock of a virtual loop shows 0: 13 minutes 20 past an hour."""

HOUR = 3600.0

_dated = lru_cache(maxsize=4)(lambda second: formatdate(second, usegmt=True))


class Limiter(Protocol):
    """What decides about requests. Times are seconds since 1970 by the server's clock."""

    limit: int
    """What RateLimit-Limit says."""

    def take(self, now: float) -> bool:
        """Count a request; False when it is refused."""
        ...

    def left(self, now: float) -> int:
        """Return how many requests would be served at once."""
        ...

    def reset(self, now: float) -> float:
        """Return what RateLimit-Reset means, in seconds since 1970."""
        ...

    def ideal(self, requests: int) -> float:
        """Return the seconds after which a reader who is alone and never refused is served its last request."""
        ...


class FixedWindow:
    """So many requests in each window, which opens with its first request or, with `grid`, at the top of the hour."""

    def __init__(self, limit: int, seconds: float = HOUR, *, grid: bool = False) -> None:
        self.limit, self.seconds, self.grid = limit, seconds, grid
        self.ends, self.spent = -math.inf, 0

    def _turn(self, now: float) -> None:
        if now >= self.ends:
            self.ends = (math.floor(now / self.seconds) + 1) * self.seconds if self.grid else now + self.seconds
            self.spent = 0

    def take(self, now: float) -> bool:
        self._turn(now)
        if self.spent >= self.limit:
            return False
        self.spent += 1
        return True

    def left(self, now: float) -> int:
        self._turn(now)
        return self.limit - self.spent

    def reset(self, now: float) -> float:
        self._turn(now)
        return self.ends

    def ideal(self, requests: int) -> float:
        windows = math.ceil(requests / self.limit) - 1
        if not self.grid or not windows:
            return windows * self.seconds
        return windows * self.seconds - EPOCH % self.seconds


class Bucket:
    """Tokens refilled at `limit` an hour, `burst` at most and at first; RateLimit-Reset is one of four readings.

    full: when the bucket will be full; next: when the next token comes; hour: an hour from now; top: the next full hour.
    """

    def __init__(self, limit: int, reset: str = "full", *, burst: int | None = None) -> None:
        self.limit, self.meaning, self.burst = limit, reset, burst or limit
        self.rate = limit / HOUR
        self.tokens, self.at = float(self.burst), -math.inf

    def _refill(self, now: float) -> None:
        if self.at > -math.inf:
            self.tokens = min(self.burst, self.tokens + (now - self.at) * self.rate)
        self.at = max(now, self.at)

    def take(self, now: float) -> bool:
        self._refill(now)
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True

    def left(self, now: float) -> int:
        self._refill(now)
        return int(self.tokens)

    def reset(self, now: float) -> float:
        self._refill(now)
        return {
            "full": now + (self.burst - self.tokens) / self.rate,
            "next": now + (1 - self.tokens % 1) / self.rate,
            "hour": now + HOUR,
            "top": (math.floor(now / HOUR) + 1) * HOUR,
        }[self.meaning]

    def ideal(self, requests: int) -> float:
        return max(0.0, (requests - self.burst) / self.rate)


class Server:
    """Answers through a limiter after a while, and says so in headers: `now`, one request `late`, or not at all (`none`)."""

    def __init__(self, limiter: Limiter, *, headers: str = "now", latency: float = 0.1, seed: int = 7) -> None:
        self.limiter, self.headers, self.latency = limiter, headers, latency
        self.served = self.refused = 0
        self.chance = random.Random(seed)

    def now(self) -> float:
        return EPOCH + asyncio.get_running_loop().time()

    def answer(self) -> RawResponse:
        now, limiter = self.now(), self.limiter
        before = limiter.left(now)
        taken = limiter.take(now)
        self.served += taken
        self.refused += not taken
        said = {"Date": _dated(int(now))}
        if self.headers != "none":
            left = before if self.headers == "late" else limiter.left(now)
            said |= {
                "RateLimit-Limit": str(limiter.limit),
                "RateLimit-Remaining": str(left),
                "RateLimit-Reset": str(int(limiter.reset(now) * 1000)),
            }
        return RawResponse(200 if taken else 429, Headers(said), b"{}")

    async def send(self, _: Request) -> RawResponse:
        await asyncio.sleep(self.latency * self.chance.uniform(0.2, 0.8))
        answer = self.answer()
        await asyncio.sleep(self.latency * self.chance.uniform(0.1, 0.3))
        return answer

    async def others(self, per_second: float, seconds: float) -> None:
        """Spend as clients do that look at no header: at random moments, so many a second."""
        ends = asyncio.get_running_loop().time() + seconds
        while asyncio.get_running_loop().time() < ends:
            await asyncio.sleep(self.chance.expovariate(per_second))
            self.limiter.take(self.now())

    def empty(self) -> None:
        """Let somebody else spend all that is left."""
        while self.limiter.take(self.now()):
            pass

"""How many requests may leave, and how fast. The only module that knows aiolimiter."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from msgspec import Struct

from ._protocol import RawResponse, Request, Send

if TYPE_CHECKING:
    from aiolimiter import AsyncLimiter


class Rate(Struct, frozen=True):
    """A local smoother: at most `burst` requests at once, refilled at `per_second`."""

    per_second: float
    burst: float = 1.0

    def __post_init__(self) -> None:
        """Raise `ValueError` for numbers that make no rate."""
        if not (self.per_second > 0 and self.burst >= 1):
            raise ValueError("per_second must be positive and burst at least 1")


class Gate:
    """Lets requests through: at most so many at a time, and at most so many a second."""

    def __init__(self, concurrency: int, rate: Rate | None = None) -> None:
        """Raise `ValueError` unless at least one request may be in flight."""
        if concurrency < 1:
            raise ValueError("max_concurrency must be at least 1")
        self._slots = asyncio.Semaphore(concurrency)
        self._rate = rate
        self._bucket: AsyncLimiter | None = None

    async def _smooth(self, rate: Rate) -> None:
        if self._bucket is None:  # a bucket belongs to the loop that it is first used in
            from aiolimiter import AsyncLimiter  # noqa: PLC0415 - only clients with a rate need it

            self._bucket = AsyncLimiter(rate.burst, rate.burst / rate.per_second)
        await self._bucket.acquire()

    def admitting(self, send: Send) -> Send:
        """Return a `Send` that passes this gate first."""

        async def admitted(request: Request) -> RawResponse:
            async with self._slots:
                if self._rate is not None:
                    await self._smooth(self._rate)
                return await send(request)

        return admitted

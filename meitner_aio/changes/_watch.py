"""What the answers of a run say beside their rows: how many there were, and what time it is at the server."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable
from datetime import datetime

from msgspec.structs import replace

from .._wire.messages import RawResponse, Request, Send
from ..errors import MeitnerError

_FAR = 86_400.0
"""Seconds by which clocks may differ: a stamp from further ahead is an error, and says nothing of a clock."""


class Watch:
    """Stands in the way of every request of a run."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._first: float | None = None
        self.requests = 0
        self.began: float | None = None
        """When the first request was sent, by the server's clock, or a moment before; None as long as nobody says."""
        self._latest = -math.inf
        self.ahead = 0.0
        """Seconds by which the clock that stamps rows is ahead of the one of the answers, as far as was seen."""

    async def send(self, request: Request) -> RawResponse:
        """Send a request as one of many, and note what the answer says of the time."""
        time = asyncio.get_running_loop().time
        if self._first is None:
            self._first = time()
        try:
            response = await self._send(replace(request, bulk=True))
        except MeitnerError as error:
            self.requests += 1 if error.attempts is None else error.attempts
            raise
        self.requests += response.attempts
        date = response.limits.date
        if date is not None:
            self._latest = max(self._latest, date)
            if self.began is None:
                self.began = date - (time() - self._first)
        return response

    def compare(self, stamps: Iterable[datetime]) -> None:
        """Learn from the stamps of rows, none of which can be later than the answer that brought it."""
        youngest = max((stamp.timestamp() for stamp in stamps), default=-math.inf)
        ahead = youngest - self._latest - 1.0  # Date has whole seconds
        if self.ahead < ahead < _FAR:
            self.ahead = ahead

"""What the reads of a client counted lately: the next read of the same listing begins with several pages at once.

In memory, under a hash of the request, so that no condition of a search is kept.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import NamedTuple

LIFETIME = 300.0
"""Seconds until a count is forgotten: if rows were deleted since, pages beyond the last row are asked for in vain."""

_MOST = 256
"""Listings that are remembered: those that were read last."""


class LastCount(NamedTuple):
    """What a read found that came to its end."""

    total: int
    step: int
    """Rows by which its pages followed each other."""


class LastCounts:
    """The last count of each listing."""

    def __init__(self) -> None:
        self._counts: OrderedDict[int, tuple[LastCount, float]] = OrderedDict()

    def note(self, listing: int, count: LastCount | None) -> None:
        """Remember what a read of a listing counted; None forgets it."""
        self._counts.pop(listing, None)
        if count is not None:
            self._counts[listing] = count, asyncio.get_running_loop().time() + LIFETIME
            if len(self._counts) > _MOST:
                self._counts.popitem(last=False)

    def of(self, listing: int) -> LastCount | None:
        """Return what was counted lately; None if nothing was."""
        count, until = self._counts.get(listing, (None, 0.0))
        return count if count is not None and asyncio.get_running_loop().time() < until else None

"""Where a cache keeps its bytes: the interface, and the memory of this process. Knows nothing of what they are."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import Protocol, runtime_checkable

from msgspec import Struct

from .._wire.validation import check_whole


class Cached(Struct, frozen=True):
    """What a provider gives back: the bytes that it was given, and the seconds until it will have forgotten them."""

    value: bytes
    expires_in: float

    def __repr__(self) -> str:
        return f"Cached({len(self.value)} bytes, expires_in={self.expires_in:.1f})"

    def __rich_repr__(self) -> list[tuple[str, object]]:
        return [("value", f"{len(self.value)} bytes"), ("expires_in", self.expires_in)]


@runtime_checkable
class CacheProvider(Protocol):
    """Where answers are kept. Whatever it raises, a second without an answer, and what it never got: all are misses.

    Keys are text of 40 hexadecimal digits that tell nothing; values are bytes and hold personal data in the clear. They
    carry a seal that only the same credentials can make, so that a provider need not be trusted to give back what it
    was given, only to show it to nobody.
    """

    async def get(self, key: str) -> Cached | None:
        """Return what is kept under a key, or None."""
        ...

    async def set(self, key: str, value: bytes, ttl: float) -> None:
        """Keep a value for `ttl` seconds."""
        ...

    async def delete(self, key: str) -> None:
        """Forget a key, whether there is one or not."""
        ...

    async def clear(self) -> None:
        """Forget everything; this may take longer than a second."""
        ...


class MemoryCache:
    """Keeps at most `maxsize` answers in this process, and forgets the one not asked for the longest. On no disk."""

    def __init__(self, maxsize: int = 1000) -> None:
        self._maxsize = check_whole("maxsize", maxsize, 0)
        self._kept: OrderedDict[str, tuple[bytes, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def __repr__(self) -> str:
        return f"<MemoryCache: {len(self)} of {self._maxsize}>"

    async def get(self, key: str) -> Cached | None:
        """Return what is kept, and keep it longer than what is not asked for."""
        kept = self._kept.get(key)
        if kept is None:
            return None
        value, expires_at = kept
        left = expires_at - asyncio.get_running_loop().time()
        if left <= 0:
            del self._kept[key]
            return None
        self._kept.move_to_end(key)
        return Cached(value, left)

    async def set(self, key: str, value: bytes, ttl: float) -> None:
        """Keep a value for `ttl` seconds of the event loop."""
        self._kept[key] = (value, asyncio.get_running_loop().time() + ttl)
        self._kept.move_to_end(key)
        while len(self._kept) > self._maxsize:
            self._kept.popitem(last=False)

    async def delete(self, key: str) -> None:
        """Forget a key."""
        self._kept.pop(key, None)

    async def clear(self) -> None:
        """Forget everything."""
        self._kept.clear()

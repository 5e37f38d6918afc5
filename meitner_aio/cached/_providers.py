"""Where a cache keeps its bytes: the interface of a provider, and one in memory. Knows nothing of their meaning."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import Protocol, runtime_checkable

from msgspec import Struct

from .._wire.validation import check_whole


class Cached(Struct, frozen=True):
    """What a provider returns: the bytes that it was given, and the seconds until they expire."""

    value: bytes
    expires_in: float

    def __repr__(self) -> str:
        return f"Cached({len(self.value)} bytes, expires_in={self.expires_in:.1f})"

    def __rich_repr__(self) -> list[tuple[str, object]]:
        return [("value", f"{len(self.value)} bytes"), ("expires_in", self.expires_in)]


@runtime_checkable
class CacheProvider(Protocol):
    """Where answers are kept. An error, no reply within a second, and bytes that were never stored all count as misses.

    Keys are 40 hexadecimal digits that reveal nothing; values are bytes and hold personal data in the clear. They carry
    a seal that only the same credentials can make: a provider need not be trusted to return the right bytes, only to
    show them to nobody else.
    """

    async def get(self, key: str) -> Cached | None:
        """Return what is kept under a key, or None."""
        ...

    async def set(self, key: str, value: bytes, ttl: float) -> None:
        """Keep a value for `ttl` seconds."""
        ...

    async def delete(self, key: str) -> None:
        """Forget a key, if there is one."""
        ...

    async def clear(self) -> None:
        """Forget everything; this may take longer than a second."""
        ...


class MemoryCache:
    """Keeps at most `maxsize` answers in memory, never on disk, and drops the least recently used."""

    def __init__(self, maxsize: int = 1000) -> None:
        self._maxsize = check_whole("maxsize", maxsize, 0)
        self._kept: OrderedDict[str, tuple[bytes, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def __repr__(self) -> str:
        return f"<MemoryCache: {len(self)} of {self._maxsize}>"

    async def get(self, key: str) -> Cached | None:
        """Return what is kept, and mark it as recently used."""
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
        """Keep a value for `ttl` seconds of the event loop's clock."""
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

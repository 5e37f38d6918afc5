"""The reads of a client through a cache: the same resources and the same calls, of which none is written again here.

What is kept, for how long and for whom is the business of `_store`; this is the view of it that users hold.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Never, TypeVar, overload

from msgspec import UNSET

from .._operations.members import View
from .._operations.operations import Binding
from .._operations.reads import Reads, Searches
from .._wire.validation import check_whole
from ..resources import Resources
from ._providers import Cached, CacheProvider, MemoryCache
from ._redis_cache import RedisCache
from ._store import Caching

if TYPE_CHECKING:
    from .._wire.messages import Send

__all__ = ["CacheProvider", "Cached", "CachedMeitner", "MemoryCache", "Reads", "RedisCache", "Searches"]

D = TypeVar("D")

_STALE = 24 * 3600.0
"""Seconds for which `stale_if_error=True` lets an expired answer stand in."""


class CachedMeitner(Resources, View[D]):
    """A client for reading only, whose answers are kept for a while: `meitner.cached()` makes it.

    Concurrent equal reads are one request. `default`, of the view or of a single call, answers when the service is down
    (no connection, a 5xx, a spent quota) and nothing is kept; a listing has no default, because an empty one would
    pass for an empty directory.
    """

    def __init__(self, wire: Binding, caching: Caching | None, default: D) -> None:
        self._wire = wire
        self._caching = caching
        self._default = default

    async def clear(self) -> None:
        """Forget every answer, those of others who keep theirs with the same provider too: the server is asked next.

        What is under way in this process reaches only who waits for it. An answer that another process is just asking
        for may still be kept, for its lifetime.
        """
        if self._caching is not None:
            await self._caching.clear()

    def __repr__(self) -> str:
        return f"<CachedMeitner: {self._caching or 'off'}>"


class Caches:
    """Makes `CachedMeitner`s of a client: this is `meitner.cached`, and is called."""

    def __init__(self, wire: Binding, guard: Callable[[Send], Send], scope: bytes) -> None:
        """Read through `wire`, behind the `guard` that refuses calls of a closed client; keys depend on `scope`."""
        self._wire = wire
        self._guard = guard
        self._scope = scope

    @overload
    def __call__(
        self,
        *,
        ttl: float = 5.0,
        maxsize: int = 1000,
        stale_if_error: float = True,
        provider: CacheProvider | None = None,
    ) -> CachedMeitner[Never]: ...
    @overload
    def __call__(
        self,
        *,
        ttl: float = 5.0,
        maxsize: int = 1000,
        stale_if_error: float = True,
        provider: CacheProvider | None = None,
        default: D,
    ) -> CachedMeitner[D]: ...
    def __call__(
        self,
        *,
        ttl: float = 5.0,
        maxsize: int = 1000,
        stale_if_error: float = True,
        provider: CacheProvider | None = None,
        default: Any = UNSET,
    ) -> CachedMeitner[Any]:
        """Return the reads of the client through a cache of its own.

        An answer is good for `ttl` seconds. At most `maxsize` of them are kept, in memory, or by a `provider`; 0 turns
        the cache off. `stale_if_error` lets an expired answer stand in while the service is down, for a day or for
        the seconds given; never against a 4xx. `default` answers `get`, `get_many` and `find` when it is down and
        nothing is kept. What is written meanwhile shows when `ttl` is over, or after `clear()`. Raises `TypeError`
        or `ValueError` for what makes no cache.
        """
        stale = _STALE if stale_if_error is True else float(stale_if_error)
        check_whole("maxsize", maxsize, 0)
        for name, value in (("ttl", ttl), ("stale_if_error", stale)):
            if not 0 <= value < math.inf:
                raise ValueError(f"{name} must be a number of at least 0")
        if maxsize == 0:
            return CachedMeitner(self._wire, None, default)
        kept = MemoryCache(maxsize) if provider is None else provider
        caching = Caching(self._wire.send, kept, scope=self._scope, ttl=ttl, stale=stale, reads=maxsize)
        return CachedMeitner(self._wire._replace(send=self._guard(caching.send)), caching, default)

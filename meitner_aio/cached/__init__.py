"""A client's reads through a cache: the same resources and the same calls.

`_store` decides what is kept, for how long and for whom; this module holds the view that users see.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Never, TypeVar, overload

from msgspec import UNSET

from .._operations.members import View
from .._operations.reads import Reads, Searches
from .._operations.resource import Binding, Resource, declared
from .._wire.validation import check_whole
from ..resources import Resources
from ._providers import Cached, CacheProvider, MemoryCache
from ._redis_cache import RedisCache
from ._store import Caching, reading

if TYPE_CHECKING:
    from .._wire.messages import Send

__all__ = ["CacheProvider", "Cached", "CachedMeitner", "MemoryCache", "Reads", "RedisCache", "Searches"]

D = TypeVar("D")
R = TypeVar("R", bound=Resource[Any])

_STALE = 24 * 3600.0
"""Seconds for which `stale_if_error=True` lets an expired answer be used."""


class CachedMeitner(Resources, View[D]):
    """A read-only client whose answers are kept for a while: `meitner.cached()` makes it.

    Concurrent equal reads are one request. `default`, of the view or of a single call, is the result when the service
    is down (no connection, a 5xx, a spent quota) and no answer is kept. A listing has no default, because an empty one
    would look like an empty directory.
    """

    def __init__(self, wire: Binding, caching: Caching | None, default: D) -> None:
        self._wire = wire
        self._caching = caching
        self._default = default

    def resource(self, kind: type[R], /, **parameters: str) -> R:
        """Return a resource that you declared (`meitner_aio.declare`), whose reads go through the cache.

        Its lists, searches, gets and GET actions are kept, each with the parameters of its path and query; a write
        raises `MeitnerError`. There is no `default` for its reads. Raises `TypeError` or `ValueError` for parameters
        that are not those of the path.
        """
        return self._wire._replace(send=reading(self._wire.send)).to(declared(kind), parameters)

    async def clear(self) -> None:
        """Forget every answer, including those of other views with the same provider: the next reads ask the server.

        The answers to requests in flight in this process reach only those who already wait for them. The answer to a
        request in flight in another process may still be kept, for its lifetime.
        """
        if self._caching is not None:
            await self._caching.clear()

    def __repr__(self) -> str:
        return f"<CachedMeitner: {self._caching or 'off'}>"


class Caches:
    """`meitner.cached`: call it to get a `CachedMeitner`."""

    def __init__(self, wire: Binding, guard: Callable[[Send], Send], scope: bytes) -> None:
        """Read through `wire`; `guard` refuses the calls of a closed client; keys depend on `scope`."""
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
        default: object = UNSET,
    ) -> CachedMeitner[Any]:
        """Return the reads of the client through a cache of its own.

        An answer is fresh for `ttl` seconds. At most `maxsize` answers are kept, in memory or by a `provider`; 0 turns
        the cache off. While the service is down, `stale_if_error` allows expired answers, for a day or for the seconds
        given; never in place of a 4xx. `default` is the result of `get`, `get_many` and `find` when the service is down
        and no answer is kept. Writes become visible when `ttl` is over, or after `clear()`. Raises `TypeError` or
        `ValueError` for invalid arguments.
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

"""A client's reads through a cache: the same resources and the same calls.

`_store` decides what is kept, for how long and for whom; this module holds the view that users see.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Never, TypeVar, cast, overload

from msgspec import UNSET, UnsetType

from .._operations.members import View
from .._operations.reads import Reads, Searches, defaulting
from .._operations.resource import Binding, Resource, declared
from .._wire.validation import check_seconds, check_whole, is_id
from ..resources import DataExport, Resources
from ._providers import Cached, CacheProvider, MemoryCache
from ._redis_cache import RedisCache
from ._store import Caching, reading

if TYPE_CHECKING:
    from .._wire.messages import Send

__all__ = ["CacheProvider", "Cached", "CachedMeitner", "MemoryCache", "Reads", "RedisCache", "Searches"]

if TYPE_CHECKING:
    from typing_extensions import TypeVar as DefaultedTypeVar

    Default = DefaultedTypeVar("Default", default=Never)
else:
    Default = TypeVar("Default")

D = TypeVar("D")
E = TypeVar("E")
R = TypeVar("R", bound=Resource[Any])
Providers = CacheProvider | Sequence[CacheProvider] | UnsetType | None

_STALE = 24 * 3600.0
"""Seconds for which `stale_if_error=True` lets an expired answer be used."""


class CachedMeitner(Resources, View[Default]):
    """A read-only client whose answers are kept for a while: `meitner.cached()` makes it.

    Concurrent equal reads are one request. When the service is down (no connection, a 5xx, a spent quota) and no answer
    is kept, the result is `default` of the call, else that of the id in `defaults` of the view, else its `default`. A
    listing has no default, because an empty one would look like an empty directory.

    In annotations, `CachedMeitner` is a view without defaults, and `CachedMeitner[None]` one with `default=None`.
    """

    def __init__(
        self, wire: Binding, caching: Caching | None, default: Default, defaults: Mapping[str, object]
    ) -> None:
        self._wire = wire
        self._caching = caching
        self._default = default
        self._defaults = defaults

    def resource(self, kind: type[R], /, **parameters: str) -> R:
        """Return a resource that you declared (`meitner_aio.declare`), whose reads go through the cache.

        Its lists, searches, gets and the actions that read are kept, each with the parameters of its path and query,
        and its body; a write raises `MeitnerError`. The defaults of the view are those of its gets and actions, too,
        which take `default=`, as types cannot express. Raises `TypeError` or `ValueError` for parameters that are not
        those of the path.
        """
        bound = self._wire._replace(send=reading(self._wire.send)).to(declared(kind), parameters)
        return defaulting(bound, self._default, self._defaults)

    @property
    def data_export(self) -> DataExport:
        """The Data Export API, whose listings go through the cache; they have no default, as no listing has."""
        return DataExport(self._wire._replace(send=reading(self._wire.send)))

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
        provider: Providers = UNSET,
    ) -> CachedMeitner[Never]: ...
    @overload
    def __call__(
        self,
        *,
        ttl: float = 5.0,
        maxsize: int = 1000,
        stale_if_error: float = True,
        provider: Providers = UNSET,
        default: D,
    ) -> CachedMeitner[D]: ...
    @overload
    def __call__(
        self,
        *,
        ttl: float = 5.0,
        maxsize: int = 1000,
        stale_if_error: float = True,
        provider: Providers = UNSET,
        defaults: Mapping[str, E],
    ) -> CachedMeitner[E]: ...
    @overload
    def __call__(
        self,
        *,
        ttl: float = 5.0,
        maxsize: int = 1000,
        stale_if_error: float = True,
        provider: Providers = UNSET,
        default: D,
        defaults: Mapping[str, E],
    ) -> CachedMeitner[D | E]: ...
    def __call__(
        self,
        *,
        ttl: float = 5.0,
        maxsize: int = 1000,
        stale_if_error: float = True,
        provider: Providers = UNSET,
        default: object = UNSET,
        defaults: Mapping[str, object] | None = None,
    ) -> CachedMeitner[Any]:
        """Return the reads of the client through a cache of its own.

        An answer is fresh for `ttl` seconds. At most `maxsize` answers are kept, in memory or by a `provider`; several
        are asked in turn, and what only a later one has is given to those before it, as to memory before Redis.
        `maxsize=0` turns the cache off, and so do None and an empty list of providers.

        While the service is down, `stale_if_error` allows expired answers, for a day or for the seconds given; never in
        place of a 4xx. When it is down and no answer is kept, `defaults` has the results of `get`, by id, and
        `default` is that of every other `get`, `get_many` and `find`. Writes become visible when `ttl` is over, or
        after `clear()`. Raises `TypeError` or `ValueError` for invalid arguments.
        """
        seconds = {True: _STALE, False: 0.0}[stale_if_error] if isinstance(stale_if_error, bool) else stale_if_error
        stale = check_seconds("stale_if_error", seconds)
        check_seconds("ttl", ttl)
        check_whole("maxsize", maxsize, 0)
        kept, known = _providers(provider, maxsize), _defaults(defaults)
        if not kept:
            return CachedMeitner(self._wire, None, default, known)
        caching = Caching(self._wire.send, kept, scope=self._scope, ttl=ttl, stale=stale, reads=maxsize)
        return CachedMeitner(self._wire._replace(send=self._guard(caching.send)), caching, default, known)


def _providers(given: object, maxsize: int) -> list[CacheProvider]:
    """Return the providers to ask in turn; none for no cache."""
    if given is UNSET:
        return [MemoryCache(maxsize)] if maxsize else []
    if isinstance(given, CacheProvider) and not isinstance(given, type):
        return [given] if maxsize else []
    if given is not None and (isinstance(given, str | bytes | type) or not isinstance(given, Sequence)):
        raise TypeError(f"provider must be a CacheProvider, a list of them or None, not {_named(given)}")
    several = list(cast("Sequence[object]", given or ()))
    for index, one in enumerate(several):
        if not isinstance(one, CacheProvider) or isinstance(one, type):
            raise TypeError(f"provider[{index}] must be a CacheProvider, not {_named(one)}")
        if any(one is other for other in several[:index]):
            raise ValueError(f"provider[{index}] must not stand in the list twice")
    return cast("list[CacheProvider]", several) if maxsize else []


def _named(given: object) -> str:
    return f"the class {given.__name__}" if isinstance(given, type) else type(given).__name__


def _defaults(given: object) -> dict[str, object]:
    """Return the defaults by id, in lower case where they are UUIDs, as `get` reads them."""
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise TypeError(f"defaults must be a mapping of ids to results, not {type(given).__name__}")
    known: dict[str, object] = {}
    for id_, result in cast("Mapping[object, object]", given).items():
        if not isinstance(id_, str):
            raise TypeError(f"defaults must have ids as keys, not {type(id_).__name__}")
        known[id_.lower() if is_id(id_) else id_] = result
    return known

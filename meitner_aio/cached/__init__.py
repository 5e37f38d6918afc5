"""The reads of a client through a cache: the same resources and the same calls, of which none is written again here.

What is kept, for how long and for whom is the business of `_store`; this is the view of it that users hold.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Coroutine, Iterable
from functools import wraps
from typing import TYPE_CHECKING, Any, Generic, Never, ParamSpec, Protocol, TypeVar, cast, overload

from msgspec import UNSET

from .._operations.operations import Binding, ListCall
from ..resources import (
    AuditEvents,
    EmployeePlacements,
    Employees,
    GradeElementaries,
    GradeUpperSecondaries,
    Groups,
    Guardians,
    Schools,
    StudentPlacements,
    Students,
    Units,
)
from ._providers import Cached, CacheProvider, MemoryCache
from ._redis_cache import RedisCache
from ._store import DOWN, Caching

if TYPE_CHECKING:
    from .._listing.listing import Listing
    from .._operations.composed import Readable
    from .._wire.messages import Send
    from ..records import DirectoryRecord

__all__ = ["CacheProvider", "Cached", "CachedMeitner", "MemoryCache", "Reads", "RedisCache", "Searches"]

T = TypeVar("T", bound="DirectoryRecord")
P = ParamSpec("P")
D = TypeVar("D")
D_co = TypeVar("D_co", covariant=True)
Other = TypeVar("Other")
Arg_contra = TypeVar("Arg_contra", contravariant=True)
Result_co = TypeVar("Result_co", covariant=True)

_STALE = 24 * 3600.0
"""Seconds for which `stale_if_error=True` lets an expired answer stand in."""


class Answered(Protocol[Arg_contra, Result_co, D_co]):
    """A read that takes `default=`, which answers when the service is down and nothing is kept."""

    @overload
    def __call__(self, asked: Arg_contra, /) -> Coroutine[Any, Any, Result_co | D_co]: ...
    @overload
    def __call__(self, asked: Arg_contra, /, *, default: Other) -> Coroutine[Any, Any, Result_co | Other]: ...


class Reads(Generic[T, D]):
    """What can be read of a resource: `list`, `get` and `get_many`, as the resource itself has them."""

    list: ListCall[T]
    get: Answered[str, T, D]
    get_many: Answered[Iterable[str], dict[str, T], D]

    def __init__(self, resource: Readable[T], default: D) -> None:
        this: Any = resource
        self.list = this.list
        self.get = _or_default(this.get, default)
        self.get_many = _or_default(this.get_many, default)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {', '.join(vars(self))}>"


class Searches(Reads[T, D], Generic[T, P, D]):
    """What can be read of a resource that can be searched: `search` and `find`, too."""

    search: Callable[P, Listing[T]]
    find: Callable[P, Coroutine[Any, Any, T | D | None]]
    """Takes `default=` as `get` does, though no type checker can be told."""

    def __init__(self, resource: Readable[T], search: Callable[P, Listing[T]], default: D) -> None:
        super().__init__(resource, default)
        self.search = search
        self.find = _or_default(cast("Any", resource).find, default)


class CachedMeitner(Generic[D]):
    """A client for reading only, whose answers are kept for a while: `meitner.cached()` makes it.

    Concurrent equal reads are one request. `default`, of the view or of a single call, answers when the service is down
    (no connection, a 5xx, a spent quota) and nothing is kept; a listing has no default, because an empty one would
    pass for an empty directory.
    """

    def __init__(self, wire: Binding, caching: Caching | None, default: D) -> None:
        self._caching = caching
        schools, units, groups = wire.to(Schools), wire.to(Units), wire.to(Groups)
        employees, employee_placements, guardians = wire.to(Employees), wire.to(EmployeePlacements), wire.to(Guardians)
        students, student_placements, audit_events = wire.to(Students), wire.to(StudentPlacements), wire.to(AuditEvents)
        self.schools = Searches(schools, schools.search, default)
        self.units = Searches(units, units.search, default)
        self.groups = Searches(groups, groups.search, default)
        self.employees = Searches(employees, employees.search, default)
        self.employee_placements = Searches(employee_placements, employee_placements.search, default)
        self.guardians = Searches(guardians, guardians.search, default)
        self.students = Searches(students, students.search, default)
        self.student_placements = Searches(student_placements, student_placements.search, default)
        self.grade_elementaries = Reads(wire.to(GradeElementaries), default)
        self.grade_upper_secondaries = Reads(wire.to(GradeUpperSecondaries), default)
        self.audit_events = Searches(audit_events, audit_events.search, default)

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
        nothing is kept. What is written meanwhile shows when `ttl` is over, or after `clear()`. Raises `ValueError`
        for what makes no cache.
        """
        stale = _STALE if stale_if_error is True else float(stale_if_error)
        for name, value in (("ttl", ttl), ("maxsize", maxsize), ("stale_if_error", stale)):
            if not 0 <= value < math.inf:
                raise ValueError(f"{name} must be a number of at least 0")
        if maxsize == 0:
            return CachedMeitner(self._wire, None, default)
        kept = MemoryCache(maxsize) if provider is None else provider
        caching = Caching(self._wire.send, kept, scope=self._scope, ttl=ttl, stale=stale, reads=maxsize)
        return CachedMeitner(self._wire._replace(send=self._guard(caching.send)), caching, default)


def _or_default(call: Callable[..., Coroutine[Any, Any, Any]], usual: object) -> Any:  # noqa: ANN401 - typed by Reads
    """Return the call with a further keyword, `default`, which is `usual` when not given."""

    @wraps(call)
    def answered(*args: Any, default: object = usual, **conditions: Any) -> Coroutine[Any, Any, Any]:  # noqa: ANN401
        asking = call(*args, **conditions)
        return asking if default is UNSET else _defaulted(asking, default)

    taken = inspect.signature(call)
    default = inspect.Parameter("default", inspect.Parameter.KEYWORD_ONLY, default=usual)
    answered.__signature__ = taken.replace(parameters=[*taken.parameters.values(), default])  # type: ignore[attr-defined]
    return answered


async def _defaulted(asking: Coroutine[Any, Any, Any], default: object) -> Any:  # noqa: ANN401 - as the call says
    try:
        return await asking
    except DOWN:
        return default

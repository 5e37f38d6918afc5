"""`find`: the one record that meets some conditions. Built from a search, and bound like an operation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, ParamSpec, Self, TypeVar, cast, overload

from .._listing.listing import Listing
from .._runtime.coroutines import Coroutine
from ..errors import MultipleFound
from ..query import ResourceQuery
from ..records import DirectoryRecord
from .operations import CallSignature, Resource, search_of

T = TypeVar("T", bound=DirectoryRecord)
P = ParamSpec("P")


class _Finding(CallSignature):
    method = "POST"
    suffix = "/_search"
    summary = "Return the record that meets every condition, or None; raises `MultipleFound` when several do."


class Find(Generic[P]):
    """Find the single record that meets conditions."""

    def __init__(self, query: Callable[P, ResourceQuery]) -> None:
        self._face = _Finding(cast("type[ResourceQuery]", query))

    def __set_name__(self, owner: type, name: str) -> None:
        self._face.name = name

    @overload
    def __get__(self, resource: None, owner: object) -> Self: ...
    @overload
    def __get__(self, resource: Resource[T], owner: object) -> Callable[P, Coroutine[None, None, T | None]]: ...
    def __get__(
        self, resource: Resource[T] | None, owner: object
    ) -> Self | Callable[P, Coroutine[None, None, T | None]]:
        """Bind to a resource."""
        if resource is None:
            return self
        kind, search = type(resource).__name__, search_of(resource)

        def call(**conditions: object) -> Coroutine[None, None, T | None]:
            return _single(search(**conditions), kind)

        return cast("Callable[P, Coroutine[None, None, T | None]]", self._face.bind(resource, call))


async def _single(listing: Listing[T], kind: str) -> T | None:
    page = await listing.paged(limit=2)
    if page.pagination.total > 1 or len(page) > 1:
        raise MultipleFound(f"{page.pagination.total} records of {kind} meet the conditions: add one, or use search")
    return page.data[0] if page.data else None

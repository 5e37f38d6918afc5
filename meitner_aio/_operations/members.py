"""Resources as attributes: one line gives a client the resource, and a cached view the resource's reads.

Which of the two it is follows from the type of the owner, for type checkers as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Generic, Self, TypeVar, cast, overload

from ..records import DirectoryRecord
from .composed import Readable
from .operations import P, Search  # the same P: jedi takes a Search of another one for another class
from .reads import Reads, Searches
from .resource import Bound, Resource, binding_of

T = TypeVar("T", bound=DirectoryRecord)
R_co = TypeVar("R_co", bound=Resource[Any], covariant=True)
D = TypeVar("D")


class Client(Bound):
    """An owner whose resources have every operation."""


class View(Bound, Generic[D]):
    """An owner whose resources can only be read, with a `default`."""

    _default: D
    _defaults: Mapping[str, object]


class Member(Generic[R_co]):
    """A resource that cannot be searched. It is bound on first access, and then a plain attribute."""

    def __init__(self, kind: type[R_co]) -> None:
        self.kind = kind

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, owner: None, kind: object) -> Self: ...
    @overload
    def __get__(self, owner: Client, kind: object) -> R_co: ...
    @overload
    def __get__(self: Member[Readable[T]], owner: View[D], kind: object) -> Reads[T, D]: ...
    def __get__(self, owner: Client | View[Any] | None, kind: object) -> object:
        """Bind to a client, or to the cached view of one."""
        return self if owner is None else self._bound(owner)

    def _bound(self, owner: Client | View[Any]) -> object:
        resource = binding_of(owner).to(self.kind)
        bound = resource if isinstance(owner, Client) else self._reads(resource, owner)
        vars(owner)[self._name] = bound
        return bound

    def _reads(self, resource: Resource[Any], view: View[Any]) -> object:
        own = vars(view)
        return Reads(cast("Readable[Any]", resource), own["_default"], own["_defaults"])


class SearchableMember(Member[R_co], Generic[R_co, P]):
    """A resource that can be searched."""

    def __init__(self, kind: type[R_co], search: Search[P]) -> None:
        """`search` is that of the class: type checkers learn its conditions from it."""
        super().__init__(kind)
        self._search = search

    @overload
    def __get__(self, owner: None, kind: object) -> Self: ...
    @overload
    def __get__(self, owner: Client, kind: object) -> R_co: ...
    @overload
    def __get__(self: SearchableMember[Readable[T], P], owner: View[D], kind: object) -> Searches[T, P, D]: ...
    def __get__(self, owner: Client | View[Any] | None, kind: object) -> object:
        """Bind to a client, or to the cached view of one."""
        return self if owner is None else self._bound(owner)

    def _reads(self, resource: Resource[Any], view: View[Any]) -> object:
        own = vars(view)
        return Searches(cast("Readable[Any]", resource), self._search, own["_default"], own["_defaults"])

"""Which rows and which fields of which resources an export is about. Invalid choices are refused before any I/O."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from .. import _pseudonyms as pseudonyms
from .._listing.listing import at_most
from .._operations.operations import operations
from .._operations.resource import model_of
from .._wire.field_names import resolved
from .._wire.validation import check_whole, encode, suggestion
from ..query import MetaQuery, ResourceQuery, at_least, to_filter
from ..records import Record, fields
from ..resources import LISTED, RESOURCES, resource_in
from ._names import named

if TYPE_CHECKING:
    from .._listing.listing import Listing
    from .._pseudonyms import Pseudonyms
    from .._wire.decoding import DecodedPage
    from ..client import Meitner


class Selection(NamedTuple):
    """Rows and fields that a caller chose, for every resource alike; of the conditions, only the names."""

    where: tuple[str, ...]
    since: datetime | None = None
    fields: tuple[str, ...] | None = None
    limit: int | None = None
    page_size: int | None = None
    """Rows a page; None for as many as the server gives."""
    on_invalid: str = "raise"
    pseudonyms: Pseudonyms | None = None
    """The pseudonyms that replace ids and names; None to keep them."""

    @classmethod
    def of(
        cls,
        where: Mapping[str, object] | None = None,
        since: datetime | None = None,
        fields: Sequence[str] | None = None,
        *,
        limit: int | None = None,
        page_size: int | None = None,
        on_invalid: str = "raise",
        pseudonyms: Pseudonyms | None = None,
    ) -> Selection:
        """Return a selection; `TypeError` or `ValueError` for what makes none."""
        if since is not None and since.utcoffset() is None:
            raise ValueError("since must be an aware datetime: it has no time zone")
        for name, size in (("limit", limit), ("page_size", page_size)):
            if size is not None:
                check_whole(name, size, 1)
        if isinstance(fields, str):
            raise TypeError("fields must be names of fields, not one str")
        kept = None if fields is None else tuple(fields)
        return cls(tuple(sorted(where or ())), since, kept, limit, page_size, on_invalid, pseudonyms)

    @property
    def filtered(self) -> bool:
        """Whether there are conditions on the rows."""
        return bool(self.where) or self.since is not None

    @property
    def narrowed(self) -> bool:
        """Whether a part is asked for: of the rows or, of each, of its fields."""
        return self.filtered or self.fields is not None or self.limit is not None

    def paged(self, listing: Listing[Any]) -> Listing[Any]:
        """Return a listing that asks for no more rows at once than are wanted."""
        size, limit = self.page_size, self.limit
        if size is not None:
            return listing.paged(limit=size if limit is None else min(size, limit))
        return listing if limit is None else at_most(listing, limit)

    def reported(self, kept: tuple[str, ...] | None, level: str) -> dict[str, Any]:
        """Return what a report says of the selection: names, and no value that may be personal."""
        partial = self.filtered or self.fields is not None or level == "limited"
        return {"where": self.where, "since": self.since, "fields": kept, "partial": partial}


class ResourceJob(NamedTuple):
    """What is to be read of one resource."""

    name: str
    model: type[Record]
    listing: Listing[Any]
    fields: tuple[str, ...] | None
    """Names of the fields to keep, in the order of the record."""
    fingerprint: str
    """A hash of the conditions; empty when there are none."""
    first: list[DecodedPage[Any]]
    """The first page, when a plan fetched it; the reader of the resource takes it out."""
    selection: Selection
    """What was chosen of this resource."""


def chosen(
    meitner: Meitner,
    resources: Iterable[str],
    selection: Selection,
    where: Mapping[str, object] | None,
    concurrency: int | None = None,
) -> list[ResourceJob]:
    """Return what is to be read, resource by resource: the rows that meet the conditions of `where`.

    Where none is named, those that cannot be searched are read in full in spite of `since`.

    Raises `ValueError` for a resource or a field that does not exist and for conditions on what cannot be searched,
    `TypeError` or `ValueError` for a condition that its field does not allow.
    """
    names = named(resources)
    whole = () if selection.where or selection.since is None else read_in_full(names)
    found: list[ResourceJob] = []
    for name in names or RESOURCES:
        own = selection._replace(since=None) if name in whole else selection
        found.append(_chosen(name, listing_of(meitner, name, own, where or {}), own, where, concurrency))
    return found


def read_in_full(resources: Sequence[str] = ()) -> tuple[str, ...]:
    """Return what an export of these resources reads in full, whatever changed `since`: what cannot be searched.

    Nothing where resources are named: there `since` is refused for such a one.
    """
    return () if resources else tuple(name for name in RESOURCES if "search" not in operations(RESOURCES[name]))


def _chosen(
    name: str, listing: Listing[Any], selection: Selection, where: Mapping[str, object] | None, concurrency: int | None
) -> ResourceJob:
    model = model_of(LISTED[name])
    listing = selection.paged(listing).paged(concurrency=concurrency, exact=True, on_invalid=selection.on_invalid)
    fingerprint = _fingerprint(_query(name), where, selection.pseudonyms) if where else ""
    kept = _fields(name, model, selection)
    return ResourceJob(name, model, listing, kept, fingerprint, [], selection)


def listing_of(meitner: Meitner, name: str, selection: Selection, where: Mapping[str, object]) -> Listing[Any]:
    """Return the listing of a resource: a list of all, or a search. Raises `ValueError` as `chosen` does."""
    resource: Any = resource_in(meitner, name)
    if not selection.filtered:
        return cast("Listing[Any]", resource.list())
    query = _query(name)
    known = [field.name for field in fields(query)]
    for field in where:
        if field not in known:
            raise ValueError(f"{name} cannot be searched by {field!r}{suggestion(field, known)}")
    if selection.since is None:
        return cast("Listing[Any]", resource.search(**where))
    more = cast("Sequence[ResourceQuery]", where.get("all_of", ()))
    all_of = [*more, _changed(query, selection.since)]
    return cast("Listing[Any]", resource.search(**{**where, "all_of": all_of}))


def _fingerprint(query: type[ResourceQuery], where: Mapping[str, Any], names: Pseudonyms | None) -> str:
    """Return a hash of conditions. Beside pseudonyms it needs their key: there are few identity numbers to try out."""
    text = encode(to_filter(query(**where)))
    return hashlib.sha256(text).hexdigest()[:16] if names is None else names.conditions(text.decode())


def _query(name: str) -> type[ResourceQuery]:
    search = operations(LISTED[name]).get("search")
    if search is None or search.body is None:
        raise ValueError(f"{name} cannot be searched, and so takes neither where nor since")
    return cast("type[ResourceQuery]", search.body)


def _changed(query: type[ResourceQuery], since: datetime) -> ResourceQuery:
    """Return the condition that a record was created or updated since then: one that was never updated says so."""
    build: Any = query
    if "timestamp" in query.__struct_fields__:  # an event happens, and is not touched again
        return cast("ResourceQuery", build(timestamp=at_least(since)))
    times = (MetaQuery(updated_at=at_least(since)), MetaQuery(created_at=at_least(since)))
    return cast("ResourceQuery", build(any_of=[build(meta=meta) for meta in times]))


def _fields(name: str, model: type[Record], selection: Selection) -> tuple[str, ...] | None:
    """Return the names of fields to keep, whichever way they were spelled; the id always is."""
    allowed = None if selection.pseudonyms is None else pseudonyms.kept(model)
    if selection.fields is None:
        return allowed
    found = _named(name, model, selection.fields)
    gone = [field for field in found if allowed is not None and field not in allowed]
    if gone:
        raise ValueError(f"{name} has no {', '.join(gone)} under pseudonyms: what names a person is dropped")
    return found


def _named(name: str, model: type[Record], wanted: tuple[str, ...]) -> tuple[str, ...]:
    known = tuple(field.name for field in fields(model))
    kept = {"id", *(resolved(field, known, name) for field in wanted)}  # of rows without one, only the named
    return tuple(field for field in known if field in kept)

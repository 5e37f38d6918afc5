"""What list and search do: which records and fields are meant, how they are shown, and what is said of the read."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

from cyclopts import Parameter

from .._listing.listing import Listing, inside
from .._operations.resource import model_of
from .._runtime.threads import threaded
from .._wire.field_names import paths, resolved
from ..export._read import level
from ..export._selection import Selection, listing_of
from ..export._source import ExportSource
from ..records import Record
from ..resources import LISTED
from ._completing import complete_paths
from ._exit import Exit, UsageError
from ._options import DirectoryOptions, Natural, PagingOptions, Positive, Since, names_of, since_of
from .conditions import conditions, query_of
from .rendering.amounts import counted
from .rendering.columns import table_of
from .rendering.loudness import quiet
from .rendering.output import columns, endless, for_people, say, say_json, tell, visible, wrapped, write_table
from .rendering.rows import CsvRows, NdjsonRows, Rows

if TYPE_CHECKING:
    from .._listing.completeness import ListingReport

_ON_SCREEN = 50
"""Rows that a table has when the caller does not say."""

Shape = Literal["table", "ndjson", "csv"]


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class ShowingOptions:
    """Which records, which of their fields, and how they are written."""

    fields: Annotated[
        str | None,
        Parameter(
            help="Only these fields, in this order: last_name,external.source_id, or lastName,external.sourceID.",
            metavar="A,B",
            completer=complete_paths,
        ),
    ] = None
    since: Since = None
    limit: Annotated[Positive | None, Parameter(name=["--limit", "-n"], help="Rows at most.")] = None
    offset: Annotated[Natural, Parameter(help="Rows to skip.")] = 0
    format: Annotated[
        Shape | None,
        Parameter(
            help="table: what fits, of 50 rows unless --limit says otherwise. ndjson: a JSON object a line, as in the "
            "API. csv: UTF-8, commas, objects as columns. Default: table on a terminal, ndjson in a pipe or a file."
        ),
    ] = None
    excel: Annotated[
        bool,
        Parameter(
            help="As --format csv, for a Swedish Excel: semicolons, a byte order mark, and an apostrophe before what "
            "could be a formula.",
            show_default=False,
        ),
    ] = False
    show_values: Annotated[
        bool,
        Parameter(
            help="Show names, identity numbers and other personal values in tables, too; ndjson and csv always have "
            "them.",
            show_default=False,
        ),
    ] = False
    exact: Annotated[
        bool,
        Parameter(
            help="Read again the rows that moved while they were read, until none can be missing.", show_default=False
        ),
    ] = False
    json: Annotated[
        bool,
        Parameter(help="As --format ndjson; what the read proved is JSON on stderr, too.", show_default=False),
    ] = False

    @property
    def shape(self) -> Shape:
        """How the records are written."""
        if self.json and self.format not in (None, "ndjson"):
            raise UsageError(f"--json is --format ndjson: leave it out, or --format {self.format}")
        if self.excel:
            other = "--json" if self.json else "" if self.format in (None, "csv") else f"--format {self.format}"
            if other:
                raise UsageError(f"--excel is --format csv: leave out {other}")
            return "csv"
        return self.format or ("table" if for_people() and not self.json else "ndjson")

    def writer(self, model: type[Record], fields: Sequence[str] | None) -> Rows:
        """Return what writes records for programs, or CSV for people."""
        return CsvRows(model, fields, excel=self.excel) if self.shape == "csv" else NdjsonRows(model, fields)


SHOWING = ShowingOptions()


class _Wanted(NamedTuple):
    resource: str
    selection: Selection
    where: dict[str, object]
    fields: tuple[str, ...] | None
    """Paths; None for all."""

    @property
    def model(self) -> type[Record]:
        return model_of(LISTED[self.resource])


async def show_records(
    resource: str,
    where: Sequence[str],
    showing: ShowingOptions,
    directory: DirectoryOptions,
    paging: PagingOptions,
) -> Exit:
    """Write the records of a resource that meet every condition to stdout, and to stderr what the read proved."""
    if showing.exact and showing.offset:
        raise UsageError("--exact begins at the first row: leave out --offset")
    shape = showing.shape
    profile = directory.settings()
    paging = paging.completed(profile)
    wanted = _wanted(resource, where, showing, paging.page_size, shape)
    limit = wanted.selection.limit
    async with directory.client(profile, max_concurrency=paging.concurrency) as meitner:
        listing = listing_of(meitner, resource, wanted.selection, wanted.where)
        listing = wanted.selection.paged(listing).paged(
            offset=showing.offset, exact=showing.exact, concurrency=paging.concurrency
        )
        if limit is not None:
            listing = _bounded(listing, showing.offset + limit)
        async with aclosing(_parts(listing, limit)) as parts:
            if shape == "table":
                rows = await _draw(parts, wanted, listing, values=showing.show_values)
            else:
                rows = await _write(parts, showing.writer(wanted.model, wanted.fields))
    return _judged(listing.report, resource, rows, showing, told=shape == "table")


def _wanted(
    resource: str, where: Sequence[str], showing: ShowingOptions, page_size: int | None, shape: Shape
) -> _Wanted:
    """Return what is meant; `UsageError` for what cannot be: nothing was sent."""
    now = datetime.now(UTC)
    since = since_of(showing.since, now)
    if since is not None:
        query_of(resource)
    limit = _ON_SCREEN if shape == "table" and showing.limit is None else showing.limit
    met = conditions(where, [resource], now)
    selection = Selection.of(met, since, limit=limit, page_size=page_size)
    return _Wanted(resource, selection, met, _named(showing.fields, resource))


def _named(typed: str | None, resource: str) -> tuple[str, ...] | None:
    model: type[Record] = model_of(LISTED[resource])
    names, known = names_of(typed), paths(model)
    try:
        return None if names is None else tuple(resolved(name, known, resource) for name in names)
    except ValueError as wrong:
        raise UsageError(f"--fields: {wrong}") from None


def _bounded(listing: Listing[Any], end: int) -> Listing[Any]:
    """Return the same listing, which asks for no row from `end` on, however far ahead it reads."""
    source, reading = inside(listing)
    return Listing(ExportSource(source, nullcontext(), end), reading)


class _Part(NamedTuple):
    records: Sequence[Record]
    total: int
    """Records that the server has."""


async def _parts(listing: Listing[Any], rows: int | None) -> AsyncGenerator[_Part]:
    """Yield what is wanted of each page, and end behind the last row that is."""
    async with aclosing(listing.pages()) as pages:
        async for page in pages:
            yield _Part(page.data[:rows], page.pagination.total)
            if rows is not None:
                rows -= len(page)
                if rows <= 0:
                    return


async def _write(parts: AsyncGenerator[_Part], out: Rows) -> int:
    """Write records as they come; return how many."""
    rows = 0
    async for part in parts:
        # In a thread: while a pager waits for its reader, requests under way must not time out.
        await threaded(out.write, part.records)
        rows += len(part.records)
    if not rows:
        await threaded(out.write, ())
    return rows


async def _draw(parts: AsyncGenerator[_Part], wanted: _Wanted, listing: Listing[Any], *, values: bool) -> int:
    """Write a table of the records, and below it what it lacks; return how many there are."""
    records: list[Record] = []
    total = 0
    async for part in parts:
        records += part.records
        total = part.total
    width = columns() if for_people() else endless()
    note = f"{len(records):,} of {total:,} {wanted.resource}"
    if listing.report.complete:
        note += f", complete ({listing.report.level})"
    if not records:
        write_table([], note=note)
        return 0
    table = table_of(records, width, visible, chosen=wanted.fields, values=values)
    if table.lacking:
        note += f"; {counted(table.lacking, 'more field')}: --fields or --json"
    if table.hidden:
        note += "; hidden: --show-values"
    write_table(table.rows, note=wrapped([note]), width=width)
    return len(records)


def _judged(report: ListingReport, resource: str, rows: int, showing: ShowingOptions, *, told: bool) -> Exit:
    """Say on stderr what the read proved, if it was not `told`, and when rows may be lacking.

    Of a read that a limit ended nothing is known, and nothing more was asked for.
    """
    how, whole = level(report), report.complete or report.level == "unfinished"
    if showing.json and not quiet():
        say_json({"rows": rows, "complete": report.complete, "level": how})
    elif whole and not told:
        of = f"complete ({how})" if report.complete else f"of {report.total or 0:,}: --limit ended the read"
        tell(f"{resource}: {counted(rows, 'row')}{', ' if report.complete else ' '}{of}")
    if whole:
        return Exit.COMPLETE
    exist = max(0, (report.total or 0) - showing.offset)
    what = (
        "another try may read them all"
        if showing.exact or showing.offset
        else "--exact reads again what moved meanwhile"
    )
    of = f"{report.rows:,} of {counted(exist, 'row')}" if report.rows < exist else counted(report.rows, "row")
    say(f"meitner-aio: {resource} may lack rows: {of} read, {report.level}; {what}")
    return Exit.PARTIAL

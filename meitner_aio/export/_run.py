"""An export: several resources at once, each read to its end and then written down."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from datetime import datetime
from typing import TYPE_CHECKING, BinaryIO, Literal, get_args

from .._pipeline.identity import reader_of
from .._pseudonyms import Pseudonyms
from .._runtime.threads import threaded
from ..errors import ResponseValidationError
from ._folder_run import FolderRun
from ._journal import Journal
from ._place import check_place
from ._plan import check_wait, planned
from ._read import advised
from ._report import Progress, Report
from ._selection import ResourceJob, Selection, chosen
from ._source import Turns
from ._stream import streamed
from .destinations._address import address_of
from .destinations._opening import check_store_options, opened
from .formats.written import Target

if TYPE_CHECKING:
    from ..client import Meitner

Format = Literal["ndjson", "csv", "parquet", "sqlite"]
FORMATS: tuple[str, ...] = get_args(Format)
"""ndjson: one record a line, named and spelled as the API does. csv: a header, flat columns. parquet: typed columns.
sqlite: a table for each resource in one file, which a filtered export brings up to date."""


async def export(
    meitner: Meitner,
    resources: Iterable[str] = (),
    *,
    to: str | os.PathLike[str] | BinaryIO,
    format: Format | None = None,
    progress: Callable[[Progress], object] | None = None,
    page_size: int | None = None,
    concurrency: int | None = None,
    where: Mapping[str, object] | None = None,
    since: datetime | None = None,
    fields: Sequence[str] | None = None,
    limit: int | None = None,
    resume: bool = False,
    force: bool = False,
    max_wait: float | None = None,
    excel: bool = False,
    replace: bool = False,
    on_invalid: Literal["raise", "skip"] = "raise",
    pseudonymise: str | os.PathLike[str] | None = None,
    spool: str | os.PathLike[str] | None = None,
    keep_runs: int | None = None,
) -> Report:
    """Write the rows of the resources named to `<resource>.<format>` in the folder `to`.

    `format` is ndjson when you do not say. A csv is for programs, its values as they are; with `excel` it is for people
    who open it in a spreadsheet set to Swedish: semicolons, a byte order mark, and an apostrophe before text that could
    be a formula. The manifest says which `dialect` a file has.

    All resources are meant when none is named; then `since` narrows those that can be searched, and the others (both
    kinds of grades) are read in full: their `since` in the report is None.

    `where` holds conditions as `search` takes them, `since` asks for what was created or updated since then, `limit`
    for that many rows of each resource at most, `fields` for those of a record that matter (the id always does). A
    `format` of sqlite has one file, `directory.sqlite`: all rows of a resource replace its table, a part of them
    updates it. `to` may be a binary stream, for ndjson: a line is a record, or of several resources
    `{"resource": "students", "record": {...}}`.

    A part (of the rows, or of their fields) takes the place of a whole only with `replace`, and says that it is one. A
    folder is of one directory: what another server or other credentials wrote is refused. A row that breaks the
    contract of the API ends the export, or with `on_invalid="skip"` is left out and named in report and manifest.
    `pseudonymise` names the file of a key: no name, contact or identity number is written then, on the way neither; ids
    become pseudonyms that are the same wherever the key is, birth dates their year (`docs/privacy.md`).

    `to` may be the address of an object store: `s3://bucket/prefix`, `gs://bucket/prefix`, `az://container/prefix`;
    credentials come from the store's own variables or profile. The files are made in a private folder of this machine
    (in `spool`, or where programs keep their state), uploaded below `run=<id>/`, and then `manifest.json` is replaced
    by one that names them: readers find the run of before or this one, whole. A run that lacks a resource of the one
    before takes its place only with `replace`. Older runs stay, unless `keep_runs` says how many do, this one included.

    `exports.log` in the folder has a line for each run: who, when, which fields of what; no row.

    A file takes its name when it is whole: whatever ends the export early, the files and the manifest of what was
    exported before stay as they are. With `resume`, the next export of the same takes up what an interrupted one left
    within a day, and asks again for no more than was in flight since the last checkpoint. With `max_wait`, an export
    that would wait more seconds for the hourly quota is not begun (`QuotaExhausted`), unless `force` is true.

    Raises `TypeError` or `ValueError` for what cannot be meant, before any I/O, and what reading and writing raise:
    `MeitnerError` (of an object store `DestinationError`), `OSError`. Pages have `page_size` rows, or as many as the
    server gives. Up to four resources are read at a time, with at most `concurrency` requests in flight; memory holds
    no more than about 6,000 rows of each.
    """
    began = time.perf_counter()
    names = None if pseudonymise is None else await threaded(Pseudonyms.of_file, pseudonymise, _folder(to))
    selection = Selection.of(
        where, since, fields, limit=limit, page_size=page_size, on_invalid=on_invalid, pseudonyms=names
    )
    everything = chosen(meitner, resources, selection, where, concurrency)
    where = None  # its values may be personal: no crash report shows them as a local of this frame
    form = check_writing(to, format, resume=resume, excel=excel)
    check_store_options(to, spool=spool, keep_runs=keep_runs)
    turns: Turns = nullcontext() if concurrency is None else asyncio.Semaphore(concurrency)
    emit = progress or _silent
    patience = None if force else max_wait
    try:
        if not isinstance(to, (str, os.PathLike)):
            await _within(patience, meitner, everything, selection)
            return await streamed(everything, selection, to, turns, emit)
        reader = await reader_of(meitner, _how(names))
        async with opened(to, spool=spool, resume=resume, keep_runs=keep_runs, replace=replace) as destination:
            fresh = destination.address is not None  # each run has a folder of its own
            targets = [Target.of(one, form, replace=replace or fresh, excel=excel) for one in everything]
            jobs = list(zip(everything, targets, strict=True))
            run = FolderRun(destination, jobs, selection, turns, emit, reader=reader, resume=resume)
            await destination.check(reader, run.key, targets)
            await _within(patience, meitner, everything, selection, await threaded(run.allowed))
            return Report(await run.all(), time.perf_counter() - began)
    except ResponseValidationError as error:
        raise advised(error) from None


async def _within(
    max_wait: float | None,
    meitner: Meitner,
    everything: Iterable[ResourceJob],
    selection: Selection,
    left: Mapping[str, Journal] | None = None,
) -> None:
    """Raise `QuotaExhausted` for an export that waits longer for the quota, beside what an interrupted one `left`."""
    if max_wait is None:
        return
    left = left or {}
    missing = [one for one in everything if one.name not in left or not left[one.name].kept]
    check_wait(await planned(meitner, missing, selection, left, begins=True), max_wait)


def check_writing(to: object, format: str | None, *, resume: bool, excel: bool) -> str:
    """Return the format that is meant; where none was said, csv for `excel`, and else ndjson.

    Raises `TypeError` or `ValueError` for a place or a format that an export cannot be written to or in.
    """
    format = format or ("csv" if excel else "ndjson")
    if format not in FORMATS:
        raise ValueError(f"there is no format {format!r}; there is {', '.join(FORMATS)}")
    if excel and format != "csv":
        raise ValueError(f"excel is for format='csv' (--format csv), not {format!r}: leave one of them out")
    if format != "ndjson":
        from .formats.writers import check_format

        check_format(format)
    check_place(to)
    if not isinstance(to, (str, os.PathLike)) and (format != "ndjson" or resume):
        raise ValueError("a stream takes format='ndjson' without resume: name a folder for anything else")
    return format


def _how(names: Pseudonyms | None) -> str:
    return "" if names is None else f", under pseudonyms of the key {names.fingerprint}"


def _folder(to: str | os.PathLike[str] | BinaryIO) -> str | os.PathLike[str] | None:
    return to if isinstance(to, (str, os.PathLike)) and address_of(to) is None else None


def _silent(_: Progress) -> None:
    """Emit nothing."""

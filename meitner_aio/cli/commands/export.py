"""The command that writes the directory to disk, and what a person sees of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, Literal

from cyclopts import Group, Parameter

from ...export import (
    Format,
    Progress,
    Report,
    address_of,
    check_place,
    export,
    is_kept,
    local_folder,
    plan,
    resource_names,
    since_then,
)
from ...export._selection import read_in_full
from .._asking import agreed, can_ask
from .._completing import complete_fields
from .._exit import Exit, UsageError
from .._interrupted import COMMAND_LINE, how_to_go_on, resumable, terminable
from .._options import (
    DIRECTORY,
    PAGING,
    DirectoryOptions,
    Json,
    PagingOptions,
    Positive,
    ResourceName,
    Seconds,
    Since,
    Where,
    given,
    names_of,
    since_of,
)
from .._profile import Profile
from .._refusals import disk_explained, refused
from .._tenants import TENANTS, TenantsOptions
from ..conditions import conditions
from ..rendering.exported import doubts, write_summary
from ..rendering.loudness import quiet
from ..rendering.output import for_people, lines_out, say, tell, write_json
from ..rendering.progress import Waits, can_draw, shown_progress
from ..rendering.typed import moves
from ..rendering.warnings import warnings_said
from .plan import show_plan

if TYPE_CHECKING:
    from ...client import Meitner

_STDOUT = "-"


@Parameter(name="*", group=Group("Selection", sort_key=1))
@dataclass(frozen=True, kw_only=True)
class SelectionOptions:
    """Which records, and what of them."""

    where: Where | None = None
    since: Since = None
    fields: Annotated[
        str | None,
        Parameter(help="Only these fields, such as id,last_name.", metavar="A,B", completer=complete_fields),
    ] = None
    limit: Annotated[Positive | None, Parameter(name=["--limit", "-n"], help="Rows of each resource at most.")] = None

    def rows(self, resources: Iterable[str]) -> dict[str, Any]:
        """Return the keywords of `plan` and `export`; `UsageError` for what the resources do not have."""
        now = datetime.now(UTC)
        since = since_of(self.since, now)
        where = conditions(self.where or (), resource_names(resources), now)
        return given(where=where or None, since=since, limit=self.limit)

    def continued(self, resources: Iterable[str], kept: Path, since: datetime | None) -> dict[str, Any]:
        """Return `since` as the interrupted export in the folder meant it, of which `7d` is the same words today."""
        if since is None or not moves(self.since or ""):
            return {}
        return {"since": since_then(kept, resource_names(resources), since)}

    def explain(self, resources: Sequence[str]) -> None:
        """Say which resources `--since` does not narrow."""
        whole = read_in_full(resources) if self.since is not None and not self.where else ()
        if whole:
            tell(f"{' and '.join(whole)} cannot be searched, so --since does not narrow them: they are read in full.")

    def columns(self) -> dict[str, Any]:
        """Return the keywords that only `export` has."""
        return given(fields=names_of(self.fields))


def _check_folder(to: str) -> None:
    try:
        check_place(to)
    except ValueError as wrong:
        raise UsageError(f"--to {wrong}") from None


def _no_option(_: type, to: str | None) -> None:
    if to is not None and to.startswith("-") and to != _STDOUT:
        raise ValueError(f"FOLDER is missing; a folder of this name would be ./{to}")


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class WritingOptions:
    """Where to, and how."""

    to: Annotated[
        str | None,
        Parameter(
            help="The folder for the files, made where it does not exist, or a place in an object store: "
            "s3://BUCKET/PREFIX, gs:// or az://; - is stdout, for ndjson, where a line of several resources says whose "
            "record it is.",
            metavar="FOLDER",
            allow_leading_hyphen=True,
            validator=_no_option,
        ),
    ] = None
    format: Annotated[Format | None, Parameter(help="Format of the files. Default: ndjson.")] = None
    plan: Annotated[
        bool, Parameter(help="Show what the export would cost, and export nothing.", show_default=False)
    ] = False
    resume: Annotated[bool, Parameter(help="Go on where an export was interrupted.", show_default=False)] = False
    max_wait: Annotated[
        Seconds | None,
        Parameter(help="Refuse an export that would have to wait longer for the quota.", metavar="SECONDS"),
    ] = None
    replace: Annotated[
        bool,
        Parameter(
            help="Let a part (--since, --where, --limit, --fields) take the place of a whole file or table.",
            show_default=False,
        ),
    ] = False
    on_invalid: Annotated[
        Literal["raise", "skip"] | None,
        Parameter(help="What to do with a row that breaks the API's contract: stop, or leave it out and name it."),
    ] = None
    pseudonymise: Annotated[
        str | None,
        Parameter(
            help="Write no names, contacts and identity numbers, and ids as pseudonyms under the key of this file. "
            "To make one: (umask 077; head -c 32 /dev/urandom > KEYFILE)",
            metavar="KEYFILE",
        ),
    ] = None
    spool: Annotated[
        str | None,
        Parameter(
            help="Where exports to an object store are prepared before the upload. Default: a private folder of yours.",
            metavar="FOLDER",
        ),
    ] = None
    keep_runs: Annotated[
        Positive | None,
        Parameter(help="Keep only the newest N runs in an object store, this one included. Default: all.", metavar="N"),
    ] = None
    force: Annotated[
        bool,
        Parameter(
            help="Export even when it would take longer than --max-wait, or gives up rows that are kept.",
            show_default=False,
        ),
    ] = False
    excel: Annotated[
        bool,
        Parameter(
            help="CSV that a Swedish Excel opens with a click: semicolons, a byte order mark, and an apostrophe before "
            "what could be a formula. For programs, --format csv alone has commas and values as they are.",
            show_default=False,
        ),
    ] = False

    def target(self, profile: Profile) -> str:
        """Return the folder or `-`; `UsageError` for none, and for what stdout cannot take."""
        to = self.to or profile.to
        if to is None:
            raise UsageError("--to FOLDER is missing: say where to write, or - for stdout")
        if to == _STDOUT and (self.resume or self.excel or self.form(profile) not in (None, "ndjson")):
            raise UsageError("--to - writes ndjson, and nothing that could be resumed")
        if to != _STDOUT:
            _check_folder(to)
        return to

    def form(self, profile: Profile) -> Format | None:
        """Return the format of the files, where one was said."""
        return self.format or (None if self.excel else profile.format)

    def options(self, profile: Profile) -> dict[str, Any]:
        """Return the keywords of `export`."""
        max_wait = profile.max_wait if self.max_wait is None else self.max_wait
        flags = {"resume": self.resume, "force": self.force, "excel": self.excel}
        seldom = given(replace=self.replace or None, on_invalid=self.on_invalid, pseudonymise=self.pseudonymise)
        seldom |= given(spool=self.spool, keep_runs=self.keep_runs)
        return given(format=self.form(profile), max_wait=max_wait, **flags) | seldom


WRITING = WritingOptions()
SELECTION = SelectionOptions()


async def export_command(
    *resources: ResourceName,
    writing: WritingOptions = WRITING,
    json: Json = False,
    selection: SelectionOptions = SELECTION,
    directory: DirectoryOptions = DIRECTORY,
    paging: PagingOptions = PAGING,
    tenants: TenantsOptions = TENANTS,
) -> Exit:
    """Export all records to files.

    Exports all resources of the directory unless you name some. Those of the Data
    Export API (attendances, criterion_results, upper_secondary_grades) are only
    exported by name.
    A file appears under its name when it is complete; only you can read it.
    manifest.json, beside the files, says what they hold.
    To continue an interrupted export, repeat the command with --resume.

    With a pattern, or with --all-profiles, each profile has its own folder in --to:
    meitner-aio export --profile 'kommun-*' --to out

    Example: meitner-aio export students groups --to out
    """
    many = tenants.profiles(directory)
    if many is not None:
        from .._exporting_many import Asked, export_many

        asked = Asked(resources, writing, selection, paging)
        return await export_many(many, asked, tenants.turns(), json=json)
    profile = directory.settings()
    paging = paging.completed(profile)
    selected = selection.rows(resources) | given(page_size=paging.page_size)
    if writing.plan:
        selection.explain(resources)
        async with directory.client(profile, max_concurrency=paging.concurrency) as meitner:
            with refused():
                planned = await plan(meitner, resources, **selected, **given(on_invalid=writing.on_invalid))
        show_plan(planned, json=json)
        return Exit.COMPLETE
    to = writing.target(profile)
    options = selected | selection.columns() | writing.options(profile) | given(concurrency=paging.concurrency)
    if writing.resume:
        with refused():
            options |= selection.continued(resources, local_folder(to, writing.spool), options.get("since"))
    elif not _may_begin(resources, to, writing):
        say(how_to_go_on(COMMAND_LINE.get(), private="where" in options, since=options.get("since")))
        return Exit.PARTIAL
    selection.explain(resources)
    drawing = can_draw() and not (to == _STDOUT and for_people())  # rows and bars on one screen are neither
    waits = None if drawing else Waits().show
    with terminable():
        async with directory.client(profile, max_concurrency=paging.concurrency, on_event=waits) as meitner:
            report = await _exported(meitner, resources, to, options, drawing=drawing)
    _tell(report, to, json=json)
    return Exit.COMPLETE if report.complete else Exit.PARTIAL


def _may_begin(resources: Sequence[str], to: str, writing: WritingOptions) -> bool:
    """Whether to begin afresh. Somebody at a terminal is asked where that gives up what another export has read."""
    if writing.force or to == _STDOUT or not can_ask():
        return True
    with disk_explained(to), refused():
        if not is_kept(local_folder(to, writing.spool), resource_names(resources)):
            return True
    return agreed(f"{to} has rows of an interrupted export, which would be read again. Begin afresh?")


async def _exported(
    meitner: Meitner, resources: Iterable[str], to: str, options: dict[str, Any], *, drawing: bool
) -> Report:
    """Export, showing the progress, and say how to go on when it does not come to its end."""
    piped, read = to == _STDOUT, False
    with (
        resumable(private="where" in options, since=options.get("since")) as begun,
        disk_explained(to),
        warnings_said("meitner_aio.export"),
        shown_progress(lambda: meitner.quota, drawing=drawing) as show,
    ):

        def progress(news: Progress) -> None:
            nonlocal read
            read = True
            show(news)

        target: str | Path | BinaryIO = lines_out() if piped else to if address_of(to) else Path(to)
        try:
            with refused():
                return await export(meitner, resources, to=target, progress=progress, **options)
        except BaseException:
            begun.now = (
                read and not piped and is_kept(local_folder(to, options.get("spool")), resource_names(resources))
            )
            raise


def _tell(report: Report, to: str, *, json: bool) -> None:
    piped = to == _STDOUT
    if json:
        facts = {name: getattr(report, name) for name in ("rows", "complete", "level", "resources", "seconds")}
        write_json(facts, to_stderr=piped)
    elif not (piped or quiet()):
        write_summary(report, to)
    for one in report.resources:
        for doubt in doubts(one):
            say(f"meitner-aio: {one.resource} {doubt}")

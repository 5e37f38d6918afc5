"""Exports of many profiles in one process, each to a folder of its own, and what a person sees of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from ..export import Report, check_options, check_place, export, is_kept, local_folder, resource_names
from ..tenants._names import place_of
from ..tenants._visits import nobody, visited_all
from ._exit import Exit, UsageError
from ._interrupted import resumable, terminable
from ._options import PagingOptions, given
from ._profile import Profile
from ._refusals import disk_explained, refused
from ._tenants import clients, code_of_all, facts_of, note_of_all, state_of, why
from .commands.export import SelectionOptions, WritingOptions
from .rendering.amounts import counted, duration
from .rendering.exported import doubts
from .rendering.loudness import quiet
from .rendering.output import say, write_json, write_table
from .rendering.progress import can_draw
from .rendering.tenants import shown_tenants
from .rendering.warnings import warnings_said

if TYPE_CHECKING:
    from ..client import Meitner
    from ..tenants import TenantReport, TenantsReport
    from ..tenants._turns import Turns


class Asked(NamedTuple):
    """What was typed."""

    resources: Sequence[str]
    writing: WritingOptions
    selection: SelectionOptions
    paging: PagingOptions

    def folder(self) -> str:
        """Return where the folders of the profiles are; `UsageError` for what many cannot have."""
        if self.writing.plan:
            raise UsageError("--plan says what one profile would cost: name it with --profile")
        if self.writing.to is None:
            raise UsageError("--to FOLDER is missing: each profile gets a folder of its name there")
        with refused():
            check_place(self.writing.to)
        if self.writing.to == "-":
            raise UsageError("--to - writes one directory: many profiles need a folder")
        return self.writing.to

    def options(self, profile: Profile) -> dict[str, Any]:
        """Return the keywords of `export` for a profile, which settles what was not typed."""
        paging = self.paging.completed(profile)
        rows = self.selection.rows(self.resources) | given(page_size=paging.page_size, concurrency=paging.concurrency)
        return rows | self.selection.columns() | self.writing.options(profile)


async def export_many(profiles: Mapping[str, Profile], asked: Asked, turns: Turns, *, json: bool) -> Exit:
    """Export every profile, and tell of all."""
    to, usual = asked.folder(), asked.options(Profile())
    with refused():
        check_options(nobody(), asked.resources, to=to, **usual)
    asked.selection.explain(asked.resources)
    report = await _exported(profiles, asked, to, turns, since=usual.get("since"), private="where" in usual)
    _tell(report, to, json=json)
    return code_of_all(report)


async def _exported(
    profiles: Mapping[str, Profile], asked: Asked, to: str, turns: Turns, *, since: datetime | None, private: bool
) -> TenantsReport[Report]:
    names = resource_names(asked.resources)
    with (
        resumable(private=private, since=since) as begun,
        terminable(),
        warnings_said("meitner_aio.export"),
        shown_tenants(len(profiles), drawing=can_draw()) as shown,
    ):

        async def work(name: str, meitner: Meitner) -> Report:
            place, options = place_of(to, name), asked.options(profiles[name])
            with disk_explained(str(place)):
                if asked.writing.resume:
                    folder = local_folder(place, asked.writing.spool)
                    options |= asked.selection.continued(asked.resources, folder, options.get("since"))
                progress = partial(shown.progress, name)
                return await export(meitner, asked.resources, to=place, progress=progress, **options)

        def ended(one: TenantReport[Report]) -> None:
            rows = 0 if one.report is None else one.report.rows
            shown.ended(one.name, counted(rows, "row"), "" if one.error is None else why(one.error))

        wide = given(max_concurrency=asked.paging.concurrency)
        try:
            return await visited_all(clients(profiles, **wide), work, turns, shown.hear, ended)
        except BaseException:
            begun.now = any(is_kept(local_folder(place_of(to, name), asked.writing.spool), names) for name in profiles)
            raise


def _tell(report: TenantsReport[Report], to: str, *, json: bool) -> None:
    every = tuple(one for tenant in report.tenants.values() if tenant.report for one in tenant.report.resources)
    whole = Report(every, report.seconds)
    if json:
        told = {name: facts_of(one) | _facts(one) for name, one in report.tenants.items()}
        level = "unfinished" if report.failed else whole.level
        facts = {"rows": whole.rows, "complete": report.ok, "level": level, "requests": report.requests}
        write_json({"ok": report.ok, **facts, "seconds": report.seconds, "tenants": told})
    elif not (quiet() and report.ok):
        rows = [["profile", "rows", "requests", "time", "state"]]
        for name, one in report.tenants.items():
            count = "" if one.report is None else f"{one.report.rows:,}"
            rows.append([name, count, f"{one.requests:,}", duration(one.seconds), state_of(one)])
        rows.append(["all", f"{whole.rows:,}", f"{report.requests:,}", duration(report.seconds), ""])
        note = note_of_all(to, len(report.failed), len(report.tenants))
        write_table(rows, numbers=frozenset({1, 2, 3}), note=note)
    for name, one in report.tenants.items():
        for resource in () if one.report is None else one.report.resources:
            for doubt in doubts(resource):
                say(f"meitner-aio: {name}: {resource.resource} {doubt}")


def _facts(one: TenantReport[Report]) -> dict[str, Any]:
    facts = ("rows", "complete", "level", "resources")
    return {} if one.report is None else {name: getattr(one.report, name) for name in facts}

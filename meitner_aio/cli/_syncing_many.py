"""Mirrors of many profiles in one process: all of them once, or each again and again at times of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._runtime.cleanup import stopped
from ..errors import MeitnerError, TooManyDeletions
from ..mirror import Mirror
from ..tenants import MIRROR
from ..tenants._visits import listener_of, visited, visited_all
from ._exit import Exit
from ._interrupted import terminable
from ._job import Job
from ._runs import KINDS, Ran
from ._schedule import Schedule
from ._service import Stop, serve, stoppable
from ._tenants import clients, code_of_all, facts_of, note_of_all, state_of, why
from ._told import Told
from .rendering.amounts import duration
from .rendering.loudness import as_log, quiet
from .rendering.output import say, write_json, write_table
from .rendering.progress import Waits, can_draw
from .rendering.runs import accepting, changes, facts, held
from .rendering.tenants import shown_tenants

if TYPE_CHECKING:
    from ..client import Meitner
    from ..tenants import TenantReport, TenantsReport
    from ..tenants._turns import Turns
    from ._profile import Profile


class Mirrors:
    """The mirrors of profiles: the file of each, and what a run of it is told to do."""

    def __init__(
        self,
        to: Path,
        profiles: Mapping[str, Profile],
        *,
        resources: Sequence[str] | None,
        options: dict[str, Any],
        compared: dict[str, Any] | None,
        metrics: Path | None,
        json: bool,
    ) -> None:
        """Take the keywords of `sync`, and those of `verify` where it is wanted.

        Metrics go to a file for each, which has the name of the profile in its own.
        """
        self.to, self.clients = to, clients(profiles)
        self._resources, self._options, self._compared = resources, options, compared
        self.told = {name: self._told(name, metrics, json=json) for name in profiles}
        self._stop: Stop | None = None
        self.running = 0

    def until(self, stop: Stop) -> None:
        """Begin nothing more once a stop is requested, and end runs behind their next transaction."""
        self._stop = stop

    @property
    def ending(self) -> bool:
        """Whether a stop was requested."""
        return self._stop is not None and self._stop.requested

    def file(self, name: str) -> Path:
        """Return the file of a tenant."""
        return self.to / name / MIRROR

    def words(self, name: str) -> list[str]:
        """Return the command for one run of this tenant alone."""
        return ["sync", *(self._resources or ()), "--to", str(self.file(name)), "--profile", name]

    def _told(self, name: str, metrics: Path | None, *, json: bool) -> Told:
        file = None if metrics is None else metrics.with_name(f"{metrics.stem}-{name}{metrics.suffix}")
        return Told(self.file(name), file, self.words(name), json=json, tenant=name)

    async def run(self, name: str, meitner: Meitner) -> Ran:
        """Bring one mirror to what its directory is."""
        if self.ending:
            raise MeitnerError("the service was stopped before it came to this profile")
        file = self.file(name)
        async with Mirror(file) as mirror:
            job = Job(meitner, mirror, file, resources=self._resources, options=self._options, compared=self._compared)
            job.ends = lambda: self.ending
            job.listener = listener_of(meitner) or job.listener
            self.told[name].job = job
            self.running += 1
            try:
                return await job.run()
            finally:
                self.running -= 1


async def sync_many(mirrors: Mirrors, turns: Turns, *, json: bool) -> Exit:
    """Run each once, and tell of all."""
    with terminable(), shown_tenants(len(mirrors.clients), drawing=can_draw(), requests=True) as shown:

        def ended(one: TenantReport[Ran]) -> None:
            error = _error(one)
            shown.ended(one.name, changes(_ran(one)), "" if error is None else why(error))

        try:
            report = await visited_all(mirrors.clients, mirrors.run, turns, shown.hear, ended)
        except BaseException as interrupted:
            interrupted.add_note(f"Each copy in {mirrors.to} is unchanged since its last complete run.")
            raise
    for name, one in report.tenants.items():
        await mirrors.told[name].counted(_ran(one))
    _tell(report, mirrors, json=json)
    return code_of_all(report)


def _tell(report: TenantsReport[Ran], mirrors: Mirrors, *, json: bool) -> None:
    if json:
        told = {name: facts_of(one) | _facts(one) for name, one in report.tenants.items()}
        write_json({"ok": report.ok, "requests": report.requests, "seconds": report.seconds, "tenants": told})
    elif not (quiet() and report.ok):
        rows = [["profile", *KINDS, "requests", "time", "state"]]
        for name, one in report.tenants.items():
            counts = [""] * len(KINDS) if one.report is None else [f"{one.report.count(kind):,}" for kind in KINDS]
            rows.append([name, *counts, f"{one.requests:,}", duration(one.seconds), state_of(one)])
        failed = sum(_error(one) is not None for one in report.tenants.values())
        write_table(rows, numbers=frozenset(range(1, 7)), note=note_of_all(str(mirrors.to), failed, len(rows) - 1))
    for name, one in report.tenants.items():
        error = _error(one)
        if isinstance(error, TooManyDeletions):
            for line in held(error, str(mirrors.file(name)), accepting(mirrors.words(name), error)):
                say(line)


def _facts(one: TenantReport[Ran]) -> dict[str, Any]:
    if one.report is None:
        return {}
    told = ("complete", *KINDS, "read_anew", "held", "error")
    return {name: value for name, value in facts(one.report, {}).items() if name in told}


def _error(one: TenantReport[Ran]) -> Exception | None:
    return one.error or (one.report and one.report.error)


def _ran(one: TenantReport[Ran]) -> Ran:
    """Return the run of a tenant, also where it failed before it had begun."""
    if one.report is not None:
        return one.report
    error = one.error if isinstance(one.error, MeitnerError) else MeitnerError((one.error and why(one.error)) or "")
    return Ran(datetime.now(UTC), one.seconds, {}, (), error)


async def serve_many(mirrors: Mirrors, turns: Turns, schedules: Mapping[str, Schedule]) -> Exit:
    """Run each at the times of its schedule until a stop is requested; one that takes long holds no other."""

    def ends() -> None:
        if mirrors.running:
            say("meitner-aio: stopping after the present runs; to stop at once, and change nothing, press Ctrl-C again")

    stop = Stop(ends)
    mirrors.until(stop)

    async def served(name: str) -> None:
        waits = Waits(f"{name}: ")

        async def run() -> None:
            client = mirrors.clients[name]
            one = await visited(name, client, mirrors.run, turns, lambda _, event: waits.show(event))
            if one.report is not None or not stop.requested:
                await mirrors.told[name].line(_ran(one))

        await serve(run, schedules[name], stop)

    with as_log(), stoppable(stop):
        tasks = [asyncio.create_task(served(name)) for name in mirrors.clients]
        try:
            await asyncio.gather(*tasks)
        finally:
            await stopped(*tasks)
    return Exit.COMPLETE

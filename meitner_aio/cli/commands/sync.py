"""The command that keeps a copy of the directory true: once, or as a service."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, fields, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter
from cyclopts.validators import Number

from ...errors import TooManyDeletions
from ...export import check_place
from ...resources import RESOURCES
from ...resources.audit_events import AUDIT_EVENTS, NO_CHANGES
from .._exit import Exit, UsageError
from .._interrupted import terminable
from .._job import Job
from .._options import DIRECTORY, DirectoryName, DirectoryOptions, Json, Natural, given
from .._schedule import Schedule
from .._service import Stop, serve, stoppable
from .._systemd import unit
from .._tenants import TENANTS, TenantsOptions
from .._told import Told
from ..rendering.loudness import as_log
from ..rendering.output import say, write
from ..rendering.progress import Waits, can_draw
from ..rendering.typed import interval
from ..rendering.warnings import warnings_said

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    from .._profile import Profile

_EVERY = "15m"
"""What a unit says where nobody does."""
_OWN_TO_A_SERVICE = ("/tmp", "/var/tmp")  # noqa: S108 - a service has its own, so nothing is put there
_Kept = Annotated[DirectoryName, Parameter(help=", ".join(name for name in RESOURCES if name != AUDIT_EVENTS))]
_STATE = Path("/var/lib/meitner-aio")
_WATCHED = "--accept-deletions is for a single run: leave it out with --every and --print-systemd"
_CHANCE = random.SystemRandom()


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Keeping:
    """Which file, how often, and what it takes."""

    to: Annotated[
        str | None, Parameter(help="The SQLite file. It is created if it does not exist.", metavar="FILE")
    ] = None
    every: Annotated[
        str | None,
        Parameter(
            help="Keep running until SIGTERM or Ctrl-C, and sync this often: 15m, 1h, 1d (s, m, h, d, w).",
            metavar="TIME",
        ),
    ] = None
    verify: Annotated[
        bool,
        Parameter(
            help="Afterwards compare the number of records, one request per resource, and repair differences.",
            show_default=False,
        ),
    ] = False
    full: Annotated[bool, Parameter(help="Read everything, not only what changed.", show_default=False)] = False
    accept_deletions: Annotated[
        Natural | None,
        Parameter(help="Allow this run to delete up to N rows.", metavar="N"),
    ] = None
    max_deletions: Annotated[
        float | None,
        Parameter(
            help="Stop when more than this share of a resource would be deleted, until you accept it. Default: 0.2.",
            metavar="SHARE",
            validator=Number(gte=0, lte=1),
        ),
    ] = None
    grades_every: Annotated[
        str | None,
        Parameter(help="Read grades, which are always read in full, at most this often: 1d.", metavar="TIME"),
    ] = None
    metrics: Annotated[
        str | None,
        Parameter(
            help="Write Prometheus metrics to this *.prom file after each run, for the textfile collector of "
            "node_exporter. All users of this machine can read it.",
            metavar="FILE",
        ),
    ] = None
    print_systemd: Annotated[
        bool,
        Parameter(help="Print a systemd unit that runs this as a service, and do nothing else.", show_default=False),
    ] = False

    def file(self) -> Path:
        """Return where the copy is; `UsageError` for none, and for what is no file."""
        if self.to is None:
            raise UsageError("--to FILE is missing: name the SQLite file, such as directory.sqlite")
        return _file("--to", self.to)

    def folder(self) -> Path:
        """Return where the copies of many profiles are."""
        from ...tenants._names import is_address

        if self.to is None:
            raise UsageError("--to FOLDER is missing: name the folder in which each profile gets its own")
        if is_address(self.to):
            raise UsageError("--to takes a folder on this machine, not an address")
        try:
            check_place(self.to)
        except ValueError as wrong:
            raise UsageError(f"--to {wrong}") from None
        return Path(self.to)

    def metrics_file(self) -> Path | None:
        """Return where metrics go."""
        return None if self.metrics is None else _file("--metrics", self.metrics)

    def options(self) -> dict[str, Any]:
        """Return the keywords of `sync`."""
        every = None if self.grades_every is None else _span("--grades-every", self.grades_every)
        return {"full": self.full, **given(grades_every=every), **self.brakes()}

    def brakes(self) -> dict[str, Any]:
        """Return the keywords that `verify` has, too."""
        return given(accept_deletions=self.accept_deletions, max_deletions=self.max_deletions)

    def seconds(self) -> float | None:
        """Return the interval of a service; `UsageError` for what a service does not do."""
        if self.every is None:
            return None
        if self.accept_deletions is not None:
            raise UsageError(_WATCHED)
        return _span("--every", self.every).total_seconds()


KEEPING = Keeping()


def _file(option: str, name: str) -> Path:
    if "://" in name:
        raise UsageError(f"{option} takes a file on this machine, not an address")
    path = Path(name)
    if path.is_dir():
        raise UsageError(f"{option} takes a file, but {name} is a folder: name a file in it")
    return path


def _span(option: str, text: str) -> timedelta:
    try:
        return interval(text)
    except ValueError as wrong:
        raise UsageError(f"{option} {wrong}") from None


async def sync_command(
    *resources: _Kept,
    keeping: Keeping = KEEPING,
    json: Json = False,
    directory: DirectoryOptions = DIRECTORY,
    tenants: TenantsOptions = TENANTS,
) -> Exit:
    """Keep an SQLite copy of the directory up to date.

    Copies all resources unless you name some; audit events cannot be copied.
    The first run reads everything, later runs only what changed or was deleted.
    A run that is interrupted leaves the file as it was.

    A run that would delete more than a fifth of a resource changes nothing,
    and asks you to accept the deletions.

    With a pattern, or with --all-profiles, --to is a folder:
    FOLDER/PROFILE/directory.sqlite.

    Example: meitner-aio sync --to directory.sqlite --every 15m
    """
    if AUDIT_EVENTS in resources:
        raise UsageError(NO_CHANGES)
    many = tenants.profiles(directory)
    if many is not None:
        return await _many(many, resources, keeping, directory, tenants, json=json)
    file, metrics, every, options = keeping.file(), keeping.metrics_file(), keeping.seconds(), keeping.options()
    if keeping.print_systemd:
        typed = [*(["--json"] if json else []), *_typed(directory)]
        secrets = not (directory.sandbox or directory.profile)
        write(_unit(resources, file, metrics, keeping, typed, secrets=secrets))
        return Exit.COMPLETE
    from ...mirror import Mirror

    profile = directory.settings()
    async with directory.client(profile, **given(max_concurrency=profile.concurrency)) as meitner:
        with Mirror(file) as mirror, warnings_said("meitner_aio.mirror"):
            compared = keeping.brakes() if keeping.verify else None
            job = Job(meitner, mirror, file, resources=resources or None, options=options, compared=compared)
            told = Told(file, metrics, _words(resources, file, directory), json=json, job=job)
            return await (_once(job, told) if every is None else _served(job, told, every))


async def _many(
    profiles: dict[str, Profile],
    resources: Sequence[str],
    keeping: Keeping,
    directory: DirectoryOptions,
    tenants: TenantsOptions,
    *,
    json: bool,
) -> Exit:
    """Keep a copy for each profile true."""
    from ...tenants import MIRROR
    from .._syncing_many import Mirrors, serve_many, sync_many

    to, metrics, every = keeping.folder(), keeping.metrics_file(), keeping.seconds()
    if keeping.accept_deletions is not None:
        raise UsageError("--accept-deletions is for a single profile: name it with --profile")
    if keeping.print_systemd:
        typed = [*(["--json"] if json else []), *_typed(directory), *_typed(tenants)]
        write(_unit(resources, to, metrics, keeping, typed, inside=MIRROR))
        return Exit.COMPLETE
    compared = keeping.brakes() if keeping.verify else None
    mirrors = Mirrors(
        to,
        profiles,
        resources=resources or None,
        options=keeping.options(),
        compared=compared,
        metrics=metrics,
        json=json,
    )
    with warnings_said("meitner_aio.mirror"):
        if every is not None:
            schedules = {name: Schedule(every, lambda: _CHANCE.uniform(-1, 1)) for name in profiles}
            return await serve_many(mirrors, tenants.turns(), schedules)
        return await sync_many(mirrors, tenants.turns(), json=json)


async def _once(job: Job, told: Told) -> Exit:
    with terminable(), ExitStack() as shown:
        if can_draw():
            from ..rendering.under_way import shown_requests

            shown.enter_context(shown_requests(job.requests, job.quota))
        else:
            job.listener = Waits().show
        try:
            ran = await job.run()
        except BaseException as ended:
            ended.add_note(f"{job.file} is unchanged since the last complete run.")
            raise
    await told.once(ran)
    if ran.error is not None and not isinstance(ran.error, TooManyDeletions):
        raise ran.error
    return Exit.COMPLETE if ran.complete else Exit.PARTIAL


async def _served(job: Job, told: Told, every: float) -> Exit:
    def ends() -> None:
        if job.running:
            say("meitner-aio: stopping after this run; to stop at once, and change nothing, press Ctrl-C again")

    stop = Stop(ends)
    job.ends = lambda: stop.requested
    job.listener = Waits().show

    async def run() -> None:
        await told.line(await job.run())

    with as_log(), stoppable(stop):
        await serve(run, Schedule(every, lambda: _CHANCE.uniform(-1, 1)), stop)
    return Exit.COMPLETE


def _typed(options: DataclassInstance) -> list[str]:
    """Return the words that mean a group of options: what was not given is left out."""
    words: list[str] = []
    for field in fields(options):
        value, name = getattr(options, field.name), f"--{field.name.replace('_', '-')}"
        if value is not None and value is not False:
            words += [name] if value is True else [name, str(value)]
    return words


def _words(resources: Iterable[str], file: Path, directory: DirectoryOptions) -> list[str]:
    """Return the command for one run."""
    return ["sync", *resources, "--to", str(file), *_typed(directory)]


def _unit(
    resources: Iterable[str],
    file: Path,
    metrics: Path | None,
    keeping: Keeping,
    typed: Sequence[str],
    *,
    secrets: bool = False,
    inside: str = "",
) -> str:
    """Return a systemd unit for a service that does what the options say, which writes `inside` a folder if to one."""
    if keeping.accept_deletions is not None:
        raise UsageError(_WATCHED)
    file = _STATE / file if len(file.parts) == 1 else file.absolute()
    metrics = None if metrics is None else metrics.absolute()
    for path in filter(None, (file, metrics)):
        if any(path.is_relative_to(place) for place in _OWN_TO_A_SERVICE):
            raise UsageError(
                f"a service has its own {path.parts[1]} folder, where you would not find {path}: choose another place"
            )
    kept = replace(
        keeping,
        to=str(file),
        every=keeping.every or _EVERY,
        metrics=None if metrics is None else str(metrics),
        print_systemd=False,
    )
    words = ["sync", *resources, *_typed(kept), *typed]
    return unit([*_program(), *words], file=file / inside, metrics=metrics, secrets=secrets)


def _program() -> list[str]:
    script = Path(sys.executable).with_name("meitner-aio")
    return [str(script)] if script.exists() else [sys.executable, "-m", "meitner_aio"]

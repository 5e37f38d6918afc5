"""The command that brings a registry's rows into the directory."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Group, Parameter

from ..._runtime.threads import threaded
from .._exit import Exit, UsageError
from .._options import DIRECTORY, DirectoryOptions, given
from .._reconciling import BRAKES, DOING, BrakeOptions, DoingOptions, Planning, carried_out, refused, time_of

if TYPE_CHECKING:
    from ...client import Meitner
    from ...mirror import Mirror
    from ...reconcile import Desired, Proposal

_JOURNAL = "reconcile.journal"


@Parameter(name="*", group=Group("Rules", sort_key=1))
@dataclass(frozen=True, kw_only=True)
class RuleOptions:
    """What a plan may do, and what it is made of."""

    claim: Annotated[
        bool,
        Parameter(
            help="Take over records that no source owns, when a row of the registry has their key.", show_default=False
        ),
    ] = False
    delete: Annotated[
        bool, Parameter(help="Also delete people and groups that are not in the registry.", show_default=False)
    ] = False
    grace: Annotated[
        str | None, Parameter(help="Archive a placement this long after its end. Default: 7d.", metavar="TIME")
    ] = None
    retention: Annotated[
        str | None,
        Parameter(help="Delete it from the archive this long after that, such as 2y. Default: never.", metavar="TIME"),
    ] = None
    source: Annotated[
        str | None,
        Parameter(
            help="The source whose records may be changed. Default: found out from the directory.", metavar="NAME"
        ),
    ] = None
    mirror: Annotated[
        str | None,
        Parameter(
            help="Keep a copy in this SQLite file, as sync does, and read only what changed since.", metavar="FILE"
        ),
    ] = None

    def options(self) -> dict[str, Any]:
        """Return the keywords of `plan`."""
        times = given(grace=time_of("--grace", self.grace), retention=time_of("--retention", self.retention))
        return {"claim": self.claim, "delete": self.delete, **times, **given(source=self.source)}


RULES = RuleOptions()


async def reconcile_command(
    folder: Annotated[str, Parameter(help="The registry: a folder with students.csv, groups.csv and so on.")],
    /,
    *,
    doing: DoingOptions = DOING,
    encoding: Annotated[Literal["utf-8", "cp1252"], Parameter(help="Encoding of the CSV files.")] = "utf-8",
    rules: RuleOptions = RULES,
    brakes: BrakeOptions = BRAKES,
    directory: DirectoryOptions = DIRECTORY,
) -> Exit:
    """Update the directory from the files of a registry.

    Shows what would be done, and asks before it does it.

    Records are created, updated and claimed. Placements that are not in the
    registry are ended, and archived later. Only records that the registry's
    source owns are changed. People and groups stay, unless you add --delete.

    You can save a plan, and carry it out later:
    meitner-aio reconcile registry --plan --save plan.json
    meitner-aio reconcile registry --apply plan.json

    The exit code is 3 when something was held back, skipped, or wrong in the
    registry.

    Example: meitner-aio reconcile registry --plan
    """
    doing.check()
    _check(folder, doing, rules, brakes)
    options = rules.options() | brakes.options()
    desired = await _loaded(folder, encoding)
    journal = Path(doing.journal or Path(folder) / _JOURNAL)
    profile = directory.settings()
    with ExitStack() as open_files:
        present = _copy(rules.mirror, open_files)
        planning = _planning(desired, doing, {**options, **given(present=present), "journal": journal})
        async with directory.client(profile, owned=True, **given(max_concurrency=profile.concurrency)) as meitner:
            return await carried_out(meitner, planning, doing, journal)


def _check(folder: str, doing: DoingOptions, rules: RuleOptions, brakes: BrakeOptions) -> None:
    if doing.save is not None and Path(doing.save).absolute().parent == Path(folder).absolute():
        raise UsageError(
            f"--save {doing.save} would be read as a file of the registry: save the plan in another folder"
        )
    settled = [
        f"--{field.name.replace('_', '-')}"
        for group in (rules, brakes)
        for field in fields(group)
        if getattr(group, field.name) not in (None, False)
    ]
    if doing.apply is not None and settled:
        raise UsageError(f"--apply carries out a plan as it was saved: leave out {', '.join(settled)}")


async def _loaded(folder: str, encoding: str) -> Desired:
    from ...reconcile import Desired

    with refused():
        try:
            return await threaded(Desired.load, folder, encoding=encoding)
        except (FileNotFoundError, NotADirectoryError):
            raise UsageError(f"{folder} is not a folder") from None


def _copy(file: str | None, open_files: ExitStack) -> Mirror | None:
    if file is None:
        return None
    from ...mirror import Mirror

    return open_files.enter_context(Mirror(file))


def _planning(desired: Desired, doing: DoingOptions, options: dict[str, Any]) -> Planning:
    from ...reconcile import Proposal, plan

    async def planning(meitner: Meitner) -> Proposal:
        if doing.apply is not None:
            return await threaded(Proposal.load, doing.apply, meitner, desired)
        return await plan(meitner, desired, **options)

    return planning

"""The command that clears away placements that have ended, without a registry."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from ..._runtime.threads import threaded
from .._exit import Exit, UsageError
from .._options import DIRECTORY, DirectoryOptions, given
from .._reconciling import BRAKES, DOING, BrakeOptions, DoingOptions, Planning, carried_out, time_of

if TYPE_CHECKING:
    from ...client import Meitner
    from ...reconcile import Proposal

_JOURNAL = "retire-placements.journal"


async def retire_placements_command(
    *,
    ended: Annotated[
        str | None, Parameter(help="Archive placements that ended at least this long ago, such as 7d.", metavar="TIME")
    ] = None,
    archived: Annotated[
        str | None,
        Parameter(
            help="Delete placements that were archived at least this long ago, such as 2y. Default: none.",
            metavar="TIME",
        ),
    ] = None,
    source: Annotated[
        str | None,
        Parameter(help="The source that owns the placements, when there are several sources.", metavar="NAME"),
    ] = None,
    doing: DoingOptions = DOING,
    brakes: BrakeOptions = BRAKES,
    directory: DirectoryOptions = DIRECTORY,
) -> Exit:
    """Archive student placements that have ended, and delete old archived ones.

    Only placements of one source. Shows what would be done, and asks before it
    does it.

    Example: meitner-aio retire-placements --ended 7d --archived 2y --plan
    """
    doing.check()
    if ended is None and doing.apply is None:
        raise UsageError(
            "--ended TIME is missing: how long ago must a placement have ended to be archived? For example 7d"
        )
    times = given(ended=time_of("--ended", ended), archived=time_of("--archived", archived))
    options = {**times, **brakes.options(), **given(source=source)}
    journal = Path(doing.journal or _JOURNAL)
    profile = directory.settings()
    async with directory.client(profile, owned=True, **given(max_concurrency=profile.concurrency)) as meitner:
        return await carried_out(meitner, _planning(doing, options), doing, journal)


def _planning(doing: DoingOptions, options: dict[str, Any]) -> Planning:
    from ...reconcile import Proposal, retire

    async def planning(meitner: Meitner) -> Proposal:
        if doing.apply is not None:
            return await threaded(Proposal.load, doing.apply, meitner)
        return await retire(meitner, **options)

    return planning

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
        str | None, Parameter(help="Archive placements that ended at least so long ago, such as 7d.", metavar="TIME")
    ] = None,
    archived: Annotated[
        str | None,
        Parameter(help="Delete those that were archived at least so long ago, such as 2y; else none.", metavar="TIME"),
    ] = None,
    source: Annotated[
        str | None, Parameter(help="The owner of the placements, where there are several.", metavar="NAME")
    ] = None,
    doing: DoingOptions = DOING,
    brakes: BrakeOptions = BRAKES,
    directory: DirectoryOptions = DIRECTORY,
) -> Exit:
    """Archive placements that have ended, and delete old ones from the archive.

    Only those that one source owns. It shows what it would do, and asks before it does it.

    meitner-aio retire-placements --ended 7d --archived 2y --plan
    """
    doing.check()
    if ended is None and doing.apply is None:
        raise UsageError("--ended TIME is missing: say how long ago a placement ended that is archived, such as 7d")
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

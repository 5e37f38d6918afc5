"""What `reconcile` and `retire-placements` share: options, and the way from a plan to what was done."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Coroutine, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from cyclopts import Group, Parameter

from .._runtime.threads import threaded
from ._asking import agreed
from ._exit import Exit, UsageError, exit_code
from ._interrupted import COMMAND_LINE, terminable
from ._options import Natural, given
from ._refusals import disk_explained
from ._refusals import refused as early_refused
from ._runs import Requests
from .rendering.amounts import counted
from .rendering.loudness import quiet
from .rendering.output import say, tell
from .rendering.progress import Actions, Waits, can_draw, shown_progress
from .rendering.typed import share, term

if TYPE_CHECKING:
    from .._pipeline.server_limiter import Quota
    from ..client import Meitner
    from ..reconcile import Proposal, ReconcileReport

T = TypeVar("T")

_CODES = {True: Exit.COMPLETE, False: Exit.PARTIAL}
"""By whether everything was done."""


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class DoingOptions:
    """Whether anything is written, and what is shown of it."""

    plan: Annotated[bool, Parameter(help="Show what would be done, and change nothing.", show_default=False)] = False
    save: Annotated[
        str | None,
        Parameter(
            help="Save the plan to a file for --apply. It has ids and names of fields, but no values.", metavar="FILE"
        ),
    ] = None
    apply: Annotated[str | None, Parameter(help="Carry out a saved plan without asking.", metavar="FILE")] = None
    yes: Annotated[bool, Parameter(help="Carry out the plan without asking.", show_default=False)] = False
    journal: Annotated[
        str | None,
        Parameter(help="Where to record what is done, so that an interrupted run can be resumed.", metavar="FILE"),
    ] = None
    details: Annotated[bool, Parameter(help="Show one line per action.", show_default=False)] = False
    show_values: Annotated[
        bool, Parameter(help="Also show the values of fields and keys, which are personal data.", show_default=False)
    ] = False
    json: Annotated[bool, Parameter(help="Print the result as JSON.", show_default=False)] = False

    def check(self) -> None:
        """Refuse what does not go together, and what nobody could agree to."""
        if self.apply is not None and (self.plan or self.save is not None):
            raise UsageError("--apply carries out a saved plan: leave out --plan and --save")
        if self.plan or self.apply is not None or self.yes or self.save is not None:
            return
        if self.json or not (sys.stdin.isatty() and sys.stderr.isatty()):
            raise UsageError("there is no terminal to ask on: add --yes to carry out the plan, or --plan to see it")

    @property
    def asks(self) -> bool:
        """Whether somebody is asked before anything is written."""
        return not (self.only_plans or self.yes or self.apply is not None)

    @property
    def only_plans(self) -> bool:
        """Whether nothing is to be written to the directory."""
        return self.plan or (self.save is not None and not self.yes)


@Parameter(name="*", group=Group("Limits", sort_key=2))
@dataclass(frozen=True, kw_only=True)
class BrakeOptions:
    """How much may go or change without anybody having looked at it."""

    max_removals: Annotated[
        str | None,
        Parameter(
            help="Hold removals back when they exceed this share of a resource, or of one school's records in it. "
            "Default: 5%.",
            metavar="SHARE",
        ),
    ] = None
    max_updates: Annotated[
        str | None, Parameter(help="Hold updates back when they exceed this share. Default: 30%.", metavar="SHARE")
    ] = None
    minimum: Annotated[
        Natural | None, Parameter(help="Never hold back this many or fewer. Default: 10.", metavar="N")
    ] = None
    accept_removals: Annotated[
        Natural | None,
        Parameter(
            help="Carry out the removals that are held back, if there are exactly N removals in all.", metavar="N"
        ),
    ] = None

    def options(self) -> dict[str, Any]:
        """Return the keywords of `plan` and `retire`."""
        from ..reconcile import Brakes

        brakes = Brakes(
            **given(
                remove=_typed("--max-removals", share, self.max_removals),
                update=_typed("--max-updates", share, self.max_updates),
                minimum=self.minimum,
            )
        )
        return {"brakes": brakes, **given(accept_removals=self.accept_removals)}


DOING = DoingOptions()
BRAKES = BrakeOptions()


def _typed(option: str, meaning: Callable[[str], T], text: str | None) -> T | None:
    if text is None:
        return None
    try:
        return meaning(text)
    except ValueError as wrong:
        raise UsageError(f"{option} {wrong}") from None


def time_of(option: str, text: str | None) -> timedelta | None:
    """Return the time that an option says; `UsageError` for what is none."""
    return _typed(option, term, text)


@contextmanager
def refused() -> Generator[None]:
    """Turn what is refused before anything is sent into `UsageError`, and an error of the disk into a sentence."""
    with early_refused(), disk_explained("the file"):
        yield


Planning = Callable[["Meitner"], Coroutine[Any, Any, "Proposal"]]


async def planned(meitner: Meitner, planning: Planning) -> Proposal:
    """Make a plan, showing on a terminal what is asked for."""
    with refused():
        if not can_draw():
            return await planning(meitner.with_options(on_event=Waits().show))
        from .rendering.under_way import shown_requests

        requests = Requests()
        with shown_requests(requests, lambda: meitner.quota):
            return await planning(meitner.with_options(on_event=requests.tell))


async def carried_out(meitner: Meitner, planning: Planning, doing: DoingOptions, journal: Path) -> Exit:
    """Plan, show, ask where nobody has agreed yet, carry out, and tell."""
    from .rendering.proposal import show_report, write_result

    with terminable():
        proposal = await planned(meitner, planning)
    if doing.save is not None:
        with refused():
            await threaded(proposal.save, doing.save)
    if not doing.json:
        _show(proposal, meitner.quota, doing)
    report = None
    if not doing.only_plans:
        if proposal.actions and doing.asks and not agreed(_question(proposal)):
            tell("Nothing was changed.")
            return Exit.PARTIAL
        with terminable():
            report = await _applied(meitner, proposal, journal)
    if doing.json:
        write_result(proposal, meitner.quota, report, values=doing.show_values)
    elif report is not None and proposal.actions and not (quiet() and report.ok):
        show_report(report)
    return _judged(proposal, report)


def _show(proposal: Proposal, quota: Quota | None, doing: DoingOptions) -> None:
    """Show a plan; where it is carried out quietly, only that it was not all of it."""
    from .rendering.proposal import show_proposal

    if not quiet() or doing.asks or doing.only_plans:
        detailed = doing.details or doing.show_values
        show_proposal(proposal, quota, detailed=detailed, values=doing.show_values)
    elif proposal.held or proposal.problems:
        held, wrong = counted(len(proposal.held), "action"), counted(len(proposal.problems), "problem")
        say(f"meitner-aio: {held} held back, {wrong} in the registry: --plan shows them")


def _question(proposal: Proposal) -> str:
    return f"Carry out {counted(len(proposal.actions), 'action')}?"


async def _applied(meitner: Meitner, proposal: Proposal, journal: Path) -> ReconcileReport:
    drawing = can_draw()
    client = meitner if drawing else meitner.with_options(on_event=Waits().show)
    resources = [action.resource for action in proposal.actions]
    with (
        _resumable(journal),
        refused(),
        shown_progress(lambda: meitner.quota, drawing=drawing, noun="action") as show,
    ):
        return await proposal.apply(journal, meitner=client, on_progress=Actions(resources, show).tell)


@contextmanager
def _resumable(journal: Path) -> Generator[None]:
    """Let what ends the block early, and may not be there next time, say how to go on."""
    try:
        yield
    except BaseException as error:
        if not isinstance(error, Exception) or exit_code(error) is Exit.TEMPORARY:
            typed = shlex.join(COMMAND_LINE.get())
            error.add_note(f"What was done is in {journal}. To go on: meitner-aio {typed}")
        raise


def _judged(proposal: Proposal, report: ReconcileReport | None) -> Exit:
    from ..reconcile import Result

    if report is not None:
        failed = {exit_code(one.error) for one in report.failures if one.result is Result.FAILED}
        if failed:
            return failed.pop() if len(failed) == 1 else Exit.ERROR
        if not report.ok:
            return Exit.PARTIAL
    return _CODES[not proposal.held and not proposal.problems]

"""What `Proposal.apply` does: checks all that can be checked, holds the journal, and runs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from ..._pipeline.identity import Reader, check, reader_of
from ..._runtime.frames import without_frames
from ..._runtime.threads import threaded
from ..._wire.validation import check_whole
from ..planning._hashes import Hashes
from ._guard import chunk_size
from ._journal import Journal
from ._phases import phases
from ._report import ReconcileReport
from ._requests import Requests
from ._run import OnProgress, Run

if TYPE_CHECKING:
    from ...client import Meitner
    from ..planning._plan import Plan
    from ..registry._desired import Desired


async def carry_out(
    plan: Plan,
    meitner: Meitner | None,
    desired: Desired | None,
    journal: str | os.PathLike[str],
    *,
    concurrency: int,
    on_progress: OnProgress | None,
) -> ReconcileReport:
    """Carry out a plan; see `Proposal.apply`."""
    check_whole("concurrency", concurrency, 1)
    if meitner is None:
        raise ValueError("apply needs a client: pass meitner=")
    if desired is None and any(action.line for action in plan.actions):
        raise ValueError("apply needs the registry that the plan was made of: pass desired=")
    phases(plan.actions)
    reader = await reader_of(meitner)
    if reader is None:
        raise TypeError(f"meitner must be a Meitner, not {type(meitner).__name__}")
    hashes = await threaded(_hashes, plan, reader)
    notes = await threaded(Journal.open, Path(journal), reader)
    try:
        requests = Requests(meitner)
        run = Run(
            plan,
            desired,
            requests,
            notes,
            hashes,
            chunk_size=lambda: chunk_size(meitner.quota),
            concurrency=concurrency,
            on_progress=on_progress,
        )
        try:
            return await run.report()
        except BaseException as error:
            if error is not run.interruption:
                without_frames(error)  # they may hold rows
            raise
    finally:
        notes.close()


def _hashes(plan: Plan, reader: Reader) -> Hashes:
    if plan.directory is not None:
        check(reader, plan.directory, "the proposal", "plan again")
    return Hashes(reader, plan.salt)

"""What carrying out a proposal came to."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from msgspec import Struct

from ..._html import table
from ..planning._actions import Action, ActionKind, Held


class Result(StrEnum):
    """What became of an action."""

    DONE = "done"
    ALREADY_DONE = "already_done"
    """The record was as planned already: an earlier run wrote it, or somebody else did."""
    CHANGED = "changed"
    """Skipped: the record, or the row, is not as it was when the plan was made. Plan again."""
    BLOCKED = "blocked"
    """Skipped: it needs a record whose own action was not done."""
    HELD = "held"
    """Skipped: a brake that only `apply` could see (the registry shrank since the last run)."""
    FAILED = "failed"


class Failure(Struct, frozen=True):
    """An action that was not done, and the error that says why."""

    action: Action
    result: Result
    error: Exception


class ReconcileReport(Struct, frozen=True, kw_only=True):
    """What carrying out a proposal came to."""

    counts: Mapping[str, Mapping[ActionKind, int]]
    """Actions that are done, those that were already among them, by resource and kind."""
    results: Mapping[Result, int]
    failures: tuple[Failure, ...] = ()
    """Actions that were not done: the first thousand."""
    held: tuple[Held, ...] = ()
    """What the proposal held back."""
    source: str | None = None
    """The source that the directory wrote for this credential, as its answers say."""
    requests: int = 0
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether every action was done; held ones are no failure."""
        return not any(self.results.get(result) for result in _NOT_DONE)

    def _repr_html_(self) -> str:
        """Show in a notebook what was done, as a table without values."""
        done = ((name, *(counts.get(kind, 0) for kind in ActionKind)) for name, counts in self.counts.items())
        results = ", ".join(f"{count:,} {result}" for result, count in self.results.items() if count)
        return table(("resource", *ActionKind), done, results or "nothing to do")


_NOT_DONE = (Result.CHANGED, Result.BLOCKED, Result.HELD, Result.FAILED)

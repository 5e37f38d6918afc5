"""Counts what became of actions, for the report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from ..planning._actions import Action, ActionKind, Held
from ._report import Failure, ReconcileReport, Result

_MOST_FAILURES = 1000


class Tally:
    """What became of the actions of a run so far."""

    def __init__(self, resources: Iterable[str]) -> None:
        """Begin with none, of some resources."""
        self._counts = {name: Counter[ActionKind]() for name in resources}
        self._results = Counter[Result]()
        self._failures: list[Failure] = []

    @property
    def done(self) -> int:
        """How many were carried out."""
        return self._results[Result.DONE]

    def add(self, action: Action, result: Result, error: Exception | None) -> None:
        """Add an action; one that was not done has an error."""
        self._results[result] += 1
        if error is None:
            self._counts.setdefault(action.resource, Counter())[action.kind] += 1
        elif len(self._failures) < _MOST_FAILURES:
            self._failures.append(Failure(action, result, error))

    def report(self, *, held: tuple[Held, ...], source: str | None, requests: int, seconds: float) -> ReconcileReport:
        """Return the report."""
        counts = {name: {kind: done[kind] for kind in ActionKind} for name, done in self._counts.items()}
        return ReconcileReport(
            counts=counts,
            results={result: self._results[result] for result in Result},
            failures=tuple(self._failures),
            held=held,
            source=source,
            requests=requests,
            seconds=seconds,
        )

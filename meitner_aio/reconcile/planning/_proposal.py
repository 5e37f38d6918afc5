"""The proposal: what `plan` returns, a person approves, and `apply` carries out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from os import PathLike
from typing import TYPE_CHECKING, Self

from ..._html import preformatted
from ..applying._apply import carry_out
from ..registry._problems import Problem
from ._actions import Action, ActionKind, Held
from ._plan import Plan
from ._rendered import rendered
from ._saved import read_plan, write_plan

if TYPE_CHECKING:
    from ..._operations.bulk import Outcome
    from ...client import Meitner
    from ...records import DirectoryRecord
    from ..applying._report import ReconcileReport
    from ..registry._desired import Desired


class Proposal:
    """Actions that would bring the directory to the desired state, and what is held back.

    Printed, it is a table without values. `apply` carries it out.
    """

    def __init__(self, data: Plan, meitner: Meitner | None = None, desired: Desired | None = None) -> None:
        """Hold what a plan came to."""
        self._data = data
        self._meitner = meitner
        self._desired = desired

    @property
    def data(self) -> Plan:
        """Everything that the plan says."""
        return self._data

    @property
    def actions(self) -> tuple[Action, ...]:
        """What is carried out, in this order."""
        return self._data.actions

    @property
    def held(self) -> tuple[Held, ...]:
        """What is held back, and why."""
        return self._data.held

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What is wrong with rows of the registry: they are left out. The first thousand."""
        return self._data.problems

    @property
    def counts(self) -> Mapping[str, Mapping[ActionKind, int]]:
        """How many actions there are, by resource of the plan and by kind, zeros among them."""
        found = Counter((action.resource, action.kind) for action in self.actions)
        return {name: {kind: found[name, kind] for kind in ActionKind} for name in self._data.resources}

    @property
    def removals(self) -> int:
        """How many removals there are, held ones among them: the number for `accept_removals`."""
        return self._data.removals

    @property
    def requests(self) -> int:
        """An estimate of the requests that `apply` takes."""
        return self._data.requests

    @property
    def source(self) -> str | None:
        """The source whose records may be changed, as given or learnt; None while it owns none."""
        return self._data.source

    @property
    def waiting(self) -> Mapping[str, int]:
        """By resource, records that the registry lacks and for which it is too early."""
        return self._data.waiting

    @property
    def unchanged(self) -> Mapping[str, int]:
        """By resource, rows that the directory has as they are."""
        return self._data.unchanged

    def save(self, path: str | PathLike[str]) -> None:
        """Write the proposal to a file (0600): ids, names of fields, and keyed hashes in place of values. Blocking.

        Raises `ConfigurationError` where others may write.
        """
        write_plan(self._data, path)

    @classmethod
    def load(cls, path: str | PathLike[str], meitner: Meitner | None = None, desired: Desired | None = None) -> Self:
        """Read a proposal that was saved. Blocking.

        `meitner` and `desired` are what `apply` will need: the client that it was made with, or another one with the
        same credential, and the same registry. Raises `ConfigurationError` for what is no proposal, or was changed.
        """
        return cls(read_plan(path, Plan), meitner, desired)

    def __str__(self) -> str:
        """Return a table of what would be done, what is held back and why, and what it would cost. Holds no value."""
        return rendered(self._data, None if self._meitner is None else self._meitner.quota)

    def _repr_html_(self) -> str:
        """Show in a notebook what it prints. Holds no value."""
        return preformatted(str(self))

    async def apply(
        self,
        journal: str | PathLike[str],
        *,
        meitner: Meitner | None = None,
        desired: Desired | None = None,
        concurrency: int = 8,
        on_progress: Callable[[Outcome[DirectoryRecord]], object] | None = None,
    ) -> ReconcileReport:
        """Carry out the actions, at most `concurrency` at a time, and return what it came to.

        What refers to a record is written after it. Each record is looked up right before: one that is not as it was
        when the plan was made is skipped. `journal` is a file (0600) that goes with the registry: after a kill, another
        run with it goes on without doing anything twice. `on_progress` is called with an `Outcome` for each action,
        whose `index` is its place in `actions`; what it raises stops the run once what is under way has ended, and is
        raised.

        Raises `ValueError` where no client or registry is known; `MeitnerError` for a proposal or a journal of another
        directory, a journal that another run uses, a registry that changed since it was read, and where the answers
        name another source than the plan; `AuthenticationError` when the server refuses the credential; `OSError` when
        the journal cannot be written. Cancelled or stopped, it can be run again.
        """
        return await carry_out(
            self._data,
            self._meitner if meitner is None else meitner,
            self._desired if desired is None else desired,
            journal,
            concurrency=concurrency,
            on_progress=on_progress,
        )

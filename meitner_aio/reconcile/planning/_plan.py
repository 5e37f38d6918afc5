"""What a proposal says, as data."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from ..._pipeline.identity import Stamp
from ..registry._problems import Note, Problem
from ._actions import Action, Held, ReconcileSettings


class Plan(Struct, frozen=True, kw_only=True):
    """What a proposal says, as data: everything that `save` writes but values."""

    resources: tuple[str, ...]
    actions: tuple[Action, ...]
    """In the order in which they are carried out."""
    held: tuple[Held, ...] = ()
    problems: tuple[Problem, ...] = ()
    """Of the registry, then of rows that cannot be carried out; the first thousand."""
    notes: tuple[Note, ...] = ()
    source: str | None = None
    """The source that owns what may be changed, as given or learnt; None while nothing is owned."""
    is_source_learnt: bool = False
    waiting: Mapping[str, int] = {}
    """By resource, records that the registry lacks and for which it is too early: placements in their grace or
    retention, people with placements."""
    unchanged: Mapping[str, int] = {}
    """By resource, rows that the directory has as they are."""
    owned: Mapping[str, int] = {}
    """By resource, records of the directory that the source owns."""
    row_counts: Mapping[str, int] = {}
    """By resource, rows of the registry that can be used: what the next run is compared with."""
    has_last_run: bool = False
    """Whether the rows were compared with those of the last run."""
    ids: Mapping[str, str] = {}
    """What references of the actions' rows lead to, by their hash: an id, or `@` and the name of the create."""
    requests: int = 0
    """An estimate of the requests that `apply` takes, look-ups and guards among them."""
    settings: ReconcileSettings = ReconcileSettings()
    made_at: float = 0.0
    """By the server's clock, in seconds since 1970."""
    salt: str = ""
    """Of the hashes."""
    directory: Stamp | None = None
    """Which directory it is of, and who read it."""

    @property
    def removals(self) -> int:
        """How many removals there are, held ones among them."""
        kinds = (*(action.kind for action in self.actions), *(held.kind for held in self.held))
        return sum(kind.is_removal for kind in kinds)

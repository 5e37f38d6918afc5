"""What share of a directory a plan may remove or update without anybody having said so. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from msgspec import Struct

from ..._wire.validation import check_whole
from ._actions import Action, ActionKind


class Brakes(Struct, frozen=True):
    """Shares of the records that the source owns, of a resource and of each school, from 0 to 1.

    At most `minimum` actions never trip a brake, whatever their share.
    """

    remove: float = 0.05
    """Ends, archives and deletions."""
    update: float = 0.30
    minimum: int = 10

    def __post_init__(self) -> None:
        """Raise `ValueError` or `TypeError` for what is no share or no number."""
        for name, share in (("remove", self.remove), ("update", self.update)):
            if isinstance(share, bool) or not isinstance(share, int | float):  # pyright: ignore[reportUnnecessaryIsInstance] - callers err
                raise TypeError(f"{name} must be a share from 0 to 1, not {type(share).__name__}")
            if not 0 <= share <= 1:
                raise ValueError(f"{name} must be a share from 0 to 1")
        check_whole("minimum", self.minimum, 0)


Owned = Mapping[str, Mapping[str, int]]
"""Records that the source owns, by resource and school; those of all schools, and of none, under an empty text."""


class Tripped(Struct, frozen=True):
    """Where too large a share would be removed or updated, in words."""

    removals: Mapping[tuple[str, str], str]
    """By resource and school; the whole resource under an empty text."""
    updates: Mapping[tuple[str, str], str]

    def message(self, action: Action) -> str | None:
        """Return why an action is held, if it is."""
        tripped = self.removals if action.kind.is_removal else self.updates
        if not action.kind.is_removal and action.kind is not ActionKind.UPDATE:
            return None
        whole = tripped.get((action.resource, ""))
        return whole if whole is not None else tripped.get((action.resource, action.school_id or ""))


def tripped(actions: Iterable[Action], owned: Owned, brakes: Brakes) -> Tripped:
    """Return which brakes some actions trip."""
    removals: Counter[tuple[str, str]] = Counter()
    updates: Counter[tuple[str, str]] = Counter()
    for action in actions:
        if action.kind.is_removal or action.kind is ActionKind.UPDATE:
            counts = removals if action.kind.is_removal else updates
            counts[action.resource, ""] += 1
            if action.school_id:
                counts[action.resource, action.school_id] += 1
    return Tripped(
        _over(removals, owned, brakes.remove, brakes.minimum, f"removed (more than {brakes.remove:.0%})"),
        _over(updates, owned, brakes.update, brakes.minimum, f"updated (more than {brakes.update:.0%})"),
    )


def _over(
    counts: Mapping[tuple[str, str], int], owned: Owned, share: float, minimum: int, told: str
) -> dict[tuple[str, str], str]:
    over: dict[tuple[str, str], str] = {}
    for (resource, school), count in counts.items():
        known = owned.get(resource, {}).get(school, 0)
        if count > minimum and count > share * known:
            where = f" of school {school}" if school else ""
            over[resource, school] = f"{count:,} of {known:,} {resource}{where} would be {told}"
    return over

"""Checks the options of runs of `sync` that are to come, for one mirror or for many. No I/O."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import TYPE_CHECKING

from ._brakes import Brakes
from ._names import kept_names

if TYPE_CHECKING:
    from ..client import Meitner


def check_sync(
    meitner: Meitner,
    resources: Iterable[str] | None,
    *,
    max_deletions: float = 0.2,
    lookback: float = 600.0,
    grades_every: float | timedelta | None = None,
    **_others: object,
) -> None:
    """Raise the `TypeError` or `ValueError` that `Mirror.sync` would raise before any I/O, for any client alike."""
    names = kept_names(resources)
    Brakes.checked(max_deletions, 0)
    meitner.changes(resources=names, lookback=lookback, grades_every=grades_every)

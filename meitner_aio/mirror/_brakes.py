"""Whether a run may delete what it would delete. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple, Self

from ..errors import TooManyDeletions

_FEW = 10
"""Fewer rows than that are deleted whatever share of a resource they are."""


class Brakes(NamedTuple):
    """What a run may delete without anybody having said so, and what somebody has allowed."""

    max_deletions: float
    """The share of the rows of a resource, from 0 to 1."""
    accept_deletions: int
    """Rows in the whole run."""

    @classmethod
    def checked(cls, max_deletions: float, accept_deletions: int) -> Self:
        """Raise `ValueError` or `TypeError` for what means nothing."""
        if not 0 <= max_deletions <= 1:
            raise ValueError("max_deletions is a share of the rows of a resource, from 0 to 1")
        if not _is_count(accept_deletions):
            raise ValueError("accept_deletions is a number of rows, at least 0")
        return cls(max_deletions, accept_deletions)

    def check(self, deletions: Mapping[str, int], rows: Mapping[str, int], emptied: Collection[str]) -> None:
        """Raise `TooManyDeletions` when a run would delete more of `rows` than it may.

        A resource that is `emptied`, because the directory has not a single row of it any more, always needs somebody
        who says so.
        """
        many = {
            name: count
            for name, count in deletions.items()
            if count and (name in emptied or (count >= _FEW and count > self.max_deletions * rows[name]))
        }
        total = sum(deletions.values())
        if not many or total <= self.accept_deletions:
            return
        told = ", ".join(f"{count} of {rows[name]} {name}" for name, count in many.items())
        raise TooManyDeletions(
            f"the run would delete {told}, so it changed nothing; where they are really gone, allow the deletions of "
            f"the whole run with accept_deletions={total}",
            deletions={name: count for name, count in deletions.items() if count},
            rows={name: rows[name] for name, count in deletions.items() if count},
        )


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0

"""The rows that actions carry out, read from the registry again, some at a time."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import TYPE_CHECKING, cast

from ..registry._rows import Row

if TYPE_CHECKING:
    from ..registry._desired import Desired


class WantedRows:
    """The rows of one resource that are wanted, in the order of the registry."""

    def __init__(self, desired: Desired, resource: str, places: Mapping[int, int]) -> None:
        """Want the rows with the lines that are the keys of `places`; what a line is for is its value."""
        self._left = dict(places)
        self._rows = cast("Generator[Row]", desired.rows(resource, lines=self._left))

    def take(self, count: int) -> list[tuple[int, Row]]:
        """Return the next ones, each with what it is for; fewer than `count` at the end only. Blocking.

        Raises `MeitnerError` where the registry is not the one that was checked.
        """
        taken: list[tuple[int, Row]] = []
        while self._left and len(taken) < count:
            row = next(self._rows, None)
            if row is None:
                break
            taken.append((self._left.pop(row.line), row))
        return taken

    def close(self) -> None:
        """Let go of the file."""
        self._rows.close()

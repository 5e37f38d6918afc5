"""A listing of rows that nobody can tell apart, with a past: an oracle that knows which is which.

Things happen before every answer: rows are inserted anywhere, removed and changed, and some are equal to others. A value
that is gone does not come back. Knows nothing of the client that reads it.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from typing import Any, NamedTuple
from urllib.parse import parse_qs


class Past(NamedTuple):
    """What a history is made of."""

    seed: int
    rows: int = 24
    page: int = 5
    busy: float = 0.2
    """How likely one more thing happens before an answer."""
    kinds: str = "irc"
    """Insertions, removals, changes."""
    calm: int = 10**9
    """Answers after which nothing happens any more."""
    swaps: bool = False
    """Whether every removal comes with an insertion, so that no count tells of it."""
    pairs: bool = True


def past(seed: int) -> Past:
    """Return one of all the histories there are, always the same for the same seed."""
    chance = random.Random(f"past {seed}")
    one = chance.choice
    return Past(
        seed,
        rows=one((3, 11, 24, 40)),
        page=one((2, 5, 9)),
        busy=one((0.0, 0.05, 0.2, 0.4)),
        kinds=one(("irc", "ir", "r", "i", "c")),
        calm=one((1, 3, 6, 10**9)),
        swaps=chance.random() < 0.6,
        pairs=chance.random() < 0.7,
    )


class Rows:
    """Rows as the server has them: each with a key that no answer shows."""

    def __init__(self, past: Past) -> None:
        self._past = past
        self._random = random.Random(f"rows {past.seed}")
        self._made = 0
        self._gone: set[str] = set()
        self._rows: list[tuple[int, str]] = []
        self.answered = 0
        for _ in range(past.rows):
            self._insert()
        self._throughout = dict(self._rows)
        """Values of the rows that were there all the time, by their keys."""

    @property
    def throughout(self) -> Counter[str]:
        """How many rows of each value were there from before the first answer until after the last."""
        return Counter(self._throughout.values())

    def answer(self, query: str) -> bytes:
        """Let things happen, then answer with a page."""
        self.answered += 1
        while self.answered > 1 and self.answered <= self._past.calm and self._random.random() < self._past.busy:
            self._happen()
        asked = {name: int(values[0]) for name, values in parse_qs(query).items()}
        limit, offset = min(asked.get("limit", 50), self._past.page), asked.get("offset", 0)
        page: list[dict[str, Any]] = [{"report": {"week": value}} for _, value in self._rows[offset : offset + limit]]
        facts = {"limit": limit, "offset": offset, "total": len(self._rows)}
        return json.dumps({"data": page, "pagination": facts}).encode()

    def _happen(self) -> None:
        match self._random.choice(self._past.kinds):
            case "i":
                self._insert()
                if self._past.swaps:
                    self._remove()
            case "r":
                self._remove()
                if self._past.swaps:
                    self._insert()
            case _ if self._rows:
                place = self._random.randrange(len(self._rows))
                key, value = self._rows[place]
                self._forget(key, value)
                self._rows[place] = (key, self._value())
            case _:
                pass

    def _insert(self) -> None:
        self._made += 1
        self._rows.insert(self._random.randint(0, len(self._rows)), (self._made, self._value()))

    def _remove(self) -> None:
        if self._rows:
            self._forget(*self._rows.pop(self._random.randrange(len(self._rows))))

    def _forget(self, key: int, value: str) -> None:
        self._gone.add(value)
        getattr(self, "_throughout", {}).pop(key, None)

    def _value(self) -> str:
        """Return the value of a new row: that of another one, sometimes, but never one that any row has lost."""
        known = sorted({value for _, value in self._rows} - self._gone)
        if self._past.pairs and known and self._random.random() < 0.4:
            return self._random.choice(known)
        self._made += 1
        return f"value {self._made}"

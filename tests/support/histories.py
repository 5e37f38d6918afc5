"""A directory of groups with a past, as JSON over a clock of its own. Knows nothing of the client that reads it.

Things happen before every answer: rows are created (and may be committed long after their stamp), deleted and changed,
in several orders of the server. Answers may be slow, their Date is that of a gateway whose clock differs from the
database's, and searches are answered from an index that may lag, or lose everything, while lists are not.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import formatdate
from typing import Any, NamedTuple

BEGIN = 1_790_000_000.4
"""When the read begins, in seconds since 1970, by the gateway's clock."""

ORDERS = ("created", "-created", "updated", "any")
READS = ("plain", "strict", "exact")
SEARCHED = "in"
"""What the titles of rows begin with that a search for `in%` finds."""


class Plot(NamedTuple):
    """What a history is made of."""

    seed: int
    order: str = "created"
    rows: int = 45
    limit: int = 8
    busy: float = 0.3
    """How likely one more thing happens before an answer."""
    kinds: str = "cdu"
    """Creations, deletions, updates."""
    late: float = 0.0
    """Seconds, at most, by which a row may be stamped before it can be seen."""
    ahead: float = 0.0
    """Seconds by which the clock of stamps is ahead of the one of answers."""
    lag: float = 0.0
    """Seconds after which a search finds what happened."""
    emptied: bool = False
    """Whether the index of searches loses all rows after the first answer."""
    slow: float = 0.0
    """Seconds between counting and answering, for the first answer."""
    undated: float = 0.0
    """How likely a row does not say when it was made, or says a year that is none."""
    young: bool = True
    """Whether some rows are made shortly before the read."""
    search: bool = False
    audited: bool = True
    whole_seconds: bool = False
    concurrency: int = 2


def plot(seed: int) -> Plot:
    """Return one of all the histories there are, always the same for the same seed."""
    chance = random.Random(f"plot {seed}")
    one = chance.choice
    search = chance.random() < 0.2
    return Plot(
        seed,
        order=one(ORDERS),
        rows=one((5, 20, 45, 90)),
        limit=one((4, 8, 25)),
        busy=one((0.0, 0.05, 0.2, 0.5)),
        kinds=one(("cdu", "cd", "cd", "cdd", "d", "c", "u")),
        late=one((0.0, 0.0, 20.0, 55.0)),
        ahead=one((0.0, 0.0, 0.0, 3.0, 90.0, 400.0, 3000.0, -3.0, -45.0, -240.0)),
        lag=0.0 if search else one((0.0, 0.0, 0.0, 2.0, 90.0, 3600.0)),
        emptied=chance.random() < 0.1,
        slow=one((0.0, 0.0, 3.0, 40.0)),
        undated=one((0.0, 0.0, 0.0, 0.0, 0.05, 1.0)),
        young=chance.random() < 0.6,
        search=search,
        audited=chance.random() < 0.85,
        whole_seconds=chance.random() < 0.4,
        concurrency=one((1, 1, 2, 6)),
    )


class _Row(NamedTuple):
    id: str
    title: str
    created: float
    updated: float | None = None
    date: str = ""
    """What it says instead of when it was made."""


class History:
    """The directory. `answer` answers its requests; `there` and `now` are what a complete read must and may hold."""

    def __init__(self, plot: Plot) -> None:
        self.plot = plot
        self.requests = 0
        self.there: set[str] | None = None
        """Rows that were there when the first answer was counted."""
        self._chance = random.Random(repr(plot))
        self._clock = BEGIN
        self._rows: list[_Row] = []
        self._past: list[tuple[float, list[_Row]]] = []
        self._events: list[dict[str, Any]] = []
        self._touched: set[str] = set()
        self._made = 0
        self._fill()

    def _fill(self) -> None:
        ages = (3.0, 200.0, 5000.0) if self.plot.young else (5000.0,)
        created = sorted(
            BEGIN - 1.0 - 1.5 * self._chance.choice(ages) * self._chance.random() for _ in range(self.plot.rows)
        )
        for at in created if self.plot.young else (at - 1000.0 for at in created):
            self._insert(at)
            self._remember(at)

    def _insert(self, at: float) -> None:
        date = self._chance.choice(
            ("none", "0001-01-01T00:00:00Z", "0001-01-01T00:00:00+02:00", "9999-12-31T23:59:59-02:00")
        )
        undated = self._chance.random() < self.plot.undated
        title = f"{self._chance.choice((SEARCHED, SEARCHED, 'out'))} {self._made}"
        self._made += 1
        row = _Row(self._id(), title, self._stamp(at), None, date if undated else "")
        places = {"-created": 0, "any": self._chance.randrange(len(self._rows) + 1)}
        self._rows.insert(places.get(self.plot.order, len(self._rows)), row)

    def _id(self) -> str:
        digits = f"{self._chance.getrandbits(128):032x}"
        return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-8{digits[17:20]}-{digits[20:]}"

    def _stamp(self, at: float) -> float:
        stamp = at + self.plot.ahead
        return float(int(stamp)) if self.plot.whole_seconds else stamp

    def _remember(self, at: float) -> None:
        if self.plot.lag:
            self._past.append((at, list(self._rows)))

    # -- what happens

    def _happen(self) -> None:
        kind = self._chance.choice(self.plot.kinds)
        self._clock += self._chance.choice((0.0, 0.001, 0.3))
        if kind == "c" and self._made < self.plot.rows + 60:
            self._insert(self._clock - self.plot.late * self._chance.choice((0.0, self._chance.random())))
        elif kind == "d" and self._rows:
            gone = self._rows.pop(self._chance.randrange(len(self._rows)))
            early = min(5.0, self.plot.late) * self._chance.random()
            self._events.append(self._event(gone.id, self._stamp(self._clock - early)))
        elif kind == "u" and self._rows:
            self._update(self._chance.randrange(len(self._rows)))
        self._remember(self._clock)

    def _update(self, place: int) -> None:
        old = self._rows.pop(place)
        word = self._chance.choice((SEARCHED, "out"))
        if word == "out":
            self._touched.add(old.id)
        row = old._replace(title=f"{word} {old.title.split()[1]}", updated=self._stamp(self._clock))
        to = {"updated": len(self._rows), "any": self._chance.randrange(len(self._rows) + 1)}
        self._rows.insert(to.get(self.plot.order, place), row)

    def _event(self, gone: str, at: float) -> dict[str, Any]:
        return {"id": self._id(), "resource": "Group", "resourceID": gone, "type": "Delete", "timestamp": _text(at)}

    # -- what is answered

    async def answer(self, method: str, path: str, query: str, body: bytes | None) -> tuple[int, dict[str, str], bytes]:
        """Answer a request: status, headers and body."""
        self.requests += 1
        await asyncio.sleep(self._chance.choice((0.0, 0.01, 0.2)))
        first = self.there is None
        while not first and self._chance.random() < self.plot.busy:
            self._happen()
        window = dict(part.split("=") for part in query.split("&"))
        rows = self._asked(method, path, json.loads(body) if body else {})
        if rows is None:
            return 403, self._headers(), b'{"error":{"code":"Forbidden","message":"no","requestID":"1"}}'
        if first:
            self.there = {row.id for row in rows if isinstance(row, _Row)}
            for _ in range(8 if self.plot.slow and self.plot.busy else 0):
                self._clock += self.plot.slow / 8
                self._happen()
            await asyncio.sleep(self.plot.slow)
        offset, limit = int(window["offset"]), int(window["limit"])
        limit = min(limit, 30)
        page = {
            "data": [_json(row) for row in rows[offset : offset + limit]],
            "pagination": {"offset": offset, "limit": limit, "total": len(rows)},
        }
        self._clock += self._chance.choice((0.0, 0.0, 0.3, 2.0))
        return 200, self._headers(), json.dumps(page).encode()

    def _headers(self) -> dict[str, str]:
        return {"Content-Type": "application/json", "Date": formatdate(int(self._clock), usegmt=True)}

    def _asked(self, method: str, path: str, body: dict[str, Any]) -> Sequence[_Row | dict[str, Any]] | None:
        if path == "/audit-event/_search":
            assert body["filter"]["equals"] == {"resource": "Group", "type": "Delete"}
            since = _seconds(body["filter"]["greaterOrEqual"]["timestamp"])
            return (
                [event for event in self._events if _seconds(event["timestamp"]) >= since]
                if self.plot.audited
                else None
            )
        if (method, path) == ("GET", "/group"):
            return list(self._rows)  # as they were when they were counted
        assert (method, path) == ("POST", "/group/_search")
        return [row for row in self._indexed() if _fits(row, body["filter"])]

    def _indexed(self) -> list[_Row]:
        if self.plot.emptied and self.there is not None:
            return []
        if not self.plot.lag:
            return self._rows
        return next((rows for at, rows in reversed(self._past) if at <= self._clock - self.plot.lag), [])

    # -- what a read must hold

    def missing(self, got: set[str]) -> set[str]:
        """Return the rows that were there from the first answer to the last, and did not arrive."""
        assert self.there is not None
        now = {row.id for row in self._rows}
        return (self.there & now) - (self._touched if self.plot.search else set()) - got


def _json(row: _Row | dict[str, Any]) -> dict[str, Any]:
    if isinstance(row, dict):
        return row
    meta: dict[str, Any] | None = None
    if row.date != "none":
        updated = None if row.updated is None else _text(row.updated)
        meta = {"createdAt": row.date or _text(row.created), "createdBy": None, "updatedAt": updated, "updatedBy": None}
    return {"id": row.id, "schoolID": row.id, "category": "Other", "title": row.title, "meta": meta}


def _text(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _fits(row: _Row, asked: dict[str, Any]) -> bool:
    """Whether a row meets a filter of bounds on when rows were made, and of what titles are like."""
    made = None if row.date == "none" else _seconds(row.date) if row.date else _seconds(_text(row.created))
    for group, holds in (("smallerThan", float.__lt__), ("greaterOrEqual", float.__ge__)):
        bound = asked.get(group)
        if bound and (made is None or not holds(made, _seconds(bound["meta"]["createdAt"]))):
            return False
    like = asked.get("like")
    if like and not row.title.startswith(like["title"].rstrip("%")):
        return False
    return all(_fits(row, nested) for nested in asked.get("nestedFilters", ()))

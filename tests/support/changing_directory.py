"""A directory that goes on living while others follow it, as JSON over a clock of its own. Knows nothing of the client.

Groups and student placements are searched and leave events of their deletions; grades are listed only, and leave none.
The database stamps by a clock that differs from the Date of the answers, in whole seconds; what is stamped may be
committed up to a minute later; an index answers searches and may lag; a list may be answered as if it were empty.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import formatdate
from typing import Any, NamedTuple

BEGIN = 1_790_000_000.4
"""When it all begins, in seconds since 1970, by the gateway's clock."""

GROUPS, PLACEMENTS, GRADES = "/group", "/student-placement", "/grade-elementary"
ATTRIBUTES = {"groups": GROUPS, "student_placements": PLACEMENTS, "grade_elementaries": GRADES}
_ATTRIBUTE_OF = {path: attribute for attribute, path in ATTRIBUTES.items()}
EVENTS = {GROUPS: "Group", PLACEMENTS: "StudentPlacement"}

Row = dict[str, Any]


class Nature(NamedTuple):
    """How a directory answers, and what may happen between two answers."""

    seed: int = 0
    ahead: float = 0.0
    """Seconds by which the clock of stamps is ahead of the one of answers; behind, where it is negative."""
    lag: float = 0.0
    """Seconds after which a search finds what happened."""
    late: float = 0.0
    """Seconds, at most, between a stamp and its commit."""
    page: int = 30
    busy: float = 0.0
    """How likely one more thing happens before an answer."""
    whole_seconds: bool = True


def nature(seed: int) -> Nature:
    """Return one of all the directories there are, always the same for the same seed."""
    one = random.Random(f"nature {seed}").choice
    ahead = one((0.0, 0.0, 3.0, 90.0, 400.0, -3.0, -60.0, -250.0))
    lag = one((0.0, 0.0, 2.0, 90.0, 300.0))
    return Nature(
        *(seed, ahead, lag),
        late=one((0.0, 20.0, 59.0)),
        page=one((8, 30, 1000)),
        busy=one((0.0, 0.05, 0.2)),
        whole_seconds=one((True, True, False)),
    )


class ChangingDirectory:
    """The directory. `answer` is its door, `tables` what it holds, the verbs are what happens to it."""

    def __init__(self, nature: Nature, rows: int = 12) -> None:
        self.nature = nature
        self.now = BEGIN
        self.tables: dict[str, dict[str, Row]] = {GROUPS: {}, PLACEMENTS: {}, GRADES: {}}
        self.asked: list[tuple[str, str]] = []
        self.filters: list[Row] = []
        """Of the searches."""
        self.empty_lists = 0
        """How many of the next lists of grades are answered as if there were none."""
        self.before: Callable[[str, str], object] | None = None
        """Is called before each answer."""
        self.born: set[tuple[str, str]] = set()
        """Attributes and ids of rows that were committed since somebody cleared this."""
        self._chance = random.Random(repr(nature))
        self._events: list[Row] = []
        self._index: dict[str, dict[str, Row]] = {GROUPS: {}, PLACEMENTS: {}, GRADES: {}}
        self._log: list[tuple[float, str, str, Row | None]] = []
        self._pending: list[tuple[float, Callable[[], object], str]] = []
        self.dead: list[tuple[str, str]] = []
        self._made = 0
        for path in self.tables:
            for _ in range(rows):
                self.create(path)
        self.pass_time(100_000.0)

    # -- what happens

    def pass_time(self, seconds: float) -> None:
        """Let the clocks go on, and what is due be committed and indexed."""
        until = self.now + seconds
        for entry in sorted((one for one in self._pending if one[0] <= until), key=lambda one: one[0]):
            self._pending.remove(entry)
            self.now = max(self.now, entry[0])
            entry[1]()
        self.now = until
        while self._log and self._log[0][0] <= self.now - self.nature.lag:
            _, path, id_, row = self._log.pop(0)
            self._index[path].pop(id_, None) if row is None else self._index[path].__setitem__(id_, row)

    def create(self, path: str, *, id_: str | None = None, late: bool | float = False) -> str:
        """Make a row."""
        id_ = id_ or self._id()
        self._made += 1
        row = {"id": id_, **_SHAPES[path], "meta": self._meta(), _MARKS[path]: f"v{self._made}"}
        self._commit(lambda: self._put(path, row), id_, late=late)
        return id_

    def import_(self, path: str, count: int) -> None:
        """Make many rows in one transaction: they share a stamp."""
        rows = [{"id": self._id(), **_SHAPES[path], "meta": self._meta(), _MARKS[path]: "import"} for _ in range(count)]
        self._commit(lambda: [self._put(path, row) for row in rows], "", late=False)

    def update(self, path: str, id_: str, *, late: bool | float = False, **changes: Any) -> None:
        """Change a row; which stamps it."""
        self._made += 1
        row = self.tables[path][id_]
        meta = {**row["meta"], "updatedAt": self._stamp()}
        row = {**row, _MARKS[path]: f"v{self._made}", **changes, "meta": meta}
        self._commit(lambda: self._put(path, row), id_, late=late)

    def delete(self, path: str, id_: str, *, late: bool | float = False) -> None:
        """Remove a row; an event says so, if it is of a kind that leaves one."""
        event = {"id": self._id(), "resourceID": id_, "type": "Delete", "timestamp": self._stamp()}

        def gone() -> None:
            del self.tables[path][id_]
            self._log.append((self.now, path, id_, None))
            self.dead.append((path, id_))
            if path in EVENTS:
                self._events.append({**event, "resource": EVENTS[path]})

        self._commit(gone, id_, late=late)

    def revive(self) -> None:
        """Make a row that has the id of one that was deleted."""
        path, id_ = self.dead.pop(self._chance.randrange(len(self.dead)))
        self.create(path, id_=id_)

    def happen(self, *, large: bool = False) -> None:
        """Let one thing happen; imports, and rows that come back, only where `large` things may."""
        one, path = self._chance.choice, self._chance.choice((*self.tables, *EVENTS))
        kind = one(("create", "update", "update", "archive", "delete", "delete", "import", "revive"))
        late, ids = one((True, False)), [id_ for id_ in self.tables[path] if not self.is_busy(id_)]
        if kind == "create":
            self.create(path, late=late)
        elif kind == "import":
            self.import_(path, one((3, 3, 40)) if large else 1)
        elif kind == "revive":
            if large and self.dead and not self.nature.lag:
                self.revive()
        elif ids and kind == "archive":
            restored = self.tables[path][one(ids)].get("archivedAt") is None
            changes = {"archivedAt": self._stamp() if restored else None} if path == PLACEMENTS else {}
            self.update(path, one(ids), late=late, **changes)
        elif ids:
            (self.update if kind == "update" else self.delete)(path, one(ids), late=late)

    def is_busy(self, id_: str) -> bool:
        """Whether a transaction holds the row."""
        return any(held == id_ for _, _, held in self._pending)

    def _commit(self, change: Callable[[], object], id_: str, *, late: bool | float) -> None:
        after = late if isinstance(late, float) else self.nature.late * self._chance.random() if late else 0.0
        if after:
            self._pending.append((self.now + after, change, id_))
        else:
            change()

    def _put(self, path: str, row: Row) -> None:
        self.tables[path][row["id"]] = row
        self.born.add((_ATTRIBUTE_OF[path], row["id"]))
        self._log.append((self.now, path, row["id"], row))

    def _id(self) -> str:
        digits = f"{self._chance.getrandbits(128):032x}"
        return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-8{digits[17:20]}-{digits[20:]}"

    def _meta(self) -> Row:
        return {"createdAt": self._stamp(), "createdBy": None, "updatedAt": None, "updatedBy": None}

    def _stamp(self) -> str:
        stamp = self.now + self.nature.ahead
        return _text(float(int(stamp)) if self.nature.whole_seconds else stamp)

    # -- what is answered

    def answer(self, method: str, path: str, query: str, body: bytes | None) -> tuple[int, dict[str, str], bytes]:
        """Answer a request: status, headers and body."""
        if self.before is not None:
            self.before(method, path)
        while self._chance.random() < self.nature.busy:
            self.happen()
        self.pass_time(self._chance.choice((0.0, 0.0, 0.3, 2.0)))
        self.asked.append((method, path))
        headers = {"Content-Type": "application/json", "Date": formatdate(int(self.now), usegmt=True)}
        table, _, id_ = path.rpartition("/")
        if method == "GET" and table in self.tables:
            row = self.tables[table].get(id_)
            lost = b'{"error":{"code":"NotFound","message":"no","requestID":"1"}}'
            return (404, headers, lost) if row is None else (200, headers, json.dumps(row).encode())
        rows = self._rows(method, path, json.loads(body) if body else {})
        window = dict(part.split("=") for part in query.split("&"))
        offset, limit = int(window["offset"]), min(int(window["limit"]), self.nature.page)
        pagination = {"offset": offset, "limit": limit, "total": len(rows)}
        return 200, headers, json.dumps({"data": rows[offset : offset + limit], "pagination": pagination}).encode()

    def _rows(self, method: str, path: str, body: Row) -> list[Row]:
        if method == "GET":
            if path == GRADES and self.empty_lists:
                self.empty_lists -= 1
                return []
            return list(self.tables[path].values())
        path = path.removesuffix("/_search")
        assert path != GRADES, "grades cannot be searched"
        self.filters.append(body["filter"])
        rows = self._events if path == "/audit-event" else list(self._index[path].values())
        return [row for row in rows if _fits(row, body["filter"])]


_ANYBODY = "00000000-0000-4000-8000-000000000000"
_SHAPES: dict[str, Row] = {
    GROUPS: {"schoolID": _ANYBODY, "category": "Other", "types": [], "moderatorIDs": [], "memberIDs": []},
    PLACEMENTS: {"studentID": _ANYBODY, "schoolID": _ANYBODY, "schoolType": "GR", "startDate": "2020-08-18"},
    GRADES: {
        "studentID": _ANYBODY,
        "schoolID": _ANYBODY,
        "academicYear": "2025/2026",
        "term": "VT",
        "schoolYear": "9",
        "finalGrade": False,
        "isEnded": False,
    },
}
_MARKS = {GROUPS: "title", PLACEMENTS: "motherTongue", GRADES: "subjectCode"}


def _text(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _leaves(condition: Row, row: Row | None) -> list[tuple[Any, Any]]:
    """Return what is compared with what."""
    found: list[tuple[Any, Any]] = []
    for name, asked in condition.items():
        value = None if row is None else row.get(name)
        found += _leaves(asked, value) if isinstance(asked, dict) else [(value, asked)]
    return found


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


_HOLDS: dict[str, Callable[[Any, Any], bool]] = {
    "equals": lambda value, asked: value == asked,
    "contains": lambda value, asked: value in asked,
    "greaterOrEqual": lambda value, asked: value is not None and _time(value) >= _time(asked),
    "greaterThan": lambda value, asked: value is not None and _time(value) > _time(asked),
    "smallerThan": lambda value, asked: value is not None and _time(value) < _time(asked),
}


def _fits(row: Row, asked: Row) -> bool:
    """Whether a row meets a filter of the API."""
    assert asked.keys() <= {*_HOLDS, "orCondition", "nestedFilters"}, asked
    parts = [holds(*leaf) for group, holds in _HOLDS.items() for leaf in _leaves(asked.get(group, {}), row)]
    parts += [_fits(row, nested) for nested in asked.get("nestedFilters", ())]
    return any(parts) if asked.get("orCondition") else all(parts)

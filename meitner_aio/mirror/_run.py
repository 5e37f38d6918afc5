"""One run's writing: begun, filled row by row, then committed whole or not at all. Blocking; for one thread."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path

from .._pipeline.identity import Reader
from ..offline import plainly
from ..records import DirectoryRecord
from ._brakes import Brakes
from ._database import begin
from ._report import Count
from ._state import State, instant
from ._table import Table


class Run:
    """What a run writes. Whoever begins one ends it with `commit` or `roll_back`."""

    def __init__(self, database: sqlite3.Connection, path: Path, now: datetime) -> None:
        self.counts: dict[str, Count] = {}
        self.state = State(database, path)
        self.tables: dict[str, Table] = {}
        self._database = database
        self.path = path
        self._at = instant(now)
        self._before: dict[str, int] = {}
        self._told: dict[str, int] = {}
        self._gone: dict[str, dict[str, str]] = {}

    def begin(self, names: Iterable[str], reader: Reader) -> None:
        """Begin to write, in the tables of some resources; `MeitnerError` when it cannot be begun."""
        begin(self._database, self.path)
        try:
            with plainly(self.path):
                self.state.admit(reader)
                for name in names:
                    self._open(name)
                self._database.execute(
                    "CREATE TEMP TABLE IF NOT EXISTS seen (resource, id, PRIMARY KEY (resource, id))"
                )
                self._database.execute("DELETE FROM temp.seen")
        except BaseException:
            self.roll_back()
            raise

    def _open(self, name: str) -> None:
        table = self.tables[name] = Table(self._database, name)
        self.state.fit(table)
        self.counts[name] = Count()
        self._before[name] = table.count()
        self._told[name] = 0
        self._gone[name] = {}

    def put(self, name: str, records: Sequence[DirectoryRecord]) -> None:
        """Put records of a resource in its table."""
        count = self.counts[name]
        with plainly(self.path):
            for id_, kind in self.tables[name].put(records):
                if kind is None:
                    count.unchanged += 1
                else:
                    self._note(name, id_, kind)
                    self._database.execute("DELETE FROM tombstones WHERE resource = ? AND id = ?", [name, id_])
                count.inserted += kind == "insert"
                count.updated += kind == "update"
                self._told[name] += 1
                if self._before[name]:  # nothing can be missing from what was empty
                    self._database.execute("INSERT OR IGNORE INTO temp.seen VALUES (?, ?)", [name, id_])

    def bury(self, name: str, deaths: Iterable[tuple[str, datetime | None]]) -> None:
        """Delete rows at the end of the run, unless its brakes say no."""
        with plainly(self.path):
            for given, at in deaths:
                for id_ in self.tables[name].ids(given):
                    self._gone[name][id_] = self._at if at is None else instant(at)

    def bury_unseen(self, name: str, where: str = "true", values: Sequence[object] = ()) -> None:
        """Delete rows, of those that fit, which this run did not see, at its end."""
        if self._before[name]:
            with plainly(self.path):
                self._gone[name].update(dict.fromkeys(self.tables[name].unseen(where, values), self._at))

    def keep(self, checkpoint: str, names: Iterable[str]) -> None:
        """Go on from a checkpoint next time, as to these resources."""
        with plainly(self.path):
            self.state.keep(checkpoint, names)

    def finish(self, whole: Iterable[str], brakes: Brakes) -> None:
        """Delete what is gone. Raises `TooManyDeletions`; the resources in `whole` were read in full."""
        deletions = {name: len(gone) for name, gone in self._gone.items()}
        brakes.check(deletions, self._before, {name for name in whole if not self._told[name]})
        self.delete()
        with plainly(self.path):
            self.state.written(erase=any(count.updated or count.deleted for count in self.counts.values()))

    def delete(self) -> None:
        """Delete what is gone so far. Nothing of it lasts before `finish` has let it pass."""
        with plainly(self.path):
            for name, gone in self._gone.items():
                for id_ in list(gone)[self.counts[name].deleted :]:
                    self.tables[name].remove(id_)
                    tombstone = [name, id_, gone[id_]]
                    self._database.execute("INSERT OR REPLACE INTO tombstones VALUES (?, ?, ?)", tombstone)
                    self._note(name, id_, "delete")
                self.counts[name].deleted = len(gone)

    def _note(self, name: str, id_: str, kind: str) -> None:
        entry = [name, id_, kind, self._at]
        self._database.execute("INSERT INTO changes (resource, id, kind, at) VALUES (?, ?, ?, ?)", entry)

    def succeeded(self) -> None:
        """Note when the last run came to its end."""
        with plainly(self.path):
            self.state.succeeded(self._at)

    def commit(self) -> None:
        """Make it last."""
        with plainly(self.path):
            self._database.execute("COMMIT")

    def roll_back(self) -> None:
        """Leave everything as it was."""
        if self._database.in_transaction:
            self._database.execute("ROLLBACK")

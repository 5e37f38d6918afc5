"""Who follows a directory: a copy that plays changes back, and a naive one that many write at first."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

import msgspec
from changing_directory import ATTRIBUTES, GRADES, ChangingDirectory

from meitner_aio import RESOURCES, IncompleteListing
from meitner_aio._operations.operations import Binding
from meitner_aio._pipeline.identity import Reader
from meitner_aio._wire.messages import Headers, RawResponse, Request, Send, error_from
from meitner_aio._wire.page_size import PageSizes
from meitner_aio.changes import Changes, Deleted, Upserted


def sending(directory: ChangingDirectory) -> Send:
    """Return the way to a directory."""

    async def send(request: Request) -> RawResponse:
        status, headers, body = directory.answer(request.method, request.path, request.query, request.body)
        response = RawResponse(status, Headers(headers), body)
        if status != 200:
            raise error_from(request, response)
        return response

    return send


def truth(directory: ChangingDirectory) -> dict[tuple[str, str], Any]:
    """Return what the directory holds, as records."""
    return {
        (attribute, id_): _record(attribute, row)
        for attribute, path in ATTRIBUTES.items()
        for id_, row in directory.tables[path].items()
    }


def _record(attribute: str, row: dict[str, Any]) -> Any:
    return msgspec.json.decode(json.dumps(row), type=RESOURCES[attribute].model)


class Follower:
    """Plays changes back on to a dictionary."""

    def __init__(self, directory: ChangingDirectory, *, client: str = "me") -> None:
        self.directory = directory
        self.rows: dict[tuple[str, str], Any] = {}
        self.checkpoint: str | None = None
        self.reader = Reader("directory", {"client-id": client})
        self.runs = self.failed = 0
        self.last: Changes | None = None

    def changes(self, since: datetime | str | None = None, **given: Any) -> Changes:
        """Return changes of the directory."""

        async def reader() -> Reader:
            return self.reader

        given = {"lookback": 600.0, "grades_every": None, "retention": timedelta(days=30), **given}
        binding = Binding(sending(self.directory), 4, PageSizes())
        return Changes(binding, reader, since, given.pop("resources", tuple(ATTRIBUTES)), **given)

    async def run(self, **given: Any) -> bool:
        """Follow once; whether it came to its end.

        What was told before a failure stays, but for grades: no event tells of one that is deleted before the next run.
        """
        changes = self.last = self.changes(self.checkpoint, **given)
        first = self.checkpoint is None
        self.runs += 1
        alive = {*truth(self.directory)}
        self.directory.born.clear()
        grades = {place: row for place, row in self.rows.items() if place[0] == "grade_elementaries"}
        last: dict[tuple[str, str], Upserted[Any] | Deleted] = {}
        try:
            async for change in changes:
                place = (change.resource, change.record.id if isinstance(change, Upserted) else change.id)
                last[place] = change
                if isinstance(change, Upserted):
                    self.rows[place] = change.record
                else:
                    self.rows.pop(place, None)
        except IncompleteListing:
            self.failed += 1
            self.rows = {place: row for place, row in self.rows.items() if place[0] != "grade_elementaries"} | grades
            return False
        self.checkpoint = changes.checkpoint
        for place in [place for place in self.rows if place[0] in changes.full and place not in last]:
            del self.rows[place]
        self._is_sound(last, None if first else alive)
        return True

    def _is_sound(self, last: dict[tuple[str, str], Any], then: set[tuple[str, str]] | None) -> None:
        """Hold that nobody who lives was told as gone, and nobody as living who was dead before the run began.

        The latter not of a first run, which tells no deletions: an index that lags may have shown it who was dead.
        """
        now = {*truth(self.directory)}
        for place, change in last.items():
            if isinstance(change, Deleted):
                assert place not in now
            elif then is not None:
                assert place in now | then | self.directory.born


class Naive:
    """Asks for what is younger than the youngest row it has seen, and for nothing else."""

    def __init__(self, directory: ChangingDirectory) -> None:
        self.directory = directory
        self.rows: dict[tuple[str, str], Any] = {}
        self._newest: dict[str, str] = {}

    def run(self) -> None:
        """Follow once."""
        for attribute, path in ATTRIBUTES.items():
            for row in self._read(attribute, path):
                self.rows[attribute, row["id"]] = _record(attribute, row)
                stamp = row["meta"]["updatedAt"] or row["meta"]["createdAt"]
                self._newest[attribute] = max(stamp, self._newest.get(attribute, stamp))

    def _read(self, attribute: str, path: str) -> list[dict[str, Any]]:
        newest, rows, total = self._newest.get(attribute), [], 1
        later = {"createdAt": newest, "updatedAt": newest}
        asked = {"filter": {"orCondition": True, "greaterThan": {"meta": later}}}
        while len(rows) < total:
            query = f"limit=1000&offset={len(rows)}"
            listed = newest is None or path == GRADES
            method, where = ("GET", path) if listed else ("POST", f"{path}/_search")
            _, _, body = self.directory.answer(method, where, query, None if listed else json.dumps(asked).encode())
            page = json.loads(body)
            if not page["data"]:
                break
            rows += page["data"]
            total = page["pagination"]["total"]
        return rows

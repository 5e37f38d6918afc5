"""What happened to the rows of a mirror, for whoever follows it. Blocking."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Literal

from msgspec import Struct

from ._database import reading

_AT_ONCE = 1000


class FeedEntry(Struct, frozen=True):
    """One change of one row."""

    seq: int
    """Its place: always greater than that of an entry before."""
    resource: str
    id: str
    kind: Literal["insert", "update", "delete"]
    at: datetime
    """When the run began that brought it, by the clock of the machine that ran it."""


def entries(path: Path, after: int) -> Iterator[FeedEntry]:
    """Yield the entries behind a place, in order. The file is not held while the caller has an entry."""
    while found := _some(path, after):
        yield from found
        after = found[-1].seq


def _some(path: Path, after: int) -> list[FeedEntry]:
    query = "SELECT seq, resource, id, kind, at FROM changes WHERE seq > ? ORDER BY seq LIMIT ?"
    with reading(path) as database:
        rows = [] if database is None else database.execute(query, [after, _AT_ONCE]).fetchall()
    return [FeedEntry(seq, resource, id_, kind, datetime.fromisoformat(at)) for seq, resource, id_, kind, at in rows]


def last_success(path: Path) -> datetime | None:
    """Return when the last run began that came to its end."""
    with reading(path) as database:
        found = None if database is None else database.execute("SELECT last_success FROM meitner_aio_mirror").fetchone()
    return None if found is None or found[0] is None else datetime.fromisoformat(found[0])

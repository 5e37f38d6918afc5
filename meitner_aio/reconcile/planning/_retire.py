"""Plans the end of placements that are over, whatever a registry says: without one."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

from msgspec import Struct

from ..._pipeline.identity import Reader
from ..._runtime.threads import stoppable
from ..._wire.validation import check_whole
from ...client import Meitner
from ...records import DirectoryRecord
from ._actions import ActionKind
from ._brakes import Brakes
from ._hashes import Hashes
from ._holding import Evidence, decide
from ._keys import PLACEMENTS, source_of
from ._matching import Records
from ._ownership import only
from ._placements import Day, as_placement, next_step
from ._plan import Plan
from ._planner import check_time, known_reader, settings_of
from ._present import Copy, Present, read
from ._proposal import Proposal
from ._removals import Removals
from ._requests import estimate

_BRAKES = Brakes()


class _Asked(Struct, frozen=True, kw_only=True):
    ended: timedelta
    archived: timedelta | None
    brakes: Brakes
    accept_removals: int | None
    source: str | None

    def __post_init__(self) -> None:
        check_time("ended", self.ended)
        if self.archived is not None:
            check_time("archived", self.archived)
        if self.accept_removals is not None:
            check_whole("accept_removals", self.accept_removals, 0)


async def retire(
    meitner: Meitner,
    *,
    ended: timedelta,
    archived: timedelta | None = None,
    brakes: Brakes = _BRAKES,
    accept_removals: int | None = None,
    source: str | None = None,
    present: Copy | None = None,
) -> Proposal:
    """Return what would archive placements that ended `ended` ago, and delete what was archived `archived` ago.

    Writes nothing. None for `archived` deletes nothing. Only placements of one `source` are touched: unless it is
    named, the one that all placements have which have any. The API archives placements of students only.

    Raises `ConfigurationError` where the placements are of several sources, and what reading raises.
    """
    asked = _Asked(ended=ended, archived=archived, brakes=brakes, accept_removals=accept_removals, source=source)
    reader = await known_reader(meitner)
    there = await read(meitner, PLACEMENTS, present)

    def planned(stop: threading.Event) -> Plan:
        return _retiring(there, asked, reader, stop)

    return Proposal(await stoppable(planned), meitner)


def _retiring(present: Present, asked: _Asked, reader: Reader, stop: threading.Event) -> Plan:
    day = Day(datetime.fromtimestamp(present.now, UTC), asked.ended, asked.archived)
    hashes = Hashes(reader)
    removals = Removals(hashes, day, delete=False)
    owned: dict[str, Mapping[str, int]] = {}
    with present:
        source = _source(present) if asked.source is None else asked.source
        for resource in PLACEMENTS:
            if not stop.is_set():
                records = Records(resource, present.records(resource), source)
                owned[resource] = records.owned
                _over(resource, records.ours.values(), removals, day)
    removals.finish(())
    incomplete = {name: present.incomplete & {name} for name in PLACEMENTS}
    evidence = Evidence(doubts={}, incomplete=incomplete, shrunk={}, strays={})
    decided = decide(removals.actions, evidence, owned, asked.brakes, accept_removals=asked.accept_removals, people={})
    return Plan(
        resources=tuple(PLACEMENTS),
        actions=decided.actions,
        held=decided.held,
        source=source,
        is_source_learnt=source is not None and asked.source is None,
        waiting={name: count for name, count in removals.waiting.items() if count},
        owned={name: counts.get("", 0) for name, counts in owned.items()},
        requests=estimate(decided.actions),
        settings=settings_of(asked.ended, asked.archived, asked.accept_removals),
        made_at=present.now,
        salt=hashes.salt,
        directory=reader.stamp(),
    )


def _source(present: Present) -> str | None:
    everything = (record for resource in PLACEMENTS for record in present.records(resource))
    return only({source for record in everything if (source := source_of(record)) is not None}, "placements")


def _over(resource: str, records: Iterable[DirectoryRecord], removals: Removals, day: Day) -> None:
    for record in records:
        step = next_step(as_placement(record), resource, day)
        if step.kind is not ActionKind.END:
            removals.step(resource, record, step)

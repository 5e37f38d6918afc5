"""Plans: reads what the directory holds, compares it with what a registry says, and tells what would be done."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from os import PathLike

from msgspec import Struct

from ..._pipeline.identity import Reader, reader_of
from ..._runtime.threads import stoppable, threaded
from ..._wire.validation import check_whole
from ...client import Meitner
from ...records import DirectoryRecord
from ...resources._references import REFERENCES
from ...resources.schools import School, SchoolType
from ..applying._journal import last_row_counts
from ..applying._shrinking import is_shrunk
from ..registry._declared import declared
from ..registry._desired import Desired
from ..registry._problems import MOST_PROBLEMS, Findings
from ._actions import Action, ActionKind, Held, ReconcileSettings
from ._brakes import Brakes
from ._comparing import Comparison
from ._hashes import Hashes
from ._holding import Decided, Evidence, decide
from ._keys import ORDER, PEOPLE, PLACEMENTS
from ._matching import Records
from ._outcomes import Deciding
from ._ownership import Learning
from ._placements import Day
from ._plan import Plan
from ._present import Copy, Present, read
from ._proposal import Proposal
from ._references import PENDING, References
from ._removals import Removals
from ._requests import estimate

_BRAKES = Brakes()
_WEEK = timedelta(days=7)
_DAY = timedelta(days=1)


class Asked(Struct, frozen=True, kw_only=True):
    """What a plan is asked for."""

    claim: bool
    delete: bool
    grace: timedelta
    retention: timedelta | None
    brakes: Brakes
    accept_removals: int | None
    source: str | None

    def __post_init__(self) -> None:
        """Raise `TypeError` or `ValueError` for what means nothing."""
        check_time("grace", self.grace)
        if self.retention is not None:
            check_time("retention", self.retention)
        if self.accept_removals is not None:
            check_whole("accept_removals", self.accept_removals, 0)


def settings_of(
    grace: timedelta,
    retention: timedelta | None,
    accept_removals: int | None,
    *,
    claim: bool = False,
    delete: bool = False,
) -> ReconcileSettings:
    """Return what whoever approves a plan is told of how it was made."""
    return ReconcileSettings(
        claim=claim,
        delete=delete,
        grace_days=grace / _DAY,
        retention_days=None if retention is None else retention / _DAY,
        accept_removals=accept_removals,
    )


def check_time(name: str, value: object) -> None:
    """Raise `TypeError` or `ValueError` for what is no time that may pass."""
    if not isinstance(value, timedelta):
        raise TypeError(f"{name} must be a timedelta, not {type(value).__name__}")
    if value < timedelta():
        raise ValueError(f"{name} must be at least 0")


async def plan(
    meitner: Meitner,
    desired: Desired,
    *,
    present: Copy | None = None,
    claim: bool = False,
    delete: bool = False,
    grace: timedelta = _WEEK,
    retention: timedelta | None = None,
    brakes: Brakes = _BRAKES,
    accept_removals: int | None = None,
    source: str | None = None,
    journal: str | PathLike[str] | None = None,
) -> Proposal:
    """Return what would bring the directory to the desired state. Writes nothing.

    What is read: the resources of the registry and those that they refer to, in full; or what changed since, where
    `present` is a `meitner_aio.mirror.Mirror`. Only records of one `source` (`external.source`, which the API derives
    from the credential) are changed: unless it is named, it is that of the records whose source ids the registry has.
    With `claim`, records that nobody owns are taken over where a row has their key.

    Placements that the registry lacks are ended, archived `grace` after that, and deleted from the archive after
    `retention` (None: never). People and groups that it lacks are left alone unless `delete`.

    Removals are held where it is doubtful that something is missing, or where they are too many for the `brakes`:
    `accept_removals`, exactly their number, lets them go. With the `journal` of earlier runs, the registry is compared
    with that of the last one.

    Raises `ConfigurationError` where the registry's ids are of several sources, and what reading raises.
    """
    asked = Asked(
        claim=claim,
        delete=delete,
        grace=grace,
        retention=retention,
        brakes=brakes,
        accept_removals=accept_removals,
        source=source,
    )
    reader = await known_reader(meitner)
    there = await read(meitner, needed(desired, delete=delete), present)
    last = None if journal is None else await threaded(last_row_counts, journal, reader)
    planner = Planner(desired, there, asked, reader, last)
    return Proposal(await stoppable(planner.plan), meitner, desired)


async def known_reader(meitner: Meitner) -> Reader:
    """Return who reads which directory; `TypeError` for what cannot say so."""
    reader = await reader_of(meitner)
    if reader is None:
        raise TypeError("a plan is made through a Meitner client, which says of which directory it is")
    return reader


def needed(desired: Desired, *, delete: bool) -> tuple[str, ...]:
    """Return the resources that have to be read for a registry, each behind those that its records refer to."""
    names = set(desired.resources)
    for resource in desired.resources:
        for field in declared(resource).fields:
            names.update(REFERENCES.get(field, ()))
    if delete and names & set(PEOPLE):
        names |= {home for home, person in PLACEMENTS.items() if set(REFERENCES[person]) & set(desired.resources)}
    return tuple(name for name in ORDER if name in names)


class _StoppedError(Exception):
    """Raised in the thread of a plan that nobody waits for any more."""


class Planner:
    """Makes one plan of what was read. Blocking."""

    def __init__(
        self, desired: Desired, present: Present, asked: Asked, reader: Reader, last: Mapping[str, int] | None
    ) -> None:
        """Compare the registry with what is there."""
        self._desired = desired
        self._present = present
        self._asked = asked
        self._reader = reader
        self._last = last
        self._resources = needed(desired, delete=asked.delete)
        self._findings = Findings()
        self._references = References(name for name in self._resources if name not in (*PLACEMENTS, "groups"))
        self._actions: list[Action] = []
        self._held: list[Held] = []
        self._owned: dict[str, Mapping[str, int]] = {}
        self._unchanged: dict[str, int] = {}
        self._people: set[str] = set()
        self._strays: dict[tuple[str, str], int] = {}
        self._ids: dict[str, str] = {}
        self._stop = threading.Event()

    def plan(self, stop: threading.Event) -> Plan:
        """Return the plan; `stop` ends it early, with nothing."""
        self._stop = stop
        with self._present:
            return self._planned()

    def _planned(self) -> Plan:
        day = Day(datetime.fromtimestamp(self._present.now, UTC), self._asked.grace, self._asked.retention)
        self._hashes = Hashes(self._reader)
        self._preschools: set[str] = set()
        source = self._index()
        deciding = Deciding(self._hashes, source, day.today, claim=self._asked.claim)
        deciding.preschools = self._preschools
        removals = Removals(self._hashes, day, delete=self._asked.delete)
        for resource in self._resources:
            if resource in self._desired.resources:
                self._compare(resource, source, deciding, removals)
            elif resource in PLACEMENTS:
                removals.placements(resource, self._records(resource))
        removals.finish(self._people)
        decided = decide(
            [*self._actions, *removals.actions],
            self._evidence(),
            self._owned,
            self._asked.brakes,
            accept_removals=self._asked.accept_removals,
            people=removals.people,
        )
        return self._told(decided, source, removals)

    def _index(self) -> str | None:
        """Go through everything once: know what references may name, and learn the source, which is returned."""
        learning = Learning(self._desired, self._references) if self._asked.source is None else None
        for resource in self._resources:
            index = self._references.indexes.get(resource)
            learns = learning if resource in self._desired.resources else None
            if index is None and learns is None:
                continue
            for record in self._records(resource):
                if index is not None:
                    index.add(record)
                if learns is not None:
                    learns.hear(resource, record)
                if isinstance(record, School) and record.school_type == SchoolType.FS:
                    self._preschools.add(record.id.lower())
        source = self._asked.source if learning is None else learning.source
        for index in self._references.indexes.values():
            index.source = source
        return source

    def _records(self, resource: str) -> Iterator[DirectoryRecord]:
        for record in self._present.records(resource):
            self._go_on()
            yield record

    def _go_on(self) -> None:
        if self._stop.is_set():
            raise _StoppedError

    def _compare(self, resource: str, source: str | None, deciding: Deciding, removals: Removals) -> None:
        """Compare the rows of a resource with its records."""
        records = Records(resource, self._records(resource), source)
        rows = Comparison(records, self._desired, self._references, self._findings, deciding)
        for _ in rows.read(self._present.incomplete):
            self._go_on()
        settled = rows.settled()
        self._actions += settled.actions
        self._held += settled.held
        self._unchanged[resource] = settled.unchanged
        self._owned[resource] = records.owned
        self._people |= rows.people
        self._strays.update({(resource, school): count for school, count in rows.strays.items()})
        self._ids.update((self._hashes.of_reference(reference), target) for reference, target in rows.ids.items())
        if resource == "schools":
            for made in filter(_makes_preschool, settled.actions):
                deciding.add_preschool(PENDING + made.name)
        removals.missing(resource, rows.missing())
        if resource in PLACEMENTS and self._asked.delete:
            removals.placements(resource, self._records(resource))

    def _evidence(self) -> Evidence:
        names, incomplete = self._desired.resources, self._present.incomplete
        counts = {name: self._desired.count(name) for name in names}
        last = self._last or {}
        return Evidence(
            doubts={name: self._desired.doubts(name) for name in names},
            incomplete={name: incomplete & {name, *_placements_of(name)} for name in names},
            shrunk={name: (n, last[name]) for name, n in counts.items() if name in last and is_shrunk(n, last[name])},
            strays=self._strays,
            naming={name: self._left_out_naming(name) for name in PEOPLE if name in names},
        )

    def _left_out_naming(self, person: str) -> Mapping[str, int]:
        """Return how many rows were left out that may name a person: of them only the keys are known.

        A placement's key says whose it is.
        """
        left_out = self._desired.held_rows
        return {
            name: left_out[name]
            for name in self._desired.resources
            if name not in PLACEMENTS and left_out[name] and _may_name(name, person)
        }

    def _told(self, decided: Decided, source: str | None, removals: Removals) -> Plan:
        names = self._desired.resources
        return Plan(
            resources=tuple(name for name in ORDER if name in names),
            actions=decided.actions,
            held=(*self._held, *decided.held),
            problems=(*self._desired.problems, *self._findings.problems)[:MOST_PROBLEMS],
            notes=self._desired.notes,
            source=source,
            is_source_learnt=source is not None and self._asked.source is None,
            waiting={name: removals.waiting[name] for name in names if removals.waiting[name]},
            unchanged=self._unchanged,
            owned={name: owned[""] for name, owned in self._owned.items()},
            row_counts={name: self._desired.count(name) for name in names},
            has_last_run=self._last is not None,
            ids=self._ids,
            requests=estimate(decided.actions),
            settings=settings_of(
                self._asked.grace,
                self._asked.retention,
                self._asked.accept_removals,
                claim=self._asked.claim,
                delete=self._asked.delete,
            ),
            made_at=self._present.now,
            salt=self._hashes.salt,
            directory=self._reader.stamp(),
        )


def _may_name(resource: str, person: str) -> bool:
    return any(person in REFERENCES.get(field, ()) for field in declared(resource).fields)


def _placements_of(resource: str) -> Iterator[str]:
    """Yield where the placements of people are: they have to be known before a person is deleted."""
    return (home for home, person in PLACEMENTS.items() if resource in REFERENCES[person])


def _makes_preschool(action: Action) -> bool:
    change = action.changes.get("school_type")
    return action.kind is ActionKind.CREATE and change is not None and change.after == SchoolType.FS

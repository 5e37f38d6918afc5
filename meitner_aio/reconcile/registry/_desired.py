"""What a registry says that the directory should hold: read and checked whole, before anything is asked or sent."""

from __future__ import annotations

import codecs
import os
from collections.abc import Container, Iterable, Iterator, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Self, TypedDict, Unpack, cast

from ..._runtime.frames import without_frames
from ...resources import RESOURCES
from ...resources.employee_placements import EmployeePlacement, EmployeePlacementCreate
from ...resources.employees import Employee, EmployeeFields
from ...resources.groups import Group, GroupCreate
from ...resources.guardians import Guardian, GuardianFields
from ...resources.schools import School, SchoolCreate
from ...resources.student_placements import StudentPlacement, StudentPlacementCreate
from ...resources.students import Student, StudentFields
from ...resources.units import Unit, UnitFields
from ._declared import resource_of
from ._files import found_in
from ._problems import Findings, Note, Problem
from ._rows import HeldRow, Key, Row
from ._table import Doubt, FileSource, MemorySource, Source, Table

_ENCODINGS = ("utf-8", "cp1252")


class Rows(TypedDict, total=False):
    """What a desired state is made of in memory: writes, records, or mappings named as the columns of a file."""

    schools: Iterable[SchoolCreate | School | Mapping[str, object]]
    units: Iterable[UnitFields | Unit | Mapping[str, object]]
    groups: Iterable[GroupCreate | Group | Mapping[str, object]]
    employees: Iterable[EmployeeFields | Employee | Mapping[str, object]]
    employee_placements: Iterable[EmployeePlacementCreate | EmployeePlacement | Mapping[str, object]]
    guardians: Iterable[GuardianFields | Guardian | Mapping[str, object]]
    students: Iterable[StudentFields | Student | Mapping[str, object]]
    student_placements: Iterable[StudentPlacementCreate | StudentPlacement | Mapping[str, object]]


class Desired:
    """The records that the directory should hold, of the resources that a registry has; of others it says nothing.

    A value that is empty (a cell without text, `null`) means null where the field may be null, and nothing elsewhere;
    an empty cell of a list is an empty list. Rows with a problem are left out, and never count as missing: see
    `is_held` and `doubts`. Reading blocks: in a program with an event loop, load in a thread.
    """

    def __init__(self, **rows: Unpack[Rows]) -> None:
        """Check rows that are in memory; `ValueError` for a resource that no registry can hold."""
        given = {resource_of(name): items for name, items in cast("dict[str, Iterable[object]]", rows).items()}
        self._read({name: MemorySource(name, given[name]) for name in RESOURCES if name in given})

    @classmethod
    def load(cls, folder: str | os.PathLike[str], *, encoding: str = "utf-8") -> Self:
        """Read and check a folder with a file for each resource: `students.csv`, `groups.ndjson`, `units.parquet`.

        `encoding` is that of CSV: UTF-8, with or without a byte order mark, or "cp1252". Hidden files, README and texts
        (.md, .rst, .txt) are passed over. Raises `ValueError` for any other file, for two of one resource, and for a
        folder without any. What is wrong inside the files is in `problems`.
        """
        known = _encoding(encoding)
        found = found_in(Path(folder))
        if not found:
            raise ValueError(f"{Path(folder).name} holds no file of a resource, such as students.csv")
        self = cls.__new__(cls)
        self._read({name: FileSource(name, path, known) for name, path in found.items()})
        return self

    def _read(self, sources: Mapping[str, Source]) -> None:
        findings, today = Findings(), _today()
        self._problem_counts: dict[str, int] = {}
        self._tables = {name: Table(name, source, today) for name, source in sources.items()}
        for table in self._tables.values():
            try:
                table.check(findings)
            except Exception as error:
                without_frames(error)  # its frames hold rows
                raise
        order = list(self._tables)
        self._problems = tuple(sorted(findings.problems, key=lambda one: (order.index(one.resource), one.line)))
        self._problem_counts = {name: findings.problem_counts[name] for name in self._tables}
        self._notes = findings.notes

    @property
    def resources(self) -> tuple[str, ...]:
        """The resources that the registry has, in the order of the contract."""
        return tuple(self._tables)

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What is wrong, by resource and line: the first thousand found."""
        return self._problems

    @property
    def problem_counts(self) -> Mapping[str, int]:
        """How many problems there are of each resource, those beyond the first thousand too."""
        return self._problem_counts

    @property
    def notes(self) -> tuple[Note, ...]:
        """What was put right, and what is odd and used nevertheless (`note.kind.is_warning`)."""
        return self._notes

    @property
    def empty(self) -> frozenset[str]:
        """The resources that the registry has without a single row."""
        return frozenset(name for name, table in self._tables.items() if Doubt.EMPTY in table.doubts)

    @property
    def unreadable(self) -> frozenset[str]:
        """The resources whose file, or its header, could not be read."""
        return frozenset(name for name, table in self._tables.items() if Doubt.UNREADABLE in table.doubts)

    @property
    def unknown_rows(self) -> Mapping[str, int]:
        """How many rows of each resource were left out of which no key could be read."""
        return {name: table.unknown_rows for name, table in self._tables.items()}

    @property
    def held_rows(self) -> Mapping[str, int]:
        """How many rows of each resource were left out, those without a readable key among them."""
        return {name: table.held_count for name, table in self._tables.items()}

    def count(self, resource: str) -> int:
        """Return how many rows can be used."""
        return self._table(resource).count

    def digest(self, resource: str) -> str:
        """Return what is the same as long as every row says the same, in whatever format: a SHA-256 in hexadecimal."""
        return self._table(resource).digest

    def doubts(self, resource: str) -> frozenset[Doubt]:
        """Return why nothing can be called missing; nothing when what no row and no held row names is missing."""
        return self._table(resource).doubts

    def rows(self, resource: str, *, lines: Container[int] | None = None) -> Iterator[Row]:
        """Yield the rows that can be used, in their order, reading them again; those of some `lines`, or all.

        `MeitnerError` when the file is not the one that was checked.
        """
        return self._table(resource).rows(lines)

    def held(self, resource: str) -> Iterator[HeldRow]:
        """Yield the rows that were left out, with the keys of them that can be read, as `rows` does."""
        return self._table(resource).held()

    def is_held(self, resource: str, key: Key) -> bool:
        """Whether a row with this key, spelled in this way, was left out."""
        return self._table(resource).is_held(key)

    def has(self, resource: str, key: Key) -> bool:
        """Whether a row that can be used has this key, spelled in this way."""
        return self._table(resource).has(key)

    def _table(self, resource: str) -> Table:
        if resource not in self._tables:
            raise ValueError(f"the registry has no {resource_of(resource)}")
        return self._tables[resource]

    def __repr__(self) -> str:
        """Show how many rows there are, and nothing of what they say."""
        counts = [
            f"{name} {table.count:,}" + (f" ({table.held_count:,} left out)" if table.held_count else "")
            for name, table in self._tables.items()
        ]
        return f"<Desired: {', '.join(counts)}; {sum(self._problem_counts.values()):,} problems>"


def _today() -> date:
    return datetime.now(UTC).date()


def _encoding(name: str) -> str:
    try:
        known: Any = codecs.lookup(name).name
    except LookupError:
        known = None
    if known == "utf-8-sig":
        known = "utf-8"
    if known not in _ENCODINGS:
        raise ValueError(f"encoding must be {' or '.join(_ENCODINGS)}, not {name!r}")
    return str(known)

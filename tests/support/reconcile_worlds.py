"""Small directories beside small registries, in every state of life; and the sandbox that such a directory becomes.

What a directory should come to is for `reconcile_oracle` to say: here is only what there is, as plain dicts.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any, NamedTuple

import msgspec
from hypothesis import strategies as st
from reconcile_oracle import Rules
from reconcile_tables import DEFAULTS, FIXED, MADE, NATURAL, ORDER, PEOPLE, REQUIRED, Directory, Record, learnt

from meitner_aio.records import wire_name
from meitner_aio.resources import RESOURCES
from meitner_aio.sandbox import Sandbox

_PEOPLE = {"students": 4, "employees": 2, "guardians": 2}

OURS, FOREIGN = "api", "other"
"""Sources: what the sandbox writes for its credential, and one that it does not."""

Registry = dict[str, list[Record]]


class World(NamedTuple):
    """A directory, a registry, and what is asked for."""

    directory: Directory
    registry: Registry
    rules: Rules
    today: date


class _Maker:
    """Makes a world as chance has it: a seed makes worlds denser than a strategy's draws, which keep to the simple."""

    def __init__(self, chance: Random, today: date, *, dirt: bool) -> None:
        self.chance, self.today, self.dirt = chance, today, dirt
        self.directory: Directory = {resource: [] for resource in ORDER}
        self.registry: Registry = {resource: [] for resource in ORDER}
        self.claim, self.delete = self.one(False, True), self.one(False, True)
        self.number = 0
        self.people: list[tuple[str, str, str | None]] = []
        """Resource, identity number and source id by which rows may name them."""
        self.schools: list[tuple[str, Record]] = []
        """Id or "" where there is none yet, and a column that names it."""

    def one(self, *choices: Any) -> Any:
        """Draw one of some values."""
        return self.chance.choice(choices)

    def id(self) -> str:
        """Return a new id."""
        self.number += 1
        return f"{self.number:08x}-0000-4000-8000-000000000000"

    def owner(self, mine: str) -> tuple[str | None, str | None]:
        """Draw a source and a source id; `mine` is that of the row."""
        source = self.one(*[OURS] * 10, None, None, FOREIGN) if self.dirt else OURS
        if source == OURS:
            return source, mine
        return source, None if source is None else f"theirs-{mine}"

    def add(self, resource: str, owner: tuple[str | None, str | None], **fields: Any) -> Record:
        """Put a record into the directory."""
        record = {"id": self.id(), "source": owner[0], "source_id": owner[1], **DEFAULTS[resource], **fields}
        self.directory[resource].append(record)
        return record

    def ask(self, resource: str, source_id: str | None, **columns: Any) -> Record:
        """Put a row into the registry."""
        row = {"source_id": source_id, **columns} if source_id else columns
        self.registry[resource].append(row)
        return row

    def day(self, days: int) -> date:
        """Return a date, so many days from today."""
        return self.today + timedelta(days)

    # -- schools

    def school(self, number: int, title: str, *, keep: bool) -> None:
        """Make a school; `keep` its title, where another has the same: a reference would come to be clear by its change."""
        mine = f"school-{number}"
        what = self.one("same", "same", "same", "changed", "new", "left")
        if self.dirt and self.one(*[False] * 7, True):
            what = "typed"
        fields = {"title": title, "unit_code": f"U{number}", "school_type": "GR"}
        record = None
        if what != "new":
            record = self.add("schools", self.owner(mine), **fields)
        if what == "changed" and not keep:
            fields["title"] = f"{title} ny"
        if what == "typed":
            fields["school_type"] = "GY"
        if what != "left":
            self.ask("schools", mine, **fields)
        if record is None or record["source_id"] == mine:
            by = {"school.source_id": mine}
        elif fields["title"] != title:
            by = {"school.unit_code": fields["unit_code"]}
        else:
            by = {"school.title": title}
        if what in ("same", "left") and self.one(False, True):
            by = {"school.title": title}
        self.schools.append(("" if record is None else record["id"], by))

    # -- people

    def person(self, resource: str) -> None:
        """Make a person."""
        self.number += 1
        n = self.number
        mine, identity = f"{resource}-{n}", f"20150{1 + n % 9}{10 + n % 15}-{n:04d}"
        names = {"first_name": f"Bo{n}", "last_name": f"Ek{n}"}
        what = self.one("same", "same", "changed", "new", "left", "rekeyed", "renamed")
        if self.dirt and self.one(*[False] * 7, True):
            what = self.one("bad", "bad new", "twice", "crossed", "nameless")
        record = None
        owner = self.owner(f"{mine}-before" if what == "renamed" else mine)
        if what not in ("new", "bad new"):
            before = f"20140{1 + n % 9}{10 + n % 15}-{n:04d}" if what in ("rekeyed", "crossed") else identity
            record = self.add(resource, owner, identity_number=before, **names)
        if what == "crossed":
            self.add(resource, self.owner(f"{mine}-b"), identity_number=identity, first_name="Bo", last_name="Ek")
        if what == "changed" or self.one(False, False, True):
            names["last_name"] = f"Al{n}"
        told = None if self.dirt and self.one(False, False, False, True) and what != "renamed" else mine
        if what != "left":
            if what.startswith("bad"):
                names["first_name"] = ""
            row = self.ask(resource, told, identity_number=identity, **names)
            if what == "twice":
                self.registry[resource].append({**row, "last_name": "Dubbel"})
            if what == "nameless":
                row.clear()
                row.update({"identity_number": "", "first_name": "X", "last_name": "Y"})
        clean = record is None or record["source"] == OURS or (record["source"] is None and self.claim)
        known = told if clean and what not in ("left", "bad", "bad new", "twice", "crossed", "nameless") else None
        if what != "crossed":
            self.people.append((resource, identity, known))

    def named(self, person: tuple[str, str, str | None], column: str) -> Record:
        """Draw a column that names a person."""
        _, identity, source_id = person
        if source_id is not None and self.one(False, True):
            return {f"{column}.source_id": source_id}
        return {f"{column}.identity_number": identity}

    def found(self, person: tuple[str, str, str | None]) -> Record | None:
        """Return the record of a person, where there is one."""
        resource, identity, source_id = person
        for record in self.directory[resource]:
            if record["identity_number"] == identity or (source_id and record["source_id"] == source_id):
                return record
        return None

    # -- placements

    def placements(self, resource: str, person: tuple[str, str, str | None], place: tuple[str, Record]) -> None:
        """Make the placements of a person at a school."""
        self.number += 1
        mine, record = f"placement-{self.number}", self.found(person)
        key = "student_id" if resource == "student_placements" else "employee_id"
        lives = ["open", "future", "today", "yesterday", "six", "seven", "long ago", "starting"]
        if resource == "student_placements":
            lives += ["archived", "long archived"]
        there = []
        if record is not None and place[0]:
            for number in range(self.one(1, 1, 0, 2)):
                there.append(
                    self.placement(resource, {key: record["id"], "school_id": place[0]}, f"{mine}-{number}", lives)
                )
        if not self.one(True, True, True, False):
            return
        like = there[0] if there else {"start_date": self.day(-400), "end_date": None}
        start = like["start_date"] + timedelta(self.one(0, 0, 0, -5))
        row: Record = {**self.named(person, key.removesuffix("_id")), **place[1], "start_date": start}
        ends = [
            day for day in (None, self.day(30), self.day(0), self.day(-3), like["end_date"]) if not day or day >= start
        ]
        if self.one(False, False, True):
            row["end_date"] = self.one(*ends)
        if resource == "student_placements":
            row |= {"school_type": "GR", "school_year": self.one("4", "5")}
        else:
            row["signature"] = self.one("a", "b")
        if self.dirt and self.one(*[False] * 7, True):
            row["start_date"] = ""
        self.ask(resource, self.one(f"{mine}-0", f"{mine}-0", f"{mine}-9", None), **row)

    def placement(self, resource: str, ends: Record, mine: str, lives: list[str]) -> Record:
        """Make one placement in the directory."""
        life, (source, source_id) = self.one(*lives), self.owner(mine)
        if source is None and "archived" in life:
            life = "open"
        start, end, archived = {
            "open": (-400, None, None),
            "future": (-400, 60, None),
            "today": (-400, 0, None),
            "yesterday": (-400, -1, None),
            "six": (-400, -6, None),
            "seven": (-400, -7, None),
            "long ago": (-400, -100, None),
            "starting": (20, self.one(None, 60), None),
            "archived": (-400, -100, 10),
            "long archived": (-1200, -800, 500),
        }[life]
        fields = {"school_type": "GR", "school_year": "4"} if resource == "student_placements" else {"signature": "a"}
        dates = {"start_date": self.day(start), "end_date": None if end is None else self.day(end)}
        moment = (
            None
            if archived is None
            else datetime.now(UTC).replace(microsecond=0) - timedelta(archived, seconds=len(mine))
        )
        return self.add(resource, (source, source_id), **ends, **fields, **dates, archived_at=moment)

    # -- groups and guardians

    def group(self, number: int, place: tuple[str, Record]) -> None:
        """Make a group."""
        mine, title = f"group-{number}", f"G{number}"
        what = self.one("same", "changed", "new", "left", "retitled")
        if self.dirt and self.one(*[False] * 7, True):
            what = self.one("recategorised", "bad")
        people = [person for person in self.people if person[1] and self.one(False, True)]
        if what != "new" and place[0]:
            records = [record for person in people if (record := self.found(person))]
            ids = [record["id"] for record in records]
            fields = {"school_id": place[0], "title": title, "category": "Other", "member_ids": ids}
            self.add("groups", self.owner(mine), **fields)
        if what == "left":
            return
        if what == "changed":
            people = people[1:]
        row: Record = {**place[1], "title": f"{title} ny" if what == "retitled" else title, "category": "Other"}
        if what == "recategorised":
            row["category"] = "Education"
        elif what == "bad":
            row["title"] = ""
        else:
            row["members.identity_number"] = [identity for _, identity, _ in people]
        self.ask("groups", self.one(mine, mine, None) if what != "retitled" else mine, **row)

    def guardian(self) -> None:
        """Give the last guardian some students."""
        students = [person for person in self.people if person[0] == "students" and self.one(True, False)]
        for record in self.directory["guardians"][-1:]:
            record["student_ids"] = [found["id"] for person in students if (found := self.found(person))]
        rows = self.registry["guardians"]
        for row in rows[-1:]:
            if _is_good(row, rows) and self.one(True, False):  # of rows that are left out only their keys are known
                chosen = [identity for _, identity, _ in students if self.one(True, True, False)]
                row["students.identity_number"] = chosen

    def everything(self, schools: int, people: Mapping[str, int]) -> tuple[Directory, Registry]:
        """Make a whole world."""
        twins = self.dirt and self.one(False, False, False, True)
        for number in range(schools):
            is_twin = twins and number < 2
            self.school(number, "Skola 0" if is_twin else f"Skola {number}", keep=is_twin)
        for resource, count in people.items():
            for _ in range(count):
                self.person(resource)
                if resource == "guardians":
                    self.guardian()
        for person in self.people:
            if person[0] != "guardians":
                name = f"{person[0].removesuffix('s')}_placements"
                for place in self.schools[: self.one(1, 0, 2)]:
                    self.placements(name, person, place)
        for number in range(self.one(0, 1, 2)):
            self.group(number, self.one(*self.schools))
        kept = [resource for resource in ORDER if not self.dirt or self.one(*[True] * 9, False)]
        if self.dirt and self.one(*[False] * 9, True):
            self.registry[self.one(*ORDER)] = []
        return self.directory, {resource: self.registry[resource] for resource in kept}


def world(
    seed: int, *, schools: int = 2, people: Mapping[str, int] = _PEOPLE, dirt: bool = True, brakes: bool = False
) -> World:
    """Return a world, the same for a seed all through a day; without dirt every record is ours and every row good."""
    today = datetime.now(UTC).date()
    maker = _Maker(Random(seed), today, dirt=dirt)
    directory, registry = maker.everything(schools, people)
    good = {name: [row for row in rows if _is_good(row, rows)] for name, rows in registry.items()}
    is_said = learnt(directory, registry) != {OURS} or learnt(directory, good) != {OURS} or maker.one(False, True)
    rules = Rules(OURS, is_said, maker.claim, maker.delete, 7, maker.one(None, 365))
    if brakes:
        rules = rules._replace(remove=maker.one(0.0, 0.3, 0.5), update=maker.one(0.0, 0.5), minimum=maker.one(0, 1, 2))
    return World(directory, registry, rules, today)


def _is_good(row: Record, rows: list[Record]) -> bool:
    keys = [(name, row[name]) for name in ("source_id", "identity_number") if name in row]
    return "" not in row.values() and not any(other is not row and other.get(k) == v for k, v in keys for other in rows)


def worlds(*, dirt: bool = True, brakes: bool = False) -> st.SearchStrategy[World]:
    """Draw worlds of up to three schools and eight people."""
    people = st.fixed_dictionaries({name: st.integers(0, most) for name, most in _PEOPLE.items()})
    sizes = {"schools": st.integers(1, 3), "people": people}
    return st.builds(world, st.integers(0, 2**32), dirt=st.just(dirt), brakes=st.just(brakes), **sizes)


# -- the sandbox


def put(sandbox: Sandbox, resource: str, record: Mapping[str, Any]) -> None:
    """Put a record into a sandbox as it is, whoever owns it."""
    fields = {name: value for name, value in record.items() if name not in ("source", "source_id")}
    owner = {"source": record["source"], "sourceID": record["source_id"]} if record["source"] else None
    made = {"createdAt": "2026-01-01T00:00:00Z"}
    wire = {wire_name(name): value for name, value in fields.items()} | {"external": owner, "meta": made}
    with sandbox.app.lock:
        sandbox._directory._tables[resource].put(msgspec.convert(wire, RESOURCES[resource].model))


def sandbox_of(directory: Directory, **choices: Any) -> Sandbox:
    """Return a sandbox that holds a directory."""
    sandbox = Sandbox(students=0, schools=0, limiter="none", **choices)
    for resource in ORDER:
        for record in directory[resource]:
            put(sandbox, resource, record)
    return sandbox


def plain(sandbox: Sandbox) -> Directory:
    """Return what a sandbox holds."""
    found: Directory = {}
    for resource in ORDER:
        names = {"id", *DEFAULTS[resource], *REQUIRED[resource], *NATURAL[resource], *FIXED.get(resource, ())}
        found[resource] = []
        for row in sandbox.records(resource):
            record = {name: getattr(row, name) for name in names}
            owner = row.external
            record["source"] = owner and owner.source
            record["source_id"] = owner and owner.source_id
            found[resource].append({name: _plain(value) for name, value in record.items()})
    return found


def _plain(value: Any) -> Any:
    return [*map(_plain, value)] if isinstance(value, list) else str(value) if isinstance(value, str) else value


def comparable(directory: Directory, *resources: str) -> dict[str, list[str]]:
    """Return a directory so that two are equal when they hold the same, under whatever ids; of some resources only."""
    names = {}
    for resource in ORDER:
        for record in directory[resource]:
            names[record["id"]] = record.get("identity_number") or f"{record.get('unit_code')}"
    return {resource: sorted(_comparable(r, names) for r in directory[resource]) for resource in resources or ORDER}


def _comparable(record: Record, names: dict[str, str]) -> str:
    known = {name: value for name, value in record.items() if name not in ("id", "meta")}
    for name, value in known.items():
        if name.endswith("_ids"):
            known[name] = sorted(names.get(one, "?") for one in value)
        elif name.endswith("_id") and name != "source_id":
            known[name] = names.get(value, "?")
    if "archived_at" in known:
        known["archived_at"] = known["archived_at"] is not None
    if (known["source_id"] or "").startswith("reconcile-"):
        known["source_id"] = MADE
    return repr(sorted(known.items()))


def people_of(directory: Directory) -> list[Record]:
    """Return everybody."""
    return [record for resource in PEOPLE for record in directory[resource]]

"""What a reconcile has to do, worked out in the plainest way from its rules. Imports nothing of the package.

Directories and registries are as in `reconcile_tables`. Ids of records that are to be created are `new <resource>
<line>`, lines counting from 1.
"""

from __future__ import annotations

from collections import Counter
from copy import deepcopy
from datetime import date, timedelta
from typing import Any, NamedTuple

from reconcile_tables import (
    DEFAULTS,
    FIXED,
    MADE,
    NATURAL,
    ORDER,
    PEOPLE,
    PLACEMENTS,
    REFERENCES,
    REMOVALS,
    SCHOOL,
    Directory,
    Record,
    natural,
)


class Rules(NamedTuple):
    """What `plan` is asked for."""

    source: str = "api"
    is_source_said: bool = True
    """Whether `plan` is told the source, or has to learn it."""
    claim: bool = False
    delete: bool = False
    grace: int = 7
    retention: int | None = None
    remove: float = 1.0
    update: float = 1.0
    minimum: int = 10
    accept_removals: int | None = None


class Write(NamedTuple):
    """What is to be done to a record, with the fields that it has afterwards."""

    kind: str
    resource: str
    id: str
    values: Record
    school_id: str | None = None

    @property
    def what(self) -> tuple[str, str, str]:
        """Kind, resource and id."""
        return self.kind, self.resource, self.id


class Expected(NamedTuple):
    """What a plan has to come to."""

    writes: list[Write]
    held: dict[tuple[str, str, str], set[str]]
    """By kind, resource and id, the reasons that there are."""
    final: Directory
    left_out: set[tuple[str, int]]
    """Resource and line of rows with which nothing is done because something is wrong with them."""


class _Row(NamedTuple):
    line: int
    source_id: str | None
    said: Record
    """Fields, with the ids of what they refer to."""
    could_be: dict[str, list[str]]
    """By field, every record that its reference may mean."""
    asked: dict[str, tuple[tuple[str, ...], str, str]]
    """By field, where its reference is to be found, by what key, and which."""
    is_good: bool
    is_known: bool


NAMED_BY = {"guardians": ("students",), "groups": PEOPLE}
"""Whom a row names beside those of its key."""


class Oracle:
    """One directory, one registry, one answer."""

    def __init__(self, directory: Directory, registry: dict[str, list[Record]], rules: Rules, today: date) -> None:
        self.directory, self.registry, self.rules, self.today = directory, registry, rules, today
        self.writes: list[Write] = []
        self.held: dict[tuple[str, str, str], set[str]] = {}
        self.left_out: set[tuple[str, int]] = set()
        self.unread: set[str] = set()
        """Resources with rows of which nothing but keys is known."""
        self.rows: dict[str, list[_Row]] = {}
        self.found: dict[tuple[str, int], str] = {}
        """The record of a row: an id, or one that says that it is new."""

    def expected(self) -> Expected:
        """Work it out."""
        for resource in ORDER:
            if resource in self.registry:
                self.read(resource)
                for row in self.rows[resource]:
                    if row.is_good:
                        self.match(resource, row)
        for resource in ORDER:
            if resource in self.registry:
                self.missing(resource)
        self.deleted_people()
        self.brake()
        return Expected(self.writes, self.held, self.state(), self.left_out)

    # -- rows

    def read(self, resource: str) -> None:
        """Find what the rows refer to, and leave out those that cannot be used."""
        raw = self.registry[resource]
        twice = Counter(key for row in raw for key in set(_spelled(resource, row)))
        self.rows[resource] = rows = []
        for line, row in enumerate(raw, 1):
            said, could_be, asked = self.resolved(row)
            is_good = "" not in row.values() and all(twice[key] == 1 for key in _spelled(resource, row))
            self.unread |= set() if is_good else {resource}
            is_good = is_good and all(len(ids) == 1 for ids in could_be.values())
            known = bool(_spelled(resource, row))
            rows.append(_Row(line, row.get("source_id") or None, said, could_be, asked, is_good, known))
        pairs = Counter(natural(resource, row.said) for row in rows if row.is_good)
        for place, row in enumerate(rows):
            if row.is_good and NATURAL[resource] and pairs[natural(resource, row.said)] > 1:
                rows[place] = row._replace(is_good=False)
            if not rows[place].is_good:
                self.left_out.add((resource, row.line))

    def resolved(self, row: Record) -> tuple[Record, dict[str, list[str]], dict[str, tuple[tuple[str, ...], str, str]]]:
        """Return the fields of a row, what its references may mean, and what they are."""
        said: Record = {}
        could_be: dict[str, list[str]] = {}
        asked: dict[str, tuple[tuple[str, ...], str, str]] = {}
        for column, value in row.items():
            if value == "" or column == "source_id":
                continue
            if "." not in column:
                said[column] = value
                continue
            name, by = column.split(".")
            field, homes, many = REFERENCES[name]
            values = value if many else [value]
            meant = [self.meant(homes, by, one) for one in values]
            if many:
                said[field] = said.get(field, []) + [ids[0] for ids in meant if ids]
                for place, ids in enumerate(meant):
                    could_be[f"{column} {place}"] = ids
            else:
                said[field] = meant[0][0] if meant[0] else None
                could_be[field], asked[field] = meant[0], (homes, by, value)
        return said, could_be, asked

    def meant(self, homes: tuple[str, ...], by: str, value: str) -> list[str]:
        """Return the records that a key may mean: those that are there, and those of rows."""
        ids = [record["id"] for home in homes for record in self.directory[home] if record.get(by) == value]
        for home in homes:
            for row in self.rows.get(home, []):
                told = row.source_id if by == "source_id" else row.said.get(by)
                if told == value and (home, row.line) in self.found:
                    ids.append(self.found[home, row.line])
        return list(dict.fromkeys(ids))

    # -- records of rows

    def match(self, resource: str, row: _Row) -> None:
        """Find the record of a row, and what has to be done to it."""
        records = self.directory[resource]
        ours = [r for r in records if self.is_ours(r) and row.source_id and r["source_id"] == row.source_id]
        same = [r for r in records if NATURAL[resource] and natural(resource, r) == natural(resource, row.said)]
        if resource == "schools" and not ours:
            same = [r for r in records if not self.is_ours(r) and all(r[name] == row.said[name] for name in SCHOOL)]
        if resource in PLACEMENTS:
            record = ours[0] if ours else self.placement(row, same)
            if record is False:
                self.left_out.add((resource, row.line))
                return
        elif len(same) > 1 or (ours and same and ours[0] is not same[0]):
            self.left_out.add((resource, row.line))
            return
        else:
            record = next(iter(ours or same), None)
        if record is None:
            self.found[resource, row.line] = f"new {resource} {row.line}"
            values = {**DEFAULTS[resource], **row.said, "source": self.rules.source}
            self.write(
                "create", resource, self.found[resource, row.line], {**values, "source_id": row.source_id or MADE}
            )
            return
        self.found[resource, row.line] = record["id"]
        self.compare(resource, row, record)

    def placement(self, row: _Row, same: list[Record]) -> Any:
        """Return the placement of a pair; False when it is unclear which."""
        live = [r for r in same if r["archived_at"] is None]
        dated = [r for r in live if r["start_date"] == row.said["start_date"]]
        if len(live) > 1:
            return dated[0] if len(dated) == 1 else False
        if live:
            return live[0]
        dated = [r for r in same if r["start_date"] == row.said["start_date"]]
        return max(dated or same, key=lambda r: r["archived_at"], default=None)

    def compare(self, resource: str, row: _Row, record: Record) -> None:
        """Do to a record what its row says."""
        said = dict(row.said)
        is_archived = record.get("archived_at") is not None
        if is_archived and (said.get("end_date") or self.today) < self.today:
            return
        if "end_date" not in said and (record.get("end_date") or self.today) < self.today:
            said["end_date"] = None
        changed = {name: value for name, value in said.items() if not _same(value, record[name])}
        if any(name in changed for name in FIXED.get(resource, ())):
            self.left_out.add((resource, row.line))
            return
        if row.source_id and record["source_id"] != row.source_id:
            changed["source_id"] = row.source_id
        self.change(resource, row, record, changed)

    def change(self, resource: str, row: _Row, record: Record, changed: Record) -> None:
        """Change a record, as far as its owner lets us."""
        is_archived = record.get("archived_at") is not None
        if record["source"] is None:
            owner = {"source_id": row.source_id or MADE, "source": self.rules.source}
            claim = Write("claim", resource, record["id"], {**changed, **owner})
            if self.rules.claim:
                self.writes.append(claim)
            else:
                self.held[claim.what] = {"unowned"}
        elif not self.is_ours(record):
            if changed.keys() - {"source_id"} or is_archived:
                self.held["restore" if is_archived else "update", resource, record["id"]] = {"foreign"}
        elif is_archived:
            self.write("restore", resource, record["id"], {**changed, "archived_at": None})
        elif changed:
            school = record["school_id"] if resource in (*PLACEMENTS, "groups") else None
            self.write("update", resource, record["id"], changed, school)

    # -- records without rows

    def missing(self, resource: str) -> None:
        """Remove what no row names."""
        for record in self.directory[resource]:
            if not self.is_ours(record) or any(self.names(resource, row, record) for row in self.rows[resource]):
                continue
            if resource in PLACEMENTS:
                self.retire(resource, record)
            elif resource == "groups" and self.rules.delete:
                self.write("delete", resource, record["id"], {}, record["school_id"])

    def names(self, resource: str, row: _Row, record: Record) -> bool:
        """Whether a row, used or left out, has a key of a record."""
        if row.source_id and row.source_id == record["source_id"]:
            return True
        if self.found.get((resource, row.line)) == record["id"]:
            return True
        keys = NATURAL[resource]
        return bool(keys) and all(
            record[key] in row.could_be[key] if key in row.could_be else record[key] == row.said.get(key, self)
            for key in keys
        )

    def retire(self, resource: str, record: Record) -> None:
        """End, archive or delete a placement."""
        today, end, rules = self.today, record["end_date"], self.rules
        last = max(today, record["start_date"])
        if record["archived_at"] is not None:
            if rules.retention is not None and record["archived_at"].date() + timedelta(rules.retention) <= today:
                self.write("delete", resource, record["id"], {}, record["school_id"])
        elif end is None or end > last:
            self.write("end", resource, record["id"], {"end_date": last}, record["school_id"])
        elif end < today and end + timedelta(rules.grace) <= today and resource == "student_placements":
            self.write("archive", resource, record["id"], {"archived_at": True}, record["school_id"])

    def deleted_people(self) -> None:
        """Delete people whom no row names, of whom no placement stays."""
        gone = {write.id for write in self.writes if write.kind == "delete"}
        for resource in PEOPLE:
            for person in self.directory[resource] if self.rules.delete and resource in self.registry else ():
                if not self.is_ours(person) or any(self.names(resource, row, person) for row in self.rows[resource]):
                    continue
                placed = {p["id"] for name, key in PLACEMENTS.items() for p in self.placed(name, key, person["id"])}
                lists = [
                    row.could_be for name in (*PLACEMENTS, "groups", "guardians") for row in self.rows.get(name, [])
                ]
                named = any(person["id"] in ids for could_be in lists for ids in could_be.values())
                if placed <= gone and not named:
                    self.write("delete", resource, person["id"], {})

    def placed(self, name: str, key: str, person: str) -> list[Record]:
        """Return the placements of a person, those that are to be created too."""
        there = [record for record in self.directory[name] if record[key] == person]
        return there + [{"id": w.id} for w in self.writes if w.resource == name and w.values.get(key) == person]

    # -- brakes

    def brake(self) -> None:
        """Hold back removals that the registry gives no reason for, or too many of them; and too many updates."""
        removals = [write for write in self.writes if write.kind in REMOVALS]
        stopped: dict[tuple[str, str, str], set[str]] = {write.what: set() for write in self.writes}
        for resource in self.registry:
            mine = [write for write in removals if write.resource == resource]
            updates = [write for write in self.writes if write.resource == resource and write.kind == "update"]
            for write in mine:
                stopped[write.what] |= self.doubts(resource, write.school_id)
            for write in self.too_many(resource, mine, self.rules.remove):
                stopped[write.what].add("share")
            for write in self.too_many(resource, updates, self.rules.update):
                stopped[write.what].add("share")
        for write in filter(self.may_be_named, removals):
            stopped[write.what].add("unknown_rows")
        if self.rules.accept_removals == len(removals):
            stopped |= {write.what: set() for write in removals}
        for write in removals:
            for name, key in PLACEMENTS.items() if write.resource in PEOPLE else ():
                for placed in self.placed(name, key, write.id):
                    stopped[write.what] |= stopped.get(("delete", name, placed["id"]), set())
        stopped = {what: reasons for what, reasons in stopped.items() if reasons}
        self.held |= stopped
        self.writes = [write for write in self.writes if write.what not in stopped]

    def may_be_named(self, write: Write) -> bool:
        """Whether a person is deleted whom a row may name of which nothing but keys is known."""
        unread = [who for name, who in NAMED_BY.items() if name in self.unread]
        return write.kind == "delete" and any(write.resource in who for who in unread)

    def doubts(self, resource: str, school: str | None) -> set[str]:
        """Return why nothing of a school can be called missing."""
        unknown = not all(row.is_known for row in self.rows[resource])
        unknown = unknown or any(self.may_be_any(resource, row, school) for row in self.rows[resource])
        return ({"unknown_rows"} if unknown else set()) | ({"empty"} if not self.registry[resource] else set())

    def may_be_any(self, resource: str, row: _Row, school: str | None) -> bool:
        """Whether a row is left out that names what nobody has, and no record by another key: a slip of the pen.

        It is none where the registry has what it names, in a row that is left out and thus not created.
        """
        if (resource, row.line) not in self.left_out or any(
            self.names(resource, row, record) for record in self.directory[resource] if self.is_ours(record)
        ):
            return False
        schools = row.could_be.get("school_id")
        if schools and school not in schools:
            return False
        keys = [key for key in NATURAL[resource] if key in row.could_be]
        complete = all(key in row.could_be or key in row.said for key in NATURAL[resource])
        lost = [key for key in keys if not row.could_be[key]] if complete else []
        return any(not self.is_left_out(row, key) for key in lost)

    def is_left_out(self, row: _Row, key: str) -> bool:
        """Whether what a row refers to is a row of the registry that is left out."""
        homes, by, value = row.asked[key]
        for home in homes:
            if home not in self.registry or self.doubts(home, None):
                return False
        return any(other.get(by) == value for home in homes for other in self.registry[home])

    def too_many(self, resource: str, writes: list[Write], share: float) -> list[Write]:
        """Return those that are too large a share of the resource, or of a school."""
        owned = [record for record in self.directory[resource] if self.is_ours(record)]
        if len(writes) > self.rules.minimum and len(writes) > share * len(owned):
            return writes
        found = []
        for school in {write.school_id for write in writes} - {None}:
            here = [write for write in writes if write.school_id == school]
            there = [record for record in owned if record.get("school_id") == school]
            if len(here) > self.rules.minimum and len(here) > share * len(there):
                found += here
        return found

    # -- the end

    def state(self) -> Directory:
        """Return the directory after the writes, and after what the server does of itself when a person goes."""
        final = deepcopy(self.directory)
        for kind, resource, id, values, _ in self.writes:
            if kind == "create":
                final[resource].append({"id": id, **deepcopy(values)})
            elif kind != "delete":
                next(record for record in final[resource] if record["id"] == id).update(values)
        for kind, resource, id, _, _ in self.writes:
            if kind == "delete":
                final[resource] = [record for record in final[resource] if record["id"] != id]
                for name, key in PLACEMENTS.items():
                    final[name] = [record for record in final[name] if record[key] != id]
                for name, key in (("guardians", "student_ids"), ("groups", "member_ids")):
                    for record in final[name]:
                        record[key] = [other for other in record[key] if other != id]
        return final

    def is_ours(self, record: Record) -> bool:
        """Whether our source owns a record."""
        return bool(record["source"] == self.rules.source)

    def write(self, kind: str, resource: str, id: str, values: Record, school_id: str | None = None) -> None:
        """Add a write."""
        self.writes.append(Write(kind, resource, id, values, school_id))


def expected(directory: Directory, registry: dict[str, list[Record]], rules: Rules, today: date) -> Expected:
    """Return what a plan has to come to, and the directory after it."""
    return Oracle(directory, registry, rules, today).expected()


def _spelled(resource: str, row: Record) -> list[tuple[Any, ...]]:
    """Return the keys of a row as it spells them."""
    keys: list[tuple[Any, ...]] = [("source_id", row["source_id"])] if row.get("source_id") else []
    parts = []
    for name in NATURAL[resource]:
        short = name.removesuffix("_id")
        parts.append([(column, row[column]) for column in row if column == name or column.split(".")[0] == short])
    if parts and all(part and part[0][1] for part in parts):
        keys.append(tuple(part[0] for part in parts))
    return keys


def _same(one: Any, other: Any) -> bool:
    return sorted(one) == sorted(other) if isinstance(one, list) else bool(one == other)

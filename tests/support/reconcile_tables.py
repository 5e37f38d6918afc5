"""What the API's records are to the oracle and the worlds of a reconcile: plain tables, written from its document.

A directory is `{resource: [record]}`, a record a dict with `id`, `source`, `source_id` and its fields; a registry is
`{resource: [row]}`, a row a dict of columns as in a file.
"""

from __future__ import annotations

from itertools import combinations
from typing import Any

Record = dict[str, Any]
Directory = dict[str, list[Record]]

ORDER = ("schools", "employees", "students", "guardians", "employee_placements", "student_placements", "groups")
PEOPLE = ("students", "employees", "guardians")
PLACEMENTS = {"student_placements": "student_id", "employee_placements": "employee_id"}
NATURAL: dict[str, tuple[str, ...]] = {
    "schools": (),
    **dict.fromkeys(PEOPLE, ("identity_number",)),
    "student_placements": ("student_id", "school_id"),
    "employee_placements": ("employee_id", "school_id"),
    "groups": ("school_id", "title"),
}
SCHOOL = ("unit_code", "school_type")
"""What a school is known by that another source, or nobody, owns: it has no natural key, and is not to be made twice."""
FIXED: dict[str, tuple[str, ...]] = {
    "schools": ("school_type",),
    "student_placements": ("student_id", "school_id"),
    "employee_placements": ("employee_id", "school_id"),
    "groups": ("school_id", "category"),
}
REQUIRED: dict[str, tuple[str, ...]] = {
    "schools": ("title",),
    **dict.fromkeys(PEOPLE, ("identity_number", "first_name", "last_name")),
    "student_placements": ("start_date", "school_type"),
    "employee_placements": ("start_date",),
    "groups": ("title",),
}
DEFAULTS: dict[str, Record] = {
    "schools": {"unit_code": None},
    "employees": {},
    "students": {},
    "guardians": {"student_ids": []},
    "student_placements": {"school_year": None, "end_date": None, "archived_at": None},
    "employee_placements": {"signature": None, "end_date": None, "archived_at": None},
    "groups": {"category": "Education", "member_ids": []},
}
REFERENCES: dict[str, tuple[str, tuple[str, ...], bool]] = {
    "student": ("student_id", ("students",), False),
    "employee": ("employee_id", ("employees",), False),
    "school": ("school_id", ("schools",), False),
    "students": ("student_ids", ("students",), True),
    "members": ("member_ids", PEOPLE, True),
}
"""By what stands before the dot of a column: its field, where it is looked for, and whether it is a list."""

REMOVALS = ("end", "archive", "delete")
MADE = "made"
"""The source id of a record whose row says none."""


def learnt(directory: Directory, registry: dict[str, list[Record]]) -> set[str]:
    """Return the sources of records whose source ids rows of the registry have."""
    found = set()
    for resource, rows in registry.items():
        named = {row.get("source_id") for row in rows} - {None}
        found |= {r["source"] for r in directory[resource] if r["source"] and r["source_id"] in named}
    return found


def made_twice(before: Directory, after: Directory) -> list[tuple[Any, ...]]:
    """Return what came to be there twice by a create."""
    known = {record["id"] for records in before.values() for record in records}
    return [twice for twice in duplicates(after) if not known.issuperset(twice[2:])]


def duplicates(directory: Directory) -> list[tuple[Any, ...]]:
    """Return what there is twice: a source id, a person, a group, or a placement that began on the same day."""
    found: list[tuple[Any, ...]] = []
    for resource, records in directory.items():
        for one, other in combinations(records, 2):
            if one["source_id"] is not None and (one["source"], one["source_id"]) == (
                other["source"],
                other["source_id"],
            ):
                found.append((resource, "source_id", one["id"], other["id"]))
            if not NATURAL[resource] or natural(resource, one) != natural(resource, other):
                continue
            if resource not in PLACEMENTS or one["start_date"] == other["start_date"]:
                found.append((resource, NATURAL[resource], one["id"], other["id"]))
    return found


def natural(resource: str, fields: Record) -> tuple[Any, ...]:
    """Return the natural key of a record, or of what a row says."""
    return tuple(fields.get(name) for name in NATURAL[resource])

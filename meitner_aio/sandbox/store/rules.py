"""The rules between records: references, uniqueness, and those of single resources. Pure: changes no table.

A broken rule is 422, a value that is taken 409. Rules that follow from a field's name hold for every resource that
has such a field; only `_RULES` and `UNIQUE` name resources.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import date
from typing import NamedTuple, TypeAlias, cast

from msgspec import structs

from ...records import Field, Record, fields, wire_name
from ...resources._grade import GradeRecord
from ...resources._references import REFERENCES
from ...resources.employee_placements import EmployeePlacement
from ...resources.groups import Group, GroupCategory, GroupType
from ...resources.schools import School, SchoolType
from ...resources.student_placements import StudentPlacement
from ..http.answers import conflict, unprocessable
from .shapes import is_list
from .tables import Row, Table

Tables = Mapping[str, Table]
_Placement: TypeAlias = EmployeePlacement | StudentPlacement

UNIQUE: dict[str, tuple[tuple[str, ...], ...]] = {
    "students": (("identity_number",), ("email_address1",)),
    "employees": (("identity_number",), ("email_address1",), ("phone_number1",)),
    "guardians": (("identity_number",), ("email_address1",)),
    "groups": (("school_id", "title"),),
}
"""Fields whose values, taken together, at most one record of the resource has; a null is never taken."""


class Write(NamedTuple):
    """A record about to be stored, and what the rules need to check it."""

    tables: Tables
    row: Row
    given: Collection[str]
    """The fields that the write set."""
    today: date

    def named(self, name: str) -> list[str]:
        """Return the ids that the write gave to a field; what it left alone was good when it was given."""
        value = getattr(self.row, name) if name in self.given else None
        if is_list(value):
            return [str(one) for one in value]
        return [] if value is None else [str(value)]

    def placed(self, kind: str, person: str, school: str) -> list[_Placement]:
        """Return the placements of a person, a "student" or an "employee", at a school."""
        found = self.tables[f"{kind}_placements"].find((f"{kind}_id", "school_id"), person, school)
        return cast("list[_Placement]", found)


def allowed(attribute: str, write: Write) -> Row:
    """Return the record of a write, completed as the rules say."""
    _check_references(write)
    _check_period(write.row)
    rule = _RULES.get(attribute)
    row = write.row if rule is None else rule(write)
    _check_unique(write.tables[attribute], UNIQUE.get(attribute, ()), row)
    return row


def _check_references(write: Write) -> None:
    for name, homes in REFERENCES.items():
        for target in write.named(name):
            if not any(target in write.tables[home] for home in homes):
                unprocessable(f"{wire_name(name)} refers to a record that does not exist")


def _check_period(row: Row) -> None:
    start, end = getattr(row, "start_date", None), getattr(row, "end_date", None)
    if start is not None and end is not None and end < start:
        unprocessable("endDate lies before startDate")


def _check_unique(table: Table, keys: tuple[tuple[str, ...], ...], row: Row) -> None:
    for names in keys:
        values = [getattr(row, name) for name in names]
        if None not in values and any(other.id != row.id for other in table.find(names, *values)):
            conflict(f"{' and '.join(map(wire_name, names))} already belong to another record")


def _group(write: Write) -> Row:
    """Hold a group to its category, and pair the types of a preschool as the API does: one brings the other."""
    row = cast("Group", write.row)
    if row.category != GroupCategory.EDUCATION:
        if row.types:
            unprocessable("types are for groups of category Education")
        return row
    if not all(write.placed("employee", person, row.school_id) for person in write.named("moderator_ids")):
        unprocessable("moderatorIDs names someone who is no employee of the school")
    if not all(write.placed("student", person, row.school_id) for person in write.named("member_ids")):
        unprocessable("memberIDs names someone who is no student of the school")
    pair = [GroupType.CLASS, GroupType.CHILDCARE]
    school = cast("School | None", write.tables["schools"].get(row.school_id))
    if school is None or school.school_type != SchoolType.FS or not set(pair) & set(row.types):
        return row
    return structs.replace(row, types=[*row.types, *(kind for kind in pair if kind not in row.types)])


def _grade(write: Write) -> Row:
    """Hold a grade to the placements of its student, when it is created, and of the teachers that the write names."""
    row = cast("GradeRecord", write.row)
    for name, kind in (
        ("student_id", "student"),
        ("teacher1_employee_id", "employee"),
        ("teacher2_employee_id", "employee"),
    ):
        for person in write.named(name):
            if not any(_is_active(placement, write.today) for placement in write.placed(kind, person, row.school_id)):
                unprocessable(f"{wire_name(name)} names someone without an active placement at the school")
    return row


def _is_active(placement: _Placement, today: date) -> bool:
    started = placement.start_date <= today
    return started and (placement.end_date is None or placement.end_date >= today) and placement.archived_at is None


_RULES: dict[str, Callable[[Write], Row]] = {
    "groups": _group,
    "grade_elementaries": _grade,
    "grade_upper_secondaries": _grade,
}


def references_to(attribute: str, model: type[Record]) -> list[Field]:
    """Return the fields of a model that can refer to records of a resource."""
    return [field for field in fields(model) if attribute in REFERENCES.get(field.name, ())]

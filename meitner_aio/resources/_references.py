"""Which resources a field of ids refers to, by its name: in every record that has such a field."""

from __future__ import annotations

_PEOPLE = ("students", "employees", "guardians")

REFERENCES: dict[str, tuple[str, ...]] = {
    "school_id": ("schools",),
    "unit_id": ("units",),
    "student_id": ("students",),
    "student_ids": ("students",),
    "employee_id": ("employees",),
    "teacher1_employee_id": ("employees",),
    "teacher2_employee_id": ("employees",),
    "moderator_ids": _PEOPLE,
    "member_ids": _PEOPLE,
}
"""The resources that may hold what a field of this name refers to."""

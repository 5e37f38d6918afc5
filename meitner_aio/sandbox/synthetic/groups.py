"""Synthetic groups: classes, departments of preschools, mentor groups and clubs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from string import ascii_uppercase

from ...resources.groups import Group, GroupCategory, GroupType
from ...resources.schools import SchoolType
from .chance import Dice, Register
from .places import Place
from .words import CLUBS, DEPARTMENTS

_CLASS, _DEPARTMENT, _MENTORED = 25, 18, 13
"""Members of a group at most."""

_Plan = tuple[str, Sequence[str], list[GroupType]]
"""Title, members and types of a group."""


def form_groups(register: Register, places: Sequence[Place]) -> Iterator[Group]:
    """Yield the groups of all schools. One without a type is not about education."""
    dice = register.dice
    for place in register.during(30, 20, places):
        for title, members, types in (*_classes(place), *_clubs(place, dice)):
            moderators = dice.choices(place.teachers, k=dice.number(1, 2))
            yield Group(
                **register.record(),
                school_id=place.school.id,
                category=GroupCategory.EDUCATION if types else GroupCategory.OTHER,
                title=register.unique(title, place.school.id, gap=" "),
                types=types,
                moderator_ids=list(dict.fromkeys(moderators)),
                member_ids=list(members),
            )


def _classes(place: Place) -> Iterator[_Plan]:
    """Yield the classes with their mentor groups, and childcare; in a preschool a class is childcare as well."""
    if place.school.school_type is SchoolType.FS:
        for name, members in _parts(_ids(place), _DEPARTMENT, DEPARTMENTS):
            yield name, members, [GroupType.CLASS, GroupType.CHILDCARE]
        return
    for (program, number), placements in sorted(place.pupils.items()):
        pupils = [placement.student_id for placement in placements]
        for letter, members in _parts(pupils, _CLASS, ascii_uppercase):
            title = f"{program}{number}{letter}"
            yield title, members, [GroupType.CLASS]
            for half, mentored in _parts(members, _MENTORED, "12") if program or number >= 6 else ():
                yield f"{title} mentor {half}", mentored, [GroupType.MENTOR]
        if not program and number <= 3:
            yield f"Fritids {number}", pupils, [GroupType.CHILDCARE]


def _clubs(place: Place, dice: Dice) -> Iterator[_Plan]:
    pupils = _ids(place)
    for club in dice.sample(CLUBS, 2):
        yield club, dice.sample(pupils, min(len(pupils), dice.number(6, 15))), []


def _ids(place: Place) -> list[str]:
    """Return the ids of the students of a school, by year."""
    return [placement.student_id for year in sorted(place.pupils) for placement in place.pupils[year]]


def _parts(members: Sequence[str], most: int, names: Sequence[str]) -> Iterator[tuple[str, Sequence[str]]]:
    """Yield the members in parts of about equal size, none larger than `most`, with their names."""
    count = -(-len(members) // most)
    for part in range(count):
        yield names[part % len(names)], members[part * len(members) // count : (part + 1) * len(members) // count]

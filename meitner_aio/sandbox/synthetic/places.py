"""Synthetic schools and units: where they are, which ages they take. Knows no person."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from ...records import Address
from ...resources.schools import School, SchoolType
from ...resources.units import Unit
from .chance import Clock, Dice, Register
from .words import PROGRAMS, SCHOOL_STEMS, STREETS, TOWNS, Town

AGES = {
    SchoolType.FS: (1, 2, 2, 3, 3, 4, 4, 5, 5),
    SchoolType.GR: tuple(range(6, 16)),
    SchoolType.GY: (16, 17, 18) * 6 + (19,),
}
"""The ages that go to a type of school, as often as they do: what a child turns in the autumn of the school year."""

_AREA = (SchoolType.GR, SchoolType.GY, SchoolType.FS, SchoolType.GR, SchoolType.GR)
"""The schools of an area, in the order in which they are founded."""

_SIZES = {SchoolType.GR: 1.0, SchoolType.GY: 1.1, SchoolType.FS: 0.3}
_SUFFIXES = {SchoolType.GR: "skolan", SchoolType.GY: "gymnasiet", SchoolType.FS: " förskola"}


@dataclass(slots=True, eq=False)
class Place:
    """A school with what the rest of the directory needs to know of it."""

    school: School
    town: Town
    size: float
    """How many students it has, as compared to other schools."""
    neighbours: dict[int, list[Place]]
    """The schools of the same area that take an age, this one included."""
    programs: tuple[tuple[str, str], ...]
    """Code and title of its programmes; of use in upper secondary schools."""
    staff: list[str] = field(default_factory=list[str])
    """The ids of the employees who are placed here now."""
    teachers: list[str] = field(default_factory=list[str])
    """Those of them who teach."""
    classes: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    """The ids of the students who are placed here now, by what their class is named after."""


def found(dice: Dice, clock: Clock, count: int) -> tuple[list[Unit], list[Place]]:
    """Return units, and the schools that belong to them: five to a unit, all in its town."""
    units = [_unit(dice, clock, area) for area in range(-(-count // len(_AREA)))]
    register = Register(dice, "SKOLA")
    founded = Counter[SchoolType]()
    places: list[Place] = []
    for index in range(count):
        area, turn = divmod(index, len(_AREA))
        school_type = _AREA[turn]
        school = School(
            id=dice.id(),
            meta=clock.meta(),
            external=register.external(0.5),
            title=_title(school_type, founded[school_type]),
            unit_id=units[area].id,
            unit_code=f"99{index:06d}",
            csn_school_code=f"99{index:05d}" if school_type is SchoolType.GY else None,
            municipality_code=_town(area).municipality_code,
            school_type=school_type,
        )
        founded[school_type] += 1
        places.append(_place(dice, school, _town(area), places[-1].neighbours if turn else {}))
    return units, places


def _unit(dice: Dice, clock: Clock, area: int) -> Unit:
    town, again = _town(area).name, area // len(TOWNS)
    return Unit(
        id=dice.id(),
        meta=clock.meta(),
        title=f"Skolområde {town} {again + 1}" if again else f"Skolområde {town}",
        description=f"Förskolor och skolor i {town}" if dice.chance(0.7) else None,
    )


def _town(area: int) -> Town:
    return TOWNS[area % len(TOWNS)]


def _title(school_type: SchoolType, index: int) -> str:
    again, stem = divmod(index, len(SCHOOL_STEMS))
    title = SCHOOL_STEMS[stem] + _SUFFIXES[school_type]
    return f"{title} {again + 1}" if again else title


def _place(dice: Dice, school: School, town: Town, neighbours: dict[int, list[Place]]) -> Place:
    first = dice.number(0, len(PROGRAMS) - 1)
    programs = (PROGRAMS + PROGRAMS)[first : first + 3]
    place = Place(school, town, _SIZES[school.school_type] * (0.6 + 0.8 * dice.random()), neighbours, programs)
    for age in sorted(set(AGES[school.school_type])):
        neighbours.setdefault(age, []).append(place)
    return place


def address(dice: Dice, town: Town) -> Address:
    """Return an address in a town."""
    return Address(
        postal_address=f"{dice.pick(STREETS)} {dice.number(1, 60)}",
        postal_code=f"{town.postal_prefix} {dice.number(10, 99)}",
        postal_city=town.name,
        country_code="SWE",
        municipality_code=town.municipality_code,
    )

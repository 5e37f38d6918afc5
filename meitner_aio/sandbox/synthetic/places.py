"""Synthetic schools and units: where they are, which ages they take, who lives nearby."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from ...records import Address
from ...resources.schools import School, SchoolType
from ...resources.student_placements import StudentPlacement
from ...resources.units import Unit
from .chance import Dice, Home, Register
from .words import ORIGINS, SCHOOL_STEMS, STREETS, TOWNS, Town

_AGES = {
    SchoolType.FS: (1, 2, 2, 3, 3, 4, 4, 5, 5),
    SchoolType.GR: tuple(range(6, 16)),
    SchoolType.GY: (16, 17, 18),
}
"""The ages that go to a type of school, as often as they do: what a child turns in the autumn of the school year."""

Year = tuple[str, int]
"""The code of the programme, empty below the upper secondary school, and the school year; the age in a preschool."""

_AREA = (SchoolType.GR, SchoolType.GY, SchoolType.FS, SchoolType.GR, SchoolType.GR)
"""The schools of a unit, in the order in which they are founded."""

_SIZES = {SchoolType.GR: 1.0, SchoolType.GY: 1.1, SchoolType.FS: 0.3}
_SUFFIXES = {SchoolType.GR: "skolan", SchoolType.GY: "gymnasiet", SchoolType.FS: " förskola"}


@dataclass(slots=True, eq=False)
class Place:
    """A school, and who is there now."""

    school: School
    town: Town
    ages: tuple[int, ...]
    """Those whom it takes."""
    size: float
    """How many students it has, as compared to other schools."""
    area: list[Place]
    """The schools of its unit, this one included."""
    teachers: list[str] = field(default_factory=list[str])
    """The ids of the employees who teach here now."""
    pupils: defaultdict[Year, list[StudentPlacement]] = field(default_factory=lambda: defaultdict(list))
    """The placements that run now."""

    def nearby(self, age: int) -> list[Place]:
        """Return the schools of the area that take an age."""
        return [place for place in self.area if age in place.ages]


def found_units(register: Register, schools: int) -> Iterator[tuple[Unit, list[Place]]]:
    """Yield units, each with its schools: five, all in one town."""
    dice = register.dice
    for index in register.during(400, 300, range(0, schools, len(_AREA))):
        town = TOWNS[index // len(_AREA) % len(TOWNS)]
        unit = Unit(
            id=dice.id(),
            meta=register.meta(),
            title=register.unique(f"Skolområde {town.name}", gap=" "),
            description=f"Förskolor och skolor i {town.name}" if dice.chance(0.7) else None,
        )
        area: list[Place] = []
        for number, school_type in enumerate(_AREA[: schools - index], index):
            school = School(
                **register.record(0.5),
                title=register.unique(f"{dice.pick(SCHOOL_STEMS)}{_SUFFIXES[school_type]}", gap=" "),
                unit_id=unit.id,
                unit_code=f"99{number:06d}",
                csn_school_code=f"99{number:05d}" if school_type is SchoolType.GY else None,
                municipality_code=town.municipality_code,
                school_type=school_type,
            )
            size = _SIZES[school_type] * (0.6 + 0.8 * dice.random())
            area.append(Place(school, town, _AGES[school_type], size, area))
        yield unit, area


def settle(dice: Dice, town: Town) -> Home:
    """Return a new home in a town."""
    origin = dice.pick(ORIGINS)
    address = Address(
        postal_address=f"{dice.pick(STREETS)} {dice.number(1, 60)}",
        postal_code=f"{town.postal_prefix} {dice.number(10, 99)}",
        postal_city=town.name,
        country_code="SWE",
        municipality_code=town.municipality_code,
    )
    return Home(origin, dice.pick(origin.last), address)

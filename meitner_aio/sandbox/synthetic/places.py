"""Synthetic schools and units: where they are, which ages they take."""

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
    """A school, with what its people, groups and grades depend on."""

    school: School
    town: Town
    size: float
    """How many students it has, as compared to other schools."""
    neighbours: dict[int, list[Place]]
    """The schools of the same area that take an age, this one included."""
    programs: tuple[str, ...]
    """Codes of its programmes; of use in upper secondary schools."""
    staff: list[str] = field(default_factory=list[str])
    """The ids of the employees who are placed here now."""
    teachers: list[str] = field(default_factory=list[str])
    """Those of them who teach."""
    classes: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    """The ids of the students who are placed here now, by what their class is named after."""


def found(dice: Dice, clock: Clock, count: int) -> tuple[list[Unit], list[Place]]:
    """Return units, and the schools that belong to them: five to a unit, all in its town."""
    units = [_unit(dice, clock, area) for area in range(-(-count // len(_AREA)))]
    register = Register(dice, clock, "SKOLA")
    founded = Counter[SchoolType]()
    places: list[Place] = []
    for index in range(count):
        area, turn = divmod(index, len(_AREA))
        school_type, town = _AREA[turn], TOWNS[area % len(TOWNS)]
        school = School(
            **register.record(0.5),
            title=numbered(SCHOOL_STEMS, founded[school_type], _SUFFIXES[school_type]),
            unit_id=units[area].id,
            unit_code=f"99{index:06d}",
            csn_school_code=f"99{index:05d}" if school_type is SchoolType.GY else None,
            municipality_code=town.municipality_code,
            school_type=school_type,
        )
        founded[school_type] += 1
        first = dice.number(0, len(PROGRAMS) - 1)
        programs = (*PROGRAMS, *PROGRAMS)[first : first + 3]
        size = _SIZES[school_type] * (0.6 + 0.8 * dice.random())
        places.append(Place(school, town, size, places[-1].neighbours if turn else {}, programs))
        for age in sorted(set(AGES[school_type])):
            places[-1].neighbours.setdefault(age, []).append(places[-1])
    return units, places


def _unit(dice: Dice, clock: Clock, area: int) -> Unit:
    town = TOWNS[area % len(TOWNS)].name
    return Unit(
        id=dice.id(),
        meta=clock.meta(),
        title=f"Skolområde {numbered([one.name for one in TOWNS], area)}",
        description=f"Förskolor och skolor i {town}" if dice.chance(0.7) else None,
    )


def numbered(words: list[str], index: int, suffix: str = "") -> str:
    """Return a word with its suffix; a number follows when all words were used before."""
    again, word = divmod(index, len(words))
    return f"{words[word]}{suffix}" + (f" {again + 1}" if again else "")


def address(dice: Dice, town: Town) -> Address:
    """Return an address in a town."""
    return Address(
        postal_address=f"{dice.pick(STREETS)} {dice.number(1, 60)}",
        postal_code=f"{town.postal_prefix} {dice.number(10, 99)}",
        postal_city=town.name,
        country_code="SWE",
        municipality_code=town.municipality_code,
    )

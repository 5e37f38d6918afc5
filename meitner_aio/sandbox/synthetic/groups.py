"""Synthetic groups: classes, departments of preschools, mentor groups and clubs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from string import ascii_uppercase

from ...resources.groups import Group, GroupCategory, GroupType
from ...resources.schools import SchoolType
from .chance import Clock, Dice, Register
from .places import Place, numbered
from .words import CLUBS, DEPARTMENTS

_CLASS, _DEPARTMENT, _MENTORED = 25, 18, 13
"""Members of a group at most."""

_CHILDCARE_IN, _MENTORS_IN = "0123", "6789"
"""School years."""


class Groups:
    """The groups formed so far."""

    def __init__(self, dice: Dice, clock: Clock) -> None:
        self.groups: list[Group] = []
        self._dice, self._clock = dice, clock
        self._register = Register(dice, clock, "GRP")

    def form_all(self, places: Sequence[Place]) -> None:
        """Add the groups of all schools, from the pupils in their classes."""
        for index, place in enumerate(places):
            self._clock.reach(index / len(places))
            if place.school.school_type is SchoolType.FS:
                children = [child for age in sorted(place.classes) for child in place.classes[age]]
                for part, members in enumerate(_parts(children, _DEPARTMENT)):
                    self._form(place, numbered(DEPARTMENTS, part), members, GroupType.CLASS, GroupType.CHILDCARE)
            else:
                for name in sorted(place.classes):
                    self._form_classes(place, name)
            pupils = tuple(chain.from_iterable(place.classes.values()))
            for club in self._dice.sample(CLUBS, 2):
                self._form(place, club, self._dice.sample(pupils, min(len(pupils), self._dice.number(6, 15))))

    def _form_classes(self, place: Place, name: str) -> None:
        mentors = place.school.school_type is SchoolType.GY or name in _MENTORS_IN
        for index, members in enumerate(_parts(place.classes[name], _CLASS)):
            title = f"{name}{_letters(index)}"
            self._form(place, title, members, GroupType.CLASS)
            for number, mentored in enumerate(_parts(members, _MENTORED) if mentors else (), 1):
                self._form(place, f"{title} mentor {number}", mentored, GroupType.MENTOR)
        if name in _CHILDCARE_IN:
            self._form(place, f"Fritids {name}", place.classes[name], GroupType.CHILDCARE)

    def _form(self, place: Place, title: str, members: Sequence[str], *types: GroupType) -> None:
        """Add a group; one without a type is not about education."""
        dice = self._dice
        moderators = {dice.pick(place.teachers if types else place.staff): None for _ in range(dice.number(1, 2))}
        self.groups.append(
            Group(
                **self._register.record(),
                school_id=place.school.id,
                category=GroupCategory.EDUCATION if types else GroupCategory.OTHER,
                title=title,
                types=list(types),
                moderator_ids=list(moderators),
                member_ids=list(members),
            )
        )


def _parts(members: list[str], most: int) -> Iterator[list[str]]:
    """Yield the members in parts of about equal size, none larger than `most`."""
    count = -(-len(members) // most)
    for part in range(count):
        yield members[part * len(members) // count : (part + 1) * len(members) // count]


def _letters(index: int) -> str:
    """Return A to Z, then AA, AB, ..."""
    again, letter = divmod(index, len(ascii_uppercase))
    return (_letters(again - 1) if again else "") + ascii_uppercase[letter]

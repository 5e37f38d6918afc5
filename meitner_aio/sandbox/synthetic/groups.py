"""Synthetic groups: classes, departments of preschools, mentor groups and clubs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from string import ascii_uppercase

from ...resources.groups import Group, GroupCategory, GroupType
from ...resources.schools import SchoolType
from .chance import Clock, Dice, Register
from .places import Place
from .words import CLUBS, DEPARTMENTS

_CLASS = 25
_DEPARTMENT = 18
_MENTORED = 13
_CHILDCARE_IN = ("0", "1", "2", "3")
_MENTORS_IN = ("6", "7", "8", "9")


class Groups:
    """The groups formed so far."""

    def __init__(self, dice: Dice, clock: Clock) -> None:
        self.groups: list[Group] = []
        self._dice, self._clock = dice, clock
        self._register = Register(dice, "GRP")

    def form(self, places: Sequence[Place]) -> None:
        """Add the groups of all schools, from the pupils in their classes."""
        for index, place in enumerate(places):
            self._clock.reach(index / len(places))
            self._form_all(place)

    def _form_all(self, place: Place) -> None:
        if place.school.school_type is SchoolType.FS:
            self._form_departments(place)
        else:
            for name in sorted(place.classes):
                self._form_classes(place, name)
        pupils = tuple(chain.from_iterable(place.classes.values()))
        for club in self._dice.sample(CLUBS, 2):
            members = self._dice.sample(pupils, min(len(pupils), self._dice.number(6, 15)))
            self._form(place, club, [], members, GroupCategory.OTHER)

    def _form_departments(self, place: Place) -> None:
        children = [child for age in sorted(place.classes) for child in place.classes[age]]
        for index, members in enumerate(_parts(children, _DEPARTMENT)):
            again, name = divmod(index, len(DEPARTMENTS))
            title = f"{DEPARTMENTS[name]} {again + 1}" if again else DEPARTMENTS[name]
            self._form(place, title, [GroupType.CLASS, GroupType.CHILDCARE], members)

    def _form_classes(self, place: Place, name: str) -> None:
        mentors = place.school.school_type is SchoolType.GY or name in _MENTORS_IN
        for index, members in enumerate(_parts(place.classes[name], _CLASS)):
            title = f"{name}{_letters(index)}"
            self._form(place, title, [GroupType.CLASS], members)
            for number, mentored in enumerate(_parts(members, _MENTORED) if mentors else (), 1):
                self._form(place, f"{title} mentor {number}", [GroupType.MENTOR], mentored)
        if name in _CHILDCARE_IN:
            self._form(place, f"Fritids {name}", [GroupType.CHILDCARE], place.classes[name])

    def _form(
        self,
        place: Place,
        title: str,
        types: list[GroupType],
        members: Sequence[str],
        category: GroupCategory = GroupCategory.EDUCATION,
    ) -> None:
        dice = self._dice
        education = category is GroupCategory.EDUCATION
        moderators = {dice.pick(place.teachers if education else place.staff): None for _ in range(dice.number(1, 2))}
        self.groups.append(
            Group(
                id=dice.id(),
                meta=self._clock.meta(),
                external=self._register.external(),
                school_id=place.school.id,
                category=category,
                title=title,
                types=types,
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

"""Everything that is drawn at random, from one seed, and what must come out unique."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import cache
from random import Random
from typing import NamedTuple, TypedDict, TypeVar

from ...records import Address, External, Meta
from ...resources._person import Gender
from .calendar import school_year
from .words import Origin

T = TypeVar("T")

OPERATOR = "7b1f3c52-9a4e-4d08-8c66-2e5d0f9a1b37"
"""The user who made and changed every record."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_DOUBLED = str.maketrans("0123456789", "0246813579")
"""Twice a digit, as the sum of its digits."""


class Dice(Random):
    """Draws of every kind; the same seed draws the same."""

    def id(self) -> str:
        """Return a new UUID (version 4)."""
        bits = self.getrandbits
        return f"{bits(32):08x}-{bits(16):04x}-4{bits(12):03x}-{0x8000 | bits(14):04x}-{bits(48):012x}"

    def pick(self, options: Sequence[T]) -> T:
        """Return one of the options, faster than `choice`."""
        return options[int(self.random() * len(options))]

    def number(self, low: int, high: int) -> int:
        """Return an integer between two bounds, both included, faster than `randint`."""
        return low + int(self.random() * (high - low + 1))

    def chance(self, probability: float) -> bool:
        """Return whether something of this probability happens."""
        return self.random() < probability

    def day(self, first: date, last: date) -> date:
        """Return a day between two others, both included."""
        return date.fromordinal(self.number(first.toordinal(), last.toordinal()))


def spread(weights: Mapping[T, int]) -> tuple[T, ...]:
    """Return every key as often as its weight says, to choose from."""
    return tuple(Counter(weights).elements())


class Home(NamedTuple):
    """What the members of a family share."""

    origin: Origin
    last: str
    address: Address


class RecordFields(TypedDict):
    """What records have in common."""

    id: str
    meta: Meta
    external: External | None


class PersonFields(RecordFields):
    """What people have in common."""

    identity_number: str
    identity_temporary: bool
    first_name: str
    last_name: str
    address: Address


class PlacementFields(RecordFields):
    """What placements have in common."""

    start_date: date
    end_date: date | None
    archived_at: datetime | None
    archive_year: str | None


class Register:
    """Makes what records have in common, and keeps unique what must be. Times of creation never go back.

    Times are drawn in milliseconds before `now` and cut to multiples of `step`: every step has the same draws.
    """

    def __init__(self, dice: Dice, now: datetime, step: int = 1) -> None:
        self.dice, self._step = dice, step
        self._now = (now - _EPOCH) // timedelta(milliseconds=1)
        self._at = self._made = 0
        self._born: Counter[int] = Counter()
        self._used: Counter[tuple[str, str]] = Counter()

    def during(self, first: float, last: float, items: Sequence[T]) -> Iterator[T]:
        """Yield items at even intervals, from so many days before now to so many: records are made at these times."""
        for index, item in enumerate(items):
            days = first + (last - first) * index / len(items)
            self._at = max(self._at, self._now - int(days * 86_400_000))
            yield item

    def next(self) -> datetime:
        """Go on by some milliseconds, and return the time."""
        self._at += self.dice.number(1, 9)
        return self._instant(self._at)

    def _instant(self, milliseconds: int) -> datetime:
        return datetime.fromtimestamp((milliseconds - milliseconds % self._step) / 1000, UTC)

    def meta(self) -> Meta:
        """Return the meta of a record that is made now. One in three has been updated, mostly of late."""
        created_at = self.next()
        if not self.dice.chance(0.33):
            return Meta(created_at=created_at, created_by=OPERATOR)
        updated_at = self._instant(self._now - 1 - int((self._now - self._at - 1) * self.dice.random() ** 3))
        return Meta(created_at=created_at, created_by=OPERATOR, updated_at=updated_at, updated_by=OPERATOR)

    def record(self, share: float = 0.3) -> RecordFields:
        """Return a record made now; a `share` of all have an id in another system."""
        self._made += 1
        source = External(source_id=f"ER-{self._made:07d}", source="Elevregistret")
        external = source if self.dice.chance(share) else None
        return {"id": self.dice.id(), "meta": self.meta(), "external": external}

    def person(self, home: Home, born: date, gender: Gender) -> PersonFields:
        """Return a member of a family."""
        male = gender is Gender.MALE
        return {
            **self.record(),
            "identity_number": self.identity_number(born, male=male),
            "identity_temporary": self.dice.chance(0.01),
            "first_name": self.dice.pick(home.origin.men if male else home.origin.women),
            "last_name": home.last,
            "address": home.address,
        }

    def placement(self, start: date, end: date | None) -> PlacementFields:
        """Return a placement; if it was updated more than five days after its end, that archived it."""
        record, year = self.record(0.1), school_year(end or start)
        updated_at = record["meta"].updated_at
        archived = end is not None and updated_at is not None and updated_at.date() > end + timedelta(5)
        return {
            **record,
            "start_date": start,
            "end_date": end,
            "archived_at": updated_at if archived else None,
            "archive_year": f"{year}_{year + 1}" if archived else None,
        }

    def identity_number(self, born: date, *, male: bool) -> str:
        """Return a number `YYYYMMDD-NNNN` whose last digit is not the check digit of the others.

        Raises `ValueError` when 4,500 of a gender were born on the day: there are no more numbers.
        """
        key = 2 * born.toordinal() + male
        error, turn = divmod(self._born[key], 500)
        self._born[key] += 1
        if error == 9:  # one of the ten digits is right
            raise ValueError(f"too many people born on {born}: no identity number is left")
        digits = f"{born:%Y%m%d}{2 * ((131 * key + 167 * turn) % 500) + male:03d}"
        wrong = (-_luhn_sum(digits[2:]) + 1 + (key + error) % 9) % 10
        return f"{digits[:8]}-{digits[8:]}{wrong}"

    def mailbox(self, person: PersonFields) -> str:
        """Return the local part of a new e-mail address."""
        return self.unique(f"{_ascii(person['first_name'])}.{_ascii(person['last_name'])}")

    def unique(self, text: str, scope: str = "", *, gap: str = "") -> str:
        """Return a text that is new within its scope: a number follows when it was there before."""
        self._used[scope, text] += 1
        count = self._used[scope, text]
        return text if count == 1 else f"{text}{gap}{count}"


def _luhn_sum(digits: str) -> int:
    """Return the Luhn sum of digits of which the first is doubled, then every second."""
    return sum(map(int, digits[::2].translate(_DOUBLED) + digits[1::2]))


@cache
def _ascii(name: str) -> str:
    """Return a name for an e-mail address: lower case, without accents."""
    plain = unicodedata.normalize("NFKD", name.lower().replace("ł", "l"))
    return "".join(letter for letter in plain if "a" <= letter <= "z" or letter == "-")

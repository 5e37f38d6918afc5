"""Everything that is drawn at random, from one seed, and what must come out unique."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from random import Random
from typing import Any, TypeVar

from ...records import External, Meta
from .words import Name

T = TypeVar("T")

OPERATOR = "7b1f3c52-9a4e-4d08-8c66-2e5d0f9a1b37"
"""The user who made and changed every record."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Dice:
    """Draws of every kind; the same seed draws the same."""

    def __init__(self, seed: int | str) -> None:
        source = Random(seed)
        self.random, self.sample, self._bits = source.random, source.sample, source.getrandbits

    def id(self) -> str:
        """Return a new UUID (version 4)."""
        bits = self._bits
        return f"{bits(32):08x}-{bits(16):04x}-4{bits(12):03x}-{0x8000 | bits(14):04x}-{bits(48):012x}"

    def pick(self, options: Sequence[T]) -> T:
        """Return one of the options."""
        return options[int(self.random() * len(options))]

    def chance(self, probability: float) -> bool:
        """Return whether something of this probability happens."""
        return self.random() < probability

    def number(self, low: int, high: int) -> int:
        """Return an integer between two bounds, both included."""
        return low + int(self.random() * (high - low + 1))

    def day(self, first: date, last: date) -> date:
        """Return a day between two others, both included."""
        return date.fromordinal(self.number(first.toordinal(), last.toordinal()))


def spread(weights: Mapping[T, int]) -> tuple[T, ...]:
    """Return every key as often as its weight says, to pick from."""
    return tuple(Counter(weights).elements())


class Clock:
    """Times of creation within a span of days before `now`; they never go back.

    They are drawn in milliseconds and cut to multiples of `step`, so that the draws are the same for every step.
    """

    def __init__(self, dice: Dice, now: datetime, *, first: float, last: float, step: int = 1) -> None:
        self._random, self._step = dice.random, step
        self._now = (now - _EPOCH) // timedelta(milliseconds=1)
        self._at = self._start = self._now - int(first * 86_400_000)
        self._length = int((first - last) * 86_400_000)

    def reach(self, part: float) -> None:
        """Go on to where `part` of the span (0 to 1) has passed."""
        self._at = max(self._at, self._start + int(self._length * part))

    def next(self) -> datetime:
        """Go on by some milliseconds, and return the time."""
        self._at += 1 + int(self._random() * 9)
        return self._instant(self._at)

    def meta(self, updated_at: datetime | None = None) -> Meta:
        """Return the meta of a record that is made now. One in three has been updated, mostly of late."""
        created_at = self.next()
        if updated_at is None:
            if self._random() > 0.33:
                return Meta(created_at=created_at, created_by=OPERATOR)
            updated_at = self._instant(self._now - 1 - int((self._now - self._at - 1) * self._random() ** 3))
        return Meta(created_at=created_at, created_by=OPERATOR, updated_at=updated_at, updated_by=OPERATOR)

    def later(self, day: date) -> datetime:
        """Return a time before now, more than five days after `day`, at which the record to be made exists."""
        earliest = max(self._at + 10, (day.toordinal() - _EPOCH.toordinal() + 6) * 86_400_000)
        return self._instant(earliest + int((self._now - earliest) * self._random()))

    def _instant(self, milliseconds: int) -> datetime:
        return datetime.fromtimestamp((milliseconds - milliseconds % self._step) / 1000, UTC)


class Register:
    """Makes what the records of one resource have in common, and keeps unique what must be."""

    def __init__(self, dice: Dice, clock: Clock, prefix: str) -> None:
        self._dice, self._clock, self._prefix = dice, clock, prefix
        self._born: Counter[int] = Counter()
        self._mailboxes: Counter[str] = Counter()
        self._sources = 0

    def record(self, share: float = 0.3, *, archived_at: datetime | None = None) -> dict[str, Any]:
        """Return id, meta and, for a `share` of the records, the id in another system; as keywords."""
        id_, meta, external = self._dice.id(), self._clock.meta(archived_at), None
        if self._dice.random() <= share:
            self._sources += 1
            external = External(source_id=f"{self._prefix}-{self._sources:06d}", source="Elevregistret")
        return {"id": id_, "meta": meta, "external": external}

    def person(self, first: Name, last: Name, born: date, *, male: bool) -> dict[str, Any]:
        """Return a record's keywords with names and an identity number."""
        return {
            **self.record(),
            "identity_number": self.identity_number(born, male=male),
            "identity_temporary": self._dice.chance(0.01),
            "first_name": first.text,
            "last_name": last.text,
        }

    def identity_number(self, born: date, *, male: bool) -> str:
        """Return a number `YYYYMMDD-NNNN` whose last digit is not the check digit of the others.

        Raises `ValueError` when 4,500 of a gender were born on the day: there are no more numbers.
        """
        digits, weight = _birth(born)
        key = 2 * born.toordinal() + male
        error, turn = divmod(self._born[key], 500)
        self._born[key] += 1
        if error == 9:  # one of the ten digits is right
            raise ValueError(f"too many people born on {born}: no identity number is left")
        serial = 2 * ((131 * key + 167 * turn) % 500) + male
        wrong = (-weight - _SERIALS[serial] + 1 + (key + error) % 9) % 10
        return f"{digits}-{serial:03d}{wrong}"

    def mailbox(self, first: Name, last: Name) -> str:
        """Return the local part of an e-mail address."""
        mailbox = f"{first.mail}.{last.mail}"
        self._mailboxes[mailbox] += 1
        count = self._mailboxes[mailbox]
        return mailbox if count == 1 else f"{mailbox}{count}"


def _weigh(digits: str) -> int:
    """Return the Luhn sum of digits of which the first is doubled, then every second."""
    return sum(sum(divmod(int(digit) * (2 - place % 2), 10)) for place, digit in enumerate(digits))


_SERIALS = tuple(_weigh(f"{serial:03d}") for serial in range(1000))


@lru_cache(maxsize=40_000)
def _birth(born: date) -> tuple[str, int]:
    digits = born.isoformat().replace("-", "")
    return digits, _weigh(digits[2:])

"""How a server reads and writes values where the API's document leaves it open. Pure; knows no resource and no rule.

The usual dialect is what the vendor's own code suggests: text is trimmed, codes are upper-cased, instants have whole
seconds, fields that it does not know are ignored. The other choices are what the live server may turn out to do.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

import msgspec
from msgspec import structs

from ..._wire.messages import Envelope
from ...records import Field, Kind, Record, fields
from ..store.choices import check_choice
from ..store.tables import Row

Resolution = Literal["second", "microsecond"]
"""Of the instants that the server sets."""

Unknown = Literal["ignore", "refuse"]
"""What becomes of a field in a body that the server does not know: nothing, or the request is refused."""

Zones = Literal["convert", "drop"]
"""What becomes of the offset of an instant in a search: it counts, or is dropped as by a column without a time zone."""

Form = Literal["NFC"]
"""A Unicode form."""

_CODES = frozenset({"country_code", "municipality_code"})
"""Fields whose text is upper-cased on the way in."""

_STEPS = {"second": timedelta(), "microsecond": timedelta(microseconds=1)}


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """The choices of a server."""

    resolution: Resolution = "second"
    unknown: Unknown = "ignore"
    zones: Zones = "convert"
    normalize: Form | None = None
    """The Unicode form in which text is kept, None for the one it comes in."""
    nil_lists: bool = False
    """Whether a list without elements is sent as null."""
    nil_objects: bool = False
    """Whether an object that is null is sent as an object of nulls."""

    def __post_init__(self) -> None:
        check_choice("resolution", self.resolution, Resolution)
        check_choice("unknown", self.unknown, Unknown)
        check_choice("zones", self.zones, Zones)
        if self.normalize is not None:
            check_choice("normalize", self.normalize, Form)

    def stamped(self, now: datetime, last: datetime) -> datetime:
        """Return the time of a change: in microseconds later than the `last` one, in seconds no earlier."""
        return max(self.rounded(now), last + _STEPS[self.resolution])

    def rounded(self, moment: datetime) -> datetime:
        """Return an instant as it is kept."""
        return moment.replace(microsecond=0) if self.resolution == "second" else moment

    def text(self, field: Field, value: str) -> str:
        """Return text as it is kept, or compared with what is kept; a LIKE pattern too."""
        value = value.strip()
        if self.normalize is not None:
            value = unicodedata.normalize(self.normalize, value)
        return value.upper() if field.name in _CODES else value

    def instant(self, moment: datetime) -> datetime:
        """Return an instant as a search compares it."""
        return moment.replace(tzinfo=UTC) if self.zones == "drop" else moment

    def sent(self, result: Envelope[Row] | Record | None) -> object:
        """Return what an answer says of a result."""
        if not (self.nil_lists or self.nil_objects) or result is None:
            return result
        if not isinstance(result, Envelope):
            return self._row(result)
        rows = [self._row(row) for row in result.data]
        return structs.replace(result, data=None if self.nil_lists and not rows else rows)

    def _row(self, row: Record) -> Record:
        changes: dict[str, object] = {}
        for field in fields(type(row)):
            value = getattr(row, field.name)
            if self.nil_lists and field.many and not value:
                changes[field.name] = None
            elif self.nil_objects and value is None and field.kind is Kind.OBJECT:
                changes[field.name] = blank(field)
        return structs.replace(row, **changes) if changes else row


def blank(field: Field) -> Record:
    """Return the object of an object field with nothing but nulls."""
    # Decoding, unlike calling, makes nulls of what is left out.
    model: type[Record] = field.type
    return msgspec.convert({}, model)

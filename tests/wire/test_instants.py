"""Instants that go out: in UTC, and meaning the same to servers that keep whole seconds and to those that keep more."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET, UnsetType
from plain_directory import PlainDirectory
from samples import Recorder, page

from meitner_aio import MetaQuery, above, at_least, at_most, below, between, equals
from meitner_aio._wire.validation import built, checked, encode
from meitner_aio.query import to_filter
from meitner_aio.records import Record
from meitner_aio.resources import AuditEvents, Groups, Units
from meitner_aio.resources.audit_events import AuditEventQuery

TEN = datetime(2026, 3, 1, 12, 0, 10, tzinfo=UTC)
"""Ten seconds past noon."""

HALF = timedelta(seconds=0.5)
EAST, WEST = timezone(timedelta(hours=2)), timezone(-timedelta(hours=9))


def sent(condition: Any) -> Any:
    """Return what a condition on the time of an event comes to, as JSON."""
    return json.loads(encode(to_filter(AuditEventQuery(timestamp=condition))))


SPELLED = {
    "equals": (equals(TEN), {"equals": "10Z"}),
    "above": (above(TEN), {"greaterThan": "10Z"}),
    "above a fraction": (above(TEN + HALF), {"greaterThan": "10Z"}),
    "at least": (at_least(TEN), {"greaterOrEqual": "10Z"}),
    "at least a fraction": (at_least(TEN + HALF), {"greaterOrEqual": "10Z"}),
    "below": (below(TEN), {"smallerThan": "10Z"}),
    "below a fraction": (below(TEN + HALF), {"smallerOrEqual": "10.499999Z"}),
    "at most": (at_most(TEN), {"smallerOrEqual": "10Z"}),
    "at most a fraction": (at_most(TEN + HALF), {"smallerOrEqual": "10.500000Z"}),
    "not at least a fraction": (~at_least(TEN + HALF), {"smallerOrEqual": "10.499999Z"}),
    "not below a fraction": (~below(TEN + HALF), {"greaterOrEqual": "10Z"}),
    "between fractions": (
        between(TEN + HALF, TEN + HALF),
        {"greaterOrEqual": "10Z", "smallerOrEqual": "10.500000Z"},
    ),
}


@pytest.mark.parametrize(("condition", "groups"), SPELLED.values(), ids=SPELLED)
def test_a_bound_is_utc_and_a_lower_one_has_whole_seconds(condition: Any, groups: dict[str, str]) -> None:
    """A server may drop the offset of what it is asked, and keeps no fractions: nothing may be lost by either."""
    expected = {group: {"timestamp": f"2026-03-01T12:00:{text}"} for group, text in groups.items()}
    assert sent(condition) == expected | {"orCondition": False}


@pytest.mark.parametrize("zone", [UTC, EAST, WEST])
def test_the_zone_of_an_instant_makes_no_difference(zone: timezone) -> None:
    """The same moment is the same filter."""
    assert sent(at_least(TEN.astimezone(zone))) == sent(at_least(TEN))
    assert sent(TEN.astimezone(zone)) == sent(TEN)


STAMPS = [TEN + timedelta(seconds=tenth / 10) for tenth in range(-30, 31)]
"""Three seconds on either side of ten, by tenths."""

MEANING = {
    "above": (above, lambda kept, bound: kept > bound),
    "at least": (at_least, lambda kept, bound: kept >= bound),
    "below": (below, lambda kept, bound: kept < bound),
    "at most": (at_most, lambda kept, bound: kept <= bound),
}
SERVERS = {"whole seconds": (0, False), "whole seconds, also of bounds": (0, True), "microseconds": (6, False)}


@pytest.mark.parametrize(("digits", "cuts"), SERVERS.values(), ids=SERVERS)
@pytest.mark.parametrize(("make", "holds"), MEANING.values(), ids=MEANING)
async def test_a_bound_means_the_same_to_every_server(make: Any, holds: Any, digits: int, cuts: bool) -> None:
    """Every row whose own stamp meets the bound is found; a lower bound may add the rest of its second, no more."""
    directory = PlainDirectory(digits=digits, cuts=cuts)
    for moment in STAMPS:
        directory.now = moment.timestamp()
        directory.put("/unit", title="Norr")
    rows = await Units(directory).list().all()
    stamps = [row.meta.created_at for row in rows if row.meta is not None]
    for tenth in range(20):
        bound = TEN - timedelta(seconds=1) + timedelta(seconds=tenth / 10)
        found = await Units(directory).search(meta=MetaQuery(created_at=make(bound.astimezone(WEST)))).all()
        got = {row.id for row in found}
        meant = {row.id for row, stamp in zip(rows, stamps, strict=True) if holds(stamp, bound)}
        rest = {
            row.id
            for row, stamp in zip(rows, stamps, strict=True)
            if make in (above, at_least) and bound.replace(microsecond=0) <= stamp <= bound
        }
        assert meant <= got <= meant | rest


async def test_a_row_of_the_second_in_which_a_window_begins_is_not_lost() -> None:
    """Made at 10.7 s, kept as 10: it was made at least at 10.5."""
    directory = PlainDirectory()
    directory.now = (TEN + timedelta(seconds=0.7)).timestamp()
    row = directory.put("/unit", title="Norr")
    (found,) = await Units(directory).search(meta=MetaQuery(created_at=at_least(TEN + HALF))).all()
    assert found.id == row["id"]


OUTSIDE = [datetime.min.replace(tzinfo=EAST), datetime.max.replace(tzinfo=WEST)]


@pytest.mark.parametrize("instant", OUTSIDE, ids=["before year 1", "after year 9999"])
@pytest.mark.parametrize("make", [lambda instant: instant, equals, above, at_least, below, at_most])
def test_an_instant_that_utc_does_not_have_is_refused(make: Any, instant: datetime) -> None:
    """Before any I/O, by name, and by no OverflowError of the calendar."""
    send = Recorder(page())
    with pytest.raises(ValueError, match=r"^AuditEventQuery\.timestamp must lie within the years 1 to 9999 in UTC$"):
        AuditEvents(send).search(timestamp=make(instant))
    assert send.requests == []


@pytest.mark.parametrize("instant", [datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)])
def test_the_ends_of_time_can_be_asked_for(instant: datetime) -> None:
    """Who asks since the beginning asks for everything."""
    for make in (equals, above, at_least, below, at_most):
        assert sent(make(instant))


@given(st.datetimes(timezones=st.timezones() | st.sampled_from([EAST, WEST])))
def test_no_instant_escapes_as_anything_but_utc(instant: datetime) -> None:
    """Of whatever zone, year and fraction: either refused, or sent with a Z, and a lower bound without a fraction."""
    try:
        made = sent(at_least(instant))
    except ValueError:
        assert not 2 <= instant.year <= 9998
        return
    text = made["greaterOrEqual"]["timestamp"]
    assert text.endswith("Z")
    assert "." not in text
    assert timedelta(0) <= instant - datetime.fromisoformat(text) < timedelta(seconds=1)


class _Stamped(datetime):
    """An instant of another library, as a table of it has them."""


def test_an_instant_of_another_library_goes_out_as_one() -> None:
    """A subclass means what it is a kind of."""
    stamped = _Stamped(2026, 3, 1, 14, 0, 10, 500_000, EAST)
    assert sent(at_least(stamped)) == sent(at_least(TEN))
    assert sent(at_most(stamped)) == sent(at_most(TEN + HALF))


class _Body(Record):
    """A write that holds an instant: none of the API's does today."""

    at: datetime | None | UnsetType = UNSET


def test_an_instant_in_a_write_is_utc() -> None:
    """With its fraction: what a server keeps of it is the server's business."""
    body = checked(built(_Body, {"at": (TEN + HALF).astimezone(EAST)}))
    assert json.loads(encode(body)) == {"at": "2026-03-01T12:00:10.500000Z"}
    assert checked(built(_Body, {"at": None})).at is None
    with pytest.raises(ValueError, match=r"^_Body\.at must lie within the years"):
        checked(built(_Body, {"at": OUTSIDE[0]}))


async def test_deletions_are_asked_for_from_a_whole_second() -> None:
    """The event of a deletion within the second in which a read began is not lost."""
    send = Recorder(page())
    await Groups(send).list()._source.deleted(TEN + HALF)
    assert b'{"timestamp":"2026-03-01T12:00:10Z"}' in (send.requests[0].body or b"")

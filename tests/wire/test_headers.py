"""What headers say about time and quota, and that junk says nothing."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from meitner_aio._wire.headers import (
    LimitHeaders,
    limit_headers,
    media_type,
    number,
    reset_epoch,
    server_time,
)
from meitner_aio._wire.messages import Headers

NOON = 1_763_726_400
"""2025-11-21 12:00:00 UTC, in seconds."""
NOON_DATE = "Fri, 21 Nov 2025 12:00:00 GMT"

JUNK = [
    "",
    " ",
    "-1",
    "+5",
    "NaN",
    "inf",
    "1e400",
    "1e3",
    "0x10",
    "1_000",
    "5000, 5000;w=3600",
    "٣٦٠٠",
    "²",
    "9" * 400,
    "\udcff",
]
"""What no header should say where a whole number belongs, and some do."""


@pytest.mark.parametrize(
    ("text", "value"), [("0", 0), ("5000", 5000), ("  17\t", 17), ("007", 7), ("9" * 15, 10**15 - 1)]
)
def test_a_whole_number_is_read(text: str, value: int) -> None:
    """Blanks around it are allowed, as HTTP allows them."""
    assert number(Headers({"N": text}), "N") == value


@pytest.mark.parametrize("text", JUNK)
def test_a_number_that_is_none_counts_as_not_said(text: str) -> None:
    """Signs, floats, lists, other alphabets' digits, and numbers too long to be meant."""
    assert number(Headers({"N": text}), "N") is None
    assert number(Headers(), "N") is None


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1763726400000", NOON),  # as the API documents it
        ("1763726400250", NOON + 0.25),
        ("1763726400", NOON),
        ("3600", 100 + 3600),
        ("0", 100),
        ("99999999999999", 99999999999.999),
        ("999999999999", 999999999.999),  # milliseconds, in 2001: as seconds it would be the year 33658
    ],
)
def test_the_end_of_the_window_in_each_of_its_spellings(text: str, seconds: float) -> None:
    """Epoch milliseconds, epoch seconds, or seconds from now."""
    assert reset_epoch(Headers({"RateLimit-Reset": text}), 100) == seconds


@pytest.mark.parametrize("text", [*JUNK, "100000000000001", "10000001", "999999999"])
def test_an_end_that_cannot_be_meant_counts_as_not_said(text: str) -> None:
    """Neither an instant of this age, nor a delta shorter than months."""
    headers = Headers({"RateLimit-Reset": text})
    assert reset_epoch(headers, 100) is None
    assert limit_headers(headers).reset_at is None


def test_the_end_as_users_see_it_is_an_instant_or_nothing() -> None:
    """A delta needs the answer's Date; without one nobody knows from when it counts."""
    noon = datetime.fromtimestamp(NOON, UTC)
    assert limit_headers(Headers({"RateLimit-Reset": "1763726400000"})).reset_at == noon
    assert limit_headers(Headers({"RateLimit-Reset": "0", "Date": NOON_DATE})).reset_at == noon
    assert limit_headers(Headers({"RateLimit-Reset": "0"})).reset_at is None


@pytest.mark.parametrize(
    "date",
    [
        NOON_DATE,
        "Friday, 21-Nov-25 12:00:00 GMT",
        "21 Nov 2025 12:00:00 +0000",
        "Fri, 21 Nov 2025 13:00:00 +0100",
        "Fri, 21 Nov 2025 12:00:00 -0000",
        "Fri, 21 Nov 2025 12:00:00",
        "Fri Nov 21 12:00:00 2025",
    ],
)
def test_a_date_is_read_as_utc_unless_it_says_otherwise(date: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every form that HTTP ever had, on a machine far from Greenwich: one without a zone is not its local time."""
    monkeypatch.setenv("TZ", "Pacific/Auckland")
    time.tzset()
    try:
        assert server_time(Headers({"Date": f"{date} "})) == NOON  # a text of this test's own: dates are remembered
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize(
    "date",
    ["", "now", "Fri, 99 Nov 2025 12:00:00 GMT", "Fri, 21 Nov 1492 12:00:00 GMT", "Fri, 31 Dec 9999 23:59:59 GMT"],
)
def test_a_date_that_means_no_time_of_this_age_is_none(date: str) -> None:
    """Arithmetic on the year 9999 leaves the calendar."""
    assert server_time(Headers({"Date": date})) is None


@pytest.mark.parametrize(
    ("requested_delay", "seconds"),
    [
        ("7", 7.0),
        ("0.5", 0.5),
        (NOON_DATE, 0.0),
        ("Fri, 21 Nov 2025 12:00:09 GMT", 9.0),
        ("Fri, 21 Nov 2025 11:00:00 GMT", 0.0),
    ],
)
def test_retry_after_is_seconds_or_a_date_by_the_servers_clock(requested_delay: str, seconds: float) -> None:
    """The local clock has no say."""
    assert limit_headers(Headers({"Retry-After": requested_delay, "Date": NOON_DATE})).retry_after == seconds


def test_the_media_type_is_bare() -> None:
    """Lower case, without parameters, and never longer than a log line bears."""
    assert media_type(Headers({"Content-Type": " Application/JSON; charset=utf-8"})) == "application/json"
    assert media_type(Headers()) == ""
    assert len(media_type(Headers({"Content-Type": "x" * 9999}))) <= 60


_texts = st.one_of(
    st.text(max_size=40),
    st.from_regex(r"[-+]?[0-9]{1,20}(\.[0-9]+)?", fullmatch=True),
    st.integers(0, 10**15).map(str),
    st.from_regex(
        r"(Mon, )?[0-9]{1,3}[ -](Jan|Feb|Dec)[ -][0-9]{1,5} [0-9]{1,3}:[0-9]{1,3}(:[0-9]{1,3})? ?[-+]?[0-9]{0,12}",
        fullmatch=True,
    ),
    st.sampled_from([*JUNK, NOON_DATE]),
)


@settings(max_examples=300, deadline=None)
@given(_texts, _texts, _texts)
@example("999999999999", "", "")
@example("9999999", "Fri, 31 Dec 9999 23:59:59 GMT", "Fri, 31 Dec 9999 23:59:59 GMT")
def test_no_header_whatsoever_raises(reset: str, date: str, requested_delay: str) -> None:
    """Each reader returns a finite number that makes sense, or None."""
    headers = Headers({"RateLimit-Reset": reset, "Date": date, "Retry-After": requested_delay})
    limits = limit_headers(headers)
    ends, now, wait = reset_epoch(headers, 0.0), server_time(headers), limits.retry_after
    assert ends is None or 0 <= ends <= 10**11
    assert now is None or 0 <= now <= 10**11
    assert wait is None or 0 <= wait <= 10**11
    assert limits.reset_at is None or limits.reset_at.year <= 5138


SAID = {"RateLimit-Limit": "1500", "RateLimit-Remaining": "7", "RateLimit-Reset": str((NOON + 60) * 1000)}


def test_the_three_limit_headers_are_read_together() -> None:
    """With the Date of the answer where it has one."""
    assert limit_headers(Headers({**SAID, "Date": NOON_DATE})) == LimitHeaders(1500, 7, NOON + 60, NOON)
    assert limit_headers(Headers(SAID)) == LimitHeaders(1500, 7, NOON + 60, None)


def test_a_delta_counts_from_the_date_of_the_answer_or_from_now() -> None:
    """The local clock is only for answers without a Date."""
    headers = {**SAID, "RateLimit-Reset": "60"}
    assert limit_headers(Headers({**headers, "Date": NOON_DATE})).ends(5.0) == NOON + 60
    assert limit_headers(Headers(headers)).ends(5.0) == 65.0
    assert limit_headers(Headers(SAID)).ends(5.0) == NOON + 60
    assert limit_headers(Headers()).ends(5.0) == 0.0


@pytest.mark.parametrize("name", SAID)
@pytest.mark.parametrize("junk", [None, *JUNK])
def test_limits_that_are_not_whole_count_as_not_said(name: str, junk: str | None) -> None:
    """A quota of which a part is missing or senseless is none."""
    said = {key: text for key, text in SAID.items() if key != name}
    if junk is not None:
        said[name] = junk
    assert limit_headers(Headers(said)).limit == 0


def test_a_limit_of_nothing_is_none() -> None:
    """A server that serves nothing would not have answered."""
    assert limit_headers(Headers({**SAID, "RateLimit-Limit": "0"})).limit == 0


def test_a_reset_that_stands_alone_is_a_wait() -> None:
    """Retry-After wins; beside other limit headers, in the past or as junk, a reset asks for no wait."""
    alone = {"RateLimit-Reset": str((NOON + 60) * 1000)}
    assert limit_headers(Headers(alone)).wait(NOON + 0.0) == 60
    assert limit_headers(Headers(alone | {"Date": NOON_DATE})).wait(5.0) == 60
    assert limit_headers(Headers(alone | {"RateLimit-Remaining": "0"})).wait(NOON + 0.0) == 60
    assert limit_headers(Headers({"RateLimit-Reset": "60"})).wait(5.0) == 60
    assert limit_headers(Headers(alone | {"Retry-After": "7"})).wait(NOON + 0.0) == 7
    assert limit_headers(Headers(alone)).wait(NOON + 60.0) is None
    assert limit_headers(Headers(alone | {"RateLimit-Remaining": "7"})).wait(NOON + 0.0) is None
    assert limit_headers(Headers(SAID | {"RateLimit-Remaining": "0"})).wait(NOON + 0.0) is None
    assert limit_headers(Headers({"RateLimit-Reset": "soon"})).wait(NOON + 0.0) is None
    assert limit_headers(Headers()).wait(NOON + 0.0) is None

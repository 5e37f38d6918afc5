"""What is known of the hourly window, answer by answer: pure arithmetic on hostile and honest headers."""

from __future__ import annotations

import math
import random
from datetime import UTC, datetime
from email.utils import formatdate

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meitner_aio._headers import LONGEST_WAIT
from meitner_aio._protocol import Headers
from meitner_aio._window import Quota, Window

EPOCH = 1_700_000_000
"""Seconds since 1970 at which the monotonic clock of these tests shows 0."""


def _answer(
    remaining: object, ends: float = 3600.0, *, limit: object = 100, at: float | None = 0.0, **more: str
) -> Headers:
    """Return the headers of an answer given at `at` (no Date: None) about a window that ends at `ends`."""
    said = {"RateLimit-Limit": str(limit), "RateLimit-Remaining": str(remaining), **more}
    said.setdefault("RateLimit-Reset", str(round((EPOCH + ends) * 1000)))
    if at is not None:
        said["Date"] = formatdate(EPOCH + at, usegmt=True)
    return Headers(said)


def _no_wall() -> float:
    raise AssertionError("the local clock was asked")


def test_before_the_first_answer_nothing_is_known() -> None:
    """No quota, and no window that would end."""
    window = Window(_no_wall)
    assert window.quota() is None
    assert window.ends == -math.inf


def test_an_answer_tells_the_window() -> None:
    """Its limit, what remains, its end by the server's clock for people, by ours for waiting."""
    window = Window(_no_wall)
    assert window.observe(_answer(99, 1800), 50.0)
    assert window.quota() == Quota(100, 99, datetime.fromtimestamp(EPOCH + 1800, UTC))
    assert window.ends == pytest.approx(50 + 1800)


@pytest.mark.parametrize("skew", [-300.0, 300.0, 86400.0])
def test_the_local_clock_is_not_asked_when_answers_are_dated(skew: float) -> None:
    """The end is taken against the Date of the same answer: skew cancels out."""
    window = Window(lambda: EPOCH + skew)
    window.observe(_answer(99), 0.0)
    assert window.ends == pytest.approx(3600)


def test_the_local_clock_is_asked_once_when_no_answer_is_dated() -> None:
    """A later step of the clock moves nothing."""
    clock = iter([EPOCH + 0.0])
    window = Window(lambda: next(clock))
    window.observe(_answer(99, at=None), 0.0)
    window.observe(_answer(50, 7200, at=None), 3600.0)
    assert window.ends == pytest.approx(7200)


def test_an_undated_answer_counts_by_the_last_date() -> None:
    """What was learned of the server's clock stays known."""
    window = Window(_no_wall)
    window.observe(_answer(99), 0.0)
    window.observe(_answer(98, 7200, at=None), 3600.0)
    assert window.ends == pytest.approx(7200)


def test_within_a_window_the_smallest_number_counts() -> None:
    """Answers may overtake each other."""
    window = Window(_no_wall)
    for remaining in (97, 99, 95, 98):
        window.observe(_answer(remaining), 0.0)
    assert window.remaining == 95


def test_an_answer_of_the_window_before_is_history() -> None:
    """It comes late and says that nothing is left: the new window knows better."""
    window = Window(_no_wall)
    window.observe(_answer(1, 3600, at=3599), 3599.0)
    window.observe(_answer(99, 7200, at=3600), 3600.0)
    window.observe(_answer(0, 3600, at=3599), 3600.2)
    assert (window.remaining, window.ends) == (99, pytest.approx(7200))


def test_the_new_window_counts_before_the_old_one_was_expected_to_end() -> None:
    """Date tells whole seconds: an end is known up to a second too late."""
    window = Window(_no_wall)
    window.observe(_answer(1, 3600, at=3000), 3000.9)
    window.observe(_answer(99, 7200, at=3600), 3600.1)
    assert (window.remaining, window.ends) == (99, pytest.approx(7200.1))


def test_a_window_that_goes_on_longer_than_expected_is_read_anew() -> None:
    """By our clock it is over, by the server's, in the same words, it is not."""
    window = Window(_no_wall)
    window.observe(_answer(50, 10, at=0), 0.0)
    window.observe(_answer(40, 10, at=5), 12.0)
    assert (window.remaining, window.ends) == (40, pytest.approx(17))


def test_an_earlier_end_that_is_still_to_come_is_believed() -> None:
    """One wrong answer from a gateway must not make the true ones history for an hour."""
    window = Window(_no_wall)
    window.observe(_answer(99, 3600), 0.0)
    window.observe(_answer(7, 1800), 0.0)
    assert (window.remaining, window.ends) == (7, pytest.approx(1800))


@pytest.mark.parametrize(("limit", "remaining"), [(50, 40), (200, 150)])
def test_a_limit_that_changes_in_the_middle_is_believed_at_once(limit: int, remaining: int) -> None:
    """A quota that was raised or cut counts from the first answer that says so."""
    window = Window(_no_wall)
    window.observe(_answer(60), 0.0)
    window.observe(_answer(remaining, limit=limit), 1.0)
    assert (window.limit, window.remaining, window.ends) == (limit, remaining, pytest.approx(3601))


def test_more_than_the_limit_cannot_remain() -> None:
    """The limit bounds what is believed."""
    window = Window(_no_wall)
    window.observe(_answer(10**14), 0.0)
    assert window.remaining == 100


@pytest.mark.parametrize(
    ("reset", "ends"),
    [
        (str((EPOCH + 60) * 1000), 60.0),
        (str(EPOCH + 60), 60.0),
        ("60", 60.0),
        (str((EPOCH + 10 * 365 * 86400) * 1000), LONGEST_WAIT),
        (str((EPOCH - 3600) * 1000), 1.0),
        ("0", 1.0),
    ],
)
def test_every_spelling_of_the_end_is_understood_and_bounded(reset: str, ends: float) -> None:
    """Milliseconds, seconds, a delta; ten years count as an hour, the past as a second."""
    window = Window(_no_wall)
    assert window.observe(_answer(0, **{"RateLimit-Reset": reset}), 0.0)
    assert window.ends == pytest.approx(ends)


@pytest.mark.parametrize(
    "junk",
    [
        {"RateLimit-Remaining": "-1"},
        {"RateLimit-Remaining": "NaN"},
        {"RateLimit-Remaining": "٣"},
        {"RateLimit-Limit": "0"},
        {"RateLimit-Limit": "1e400"},
        {"RateLimit-Reset": "soon"},
        {"RateLimit-Reset": "9" * 400},
    ],
)
def test_an_answer_with_junk_tells_nothing(junk: dict[str, str]) -> None:
    """Neither at first, nor about a window that is known."""
    window = Window(_no_wall)
    assert not window.observe(Headers({**_answer(5), **{name.lower(): text for name, text in junk.items()}}), 0.0)
    assert window.quota() is None
    window.observe(_answer(42), 0.0)
    assert not window.observe(Headers({**_answer(5), **{name.lower(): text for name, text in junk.items()}}), 0.0)
    assert window.remaining == 42


def test_an_answer_without_the_headers_tells_nothing() -> None:
    """A gateway's own page has none of them."""
    window = Window(_no_wall)
    window.observe(_answer(42), 0.0)
    assert not window.observe(Headers(), 1.0)
    assert (window.remaining, window.ends) == (42, pytest.approx(3600))


def test_the_same_words_are_not_read_again() -> None:
    """Of most answers only the number that remains is new: neither their Date nor the rest is parsed."""

    class Counted(Headers):
        asked = 0

        def get(self, name, default=None):
            Counted.asked += name == "Date"
            return super().get(name, default)

    window = Window(_no_wall)
    for remaining in range(99, 0, -1):
        window.observe(Counted(_answer(remaining)), 0.0)
    assert (window.remaining, Counted.asked) == (1, 1)


def test_words_that_count_from_now_are_read_every_time() -> None:
    """`60` means another instant a minute later, though it is spelled the same."""
    window = Window(_no_wall)
    window.observe(_answer(5, at=0, **{"RateLimit-Reset": "60"}), 0.0)
    window.observe(_answer(90, at=30, **{"RateLimit-Reset": "60"}), 30.0)
    assert (window.remaining, window.ends) == (90, pytest.approx(90))


@pytest.mark.parametrize("others", [0, 1, 2, 4])
def test_what_others_spend_shows_in_what_remains(others: int) -> None:
    """The share is how much the window loses for each answer of ours, whatever the order of answers."""
    window = Window(_no_wall)
    shuffled = random.Random(others)
    spent = list(range(0, 400 * (others + 1), others + 1))
    for start in range(0, len(spent), 8):
        batch = spent[start : start + 8]
        shuffled.shuffle(batch)
        for count in batch:
            window.observe(_answer(5000 - count, limit=5000), 0.0)
    assert window.share == pytest.approx(others + 1, rel=0.15)
    allowed_for_others = window.remaining - 10 - 3 - window.spare(3, 10)
    assert allowed_for_others == others * (3 + 2)


def test_the_share_of_others_is_bounded() -> None:
    """A window that collapses does not make one client believe in a thousand others."""
    window = Window(_no_wall)
    for remaining in (10**6, 500_000, 100):
        window.observe(_answer(remaining, limit=10**6), 0.0)
    assert window.share == 32
    assert window.spare(1, 0) == 100 - 1 - 32 * 3


_headers = st.fixed_dictionaries(
    {},
    optional={
        "RateLimit-Limit": st.one_of(st.integers(-1, 200).map(str), st.sampled_from(["", "NaN", "9" * 30])),
        "RateLimit-Remaining": st.one_of(st.integers(-1, 300).map(str), st.sampled_from(["", "1e400", "²"])),
        "RateLimit-Reset": st.one_of(
            st.integers(-(10**4), 10**4).map(lambda s: str((EPOCH + s) * 1000)),
            st.integers(-(10**4), 10**4).map(lambda s: str(EPOCH + s)),
            st.integers(0, 10**8).map(str),
            st.sampled_from(["", "-5", "9" * 14, "soon"]),
        ),
        "Date": st.one_of(
            st.integers(-(10**4), 10**4).map(lambda s: formatdate(EPOCH + s, usegmt=True)),
            st.sampled_from(["", "yesterday", "Fri, 31 Dec 9999 23:59:59 GMT", "Thu, 01 Jan 1970 00:00:00 GMT"]),
        ),
    },
)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(_headers, st.floats(0, 4000)), max_size=12))
def test_no_sequence_of_answers_makes_anyone_wait_longer_than_an_hour(
    answers: list[tuple[dict[str, str], float]],
) -> None:
    """Whatever is said: no error, an end within the hour, a number that remains within the limit, a quota to show."""
    window, now = Window(lambda: float(EPOCH)), 0.0
    for headers, pause in answers:
        now += pause
        known = window.quota()
        told = window.observe(Headers(headers), now)
        assert window.ends <= now + LONGEST_WAIT + 0.001
        assert 0 <= window.remaining <= max(window.limit, 0)
        assert 1 <= window.share <= 32
        assert told or window.quota() == known
        if told:
            assert window.quota() is not None


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_lone_client_never_overruns(data: st.DataObject) -> None:
    """Whatever the order in which requests arrive and answers return: who asks `spare` first is never refused.

    A request is on its way, then counted by the server, then answered; the hour may end at any point in between.
    """
    limit, clock, ends, spent = data.draw(st.integers(1, 12)), data.draw(st.floats(0, 5)), None, 0
    window, coming, going = Window(_no_wall), 0, []
    for step in data.draw(st.lists(st.sampled_from("sssccccaaat"), max_size=120)):
        if step == "s" and (
            window.spare(coming + len(going), 0) > 0 if clock < window.ends else not coming + len(going)
        ):
            coming += 1
        elif step == "c" and coming:
            coming -= 1
            if ends is None or clock >= ends:
                ends, spent = clock + 3600, 0
            spent += 1
            assert spent <= limit
            going.append(_answer(limit - spent, ends, limit=limit, at=math.floor(clock)))
        elif step == "a" and going:
            window.observe(going.pop(data.draw(st.integers(0, len(going) - 1))), clock)
        elif step == "t":
            clock += data.draw(st.sampled_from([0.3, 600.0, 3599.0]))

"""What the server's limiter is, learnt answer by answer: tables worked out by hand, and models that know nothing of us."""

from __future__ import annotations

import heapq
import itertools
import math
import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from email.utils import formatdate
from typing import Any, NamedTuple

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from limiters import HOUR, Bucket, FixedWindow
from limiters import Limiter as Model

from meitner_aio._pipeline.server_limiter import Departure, Quota, ServerLimiter
from meitner_aio._wire.headers import LONGEST_WAIT, LimitHeaders, limit_headers
from meitner_aio._wire.messages import Headers

EPOCH = 1_700_000_000
"""Seconds since 1970 at which the monotonic clock of these tests shows 0."""

LATENCY = 0.1


def _no_wall() -> float:
    raise AssertionError("the local clock was asked")


class Client:
    """A client of one limiter. Times are seconds since `EPOCH`, those of RateLimit-Reset and Date too."""

    def __init__(self, limit: int = 100, wall: Callable[[], float] = _no_wall) -> None:
        self.limiter = ServerLimiter(wall)
        self.limit = limit

    def leaves(self, at: float, in_flight: int = 0) -> Departure:
        """Send a request."""
        return self.limiter.departs(at, in_flight)

    def hears(
        self,
        departure: Departure,
        at: float,
        remaining: int,
        reset: float = 3600.0,
        in_flight: int = 0,
        *,
        dated: bool = True,
        served: bool = True,
    ) -> None:
        """Get the answer to a request."""
        date = float(math.floor(EPOCH + at)) if dated else None
        said = LimitHeaders(self.limit, remaining, EPOCH + reset, date)
        self.limiter.learn(said, departure, at, in_flight, served=served)

    def asks(self, at: float, remaining: int, reset: float = 3600.0, **how: Any) -> None:
        """Send a request alone, so that its answer is there at this time."""
        self.hears(self.leaves(at - LATENCY), at, remaining, reset, **how)

    @property
    def kind(self) -> str:
        """What is known: a window is believed in until then."""
        return "bucket" if self.limiter.is_bucket else "window" if self.limiter.is_window else "?"


# One answer


def test_before_the_first_answer_nothing_is_known() -> None:
    """No quota, and no window that would end; headers are taken for late ones, which is the worse case."""
    limiter = ServerLimiter(_no_wall)
    assert limiter.quota(0.0) is None
    assert (limiter.limit, limiter.ends, limiter.late, limiter.share) == (0, -math.inf, 1, 1.0)


def test_an_answer_tells_a_window() -> None:
    """Its limit, what remains, its end by the server's clock for people, by ours for waiting."""
    client = Client()
    client.asks(50.0, 99, 1800.0)
    limiter = client.limiter
    assert limiter.quota(51.0) == Quota(100, 99, datetime.fromtimestamp(EPOCH + 1800, UTC), "window")
    assert (limiter.ends, limiter.tokens(51.0), client.kind) == (pytest.approx(1800), 99, "?")


@pytest.mark.parametrize("skew", [-300.0, 300.0, 86400.0])
def test_the_local_clock_is_not_asked_when_answers_are_dated(skew: float) -> None:
    """The end is taken against the Date of the same answer: skew cancels out."""
    limiter = ServerLimiter(_no_wall)
    said = LimitHeaders(100, 99, EPOCH + skew + 3600, EPOCH + skew)
    limiter.learn(said, limiter.departs(0.0, 0), 0.1, 0, served=True)
    assert limiter.ends == pytest.approx(3600.1)


def test_the_local_clock_is_asked_once_when_no_answer_is_dated() -> None:
    """A later step of the clock moves nothing."""
    clock = iter([EPOCH + 0.0])
    client = Client(wall=lambda: next(clock))
    client.asks(0.0, 99, dated=False)
    client.asks(3600.0, 50, 7200.0, dated=False)
    assert client.limiter.ends == pytest.approx(7200)


def test_an_undated_answer_counts_by_the_last_date() -> None:
    """What was learned of the server's clock stays known."""
    client = Client()
    client.asks(0.0, 99)
    client.asks(3600.0, 98, 7200.0, dated=False)
    assert client.limiter.ends == pytest.approx(7200)


@pytest.mark.parametrize(
    ("reset", "ends"), [(60, 60.0), (3700, LONGEST_WAIT), (10 * 365 * 86400, LONGEST_WAIT), (-3600, 1.0), (0, 1.0)]
)
def test_an_end_is_bounded(reset: float, ends: float) -> None:
    """Ten years count as an hour, the past as a second."""
    client = Client()
    client.asks(0.0, 0, reset)
    assert client.limiter.ends == pytest.approx(ends)


def test_more_than_the_limit_cannot_remain() -> None:
    """The limit bounds what is believed."""
    client = Client()
    client.asks(0.0, 10**14)
    assert client.limiter.remaining == 100


# Several answers


def test_within_a_window_the_smallest_number_counts() -> None:
    """Answers of requests that were under way together may overtake each other."""
    client = Client()
    together = [client.leaves(0.0, others) for others in range(4)]
    for departure, remaining, others in zip(together, (97, 99, 96, 98), (3, 2, 1, 0), strict=True):
        client.hears(departure, 0.5, remaining, in_flight=others)
    assert (client.limiter.remaining, client.kind) == (96, "?")


def test_what_follows_an_answer_is_believed_although_it_is_more() -> None:
    """A request that left after an answer had come was counted later: somebody gave back, or a gateway had lied."""
    client = Client()
    client.asks(0.0, 7)
    client.asks(1.0, 60)
    assert client.limiter.remaining == 60


def test_an_answer_of_the_window_before_is_history() -> None:
    """It comes late and says that nothing is left: the new window knows better."""
    client = Client()
    client.asks(3598.0, 2)
    late, new = client.leaves(3599.0), client.leaves(3599.9, 1)
    client.hears(new, 3600.1, 99, 7200.0, in_flight=1)
    client.hears(late, 3600.2, 1)
    assert (client.limiter.remaining, client.limiter.ends) == (99, pytest.approx(7200.1))


def test_the_new_window_counts_before_the_old_one_was_expected_to_end() -> None:
    """Date tells whole seconds: an end is known up to a second too late."""
    client = Client()
    client.asks(3000.9, 1)
    assert client.limiter.ends == pytest.approx(3600.9)
    client.asks(3600.1, 99, 7200.0)
    assert (client.limiter.remaining, client.limiter.ends) == (99, pytest.approx(7200.1))


def test_a_window_that_goes_on_longer_than_expected_is_read_anew() -> None:
    """By our clock it is over, by the server's, in the same words, it is not."""
    client = Client()
    client.asks(0.0, 50, 10.0)
    departure = client.leaves(11.9)
    client.limiter.learn(LimitHeaders(100, 40, EPOCH + 10.0, EPOCH + 5.0), departure, 12.0, 0, served=True)
    assert (client.limiter.remaining, client.limiter.ends, client.kind) == (40, pytest.approx(17), "?")


def test_an_earlier_end_that_is_still_to_come_is_believed() -> None:
    """One wrong answer from a gateway must not make the true ones history for an hour."""
    client = Client()
    client.asks(0.0, 99)
    client.asks(1.0, 7, 1800.0)
    assert (client.limiter.remaining, client.limiter.ends, client.kind) == (7, pytest.approx(1800), "?")


@pytest.mark.parametrize(("limit", "remaining"), [(50, 40), (200, 150)])
def test_a_limit_that_changes_in_the_middle_is_believed_at_once(limit: int, remaining: int) -> None:
    """A quota that was raised or cut counts from the first answer that says so; its kind has to show again."""
    for rows, kind in ((WINDOW, "window"), (TOP, "bucket")):
        client = _after(rows)
        assert client.kind == kind
        client.limit = limit
        client.asks(100.0, remaining, 3700.0)
        limiter = client.limiter
        assert (limiter.limit, limiter.remaining, limiter.ends) == (limit, remaining, pytest.approx(3700))
        assert (limiter.refill, client.kind) == (limit / HOUR, "?")


def test_an_answer_without_the_headers_counts_as_spent() -> None:
    """A gateway's own page tells nothing, but the request was probably counted."""
    client = Client()
    client.asks(0.0, 42)
    client.limiter.unsaid(1.0)
    assert client.limiter.tokens(1.0) == 41


def test_a_refusal_leaves_nothing() -> None:
    """Of a window until it ends; a bucket goes on filling."""
    for rows, left in ((WINDOW, 0.0), (TOP, 5.0)):
        client = _after(rows)
        departure = client.leaves(10.0)
        client.hears(departure, 10.1, 0, 2800.0 if rows is TOP else 3600.0, served=False)
        client.limiter.refused(departure, 10.1, 0)
        assert client.limiter.tokens(10.1) == 0
        assert client.limiter.tokens(15.1) == pytest.approx(left)


# Window or bucket. 3,600 an hour are a token a second, of which others have spent most. A row is an answer to a request
# that is alone: seconds, RateLimit-Remaining, RateLimit-Reset, and what is known then.

Rows = list[tuple[float, int, float, str]]

FULL: Rows = [  # when the bucket will be full: 3,600 tokens less those it holds, from now on
    (0.0, 1000, 2600, "?"),
    (0.3, 999, 2601, "?"),  # a second is what Date may be wrong by
    (0.6, 998, 2602, "bucket"),
]
SLOW_FULL: Rows = [  # slower than it refills: one token in, one out
    (0.0, 1000, 2600, "?"),
    (1.5, 1000, 2601, "?"),
    (4.5, 1002, 2602, "bucket"),
]
NEXT: Rows = [(0.0, 1000, 1, "?"), (0.5, 999, 1, "?"), (5.25, 1003, 6, "bucket")]  # the next token
NEXT_AT_ONCE: Rows = [
    (0.0, 1000, 1, "?"),
    (5.25, 1004, 6, "?"),
    (9.5, 1007, 10, "bucket"),
]  # once may be a window's end
IN_AN_HOUR: Rows = [(0.0, 1000, 3600, "?"), (0.9, 999, 3600.9, "?"), (2.0, 1000, 3602, "bucket")]
TOP: Rows = [  # at the top of the hour: only what remains can tell
    (0.0, 1000, 2800, "?"),
    (0.1, 999, 2800, "?"),
    (1.5, 999, 2800, "?"),  # one too many may be a server's rounding
    (3.5, 1000, 2800, "bucket"),
]
WINDOW: Rows = [
    (0.0, 1000, 3600, "?"),
    (0.1, 999, 3600, "?"),
    (2.0, 998, 3600, "?"),
    (5.0, 997, 3600, "window"),  # three tokens would have come back
    (6.0, 996, 3600, "window"),
]
TURNED: Rows = [(0.0, 7, 10, "?"), (11.0, 3599, 3611, "window"), (12.0, 3598, 3611, "window")]
HARDLY_USED: Rows = [(0.0, 3597, 10, "?"), (11.0, 3599, 3611, "?"), (12.0, 3598, 3611, "?")]  # a full bucket is alike
TURNED_LATE: Rows = [  # others spent the new one
    (0.0, 990, 10, "?"),
    (3500.0, 40, 3610, "?"),
    (3501.0, 30, 3610, "?"),
    (3700.0, 3, 7200, "?"),
    (3701.0, 1, 7200, "?"),
]
WITH_OTHERS: Rows = [(0.0, 1000, 3600, "?"), (5.0, 990, 3600, "?"), (10.0, 983, 3600, "?"), (15.0, 971, 3600, "?")]

TABLES = {
    "full": FULL,
    "full, slowly": SLOW_FULL,
    "next token": NEXT,
    "next token, seen twice": NEXT_AT_ONCE,
    "in an hour": IN_AN_HOUR,
    "top of the hour": TOP,
    "window": WINDOW,
    "window that turned": TURNED,
    "window that was hardly used": HARDLY_USED,
    "window that others have spent": TURNED_LATE,
    "with others": WITH_OTHERS,
}


def _after(rows: Rows) -> Client:
    client = Client(3600)
    for at, remaining, reset, _ in rows:
        client.asks(at, remaining, reset)
    return client


@pytest.mark.parametrize("rows", TABLES.values(), ids=TABLES)
def test_a_limiter_shows_itself(rows: Rows) -> None:
    """By a Reset that moves though no window ended, by what remains and should not, or by what does not come back."""
    client, kinds = Client(3600), []
    for at, remaining, reset, _ in rows:
        client.asks(at, remaining, reset)
        kinds.append(client.kind)
    assert kinds == [row[3] for row in rows]
    assert client.limiter.remaining == rows[-1][1]


def test_less_is_gone_than_was_sent() -> None:
    """Eight requests within four seconds cost four: nobody can see that while they overlap, but afterwards."""
    client = Client(3600)
    client.asks(0.0, 1000, 2800.0)
    together = [client.leaves(0.1, others) for others in range(8)]
    for number, departure in enumerate(together):
        client.hears(departure, 4.0 + number / 10, 999 - number // 2, 2800.0, in_flight=7 - number)
        assert client.kind == "?"
    client.asks(5.0, 996, 2800.0)
    assert client.kind == "bucket"


def test_a_bucket_is_counted_on_between_answers() -> None:
    """By a few tokens only: the next answer tells. What a user is shown counts on, and says when it is full."""
    limiter = _after(TOP).limiter
    assert [limiter.tokens(3.5 + seconds) for seconds in (0, 2, 8, 100)] == [1000, 1002, 1008, 1008]
    assert limiter.quota(103.5) == Quota(3600, 1100, datetime.fromtimestamp(EPOCH + 103 + 2500, UTC), "bucket")
    full = limiter.quota(9000.0)
    assert full is not None
    assert (full.remaining, full.kind) == (3600, "bucket")


def test_a_bucket_that_refills_faster_than_its_limit_says_is_believed() -> None:
    """Staging servers, sandboxes and tests have shorter hours."""
    client = Client(500)
    client.asks(0.0, 100, 2800.0)
    client.asks(1.0, 182, 2800.0)
    assert client.kind == "bucket"
    assert client.limiter.refill == pytest.approx(82, abs=1)


def test_a_bucket_that_jumps_is_a_window_after_all() -> None:
    """Half of the limit in a moment is no refill."""
    client = _after(TOP)
    client.asks(4.0, 3599, 2800.0)
    assert client.kind == "?"


# What proves nothing


def test_several_requests_that_meet_the_beginning_of_a_window_see_no_bucket() -> None:
    """The answer to the first one counts the others: less than expected remains of what is nearly full."""
    client = Client(50)
    client.asks(0.0, 47)
    together = [client.leaves(3600.5, others) for others in range(8)]
    for departure, remaining, others in zip(together, range(46, 38, -1), range(7, -1, -1), strict=True):
        client.hears(departure, 3601.0, remaining, 7200.5, in_flight=others)
        assert not client.limiter.is_bucket


def test_a_request_that_others_overtook_sees_no_window() -> None:
    """It left alone, and a bucket would have risen; but others left after it and were counted before it."""
    for refused in (False, True):
        client = Client(3600)
        client.asks(0.0, 1, 2800.0)
        first, *_ = [client.leaves(3.5, others) for others in range(4)]
        client.hears(first, 3.7, 0, 2800.0, in_flight=3, served=not refused)
        if refused:
            client.limiter.refused(first, 3.7, 3)
        assert client.kind == "?"


def test_a_refusal_of_one_that_was_alone_shows_a_window() -> None:
    """Nothing came back although three tokens would have."""
    client = Client(3600)
    client.asks(0.0, 0)
    departure = client.leaves(3.5)
    client.hears(departure, 3.6, 0, served=False)
    client.limiter.refused(departure, 3.6, 0)
    assert client.kind == "window"


def test_answers_that_overtake_each_other_make_no_window_of_a_small_bucket() -> None:
    """Eight in flight are more than half of it."""
    client = Client(10)
    for at, remaining, reset in ((0.0, 8, 720.0), (1.0, 7, 1080.0)):
        client.asks(at, remaining, reset)
    assert client.kind == "bucket"
    together = [client.leaves(2.0, others) for others in range(7)]
    for departure, remaining, others in zip(together, (0, 6, 1, 5, 2, 4, 3), range(6, -1, -1), strict=True):
        client.hears(departure, 2.5, remaining, 3600.0 - 360 * remaining, in_flight=others)
        assert (client.kind, client.limiter.remaining) == ("bucket", 0)


# Late headers


@pytest.mark.parametrize(("remaining", "late"), [(100, 1), (99, 0), (98, 1)])
def test_the_first_answer_of_a_window_tells_whether_headers_are_late(remaining: int, late: int) -> None:
    """All of it is left though one was sent: the request was not counted yet. Anything else says nothing: the worse."""
    client = Client()
    client.asks(0.0, remaining)
    assert client.limiter.late == late
    client.asks(1.0, remaining - 1)
    assert client.limiter.late == late


def test_a_request_among_others_does_not_tell_whether_headers_are_late() -> None:
    """One of them may have been counted before it."""
    client = Client()
    departure = client.leaves(0.0)
    client.leaves(0.0, 1)
    client.hears(departure, 0.1, 99, in_flight=1)
    assert client.limiter.late == 1
    client.asks(1.0, 97)
    client.asks(3600.0, 99, 7200.0)
    assert client.limiter.late == 0


# Others


@pytest.mark.parametrize("others", [0, 1, 2, 4])
def test_what_others_spend_shows_in_what_remains(others: int) -> None:
    """The share is how much is spent for each answer of ours, whatever the order of answers."""
    client, shuffled = Client(5000), random.Random(others)
    spent = list(range(0, 400 * (others + 1), others + 1))
    for start in range(0, len(spent), 8):
        batch = spent[start : start + 8]
        shuffled.shuffle(batch)
        departures = [client.leaves(float(start), in_flight) for in_flight in range(len(batch))]
        for number, (departure, count) in enumerate(zip(departures, batch, strict=True)):
            client.hears(departure, start + 0.5, 5000 - count, in_flight=len(batch) - number - 1)
    assert client.limiter.share == pytest.approx(others + 1, rel=0.15)
    assert client.limiter.alone is (others == 0)


def test_the_share_of_others_is_bounded() -> None:
    """A window that collapses does not make one client believe in a thousand others."""
    client = Client(10**6)
    for at, remaining in enumerate((10**6, 500_000, 100)):
        client.asks(float(at), remaining)
    assert client.limiter.share == 32


def test_a_handful_of_answers_is_no_proof_of_being_alone() -> None:
    """Others may have paused."""
    client = Client()
    client.asks(0.0, 99)
    client.asks(1.0, 98)
    assert (client.limiter.share, client.limiter.alone) == (1.0, False)


def test_the_drain_is_what_all_clients_send() -> None:
    """Three a second, by what remains; it follows what happens now."""
    client = Client(5000)
    assert client.limiter.drain == 0.0
    for second in range(30):
        client.asks(float(second), 4900 - 3 * second)
    assert client.limiter.drain == pytest.approx(3.0)
    for second in range(30, 60):
        client.asks(float(second), 4900 - 90 - (second - 30))
    assert client.limiter.drain == pytest.approx(1.0, rel=0.02)


# Models of servers


class Ways(NamedTuple):
    """How requests and answers travel: what each way takes and how long the client pauses, at most, in seconds."""

    latencies: tuple[float, ...]
    pauses: tuple[float, ...]
    late: bool
    dated: bool
    seed: int


_ways = st.builds(
    Ways,
    st.sampled_from([(0.0, 0.05), (0.3, 1.0), (0.0, 0.05, 0.3, 1.0, 3.0)]),
    st.sampled_from([(0.0, 0.01), (0.0, 0.5, 5.0), (0.0,) * 7 + (300.0,), (0.0, 60.0, 600.0), (0.0, 0.0, 3000.0)]),
    st.booleans(),
    st.booleans(),
    st.integers(0, 10**6),
)


def conversation(limiter: ServerLimiter, model: Model, ways: Ways, answers: int, width: int = 8) -> Iterator[float]:
    """Let a client send so many requests, heedless of what it learns, up to `width` at once; yield at every answer."""
    chance, number = random.Random(ways.seed), itertools.count()
    in_flight, idle, left = 0, False, answers
    events: list[tuple[float, int, str, Any]] = [(0.0, next(number), "leave", None)]

    def soon(now: float, kind: str, choices: tuple[float, ...], what: Any = None) -> None:
        heapq.heappush(events, (now + chance.choice(choices) * chance.random() + 1e-6, next(number), kind, what))

    while events:
        now, _, kind, what = heapq.heappop(events)
        if kind == "leave":
            idle = in_flight >= width
            if not idle and left:
                soon(now, "arrive", ways.latencies, limiter.departs(now, in_flight))
                in_flight, left = in_flight + 1, left - 1
                soon(now, "leave", ways.pauses)
        elif kind == "arrive":
            soon(now, "answer", ways.latencies, (what, *_judged(model, EPOCH + now, ways)))
        else:
            departure, said, served = what
            in_flight -= 1
            limiter.learn(said, departure, now, in_flight, served=served)
            if not served and limiter.remaining <= 1:
                limiter.refused(departure, now, in_flight)
            if idle:
                idle = False
                soon(now, "leave", (0.0,))
            yield now


def _judged(model: Model, now: float, ways: Ways) -> tuple[LimitHeaders, bool]:
    before = model.left(now)
    served = model.take(now)
    left = before if ways.late else model.left(now)
    date = float(int(now)) if ways.dated else None
    return LimitHeaders(model.limit, left, int(model.reset(now) * 1000) / 1000, date), served


@settings(max_examples=120, deadline=None)
@given(
    limit=st.sampled_from([2, 7, 10, 50, 300, 1500, 5000]),
    seconds=st.sampled_from([5.0, 60.0, 600.0, HOUR, HOUR, HOUR]),
    grid=st.booleans(),
    spent=st.floats(0, 1),
    ways=_ways,
)
@example(50, HOUR, False, 0.0, Ways((0.3, 1.0), (0.0, 0.0, 3000.0), late=False, dated=True, seed=630))
def test_a_window_is_never_taken_for_a_bucket(limit: int, seconds: float, grid: bool, spent: float, ways: Ways) -> None:
    """Whatever its size, however answers overtake each other, with eight in flight when it turns, headers late or not."""
    model, limiter = FixedWindow(limit, seconds, grid=grid), ServerLimiter(lambda: float(EPOCH))
    for _ in range(int(spent * limit)):
        model.take(EPOCH - seconds / 2)
    for now in conversation(limiter, model, ways, 150):
        assert not limiter.is_bucket, now


@settings(max_examples=120, deadline=None)
@given(
    limit=st.sampled_from([10, 50, 300, 1500, 5000]),
    small=st.booleans(),
    meaning=st.sampled_from(["full", "next", "hour", "top"]),
    held=st.floats(0.05, 0.7),
    ways=_ways,
)
@example(10, False, "top", 0.5, Ways((0.3, 1.0), (0.0, 0.0, 3000.0), late=True, dated=True, seed=725))
def test_a_bucket_is_never_taken_for_a_window(limit: int, small: bool, meaning: str, held: float, ways: Ways) -> None:
    """Nor forgotten once it is known: by a client that is alone on it."""
    model, limiter = (
        Bucket(limit, meaning, burst=min(limit, 50) if small else limit),
        ServerLimiter(lambda: float(EPOCH)),
    )
    model.take(EPOCH)
    model.tokens = held * model.burst
    known = False
    for _ in conversation(limiter, model, ways, 150):
        assert not limiter.is_window
        assert limiter.is_bucket or not known
        known = limiter.is_bucket


@settings(max_examples=120, deadline=None)
@given(
    limit=st.sampled_from([50, 300, 1500, 5000]),
    meaning=st.sampled_from(["full", "next", "hour", "top"]),
    held=st.floats(0.2, 0.7),
    before=st.integers(1, 30),
    ways=_ways,
)
def test_a_bucket_is_known_after_two_looks(limit: int, meaning: str, held: float, before: int, ways: Ways) -> None:
    """Whatever Reset means and whatever was sent before: one that waits alone for four tokens sees them.

    A second look, because the top of an hour may come in between, which looks like a window that turned.
    """
    model, limiter = Bucket(limit, meaning), ServerLimiter(lambda: float(EPOCH))
    model.take(EPOCH)
    model.tokens = held * limit
    for now in conversation(limiter, model, ways._replace(pauses=(0.0, 0.01)), min(before, int(held * limit) - 2)):
        last = now
    for _ in range(2):
        last += 4 * HOUR / limit
        departure = limiter.departs(last, 0)
        said, served = _judged(model, EPOCH + last, ways)
        assert served
        limiter.learn(said, departure, last, 0, served=True)
    assert limiter.is_bucket


@settings(max_examples=120, deadline=None)
@given(st.data())
def test_a_lone_client_that_keeps_to_what_is_known_never_overruns_a_window(data: st.DataObject) -> None:
    """Whatever the order in which requests arrive and answers return: in flight and late ones counted, none is refused.

    A request is on its way, then counted by the server, then answered; the hour may end at any point in between.
    """
    model = FixedWindow(data.draw(st.integers(1, 12)))
    ways = Ways((), (), late=data.draw(st.booleans()), dated=True, seed=0)
    limiter, now = ServerLimiter(_no_wall), data.draw(st.floats(0, 5))
    coming: list[Departure] = []
    going: list[tuple[Departure, LimitHeaders]] = []
    for step in data.draw(st.lists(st.sampled_from("sssccccaaat"), max_size=120)):
        out = len(coming) + len(going)
        if step == "s" and (limiter.tokens(now) - out - limiter.late >= 1 if now < limiter.ends else not out):
            coming.append(limiter.departs(now, out))
        elif step == "c" and coming:
            said, served = _judged(model, EPOCH + now, ways)
            assert served
            going.append((coming.pop(data.draw(st.integers(0, len(coming) - 1))), said))
        elif step == "a" and going:
            departure, said = going.pop(data.draw(st.integers(0, len(going) - 1)))
            limiter.learn(said, departure, now, out - 1, served=True)
        elif step == "t":
            now += data.draw(st.sampled_from([0.3, 600.0, 3599.0]))


# Whatever is said

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


@settings(max_examples=120, deadline=None)
@given(st.lists(st.tuples(_headers, st.floats(0, 4000), st.booleans(), st.integers(0, 8)), max_size=12))
def test_no_sequence_of_answers_makes_anyone_wait_longer_than_an_hour(
    answers: list[tuple[dict[str, str], float, bool, int]],
) -> None:
    """Whatever is said: no error, an end within the hour, what remains within the limit, a quota to show."""
    limiter, now = ServerLimiter(lambda: float(EPOCH)), 0.0
    for said, pause, served, in_flight in answers:
        departure = limiter.departs(now, in_flight)
        now += pause
        told = limit_headers(Headers(said))
        if told.limit:
            limiter.learn(told, departure, now, in_flight, served=served)
            if not served:
                limiter.refused(departure, now, in_flight)
            assert limiter.quota(now) is not None
        assert limiter.ends <= now + LONGEST_WAIT + 0.001
        assert 0 <= limiter.tokens(now + pause) <= limiter.limit
        assert 1 <= limiter.share <= 32
        assert limiter.late in (0, 1)
        assert not (limiter.is_bucket and limiter.is_window)
        assert 0 < limiter.refill < math.inf
        assert 0 <= limiter.drain < math.inf

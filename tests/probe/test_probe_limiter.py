"""Which limiter a server has, read from headers: every limiter that the API may have, as a model of its own."""

import math
from email.utils import formatdate

import pytest
from odd_server import NOON, Bucket, Window, said

from meitner_aio._wire.messages import Headers
from meitner_aio.probe import Answer
from meitner_aio.probe._limiter import LONGEST_PAUSE, limiter, pause

ASKED = 25
"""Requests of a probe before the limiter is looked at."""


def _probed(model, *, step=0.1, asked=ASKED, dated=True, spell=lambda headers, _: headers):
    """Return what a probe finds, and the seconds that it waits: it asks, twice more, waits, and asks twice again."""
    now, answers = NOON, []

    def ask():
        nonlocal now
        now += step
        headers = spell(model(now), now) | ({"Date": formatdate(now, usegmt=True)} if dated else {})
        answers.append(Answer(status=200, headers=Headers(headers), arrived=now - NOON + 77))

    for _ in range(asked):
        ask()
    waited = 0.0
    if pause(answers):
        ask(), ask()
        waited = pause(answers)
        now += waited
        ask(), ask()
    assert 0 <= waited <= LONGEST_PAUSE
    return (
        {one.question: one.value for one in limiter(answers)},
        waited,
        {one.question: one.answer for one in limiter(answers)},
    )


@pytest.mark.parametrize(("limit", "left"), [(1500, 1.0), (1500, 0.5), (5000, 1.0), (5000, 0.5), (100_000, 0.5)])
@pytest.mark.parametrize(
    ("reset", "means"), [("full", "full"), ("next", "next token"), ("hour", "one hour"), ("top", "top of the hour")]
)
def test_a_bucket_is_recognised_by_what_comes_back(limit, left, reset, means):
    """Whatever its Reset means, full or half empty."""
    found, _, said_ = _probed(Bucket(limit, reset, left=left * limit))
    assert (found["limiter"], found["reset"]) == ("bucket", means), said_


def test_a_bucket_that_refills_faster_than_a_probe_asks_shows_nothing():
    """It is always full, as if nothing were counted, and so it is called."""
    found, _, said_ = _probed(Bucket(100_000, "top"))
    assert (found["limiter"], "comes back at once" in said_["limiter"]) == (None, True)


@pytest.mark.parametrize("limit", [600, 1500, 5000])
@pytest.mark.parametrize("left", [1.0, 0.3])
@pytest.mark.parametrize("late", [False, True])
def test_a_window_gives_nothing_back(limit, left, late):
    """Its Reset stands still, and Remaining falls by one with each request, however long a probe waits."""
    found, waited, said_ = _probed(Window(limit, left=int(left * limit), late=late))
    assert (found["limiter"], found["reset"]) == ("window", "end of the window"), said_
    assert waited > 0
    assert "in 30 min" in said_["reset"]


@pytest.mark.parametrize("limit", [50, 300])
def test_a_window_that_is_too_small_to_show_stays_undetermined(limit):
    """A bucket of that size would give nothing back within ten seconds, either: nobody waits for it."""
    found, waited, said_ = _probed(Window(limit))
    assert (found["limiter"], waited) == (None, 0.0)
    assert "longer than a probe waits" in said_["limiter"]


def test_a_small_bucket_is_recognised_by_its_reset_alone():
    """Where Reset moves as that of a bucket does, no wait is needed."""
    found, waited, _ = _probed(Bucket(300, "full"))
    assert (found["limiter"], found["reset"], waited) == ("bucket", "full", 0.0)


@pytest.mark.parametrize(
    "model", [Bucket(1500, "top", late="stale"), Bucket(1500, "top", late=True), Window(1500, late=True)]
)
def test_headers_that_are_one_late_show_at_a_full_quota(model):
    """An answer that says that all are left did not count itself."""
    assert _probed(model)[0]["headers"] == "one late"


@pytest.mark.parametrize("model", [Bucket(1500, "top"), Window(1500)])
def test_headers_that_count_their_request_show_at_a_full_quota(model):
    """One less than all is the most that is left."""
    assert _probed(model)[0]["headers"] == "current"


def test_headers_that_lag_behind_show_in_a_pause():
    """What came back shows in the second answer after it, and not in the first."""
    found, _, said_ = _probed(Bucket(1500, "top", left=900, late="stale"))
    assert (found["limiter"], found["headers"]) == ("bucket", "one late"), said_


def test_at_a_quota_that_is_not_full_nobody_knows_whether_headers_are_late():
    """And that is said."""
    found, _, said_ = _probed(Window(1500, left=700))
    assert found["headers"] is None
    assert "full quota" in said_["headers"]


def test_others_who_spend_hide_what_comes_back():
    """No finding then: it would be a guess."""
    found, _, said_ = _probed(Bucket(1500, "top", left=900, others=2.0))
    assert found["limiter"] is None
    assert "others" in said_["limiter"]


def test_refusals_of_the_probe_itself_are_not_others():
    """What was asked and refused in between cost something, too."""
    answers = [
        Answer(status=status, headers=Headers(said(1500, 900 - number, NOON + 60)), arrived=number / 10)
        for number, status in enumerate((200, 403, 403, 200, 200))
    ]
    assert "others" not in limiter(answers)[0].answer


def test_a_refusal_that_costs_nothing_is_nothing_that_came_back():
    """Only answers with data are compared."""
    series = ((200, 901, 0.0), (200, 900, 0.1), (403, 900, 9.0), (200, 899, 9.1))
    answers = [
        Answer(status=status, headers=Headers(said(1500, left, NOON + 60)), arrived=at) for status, left, at in series
    ]
    assert limiter(answers)[0].value == "window"


def test_no_headers_are_a_finding_of_their_own():
    """Not a question that could not be answered."""
    found, waited, _ = _probed(lambda _: {})
    assert (found, waited) == ({"limiter": "none", "reset": None, "headers": None}, 0.0)


def test_headers_that_make_no_sense_are_not_no_headers():
    """They are there, and cannot be read."""
    found, _, said_ = _probed(lambda _: {"RateLimit-Limit": "many", "RateLimit-Remaining": "-1"})
    assert (found["limiter"], "cannot be read" in said_["limiter"]) == (None, True)


def test_without_answers_nothing_is_determined():
    """Every line says so."""
    assert [one.value for one in limiter([])] == [None, None, None]
    assert limiter([Answer(status=403, headers=Headers())])[0].value is None


def test_a_window_that_ends_while_a_probe_runs_is_recognised():
    """All of it comes back at once."""
    found, _, said_ = _probed(Window(5000, left=400, ends=NOON + 1.55))
    assert found["limiter"] == "window"
    assert "renewed" in said_["limiter"]
    assert found["reset"] == "end of the window"


def test_a_window_that_ends_while_a_probe_waits_is_recognised():
    """Although little was seen of the new one."""
    found, _, said_ = _probed(Window(1500, left=400, ends=NOON + ASKED / 10 + 2))
    assert (found["limiter"], "renewed" in said_["limiter"]) == ("window", True)


def test_the_top_of_an_hour_is_no_end_of_a_window_when_nothing_comes_back_at_it():
    """A bucket that names the top of the hour names the next one, and has no more than before."""
    top = math.ceil(NOON / 3600) * 3600
    model = Bucket(1500, "top", left=900)
    model.at = top - 1.5
    now, answers = top - 1.5, []
    for step in (*[0.1] * 20, 7.2, 0.1):
        now += step
        answers.append(
            Answer(status=200, headers=Headers(model(now) | {"Date": formatdate(now, usegmt=True)}), arrived=now)
        )
    kind, reset, _ = limiter(answers)
    assert (kind.value, reset.value) == ("bucket", "top of the hour")


def test_a_reset_that_moves_while_nothing_comes_back_is_reported_as_it_is():
    """Perhaps a sliding window: it is called neither."""
    window = Window(1500)
    found, _, said_ = _probed(lambda now: window(now) | {"RateLimit-Reset": str(round((now + 3600) * 1000))})
    assert found["limiter"] is None
    assert "sliding" in said_["limiter"]


@pytest.mark.parametrize(
    ("spelled", "words"),
    [
        (lambda reset, _: str(int(reset / 1000)), "in seconds since 1970"),
        (lambda reset, now: str(max(0, int(reset / 1000 - now))), "as seconds from now"),
        (lambda reset, _: str(reset), "in 30 min"),
    ],
)
def test_the_spelling_of_the_reset_is_reported(spelled, words):
    """The API documents milliseconds since 1970."""
    found, _, said_ = _probed(
        Window(1500),
        spell=lambda headers, now: headers | {"RateLimit-Reset": spelled(int(headers["RateLimit-Reset"]), now)},
    )
    assert found["reset"] == "end of the window"
    assert words in said_["reset"]


def test_without_a_date_only_what_comes_back_is_reported():
    """A moving Reset is read by the server's clock."""
    found, _, said_ = _probed(Bucket(1500, "full", left=900), dated=False)
    assert found["limiter"] == "bucket"
    assert (found["reset"], "no Date" in said_["reset"]) == (None, True)


def test_meanings_that_all_fit_are_all_named():
    """Of a bucket that is full but for one request, the next that comes back is the last."""
    found, _, said_ = _probed(Bucket(300, "full"), asked=5, step=13)
    assert (found["limiter"], found["reset"]) == ("bucket", None)
    assert said_["reset"].startswith("when the bucket will be full again or when the next request comes back")


def test_a_missing_reset_is_reported():
    """And the limiter all the same."""
    window = Window(1500)
    found, _, said_ = _probed(
        lambda now: {name: value for name, value in window(now).items() if name != "RateLimit-Reset"}
    )
    assert (found["limiter"], found["reset"]) == ("window", None)
    assert "missing" in said_["reset"]

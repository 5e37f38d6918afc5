"""Every operation by every outcome, against what is written here; what a policy refuses; what headers ask for."""

from __future__ import annotations

import math

import pytest
from msgspec.structs import replace
from scripted_send import (
    DATE,
    EPOCH,
    Script,
    call,
    endless,
    garbled,
    lost,
    request,
    said,
    timed_out,
    timed_out_unsent,
    unsent,
)

from meitner_aio import AmbiguousWriteError, QuotaExhausted, RetryPolicy
from meitner_aio._operations.operations import operations
from meitner_aio._pipeline.retry import Retrying
from meitner_aio._pipeline.retry_budget import FULL, RetryBudget
from meitner_aio._pipeline.retry_policy import TABLE, Retries, once
from meitner_aio._wire.headers import LONGEST_WAIT
from meitner_aio._wire.messages import RawResponse
from meitner_aio._wire.too_many import TooMany
from meitner_aio.errors import (
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    ConnectionReason,
    MeitnerError,
    NotFoundError,
)
from meitner_aio.resources import RESOURCES

# The table. A: sent again, and after two retries the failure itself. R: raised at once. ?: AmbiguousWriteError at once.

OUTCOMES = {
    "never sent": unsent,
    "never connected in time": timed_out_unsent,
    "408": said(408, "BadRequest"),
    "409": said(409, "Conflict"),
    "429": said(429, "RateLimited"),
    "503 that says it limits": said(503, "RateLimited"),
    "503 with Retry-After": said(503, None, Retry_After="0"),
    "503 with Retry-After and an error object": said(503, Retry_After="0"),
    # maybe processed
    "503 of a gateway": said(503, None),
    "503 with Internal": said(503, "Internal"),
    "503 with a senseless Retry-After": said(503, None, Retry_After="soon"),
    "500": said(500),
    "500 with Retry-After": said(500, Retry_After="0"),
    "501": said(501),
    "502": said(502, None),
    "504": said(504, None),
    "599": said(599, None),
    "999": said(999, None),
    "cut": lost,
    "no answer in time": timed_out,
    "an answer that cannot be read": garbled,
    # answered for good
    "300": said(300, None),
    "304": said(304, None),
    "400": said(400, "BadRequest"),
    "401": said(401, "Unauthorized"),
    "403": said(403, "Forbidden"),
    "404": said(404, "NotFound"),
    "405": said(405, None),
    "418": said(418, None),
    "422": said(422, "UnprocessableEntity"),
    "451": said(451, None),
}

EXPECTED = {
    ("list", "GET"): "AAAAAAAA AAAAAAAAARAAA RRRRRRRRRR",
    ("get", "GET"): "AAAAAAAA AAAAAAAAARAAA RRRRRRRRRR",
    ("search", "POST"): "AAAAAAAA AAAAAAAAARAAA RRRRRRRRRR",
    ("update", "PATCH"): "AAAAAAAA AAAAAAAAARAAA RRRRRRRRRR",
    ("archive", "PATCH"): "AAAAAAAA AAAAAAAAARAAA RRRRRRRRRR",
    ("restore", "PATCH"): "AAAAAAAA AAAAAAAAARAAA RRRRRRRRRR",
    ("delete", "DELETE"): "AAAAAAAA AAAAAAAAARAAA RRRRRRRRRR",
    ("create", "POST"): "AAAAAAAA ????????????? RRRRRRRRRR",
    ("token", "POST"): "AAAAAAAA AAAAAAAAARAAA RRRRRRRRRR",
    # anything else is told by its method
    ("request", "GET"): "AAAAAAAA AAAAAAAAARAAA RRRRRRRRRR",
    ("request", "get"): "AAAAAAAA AAAAAAAAARAAA RRRRRRRRRR",
    ("request", "HEAD"): "AAAAAAAA AAAAAAAAARAAA RRRRRRRRRR",
    ("request", "POST"): "AAAAAAAA ????????????? RRRRRRRRRR",
    ("request", "PUT"): "AAAAAAAA ????????????? RRRRRRRRRR",
    ("request", "PATCH"): "AAAAAAAA ????????????? RRRRRRRRRR",
    ("request", "DELETE"): "AAAAAAAA ????????????? RRRRRRRRRR",
    ("something new", "POST"): "AAAAAAAA ????????????? RRRRRRRRRR",
}


async def _cell(operation: str, method: str, name: str) -> str:
    outcome = await call(OUTCOMES[name], operation=operation, method=method, budget=endless())
    assert isinstance(outcome.result, MeitnerError)
    assert outcome.result.attempts == outcome.sent, name
    assert len(outcome.waits) == outcome.sent - 1
    if isinstance(outcome.result, AmbiguousWriteError):
        return "?" if outcome.sent == 1 else "sent again although ambiguous"
    return {1: "R", 3: "A"}[outcome.sent]


@pytest.mark.parametrize(("operation", "method"), EXPECTED)
async def test_what_follows_a_failure_is_what_is_written(operation: str, method: str) -> None:
    """Every cell of the table: 17 rows by 31 outcomes, by what really happens to a call."""
    cells = "".join(EXPECTED[operation, method].split())
    assert len(cells) == len(OUTCOMES)
    happened = {name: await _cell(operation, method, name) for name in OUTCOMES}
    assert happened == dict(zip(OUTCOMES, cells, strict=True))


def test_the_table_knows_every_operation() -> None:
    """An operation of a resource that the table forgets would be told by its method."""
    declared = {name for resource in RESOURCES.values() for name in operations(resource)}
    assert declared == {"list", "search", "get", "create", "update", "delete", "archive", "restore"}
    assert declared | {"token"} <= set(TABLE)
    assert {operation for operation, _ in EXPECTED} >= declared


@pytest.mark.parametrize("status", [200, 201, 204, 206])
async def test_a_success_is_returned_whatever_the_policy_says(status: int) -> None:
    """No success is tried again, not even when its status stands among those to retry."""
    outcome = await call(said(status, None), policy=RetryPolicy(statuses={status, 500}))
    assert isinstance(outcome.result, RawResponse)
    assert (outcome.result.status, outcome.sent) == (status, 1)


@pytest.mark.parametrize("operation", ["get", "create", "delete"])
async def test_the_caller_may_have_more_statuses_retried_or_fewer(operation: str) -> None:
    """423 is a refusal like any 4xx; what may have been processed stays out of a create's reach; redirects are final."""
    policy = RetryPolicy(statuses={307, 423, 500})
    assert (await call(said(423), operation=operation, policy=policy)).sent == 3
    assert (await call(said(307), operation=operation, policy=policy)).sent == 1
    assert (await call(said(429), operation=operation, policy=policy)).sent == 1
    ambiguous = await call(said(500), operation=operation, method="POST", policy=policy)
    assert ambiguous.sent == (1 if operation == "create" else 3)


async def test_a_create_that_is_not_retried_may_still_be_ambiguous() -> None:
    """No retries, no statuses: a lost create is not a mere 500."""
    for policy in (RetryPolicy(max_retries=0), RetryPolicy(statuses=())):
        outcome = await call(said(502), operation="create", policy=policy)
        assert isinstance(outcome.result, AmbiguousWriteError)


async def test_an_ambiguous_write_names_the_call_and_the_request() -> None:
    """What to look up: method, route, the server's id of the request, and how it was lost."""
    error = (await call(unsent, said(500), operation="create", method="POST")).result
    assert isinstance(error, AmbiguousWriteError)
    assert (error.method, error.route, error.request_id, error.attempts) == ("POST", "/student/{id}", "req-1", 2)
    assert "(500)" in str(error)


# A delete that finds nothing left.

GONE = said(404, "NotFound")


def _resent(answer: RawResponse) -> RawResponse:
    """Return an answer that the transport got by sending the request twice."""
    answer.attempts = 2
    return answer


@pytest.mark.parametrize(
    ("replies", "gone"),
    [
        ((lost, GONE), True),
        ((timed_out, GONE), True),
        ((said(500), GONE), True),
        ((said(502, None), GONE), True),
        ((said(503, None), GONE), True),
        ((garbled, GONE), True),
        ((lost, said(429), GONE), True),
        ((said(404), GONE), False),
        ((said(429), GONE), False),
        ((said(503, None, Retry_After="0"), GONE), False),
        ((unsent, GONE), False),
        ((_resent(said(404)),), True),
        ((_resent(said(429)), GONE), True),
    ],
)
async def test_nothing_left_is_what_a_delete_wanted(replies: tuple[object, ...], gone: bool) -> None:
    """404 is success after an attempt that may have been processed, a hidden one of the transport included."""
    outcome = await call(*replies, operation="delete", method="DELETE")  # type: ignore[arg-type]
    if gone:
        assert isinstance(outcome.result, RawResponse)
        assert (outcome.result.status, outcome.result.body) == (204, b"")
    else:
        assert isinstance(outcome.result, NotFoundError)


@pytest.mark.parametrize("operation", ["get", "update", "archive", "request"])
async def test_nothing_there_stays_an_error_for_everything_else(operation: str) -> None:
    """Only a delete wants its record gone."""
    outcome = await call(lost, GONE, operation=operation)
    assert isinstance(outcome.result, NotFoundError)


def test_what_must_not_happen_twice_is_known_before_it_is_sent() -> None:
    """The transport gives such requests a connection of their own."""
    assert once(request("create", "POST"))
    assert once(request("request", "POST"))
    assert not once(request("request", "GET"))
    assert not any(
        once(request(operation, method)) for operation, method in EXPECTED if "?" not in EXPECTED[operation, method]
    )


# What the server asks to wait.


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"Retry_After": "7"}, 7.0),
        ({"Retry_After": " 7 "}, 7.0),
        ({"Retry_After": "1.5"}, 1.5),
        ({"Retry_After": "0"}, 0.0),
        ({"Retry_After": "999999999"}, LONGEST_WAIT),
        ({"Retry_After": "Sat, 21 Nov 2026 10:00:09 GMT", "Date": DATE}, 9.0),
        ({"Retry_After": "Saturday, 21-Nov-26 10:00:09 GMT", "Date": DATE}, 9.0),
        ({"Retry_After": "Sat, 21 Nov 2026 09:00:00 GMT", "Date": DATE}, 0.0),
        ({"Retry_After": "Fri, 31 Dec 4999 23:59:59 GMT", "Date": DATE}, LONGEST_WAIT),
        # it beats the end of the window
        ({"Retry_After": "7", "RateLimit_Reset": f"{EPOCH + 900}000"}, 7.0),
        ({"Retry_After": "7", "RateLimit_Reset": f"{EPOCH + 900}000", "RateLimit_Remaining": "0", "RateLimit_Limit": "5", "Date": DATE}, 7.0),
    ],
)  # fmt: skip
@pytest.mark.parametrize("status", [429, 503])
async def test_no_call_comes_back_before_it_was_asked_to(status: int, headers: dict[str, str], wait: float) -> None:
    """Seconds, or a date by the server's own clock; a little later, so that not all come at once; an hour at most."""
    outcome = await call(said(status, **headers), policy=RetryPolicy(initial=0.0, maximum=0.0))
    assert len(outcome.waits) == 2
    for waited in outcome.waits:
        assert wait <= waited <= min(wait + min(1.0, wait / 10), LONGEST_WAIT)


@pytest.mark.parametrize(
    "junk",
    [
        "", " ", "-1", "+7", "7s", "7,5", "0x7", "1e9", "1e400", "NaN", "inf", "soon", "٣", "9" * 400,
        "Sat, 99 Nov 2026 10:00:09 GMT", "Sat, 21 Nov 2026", "\ud800", "Sat, 21 Nov 99999 10:00:00 GMT",
    ],
)  # fmt: skip
@pytest.mark.parametrize("date", [DATE, "", "junk"])
async def test_a_wish_that_means_nothing_leaves_the_backoff_in_charge(junk: str, date: str) -> None:
    """Junk neither breaks a call nor makes it wait."""
    outcome = await call(said(429, Retry_After=junk, Date=date), policy=RetryPolicy(initial=0.25, maximum=0.25))
    assert len(outcome.waits) == 2
    assert all(0 <= wait <= 0.25 for wait in outcome.waits)


async def test_a_date_without_the_servers_clock_means_nothing() -> None:
    """The local clock may be wrong by any amount: it never decides."""
    headers = {"Retry_After": "Sat, 21 Nov 2026 10:00:09 GMT"}
    outcome = await call(said(429, **headers), policy=RetryPolicy(initial=0.0))
    assert outcome.waits == [0.0, 0.0]


async def test_callers_sent_away_together_do_not_come_back_together() -> None:
    """The same Retry-After for all is spread over the second after it."""
    waits = [(await call(said(503, None, Retry_After="20"), budget=endless())).waits[0] for _ in range(200)]
    assert min(waits) >= 20.0
    assert max(waits) - min(waits) > 0.5


def _spent(**headers: str) -> RawResponse:
    """Return a 429 that the rate limiter took for the quota's."""
    refused = said(429, **headers)
    refused.too_many = TooMany(quota_spent=True, wait=None, by_reset=False)
    return refused


async def test_a_spent_quota_is_waited_for_by_the_gate() -> None:
    """The call goes straight to the rate limiter, which knows when more may leave; that costs the budget nothing."""
    budget = RetryBudget()
    outcome = await call(_spent(), said(200), policy=RetryPolicy(initial=1000, maximum=1000), budget=budget)
    assert outcome.waits == [0.0]
    assert budget.tokens == FULL


async def test_any_other_429_is_backed_off_from() -> None:
    """The server is busy: nobody but this call's own patience knows how long."""
    budget = RetryBudget()
    outcome = await call(said(429), policy=RetryPolicy(initial=1000, maximum=1000), budget=budget)
    assert min(outcome.waits) > 0
    assert budget.tokens < FULL


def test_in_bulk_waiting_for_the_quota_is_no_attempt() -> None:
    """A single call counts it: it is not as patient."""
    bulk = Retries(replace(request(), bulk=True), _spent(), RetryPolicy(), RetryBudget())
    single = Retries(request(), _spent(), RetryPolicy(), RetryBudget())
    for retries in (bulk, single):
        for _ in range(9):
            retries.add(_spent())
        retries.add(said(500))
    assert (bulk.counted, single.counted) == (1, 11)


# The budget.


def _retries(budget: RetryBudget, outcome: RawResponse) -> Retries:
    return Retries(request(), outcome, RetryPolicy(), budget)


@pytest.mark.parametrize(("status", "retries"), [(500, 35), (503, 35), (408, 35), (409, 35), (429, 100)])
def test_a_full_budget_affords_so_many_retries(status: int, retries: int) -> None:
    """35 after failures; a 429 costs the server less."""
    budget = RetryBudget()
    made = 0
    while _retries(budget, said(status)).affordable():
        made += 1
    assert made == retries


def test_a_retry_that_succeeds_gives_back_what_it_took() -> None:
    """So a server that fails now and then costs nothing."""
    budget = RetryBudget()
    for _ in range(1000):
        retries = _retries(budget, said(500))
        assert retries.affordable()
        retries.spend()
        retries.add(said(200))
        retries.result()
    assert budget.tokens == FULL


def test_a_retry_that_was_not_made_costs_nothing() -> None:
    """What was taken before a wait that was cut short is given back, once."""
    budget = RetryBudget()
    retries = _retries(budget, said(500))
    assert retries.affordable()
    assert budget.tokens == FULL - 14
    retries.forgo()
    retries.forgo()
    assert budget.tokens == FULL


def test_successes_fill_the_budget_to_the_brim_and_no_further() -> None:
    """One token for a success at the first attempt."""
    budget = RetryBudget()
    budget.tokens = FULL - 3
    for tokens in (FULL - 2, FULL - 1, FULL, FULL):
        budget.succeeded()
        assert budget.tokens == tokens


def test_the_end_of_an_outage_fills_the_budget_to_the_half() -> None:
    """Never less than there was."""
    budget = RetryBudget()
    budget.tokens = 0
    budget.refill()
    assert budget.tokens == FULL // 2
    budget.tokens = FULL - 1
    budget.refill()
    assert budget.tokens == FULL - 1


# The policy.


@pytest.mark.parametrize(
    "numbers",
    [
        {"max_retries": -1},
        {"initial": -0.1},
        {"initial": math.nan},
        {"initial": math.inf},
        {"maximum": -1},
        {"maximum": math.inf},
        {"maximum": math.nan},
        {"exponent": 0.9},
        {"exponent": math.nan},
        {"exponent": math.inf},
        {"deadline": 0},
        {"deadline": -1},
        {"deadline": math.nan},
        {"outage": -1},
        {"outage": math.nan},
    ],
)
def test_numbers_that_make_no_policy_are_refused(numbers: dict[str, float]) -> None:
    """At once, not when a call has failed."""
    with pytest.raises(ValueError, match="must"):
        RetryPolicy(**numbers)  # type: ignore[arg-type]


async def test_the_error_raised_is_that_of_the_last_attempt() -> None:
    """Not the first one, with all attempts counted and the call named."""
    error = (await call(said(500), lost)).result
    assert isinstance(error, APIConnectionError)
    assert (error.method, error.route, error.attempts) == ("GET", "/student/{id}", 3)
    error = (await call(lost, said(429), said(503))).result
    assert isinstance(error, APIStatusError)
    assert (error.status_code, error.attempts) == (503, 3)


# What no further attempt can change.


@pytest.mark.parametrize("reason", [ConnectionReason.UNTRUSTED, ConnectionReason.OFFLINE])
async def test_a_reason_that_will_not_go_away_is_final(reason: ConnectionReason) -> None:
    """The error is raised at once, and tells how many attempts were made; one that says so itself is believed."""

    def final() -> MeitnerError:
        return APIConnectionError("no", reason=reason, sent=False)

    for replies in ([final], [said(503), final], [said(503), said(503), final]):
        outcome = await call(*replies, policy=RetryPolicy(max_retries=5))
        assert isinstance(outcome.result, APIConnectionError)
        assert (outcome.sent, outcome.result.attempts) == (len(replies), len(replies))
    never_left = await call(lambda: APIConnectionError("no", reason=reason, sent=False, attempts=0))
    assert (never_left.sent, never_left.result.attempts) == (1, 0)


async def test_a_page_that_took_too_long_is_not_asked_for_again_where_a_smaller_one_is() -> None:
    """The timeout is raised with the true number of attempts; a page that cannot shrink is asked for again."""
    for shrinks, replies, sent in ((True, 1, 1), (True, 2, 2), (False, 1, 3)):
        script = Script(*[said(503)] * (replies - 1), timed_out)
        with pytest.raises(APITimeoutError) as caught:
            await Retrying(script, RetryPolicy(initial=0.0)).send(request("list", shrinks=shrinks))
        assert (script.sent, caught.value.attempts) == (sent, sent)


async def test_a_timeout_of_the_token_endpoint_keeps_its_own_count() -> None:
    """Its request was tried again already; it says nothing of the size of a page."""

    def token() -> MeitnerError:
        return APITimeoutError("late", route="token endpoint", attempts=6)

    with pytest.raises(APITimeoutError) as caught:
        await Retrying(Script(token), RetryPolicy()).send(request("list", bulk=True, shrinks=True))
    assert caught.value.attempts == 6


async def test_a_call_that_never_left_made_no_attempt() -> None:
    """The quota kept it."""
    outcome = await call(lambda: QuotaExhausted("spent"))
    assert (outcome.result.attempts, outcome.sent) == (0, 1)

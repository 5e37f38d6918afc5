"""Errors: the tree that the docstring draws, facts on attributes, and one line that names nobody."""

from __future__ import annotations

import copy
import inspect
import io
import pickle
import re
import time
import traceback
from datetime import UTC, datetime

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from rich.console import Console
from samples import ID, NOON

from meitner_aio import errors
from meitner_aio.errors import (
    AmbiguousWriteError,
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    AuthenticationError,
    BadRequestError,
    ConfigurationError,
    ConflictError,
    DestinationError,
    IncompleteListing,
    InternalServerError,
    MeitnerError,
    MultipleFound,
    NotFoundError,
    PermissionDeniedError,
    QuotaExhausted,
    RateLimitError,
    ResponseValidationError,
    ResyncRequired,
    TooManyDeletions,
    UnprocessableEntityError,
    mask,
)
from meitner_aio.records import Error, ErrorCode

CANARY = "20150101-4242"
CLASSES = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, MeitnerError)]


# The tree.

CONTRACT = {
    MeitnerError: Exception,
    ConfigurationError: MeitnerError,
    APIConnectionError: MeitnerError,
    APITimeoutError: APIConnectionError,
    ResponseValidationError: MeitnerError,
    AmbiguousWriteError: MeitnerError,
    IncompleteListing: MeitnerError,
    MultipleFound: MeitnerError,
    QuotaExhausted: MeitnerError,
    ResyncRequired: MeitnerError,
    TooManyDeletions: MeitnerError,
    DestinationError: MeitnerError,
    APIStatusError: MeitnerError,
    BadRequestError: APIStatusError,
    AuthenticationError: APIStatusError,
    PermissionDeniedError: APIStatusError,
    NotFoundError: APIStatusError,
    ConflictError: APIStatusError,
    UnprocessableEntityError: APIStatusError,
    RateLimitError: APIStatusError,
    InternalServerError: APIStatusError,
}


def test_the_tree_is_the_one_of_the_contract():
    """Every class has the parent that users catch it by."""
    assert {kind: kind.__base__ for kind in CLASSES} == CONTRACT


def test_the_tree_in_the_docstring_is_true():
    """What the module draws is what it defines."""
    above: list[str] = []
    drawn = {}
    for line in (errors.__doc__ or "").splitlines():
        found = re.match(
            r"(?P<indent>(?:│   |    )*(?:[├└]── )?)(?P<name>\w+Error|IncompleteListing|\w+Found|\w+Exhausted|\w+Required|\w+Deletions)\b",
            line,
        )
        if found:
            depth = len(found["indent"]) // 4
            above[depth:] = [found["name"]]
            drawn[found["name"]] = above[depth - 1] if depth else "Exception"
    assert drawn == {kind.__name__: kind.__base__.__name__ for kind in CLASSES}


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_every_error_says_what_it_means(kind):
    """A docstring of its own, and a constructor that takes the common facts."""
    assert "__doc__" in vars(kind)
    assert inspect.getdoc(kind)
    error = kind("No.", request_id="r1", method="GET", route="/student/{id}", attempts=2)
    assert str(error) == "No. (request r1)"
    assert (error.message, error.request_id, error.method, error.route, error.attempts) == (
        "No.",
        "r1",
        "GET",
        "/student/{id}",
        2,
    )


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_facts_are_none_where_nothing_is_known(kind):
    """An error can be made with nothing."""
    error = kind()
    if isinstance(error, APIStatusError):
        assert (error.status_code, error.headers, error.body, error.code, error.data) == (0, {}, b"", None, None)
    assert str(error) == ""
    assert error.request_id is error.method is error.route is error.attempts is None


# One line that names nobody.

PERSONAL = [
    "20150101-TF01",
    "20150101TF01",
    "150101-T123",
    "20150101-4242",
    "201501014242",
    "20150101+4242",
    "150101-4242",
    "20150101 4242",
    "20150101 - 4242",
    "20150101\N{EN DASH}4242",
    "20150101\N{NON-BREAKING HYPHEN}4242",
    "2015-01-01-4242",
    "bo.ek@example.se",
    "Bo.Ek+skola@mail.example.co.uk",
    "070-123 45 67",
    "0701234567",
    "08-123 456",
    "(070) 123 45 67",
    "(070)1234567",
    "+46 70 123 45 67",
    "+46 (0)70-123 45 67",
    "0046701234567",
    "+46701234567",
]
AROUND = [
    "{}",
    "identityNumber {} is taken",
    "«{}»",
    '"{}"',
    "value:{}",
    "key={};",
    "tel:{}",
    "[{}]",
    "({})",
    "a, {}, b",
    "{}.",
]


@pytest.mark.parametrize("around", AROUND)
@pytest.mark.parametrize("text", PERSONAL)
def test_personal_data_is_masked(text, around):
    """Identity numbers, e-mail addresses and phone numbers, in the spellings that people use, wherever they stand."""
    line, expected = mask(around.format(text)), around.format("***")
    assert re.findall(r"\w+|\*+", line) == re.findall(r"\w+|\*+", expected)


READABLE = [
    ID,
    ID.upper(),
    "2015-01-01",
    "2015-01-01T08:15:30Z",
    "2015-01-01T08:15:30.123456789Z",
    "2015-01-01T08:15:30+01:00",
    "2015-01-01 08:15:30",
    "2015-01-01 08:15:30 +0100",
    "20150101T081530Z",
    "1767225600000",
    "GET /student/{id} was answered 404",
    "limit must be at most 1000",
    "schoolYear 9 does not exist",
    "RateLimit-Reset 1767225600000",
    "between 2015-01-01 and 2016-12-31",
    "0.25 seconds",
    "1.2.3.4:8080",
]


@pytest.mark.parametrize("around", AROUND)
@pytest.mark.parametrize("text", READABLE)
def test_what_is_not_personal_stays_readable(text, around):
    """Ids, dates, instants, counts: a message that is all stars helps nobody."""
    assert mask(around.format(text)) == around.format(text)


def test_the_uuid_of_a_row_stays_even_when_it_is_all_digits():
    """A UUID may look like numbers; beside it, an identity number is still masked."""
    digits = "20150101-4242-4242-4242-201501014242"
    assert mask(f"row {digits} of {CANARY}") == f"row {digits} of ***"


@st.composite
def identity_numbers(draw):
    """Make identity numbers in the spellings that appear in the wild."""
    day = (
        draw(st.dates())
        .strftime(draw(st.sampled_from(["%Y%m%d", "%y%m%d"])))
        .rjust(8 if draw(st.booleans()) else 6, "0")
    )
    assume(len(day) in (6, 8))
    return day + draw(st.sampled_from(["-", "+", "", " "])) + f"{draw(st.integers(0, 9999)):04}"


words = st.text(st.characters(exclude_categories=["Nd"]), max_size=30)


@given(words, identity_numbers(), words)
@example("", "20150101-4242", "")
@example("a@", "20150101-4242", "@b")
@example("x", "150101-4242", "x")
def test_no_identity_number_survives(before, number, after):
    """Whatever text stands around it, an identity number is not in the masked line."""
    assert number not in mask(before + number + after)


@given(st.text())
def test_a_masked_text_is_one_short_printable_line(text):
    """No line break, no control character, no terminal escape, and not too long for a log."""
    line = mask(text)
    assert len(line) <= 300
    assert line == "" or line.isprintable()
    assert line == line.strip()


@given(st.text())
def test_masking_twice_changes_nothing(text):
    """A masked line is final: pickling and wrapping an error keep its text."""
    assert mask(mask(text)) == mask(text)


def test_a_long_message_keeps_its_beginning_and_its_request():
    """The id that support asks for is never what is cut off."""
    assert str(BadRequestError("x" * 300)) == "x" * 300
    error = BadRequestError("x" * 400, request_id=ID)
    assert str(error) == "x" * 299 + f"… (request {ID})"


@pytest.mark.parametrize("piece", ["a", "+1-", "0 ", "1 ", "a.", "a@", "00(", "+46 (", " 01-", "20150101-"])
def test_masking_takes_time_in_proportion(piece):
    """A hostile server cannot stop the event loop with a long message."""
    text = piece * (200_000 // len(piece))
    started = time.process_time()
    mask(text)
    assert time.process_time() - started < 0.5


# Facts on attributes, and nothing personal anywhere else.


def status_error(kind=ConflictError):
    """Return an error with everything personal that an answer can hold."""
    body = f'{{"error":{{"code":"Conflict","message":"{CANARY} is taken","requestID":"r1"}}}}'.encode()
    return kind(
        f"{CANARY} is taken",
        status_code=409,
        headers={"X-Echo": CANARY},
        body=body,
        code="Conflict",
        data=Error(code=ErrorCode.CONFLICT, message=f"{CANARY} is taken", request_id="r1"),
        request_id="r1",
    )


@pytest.mark.parametrize(
    "kind", [kind for kind in CLASSES if issubclass(kind, APIStatusError)], ids=lambda kind: kind.__name__
)
def test_the_facts_of_an_answer_are_unmasked_on_attributes(kind):
    """Code that asks for the facts gets them; text that is shown does not."""
    error = status_error(kind)
    assert (error.status_code, error.code, error.request_id) == (409, "Conflict", "r1")
    assert CANARY in error.message
    assert CANARY.encode() in error.body
    assert CANARY in error.data.message
    assert str(error) == "*** is taken (request r1)"


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_nothing_that_is_shown_is_personal(kind):
    """`str`, `repr`, `args`, notes, tracebacks with local variables and rich's: none names the person."""
    error = status_error(kind) if issubclass(kind, APIStatusError) else kind(f"{CANARY} is taken")
    console = Console(file=io.StringIO(), width=200)
    try:
        raise error
    except MeitnerError as caught:
        console.print_exception(show_locals=True)
        shown = traceback.TracebackException.from_exception(caught, capture_locals=True)
    texts = [str(error), repr(error), repr(error.args), f"{error}", *shown.format(), console.file.getvalue()]
    # This test's own source, which a traceback quotes, does not spell the canary.
    assert not [text for text in texts if CANARY in text]


def test_what_waits_is_told():
    """An exhausted quota says when it reopens; a refused call what the server wishes."""
    quota = QuotaExhausted("The quota is spent.", reset_at=NOON, retry_after=9.0)
    assert (quota.reset_at, quota.retry_after) == (NOON, 9.0)
    limited = RateLimitError("Slow down.", status_code=429, reset_at=NOON, retry_after=7.0)
    assert (limited.reset_at, limited.retry_after, limited.status_code) == (NOON, 7.0, 429)
    assert RateLimitError().reset_at is RateLimitError().retry_after is None
    assert QuotaExhausted().reset_at is QuotaExhausted().retry_after is None


def test_a_connection_error_says_whether_the_request_left():
    """What never left may be sent again; by default nobody knows."""
    assert APIConnectionError().sent is True
    assert APITimeoutError("late", sent=False).sent is False


MADE = [
    status_error(),
    status_error(RateLimitError),
    RateLimitError("Slow down.", reset_at=NOON, retry_after=7.0),
    QuotaExhausted("Spent.", reset_at=datetime(2026, 1, 1, tzinfo=UTC), retry_after=9.0),
    APITimeoutError("late", sent=False, attempts=3),
    ConfigurationError("no credentials", missing_credentials=True),
    MeitnerError("x" * 400, request_id=ID),
    MeitnerError(f"{CANARY}\n{CANARY}"),
]


def repickled(error):
    """Return what another process would get."""
    return pickle.loads(pickle.dumps(error))


@pytest.mark.parametrize("error", MADE, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("copied", [repickled, copy.copy, copy.deepcopy])
def test_an_error_travels(error, copied):
    """From a worker process or a task queue, an error arrives with its type, its text and all its facts."""
    twin = copied(error)
    assert type(twin) is type(error)
    assert (str(twin), repr(twin), twin.args) == (str(error), repr(error), error.args)
    assert vars(twin) == vars(error)

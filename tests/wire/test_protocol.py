"""How an answer is read: errors from statuses, records from bytes, and nothing foreign or personal out of either."""

from __future__ import annotations

import io
import json
import pickle
import traceback
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict, CIMultiDictProxy
from rich.console import Console
from samples import ID, NOON, answer, record

from meitner_aio import (
    APIStatusError,
    AuthenticationError,
    BadRequestError,
    ConflictError,
    Error,
    InternalServerError,
    NotFoundError,
    Pagination,
    PermissionDeniedError,
    RateLimitError,
    Student,
    UnprocessableEntityError,
)
from meitner_aio._wire.headers import limit_headers
from meitner_aio._wire.messages import (
    Envelope,
    Headers,
    RawResponse,
    Request,
    error_from,
    error_object,
)

CANARY = "20150101-4242"
GET = Request("get", "GET", "/student/{id}", f"/student/{ID}", headers={"Client-Secret": CANARY}, body=CANARY.encode())
HTML = {"Content_Type": "text/html; charset=utf-8"}


def failed(status, message="No.", code="NotFound", **headers):
    """Return a failed answer as the API gives it."""
    return answer({"error": {"code": code, "message": message, "requestID": "r1"}}, status, **headers)


# Errors.

STATUSES = {
    400: BadRequestError,
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    409: ConflictError,
    422: UnprocessableEntityError,
    429: RateLimitError,
    500: InternalServerError,
    502: InternalServerError,
    503: InternalServerError,
    504: InternalServerError,
    599: InternalServerError,
    402: APIStatusError,
    405: APIStatusError,
    408: APIStatusError,
    410: APIStatusError,
    413: APIStatusError,
    418: APIStatusError,
    300: APIStatusError,
    301: APIStatusError,
    304: APIStatusError,
    307: APIStatusError,
    308: APIStatusError,
}


@pytest.mark.parametrize(("status", "kind"), STATUSES.items())
def test_a_status_is_an_error(status, kind):
    """Each status has its class, whatever the body says; the facts of the answer are on it."""
    response = failed(status, X_Trace="t1")
    response.attempts = 3
    error = error_from(GET, response)
    assert type(error) is kind
    assert (error.status_code, error.code, error.message, error.request_id) == (status, "NotFound", "No.", "r1")
    assert (error.method, error.route, error.attempts) == ("GET", "/student/{id}", 3)
    assert error.headers["x-trace"] == "t1"
    assert error.body == response.body
    assert error.data == Error(code=error.data.code, message="No.", request_id="r1")
    assert str(error) == "No. (request r1)"


def test_an_unknown_code_is_kept():
    """A code that the API adds tomorrow is passed on."""
    error = error_from(GET, failed(409, code="Locked"))
    assert error.code == "Locked"
    assert not error.data.code.known
    assert type(error.code) is str


FOREIGN = {
    "a gateway's page": answer(b"<html><title>502 Bad Gateway</title>", 502, **HTML),
    "nothing": answer(b"", 502),
    "text": answer(b"upstream connect error", 502, Content_Type="text/plain"),
    "no content type": RawResponse(502, Headers(), b"\x00\xff"),
    "JSON of another kind": answer({"message": "no"}, 502),
    "an error without a message": answer({"error": {"code": "Internal", "requestID": "r1"}}, 502),
    "an error of text": answer({"error": "no"}, 502),
    "a list": answer([], 502),
    "null": answer(b"null", 502),
    "half of it": answer(b'{"error":{"code":"Internal","mess', 502),
    "invalid UTF-8": answer(b'{"error":{"code":"Internal","message":"\xff","requestID":"r1"}}', 502),
    "deep nesting": answer(b"[" * 100_000, 502),
}


@pytest.mark.parametrize("response", FOREIGN.values(), ids=FOREIGN)
def test_an_answer_without_an_error_object_is_described(response):
    """A gateway speaks no JSON: the error says what came, from where, and quotes nothing."""
    error = error_from(GET, response)
    assert type(error) is InternalServerError
    assert error_object(response) is error.data is error.code is None
    assert error.body == response.body
    assert error.message.startswith("GET /student/{id} was answered 502 (bad gateway)")


def test_the_kind_of_a_strange_body_is_told():
    """Without a known reason, the media type is what helps."""
    assert "404 (text/html)" in error_from(GET, answer(b"<html>", 404, **HTML)).message
    assert "404 (no content type)" in error_from(GET, RawResponse(404, Headers(), b"")).message
    redirect = "a redirect, which is never followed"
    known = dict.fromkeys((301, 302, 303, 307, 308), redirect)
    known |= {502: "bad gateway", 503: "service unavailable", 504: "gateway timeout"}
    for status, reason in known.items():
        assert f"{status} ({reason})" in error_from(GET, RawResponse(status, Headers(), b"")).message
    assert len(error_from(GET, answer(b"", 404, Content_Type="x" * 400)).message) < 200


def test_a_404_without_an_error_object_may_be_of_another_server():
    """A base URL without its path makes every record seem to be missing; the API itself says what it does not have."""
    assert error_from(GET, answer(b"", 404)).message.endswith("without an error object: check the path of base_url")
    assert "base_url" not in error_from(GET, answer(b"", 502)).message
    assert "base_url" not in error_from(GET, failed(404)).message


def test_a_request_id_comes_from_the_body_else_from_a_header():
    """Support asks for one id: that of the error object, or of the gateway."""
    headers = {"X_Request_ID": "h1"}
    assert error_from(GET, failed(404, **headers)).request_id == "r1"
    assert error_from(GET, answer(b"", 502, **headers)).request_id == "h1"
    assert error_from(GET, answer(b"", 502)).request_id is None
    assert failed(404, **headers).request_id == failed(300, **headers).request_id == "r1"
    assert failed(299, **headers).request_id == "h1"
    assert answer({"error": {"code": "x", "message": "y", "requestID": "no"}}, 200, **headers).request_id == "h1"


def test_the_message_of_the_server_is_masked_where_it_is_shown():
    """Servers echo input: the line hides it, the attribute keeps it."""
    error = error_from(GET, failed(409, message=f"identityNumber {CANARY} is taken by bo.ek@example.se"))
    assert str(error) == "identityNumber *** is taken by *** (request r1)"
    assert CANARY in error.message


def test_a_429_tells_when_to_come_back():
    """The end of the window and the wish of the server, when it says them."""
    headers = {"RateLimit_Reset": str(int(NOON.timestamp() * 1000)), "Retry_After": "7"}
    error = error_from(GET, failed(429, **headers))
    assert (error.reset_at, error.retry_after) == (NOON, 7.0)
    assert error_from(GET, failed(429)).reset_at is None


def test_an_error_can_be_pickled_with_the_headers_of_a_socket():
    """Process pools and task queues send errors; aiohttp's headers do not travel."""
    response = failed(404)
    response.headers = CIMultiDictProxy(CIMultiDict({"X-Trace": "t1"}))
    error = error_from(GET, response)
    twin = pickle.loads(pickle.dumps(error))
    assert twin.headers["x-trace"] == error.headers["X-TRACE"] == "t1"


# Headers.


def test_headers_ignore_case():
    """A header is found however it is spelled."""
    headers = Headers({"Content-Type": "text/html"})
    assert headers["content-TYPE"] == headers.get("CONTENT-type") == "text/html"
    assert "Content-Type" in headers
    assert "Accept" not in headers
    assert headers.get("Accept") is None
    assert headers.get("Accept", "x") == "x"
    headers["X-New"] = "1"
    assert headers["x-new"] == headers["X-NEW"] == "1"


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("1772366400000", NOON),
        (" 1772366400000 ", NOON),
        ("1772366400123", NOON.replace(microsecond=123000)),
        ("99999999999999", datetime(5138, 11, 16, 9, 46, 39, 999000, tzinfo=UTC)),
    ],
)
def test_reset_is_an_instant(text, instant):
    """UTC epoch milliseconds, as a string."""
    found = limit_headers(Headers({"RateLimit-Reset": text})).reset_at
    assert abs((found - instant).total_seconds()) < 0.0001
    assert found.utcoffset() is not None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-1",
        "0",
        "60",
        "NaN",
        "inf",
        "1e400",
        "9" * 5000,
        "1_772366400000",
        "soon",
        "0x1",
        "1772366400000.5",
        "\N{ARABIC-INDIC DIGIT ONE}" * 13,
    ],
)
def test_a_reset_that_is_none_is_ignored(text):
    """Seconds, junk and what overflows are no window."""
    assert limit_headers(Headers({"RateLimit-Reset": text})).reset_at is None
    assert limit_headers(Headers()).reset_at is None


DATE = "Wed, 21 Oct 2015 07:28:00 GMT"


@pytest.mark.parametrize(
    ("text", "date", "seconds"),
    [
        ("7", "", 7.0),
        ("0", "", 0.0),
        (" 7 ", "", 7.0),
        ("1.5", "", 1.5),
        ("999999999", "", 999999999.0),
        (DATE, "Wed, 21 Oct 2015 07:27:00 GMT", 60.0),
        (DATE, DATE, 0.0),
        (DATE, "Wed, 21 Oct 2015 07:29:00 GMT", 0.0),
        ("Wednesday, 21-Oct-15 07:28:00 GMT", "Wed, 21 Oct 2015 07:27:00 GMT", 60.0),
        (DATE, "", None),
        (DATE, "junk", None),
        ("", DATE, None),
        ("-1", DATE, None),
        ("1e9", DATE, None),
        ("9" * 400, "", None),
        ("nan", "", None),
        ("inf", "", None),
        ("junk", DATE, None),
        ("\N{ARABIC-INDIC DIGIT SEVEN}", "", None),
        ("7, 8", "", None),
        ("Wed, 21 Oct 99999 07:28:00 GMT", DATE, None),
        ("Wed, 21 Oct 2015 07:28:00 -0000", DATE, 0.0),
    ],
)
def test_retry_after(text, date, seconds):
    """Seconds, or a date against the answer's own clock; junk is no wish."""
    assert limit_headers(Headers({"Retry-After": text, "Date": date})).retry_after == seconds


@given(st.text(max_size=60), st.text(max_size=60))
def test_no_header_raises(text, date):
    """Headers are the server's: whatever they say, reading them is safe."""
    headers = Headers({"Retry-After": text, "Date": date, "RateLimit-Reset": text})
    limits = limit_headers(headers)
    requested_delay = limits.retry_after
    assert requested_delay is None or requested_delay >= 0
    assert limits.reset_at is None or limits.reset_at.year > 2000


# What requests and answers keep to themselves.


def test_requests_do_not_change():
    """What passes through layers of retries and credentials is the same at the end as at the beginning."""
    with pytest.raises(AttributeError):
        GET.path = "/school"


def test_requests_and_answers_hide_what_they_carry():
    """Logs, tracebacks with local variables and rich's show a request's route, an answer's status, and no more."""
    response = answer(record(Student), X_Secret=CANARY)
    response.body = CANARY.encode()
    envelope = Envelope(data=[record(Student)], pagination=Pagination(offset=0, limit=1, total=1))
    console = Console(file=io.StringIO(), width=300)
    try:
        json.loads("{")
    except ValueError as error:
        console.print_exception(show_locals=True)
        trace = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
    console.print(GET, response, envelope)
    assert repr(GET) == "Request(GET /student/{id})"
    assert repr(response) == f"RawResponse(200, {len(CANARY)} bytes)"
    assert repr(envelope).startswith("Envelope(1 rows, Pagination(")
    assert CANARY not in console.file.getvalue() + trace + f"{GET}{response}{envelope}"

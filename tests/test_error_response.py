"""The answer behind an error: its text and its parts for code that asks, and no secret or body anywhere by itself."""

from __future__ import annotations

import codecs
import io
import logging
import pickle
import traceback
from typing import Any

import pytest
from conftest import Scripted
from raw_server import STUDENT_ID, answer, failure
from rich.console import Console

from meitner_aio import APIStatusError, ConflictError, ErrorResponse, NotFoundError, PermissionDeniedError

CANARY = "20150101-4242"
BODY = f"person {CANARY} is taken".encode()
_SECRETS = {
    "Set-Cookie": "secret-canary",
    "Authorization": "secret-canary",
    "client-id": "secret-canary",
    "Client-Secret": "secret-canary",
    "X-Auth-Token": "secret-canary",
    "Proxy-Authorization": "secret-canary",
    "X-API-Key": "secret-canary",
}


def refused(body: bytes = BODY, **headers: str) -> ConflictError:
    """Return an error with this answer."""
    return ConflictError("x", status_code=409, headers=headers, body=body, request_id="r1")


async def test_the_answer_of_a_server_is_on_its_error(scripted: Scripted) -> None:
    """Status, headers that ignore case, body, text and request id, as they came."""
    meitner, _ = await scripted(failure(404, "NotFound", "no such student"), max_retries=0)
    with pytest.raises(NotFoundError) as caught:
        await meitner.students.get(STUDENT_ID)
    error, response = caught.value, caught.value.response
    assert (response.status, response.body, response.request_id) == (404, error.body, error.request_id)
    assert response.text == error.text == error.body.decode()
    assert "no such student" in error.text
    assert response.headers["content-type"] == response.headers["Content-Type"] == "application/json"


async def test_headers_that_hold_secrets_are_not_in_it(scripted: Scripted) -> None:
    """Neither cookies nor credentials that a gateway sent back; what tells of the limit and of the request stays."""
    kept = {"X-Request-ID": "r1", "RateLimit-Remaining": "3", "WWW-Authenticate": "Basic"}
    meitner, _ = await scripted(answer(403, headers=_SECRETS | kept, body=b"no"), max_retries=0)
    with pytest.raises(PermissionDeniedError) as caught:
        await meitner.students.get(STUDENT_ID)
    headers = caught.value.response.headers
    assert "secret-canary" not in str(dict(headers))
    assert [headers.get(name) for name in kept] == list(kept.values())
    assert [name for name in _SECRETS if name in headers] == []


@pytest.mark.parametrize(
    ("body", "kind", "text"),
    [
        ("Åsa".encode(), "application/json", "Åsa"),
        ("Åsa".encode(), "text/html; charset=UTF-8", "Åsa"),
        ("Åsa".encode("latin-1"), 'text/plain; charset="ISO-8859-1"; x=1', "Åsa"),
        ("Åsa".encode("cp1252"), "text/plain;charset=Windows-1252", "Åsa"),
        ("Åsa".encode(), "text/plain; charset=klingon", "Åsa"),
        ("Åsa".encode(), "text/plain; charset=punycode", "Åsa"),
        ("Åsa".encode(), "text/plain; charset=hex", "Åsa"),
        ("Åsa".encode(), "text/plain; charset=undefined", "Åsa"),
        ("Åsa".encode(), "text/plain; charset=\0", "Åsa"),
        ("Åsa".encode(), "text/plain; charset=", "Åsa"),
        (b"\xff\x00x", "application/octet-stream", "\ufffd\x00x"),
        (b"", "", ""),
    ],
)
def test_a_body_of_any_kind_is_text(body: bytes, kind: str, text: str) -> None:
    """By the charset of the answer where it is one that answers have, else as UTF-8; nothing raises."""
    assert refused(body, **{"Content-Type": kind}).text == text


def test_a_long_body_is_cut() -> None:
    """A megabyte of a gateway's page is no text for a terminal; the body is whole."""
    error = refused(b"x" * 1_000_000)
    assert error.text == "x" * 100_000 + "…"
    assert len(error.body) == 1_000_000
    assert refused(b"x" * 100_000).text == "x" * 100_000


def test_an_error_without_an_answer_has_an_empty_one() -> None:
    """One that the client itself raises, such as a guarded change, has a status and nothing else."""
    error = APIStatusError("x", status_code=409)
    assert (error.text, error.response.body, dict(error.response.headers)) == ("", b"", {})


def test_neither_is_shown_unless_it_is_asked_for(caplog: pytest.LogCaptureFixture) -> None:
    """No `repr`, `str`, log, pickle of the text, or traceback with the locals of a frame that holds the answer has it."""
    error = refused(**{"Content-Type": "text/plain; charset=utf-16"})
    console = Console(file=io.StringIO(), width=200)
    try:
        response: Any = error.response
        raise error
    except APIStatusError as caught:
        console.print_exception(show_locals=True)
        logging.getLogger("a service").exception("failed: %r", response)
        shown = traceback.TracebackException.from_exception(caught, capture_locals=True)
    texts = [repr(response), str(response), str(error), *shown.format(), console.file.getvalue(), caplog.text]  # type: ignore[attr-defined]
    assert not [text for text in texts if CANARY in text]
    assert repr(response) == f"ErrorResponse(409, {len(BODY)} bytes)"
    assert {"text", "response"}.isdisjoint(vars(error))
    assert pickle.loads(pickle.dumps(error)).text == error.text


def test_every_charset_of_the_list_is_one_of_python() -> None:
    """Under the name that Python gives it, so that every spelling is found."""
    from meitner_aio import error_response

    assert {codecs.lookup(name).name for name in error_response._CHARSETS} == set(error_response._CHARSETS)
    assert ErrorResponse(409, {}, b"x").text == "x"

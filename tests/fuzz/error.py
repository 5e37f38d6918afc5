"""Failures: any status with any body becomes an `APIStatusError` whose line is short, printable and final."""

from __future__ import annotations

import json
import pickle

from fuzzing import instrumented, run

with instrumented(__name__):
    from meitner_aio import APIStatusError
    from meitner_aio._wire.messages import Headers, RawResponse, Request, error_from
    from meitner_aio.errors import mask

_REQUEST = Request("get", "GET", "/x/{id}", "/x/1")


def harness(data: bytes) -> None:
    """Make an error of an answer: two bytes choose the status, a length and that many bytes are its request id."""
    status = 300 + int.from_bytes(data[:2], "big") % 300
    length = data[2] if len(data) > 2 else 0
    header, body = data[3 : 3 + length].decode("latin-1"), data[3 + length :]
    response = RawResponse(status, Headers({"X-Request-ID": header, "Content-Type": header}), body)
    error = error_from(_REQUEST, response)
    assert isinstance(error, APIStatusError)
    assert (error.status_code, error.body, error.args) == (status, body, (str(error),))
    assert str(error).isprintable()
    assert len(str(error)) <= 300 + len(" (request )") + 300
    assert mask(error.message) == mask(mask(error.message))
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), vars(again)) == (str(error), vars(error))
    assert response.request_id == error.request_id


def body(code: str = "NotFound", message: str = "no", request_id: str = "r1") -> bytes:
    """Return the bytes of an error object."""
    return json.dumps({"error": {"code": code, "message": message, "requestID": request_id}}).encode()


CORPUS = [
    b"",
    b"\x00\x68\x00" + body(),
    b"\x00\x81\x02h1" + body("RateLimited", "20150101-4242 bo@ek.se +46 70 123 45 67", "x" * 400),
    b"\x00\xca\x10" + b"\x1b[2J" * 4 + body("\u2028", "\u0000\r\n\x7f" * 90),
    b"\x00\x68\x00" + body(message="20150101-4242+46701234567 and 20150101-4242:0812345678"),
    b"2uss\x00\x00\x000202-244+4\x0127 7092",  # what atheris found
    b"\x00\xc8\x00<html>",
    b"\x00\xc8\x00" + b"[" * 60_000,
    b'\x00\xc8\x00{"error":{"code":"Internal","message":"' + b"a@" * 20_000 + b'","requestID":"r"}}',
    b'\x00\xc8\x00{"error":{"code":"\xff","message":"\xed\xa0\x80","requestID":""}}',
]

if __name__ == "__main__":
    run(harness, CORPUS)

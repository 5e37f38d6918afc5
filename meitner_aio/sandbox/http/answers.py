"""Answers as bytes: records and pages as JSON, refusals in the API's error body."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NoReturn

import msgspec

from ..._wire.messages import Headers, RawResponse
from ...records import Error, ErrorCode

_CODES = {
    400: ErrorCode.BAD_REQUEST,
    401: ErrorCode.UNAUTHORIZED,
    403: ErrorCode.FORBIDDEN,
    404: ErrorCode.NOT_FOUND,
    405: ErrorCode.BAD_REQUEST,  # the API has no code of its own for it
    409: ErrorCode.CONFLICT,
    422: ErrorCode.UNPROCESSABLE_ENTITY,
    429: ErrorCode.RATE_LIMITED,
}

_encode = msgspec.json.Encoder().encode


class Refusal(Exception):  # noqa: N818 - the directory refuses; nothing went wrong
    """A request is refused, with a status of the API and the reason: names of fields, never their values."""

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = headers or {}


def malformed(message: str) -> NoReturn:
    """Refuse a request that cannot be understood: 400."""
    raise Refusal(400, message)


def conflict(message: str) -> NoReturn:
    """Refuse what is at odds with the directory as it is: 409."""
    raise Refusal(409, message)


def unprocessable(message: str) -> NoReturn:
    """Refuse data that breaks a rule: 422."""
    raise Refusal(422, message)


def success(status: int, result: object) -> RawResponse:
    """Return the answer to a request that was carried out; None is an answer without a body."""
    if result is None:
        return RawResponse(status, Headers(), b"")
    return json_answer(status, _encode(result))


def failure(status: int, message: str, request_id: str, headers: Mapping[str, str] | None = None) -> RawResponse:
    """Return an answer with the API's error object, the same for every status."""
    error = Error(code=_CODES.get(status, ErrorCode.INTERNAL), message=message, request_id=request_id)
    return json_answer(status, _encode({"error": error}), headers)


def json_answer(status: int, body: bytes, headers: Mapping[str, str] | None = None) -> RawResponse:
    """Return an answer whose body is JSON unless `headers` say otherwise."""
    return RawResponse(status, Headers({"Content-Type": "application/json", **(headers or {})}), body)

"""What every kind of offline directory says alike: to a write, and of a record that it lacks."""

from __future__ import annotations

from msgspec.structs import replace

from .._wire.decoding import LACKED
from .._wire.messages import Headers, RawResponse, Request
from ..errors import APIConnectionError, ConnectionReason

_NOT_FOUND = 404


def away(request: Request, problem: str) -> APIConnectionError:
    """Return the error for what cannot be answered without a server."""
    return APIConnectionError(
        f"offline: {problem}",
        reason=ConnectionReason.OFFLINE,
        sent=False,
        attempts=0,
        method=request.method,
        route=request.route,
    )


def unwritten(request: Request, place: str) -> APIConnectionError:
    """Return the error for a write; `place` says where it would go."""
    return away(
        request,
        f"{request.method} {request.route} would write; {place}. Put it in meitner.outbox(), which drops it, or in "
        "meitner.outbox(journal=path), which keeps it for a client that is online",
    )


def marked(response: RawResponse) -> RawResponse:
    """Return an answer that says, when there is no such record, that only a copy of the directory was asked."""
    if response.status != _NOT_FOUND:
        return response
    return replace(response, headers=Headers({**response.headers, LACKED: "1"}))

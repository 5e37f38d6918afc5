"""What a sandbox remembers of a request, for tests to look at: question and answer, but no credentials."""

from __future__ import annotations

from typing import Any, Self, TypeAlias
from urllib.parse import parse_qsl

import msgspec

from ..._wire.messages import FOREIGN, Headers, RawResponse, Request, error_object
from ..faults import Fault

Json: TypeAlias = Any
"""Whatever JSON holds."""

_SECRET = {"authorization", "client-id", "client-secret", "cookie", "proxy-authorization"}


class ReceivedRequest(tuple[str, str, int]):  # noqa: SLOT001 - what varies in length has no slots to offer
    """A request that came in; equal to `(method, path, status)`, and shown as no more than that."""

    operation: str
    """Such as "students.create", or "token"; empty for what the API does not have."""
    route: str
    """The path with its id named, such as "/student/{id}"; empty for what the API does not have."""
    headers: Headers
    """Those of the request, by names that ignore case, without credentials."""
    query: dict[str, str]
    """Such as `{"limit": "50", "offset": "0"}`."""
    problem: str
    """What the sandbox refused it for: the message of the error object; empty for a success."""
    fault: Fault | None = None
    """What struck it."""
    at: float = 0.0
    """When it came in, in seconds since 1970 by the clock of the sandbox."""
    seconds: float | None = None
    """How long it took; None while it goes on."""

    def __new__(cls, request: Request, path: str, operation: str, route: str, answer: RawResponse | None) -> Self:
        """Remember what was asked at a path, and what it came to: None where no answer reached the client."""
        del operation, route  # of `__init__`
        return super().__new__(cls, (request.method, path, 0 if answer is None else answer.status))

    def __init__(self, request: Request, path: str, operation: str, route: str, answer: RawResponse | None) -> None:
        del path
        self.operation = operation
        self.route = route
        self.headers = Headers({k: v for k, v in request.headers.items() if k.lower() not in _SECRET})
        self.query = dict(parse_qsl(request.query, keep_blank_values=True))
        data = None if answer is None or answer.status < 400 else error_object(answer)  # the first status of a failure
        self.problem = "" if data is None else data.message
        self._left = None if answer is None else answer.headers.get("RateLimit-Remaining")
        self._body = request.body if operation != "token" else None  # a form with the secret

    @property
    def remaining(self) -> int | None:
        """What the answer said is left of the quota; None where it said nothing."""
        return int(self._left) if self._left is not None and self._left.isdecimal() else None

    @property
    def method(self) -> str:
        """GET, POST, PATCH or DELETE."""
        return self[0]

    @property
    def path(self) -> str:
        """The path within the API, without its query."""
        return self[1]

    @property
    def status(self) -> int:
        """That of the answer; 0 when the connection was cut or the answer never came."""
        return self[2]

    @property
    def json(self) -> Json:
        """The body as it was sent, decoded; None where there is none, or none that is JSON."""
        try:
            return None if self._body is None else msgspec.json.decode(self._body)
        except FOREIGN:
            return None

    def __repr__(self) -> str:
        return f"<{self.method} {self.path} {self.status or 'unanswered'}>"

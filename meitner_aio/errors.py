"""Everything that can go wrong, as one tree.

MeitnerError                      message; request_id, method, route and attempts where known
├── ConfigurationError            the client cannot be built as asked
├── APIConnectionError            no usable answer: refused, reset, cut off
│   └── APITimeoutError
├── ResponseValidationError       an answer that breaks the contract
├── AmbiguousWriteError           a create that may or may not have happened
├── IncompleteListing             a strict listing that could not be shown to be whole
├── MultipleFound                 one record was asked for, several match
├── QuotaExhausted                the hourly quota does not allow the call in time
├── ResyncRequired                changes since a checkpoint can no longer be known
├── TooManyDeletions              a mirror's brakes stopped a run
├── DestinationError              an object store did not take an export
└── APIStatusError                the server said no
    ├── BadRequestError           400
    ├── AuthenticationError       401
    ├── PermissionDeniedError     403
    ├── NotFoundError             404
    ├── ConflictError             409
    ├── UnprocessableEntityError  422
    ├── RateLimitError            429
    └── InternalServerError       5xx

`str(error)`, `repr(error)` and `error.args` carry one line in which identity numbers, e-mail addresses and phone
numbers are masked. The unmasked facts are on attributes, for code that asks for them.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import TYPE_CHECKING, TypedDict, Unpack

from .error_response import ErrorResponse, text_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

_LONGEST_LINE = 300
_LONGEST_READ = 10_000
"""Characters of a message that are looked at: a server may send a megabyte."""

_WORD = r"[^\s@<>\"'(),;:=]"
# Looking behind keeps this linear: without it, every character of a long word would be tried as a beginning.
_EMAIL = re.compile(rf"(?<!{_WORD}){_WORD}++(?:@{_WORD}+)+")
_NUMBER = re.compile(
    r"(?P<id>\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b)"  # record and request ids stay readable
    r"|(?:(?<!\d)(?:\d{4}-\d\d-\d\d(?=[-+]\d{4}(?!\d))|\d{8}|\d{6}) ?[-+\u2010-\u2015\u2212]? ?\d{4}(?!\d)"
    r"|(?<![\w.-])(?:\d{8}|\d{6})[-+]?(?=\d*[A-Z])[0-9A-Z]{4}(?!\w)"  # a temporary one ends in letters, too: TF01
    r"|(?<![\w.])(?:\+|00)\d[\d ()/-]{5,}\d"
    r"|(?<![\w.-])(?<!\d:)0\d{1,3}\)?[ /-]{0,3}\d[\d -]{3,}\d)"
    r"(?:[+:]\d(?:[\d ()/-]*\d)?)*"  # what follows without a blank may be another, and then looks like no beginning
)


def mask(text: str) -> str:
    """Return `text` on one line, with identity numbers, e-mail addresses and phone numbers replaced by `***`."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text[:_LONGEST_READ]).split())
    masked = _NUMBER.sub(lambda match: match.group("id") or "***", _EMAIL.sub("***", line))
    return masked if len(masked) <= _LONGEST_LINE else masked[: _LONGEST_LINE - 1] + "…"


class Facts(TypedDict, total=False):
    """What every error may know of its call."""

    request_id: str | None
    method: str | None
    route: str | None
    attempts: int | None


class StatusFacts(Facts, total=False):
    """What an error with a status may know of its answer."""

    status_code: int
    headers: Mapping[str, str] | None
    body: bytes
    code: str | None
    data: object


class MeitnerError(Exception):
    """The base of every error that this package raises for a call."""

    def __init__(
        self,
        message: str = "",
        *,
        request_id: str | None = None,
        method: str | None = None,
        route: str | None = None,
        attempts: int | None = None,
    ) -> None:
        """Keep the facts; only the masked line reaches `args`."""
        super().__init__(f"{mask(message)} (request {mask(request_id)})" if request_id else mask(message))
        self.message = message
        self.request_id = request_id
        self.method = method
        self.route = route
        self.attempts = attempts
        self.retry_budget_exhausted = False
        """Whether the call was not tried again because the client's retries had used up their budget."""

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle the attributes: running `__init__` again would mask and cut the line a second time."""
        return Exception.__new__, (type(self), *self.args), vars(self)


class ConfigurationError(MeitnerError):
    """The client cannot be built as asked: nothing was sent.

    `missing_credentials` is True when neither the call nor the environment has complete credentials.
    """

    def __init__(self, message: str = "", *, missing_credentials: bool = False, **facts: Unpack[Facts]) -> None:
        """Keep the reason beside what every error knows."""
        super().__init__(message, **facts)
        self.missing_credentials = missing_credentials


class ConnectionReason(Enum):
    """Why no usable answer arrived."""

    DNS = "dns"
    """The name of the server could not be looked up."""
    REFUSED = "refused"
    """Nothing listens at the server's address."""
    UNREACHABLE = "unreachable"
    """There is no connection to the server, for another reason."""
    PROXY = "proxy"
    """The proxy could not be reached, or refused."""
    TLS = "tls"
    """The encrypted connection could not be set up."""
    UNTRUSTED = "untrusted"
    """The server's certificate does not prove who it is."""
    CONNECT_TIMEOUT = "connect_timeout"
    """The time was up before there was a connection."""
    READ_TIMEOUT = "read_timeout"
    """The time was up before the whole answer had arrived."""
    DEADLINE = "deadline"
    """The deadline of the call passed before an answer arrived."""
    DISCONNECTED = "disconnected"
    """The connection broke before the whole answer had arrived."""
    UNREADABLE = "unreadable"
    """What arrived is not HTTP."""
    OFFLINE = "offline"
    """There is no server: a snapshot does not hold what was asked for, or a write would go nowhere."""
    OTHER = "other"
    """Anything else."""


class APIConnectionError(MeitnerError):
    """No usable answer arrived, for a `reason`.

    `sent` is False when the request certainly never reached the server. `stale` is True when a connection broke that
    was kept from an earlier request: the server may have closed it for being idle, just as this one was on its way.
    `repeatable` is False where `RetryPolicy(connection_errors=False)` lets nothing be repeated for it.
    """

    repeatable = True

    def __init__(
        self,
        message: str = "",
        *,
        reason: ConnectionReason = ConnectionReason.OTHER,
        sent: bool = True,
        stale: bool = False,
        **facts: Unpack[Facts],
    ) -> None:
        """Keep why, whether the server may have seen the request, and whether the connection was an old one."""
        super().__init__(message, **facts)
        self.reason = reason
        self.sent = sent
        self.stale = stale


class APITimeoutError(APIConnectionError):
    """An attempt took longer than its timeout, or the call longer than its deadline."""


class ResponseValidationError(MeitnerError):
    """A successful answer that breaks the contract of the API. Names the place and the row's id, never a value.

    `too_large` says that it was larger than any answer may be, `row` names the row of a listing that could not be read.
    """

    too_large = False
    row: str | None = None


class AmbiguousWriteError(MeitnerError):
    """A create whose answer was lost: it may or may not have happened, and was not sent again.

    `deadline` is when the call has to end, by the event loop's clock; `max_sends` how often its policy allows to send
    it at all, each time after looking in vain for what the last one made. `lookup` names the fields by which the record
    can be found; where it is empty, nothing identifies it.
    """

    def __init__(
        self,
        message: str = "",
        *,
        deadline: float | None = None,
        max_sends: int = 1,
        lookup: tuple[str, ...] = (),
        **facts: Unpack[Facts],
    ) -> None:
        """Keep what may still be done."""
        super().__init__(message, **facts)
        self.deadline = deadline
        self.max_sends = max_sends
        self.lookup = lookup


class IncompleteListing(MeitnerError):
    """A listing read with `strict=True` could not be shown to be complete."""


class MultipleFound(MeitnerError):
    """A single record was asked for, but several match; `ids` are theirs, where an upsert read them."""

    ids: tuple[str, ...] = ()


class QuotaExhausted(MeitnerError):
    """The hourly quota does not allow the call within the wait that the caller allows.

    `reset_at` is when the window ends, `retry_after` the seconds that the call would have waited; None if not known.
    """

    def __init__(
        self,
        message: str = "",
        *,
        reset_at: datetime | None = None,
        retry_after: float | None = None,
        **facts: Unpack[Facts],
    ) -> None:
        """Keep when the call may be repeated."""
        super().__init__(message, **facts)
        self.reset_at, self.retry_after = reset_at, retry_after


class ResyncReason(Enum):
    """Why changes since a checkpoint can no longer be known."""

    TOO_OLD = "too_old"
    """The checkpoint is older than the server keeps audit events: deletions may be missing."""
    OTHER_DIRECTORY = "other_directory"
    """The checkpoint is of another server, or of other credentials."""
    NEW_RESOURCE = "new_resource"
    """A resource is asked for that the checkpoint says nothing of."""
    OTHER_VERSION = "other_version"
    """The checkpoint was made by a version that this one cannot read."""


class ResyncRequired(MeitnerError):
    """Changes since a checkpoint can no longer be known, for a `reason`: read everything, with `since=None`."""

    def __init__(self, message: str = "", *, reason: ResyncReason | None = None, **facts: Unpack[Facts]) -> None:
        """Keep the reason, where one is known."""
        super().__init__(message, **facts)
        self.reason = reason


class TooManyDeletions(MeitnerError):
    """A run would delete more of a mirror than its brakes allow; nothing was changed.

    `deletions` says how many records of each resource would go, and `rows` how many there are. A person who has made
    sure that they are gone allows as many with `accept_deletions`.
    """

    def __init__(
        self,
        message: str = "",
        *,
        deletions: Mapping[str, int] | None = None,
        rows: Mapping[str, int] | None = None,
        **facts: Unpack[Facts],
    ) -> None:
        """Keep the numbers."""
        super().__init__(message, **facts)
        self.deletions: Mapping[str, int] = deletions or {}
        self.rows: Mapping[str, int] = rows or {}


class DestinationReason(Enum):
    """Why an object store did not take an export."""

    CREDENTIALS = "credentials"
    """The store's own variables or profile give no credentials, or such as the store does not know."""
    FORBIDDEN = "forbidden"
    """The store knows the credentials, and they do not allow it."""
    NO_BUCKET = "no_bucket"
    """There is no such bucket or container."""
    UNAVAILABLE = "unavailable"
    """The store could not be reached, or failed: another try may succeed."""
    OVERTAKEN = "overtaken"
    """Another run was published there meanwhile: what this one read was given up."""
    REFUSED = "refused"
    """Anything else that the store refused."""


class DestinationError(MeitnerError):
    """An object store did not take an export, for a `reason`; what a reader finds there is as it was before."""

    def __init__(
        self, message: str = "", *, reason: DestinationReason = DestinationReason.REFUSED, **facts: Unpack[Facts]
    ) -> None:
        """Keep the reason."""
        super().__init__(message, **facts)
        self.reason = reason


class APIStatusError(MeitnerError):
    """The server answered with a status that is not a success; a redirect, never followed, is one of these too.

    `headers` and `body` are the answer's own, `code` and `data` the decoded error object when there was one.
    `body`, `text`, `data` and `message` may be personal: they are on attributes only, for code that asks.
    """

    def __init__(
        self,
        message: str = "",
        *,
        status_code: int = 0,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        code: str | None = None,
        data: object = None,
        **facts: Unpack[Facts],
    ) -> None:
        """Keep the facts of the answer."""
        super().__init__(message, **facts)
        self.status_code = status_code
        self.headers: Mapping[str, str] = {} if headers is None else headers
        self.body = body
        self.code = code
        self.data = data

    @property
    def text(self) -> str:
        """The body as text, unmasked, 100,000 bytes of it at most; made when it is asked for."""
        return text_of(self.headers, self.body)

    @property
    def response(self) -> ErrorResponse:
        """The answer: status, headers without those that hold secrets, body, request id. Its `repr` shows no body."""
        return ErrorResponse.of(self.status_code, self.headers, self.body, self.request_id)


class BadRequestError(APIStatusError):
    """400: the request was malformed."""


class AuthenticationError(APIStatusError):
    """401: credentials are missing or wrong."""


class PermissionDeniedError(APIStatusError):
    """403: the credentials do not allow the operation."""


class NotFoundError(APIStatusError):
    """404: no such record."""


class ConflictError(APIStatusError):
    """409: the request conflicts with what the directory holds."""


class UnprocessableEntityError(APIStatusError):
    """422: the data failed the server's validation."""


class RateLimitError(APIStatusError):
    """429: the quota is spent. `reset_at` is when the window ends.

    `retry_after`: seconds that the server asks to wait, by Retry-After, else by a RateLimit-Reset that stands alone.
    """

    def __init__(
        self,
        message: str = "",
        *,
        reset_at: datetime | None = None,
        retry_after: float | None = None,
        **facts: Unpack[StatusFacts],
    ) -> None:
        """Keep when the call may be repeated."""
        super().__init__(message, **facts)
        self.reset_at, self.retry_after = reset_at, retry_after


class InternalServerError(APIStatusError):
    """5xx: the server, or a gateway before it, failed."""

"""The checks of `doctor`: one result for each thing that can be wrong, from what its requests observed. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from urllib.parse import urlsplit

from msgspec import Struct

from ... import errors
from ..._pipeline.server_limiter import Quota
from ..._wire.headers import server_time
from ..rendering.amounts import amount_left, counted
from .check import Check
from .rights import rights

ASKED = 1000
"""Rows of the page that shows how many rows a page may have."""

_SKEW = 5.0
"""Seconds that two clocks may differ: a Date has whole seconds, and an answer takes time to arrive."""

_LITTLE = 0.1
"""Share of the hourly quota below which little is left."""

_SLOW = 2.0
"""Seconds: an answer that takes longer makes every export long."""


class Observations(Struct, frozen=True, kw_only=True):
    """What the requests of `doctor` found."""

    url: str
    error: errors.MeitnerError | None = None
    """Why nothing more was asked for after the first request."""
    headers: Mapping[str, str] = {}
    answered_at: float = 0.0
    """Seconds since 1970, by the clock of this machine."""
    rights: Mapping[str, errors.MeitnerError | None] = {}
    """By resource, why it could not be read; None where it could."""
    page_limit: int | None = None
    """Rows of a page; 0 where `ASKED` are refused."""
    seconds: Sequence[float] = ()
    """How long each of some small answers took by itself."""
    paced: int = 0
    """Requests that waited for the quota."""
    quota: Quota | None = None

    @property
    def failures(self) -> list[errors.MeitnerError]:
        """What was answered with anything but data, in order."""
        first = [] if self.error is None else [self.error]
        return [*first, *(error for error in self.rights.values() if error is not None and error is not self.error)]


def diagnose(observed: Observations) -> list[Check]:
    """Return a result for every check that the answers allow."""
    found = [_server(observed)]
    if observed.headers or observed.error is None or _untrusted(observed.error):
        found.append(_tls(observed))
    if observed.headers or observed.error is None:
        found += [_accepted(observed), *rights(observed.rights), _clock(observed), _quota(observed)]
    if observed.page_limit is not None:
        found.append(_page(observed.page_limit))
    if observed.paced:
        found.append(_pace(observed.paced))
    if observed.seconds:
        found.append(_latency(observed.seconds))
    return found


def _server(observed: Observations) -> Check:
    error = observed.error
    if error is None or isinstance(error, errors.APIStatusError):
        status = getattr(error, "status_code", 0)
        if status >= 500:
            return Check(
                "server", "fail", f"{observed.url} answers {status}", "The server has a problem: try again later."
            )
        if status == 404 or 300 <= status < 400:
            return Check(
                "server", "fail", f"{observed.url} answers {status}", "Is this the URL of the API? See --base-url."
            )
        return Check("server", "ok", observed.url)
    if isinstance(error, errors.ResponseValidationError):
        return Check(
            "server",
            "fail",
            f"{observed.url} answers, but not as the Directory API does",
            "Is this the URL of the API? See --base-url.",
        )
    if isinstance(error, errors.APITimeoutError):
        return Check("server", "fail", f"{observed.url}: {error}", "Does a proxy or a firewall block the way?")
    return Check("server", "fail", f"{observed.url}: {error}", "Is the URL right, and does the network work?")


def _untrusted(error: errors.MeitnerError) -> bool:
    return isinstance(error, errors.APIConnectionError) and error.reason is errors.ConnectionReason.UNTRUSTED


def _tls(observed: Observations) -> Check:
    if observed.error is not None and _untrusted(observed.error):
        hint = "If a proxy reads the traffic, name its certificate in SSL_CERT_FILE. Check the clock here, too."
        return Check("TLS", "fail", "the certificate of the server is not trusted", hint)
    match urlsplit(observed.url).scheme:
        case "https":
            return Check("TLS", "ok", "the certificate is valid")
        case "http":
            return Check("TLS", "ok", "not encrypted, but the server is on this machine")
        case _:
            return Check("TLS", "ok", "not used: the sandbox is in this process")


def _accepted(observed: Observations) -> Check:
    name, refusal = "login", [error for error in observed.failures if isinstance(error, errors.AuthenticationError)]
    if refusal:
        return Check(
            name,
            "fail",
            f"refused: {refusal[0]}",
            "Check that the client id and the secret belong together, and to this server.",
        )
    if observed.error is not None:
        return Check(name, "warn", "unknown: the server did not answer")
    return Check(name, "ok", "the server accepts the credentials")


def _clock(observed: Observations) -> Check:
    date = server_time(observed.headers)
    if date is None:
        return Check("clock", "warn", "unknown: the answers have no date")
    ahead = observed.answered_at - date - 0.5  # a Date is cut to whole seconds
    if abs(ahead) <= _SKEW:
        return Check("clock", "ok", "agrees with the clock of the server")
    direction = "ahead of" if ahead > 0 else "behind"
    hint = "Let the network set the clock: certificates and --since 7d depend on it."
    return Check("clock", "warn", f"{counted(round(abs(ahead)), 'second')} {direction} the clock of the server", hint)


def _quota(observed: Observations) -> Check:
    quota = observed.quota
    if any(isinstance(error, errors.RateLimitError | errors.QuotaExhausted) for error in observed.failures):
        return Check(
            "quota", "fail", "spent" if quota is None else _left(quota), "Try again when the quota is renewed."
        )
    if quota is None or quota.kind == "assumed":
        return Check("quota", "warn", "unknown: the answers do not tell")
    if quota.remaining < _LITTLE * quota.limit:
        return Check(
            "quota", "warn", _left(quota), "An export would have to wait. Does another program use these credentials?"
        )
    return Check("quota", "ok", _left(quota))


def _left(quota: Quota) -> str:
    return amount_left(quota, until=", all back at " if quota.kind == "bucket" else " until ")


def _page(limit: int) -> Check:
    if not limit:
        return Check("page size", "ok", f"{ASKED:,} rows per page are refused: the client asks for fewer")
    if limit >= ASKED:
        return Check("page size", "ok", f"{ASKED:,} rows per page, or more")
    return Check("page size", "ok", f"{counted(limit, 'row')} per page at most: the client asks for as many")


def _pace(paced: int) -> Check:
    found = f"{counted(paced, 'request')} waited for the quota"
    return Check("waiting", "warn", found, "The quota slows requests down, not the server.")


def _latency(seconds: Sequence[float]) -> Check:
    middle = median(seconds)
    found = f"{1000 * middle:,.1f} ms per small answer (median of {len(seconds)})"
    if middle > _SLOW:
        return Check("latency", "warn", found, "Is the network busy? A higher --concurrency makes exports faster.")
    return Check("latency", "ok", found)

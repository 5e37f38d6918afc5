"""Who may see the sandbox's pages, and press their buttons: a person at this machine, in a page of this server. Pure.

A browser lends its place on this machine to every site that it shows. So a page is refused under any name but those of
loopback: a site whose name was made to lead here (DNS rebinding) comes with its own. What changes something is refused
to other sites, which a browser names in Origin and Sec-Fetch-Site; forms cannot send JSON.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import NamedTuple

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""On every page, file and refusal."""

_FORWARDED = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "Via")


class Refused(NamedTuple):
    """A status, and the reason."""

    status: int
    reason: str


def refused(headers: Mapping[str, str], peer: str, port: int, *, changes: bool) -> Refused | None:
    """Return why a request for a page is refused, None where it is not.

    `headers` ignore case, `peer` is the address that it came from, `port` the one that the server listens on. A request
    that `changes` something must be one that only a page of this server, or no browser at all, can send.
    """
    if not _is_loopback(peer) or any(name in headers for name in _FORWARDED):
        return Refused(403, "the pages of the sandbox are for the machine that it runs on")
    if not _is_ours(headers.get("Host", ""), port):
        return Refused(421, f"the pages of the sandbox are at http://127.0.0.1:{port}/ and under no other name")
    if _is_of_another_site(headers, changes=changes):
        return Refused(403, "another site may not use the pages of the sandbox")
    if changes and headers.get("Content-Type", "").partition(";")[0].strip().lower() != "application/json":
        return Refused(415, "the body must be application/json")
    return None


def _is_of_another_site(headers: Mapping[str, str], *, changes: bool) -> bool:
    """Whether a page of another site sends this; it may lead a person here by a link."""
    ours = f"http://{headers['Host']}".lower()
    if changes and headers.get("Origin", ours).lower() != ours:
        return True
    by_link = headers.get("Sec-Fetch-Mode") == "navigate" and not changes
    return headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin") and not by_link


def _is_ours(host: str, port: int) -> bool:
    """Whether a Host header names this server by an address of loopback, or as localhost."""
    name, colon, number = host.rpartition(":")
    if not colon or number.endswith("]"):
        name, number = host, "80"
    return number == str(port) and (name.lower() == "localhost" or _is_loopback(name, quoted=True))


def _is_loopback(address: str, *, quoted: bool = False) -> bool:
    """Whether this is an address of loopback; `quoted` as in a Host header, where IPv6 stands in brackets."""
    if quoted and (":" in address or "[" in address):
        if not (address.startswith("[") and address.endswith("]")):
            return False
        address = address[1:-1]
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return (mapped or found).is_loopback

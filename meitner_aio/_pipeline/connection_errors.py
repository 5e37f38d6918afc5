"""Messages of connection errors: the host, what happened, and what to do. Knows no library's exceptions."""

from __future__ import annotations

from ..errors import ConnectionReason

_SENTENCES = {
    ConnectionReason.UNTRUSTED: "the certificate of {host} is not valid ({kind}): check the clock, or trust it",
    ConnectionReason.TLS: "TLS with {host} failed ({kind}): check the address",
    ConnectionReason.DNS: "the name {host} could not be looked up ({kind}): check the address and the network",
    ConnectionReason.PROXY: "the proxy on the way to {host} cannot be used ({kind}): check its address",
    ConnectionReason.CONNECT_TIMEOUT: "no connection to {host} in time ({kind}): check the network, or allow more time",
    ConnectionReason.READ_TIMEOUT: "no complete answer from {host} in time ({kind}): allow more time, or try later",
    ConnectionReason.REFUSED: "{host} refused the connection ({kind}): check the address, or try again later",
    ConnectionReason.UNREACHABLE: "no connection to {host} ({kind}): check the address and the network",
    ConnectionReason.UNREADABLE: "the answer of {host} is not valid HTTP ({kind}): check the address",
    ConnectionReason.DISCONNECTED: "the connection to {host} broke before a complete answer ({kind}): try again later",
    ConnectionReason.OTHER: "no request to {host} could be made ({kind}): check the address",
}


def sentence(reason: ConnectionReason, host: str, kind: str) -> str:
    """Return the message for a reason; `kind` is what the library called it."""
    return _SENTENCES[reason].format(host=host, kind=kind)

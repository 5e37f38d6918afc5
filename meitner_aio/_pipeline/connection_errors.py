"""What an error says of a connection: the host, what happened, and what to do. Knows no exception of any library."""

from __future__ import annotations

from ..errors import ConnectionReason

_SENTENCES = {
    ConnectionReason.UNTRUSTED: "{host} could not prove who it is ({kind}): check the clock, or trust its certificate",
    ConnectionReason.TLS: "{host} and this client agree on no encryption ({kind}): check the address",
    ConnectionReason.DNS: "{host} is not known by that name ({kind}): check the address and the network",
    ConnectionReason.PROXY: "the proxy on the way to {host} cannot be used ({kind}): check its address",
    ConnectionReason.CONNECT_TIMEOUT: "no connection to {host} in time ({kind}): check the network, or allow more time",
    ConnectionReason.READ_TIMEOUT: "no whole answer of {host} in time ({kind}): allow more time, or try again later",
    ConnectionReason.REFUSED: "{host} refused the connection ({kind}): check the address, or try again later",
    ConnectionReason.UNREACHABLE: "no connection to {host} ({kind}): check the address and the network",
    ConnectionReason.UNREADABLE: "{host} answered with something that is not HTTP ({kind}): check the address",
    ConnectionReason.DISCONNECTED: "the connection to {host} broke before a whole answer ({kind}): try again later",
    ConnectionReason.OTHER: "no request to {host} could be made ({kind}): check the address",
}


def sentence(reason: ConnectionReason, host: str, kind: str) -> str:
    """Return the message for a reason; `kind` is what the library called it."""
    return _SENTENCES[reason].format(host=host, kind=kind)

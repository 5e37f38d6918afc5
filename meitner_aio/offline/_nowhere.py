"""No directory at all: every call is refused, with what to do instead."""

from __future__ import annotations

from .._wire.messages import RawResponse, Request
from ._answers import away, unwritten

_READS = frozenset({"list", "search", "get"})


class Nowhere:
    """A transport without a server and without a file."""

    identity = b""
    since = None

    def __repr__(self) -> str:
        return "<Nowhere>"

    async def send(self, request: Request) -> RawResponse:
        """Raise `APIConnectionError`: nothing was asked, or written."""
        if request.operation not in _READS and request.method not in ("GET", "HEAD"):
            raise unwritten(request, "there is no directory, and no record to return")
        raise away(
            request,
            f"there is nobody to ask for {request.method} {request.route}; read through meitner.cached(default=...), "
            "which says what to answer, or from an export or a mirror: Meitner(offline=path)",
        )

    async def close(self) -> None:
        """Close nothing."""

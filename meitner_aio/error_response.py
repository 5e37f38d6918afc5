"""The answer behind an error, for code that asks for it. Its body may be personal: nothing here shows it by itself.

Like the errors, it is loaded by the shortest command: it imports nothing that is slow to load.
"""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_LONGEST = 100_000
"""Bytes of a body that are read as text: a gateway may send a megabyte."""

_CHARSETS = frozenset({"ascii", "cp1252", "iso8859-1", "iso8859-15", "utf-8"})
"""What answers are written in. Any other is read as UTF-8: some of Python's codecs are no charsets, or slow."""

_SECRET = ("api-key", "apikey", "authorization", "client-credentials", "client-id", "cookie", "secret", "token")
"""Parts of the names of headers that hold secrets. A server, or a gateway before it, may send those of the request."""


def text_of(headers: Mapping[str, str], body: bytes) -> str:
    """Return the first 100,000 bytes of a body as text, by the charset of the answer; what is none becomes U+FFFD."""
    _, found, charset = headers.get("Content-Type", "").lower().partition("charset=")
    try:
        known = codecs.lookup(charset.partition(";")[0].strip("\"' ")).name if found else "utf-8"
    except (LookupError, ValueError):
        known = "utf-8"
    text = body[:_LONGEST].decode(known if known in _CHARSETS else "utf-8", errors="replace")
    return text if len(body) <= _LONGEST else f"{text}…"


@dataclass(frozen=True, slots=True, repr=False)
class ErrorResponse:
    """The answer that an error stands for. `headers` ignore case, and lack those that hold secrets."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    request_id: str | None = None

    @classmethod
    def of(cls, status: int, headers: Mapping[str, str], body: bytes, request_id: str | None) -> ErrorResponse:
        """Return an answer without the headers that hold secrets."""
        kept = {name: value for name, value in headers.items() if not any(part in name.lower() for part in _SECRET)}
        return cls(status, type(headers)(kept) if isinstance(headers, dict) else kept, body, request_id)

    @property
    def text(self) -> str:
        """The body as text, in the clear, 100,000 bytes of it at most."""
        return text_of(self.headers, self.body)

    def __repr__(self) -> str:
        """Show the status and the size: a body holds personal data."""
        return f"ErrorResponse({self.status}, {len(self.body)} bytes)"

    def __rich_repr__(self) -> list[tuple[str, object]]:
        """Show rich the same."""
        return [("status", self.status), ("bytes", len(self.body))]

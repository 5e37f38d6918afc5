"""Pages of a listing: how many rows, from where, and what becomes of a limit that is too large."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import parse_qsl

from ..._wire.messages import Envelope
from ..._wire.validation import check_whole
from ...records import Pagination
from ..store.choices import check_choice
from ..store.tables import Row
from .answers import malformed

OverCap = Literal["clamp", "refuse"]
"""What becomes of a limit above the cap: the cap takes its place, or the request is refused with 400."""

USUAL_LIMIT = 50
"""Rows of a page when the client does not say, as the API documents."""

_WHOLE = re.compile(r"[0-9]{1,18}")


@dataclass(frozen=True)
class Paging:
    """How a directory cuts its listings."""

    cap: int = 1000
    """Rows of a page at most."""
    over: OverCap = "clamp"

    def __post_init__(self) -> None:
        check_whole("page_cap", self.cap, 1)
        check_choice("over_cap", self.over, OverCap)

    def page(self, rows: list[Row], query: str) -> Envelope[Row]:
        """Return the page that a query string asks for, with the limit that was used; 400 for one that cannot be."""
        asked = _asked(query)
        limit, offset = asked.get("limit", min(USUAL_LIMIT, self.cap)), asked.get("offset", 0)
        if limit > self.cap and self.over == "refuse":
            malformed(f"limit must be at most {self.cap}")
        limit = min(limit, self.cap)
        return Envelope(rows[offset : offset + limit], Pagination(offset=offset, limit=limit, total=len(rows)))


def _asked(query: str) -> dict[str, int]:
    """Return `limit` and `offset` where given; 400 for what is repeated, unknown or no whole number in range."""
    asked: dict[str, int] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name not in ("limit", "offset") or name in asked:
            malformed("the query takes limit and offset, each once")
        if not _WHOLE.fullmatch(value) or (name == "limit" and int(value) == 0):
            malformed(f"{name} must be a whole number of at least {1 if name == 'limit' else 0}")
        asked[name] = int(value)
    return asked

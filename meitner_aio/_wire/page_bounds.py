"""Limits the size of a page: no more than the rows asked for, or the largest page there is, can need. Pure.

A server may have pages of a fixed size, whatever it is asked for. A hostile or broken one may answer a request for 50
rows with the largest body allowed. Decoding takes many times the memory of a body, so its size is checked first: by
bytes, which the transport counts, and by the JSON punctuation that every row and every element of a list needs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from .decoding import DecodedPage, invalid
from .messages import RawResponse, Request

_Reader: TypeAlias = Callable[[Request, RawResponse], DecodedPage[Any]]

_ALWAYS, _A_ROW = 4 * 1024 * 1024, 32 * 1024
"""Bytes of a page, and more for each row: most rows have about 1,000, a group has 39 for each of its members."""

_LIGHT = 2048
"""Bytes a row up to which the punctuation of a page is not counted."""

_OBJECTS, _ELEMENTS, _SPARE = 16, 64, 4096
"""Most objects and elements of a row, on average; how many more an answer may have, with those in its texts."""

_BYTES_AN_ELEMENT = 32
"""The least that each further element takes: an id has 39."""


def largest(limit: int) -> int:
    """Return how many bytes a page of `limit` rows has at most."""
    return _ALWAYS + limit * _A_ROW


A_RECORD = largest(1)
"""Most bytes of a single record: a group of 100,000 members has fewer."""


def bounded(reader: _Reader, limit: int) -> _Reader:
    """Return a reader of pages that refuses those with more than `limit` rows, most of them before decoding."""

    def reading(request: Request, response: RawResponse) -> DecodedPage[Any]:
        fetched = None if _is_too_much(response.body, limit) else reader(request, response)
        if fetched is None or fetched.size > limit:
            raise invalid(request, response, f"more than the {limit} rows that a page can have")
        return fetched

    return reading


def _is_too_much(body: bytes, limit: int) -> bool:
    """Whether a body would take more memory than `limit` rows can need, whatever it holds."""
    if len(body) <= _SPARE + limit * _LIGHT:
        return False
    elements = _SPARE + limit * _ELEMENTS + len(body) // _BYTES_AN_ELEMENT
    return body.count(b"{") > _SPARE + limit * _OBJECTS or body.count(b",") > elements

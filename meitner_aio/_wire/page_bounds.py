"""How much an answer to a page may be: no more than what was asked for can need, or the largest page there is. Pure.

A server may have pages of one size, whatever it was asked for. One that means harm, or is broken, may answer a page of
50 rows with as much as a body may have at all. What is
made of a body takes many times its memory, so that it is weighed before it is read: by bytes, which the transport
counts, and by the marks of JSON that every row and every element of a list costs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from .decoding import DecodedPage, invalid
from .messages import RawResponse, Request

_Reader: TypeAlias = Callable[[Request, RawResponse], DecodedPage[Any]]

_ALWAYS, _A_ROW = 4 * 1024 * 1024, 32 * 1024
"""Bytes of a page, and more for each row: most have about 1,000, a group has 39 for each of its members."""

_LIGHT = 2048
"""Bytes a row up to which a page need not be weighed."""

_OBJECTS, _ELEMENTS, _SPARE = 16, 64, 4096
"""Objects and elements of a row at most, on average; what an answer may have beyond all rows, in its texts as well."""

_BYTES_AN_ELEMENT = 32
"""The least that each further element takes: an id has 39."""


def largest(limit: int) -> int:
    """Return how many bytes a page of `limit` rows has at most."""
    return _ALWAYS + limit * _A_ROW


A_RECORD = largest(1)
"""Bytes of a single record at most: a group of 100,000 members has fewer."""


def bounded(reader: _Reader, limit: int) -> _Reader:
    """Return a reader of pages that refuses those with more than `limit` rows, and most of them unread."""

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

"""Builds a request for any endpoint, checked to stay below the base URL. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from enum import Enum
from typing import cast
from urllib.parse import quote, urlencode

import msgspec
from msgspec import UNSET

from ..records import Record, fields
from .messages import Request
from .validation import check_instant, in_utc

_OPERATIONS = {"GET": "get", "HEAD": "get", "PUT": "update", "PATCH": "update", "DELETE": "delete", "POST": "create"}
"""The operation that a method is retried as: a POST that may have been processed is never sent again."""

_PATH = re.compile(r"/?[A-Za-z0-9_~.-]+(?:/[A-Za-z0-9_~.-]+)*")
"""Segments of unreserved characters (RFC 3986, 2.3): none needs an escape, so no other can hide in one."""

_DOTS = re.compile(r"(?:^|/)\.+(?:/|$)")
_WORD = re.compile(r"[A-Za-z_-]+|v[0-9]")

Scalar = str | int | float | date | Enum | None
Params = Mapping[str, Scalar | Sequence[Scalar] | Mapping[str, Scalar]]
"""Parameters of a query string: None is left out, a sequence repeats its name, a mapping is `name[key]=value`."""


def any_request(method: str, path: str, params: Params | None, json: object) -> Request:
    """Return the request; raises `ValueError` or `TypeError` for invalid arguments, without quoting them.

    `path` is below the base URL, with or without a leading slash. `json` is whatever msgspec encodes; None is no body.
    """
    verb = method.upper() if isinstance(method, str) else ""  # pyright: ignore[reportUnnecessaryIsInstance] - callers err
    if verb not in _OPERATIONS:
        raise ValueError(f"method must be one of {', '.join(_OPERATIONS)}")
    if not isinstance(path, str) or not _PATH.fullmatch(path) or _DOTS.search(path):  # pyright: ignore[reportUnnecessaryIsInstance] - as above
        raise ValueError("path must be segments of letters, digits and -._~ below the base URL, such as /student")
    path = "/" + path.removeprefix("/")
    # The searches of the API are reads, although POST.
    operation = "search" if verb == "POST" and path.endswith("/_search") else _OPERATIONS[verb]
    route = "/".join(part if not part or _WORD.fullmatch(part) else "{id}" for part in path.split("/"))
    query = urlencode(list(_pairs(params or {})), quote_via=quote)
    return Request(operation, verb, route, path, query, None if json is None else _encoded(json))


def query_string(query: Record) -> str:
    """Return the set fields of a record as a query string, written as `Params` are. Raises as `any_request` does."""
    params = {field.wire: getattr(query, field.name) for field in fields(type(query))}
    given = {name: value for name, value in params.items() if value is not UNSET}
    return urlencode(list(_pairs(given)), quote_via=quote) if given else ""


def _pairs(params: Params) -> Iterator[tuple[str, str]]:
    for name, value in params.items():
        if not isinstance(name, str):  # pyright: ignore[reportUnnecessaryIsInstance] - callers err
            raise TypeError("the names of params must be str")
        if isinstance(value, Mapping):  # the style `deepObject` of OpenAPI
            yield from _pairs(_members(name, cast("Mapping[object, object]", value)))
            continue
        many = isinstance(value, Sequence) and not isinstance(value, (str, bytes))
        for one in cast("Sequence[Scalar]", value) if many else (value,):
            if one is not None:
                yield _text(name), _text(_written(name, one))


def _members(name: str, given: Mapping[object, object]) -> dict[str, Scalar]:
    """Return the members of an object by the names that they have in a query string."""
    for key, value in given.items():
        if not isinstance(key, str) or not key or set(key) & set("[]"):
            raise TypeError(f"the keys of the param {name!r} must be text without brackets")
        if not (value is None or isinstance(value, str | int | float | date | Enum)):
            raise TypeError(f"the param {name!r} must have text, finite numbers or dates as its values")
    return {f"{name}[{key}]": cast("Scalar", value) for key, value in given.items()}


def _written(name: str, value: object) -> str:
    """Return a value as the API writes it."""
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        check_instant(value, f"the param {name!r}")
        return in_utc(value).isoformat().replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, str) or (isinstance(value, (int, float)) and math.isfinite(value)):
        return str(value)
    raise TypeError(f"the param {name!r} must be text, a finite number, a date or a sequence of them")


def _text(text: str) -> str:
    if any("\ud800" <= c <= "\udfff" for c in text):
        raise ValueError("params hold text that is not Unicode")
    return text


def _encoded(json: object) -> bytes:
    try:
        return msgspec.json.encode(json)
    except TypeError as error:
        problem: Exception = TypeError(f"json cannot be written: {error}")
    except (ValueError, OverflowError, RecursionError):  # some of their messages quote values
        problem = ValueError("json cannot be written: it holds text that is not Unicode, or itself")
    raise problem

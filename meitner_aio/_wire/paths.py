"""Paths with parameters, such as `/space/{space}/members`. Pure. A value fills its segment and cannot leave it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import quote

from .validation import checked_id, is_text

_PLACEHOLDER = re.compile(r"\{([^{}/]*)\}")
_SEGMENT = re.compile(r"(?:[A-Za-z0-9_~.:-]|\{[a-z][a-z0-9_]*\})+")
"""Unreserved characters (RFC 3986, 2.3) and the colon of custom methods: none needs an escape."""


def placeholders(path: str) -> list[str]:
    """Return the names in braces, in their order."""
    return _PLACEHOLDER.findall(path)


def check_path(path: object, what: str) -> str:
    """Return a path below a base URL; `TypeError` for anything that could lead elsewhere, or is no path."""
    if not isinstance(path, str) or not path.startswith("/"):
        raise TypeError(f"{what} must be a path that begins with a slash, such as /space/{{space}}/members")
    parts = [] if path == "/" else path[1:].split("/")
    for part in parts:
        if not _SEGMENT.fullmatch(part) or not part.strip("."):
            raise TypeError(
                f"{what} must stay below the base URL of the client, in segments of letters, digits, -._~: and "
                f"{{parameters}}: {part!r} is none"
            )
    return path


def check_api(api: object, what: str) -> str:
    """Return the name of another API below the same origin, such as `data-export/v1`; `TypeError` for any other."""
    if not isinstance(api, str) or (api and (api.startswith("/") or placeholders(check_path(f"/{api}", what)))):
        raise TypeError(f"{what} must be a path below the origin, without a leading slash, such as data-export/v1")
    return api


def joined(path: str, suffix: str) -> str:
    """Return a path below another; that of a root is `/`."""
    return path.rstrip("/") + suffix if suffix.strip("/") else path


def segment(value: object, name: str, pattern: str = "") -> str:
    """Return a value as the text of one segment; `TypeError` or `ValueError`, without the value, if it could be more.

    A server may undo escapes before it looks for slashes, so a value has none.
    """
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a str, not {type(value).__name__}")
    if not value.strip(".") or not is_text(value) or any(c in "/\\" or not c.isprintable() for c in value):
        raise ValueError(f"{name} must be text for one segment of a path: not empty, no slash, not only dots")
    if pattern and not re.fullmatch(pattern, value):
        raise ValueError(f"{name} must match {pattern}")
    return quote(value, safe="")


def id_segment(value: object, pattern: str) -> tuple[str, str]:
    """Return an id as records have it, and as a segment: a UUID in lower case where there is no pattern for others."""
    if pattern:
        encoded = segment(value, "id", pattern)
        return str(value), encoded
    id = checked_id(value)
    return id, id


class Place(NamedTuple):
    """Where an operation is: its route, with the parameters named, and its path, with all but an id filled in."""

    route: str
    path: str
    api: str = ""
    """Another API below the same origin; empty for the client's own."""

    def below(self, suffix: str) -> Place:
        """Return a place below this one."""
        return self._replace(route=joined(self.route, suffix), path=joined(self.path, suffix))

    def at(self, segment: str) -> str:
        """Return the path for the record whose id is written so."""
        return self.path.replace("{id}", segment)


def place_of(path: str, api: str, parameters: Mapping[str, object], owner: str) -> Place:
    """Return the place of a resource; `TypeError` for a parameter that its path lacks, or for one that is missing."""
    names = placeholders(path)
    for name in parameters:
        if name not in names:
            raise TypeError(f"{owner} has no parameter {name!r} in its path {path}")
    missing = [name for name in names if name not in parameters]
    if missing:
        raise TypeError(
            f"{owner} lacks {', '.join(missing)} for its path {path}: meitner.resource({owner}, {missing[0]}=...)"
        )
    filled = _PLACEHOLDER.sub(lambda found: segment(parameters[found[1]], found[1]), path)
    return Place(f"/{api}{path}" if api else path, filled, api)

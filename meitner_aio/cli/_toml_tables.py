"""Changes one table of a TOML file and leaves every other line as it is, comments included. Pure.

A writer of whole documents moves comments that stand before the next table. So lines are changed here, and what came
out is read again: where it does not say what was meant (a table in braces, a value of several lines), it is refused.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from typing import Any

_BARE = re.compile(r"[A-Za-z0-9_-]+")


class UnusualTableError(ValueError):
    """The table is written in a way that only a person should change."""


def with_settings(text: str, name: str, settings: Mapping[str, str], instead_of: frozenset[str]) -> str:
    """Return a file in which a table has some settings, and no others of those in `instead_of`; it may be new."""
    lines, end = text.splitlines(keepends=True), _line_end(text)
    new = [f"{key} = {_quoted(value)}{end}" for key, value in settings.items()]
    span = _span(lines, name)
    if span is None:
        if lines and not lines[-1].endswith("\n"):
            lines[-1] += end
        lines += [*([end] if lines else []), f"[{_key(name)}]{end}", *new]
    else:
        lines[span.start] = lines[span.start].rstrip("\r\n") + end
        lines[span.start + 1 : span.stop] = new + [
            line for line in lines[span.start + 1 : span.stop] if not instead_of & _keys(line)
        ]
    meant = tomllib.loads(text)
    kept = {key: value for key, value in meant.get(name, {}).items() if key not in instead_of}
    return _checked("".join(lines), meant | {name: kept | dict(settings)})


def without_table(text: str, name: str) -> str:
    """Return a file without a table; what stands before the next one stays."""
    lines = text.splitlines(keepends=True)
    span = _span(lines, name)
    if span is not None:
        del lines[span.start : span.stop]
    return _checked("".join(lines), {key: value for key, value in tomllib.loads(text).items() if key != name})


def _span(lines: list[str], name: str) -> range | None:
    """Return which lines are a table: its head, and all up to the comments that stand before the next."""
    heads = [number for number, line in enumerate(lines) if line.lstrip().startswith("[")]
    start = next((number for number in heads if _read(lines[number]) == {name: {}}), None)
    if start is None:
        return None
    end = next((number for number in heads if number > start), len(lines))
    if end < len(lines):
        while end - 1 > start and lines[end - 1].lstrip()[:1] in ("#", ""):
            end -= 1
    return range(start, end)


def _keys(line: str) -> set[str]:
    return set(_read(line))


def _read(line: str) -> Mapping[str, Any]:
    try:
        return tomllib.loads(line)
    except tomllib.TOMLDecodeError:
        return {}


def _checked(text: str, meant: Mapping[str, Any]) -> str:
    if _read(text) != meant:
        raise UnusualTableError
    return text


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else _quoted(name)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")  # the one control that JSON leaves


def _line_end(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"

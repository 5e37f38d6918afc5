"""Records as plain data: dictionaries and JSON. What they return holds personal data in the clear, unlike `repr`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal, cast, overload

import msgspec
from msgspec import UNSET, Struct

from ._wire.validation import strip_traceback
from .records import Kind, Record, fields, wire_name

Mode = Literal["python", "json"]


@overload
def to_dict(record: Record, *, mode: Mode = ..., by_alias: bool = ...) -> dict[str, Any]: ...
@overload
def to_dict(record: Iterable[Record], *, mode: Mode = ..., by_alias: bool = ...) -> list[dict[str, Any]]: ...
@strip_traceback
def to_dict(
    record: Record | Iterable[Record], *, mode: Mode = "python", by_alias: bool = False
) -> dict[str, Any] | list[dict[str, Any]]:
    """Return a record as a dictionary, or several as a list of them: every field that is set, personal ones too.

    Objects in it become dictionaries, too. `mode="python"` keeps dates, instants and enums as they are; `mode="json"`
    has only what JSON has, with dates and instants as text (ISO 8601). Names are those of Python, with `by_alias=True`
    those of the API. Raises `TypeError` for anything but records, and `ValueError` for another mode.
    """
    if mode not in ("python", "json"):
        raise ValueError('mode must be "python" or "json"')
    # The JSON of a field has the API's names, which are not always wanted: so the walk makes every object itself.
    if isinstance(record, Record):
        return _of_struct(record, json=mode == "json", by_alias=by_alias)
    return [_of_struct(one, json=mode == "json", by_alias=by_alias) for one in _records(record)]


@strip_traceback
def to_json(record: Record | Iterable[Record], *, indent: int | None = None, by_alias: bool = False) -> str:
    """Return a record as the text of a JSON object, or several as an array: `to_dict` in `mode="json"`, written down.

    Personal data is in the clear. Text is not escaped to ASCII: write it as UTF-8. `indent` spreads it over
    lines, by so many spaces a level. Raises `TypeError` for anything but records.
    """
    data = msgspec.json.encode(to_dict(cast("Record", record), mode="json", by_alias=by_alias))
    return (data if indent is None else msgspec.json.format(data, indent=indent)).decode()


def _records(given: object) -> list[Record]:
    kind = type(given).__name__
    if hasattr(given, "__aiter__"):
        raise TypeError(f"a {kind} is read first: to_dict(await listing.all())")
    if isinstance(given, (str, bytes, Mapping)) or not isinstance(given, Iterable):
        raise TypeError(f"this takes a record or several, not {kind}")
    rows = list(cast("Iterable[object]", given))
    for row in rows:
        if not isinstance(row, Record):
            raise TypeError(f"this takes a record or several, and one of them is {type(row).__name__}")
    return cast("list[Record]", rows)


def _of_struct(struct: Struct, *, json: bool, by_alias: bool) -> dict[str, Any]:
    kind = type(struct)
    names = kind.__struct_encode_fields__ if by_alias else kind.__struct_fields__
    values = zip(names, kind.__struct_fields__, strict=True)
    return {
        name: _plain(_aliased(struct, field, value) if by_alias else value, json=json, by_alias=by_alias)
        for name, field in values
        if (value := getattr(struct, field)) is not UNSET
    }


def _aliased(struct: Struct, name: str, value: object) -> object:
    """Return a value; of a dictionary in place of a record, as a write may have one, with the API's names."""
    as_given = value
    if isinstance(struct, Record) and isinstance(value, dict):
        for field in fields(type(struct)):
            if field.name == name and field.kind is Kind.OBJECT:
                return {wire_name(key): one for key, one in cast("dict[str, object]", value).items()}
    return as_given


def _plain(value: object, *, json: bool, by_alias: bool) -> object:
    if isinstance(value, Struct):
        return _of_struct(value, json=json, by_alias=by_alias)
    if isinstance(value, (list, tuple)):
        items = [_plain(item, json=json, by_alias=by_alias) for item in cast("list[object]", value)]
        return items if json or isinstance(value, list) else tuple(items)
    if isinstance(value, dict):
        pairs = cast("dict[object, object]", value).items()
        return {
            msgspec.to_builtins(key, str_keys=True) if json else key: _plain(item, json=json, by_alias=by_alias)
            for key, item in pairs
        }
    return msgspec.to_builtins(value) if json else value

"""Which field a caller means by a name, in whichever spelling: the one place that decides it. Pure.

`last_name` is the field's name in Python, `lastName` in the API, `last-name` in an option. A dot leads into an object:
`external.source_id`, `external.sourceID`; a column of an exported file has `external_source_id`. Capitals, dots,
hyphens and underscores tell no two fields of our records or queries apart, so they do not count, unless a name is
exactly that of a field.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cache

from ..errors import mask
from ..records import Field, Kind, Record, fields
from .validation import suggestion


@cache
def paths(record: type[Record]) -> Mapping[str, Field]:
    """Return every field of a record or a query, those of its objects too, by dotted path and in the record's order."""
    found: dict[str, Field] = {}
    for field in fields(record):
        found[field.name] = field
        if is_nested(field):
            found |= {f"{field.name}.{path}": inner for path, inner in paths(field.type).items()}
    return found


def leaves(record: type[Record], chosen: Collection[str] | None = None) -> tuple[str, ...]:
    """Return the paths of values among those chosen, in their order, each once; all of the record's for None.

    An object stands for the fields in it.
    """
    known = paths(record)
    found = dict.fromkeys(
        inner
        for path in (known if chosen is None else chosen)
        for inner in known
        if inner == path or inner.startswith(f"{path}.")
    )
    return tuple(path for path in found if not is_nested(known[path]))


def is_nested(field: Field) -> bool:
    """Whether the field holds one object, whose fields have paths of their own."""
    return field.kind is Kind.OBJECT and not field.many


def resolved(name: str, known: Collection[str], owner: str) -> str:
    """Return the name or path, of those `known`, that a name means.

    Raises `ValueError` for a name that means none, with the closest one and with all that the `owner` has.
    """
    if name in known:  # a record of a user's own may have fields that only signs tell apart
        return name
    by_letters = {_letters(path): path for path in known}
    found = by_letters.get(_letters(name))
    if found is None:
        close = suggestion(name.lower(), known)
        raise ValueError(
            f"{owner} has no field {mask(name)!r}{close}{' It has' if close else '; it has'} {', '.join(known)}"
        )
    return found


def _letters(name: str) -> str:
    return name.translate(_NO_SIGNS).casefold()


_NO_SIGNS = str.maketrans("", "", "._-")

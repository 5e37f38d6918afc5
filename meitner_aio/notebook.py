"""Records as tables in a notebook (IPython, Jupyter), masked as `repr` masks them: a notebook is saved with its output.

A record and a page show themselves so anyway. `%load_ext meitner_aio.notebook` does it for lists and dictionaries of
records, such as those of `listing.all()` and `get_many`; `show` is for values in the clear.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol, cast

from ._html import ROWS, of_rows
from ._listing.listing import Listing
from ._wire.validation import check_whole
from .plain import to_dict
from .records import Record

__all__ = ["Table", "load_ipython_extension", "show", "unload_ipython_extension"]


class Table:
    """Records as a notebook shows them. Printed, it says only how many there are."""

    def __init__(self, records: Sequence[Record], *, show_values: bool, rows: int) -> None:
        """Hold the records, of which `rows` are shown."""
        self._records = records
        self._pairs = _clear if show_values else _masked
        self._rows = rows

    def __repr__(self) -> str:
        return f"<Table of {len(self._records):,} records: a notebook shows it>"

    def _repr_html_(self) -> str:
        return of_rows(self._records, self._pairs, _kinds(self._records), self._rows)


def _masked(record: Record) -> Iterable[tuple[str, object]]:
    return record.__rich_repr__()


def _clear(record: Record) -> Iterable[tuple[str, object]]:
    return to_dict(record).items()


def _kinds(records: Sequence[Record]) -> str:
    return " or ".join(dict.fromkeys(type(record).__name__ for record in records)) or "Records"


def show(records: Record | Iterable[Record], *, show_values: bool = False, rows: int = ROWS) -> Table:
    """Return a table of records, for the last line of a cell; at most `rows` of them are shown.

    `show_values` shows personal values in the clear, and the notebook keeps them when it is saved: clear the output
    before you share it. Raises `TypeError` for anything but records, such as a listing that was not read.
    """
    check_whole("rows", rows, 1)
    if isinstance(records, Listing):
        raise TypeError("show takes records: show(await listing.all()), or await listing for its first page")
    given = (records,) if isinstance(records, Record) else tuple(records)
    if not all(isinstance(record, Record) for record in given):  # pyright: ignore[reportUnnecessaryIsInstance] - callers err
        raise TypeError("show takes records, such as those of `await listing.all()`")
    return Table(given, show_values=show_values, rows=rows)


def _list(value: list[Any]) -> str | None:
    """Return the table of a list of records; None for any other list, which is shown as usual."""
    if not value or not all(isinstance(item, Record) for item in value):
        return None
    return of_rows(value, _masked, _kinds(value))


def _mapping(value: Mapping[Any, Any]) -> str | None:
    return _list(list(value.values()))


_FORMATTERS: Mapping[type, Callable[[Any], str | None]] = {list: _list, dict: _mapping}


class _Formatter(Protocol):
    def for_type(self, typ: type, func: Callable[[Any], str | None]) -> object: ...
    def pop(self, typ: type, default: object) -> object: ...


def _formatter(shell: object) -> _Formatter:
    return cast("_Formatter", cast("Any", shell).display_formatter.formatters["text/html"])


def load_ipython_extension(shell: object) -> None:
    """Show lists and dictionaries of records as tables: `%load_ext meitner_aio.notebook`."""
    for kind, shown in _FORMATTERS.items():
        _formatter(shell).for_type(kind, shown)


def unload_ipython_extension(shell: object) -> None:
    """Show them as usual again: `%unload_ext meitner_aio.notebook`."""
    for kind in _FORMATTERS:
        _formatter(shell).pop(kind, None)

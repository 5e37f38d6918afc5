"""Rows of a Parquet file. The only module here that knows pyarrow; it loads it when there is such a file."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Any, BinaryIO

from ...errors import ConfigurationError
from ._csv import header_columns
from ._declared import Declared
from ._objects import raw_row
from ._problems import Flaw, UnreadableFileError
from ._rows import RawRow

_BATCH = 2_000
"""Rows that are Python objects at a time."""


def parquet_rows(file: BinaryIO, known: Declared) -> Iterator[RawRow]:
    """Yield the rows of a file, numbered from 1; `UnreadableFileError` where it is none, or its columns are wrong."""
    arrow = _pyarrow()
    try:
        table = arrow.parquet.ParquetFile(file)
    except (arrow.ArrowException, OSError):
        raise UnreadableFileError(Flaw("", "is no Parquet file")) from None
    header_columns([name for member in table.schema_arrow for name in _names(arrow, member)], known)
    number = 0
    batches = table.iter_batches(batch_size=_BATCH, use_threads=False)
    while True:
        try:
            batch = next(batches, None)
            rows: list[object] = [] if batch is None else batch.to_pylist()
        except (arrow.ArrowException, OSError, ValueError):
            yield RawRow(number + 1, (), (Flaw("", "cannot be read, nor what follows it"),))
            return
        if batch is None:
            return
        for item in rows:
            number += 1
            yield raw_row(number, item, known)


def _names(arrow: Any, member: Any) -> Iterator[str]:
    """Yield the columns that a member of a schema holds."""
    kind = member.type
    if arrow.types.is_list(kind) or arrow.types.is_large_list(kind):
        kind = kind.value_type
    if arrow.types.is_struct(kind):
        yield from (f"{member.name}.{kind.field(place).name}" for place in range(kind.num_fields))
    else:
        yield member.name


def _pyarrow() -> Any:
    try:
        import_module("pyarrow.parquet")  # not a statement: where it is not installed, type checkers would stumble
        return import_module("pyarrow")
    except ImportError:
        raise ConfigurationError('Parquet needs pyarrow: pip install "meitner-aio[parquet]"') from None

"""Which writer makes which file. A format is one module, loaded when it is first asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from ..._pipeline.identity import Stamp
from ...records import Record
from .columns import Rows, Table


class Writer(Protocol):
    """Makes one file, or one table of a file that others write to as well. Blocking; for one thread at a time.

    Raises `OSError` for what the disk refuses and `MeitnerError` for what the format does; neither quotes a value.
    """

    @property
    def held(self) -> Table | None:
        """What the table holds after `close`; None for a file that holds what was written, and no more."""
        ...

    def write(self, lines: bytes) -> None:
        """Add the records of whole lines, as `msgspec.json.Encoder.encode_lines` writes them."""
        ...

    def close(self) -> None:
        """Make the file whole, on the disk itself."""
        ...

    def abort(self) -> None:
        """Leave nothing of what is not whole; after `close` it does nothing."""
        ...


def check_format(format: str) -> None:
    """Raise `ValueError` for a format without a writer, `ConfigurationError` for one whose library is not installed."""
    if format == "parquet":
        from .arrow import pyarrow

        pyarrow()
    elif format not in ("csv", "sqlite"):
        raise ValueError(f"there is no writer of {format!r}; there is csv, parquet, sqlite")


def open_writer(
    format: str,
    model: type[Record],
    path: Path,
    *,
    table: str,
    fields: tuple[str, ...] | None,
    replace: bool,
    excel: bool = False,
    directory: Stamp | None = None,
) -> Writer:
    """Begin to write records of a model, with the fields named and the id, all when `fields` is None.

    csv and parquet: `path` is made, and must not exist. sqlite: `path` is the file that holds all tables, untouched
    until `close`; `replace` when the records are all of the resource, else they are put among those of the table by
    their ids; `directory` is written beside them. `excel` is the dialect of a csv. Raises what `check_format` does,
    `ValueError` for a field that does not exist, and what a `Writer` raises.
    """
    check_format(format)
    match format:
        case "csv":
            from .csv import CsvWriter

            return CsvWriter(path, Rows(model, fields), excel=excel)
        case "sqlite":
            from .sqlite import SqliteWriter

            return SqliteWriter(path, Rows(model, fields), table=table, replace=replace, directory=directory)
        case _:
            from .parquet import ParquetWriter

            return ParquetWriter(path, model, fields)

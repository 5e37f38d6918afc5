"""What goes to stdout, JSON for programs and tables for people, and lines for people on stderr."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TextIO

import msgspec

_ENDLESS = 1000
"""The width of what is no terminal: nothing is cut off."""

_encoder = msgspec.json.Encoder()


def for_people() -> bool:
    """Whether stdout is a terminal."""
    return sys.stdout.isatty()


def write_json(value: object, *, indented: bool = False, stream: TextIO | None = None) -> None:
    """Write one JSON value and a line end, to stdout unless another stream is meant."""
    data = _encoder.encode(value)
    (stream or sys.stdout).buffer.write((msgspec.json.format(data, indent=2) if indented else data) + b"\n")


def write_lines(values: Iterable[object]) -> None:
    """Write one JSON value a line, and hand them on at once."""
    sys.stdout.buffer.write(_encoder.encode_lines(values))
    sys.stdout.buffer.flush()


def write_table(  # noqa: PLR0913 - how a table looks
    rows: Sequence[Sequence[str]],
    *,
    numbers: frozenset[int] = frozenset(),
    wrapped: frozenset[int] = frozenset(),
    styles: Mapping[str, str] = MappingProxyType({}),
    note: str = "",
    width: int | None = None,
) -> None:
    """Write rows, the first of which names the columns, and a note below them.

    The columns in `numbers` are aligned to the right, those in `wrapped` may take several lines. A cell whose text is
    in `styles` is drawn in that style where the terminal has any. `width` is that of the table; unless it is said, that
    of the terminal, and elsewhere nothing is cut off.
    """
    from rich.console import Console  # noqa: PLC0415 - who asks for JSON need not load it
    from rich.table import Table  # noqa: PLC0415 - as above
    from rich.text import Text  # noqa: PLC0415 - as above

    table = Table(*(rows[0] if rows else ()), box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for index, column in enumerate(table.columns):
        column.justify = "right" if index in numbers else "left"
        column.no_wrap = index not in wrapped
    for row in rows[1:]:
        table.add_row(*(Text(cell, style=styles.get(cell, "")) for cell in row))
    console = Console(highlight=False, width=width or (None if for_people() else _ENDLESS))
    with console.capture() as captured:  # rich would end the process at a broken pipe
        if rows:
            console.print(table)
        if note:
            console.print(Text(note, style="dim"), soft_wrap=True)
    sys.stdout.writelines(f"{line.rstrip()}\n" for line in captured.get().splitlines())


def columns() -> int:
    """Return how wide a text for people may be: as the terminal, and 80 where there is none."""
    return shutil.get_terminal_size().columns


def wrapped(lines: Iterable[str]) -> str:
    """Return lines that fit the terminal, each a paragraph whose further lines are indented."""
    return "\n".join(textwrap.fill(line, columns(), subsequent_indent="  ") for line in lines)


def say(text: str) -> None:
    """Write a line to stderr. That nobody reads it is no reason to stop."""
    try:
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()
    except BrokenPipeError:
        silence(sys.stderr)


def silence(stream: TextIO) -> None:
    """Let what is still to be written to a broken pipe vanish: Python would complain when it flushes at exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)

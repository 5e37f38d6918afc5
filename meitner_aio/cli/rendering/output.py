"""What goes to stdout, JSON for programs and tables for people, and lines for people on stderr."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, BinaryIO, TextIO, cast

from .loudness import logging, now, quiet

if TYPE_CHECKING:
    import msgspec
    from _typeshed import ReadableBuffer

from ..._runtime.pipes import broken_pipes

_ENDLESS = 1000
"""The width of what is no terminal: nothing is cut off."""

_UNUSUAL = re.compile(r"[^\n -~]")
"""Whatever is not ASCII that can be seen."""


@cache
def _encoder() -> msgspec.json.Encoder:
    from msgspec.json import Encoder  # help and version need none

    return Encoder()


def encode_lines(values: Iterable[object]) -> bytes:
    """Return values as JSON, one a line."""
    return _encoder().encode_lines(values)


def for_people() -> bool:
    """Whether stdout is a terminal."""
    return sys.stdout.isatty()


def prepare_streams() -> None:
    """Make the standard streams fit to be written to, whatever started the process.

    What the encoding of stdout lacks is escaped, where Python would end the command with a traceback. A stream that was
    closed beforehand (`>&-`) takes everything, and keeps nothing.
    """
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_WRONLY), "w", encoding="utf-8", closefd=False))
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="backslashreplace")


def write(text: str) -> None:
    """Write text to stdout as it is."""
    with broken_pipes():
        sys.stdout.write(text)


def flush() -> None:
    """Hand on what was written to stdout."""
    with broken_pipes():
        sys.stdout.flush()


def discard_output() -> None:
    """Forget what is left for a stdout that nobody reads any more."""
    silence(sys.stdout)


def settle_output() -> None:
    """Hand on what was written to stdout, or forget it where that fails: Python would say so, and exit with 120."""
    try:
        flush()
    except OSError:
        discard_output()


def visible(text: str, stream: TextIO | None = None) -> str:
    r"""Return text as a stream can show it, stdout unless another one is meant.

    What may steer a terminal or hide (controls, marks of direction) is escaped as `\x9b`, and so is what the stream's
    encoding lacks.
    """
    shown = _shows(stream or sys.stdout)
    return _UNUSUAL.sub(lambda found: found[0] if shown(found[0]) else _escaped(found[0]), text)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def _shows(stream: TextIO) -> Callable[[str], bool]:
    encoding = stream.encoding or "utf-8"

    def shown(character: str) -> bool:
        return character.isprintable() and character == character.encode(encoding, "ignore").decode(encoding)

    return shown


def _fit_for(stream: TextIO, data: bytes) -> bytes:
    """Return JSON for a stream: as it is for a program, and for a terminal without what may steer it.

    What is escaped stands in strings, where JSON reads the escape as the same character.
    """
    if not stream.isatty():
        return data
    shown = _shows(stream)
    text = _UNUSUAL.sub(lambda found: found[0] if shown(found[0]) else json.dumps(found[0])[1:-1], data.decode())
    return text.encode(stream.encoding or "utf-8")


def write_json(value: object, *, indented: bool = False, to_stderr: bool = False) -> None:
    """Write one JSON value and a line end, to stdout unless that is for something else."""
    from msgspec.json import format as laid_out

    data, out = _encoder().encode(value), sys.stderr if to_stderr else sys.stdout
    _put(out, (laid_out(data, indent=2) if indented else data) + b"\n")


def write_lines(values: Iterable[object]) -> None:
    """Write one JSON value a line, and hand them on at once."""
    _put(sys.stdout, encode_lines(values))
    flush()


def _put(stream: TextIO, data: bytes) -> None:
    with broken_pipes():
        stream.buffer.write(_fit_for(stream, data))


def write_utf8(text: str) -> None:
    """Write text that programs read, UTF-8 whatever the locale; a terminal gets what it can show."""
    data = visible(text).encode(sys.stdout.encoding) if for_people() else text.encode()
    with broken_pipes():
        sys.stdout.buffer.write(data)
    flush()


def write_text(lines: Iterable[str]) -> None:
    """Write lines for people to stdout; the lines that one of them has stay apart."""
    write("".join(f"{visible(line)}\n" for text in lines for line in text.splitlines()))


class _Lines(io.RawIOBase):
    """Stdout for who writes whole lines of JSON, as `write_lines` writes them."""

    def write(self, data: ReadableBuffer) -> int:
        """Write lines."""
        lines = bytes(data)
        _put(sys.stdout, lines)
        return len(lines)

    def flush(self) -> None:
        """Hand them on."""
        flush()


def lines_out() -> BinaryIO:
    """Return stdout for who writes lines of JSON himself."""
    return cast("BinaryIO", _Lines())


def write_table(
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
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*(rows[0] if rows else ()), box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for index, column in enumerate(table.columns):
        column.justify = "right" if index in numbers else "left"
        column.no_wrap = index not in wrapped
        column.overflow = "fold" if index in wrapped else "ellipsis"  # a path is never cut
    for row in rows[1:]:
        table.add_row(*(Text(visible(cell), style=styles.get(cell, "")) for cell in row))
    wide = width or (columns() if for_people() else _ENDLESS)
    console = Console(highlight=False, width=wide, height=1)  # without both, rich takes a dumb terminal for 80 wide
    with console.capture() as captured:  # rich would end the process at a broken pipe
        if rows:
            console.print(table)
        if note:
            console.print(Text(visible(note), style="dim"), soft_wrap=True)
    write("".join(f"{line.rstrip()}\n" for line in captured.get().splitlines()))


def endless() -> int:
    """Return the width of a table for who cuts nothing off."""
    return _ENDLESS


def columns() -> int:
    """Return how wide a text for people may be: as the terminal, and 80 where there is none."""
    return shutil.get_terminal_size().columns


def wrapped(lines: Iterable[str]) -> str:
    """Return lines that fit the terminal, each a paragraph whose further lines are indented."""
    return "\n".join(textwrap.fill(line, columns(), subsequent_indent="  ") for line in lines)


def tell(text: str) -> None:
    """Write a line to stderr about what goes well, unless the command is to be quiet."""
    if not quiet():
        say(text)


def say(text: str) -> None:
    """Write a line to stderr, in a log with its time."""
    _err(f"{now()}  {text}" if logging() else text)


def _err(text: str) -> None:
    """Write a line to stderr; one that is closed, or on a full disk, is ignored: there is nobody to be told."""
    try:
        with broken_pipes():
            sys.stderr.write(f"{visible(text, sys.stderr)}\n")
            sys.stderr.flush()
    except OSError:
        silence(sys.stderr)


def say_json(value: object) -> None:
    """Write one JSON value to stderr, on a line, whatever else is said with a time."""
    _err(_encoder().encode(value).decode())


def silence(stream: TextIO) -> None:
    """Discard what is buffered for a broken pipe: Python would report it at exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)

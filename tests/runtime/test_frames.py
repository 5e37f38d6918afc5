"""What crosses a thread or a stream leaves its frames behind: rows are in no local that a crash report could show."""

from __future__ import annotations

import gc
import io
import sqlite3
import sys
from collections.abc import Iterator
from types import SimpleNamespace, TracebackType
from typing import Any

import pytest

from meitner_aio import Meitner
from meitner_aio._runtime.frames import without_frames
from meitner_aio._runtime.threads import stoppable, threaded
from meitner_aio._wire.messages import Request
from meitner_aio.cli.commands.read import list_command
from meitner_aio.export import export
from meitner_aio.export.formats.csv import CsvWriter
from meitner_aio.export.formats.parquet import ParquetWriter
from meitner_aio.export.formats.sqlite import SqliteWriter
from meitner_aio.offline import Snapshot

CANARY = "Canaria"


def _led_to(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and all that led to it."""
    yield error
    members = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
    for other in (error.__cause__, error.__context__, *members):
        if other is not None:
            yield from _led_to(other)


def _holds(value: Any, deep: int = 3) -> bool:
    if isinstance(value, str | bytes | bytearray | memoryview):
        return CANARY.encode() in (value.encode() if isinstance(value, str) else bytes(value))
    if deep and isinstance(value, dict | list | tuple | set):
        return any(_holds(one, deep - 1) for one in (value.items() if isinstance(value, dict) else value))
    return CANARY in repr(value)


def _leaks(error: BaseException) -> list[str]:
    """Return the frames below the test's own that hold the canary."""
    found: list[str] = []
    for one in _led_to(error):
        trace: TracebackType | None = one.__traceback__
        while trace is not None:
            code = trace.tb_frame.f_code
            if not code.co_name.startswith("test_") and any(map(_holds, trace.tb_frame.f_locals.values())):
                found.append(f"{code.co_filename}:{code.co_name}")
            trace = trace.tb_next
    return found


class _Broken(io.RawIOBase):
    """A stream that keeps what it was given in the frames of what it raises: an upload, say."""

    def __init__(self, error: BaseException) -> None:
        self._error = error

    def write(self, data: Any) -> int:
        self._deep(bytes(data))
        return len(data)

    def _deep(self, held: bytes) -> None:
        try:
            {}[len(held)]
        except LookupError as first:
            raise self._error from first


ERRORS = [
    ValueError("I/O operation on closed file"),
    RuntimeError("the upload broke"),
    sqlite3.DatabaseError("malformed"),
    OSError(28, "No space left"),
    ExceptionGroup("all parts", [RuntimeError("one part")]),
]


async def _directory() -> Meitner:
    meitner = Meitner.sandbox(students=3, schools=1)
    await meitner.students.create(identity_number="20150101-2384", first_name=CANARY, last_name=CANARY)
    return meitner


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
async def test_a_stream_that_breaks_keeps_no_row(error: BaseException) -> None:
    """Whatever it raises, and whatever led to that."""
    async with await _directory() as meitner:
        with pytest.raises(type(error)) as caught:
            await export(meitner, ["students"], to=_Broken(error))  # type: ignore[arg-type]
    assert _leaks(caught.value) == []


async def test_a_stream_that_is_closed_keeps_no_row() -> None:
    """A ValueError of Python's own."""
    closed = io.BytesIO()
    closed.close()
    async with await _directory() as meitner:
        with pytest.raises(ValueError, match="closed") as caught:
            await export(meitner, ["students"], to=closed)
    assert _leaks(caught.value) == []


@pytest.mark.parametrize("error", ERRORS[1:4], ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("writer", [CsvWriter, SqliteWriter, ParquetWriter])
async def test_a_writer_that_breaks_keeps_no_row(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any, writer: Any, error: Exception
) -> None:
    """Each format has a library that may raise what nobody thought of."""

    def write(_: Any, lines: bytes) -> None:
        held = bytes(lines)
        raise error from LookupError(len(held))

    monkeypatch.setattr(writer, "write", write)
    name = writer.__name__.removesuffix("Writer").lower()
    async with await _directory() as meitner:
        with pytest.raises(type(error)) as caught:
            await export(meitner, ["students"], to=tmp_path, format=name)
    assert _leaks(caught.value) == []


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
async def test_a_pipe_that_breaks_keeps_no_row(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """The command that lists writes in a thread, to whatever its output is."""
    stdout = SimpleNamespace(buffer=_Broken(error), isatty=lambda: False)
    monkeypatch.setattr(sys, "stdout", stdout)
    meitner = await _directory()
    monkeypatch.setattr("meitner_aio.cli._options.DirectoryOptions.client", lambda *_, **__: meitner)
    with pytest.raises(type(error)) as caught:
        await list_command("students")
    assert _leaks(caught.value) == []


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
async def test_a_snapshot_that_breaks_keeps_no_row(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any, error: BaseException
) -> None:
    """Its rows are read in a thread, all of a file at once."""
    async with await _directory() as meitner:
        await export(meitner, ["students"], to=tmp_path)

    def broken(_: str, rows: list[Any]) -> None:
        held = [row.first_name for row in rows]
        raise error from LookupError(len(held))

    snapshot = Snapshot(tmp_path)
    monkeypatch.setattr("meitner_aio.offline._folder.Frozen", broken)
    with pytest.raises(type(error)) as caught:
        await snapshot.send(Request("list", "GET", "/student", "/student", "limit=10&offset=0"))
    assert _leaks(caught.value) == []


@pytest.mark.parametrize("long", [False, True])
async def test_nothing_that_was_raised_in_a_thread_keeps_an_object_alive(*, long: bool) -> None:
    """Seen by the garbage collector: the error is there, and the rows are not."""

    class Rows(bytearray):
        pass

    def work(*_: object) -> None:
        held = Rows(CANARY.encode())
        raise ValueError(len(held))

    with pytest.raises(ValueError, match=str(len(CANARY))) as caught:
        await (stoppable(work) if long else threaded(work, 1))
    gc.collect()
    assert caught.value.args
    assert [one for one in gc.get_objects() if type(one) is Rows] == []


def test_a_chain_that_leads_to_itself_has_an_end() -> None:
    """Causes may go round in circles."""
    first, second = ValueError(1), ValueError(2)
    first.__cause__, second.__context__ = second, first
    without_frames(first)
    assert (first.__traceback__, second.__traceback__) == (None, None)

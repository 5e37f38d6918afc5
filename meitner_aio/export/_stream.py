"""An export to a stream: the lines of each resource, one resource after the other, and no file beside them.

The lines of one resource are its records. Of several, each says whose it is: `{"resource":"students","record":{...}}`.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, BinaryIO

from .._runtime.threads import threaded
from ..records import wire_name
from ._read import Emit, begun, level, pages_of, progress
from ._report import Progress, Report, ResourceReport
from ._source import Turns
from ._spool import encode_lines
from .formats.ndjson import picker

if TYPE_CHECKING:
    from ._selection import ResourceJob, Selection


async def streamed(
    everything: Sequence[ResourceJob], selection: Selection, stream: BinaryIO, turns: Turns, emit: Emit
) -> Report:
    """Write the records of all resources, a line each, and flush; what was written cannot be taken back."""
    began = time.perf_counter()
    tagged = len(everything) > 1
    outputs = [_Output(stream, chosen.fields, chosen.name if tagged else None) for chosen in everything]
    reports = [
        await _one(chosen, selection.limit, output, turns, emit)
        for chosen, output in zip(everything, outputs, strict=True)
    ]
    await threaded(stream.flush)
    return Report(tuple(reports), time.perf_counter() - began)


async def _one(chosen: ResourceJob, limit: int | None, output: _Output, turns: Turns, emit: Emit) -> ResourceReport:
    began, rows = time.perf_counter(), 0
    read, asked = begun(chosen, limit, turns)
    async with aclosing(pages_of(read, limit)) as pages:
        async for page in pages:
            await threaded(output.write, page.data)
            rows += len(page)
            emit(progress(chosen, read, rows, limit))
    seen = read.tracker.report()
    emit(Progress(chosen.name, rows, rows, finished=True, requests=seen.requests))
    return ResourceReport(
        resource=chosen.name,
        file="-",
        format="ndjson",
        rows=rows,
        total=seen.total or 0,
        requests=seen.requests,
        complete=seen.complete,
        level=level(seen),
        bytes=output.size,
        sha256=output.hash.hexdigest(),
        seconds=time.perf_counter() - began,
        exported_at=datetime.now(UTC),
        gone=len(seen.gone),
        invalid=tuple(asked.invalid.values()),
        **chosen.selection.reported(chosen.fields, level(seen)),
    )


class _Output:
    """The lines of one resource on their way into a stream, and what there was of them."""

    def __init__(self, stream: BinaryIO, fields: tuple[str, ...] | None, tag: str | None) -> None:
        self.size = 0
        self.hash = hashlib.sha256()
        self._stream = stream
        self._pick = None if fields is None else picker(tuple(map(wire_name, fields)))
        self._before = b"" if tag is None else b'{"resource":"%b","record":' % tag.encode()

    def write(self, records: list[Any]) -> None:
        data = encode_lines(records)
        if self._pick is not None:
            data = self._pick(data)
        if self._before:  # no line break is in a line of JSON
            data = b"".join(b"%b%b}\n" % (self._before, line) for line in data.splitlines())
        self._stream.write(data)
        self.hash.update(data)
        self.size += len(data)

"""What does it cost to put a resource on disk? 100,000 students, pages of 1,000, to every format.

Three questions. Exporting, from the server to a closed file: this client, with every safeguard on, to each format; the
loop that one would write by hand with aiohttp and msgspec, or with httpx and the models of the official client, and
that client with hand-made offsets, because its own `next()` ends after page one, all to the same NDJSON; and dlt's REST
source to Parquet, where dlt is installed.
Writing alone: the writers of the export, given the lines. Memory: an export of a million students, in a fresh process.

    python benchmarks/bench_export.py
"""

from __future__ import annotations

import asyncio
import resource
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import msgspec
from _harness import SIZE, Cost, answer_as_peer, child, measured, report, run, sized, tell
from _peers import CREDENTIALS, less, rows_by_hand, rows_of_httpx, rows_of_official, source_of_dlt
from _server import serving, students
from _tables import Column, Row, Table

ROWS, LIMIT, ROUNDS = sized(100_000, quick=5000, count=2000), 1000, 5
MANY = sized(1_000_000, quick=10_000)
CHUNK = 4 << 20
FORMATS = ("ndjson", "csv", "parquet", "sqlite")
WRITTEN = FORMATS[1:]


def ours(form: str, url: str, *, rows: int = ROWS) -> Cost:
    """Export, as the documentation says."""
    from meitner_aio import Meitner
    from meitner_aio.export import export

    async def main(folder: str) -> Cost:
        async with Meitner(*CREDENTIALS.values(), base_url=url) as meitner:
            await meitner.students.list(limit=1)  # connect and import before the clock runs
            _load(form)
            with measured() as cost:
                done = await export(meitner, ["students"], to=folder, format=form, page_size=LIMIT)
        if done.rows != rows or not done.complete:
            raise RuntimeError(done)
        return cost

    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(main(folder))


def _load(form: str) -> None:
    """Import what a format needs."""
    from meitner_aio.export.formats.writers import check_format

    if form in WRITTEN:
        check_format(form)


def by_hand(url: str) -> Cost:
    """Write NDJSON in a loop written by hand."""
    encode = msgspec.json.Encoder().encode_lines

    async def main(path: Path) -> Cost:
        async for _ in rows_by_hand(url, 1):  # connect and import before the clock runs
            break
        with measured() as cost, path.open("wb") as file:
            async for page in rows_by_hand(url, LIMIT):
                file.write(encode(page))
        return cost

    return _to_ndjson(lambda path: asyncio.run(main(path)))


def with_httpx(url: str) -> Cost:
    """Write NDJSON in a loop over httpx, by the models of the official client."""

    async def main(path: Path) -> Cost:
        async for _ in rows_of_httpx(url, 1):
            break
        with measured() as cost, path.open("w", encoding="utf-8") as file:
            async for page in rows_of_httpx(url, LIMIT):
                file.writelines(f"{student.model_dump_json(by_alias=True)}\n" for student in page)
        return cost

    return _to_ndjson(lambda path: asyncio.run(main(path)))


def official(url: str) -> Cost:
    """Write NDJSON with the official client and hand-made offsets."""

    def write(path: Path) -> Cost:
        next(rows_of_official(url, 1))
        with measured() as cost, path.open("w", encoding="utf-8") as file:
            for page in rows_of_official(url, LIMIT):
                file.writelines(f"{student.model_dump_json(by_alias=True)}\n" for student in page)
        return cost

    return _to_ndjson(write)


def _to_ndjson(write: Callable[[Path], Cost]) -> Cost:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "students.ndjson"
        cost = write(path)
        with path.open("rb") as file:
            rows = sum(1 for _ in file)
        if rows != ROWS:
            raise RuntimeError(rows)
    return cost


def of_dlt(url: str) -> Cost:
    """Write Parquet with dlt's REST source."""
    source = source_of_dlt(url, LIMIT)
    import dlt
    import pyarrow.parquet

    with tempfile.TemporaryDirectory() as folder:
        destination = dlt.destinations.filesystem(bucket_url=f"{folder}/out")
        pipeline = dlt.pipeline("bench", destination=destination, dataset_name="d", pipelines_dir=f"{folder}/state")
        with measured() as cost:
            pipeline.run(source, loader_file_format="parquet")
        files = Path(folder, "out", "d", "students").glob("*.parquet")
        rows = sum(pyarrow.parquet.read_metadata(file).num_rows for file in files)
        if rows != ROWS:
            raise RuntimeError(rows)
    return cost


def writing(form: str, _: str) -> Cost:
    """Write lines that are there already."""
    _load(form)
    chunks = list(_chunks(ROWS))
    with measured() as cost:
        _written(form, chunks)
    return cost


def _written(form: str, chunks: Iterable[bytes]) -> None:
    from meitner_aio import Student
    from meitner_aio.export.formats.writers import open_writer

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"students.{form}"
        writer = open_writer(form, Student, path, table="students", fields=None, replace=True)
        try:
            for chunk in chunks:
                writer.write(chunk)
            writer.close()
        finally:
            writer.abort()


def _chunks(count: int) -> Iterator[bytes]:
    """Yield the lines of so many students, no two alike, as an export spools them."""
    rows, lines = students(1000), bytearray()
    encode, replace = msgspec.json.Encoder().encode, msgspec.structs.replace
    for number in range(count):
        # Ids come in no order, as those of a directory do: a table's key is built where they fall.
        scattered = number * 2_654_435_761 % 2**32
        email = f"elev.{scattered}@elev.skola.example"
        lines += encode(
            replace(
                rows[number % len(rows)],
                id=f"{scattered:08x}-0000-4000-8000-{number:012x}",
                identity_number=f"{20_000_101 + number // 9000}-{number % 9000 + 1000}",
                email_address1=email,
                edu_person_principal_name=email,
                phone_number1=f"+4670{number:07d}",
            )
        )
        lines += b"\n"
        if len(lines) >= CHUNK:
            yield bytes(lines)
            lines.clear()
    if lines:
        yield bytes(lines)


def _remember(form: str, url: str) -> None:
    """Export a million students, and say how many bytes were resident at most."""
    ours(form, url, rows=MANY)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)


def _memory(form: str, url: str) -> int:
    return int(child([sys.executable, sys.argv[0], "--remember", form, url])[1])


def _tell_memory() -> None:
    with serving(MANY) as base_url:
        rows = [Row(form, {"mebibytes": _memory(form, base_url) / 2**20}) for form in FORMATS]
    columns = [Column("mebibytes", "MiB resident at most")]
    title = f"Memory of an export of {MANY:,} students"
    tell(Table("export-memory", title, columns, rows, "mebibytes", "MiB resident at most"))


def _exporting() -> dict[str, Callable[[str], Cost]]:
    peers: dict[str, Callable[[str], Cost]] = {f"meitner_aio, {form}": partial(ours, form) for form in FORMATS}
    peers["aiohttp + msgspec by hand, ndjson"] = by_hand
    peers |= {"httpx + official models, ndjson": with_httpx, "meitner (official), ndjson": official}
    if find_spec("dlt") and SIZE != "counted":  # it takes minutes to start under valgrind
        peers["dlt, parquet"] = of_dlt
    return peers


def _writing() -> dict[str, Callable[[str], Cost]]:
    return {f"{form} writer": partial(writing, form) for form in WRITTEN}


if __name__ == "__main__":
    if sys.argv[1:2] == ["--remember"]:
        _remember(*sys.argv[2:])
        raise SystemExit(0)
    answer_as_peer(_exporting() | _writing())
    with serving(ROWS) as base_url:
        costs = run(_exporting(), rounds=ROUNDS, url=base_url)
    title = f"Exporting {ROWS:,} students, {LIMIT:,} a page"
    report("export", title, costs, unit="µs a row", units=ROWS, notes=less(costs))
    costs = run(_writing(), rounds=ROUNDS)
    report("export-writers", f"Writing {ROWS:,} students", costs, unit="µs a row", units=ROWS)
    if SIZE != "counted":
        _tell_memory()

"""What does a row cost on its way into DuckDB through dlt? 100,000 students, pages of 1,000, merged by id.

`meitner_aio.dlt` hands dlt Arrow tables and reads with every proof. By hand, a resource of dlt yields the dictionaries
of each page, which dlt looks through one by one, and so does dlt's own REST source; merged by the same key, without a
proof or a checkpoint.

    python benchmarks/bench_dlt.py
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import AsyncGenerator, Callable
from functools import partial
from typing import Any

from _harness import Cost, answer_as_peer, measured, report, run, sized
from _peers import CREDENTIALS, less, rows_by_hand, source_of_dlt
from _server import serving

ROWS, LIMIT, ROUNDS = sized(100_000, quick=5000), 1000, 3


def loaded(source: Callable[[str], Any], url: str) -> Cost:
    """Load once, into a database that was not there."""
    os.environ |= {"RUNTIME__DLTHUB_TELEMETRY": "false", "RUNTIME__LOG_LEVEL": "CRITICAL"}
    import dlt
    import duckdb
    import pyarrow.parquet  # what dlt loads when it needs it

    del pyarrow
    with tempfile.TemporaryDirectory() as folder:
        os.environ["DLT_DATA_DIR"] = folder
        destination = dlt.destinations.duckdb(f"{folder}/bench.duckdb")
        pipeline = dlt.pipeline("bench", destination=destination, dataset_name="d", pipelines_dir=f"{folder}/state")
        given = source(url)
        with measured() as cost:
            pipeline.run(given)
        with duckdb.connect(f"{folder}/bench.duckdb") as database:
            ((rows,),) = database.execute("SELECT count(*) FROM d.students").fetchall()
    if rows != ROWS:
        raise RuntimeError(rows)
    return cost


def ours(url: str) -> Any:
    """Return the source of this package."""
    from meitner_aio import Meitner
    from meitner_aio.dlt import directory

    return directory(Meitner(*CREDENTIALS.values(), base_url=url), ["students"])


def by_hand(url: str) -> Any:
    """Return a resource of dictionaries."""
    import dlt

    from meitner_aio import to_dict

    @dlt.resource(
        name="students",
        primary_key="id",
        write_disposition={"disposition": "merge", "strategy": "upsert"},
        max_table_nesting=0,
    )
    async def students() -> AsyncGenerator[Any, None]:
        async for page in rows_by_hand(url, LIMIT):
            yield [to_dict(student) for student in page]

    return students


def of_rest_api(url: str) -> Any:
    """Return dlt's REST source, merged by the same key."""
    source = source_of_dlt(url, LIMIT)
    merged = {"disposition": "merge", "strategy": "upsert"}
    source.resources["students"].apply_hints(primary_key="id", write_disposition=merged)
    source.max_table_nesting = 0
    return source


SOURCES = {"meitner_aio.dlt": ours, "dictionaries by hand": by_hand, "dlt, REST source": of_rest_api}
PEERS = {name: partial(loaded, source) for name, source in SOURCES.items()}

if __name__ == "__main__":
    answer_as_peer(PEERS)
    with serving(ROWS) as url:
        costs = run(PEERS, rounds=ROUNDS, url=url)
    title = f"Loading {ROWS:,} students into DuckDB"
    report("dlt", title, costs, unit="µs a row", units=ROWS, notes=less(costs))

"""Runs the benchmarks, and writes what they found: results, pictures, and the tables of the documentation.

Tables go between the marks `<!-- figures: NAME -->` and `<!-- /figures -->` of its pages.

    python benchmarks/run.py                        # all of them
    python benchmarks/run.py listing call           # some
    python benchmarks/run.py --quick                # small loads, one round: whether all works
    python benchmarks/run.py --seconds 120          # more time for each: more rounds, up to those that it asks for
    python benchmarks/run.py --render               # measures nothing: writes pictures and tables anew

Each benchmark is a script of its own in a process of its own. It is measured first; then a second process of it counts
the instructions of smaller loads, where valgrind is installed. One that fails leaves its older results as they are.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import msgspec
import scale
from _counting import VALGRIND
from _harness import facts
from _svg import THEMES, bars
from _tables import Column, Results, Table, renewed, section

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
NAMES = tuple(sorted(path.stem.removeprefix("bench_").replace("_", "-") for path in HERE.glob("bench_*.py")))
COUNTED = ("bulk", "call", "decode", "export", "growth", "import", "inflate", "listing")
"""Those whose instructions can be counted: the others are many processes, wait for a clock, or start too slowly."""
PAGES = (ROOT / "docs" / "benchmarks.md", ROOT / "docs" / "scale.md")
SECONDS = 20.0
LIMIT = 600.0
"""Seconds beyond its share after which a benchmark is ended: a round is not cut short before."""


def main() -> int:
    """Run what is asked for; return how many failed."""
    asked = _arguments()
    names = asked.names or list(NAMES)
    to = asked.to or (Path(tempfile.mkdtemp(prefix="benchmarks-")) if asked.quick else ROOT)
    if not (VALGRIND or asked.no_instructions or asked.render):
        print("no instructions are counted: valgrind is not installed")
    failed = [] if asked.render else [name for name in names if not _measured(name, asked, to)]
    written = render(to)
    print(f"\n{len(written)} files in {to}")
    for name in failed:
        print(f"{name}: FAILED, its older results are left")
    return len(failed)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Run benchmarks.")
    parser.add_argument("names", nargs="*", choices=[[], *NAMES], metavar="NAME", help=f"some of {', '.join(NAMES)}")
    parser.add_argument("--quick", action="store_true", help="small loads and one round")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="no benchmark begins a round after so many")
    parser.add_argument("--limit", type=float, default=LIMIT, help="one that takes so many more is ended")
    parser.add_argument("--no-instructions", action="store_true", help="count no instructions")
    parser.add_argument("--render", action="store_true", help="measure nothing, write what was found anew")
    parser.add_argument("--to", type=Path, help="the folder that is written to; that of the project, unless --quick")
    return parser.parse_args()


def _measured(name: str, asked: argparse.Namespace, to: Path) -> bool:
    """Run one benchmark and keep its results; return whether it went well."""
    began = time.monotonic()
    size = "quick" if asked.quick else "full"
    tables = _tables(name, size, asked)
    if tables is None:
        return False
    if not asked.no_instructions and VALGRIND and name in COUNTED:
        merge(tables, _tables(name, "counted", asked) or [])
    told = facts(f"python benchmarks/run.py {name}{' --quick' if asked.quick else ''}")
    told.size = size
    path = to / "benchmarks" / "results" / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(Results(told, tables)), indent=1) + b"\n")
    print(f"\n{name}: {time.monotonic() - began:.0f} s", flush=True)
    return True


def _tables(name: str, size: str, asked: argparse.Namespace) -> list[Table] | None:
    """Return what a benchmark finds, or None if it fails or takes too long."""
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder, "tables")
        results.touch()
        told = {"BENCH_SIZE": size, "BENCH_SECONDS": str(asked.seconds), "BENCH_RESULTS": str(results)}
        script = HERE / f"bench_{name.replace('-', '_')}.py"
        if not _ended([sys.executable, str(script)], told, asked.seconds + asked.limit):
            return None
        return [msgspec.json.decode(line, type=Table) for line in results.read_bytes().splitlines()]


def _ended(command: list[str], told: dict[str, str], seconds: float) -> bool:
    """Run a process; end it and all its children when it takes too long."""
    with subprocess.Popen(command, env={**os.environ, **told}, start_new_session=True) as process:
        try:
            return process.wait(seconds) == 0
        except subprocess.TimeoutExpired:
            print(f"ended after {seconds:.0f} s", file=sys.stderr)
            return False
        finally:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process and its children, if it runs: it is interrupted first, as some have sessions of their own."""
    for one, patience in ((signal.SIGINT, 10), (signal.SIGKILL, None)):
        if process.poll() is None:
            os.killpg(process.pid, one)
            with suppress(subprocess.TimeoutExpired):
                process.wait(patience)


def merge(tables: list[Table], counted: list[Table]) -> None:
    """Add to tables the instructions that other tables of the same names counted."""
    found = {(table.name, row.name): row.values for table in counted for row in table.rows}
    heads = {table.name: column for table in counted for column in table.columns if column.key == "instructions"}
    for table in tables:
        if table.name in heads:
            head: Column = heads[table.name]
            table.columns.append(head)
            for row in table.rows:
                row.values |= {k: v for k, v in found.get((table.name, row.name), {}).items() if k == head.key}


def render(to: Path) -> list[Path]:
    """Write pictures of all results in a folder, and the pages that show them; return what was written."""
    folder = to / "benchmarks" / "results"
    results = {
        path.stem: msgspec.json.decode(path.read_bytes(), type=Results) for path in sorted(folder.glob("*.json"))
    }
    files = {
        to / "docs" / "figures" / f"{table.name}-{theme}.svg": bars(table, theme)
        for found in results.values()
        for table in found.tables
        if table.drawn
        for theme in THEMES
    }
    sections = {name: section(found) for name, found in results.items()}
    if sections.keys() >= {"rows", "sync", "tenants"}:
        sections["scale"] = scale.told(folder=folder)
    for page in PAGES:
        if page.exists():
            files[to / "docs" / page.name] = renewed(page.read_text(encoding="utf-8"), sections)
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return list(files)


if __name__ == "__main__":
    sys.exit(main())

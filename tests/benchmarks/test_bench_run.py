"""One command runs benchmarks and writes what they found; what is committed is what it writes."""

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from _svg import bars
from _tables import Column, Results, Row, Table
from run import COUNTED, NAMES, merge

ROOT = Path(__file__).parents[2]
COMMITTED = sorted((ROOT / "benchmarks" / "results").glob("*.json"))


def _results(path):
    return msgspec.json.decode(path.read_bytes(), type=Results)


def test_a_quick_run_writes_results_and_pictures(tmp_path):
    """One small benchmark, in processes of its own, in a folder aside: the project's own figures stay."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(ROOT / "benchmarks" / "run.py"), "inflate", "--quick", "--no-instructions"]
    done = subprocess.run(
        [*command, "--to", str(tmp_path)], env=environment, capture_output=True, text=True, timeout=120, check=True
    )
    found = _results(tmp_path / "benchmarks" / "results" / "inflate.json")
    (table,) = found.tables
    assert [row.name for row in table.rows] == ["isal", "zlib", "isal, and records", "zlib, and records"]
    assert all(row.values["cpu"] > 0 for row in table.rows)
    assert (found.facts.size, found.facts.command) == ("quick", "python benchmarks/run.py inflate --quick")
    assert {path.name for path in (tmp_path / "docs" / "figures").iterdir()} == {
        "inflate-light.svg",
        "inflate-dark.svg",
    }
    assert "zlib, and records" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_every_benchmark_runs(name, tmp_path):
    """A small load of each goes well, and brings a table."""
    command = [sys.executable, str(ROOT / "benchmarks" / "run.py"), name, "--quick", "--no-instructions"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([*command, "--to", str(tmp_path)], env=environment, capture_output=True, timeout=600, check=True)
    assert _results(tmp_path / "benchmarks" / "results" / f"{name}.json").tables


def test_one_that_fails_is_told_and_leaves_its_results(tmp_path, monkeypatch, capsys):
    """The others go on, and the exit code says how many failed."""
    import run

    monkeypatch.setattr(
        sys, "argv", ["run.py", "inflate", "decode", "--quick", "--no-instructions", "--to", str(tmp_path)]
    )
    monkeypatch.setattr(run, "_ended", lambda command, *_: "bench_decode" in command[1])
    assert run.main() == 1
    assert "inflate: FAILED, its older results are left" in capsys.readouterr().out
    assert [path.name for path in (tmp_path / "benchmarks" / "results").iterdir()] == ["decode.json"]


def test_one_that_takes_too_long_is_interrupted_before_it_is_killed(tmp_path):
    """So that it ends what it started in sessions of their own; who does not heed that is killed."""
    import run

    code = (
        "import pathlib, sys, time\ntry:\n print(1, flush=True)\n time.sleep(60)\n"
        "except KeyboardInterrupt:\n pathlib.Path(sys.argv[1]).touch()"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "heeded")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as process:
        process.stdout.readline()
        run._end(process)
    assert (tmp_path / "heeded").exists()


def test_instructions_join_the_seconds_of_the_same_peer():
    """By name of table and row: what was counted of another one is not shown."""
    column = Column("instructions", "instructions a row", 0)
    timed = Table("a", "A", [Column("cpu", "CPU")], [Row("x", {"cpu": 1.0}), Row("y", {"cpu": 2.0})], "cpu", "µs")
    other = Table("b", "B", [column], [Row("y", {"instructions": 9.0})], "cpu", "µs")
    counted = Table("a", "A", [column], [Row("x", {"instructions": 3.0, "ratio": 5.0})], "cpu", "µs")
    merge([timed], [counted, other])
    assert [column.key for column in timed.columns] == ["cpu", "instructions"]
    assert [row.values for row in timed.rows] == [{"cpu": 1.0, "instructions": 3.0}, {"cpu": 2.0}]


def test_every_benchmark_is_known_by_the_name_of_its_script():
    """Those whose instructions are counted are among them."""
    assert {"listing", "shared-quota", "tenants"} <= set(NAMES)
    assert set(COUNTED) <= set(NAMES)


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: path.stem)
def test_committed_pictures_are_those_of_the_committed_results(path):
    """Neither is changed without the other; names of tables are those of files, so they are unique."""
    found = _results(path)
    assert found.facts.size == "full"
    for table in found.tables:
        assert table.name == path.stem or table.name.startswith(f"{path.stem}-")
        for theme in ("light", "dark") if table.drawn else ():
            picture = ROOT / "docs" / "figures" / f"{table.name}-{theme}.svg"
            assert picture.read_text(encoding="utf-8") == bars(table, theme)

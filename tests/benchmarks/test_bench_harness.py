"""How peers are measured: rounds, medians of each round's ratios, counts of instructions."""

import subprocess
import sys
from pathlib import Path

import _harness
import msgspec
import pytest
from _counting import VALGRIND, under_valgrind
from _harness import Cost, compile_first, interleave, report, sized, turns
from _tables import Table
from lacking import lacking

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def test_each_round_begins_with_another_peer():
    """What the first of a round pays for, each pays for once."""
    assert list(turns(["a", "b", "c"], 4)) == [["a", "b", "c"], ["b", "c", "a"], ["c", "a", "b"], ["a", "b", "c"]]


def test_no_round_begins_when_the_time_is_used_up(monkeypatch):
    """One is measured at least, and none is cut short."""
    monkeypatch.setattr(_harness, "SECONDS", 10.0)
    now = iter([0.0, 9.0, 11.0])
    monkeypatch.setattr(_harness.time, "monotonic", lambda: next(now))
    assert len(list(turns(["a"], 5))) == 2


@pytest.mark.parametrize("size", ["quick", "counted"])
def test_small_runs_have_one_round(monkeypatch, size):
    """They show that all works, or count what is the same in each round."""
    monkeypatch.setattr(_harness, "SIZE", size)
    assert len(list(turns(["a"], 5))) == 1
    assert sized(100, quick=10, count=1) == {"quick": 10, "counted": 1}[size]
    assert sized(100, quick=10) == 10


def test_a_ratio_is_the_median_of_those_of_each_round(monkeypatch, tmp_path, capsys):
    """A machine that was slow in one round was so for both: the ratio of their medians would be another."""
    monkeypatch.setenv("BENCH_RESULTS", str(tmp_path / "tables"))
    found = {"a": [1.0, 10.0, 1.5], "b": [2.0, 20.0, 4.5]}
    taken = interleave({name: iter([Cost(cpu, cpu) for cpu in cpus]).__next__ for name, cpus in found.items()}, 3)
    report("t", "T", taken, unit="s a row", scale=1)
    (line,) = (tmp_path / "tables").read_bytes().splitlines()
    table = msgspec.json.decode(line, type=Table)
    assert table.rows[1].values == {"cpu": 4.5, "cpu_best": 2.0, "wall": 4.5, "ratio": 2.0}
    assert (table.rounds, table.unit) == (3, "s of CPU a row")
    assert "2.00x" in capsys.readouterr().out


@pytest.fixture
def _valgrind():
    if VALGRIND is None:
        lacking("valgrind is not installed")


def test_byte_code_is_written_before_starts_are_measured(monkeypatch):
    """Also where the environment says that none is to be written: else each start would compile."""
    started = []
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setattr(
        _harness.subprocess, "run", lambda command, **options: started.append((command, options["env"]))
    )
    compile_first([["-c", "import imported"]])
    ((command, environment),) = started
    assert command == [sys.executable, "-c", "import imported"]
    assert "PYTHONDONTWRITEBYTECODE" not in environment


LOOP = """
from _counting import count_of, mark
from _harness import measured

def load(times):
    for _ in range(times):
        pass

load(1)
marks = mark(), mark(lambda: load(20_000)), mark(lambda: load(40_000))
idle, *loads = map(count_of, marks)
print(*(count - idle for count in loads))
with measured() as cost:
    load(20_000)
print(cost.instructions)
"""


@pytest.mark.usefixtures("_valgrind")
def test_instructions_are_those_of_the_load_alone(monkeypatch):
    """Twice the loop is twice the count; a block counts as much as a child, and a start is in neither."""
    monkeypatch.setenv("PYTHONPATH", str(BENCHMARKS))
    total, said = under_valgrind([sys.executable, "-c", LOOP], seconds=120)
    once, twice, block = map(int, said.split())
    assert 1_000_000 < once < total / 3
    assert twice == pytest.approx(2 * once, rel=0.15)
    assert block == pytest.approx(once, rel=0.15)


@pytest.mark.usefixtures("_valgrind")
def test_a_load_that_takes_too_long_is_ended():
    """With its children: nothing is left that goes on counting."""
    with pytest.raises(subprocess.TimeoutExpired):
        under_valgrind([sys.executable, "-c", "while True: pass"], seconds=0.5)

"""Scale on paper: the arithmetic of `benchmarks/scale.py`, and that docs/scale.md shows what it prints."""

import math
import re
import subprocess
import sys
from pathlib import Path
from statistics import median

import pytest
from pages import examples, page, run
from scale import Assumptions, Measured, copied, exported, measured, sizes, synced, table, told, waits

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
KNOWN = Measured(
    rows={"students": 1.0, "grade_elementaries": 2.0, "grade_upper_secondaries": 0.5, "audit_events": 9.0},
    size={"students": 100.0, "grade_elementaries": 50.0, "grade_upper_secondaries": 60.0, "audit_events": 10.0},
    searches=3,
    export_directory=0.5,
    export_row=1e-5,
    first_row=4e-5,
    grade_row=2e-5,
    sync=0.1,
    changed_row=1e-3,
    memory=(10.0, 100.0, 50.0),
)
ONE = Assumptions(municipalities=3, pupils=3000, largest=1.0, changed=0.01)
"""Three municipalities of 1,000 pupils."""


def test_sizes_are_those_that_are_assumed():
    """All pupils, once; the largest so many times the median; a few hold much of the whole."""
    found = sizes(Assumptions())
    assert len(found) == 290
    assert abs(sum(found) - 1_500_000) < 290
    assert found[-1] / median(found) == pytest.approx(100, rel=0.01)
    assert found == sorted(found)
    assert min(found) > 0


def test_an_export_asks_for_each_page_of_each_resource_once():
    """1,000 students are a page, 2,000 grades two, 500 others one: four requests; audit events are no data."""
    load = exported(ONE, KNOWN)
    assert (load.requests, load.largest, load.rows) == (12, 4, 10_500)
    assert load.received == 3000 * (100 + 2 * 50 + 0.5 * 60)
    assert load.cpu == pytest.approx(3 * 0.5 + 10_500 * 1e-5)
    assert copied(ONE, KNOWN).cpu == pytest.approx(3 * 0.1 + 10_500 * 4e-5)


def test_a_sync_without_grades_costs_the_same_for_any_directory():
    """Searches find what changed; grades are read whole, so often as they are asked for."""
    never, once = (synced(ONE, KNOWN, runs=144, grades=grades) for grades in (0, 1))
    assert never.requests == 144 * 3 * 3
    assert once.requests - never.requests == 3 * 3
    assert once.cpu - never.cpu == pytest.approx(7500 * 2e-5)
    assert never.cpu == pytest.approx(144 * 3 * 0.1 + 30 * 1e-3)


def test_the_busiest_hour_has_the_syncs_of_an_hour():
    """Six runs of three searches; grades are read in one of them, or in all."""
    searches = 6 * (3 + 1)
    assert [synced(ONE, KNOWN, runs=144, grades=grades).largest for grades in (0, 1, 144)] == [
        searches,
        searches + 3,
        searches + 18,
    ]


def test_a_bucket_that_is_full_makes_only_what_is_beyond_it_wait():
    """1,500 at once, and as many in each hour."""
    assert [waits(number, Assumptions()) for number in (1, 1500, 2250, 3000)] == [0, 0, 1800, 3600]


def test_assumptions_are_what_the_table_follows():
    """Smaller pages are more requests; a smaller quota makes wait."""
    usual, small = (table(Assumptions(page=page, quota=100), KNOWN).rows[0].values for page in (1000, 100))
    assert small["requests"] > 5 * usual["requests"]
    assert small["waits"] > usual["waits"] > 0


def test_figures_that_were_measured_are_plausible():
    """None is missing, negative or no number."""
    known = measured()
    assert all(math.isfinite(value) and value >= 0 for value in known if isinstance(value, float))
    assert known.searches == 9
    assert known.rows.keys() == known.size.keys()


def test_the_page_shows_what_the_script_prints():
    """Its table and what it rests on, to the digit: `python benchmarks/run.py --render` writes both."""
    inside = page("scale.md").partition("<!-- figures: scale -->")[2].partition("<!-- /figures -->")[0]
    assert inside.strip() == told()


async def test_the_example_of_the_page_runs(tmp_path, monkeypatch, capsys):
    """Two directories are exported, and what each took is printed."""
    monkeypatch.chdir(tmp_path)
    (example,) = examples("scale.md")
    await run(example, {})
    assert re.fullmatch(
        r"small \d+ rows in 11 requests\nlarger [\d]+ rows in 1[1-9] requests\n", capsys.readouterr().out
    )


def test_other_assumptions_are_counted_as_the_page_says():
    """The command of the page prints another table."""
    (code,) = re.findall(r'python -c "(.*)"', page("scale.md"))
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=BENCHMARKS, capture_output=True, text=True, check=True, timeout=60
    )
    assert "5,000 requests an hour" in done.stdout
    assert "2.0% of the rows change" in done.stdout

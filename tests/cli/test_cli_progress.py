"""How an export is seen to go: numbers as people read them, lines now and then, bars, and how to go on."""

import asyncio
import io
from datetime import UTC, datetime, timedelta, timezone
from types import SimpleNamespace

import pytest
from rich.console import Console

from meitner_aio import Quota, QuotaWait, RequestSent
from meitner_aio.cli import _interrupted
from meitner_aio.cli._interrupted import COMMAND_LINE, how_to_go_on, notes, resumable
from meitner_aio.cli.commands.plan import show_plan
from meitner_aio.cli.rendering.amounts import counted, duration, quota_left, size
from meitner_aio.cli.rendering.bars import Bars
from meitner_aio.cli.rendering.progress import Lines, Waits
from meitner_aio.export import Plan, PlannedResource, Progress

QUOTA = Quota(5000, 4321, datetime(2026, 3, 1, 12, 5, tzinfo=UTC))


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (1_234_567, "1.2 MB"), (5 * 10**15, "5,000.0 TB")],
)
def test_sizes_as_people_read_them(count, text):
    """Powers of a thousand, as disks are sold."""
    assert size(count) == text


@pytest.mark.parametrize(("count", "text"), [(0, "0 rows"), (1, "1 row"), (2, "2 rows"), (1_000_000, "1,000,000 rows")])
def test_one_row_is_not_rows(count, text):
    """A number and its noun agree."""
    assert counted(count, "row") == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "under 1 s"),
        (0.99, "under 1 s"),
        (1, "1 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (125, "2 min 5 s"),
        (3599.7, "1 h"),
        (3600, "1 h"),
        (3660, "1 h 1 min"),
        (10_802, "3 h"),
        (90_000, "25 h"),
        (172_799, "47 h 59 min"),
        (172_800, "2 days"),
        (7_776_000 + 7_300, "90 days 2 h"),
    ],
)
def test_durations_as_people_tell_them(seconds, text):
    """Two units at most."""
    assert duration(seconds) == text


def test_the_quota_is_shown_by_the_clock_of_this_machine():
    """When it ends is an hour of the day, not of UTC, and says of which zone."""
    assert (
        quota_left(QUOTA, timezone(timedelta(hours=1))) == "quota: 4,321 of 5,000 requests left until 13:05 UTC+01:00"
    )
    assert quota_left(None) == ""


class _Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def test_a_log_has_a_line_every_ten_seconds_and_one_at_the_end(capsys):
    """For each resource by itself; a short one has only the last."""
    clock = _Clock()
    lines = Lines(lambda: QUOTA, clock=clock)
    for second in range(0, 26, 5):
        clock.now = 100.0 + second
        lines.show(Progress("students", 10 * second, 300))
        if second < 10:
            lines.show(Progress("units", 1, 1, finished=second == 5))
    lines.show(Progress("students", 300, 300, finished=True))
    said = capsys.readouterr().err.splitlines()
    assert [line.split(", quota")[0] for line in said] == [
        "units: 1 row",
        "students: 100 of 300 rows",
        "students: 200 of 300 rows",
        "students: 300 rows",
    ]
    assert "4,321 of 5,000 requests left until" in said[1]


def test_a_log_says_once_a_window_that_it_waits_for_the_quota(capsys):
    """However many requests wait for it; pauses that only pace are not worth a line."""
    waits, later = Waits(), QUOTA.reset_at + timedelta(hours=1)
    for event in (
        QuotaWait("paced", 2.0, 40, QUOTA.reset_at),
        QuotaWait("closed", 2105.0, 0, QUOTA.reset_at),
        QuotaWait("closed", 2104.0, 0, QUOTA.reset_at),
        RequestSent("GET", "/student", 1),
        QuotaWait("closed", 60.0, 0, later),
    ):
        waits.show(event)
    assert capsys.readouterr().err.splitlines() == [
        "the hourly quota is spent: going on in 35 min 5 s",
        "the hourly quota is spent: going on in 1 min",
    ]


def _drawn(width, *news, quota=QUOTA):
    console = Console(file=io.StringIO(), width=width, height=30, force_terminal=True, color_system=None)
    with Bars(lambda: quota, console) as bars:
        for one in news:
            bars.show(one)
    with console.capture() as captured:
        console.print(bars._drawn())
    return captured.get().splitlines()


@pytest.mark.parametrize("width", [80, 120])
def test_a_bar_for_each_resource_and_the_quota_below(width):
    """Rows and rows there are, in lines that fit the terminal."""
    lines = _drawn(
        width,
        Progress("grade_upper_secondaries", 500, 1_000_000),
        Progress("students", 30, 30, finished=True),
        Progress("grade_upper_secondaries", 900_000, 1_000_000),
    )
    assert [line.split()[0] for line in lines] == ["grade_upper_secondaries", "students", "quota:"]
    assert "  900,000 of 1,000,000" in lines[0]
    assert "30 of 30" in lines[1]
    assert lines[1].rstrip().endswith("done")
    assert max(map(len, lines)) <= width


def test_without_a_quota_there_are_only_bars():
    """Nothing is said of what nobody knows."""
    assert len(_drawn(80, Progress("students", 1, 2), quota=None)) == 1


PLAN = Plan(
    (PlannedResource("students", 120_000, 120, 1000), PlannedResource("units", 1, 1, 1000)),
    QUOTA,
    75.0,
)


def test_a_plan_says_what_an_export_costs(capsys):
    """A table, the share of the quota and the duration."""
    show_plan(PLAN, json=False)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines[:4]] == [
        ["resource", "rows", "requests", "rows", "per", "page"],
        ["students", "120,000", "120", "1,000"],
        ["units", "1", "1", "1,000"],
        ["all", "120,001", "121"],
    ]
    assert lines[4].startswith("share of the hourly quota: 2.4 % (4,321 of 5,000 requests left until ")
    assert lines[5] == "expected duration: 1 min 15 s"


def test_a_plan_that_waits_says_how_long(capsys):
    """Most of a long export may be waiting."""
    facts = {
        "resources": (),
        "rows": 0,
        "requests": 12_500,
        "quota": QUOTA,
        "share": 2.5,
        "wait": 7000.0,
        "seconds": 7200.0,
    }
    show_plan(SimpleNamespace(**facts), json=False)
    *_, quota, time = capsys.readouterr().out.splitlines()
    assert quota.startswith("share of the hourly quota: 250 % (")
    assert time == "expected duration: 2 h at 5,000 an hour, 1 h 56 min of it waiting for the quota"


def test_a_plan_of_no_known_quota_says_so(capsys):
    """A server may name none."""
    show_plan(Plan(PLAN.resources, None, 0.2), json=False)
    out = capsys.readouterr().out
    assert "share of the hourly quota: unknown" in out
    assert "expected duration: under 1 s" in out


def test_the_line_to_go_on_with_is_the_one_that_was_typed():
    """Quoted for a shell, with --resume once; a line with conditions is not repeated, for they may be about a person."""
    typed = ("export", "--to", "my folder", "--resume")
    assert how_to_go_on(typed).endswith("meitner-aio export --to 'my folder' --resume")
    assert how_to_go_on(("export", "--where", "last_name=Ek"), private=True).endswith("meitner-aio export ... --resume")


@pytest.mark.parametrize("typed", [("export", "--since", "7d", "units"), ("export", "--since=7d", "units")])
def test_the_line_to_go_on_with_means_the_same_instant(typed):
    """Seven days ago is another instant tomorrow, and another export."""
    line = how_to_go_on(typed, since=datetime(2026, 1, 31, 8, tzinfo=UTC))
    assert line.replace("=", " ").endswith("meitner-aio export --since 2026-01-31T08:00:00+00:00 units --resume")


@pytest.mark.parametrize("begun", [True, False])
def test_what_was_begun_says_how_to_go_on(begun):
    """Any error does, an interrupt too; what had not begun has nothing to resume."""
    COMMAND_LINE.set(("export",))

    async def stopped():
        with resumable(private=False) as state:
            state.now = begun
            raise asyncio.CancelledError

    async def interrupted():
        try:
            await stopped()
        except asyncio.CancelledError:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        asyncio.run(interrupted())
    assert notes(caught.value) == ([_interrupted.how_to_go_on(("export",))] if begun else [])

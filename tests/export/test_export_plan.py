"""What an export will cost, said beforehand."""

import asyncio
import io
from datetime import UTC, datetime

import pytest
import virtual_time
from numbered_directory import NumberedDirectory, refusing
from paged_server import Server, refuses

from meitner_aio import Meitner, NotFoundError, Quota, QuotaExhausted
from meitner_aio.export import Plan, PlannedResource, export, plan
from meitner_aio.export._plan import waiting

EPOCH = 1_795_000_000.0
RESET = datetime(2026, 11, 21, 11, tzinfo=UTC)


def _sandbox(**size):
    """Return a client of a sandbox with hourly windows, whose hours are those of the loop."""
    loop = asyncio.get_running_loop()
    return Meitner.sandbox(clock=lambda: EPOCH + loop.time(), limiter="window", **size)


async def test_a_plan_asks_once_for_each_resource():
    """Rows, requests, and the page size that the server really gives."""
    directory = NumberedDirectory({"schools": 7, "students": 95}, page_cap=10)
    planned = await plan(directory, ["schools", "students", "audit_events"])
    assert planned.resources == (
        PlannedResource("schools", 7, 1, 10),
        PlannedResource("students", 95, 10, 10),
        PlannedResource("audit_events", 0, 1, 10),
    )
    assert len(directory.requests) == 3
    assert (planned.rows, planned.requests, planned.quota, planned.share, planned.wait) == (102, 12, None, None, 0.0)


async def test_a_plan_knows_a_limit():
    """What is not read costs nothing."""
    planned = await plan(NumberedDirectory({"students": 95}), ["students"], limit=25)
    assert (planned.rows, planned.requests) == (25, 3)


async def test_a_plan_names_its_share_of_the_hour():
    """Half of the quota is half of the hour's requests of everybody who shares it."""
    async with Meitner.sandbox(students=500, quota=100, limiter="window") as meitner:
        planned = await plan(meitner, ["students"], page_size=10)
    assert planned.share == 0.5
    assert planned.quota.limit == 100


def test_the_expected_duration_is_that_of_the_answers():
    """As fast as the plan's own requests were answered, as many at a time as the client allows."""

    async def main():
        meitner = _sandbox(students=1000, latency=0.5)
        planned = await plan(meitner, ["students"], page_size=5)
        return planned.seconds

    assert virtual_time.run(main()) == pytest.approx(200 * 0.5 / 8, rel=0.01)


@pytest.mark.parametrize(
    ("requests", "remaining", "left", "seconds"),
    [
        (0, 100, 3600, 0),
        (100, 100, 3600, 0),  # what remains is free
        (101, 100, 50, 50),
        (200, 100, 50, 50),
        (10, 0, 100, 100),  # an empty window is waited for
        (110, 10, 100, 100),
        (111, 10, 100, 100 + 3600),
        (410, 10, 100, 100 + 3 * 3600),
    ],
)
def test_waits_for_a_window(requests, remaining, left, seconds):
    """What is left of it, and a whole one at each end."""
    assert waiting(requests, Quota(100, remaining, RESET), left) == seconds


@pytest.mark.parametrize("kind", ["bucket", "assumed"])
@pytest.mark.parametrize(
    ("requests", "remaining", "seconds"), [(1500, 1500, 0), (100, 0, 240), (1600, 1500, 240), (4500, 1500, 7200)]
)
def test_waits_for_a_bucket(kind, requests, remaining, seconds):
    """What is in it is free, the rest drips: 1,500 an hour are a hundred in four minutes."""
    quota = Quota(1500, remaining, RESET, kind)
    assert waiting(requests, quota, 3600.0) == pytest.approx(seconds)


@pytest.mark.usefixtures("no_threads")
@pytest.mark.parametrize(("students", "quota"), [(300, 100), (500, 60), (1100, 50)])
def test_a_plan_foretells_the_waits_for_the_quota(tmp_path, students, quota):
    """Hours of waiting for the quota, within a tenth."""

    async def main():
        meitner = _sandbox(students=students, quota=quota, latency=0.1)
        planned = await plan(meitner, ["students"], page_size=5)
        began = asyncio.get_running_loop().time()
        report = await export(meitner, ["students"], to=tmp_path, page_size=5)
        assert report.complete
        return planned, asyncio.get_running_loop().time() - began

    planned, took = virtual_time.run(main())
    assert planned.seconds == pytest.approx(took, rel=0.1, abs=10)


async def test_an_export_that_would_wait_too_long_is_not_begun(tmp_path):
    """One clear line, one request for each resource, no file."""
    async with Meitner.sandbox(students=500, quota=60, limiter="window") as meitner:
        with pytest.raises(
            QuotaExhausted,
            match=r"100 requests and would wait about (1 h|59 min \d+ s|59 min) for .* to export anyway, use force",
        ) as raised:
            await export(meitner, ["students"], to=tmp_path / "out", page_size=5, max_wait=60)
        assert raised.value.reset_at == meitner.quota.reset_at
        assert meitner.quota.remaining == 59
    assert not (tmp_path / "out").exists()
    assert "\n" not in str(raised.value)


def test_a_plan_does_not_wait_for_an_hour():
    """When nothing is left to ask with, that is the answer."""

    async def main():
        meitner = _sandbox(quota=3, latency=0.1)
        await plan(meitner, ["students", "schools", "groups"])
        await plan(meitner, ["students"])

    with pytest.raises(QuotaExhausted):
        virtual_time.run(main())


@pytest.mark.parametrize("how", [{"max_wait": 60}, {"max_wait": 0, "force": True}])
async def test_an_export_that_fits_or_is_forced_is_begun(tmp_path, how):
    """Where nothing waits, nothing is refused; `force` asks nothing."""
    async with Meitner.sandbox(students=50, quota=100, limiter="window") as meitner:
        report = await export(meitner, ["students"], to=tmp_path, **how)
        assert report.complete
        assert meitner.quota.remaining == 100 - report.resources[0].requests


@pytest.mark.parametrize("stream", [False, True])
async def test_what_a_plan_read_is_read_once(tmp_path, stream):
    """The first pages of the plan are those of the export: together they ask for each page once."""
    directory = NumberedDirectory({"schools": 7, "students": 95}, page_cap=10)
    to = io.BytesIO() if stream else tmp_path
    report = await export(directory, ["schools", "students", "audit_events"], to=to, max_wait=60)
    assert (report.rows, report.complete) == (102, True)
    assert len(directory.requests) == len(set(directory.requests)) == 1 + 10 + 1
    assert [one.requests for one in report.resources] == [1, 10, 1]
    text = to.getvalue() if stream else b"".join((tmp_path / one.file).read_bytes() for one in report.resources)
    assert len(set(text.splitlines())) == 102


async def test_a_plan_of_what_is_continued_asks_only_for_the_rest(tmp_path):
    """What an interrupted export knows of its resources is not asked for again, but one answer, which names the quota."""
    directory = NumberedDirectory({"schools": 7, "students": 95}, page_cap=10)
    directory.before = refusing("students", 50)
    with pytest.raises(NotFoundError):
        await export(directory, ["students"], to=tmp_path, concurrency=1)
    directory.before = lambda *_: None
    directory.requests.clear()
    report = await export(directory, ["students"], to=tmp_path, resume=True, max_wait=60)
    assert report.complete
    assert [offset for _, _, offset in directory.requests] == [0, 50, 60, 70, 80, 90]
    assert directory.requests[0] == ("students", 1, 0)
    assert not any(tmp_path.glob("*.journal"))


async def test_a_plan_counts_pages_as_the_server_gives_them():
    """A clamp shows in the first answer, a refusal was learnt by the time there is one."""
    directory = NumberedDirectory({"students": 950}, page_cap=1000)
    assert (await plan(directory, ["students"])).resources == (PlannedResource("students", 950, 1, 1000),)
    directory.page_cap = 73
    assert (await plan(directory, ["students"])).resources == (PlannedResource("students", 950, 14, 73),)
    server = Server(9_500, refuses(500))
    async with server.client() as meitner:
        await meitner.students.list().all()
        planned = await plan(meitner, ["students"])
        assert planned.resources == (PlannedResource("students", 9_500, 19, 500),)


def test_a_plan_of_nothing_costs_nothing():
    """The sums are over what there is."""
    assert (Plan((), None, 0.0).rows, Plan((), None, 0.0).requests) == (0, 0)


@pytest.mark.usefixtures("no_threads")
def test_resources_that_begin_late_wait_for_the_quota(tmp_path):
    """An export is one long read: the first page of its last resource waits as any other page does."""

    async def main():
        meitner = _sandbox(students=200, schools=2, quota=30, latency=0.1)
        return await export(meitner, to=tmp_path, page_size=10)

    assert virtual_time.run(main()).complete

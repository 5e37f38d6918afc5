"""Nineteen kinds of wrong answers, drawn by seed: every row exactly once; and what a naive client makes of the same."""

from __future__ import annotations

import asyncio
import math
import re
from collections import Counter
from collections.abc import Awaitable, Callable
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

import pytest
from fault_server import KINDS, NOON, FaultServer, Incoming, Injected, page, run, student_id
from naive_client import NaiveClient

from meitner_aio import InternalServerError, Meitner, MeitnerError, QuotaPolicy, ResponseValidationError, RetryPolicy
from meitner_aio._listing.completeness import ListingReport
from meitner_aio.export import export
from meitner_aio.export._report import ResourceReport

ROWS, LIMIT = 100_000, 100
PATIENT = RetryPolicy(max_retries=40, initial=0.05, maximum=2.0, outage=7200.0)
"""For bad nights: many attempts, and pages that wait through an outage."""

UNLIMITED = QuotaPolicy(per_hour=math.inf)
"""For servers that neither have a quota nor say so, and get more requests than are assumed to be allowed."""

SHARES = {0.3: range(20), 0.5: range(5)}
USUAL = 30_000
"""Rows of the runs of each share that are always made, with one seed; all others are slow."""


def runs() -> list[Any]:
    """Return every share with every seed, and how many rows to read."""
    slow = pytest.mark.slow
    usual = [pytest.param(share, 0, USUAL, id=f"{share:.0%}") for share in SHARES]
    return usual + [
        pytest.param(share, seed, ROWS, marks=slow, id=f"{share:.0%} seed {seed}")
        for share, seeds in SHARES.items()
        for seed in seeds
    ]


def client(server: FaultServer, **options: Any) -> Meitner:
    """Return a patient client of a server."""
    usual = {"retry": PATIENT, "timeout": 10.0, "quota": UNLIMITED}
    return Meitner("an-id", "a-secret", base_url=server.url, **usual | options)


def numbers(ids: list[str]) -> list[int]:
    """Return which students these are."""
    return [int(one[:8], 16) for one in ids]


class Night(NamedTuple):
    """What became of a read among faults."""

    got: list[str]
    report: ListingReport
    log: list[Injected]


async def _read(server: FaultServer, limit: int = LIMIT, **options: Any) -> Night:
    async with server, client(server, **options) as meitner:
        listing = meitner.students.list(limit=limit)
        got = [student.id async for student in listing]
    return Night(got, listing.report, server.log)


async def _into(got: list[str], listing: Any) -> None:
    """Collect ids as long as they come."""
    async for row in listing:
        got.append(row.id)


async def _naive(server: FaultServer, attempts: int, limit: int = LIMIT) -> str:
    """Return what a naive read came to."""
    async with server:
        try:
            got = await NaiveClient(server.url, attempts=attempts).ids("/student", limit)
        except Exception as error:
            return f"crashed: {type(error).__name__}"
    if got == [student_id(number) for number in range(server.total)]:
        return "exact"
    missing, extra = server.total - len(set(got)), len(got) - len(set(got))
    return f"lost {missing}, repeated {extra}"


def test_there_are_nineteen_kinds() -> None:
    """As many as the promise says."""
    assert len(KINDS) == 19


@pytest.mark.parametrize(("share", "seed", "rows"), runs())
def test_every_row_arrives_once_whatever_the_answers(share: float, seed: int, rows: int) -> None:
    """F1, F2: up to 100,000 rows in pages of 100, 30 or 50 % of all answers wrong; in order, and known to be complete."""
    night = run(_read(FaultServer(rows, seed=seed, share=share)))
    assert numbers(night.got) == list(range(rows))
    assert (night.report.complete, night.report.level) == (True, "certified")
    assert set(Counter(fault.kind for fault in night.log)) == set(KINDS)
    assert len(night.log) > share / (1 - share) * rows / LIMIT * 0.8


@pytest.mark.parametrize("attempts", [1, 3, 100])
def test_a_naive_client_fails_the_same_run(attempts: int) -> None:
    """The control: without retries and with three it crashes, with a hundred it loses rows and does not know."""
    outcome = run(_naive(FaultServer(ROWS, seed=0, share=0.3), attempts))
    assert outcome.startswith("lost" if attempts == 100 else "crashed")


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_fault_alone_is_survived(kind: str) -> None:
    """Every page answered in this way twice before it is right; a naive client breaks on each, by crash or by loss."""
    night = run(_read(FaultServer(1000, share=1.0, kinds=[kind], spares=2)))
    assert numbers(night.got) == list(range(1000))
    assert night.report.complete
    assert Counter(fault.kind for fault in night.log) == {kind: 20}
    assert run(_naive(FaultServer(1000, share=1.0, kinds=[kind], spares=2), attempts=1)) != "exact"


def test_uvloop_makes_no_difference() -> None:
    """Real time, so without the kinds that take long; the read, and the loop in debug mode, have nothing to complain of."""
    uvloop = pytest.importorskip("uvloop")
    quick = [kind for kind in KINDS if "429" not in kind]
    policy = RetryPolicy(max_retries=40, initial=0.0, outage=60.0)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop, debug=True) as runner:
        night = runner.run(
            _read(FaultServer(2000, seed=1, share=0.3, kinds=quick, spares=2), timeout=0.3, retry=policy)
        )
    assert numbers(night.got) == list(range(2000))
    assert night.log


def test_the_faults_of_a_seed_are_the_same_every_time() -> None:
    """Whoever asks, however often and however many at once: what went wrong can be replayed."""
    once, again = (run(_read(FaultServer(5000, seed=7, share=0.5))).log for _ in range(2))
    assert sorted(once) == sorted(again)
    alone = run(_read(FaultServer(5000, seed=7, share=0.5), max_concurrency=1)).log
    assert {fault for fault in once if fault.asked == 0} == {fault for fault in alone if fault.asked == 0}
    other = run(_read(FaultServer(5000, seed=8, share=0.5))).log
    assert sorted(once) != sorted(other)


def test_a_retry_policy_that_is_not_patient_fails_and_says_so() -> None:
    """Two retries are no match for such a night: an error at its turn, after the rows before it, never a short list."""

    async def main() -> None:
        async with FaultServer(ROWS, seed=1, share=0.5) as server, client(server, retry=None) as meitner:
            got: list[str] = []
            listing = meitner.students.list(limit=LIMIT)
            with pytest.raises(MeitnerError):
                await _into(got, listing)
            assert numbers(got) == list(range(len(got)))
            assert (listing.report.level, listing.report.complete) == ("unfinished", False)

    run(main())


# -- exports


class Exported(NamedTuple):
    """What an export left behind."""

    report: ResourceReport
    numbers: list[int]
    server: FaultServer


async def _exported(server: FaultServer, folder: Path, **options: Any) -> Exported:
    async with server, client(server, **options) as meitner:
        report = await export(meitner, ["students"], to=folder, page_size=LIMIT)
    lines = (folder / "students.ndjson").read_bytes().splitlines()
    return Exported(report.resources[0], numbers([line[7:43].decode() for line in lines]), server)


def test_an_export_among_faults_is_whole(tmp_path: Path) -> None:
    """10,000 rows at 50 %: every line once, and the report says so."""
    exported = run(_exported(FaultServer(10_000, seed=3, share=0.5), tmp_path))
    assert exported.numbers == list(range(10_000))
    assert (exported.report.complete, exported.report.rows) == (True, 10_000)


@pytest.mark.parametrize(("how", "most"), [("503", 30), ("reset", 60)])
def test_an_export_outlasts_an_outage_of_ten_minutes(tmp_path: Path, how: str, most: int) -> None:
    """F4: in its middle; few requests meanwhile, half a minute apart after the first one. aiohttp doubles what is cut."""
    began = 0.0

    async def down(incoming: Incoming) -> bool:
        nonlocal began
        now = server.times[-1]
        if len(server.times) <= 50 or now >= (began or now) + 600:
            return False
        began = began or now
        if how == "reset":
            incoming.writer.transport.abort()
        else:
            incoming.say(b"", status=503)
        return True

    server = FaultServer(10_000, before=down)
    exported = run(_exported(server, tmp_path, retry=RetryPolicy(outage=7200.0)))
    during = [at for at in server.times if began <= at < began + 600]
    assert exported.numbers == list(range(10_000))
    assert exported.report.complete
    assert 10 < len(during) <= most
    pauses = [after - before for before, after in pairwise(during) if before >= began + 60 and after - before > 0.1]
    assert min(pauses) >= 30
    assert max(server.times) < began + 640


def test_an_export_outlasts_an_outage_that_begins_between_two_resources(tmp_path: Path) -> None:
    """F4: the first page of a listing is one of many, too."""

    async def down(incoming: Incoming) -> bool:
        if "/guardian?" not in incoming.target or server.times[-1] >= 600:
            return False
        incoming.say(b"", status=503)
        return True

    async def main() -> list[int]:
        async with server, client(server, retry=RetryPolicy(outage=7200.0)) as meitner:
            report = await export(meitner, ["students", "guardians"], to=tmp_path, page_size=LIMIT)
        return [one.rows for one in report.resources if one.complete]

    server = FaultServer(1000, before=down)
    assert run(main()) == [1000, 1000]
    assert 600 <= max(server.times) < 640


def test_an_export_waits_for_a_new_window_between_two_resources(tmp_path: Path) -> None:
    """The quota is spent by the last pages of one resource: the first page of the next waits for half an hour."""

    async def spent(incoming: Incoming) -> bool:
        remaining = max(0, 10 - len(server.times)) if server.times[-1] < 1800 else 1000
        ends = int(NOON + (1800 if server.times[-1] < 1800 else 5400)) * 1000
        limits = (f"RateLimit-Remaining: {remaining}", "RateLimit-Limit: 1000", f"RateLimit-Reset: {ends}")
        offset = int(dict(parse_qsl(incoming.target.partition("?")[2]))["offset"])
        incoming.say(page(offset, LIMIT, server.total), *limits)
        return True

    async def main() -> list[int]:
        async with server, client(server, retry=RetryPolicy()) as meitner:
            report = await export(meitner, ["students", "guardians"], to=tmp_path, page_size=LIMIT)
        return [one.rows for one in report.resources if one.complete]

    server = FaultServer(1000, before=spent)
    assert run(main()) == [1000, 1000]
    assert 8 <= sum(at < 1800 for at in server.times) <= 10  # the last of a window are not spent unseen


def test_an_export_that_is_not_patient_leaves_no_file(tmp_path: Path) -> None:
    """The control: without patience the same outage ends it, and nothing is there that looks whole."""

    async def down(incoming: Incoming) -> bool:
        if len(server.times) > 50:
            incoming.say(b"", status=503)
        return len(server.times) > 50

    server = FaultServer(10_000, before=down)
    with pytest.raises(InternalServerError):
        run(_exported(server, tmp_path, retry=RetryPolicy()))
    assert not list(tmp_path.glob("*.ndjson*"))


# -- poison


def _poisoned(every: int) -> Callable[[Incoming], Awaitable[bool]]:
    """Break one row in so many: a number where a name belongs."""

    async def poison(incoming: Incoming) -> bool:
        query = dict(parse_qsl(incoming.target.partition("?")[2]))
        offset, limit = int(query["offset"]), int(query["limit"])
        body = page(offset, limit, ROWS)
        for number in range(every // 2, ROWS, every):
            if offset <= number < offset + limit:
                good = f'"{student_id(number)}",'.encode()
                body = body.replace(good, good + b'"lastName":7150042,"ignored":"canary",')
        incoming.say(body)
        return True

    return poison


def test_a_poisoned_row_is_named_and_costs_no_other() -> None:
    """F21: one broken row in 10,000 is left out, the others arrive; the report names it and claims no completeness."""

    async def main() -> tuple[list[str], ListingReport]:
        async with FaultServer(ROWS, before=_poisoned(10_000)) as server, client(server) as meitner:
            listing = meitner.students.list(limit=1000).paged(on_invalid="skip")
            return [student.id async for student in listing], listing.report

    got, report = run(main())
    assert numbers(got) == [number for number in range(ROWS) if number % 10_000 != 5000]
    assert report.invalid == tuple(student_id(number) for number in range(5000, ROWS, 10_000))
    assert not report.complete


def test_a_poisoned_row_is_an_error_unless_it_is_to_be_skipped() -> None:
    """F21: raised at its turn, naming place and row and never a value; the rows of the pages before have arrived."""

    async def main() -> list[str]:
        async with FaultServer(ROWS, before=_poisoned(10_000)) as server, client(server, retry=None) as meitner:
            got: list[str] = []
            with pytest.raises(ResponseValidationError) as caught:
                await _into(got, meitner.students.list(limit=1000))
            text = f"{caught.value} {caught.value!r} {vars(caught.value)}"
            assert "lastName" in text
            assert student_id(5000) in text
            assert not {"7150042", "canary", "Bo"} & set(re.findall(r"\w+", text))
            return got

    assert numbers(run(main())) == list(range(5000))

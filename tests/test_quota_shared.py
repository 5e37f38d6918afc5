"""A long export and a service on one credential: whole clients before the sandbox's limiters, on a virtual clock."""

from __future__ import annotations

import asyncio

import pytest

from meitner_aio import Meitner
from meitner_aio.events import QuotaWait, ResponseReceived
from meitner_aio.sandbox import Sandbox
from meitner_aio.testing import VirtualClock


def _told(kind, into):
    return lambda event: into.append(event) if isinstance(event, kind) else None


@pytest.mark.parametrize(
    ("limiter", "options"),
    [
        ("bucket", {"reset": "full"}),
        ("bucket", {"reset": "top"}),
        ("bucket", {"reset": "next", "headers": "late"}),
        ("window", {}),
    ],
)
def test_an_export_and_a_service_share_one_credential_without_either_noticing(limiter, options):
    """Two clients: one reads four hours' quota of pages, the other asks every 30 seconds; nobody is refused or late."""
    clock, answers = VirtualClock(), []
    waits: list[float] = []

    async def main():
        sandbox = Sandbox(students=1200, limiter=limiter, quota=300, latency=0.1, clock=clock.time, **options)
        tell = _told(ResponseReceived, answers)
        exporter, service = (Meitner.sandbox(sandbox).with_options(on_event=tell) for _ in range(2))
        student = await service.students.list(limit=1).first()

        async def export():
            read = 0
            while read < 1200:
                read += len(await exporter.students.list(limit=1).paged(concurrency=8).all())
            return clock.elapsed

        exporting = asyncio.create_task(export())
        while not exporting.done():
            began = clock.elapsed
            assert (await service.students.get(student.id)).id == student.id
            waits.append(clock.elapsed - began)
            await asyncio.sleep(30)
        return await exporting

    took = clock.run(main())
    assert sum(answer.status == 429 for answer in answers) <= 0.003 * len(answers)
    assert sorted(waits)[int(0.95 * len(waits))] <= 5
    # 300 an hour serve the pages and the service's 120: what is left for the export is 180 of them.
    assert took <= 1.1 * (1200 - 180) / 180 * 3600


def test_who_waits_is_told_why():
    """The reason is data: a bucket that refills, and what is kept for single calls."""
    clock, told = VirtualClock(), []

    async def main():
        sandbox = Sandbox(students=200, limiter="bucket", quota=100, latency=0.1, clock=clock.time)
        meitner = Meitner.sandbox(sandbox).with_options(on_event=_told(QuotaWait, told))
        await meitner.students.list(limit=1).all()
        return meitner.quota

    quota = clock.run(main())
    assert {event.reason for event in told} <= {"refilling", "probing", "reserved"}
    assert "refilling" in {event.reason for event in told}
    assert (quota.kind, quota.limit) == ("bucket", 100)


def test_without_a_limiter_the_documented_quota_is_assumed():
    """A sandbox that says nothing: 1,500 requests, the rest of them still to come, and the kind says so."""
    clock = VirtualClock()

    async def main():
        sandbox = Sandbox(students=3, limiter="none", clock=clock.time)
        meitner = Meitner.sandbox(sandbox)
        assert meitner.quota is None
        await meitner.students.list(limit=1)
        return meitner.quota

    quota = clock.run(main())
    assert (quota.kind, quota.limit, quota.remaining) == ("assumed", 1500, 1499)

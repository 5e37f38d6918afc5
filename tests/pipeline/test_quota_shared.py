"""A long export and a service on one credential: whole clients before the sandbox's limiters, on a virtual clock."""

from __future__ import annotations

import asyncio

import pytest
from virtual_time import run

from meitner_aio import ApiKey, Meitner, OAuth2, QuotaExhausted, QuotaPolicy, RateLimitError, RetryPolicy
from meitner_aio._pipeline.core import Core, Dispatcher, Options
from meitner_aio._pipeline.rate_limit import RateLimiter
from meitner_aio._wire.messages import Headers, RawResponse, Request
from meitner_aio.events import QuotaWait, ResponseReceived
from meitner_aio.sandbox import Sandbox
from meitner_aio.testing import VirtualClock


def _told(kind, into):
    return lambda event: into.append(event) if isinstance(event, kind) else None


@pytest.mark.parametrize(
    ("limiter", "options"),
    [
        ("bucket", {"reset": "full"}),
        pytest.param("bucket", {"reset": "top"}, marks=pytest.mark.slow),
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


@pytest.mark.parametrize("limiter", ["bucket", "window"])
def test_bulk_waits_for_the_quota_where_a_single_call_raises(limiter):
    """Writes of `*_many` and of the outbox are as patient as listings: hours pass, none fails, each is sent once."""
    clock = VirtualClock()

    async def main():
        sandbox = Sandbox(students=30, limiter=limiter, quota=40, clock=clock.time)
        meitner = Meitner.sandbox(sandbox)
        students = await meitner.students.list().all()
        updates = [
            (one.id, {"first_name": "Bo", "last_name": "Ek", "identity_number": one.identity_number})
            for one in students
        ]
        outcomes = [outcome async for outcome in meitner.students.update_many(updates * 2)]
        assert [outcome.error for outcome in outcomes] == [None] * 60
        async with meitner.outbox() as outbox:
            for one, fields in updates:
                outbox.put(meitner.students.update(one, **fields))
        assert (outbox.sent, outbox.failures) == (30, [])
        failed = 0
        for _ in range(60):
            try:
                await meitner.students.get(students[0].id)
            except (QuotaExhausted, RateLimitError):
                failed += 1
        assert sum(request.method == "PATCH" and request.status == 200 for request in sandbox.requests) == 90
        return failed

    failed = clock.run(main())
    assert clock.elapsed > 3600
    assert failed > 0


def _person(number):
    return {"identity_number": f"20150101-{number:04d}", "first_name": "Bo", "last_name": "Ek"}


async def _upserted(meitner, students):
    known = [_person(number) | {"identity_number": one.identity_number} for number, one in enumerate(students)]
    items = [*known, *(_person(number) for number in range(30))]
    return [outcome async for outcome in meitner.students.upsert_many("identity_number", items)]


async def _posted(meitner, students):
    async with meitner.outbox() as outbox:
        for number in range(30):
            outbox.put(meitner.students.create(**_person(number)))
        for one in students:
            outbox.put(meitner.students.delete(one.id))
    assert outbox.sent == 60
    return outbox.failures


MANY = {
    "create_many": lambda meitner, _: _all(meitner.students.create_many(map(_person, range(60)))),
    "update_many": lambda meitner, students: _all(
        meitner.students.update_many(
            (one.id, {"first_name": "Bo", "last_name": name, "identity_number": one.identity_number})
            for name in ("Ek", "Al")
            for one in students
        )
    ),
    "delete_many": lambda meitner, students: _all(meitner.students.delete_many(one.id for one in students)),
    "upsert_many": _upserted,
    "outbox": _posted,
}


async def _all(outcomes):
    return [outcome async for outcome in outcomes]


@pytest.mark.parametrize("limiter", ["bucket", "window"])
@pytest.mark.parametrize("operation", MANY)
def test_no_kind_of_bulk_write_fails_for_want_of_quota(operation, limiter):
    """Each waits for hours where a single call waits a minute: no item fails, and none is written twice."""
    clock = VirtualClock()
    kept = 60 if operation == "delete_many" else 30
    expected = {"create_many": 90, "update_many": 30, "delete_many": 0, "upsert_many": 60, "outbox": 30}

    async def main():
        sandbox = Sandbox(students=kept, limiter=limiter, quota=20, clock=clock.time)
        meitner = Meitner.sandbox(sandbox)
        students = await meitner.students.list().all()
        problems = [one for one in await MANY[operation](meitner, students) if getattr(one, "error", one) is not None]
        written = [seen for seen in sandbox.requests if seen.method != "GET" and not seen.path.endswith("_search")]
        assert problems == []
        assert sum(seen.status < 300 for seen in written) == 60
        assert len(sandbox.records("students")) == expected[operation]

    clock.run(main())
    assert clock.elapsed > 3600


@pytest.mark.parametrize(
    ("policy", "bulk", "waits"),
    [
        (QuotaPolicy(), False, False),
        (QuotaPolicy(), True, True),
        (QuotaPolicy(max_wait=4000), False, True),
        (QuotaPolicy(max_wait=3000), True, False),
        (QuotaPolicy(on_exhausted="raise"), True, False),
    ],
)
@pytest.mark.parametrize("endpoint", ["api", "token"])
def test_a_retry_after_of_an_hour_is_waited_for_only_by_who_has_the_patience(endpoint, policy, bulk, waits):
    """`RateLimitError` with `retry_after` at once, at the API and at the token endpoint; bulk waits, the policy decides."""
    sent = []

    async def send(request):
        sent.append(request.operation)
        refused = (
            request.operation == ("token" if endpoint == "token" else "list") and sent.count(request.operation) == 1
        )
        if refused:
            return RawResponse(429, Headers({"Retry-After": "3600"}), b"")
        body = b'{"access_token":"t","expires_in":86400}' if request.operation == "token" else b"{}"
        return RawResponse(200, Headers({"Content-Type": "application/json"}), body)

    class Binding:
        identity = b""

        async def send(self, request):
            return await send(request)

        async def close(self):
            pass

    async def main():
        auth = OAuth2("id", "secret") if endpoint == "token" else ApiKey("id", "secret")
        options = Options(policy=RetryPolicy(), headers={})
        core = Core("https://localhost/directory/v1", Binding(), auth, RateLimiter(8, policy=policy), options)
        began = asyncio.get_running_loop().time()
        try:
            await Dispatcher(core, options).send(Request("list", "GET", "/student", "/student", bulk=bulk))
        except RateLimitError as error:
            return asyncio.get_running_loop().time() - began, error.retry_after
        return asyncio.get_running_loop().time() - began, None

    took, told = run(main())
    assert told == (None if waits else 3600)
    assert (took >= 3600) == waits
    assert waits or took < 1

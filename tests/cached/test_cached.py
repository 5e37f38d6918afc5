"""The reads of a client through a cache: what is requested once, for how long, and what is never returned."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import virtual_time
from hypothesis import given, settings
from hypothesis import strategies as st
from samples import ID, answer
from scripted_send import said

from meitner_aio import Meitner, MeitnerError, OAuth2, errors
from meitner_aio._operations.operations import Binding, operations
from meitner_aio._wire.messages import RawResponse, Request, error_from
from meitner_aio._wire.page_size import PageSizes
from meitner_aio.cached import Cached, CachedMeitner, CacheProvider, Caches, MemoryCache
from meitner_aio.errors import (
    APIConnectionError,
    APITimeoutError,
    MultipleFound,
    NotFoundError,
    QuotaExhausted,
    ResponseValidationError,
)
from meitner_aio.resources import RESOURCES

NOON = 1_770_000_000.0


class Line:
    """A `Send` to a sandbox, which can go down and keeps the requests."""

    def __init__(self, **size: Any) -> None:
        self.seconds = 0.0
        self.down: Callable[[Request], BaseException] | None = None
        self.sent: list[Request] = []
        self.cancelled = 0
        now = asyncio.get_running_loop().time
        self.meitner = Meitner.sandbox(**{"students": 12, "schools": 1, "clock": lambda: NOON + now()} | size)

    async def __call__(self, request: Request) -> RawResponse:
        self.sent.append(request)
        try:
            await asyncio.sleep(self.seconds)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.down is not None:
            raise self.down(request)
        return await self.meitner._calls.send(request)

    def cached(self, scope: bytes = b"me", **how: Any) -> CachedMeitner[Any]:
        """Return a cached view of the line."""
        return Caches(Binding(self, 4, PageSizes()), lambda send: send, scope)(**how)


on_virtual_time = virtual_time.testing(Line)


def refused(_: Request) -> BaseException:
    """Make the error of a service without a connection."""
    return APIConnectionError("refused", sent=False)


def status(code: int) -> Callable[[Request], BaseException]:
    """Make a maker of the error of a status."""
    return lambda request: error_from(request, said(code))


DOWN: dict[str, Callable[[Request], BaseException]] = {
    "refused": refused,
    "timeout": lambda _: APITimeoutError("no answer in time"),
    "429": status(429),
    "500": status(500),
    "503": status(503),
    "quota": lambda _: QuotaExhausted("spent"),
}

READS: dict[str, Callable[[CachedMeitner[Any], str], Awaitable[Any]]] = {
    "get": lambda cached, id_: cached.students.get(id_),
    "get_many": lambda cached, id_: cached.students.get_many([id_]),
    "get_many of what is not searched": lambda cached, _: cached.grade_elementaries.get_many([ID]),
    "find": lambda cached, id_: cached.students.find(id=id_),
    "first": lambda cached, _: cached.students.list().first(),
    "count": lambda cached, _: cached.audit_events.list().count(),
    "page": lambda cached, _: _page(cached.students.list(limit=5)),
    "all": lambda cached, _: cached.students.list(limit=5).all(),
    "from the middle": lambda cached, _: cached.students.list(limit=3, offset=2).all(),
    "search": lambda cached, id_: cached.students.search(id=id_).all(),
    "grades": lambda cached, _: cached.grade_elementaries.list(limit=10).all(),
}


async def _page(listing: Any) -> Any:
    return (await listing).data


async def _somebody(line: Line) -> str:
    student = await line.meitner.students.list().first()
    assert student is not None
    return student.id


# What is asked once.


@pytest.mark.parametrize("read", READS.values(), ids=READS)
@on_virtual_time
async def test_a_read_is_sent_once_in_its_lifetime(line: Line, read: Callable[..., Any]) -> None:
    """Every read gives the same again without a request, until its time is over."""
    cached, somebody = line.cached(ttl=5.0, default=None), await _somebody(line)
    try:
        first = await read(cached, somebody)
    except NotFoundError:
        first = None
    sent = len(line.sent)
    await asyncio.sleep(4.9)
    assert await read(cached, somebody) == first
    assert len(line.sent) == sent + (first == {})  # what does not exist is asked for again
    await asyncio.sleep(0.2)
    await read(cached, somebody)
    assert len(line.sent) == 2 * sent + (first == {})


@on_virtual_time
async def test_what_is_kept_is_proven_again_only_for_who_insists(line: Line) -> None:
    """A kept listing with recent rows looks at the deletions again only if it is strict."""
    cached = line.cached(ttl=60.0)
    asked = []
    for strict in (False, False, True):
        listing = cached.students.list(limit=3, offset=2).paged(strict=strict)
        before = len(line.sent)
        assert len(await listing.all()) == 10
        asked.append((len(line.sent) - before, listing.report.complete))
    assert asked == [(5, True), (0, False), (1, True)]


@on_virtual_time
async def test_different_reads_are_different(line: Line) -> None:
    """Reads with another path, condition or page are kept apart."""
    cached = line.cached()
    students = await cached.students.list(limit=4).all()
    assert [student.id for student in students] == [row.id for row in await line.meitner.students.list().all()]
    for student in students:
        assert await cached.students.get(student.id) == student
        assert await cached.students.search(id=student.id).all() == [student]
    assert await cached.guardians.list().count() != await cached.students.list().count()


@on_virtual_time
async def test_concurrent_equal_reads_are_one_request(line: Line) -> None:
    """A read joins an equal one in flight, and gets its own records."""
    line.seconds = 1.0
    cached, somebody = line.cached(), await _somebody(line)
    records = await asyncio.gather(*(cached.students.get(somebody) for _ in range(50)))
    pages = await asyncio.gather(*(cached.groups.list() for _ in range(20)))
    assert (len(line.sent), len({id(page.data) for page in pages})) == (2, 20)
    assert all(record == records[0] for record in records)
    pages[0].data.clear()
    pages[1].data[0].types.clear()
    assert (await cached.groups.list()).data == pages[2].data != pages[1].data


@on_virtual_time
async def test_a_waiter_who_leaves_takes_nothing_from_the_others(line: Line) -> None:
    """Cancelling the first reader does not cancel the request of the others."""
    line.seconds = 1.0
    cached, somebody = line.cached(), await _somebody(line)
    waiters = [asyncio.create_task(cached.students.get(somebody)) for _ in range(3)]
    await asyncio.sleep(0.5)
    waiters[0].cancel()
    await asyncio.sleep(0)
    assert waiters[0].cancelled()
    assert (await waiters[1]).id == (await waiters[2]).id == somebody
    assert (len(line.sent), line.cancelled) == (1, 0)


@on_virtual_time
async def test_the_last_waiter_who_leaves_cancels_the_request(line: Line) -> None:
    """When the last reader is cancelled, so is the request; a later read sends a new one."""
    line.seconds = 1.0
    cached, somebody = line.cached(), await _somebody(line)
    waiters = [asyncio.create_task(cached.students.get(somebody)) for _ in range(3)]
    await asyncio.sleep(0.5)
    for waiter in waiters:
        waiter.cancel()
    late = asyncio.create_task(cached.students.get(somebody))
    await asyncio.gather(*waiters, return_exceptions=True)
    assert line.cancelled <= 1
    assert (await late).id == somebody
    assert len(line.sent) == 1 + line.cancelled


@on_virtual_time
async def test_nobody_waiting_cancels_the_request(line: Line) -> None:
    """A read with a timeout leaves no request behind."""
    line.seconds = 10.0
    cached, somebody = line.cached(), await _somebody(line)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1.0):
            await cached.students.get(somebody)
    assert (len(line.sent), line.cancelled) == (1, 1)


@on_virtual_time
async def test_an_error_reaches_all_who_wait_and_is_not_kept(line: Line) -> None:
    """Each gets an error of their own, of the same kind with the same facts; the next read asks again."""
    line.seconds, line.down = 1.0, status(500)
    cached, somebody = line.cached(), await _somebody(line)
    results = await asyncio.gather(*(cached.students.get(somebody) for _ in range(3)), return_exceptions=True)
    assert [type(error) for error in results] == [errors.InternalServerError] * 3
    assert len({id(error) for error in results}) == 3
    assert {(error.status_code, error.route, str(error)) for error in results} == {
        (500, "/student/{id}", "no (request req-1)")
    }
    line.down = None
    assert (await cached.students.get(somebody)).id == somebody
    assert len(line.sent) == 2


# Listings stay honest.


@on_virtual_time
async def test_pages_never_outlive_the_first_one(line: Line) -> None:
    """A listing put together from pages older than its first one would be certified without being true."""
    cached = line.cached(ttl=10.0)
    pages = cached.students.list(limit=2, concurrency=1).pages()
    await anext(pages)
    await asyncio.sleep(5.0)
    rest = [page async for page in pages]
    gone = rest[-1].data[-1]
    await asyncio.sleep(6.0)  # the first page is too old now, the others are not
    await line.meitner.students.delete(gone.id)
    new = await line.meitner.students.create(identity_number="20150315-1234", first_name="Bo", last_name="Ek")
    await asyncio.sleep(2.0)
    listing = cached.students.list(limit=2)
    ids = [student.id async for student in listing]
    assert (new.id in ids, gone.id in ids, listing.report.complete) == (True, False, True)


@on_virtual_time
async def test_a_first_page_from_before_brings_no_later_pages_from_before(line: Line) -> None:
    """Of listings of the same rows, pages follow the youngest first page that anybody has read."""
    cached = line.cached(ttl=100.0, maxsize=7)
    await cached.students.list(limit=4).all()  # pages of 4, and then a first page of another listing
    gone = (await line.meitner.students.list().all())[-1]
    await line.meitner.students.delete(gone.id)
    await cached.students.list(limit=12)
    old = await cached.students.list(limit=4)  # is still kept, and follows no more
    assert old.pagination.total == 12
    assert gone.id not in [student.id for student in await cached.students.list(limit=4).all()]


@on_virtual_time
async def test_a_listing_from_the_cache_reports_what_the_first_one_did(line: Line) -> None:
    """The server's time is kept with its answers, and nothing is kept of the quota that they told of."""
    cached = line.cached()
    one, other = cached.students.list(limit=5), cached.students.list(limit=5)
    assert await one.all() == await other.all()
    assert one.report == other.report
    assert one.report.level == "certified"
    kept: Any = cached._caching
    [layer] = kept._layers._layers
    assert len(layer.provider) == 3
    assert not any(b"ratelimit" in value.lower() for value, _ in layer.provider._kept.values())


@on_virtual_time
async def test_writes_pass_through(line: Line) -> None:
    """No view has one; a `Send` that is handed one keeps nothing of it."""
    cached: Any = line.cached()
    unit = await line.meitner.units.list().first()
    assert unit is not None
    for title in ("Norr", "Norr"):
        await RESOURCES["units"](cached._caching.send).update(unit.id, title=title)  # type: ignore[attr-defined]
    assert len(line.sent) == 2


@on_virtual_time
async def test_a_second_pass_and_a_witness_always_ask(line: Line) -> None:
    """Second passes and queries for deletions are never answered from the cache."""
    cached = line.cached(ttl=60.0)
    await cached.grade_elementaries.list(limit=10).all()
    await cached.students.list(limit=5).all()
    source = cached.grade_elementaries.list()._source
    sent = len(line.sent)
    from meitner_aio._listing.source import PageRequest

    for _ in range(2):
        for offset in (0, 10):
            await source.fetch(PageRequest(10, offset, bulk=True))
    assert len(line.sent) == sent + 4
    witness = cached.students.list()._source
    since = (await line.meitner.students.list().first()).meta.created_at
    for _ in range(2):
        await witness.deleted(since)
        await witness.created(None, since, PageRequest(5, 0, bulk=True))
    assert len(line.sent) == sent + 8


@on_virtual_time
async def test_a_lenient_reader_keeps_nothing_for_a_strict_one(line: Line) -> None:
    """A page with an invalid row is an error to whoever does not skip it, cached or not."""
    rows = [{"id": ID, "title": "Norr"}, {"id": ID}]
    body = {"data": rows, "pagination": {"offset": 0, "limit": 100, "total": 2}}

    async def send(request: Request) -> RawResponse:
        line.sent.append(request)
        return answer(body)

    cached = Caches(Binding(send, 4, PageSizes()), lambda guarded: guarded, b"me")()
    listing = cached.units.list()
    assert len(await listing.paged(on_invalid="skip").all()) == 1
    with pytest.raises(ResponseValidationError):
        await listing.all()
    assert len(line.sent) == 2


# When the service is down.


@pytest.mark.parametrize("down", DOWN.values(), ids=DOWN)
@on_virtual_time
async def test_an_expired_answer_stands_in_while_the_service_is_down(line: Line, down: Callable[..., Any]) -> None:
    """It is used only while the service is down, and the service is asked each time."""
    cached, somebody = line.cached(ttl=5.0), await _somebody(line)
    student = await cached.students.get(somebody)
    page = await cached.students.list(limit=5).all()
    await asyncio.sleep(100.0)
    line.down, sent = down, len(line.sent)
    assert await cached.students.get(somebody) == student
    assert await cached.students.get(somebody) == student
    assert await cached.students.list(limit=5).all() == page
    assert len(line.sent) > sent + 2
    line.down = None
    changed = await line.meitner.students.modify(student, last_name="Berg")
    assert await cached.students.get(somebody) == changed


@pytest.mark.parametrize("how", [{"stale_if_error": False}, {"stale_if_error": 60}, {"stale_if_error": True}])
@on_virtual_time
async def test_stale_answers_have_an_end(line: Line, how: dict[str, Any]) -> None:
    """Not at all, for the seconds given, or for a day."""
    cached, somebody = line.cached(ttl=5.0, **how), await _somebody(line)
    await cached.students.get(somebody)
    line.down = refused
    ends = {False: 5.0, 60: 65.0, True: 24 * 3600.0 + 5.0}[how["stale_if_error"]]
    await asyncio.sleep(ends - 0.1)
    await cached.students.get(somebody)
    await asyncio.sleep(0.2)
    with pytest.raises(APIConnectionError):
        await cached.students.get(somebody)


@pytest.mark.parametrize("code", [400, 401, 403, 404, 409, 422])
@on_virtual_time
async def test_a_refusal_is_an_answer(line: Line, code: int) -> None:
    """A 4xx is raised, and the answer kept before is dropped."""
    cached, somebody = line.cached(ttl=5.0), await _somebody(line)
    await cached.students.get(somebody)
    await asyncio.sleep(6.0)
    line.down = status(code)
    with pytest.raises(errors.APIStatusError) as caught:
        await cached.students.get(somebody)
    assert caught.value.status_code == code
    line.down = refused
    with pytest.raises(APIConnectionError):
        await cached.students.get(somebody)


@pytest.mark.parametrize("down", DOWN.values(), ids=DOWN)
@on_virtual_time
async def test_a_default_answers_when_nothing_is_kept(line: Line, down: Callable[..., Any]) -> None:
    """The default of the call, else of the view, is returned if no answer is kept."""
    plain, none = line.cached(), line.cached(default=None)
    somebody = await _somebody(line)
    student = await plain.students.get(somebody)
    line.down = down
    assert await plain.students.get(somebody, default=7) == student
    assert await none.students.get(somebody) is None
    assert await none.students.get(somebody, default=7) == 7
    assert await plain.students.get_many([ID], default={}) == {}
    assert await none.students.get_many([ID]) is None
    assert await plain.students.find(first_name="Bo", default=7) == 7
    assert await none.grade_elementaries.get(ID) is None
    with pytest.raises(errors.MeitnerError):
        await plain.students.get(ID)
    with pytest.raises(errors.MeitnerError):
        await none.students.list().all()  # nothing would pass for an empty directory


@on_virtual_time
async def test_a_default_is_for_nothing_else(line: Line) -> None:
    """It is not used for a missing record or an invalid argument."""
    cached = line.cached(default=None)
    with pytest.raises(NotFoundError):
        await cached.students.get(ID)
    with pytest.raises(MultipleFound):
        await cached.students.find(identity_temporary=False)
    with pytest.raises(ValueError, match="UUID"):
        cached.students.get("nobody")
    with pytest.raises(TypeError, match="no field"):
        cached.students.find(first_nam="Bo")


# Size, providers, keys.


@on_virtual_time
async def test_no_size_is_no_cache(line: Line) -> None:
    """`maxsize=0` sends every read; defaults still answer."""
    cached, somebody = line.cached(maxsize=0, default=None), await _somebody(line)
    for _ in range(3):
        await cached.students.get(somebody)
    assert len(line.sent) == 3
    line.down = refused
    assert await cached.students.get(somebody) is None
    await cached.clear()
    assert repr(cached) == "<CachedMeitner: off>"


@on_virtual_time
async def test_the_least_asked_for_goes_first(line: Line) -> None:
    """The least recently used answer is dropped."""
    cached = line.cached(maxsize=2)
    one, two, three = [student.id for student in (await line.meitner.students.list()).data[:3]]
    for id_ in (one, two, one, three, one, two):
        await cached.students.get(id_)
    assert [request.path.rpartition("/")[2] for request in line.sent] == [one, two, three, two]


@on_virtual_time
async def test_clear_forgets_everything(line: Line) -> None:
    """After it, the server is asked."""
    cached, somebody = line.cached(), await _somebody(line)
    await cached.students.get(somebody)
    await cached.students.list(limit=5).all()
    sent = len(line.sent)
    await cached.clear()
    await cached.students.get(somebody)
    await cached.students.list(limit=5).all()
    assert len(line.sent) == 2 * sent


class Broken:
    """A provider that raises, hangs, or gives back what it was never given."""

    def __init__(self, how: str) -> None:
        self._how = how

    async def get(self, _: str) -> Cached | None:
        """Fail."""
        if self._how == "raises":
            raise OSError(f"no route to {ID}")
        if self._how == "hangs":
            await asyncio.Event().wait()
        return Cached(b"\xff\x00junk", 1e9)

    async def set(self, key: str, _value: bytes, _ttl: float) -> None:
        """Fail."""
        await self.get(key)

    async def delete(self, key: str) -> None:
        """Fail."""
        await self.get(key)

    async def clear(self) -> None:
        """Fail."""
        await self.get("")


@pytest.mark.parametrize("how", ["raises", "hangs", "junk"])
@on_virtual_time
async def test_a_broken_provider_fails_no_call(line: Line, how: str, caplog: pytest.LogCaptureFixture) -> None:
    """Every read is a miss, and the log says so without any data."""
    provider = Broken(how)
    assert isinstance(provider, CacheProvider)
    cached, somebody = line.cached(provider=provider), await _somebody(line)
    with caplog.at_level(logging.DEBUG, "meitner_aio"):
        for _ in range(2):
            assert (await cached.students.get(somebody)).id == somebody
        await cached.clear()
    assert len(line.sent) == 2
    assert {"raises": "OSError", "hangs": "TimeoutError", "junk": "never stored"}[how] in caplog.text
    assert ID not in caplog.text
    assert somebody not in caplog.text


class Store(MemoryCache):
    """A provider that several views share, and a test may look into."""

    async def get(self, key: str) -> Cached | None:
        """Come back after a while, as from a network."""
        found = await super().get(key)
        await asyncio.sleep(0.01)
        return found


@on_virtual_time
async def test_keys_say_nothing_and_belong_to_the_credentials(line: Line) -> None:
    """Keys are digests: equal for equal credentials, different for others."""
    store, somebody = Store(), await _somebody(line)
    mine, yours, again = line.cached(b"me", provider=store), line.cached(b"you", provider=store), None
    await mine.students.get(somebody)
    await mine.students.find(identity_number="20150101-9876")
    keys = set(store._kept)
    assert len(keys) == 2
    assert all(len(key) == 40 and int(key, 16) for key in keys)
    assert not any(somebody.replace("-", "") in key for key in keys)
    await yours.students.get(somebody)
    assert len(store) == 3
    again = line.cached(b"me", provider=store)
    sent = len(line.sent)
    await again.students.get(somebody)
    assert (len(line.sent), len(store)) == (sent, 3)


def _scope(client: Meitner) -> bytes:
    return client.cached._scope


def test_the_scope_is_that_of_server_and_credentials() -> None:
    """Equal clients share, others do not: neither server, nor id, nor secret, nor kind; nor two sandboxes."""

    class Own:
        async def headers(self) -> dict[str, str]:
            return {}

    def clients() -> list[Meitner]:
        return [
            Meitner("a", "b"),
            Meitner("a", "c"),
            Meitner("c", "b"),
            Meitner("a", "b", server="staging"),
            Meitner(auth=OAuth2("a", "b")),
            Meitner(auth=OAuth2("a", "c")),
            Meitner(auth=Own()),
            Meitner.sandbox(students=1),
        ]

    first, second = [_scope(one) for one in clients()], [_scope(one) for one in clients()]
    assert len({*first}) == len(first)
    assert [one == other for one, other in zip(first, second, strict=True)] == [True] * 6 + [False] * 2


@on_virtual_time
async def test_a_view_asks_a_slow_provider_once_for_all(line: Line) -> None:
    """Concurrent reads are one request however long the provider takes."""
    cached, somebody = line.cached(provider=Store()), await _somebody(line)
    line.seconds = 1.0
    readers = [asyncio.create_task(cached.students.get(somebody)) for _ in range(9)]
    await asyncio.sleep(1.005)  # the answer arrives while the provider still says that it has none
    await asyncio.gather(*readers, cached.students.get(somebody))
    assert len(line.sent) == 1


_KEYS = st.sampled_from("abcdef")
_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("get"), _KEYS),
        st.tuples(st.just("set"), _KEYS, st.integers(1, 9)),
        st.tuples(st.just("delete"), _KEYS),
        st.tuples(st.just("wait"), st.integers(1, 5)),
        st.tuples(st.just("clear")),
    ),
    max_size=60,
)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(steps=_STEPS, maxsize=st.integers(1, 4))
def test_memory_keeps_what_a_list_in_order_of_use_would(steps: list[tuple[Any, ...]], maxsize: int) -> None:
    """Law: at most `maxsize`, the least used goes first, nothing is given back after its time."""

    async def main() -> None:
        loop: Any = asyncio.get_running_loop()
        memory, model = MemoryCache(maxsize), OrderedDict[str, tuple[bytes, int]]()
        now = 0
        for number, (what, *given_) in enumerate(steps):
            value = b"%d" % number
            if what == "wait":
                now += given_[0]
                loop.advance(given_[0])
            elif what == "clear":
                model.clear()
                await memory.clear()
            elif what == "delete":
                model.pop(given_[0], None)
                await memory.delete(given_[0])
            elif what == "set":
                model.pop(given_[0], None)
                model[given_[0]] = (value, now + given_[1])
                if len(model) > maxsize:
                    model.popitem(last=False)
                await memory.set(given_[0], value, given_[1] - 0.5)
            else:
                found = await memory.get(given_[0])
                kept = model.get(given_[0])
                if kept is not None and now >= kept[1]:
                    del model[given_[0]]
                    kept = None
                assert (found and found.value) == (kept and kept[0])
                if kept is not None:
                    model.move_to_end(given_[0])
            assert len(memory) == len(model) <= maxsize

    virtual_time.run(main(), debug=False)


# The view.


@on_virtual_time
async def test_the_view_has_the_reads_of_every_resource_and_nothing_else(line: Line) -> None:
    """It has the same resources and names, and no writes."""
    cached = line.cached()
    for attribute, resource in RESOURCES.items():
        shown = {name for name in dir(getattr(cached, attribute)) if not name.startswith("_")}
        reads = {"get", "list", "search"} & operations(resource).keys() | {"get_many"}
        assert shown == reads | ({"find"} if "search" in reads else set()), attribute
    assert {name for name in dir(cached) if not name.startswith("_")} == {
        *RESOURCES,
        "clear",
        "data_export",
        "resource",
    }


@on_virtual_time
async def test_calls_keep_their_face(line: Line) -> None:
    """Calls keep the signature and help of the resource, plus `default`."""
    cached = line.cached()
    assert list(inspect.signature(cached.students.get).parameters) == ["id", "default"]
    assert cached.students.get.__doc__ == line.meitner.students.get.__doc__
    assert inspect.signature(cached.students.search) == inspect.signature(line.meitner.students.search)
    assert repr(cached.units) == "<Searches: list, get, get_many, search, find>"
    await cached.students.list().first()
    assert repr(cached) == "<CachedMeitner: <MemoryCache: 1 of 1000>, good for 5 s>"


async def test_a_closed_client_answers_from_no_cache() -> None:
    """What is closed is closed, whatever is kept; and a loop that is not the client's is told so."""
    meitner = Meitner.sandbox(students=3)
    cached = meitner.cached()
    assert await cached.students.list().count() == await cached.students.list().count() == 3

    def elsewhere() -> int:
        return asyncio.run(cached.students.list().count())

    with pytest.raises(MeitnerError, match="another event loop"):
        await asyncio.to_thread(elsewhere)
    await meitner.close()
    with pytest.raises(MeitnerError, match="closed"):
        await cached.students.list().count()


@pytest.mark.parametrize(
    "how", [{"ttl": -1}, {"ttl": float("nan")}, {"maxsize": -1}, {"stale_if_error": -1}, {"ttl": float("inf")}]
)
def test_what_makes_no_cache_is_refused(how: dict[str, Any]) -> None:
    """Invalid arguments are refused before anything is read."""
    with pytest.raises(ValueError, match=next(iter(how))):
        Meitner("a", "b").cached(**how)


def test_what_is_kept_shows_no_data() -> None:
    """The repr of kept answers shows no data, nor does rich."""
    kept = Cached(b"20150101-9876", 5.0)
    assert repr(kept) == "Cached(13 bytes, expires_in=5.0)"
    assert list(kept.__rich_repr__()) == [("value", "13 bytes"), ("expires_in", 5.0)]

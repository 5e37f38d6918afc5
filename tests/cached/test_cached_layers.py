"""Several providers asked in turn, none at all, and results by id for when the service is down."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from typing import Any

import pytest
import virtual_time
from samples import ID
from test_cached import Line, refused

from meitner_aio import APIConnectionError, Meitner
from meitner_aio.cached import Cached, MemoryCache

OTHER = "00000000-0000-4000-8000-00000000000b"

on_virtual_time = virtual_time.testing(Line)


class Far:
    """A provider that counts its calls, and may fail or hang: sealed as any that is not our own memory."""

    def __init__(self) -> None:
        self.memory = MemoryCache(100)
        self.calls: Counter[str] = Counter()
        self.trouble: str | None = None

    async def _call(self, name: str, *given: Any) -> Any:
        self.calls[name] += 1
        if self.trouble == "fails":
            raise OSError("canary of a value")
        if self.trouble == "hangs":
            await asyncio.Event().wait()
        return await getattr(self.memory, name)(*given)

    async def get(self, key: str) -> Cached | None:
        """Return what is kept."""
        kept: Cached | None = await self._call("get", key)
        return kept

    async def set(self, key: str, value: bytes, ttl: float) -> None:
        """Keep."""
        await self._call("set", key, value, ttl)

    async def delete(self, key: str) -> None:
        """Forget."""
        await self._call("delete", key)

    async def clear(self) -> None:
        """Forget everything."""
        await self._call("clear")


async def _somebody(line: Line) -> str:
    student = await line.meitner.students.list().first()
    assert student is not None
    return student.id


@on_virtual_time
async def test_the_first_provider_spares_the_second(line: Line) -> None:
    """A read fills both; the next ones are answered by memory, and ask neither Redis nor the server."""
    far, id_ = Far(), await _somebody(line)
    cached = line.cached(ttl=60.0, provider=[MemoryCache(10), far])
    first = await cached.students.get(id_)
    for _ in range(5):
        assert await cached.students.get(id_) == first
    assert (len(line.sent), far.calls) == (1, Counter(get=1, set=1))


@on_virtual_time
async def test_what_only_a_later_provider_has_is_given_to_the_earlier_for_the_rest_of_its_time(line: Line) -> None:
    """Another process asked before: no request, one look into Redis, and no second life in memory."""
    far, id_ = Far(), await _somebody(line)
    await line.cached(ttl=60.0, stale_if_error=False, provider=far).students.get(id_)
    await asyncio.sleep(50)
    near = MemoryCache(10)
    cached = line.cached(ttl=60.0, stale_if_error=False, provider=[near, far])
    await cached.students.get(id_)
    await cached.students.get(id_)
    assert (len(line.sent), far.calls["get"], len(near)) == (1, 2, 1)  # the first process missed once
    await asyncio.sleep(11)
    await cached.students.get(id_)
    assert len(line.sent) == 2


class Late(Far):
    """A provider that returns what has expired as such, and lists for how many seconds it was to keep something."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []

    async def get(self, key: str) -> Cached | None:
        """Return what is kept, as expired."""
        kept = await super().get(key)
        return kept and Cached(kept.value, -1.0)

    async def set(self, key: str, value: bytes, ttl: float) -> None:
        """Keep."""
        self.seconds.append(ttl)
        await super().set(key, value, ttl)


@on_virtual_time
async def test_nobody_is_asked_to_keep_what_has_expired(line: Line) -> None:
    """For less than no seconds: a provider that finds it late is no reason to give it to the one before."""
    near, late, id_ = Late(), Late(), await _somebody(line)
    await line.cached(ttl=60.0, stale_if_error=False, provider=late).students.get(id_)
    await line.cached(ttl=60.0, stale_if_error=False, provider=[near, late]).students.get(id_)
    assert (near.seconds, late.seconds) == ([60.0], [60.0, 60.0])


@on_virtual_time
async def test_an_expired_answer_in_memory_does_not_hide_a_fresh_one_in_redis(line: Line) -> None:
    """The youngest answer counts, and replaces the older one."""
    far, near, id_ = Far(), MemoryCache(10), await _somebody(line)
    cached = line.cached(ttl=60.0, provider=[near, far])
    await cached.students.get(id_)
    await asyncio.sleep(61)
    await line.cached(ttl=60.0, provider=far).students.get(id_)
    assert len(line.sent) == 2
    looked = far.calls["get"]
    for _ in range(3):
        await cached.students.get(id_)
    assert (len(line.sent), far.calls["get"]) == (2, looked + 1)


@pytest.mark.parametrize("trouble", ["fails", "hangs"])
@pytest.mark.parametrize("place", [0, 1])
def test_a_provider_that_fails_is_passed_over_with_a_warning(
    place: int, trouble: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The other one answers and keeps; no value is logged, and one that hangs is left in peace for a while."""

    async def main() -> None:
        line, far = Line(), Far()
        id_ = await _somebody(line)
        near = MemoryCache(10)
        cached = line.cached(ttl=60.0, provider=[far, near] if place == 0 else [near, far])
        far.trouble = trouble
        for _ in range(4):
            await cached.students.get(id_)
        assert (len(line.sent), len(near)) == (1, 1)
        if trouble == "hangs":
            assert sum(far.calls.values()) == 1

    with caplog.at_level(logging.WARNING, "meitner_aio"):
        virtual_time.run(main())
    assert "the cache provider failed with" in caplog.text
    assert "canary" not in caplog.text


@on_virtual_time
async def test_a_provider_that_fails_is_not_given_what_another_has(line: Line) -> None:
    """It would fail again, and the read wait for it a second time."""
    far, last, id_ = Far(), MemoryCache(10), await _somebody(line)
    await line.cached(ttl=60.0, provider=last).students.get(id_)
    far.trouble = "fails"
    cached = line.cached(ttl=60.0, provider=[far, last])
    for _ in range(3):
        await cached.students.get(id_)
    assert (len(line.sent), far.calls) == (1, Counter(get=3))


@on_virtual_time
async def test_clear_reaches_all_of_them(line: Line) -> None:
    """Also those behind one that fails, after which nothing old is found in any."""
    for trouble in (None, "fails"):
        far, last, id_ = Far(), MemoryCache(10), await _somebody(line)
        cached = line.cached(ttl=60.0, provider=[MemoryCache(10), far, last])
        await cached.students.get(id_)
        far.trouble = trouble
        await cached.clear()
        far.trouble = None
        assert len(last) == 0
        sent = len(line.sent)
        await cached.students.get(id_)
        await cached.students.get(id_)
        assert len(line.sent) == sent + 1


@on_virtual_time
async def test_a_clear_meanwhile_is_not_undone_by_what_a_later_provider_had(line: Line) -> None:
    """An answer on its way from the second provider to the first does not come back after a clear."""
    far, near, id_ = Far(), MemoryCache(10), await _somebody(line)
    await line.cached(ttl=60.0, provider=far).students.get(id_)
    cached = line.cached(ttl=60.0, provider=[near, far])
    real = far.memory.get

    async def slow(key: str) -> Cached | None:
        kept = await real(key)
        await asyncio.sleep(0.5)
        return kept

    far.memory.get = slow  # type: ignore[method-assign]
    reading = asyncio.create_task(cached.students.get(id_))
    await asyncio.sleep(0.1)
    await cached.clear()
    line.down = refused
    with pytest.raises(APIConnectionError):
        await reading
    assert (len(line.sent), len(near)) == (2, 0)


@pytest.mark.parametrize(
    "off", [{"provider": None}, {"provider": []}, {"maxsize": 0}, {"maxsize": 0, "provider": [Far()]}]
)
def test_none_and_an_empty_list_are_no_cache(off: dict[str, Any]) -> None:
    """Each read is a request; defaults still hold."""

    async def main() -> None:
        line = Line()
        id_ = await _somebody(line)
        cached = line.cached(**off, default="nobody", defaults={ID: "known"})
        for _ in range(3):
            await cached.students.get(id_)
        assert len(line.sent) == 3
        assert repr(cached) == "<CachedMeitner: off>"
        line.down = refused
        assert (await cached.students.get(ID), await cached.students.get(OTHER)) == ("known", "nobody")

    virtual_time.run(main())


@on_virtual_time
async def test_defaults_are_results_by_id_when_the_service_is_down(line: Line) -> None:
    """That of the call comes first, then that of the id in any case, then that of the view; an answer before all."""
    id_ = await _somebody(line)
    cached = line.cached(default="usual", defaults={ID.upper(): "known", id_: "never"})
    answer = await cached.students.get(id_)
    line.down = refused
    assert await cached.students.get(id_) == answer
    assert await cached.students.get(ID) == await cached.schools.get(ID.upper()) == "known"
    assert await cached.students.get(OTHER) == "usual"
    assert await cached.students.get(ID, default="own") == "own"
    assert await cached.students.get_many([ID]) == await cached.students.find(id=ID) == "usual"
    only = line.cached(defaults={ID: None})
    assert await only.students.get(ID) is None
    with pytest.raises(APIConnectionError):
        await only.students.get(OTHER)


WRONG: list[tuple[dict[str, Any], type[Exception]]] = [
    ({"provider": {}}, TypeError),
    ({"provider": "redis://localhost"}, TypeError),
    ({"provider": MemoryCache}, TypeError),
    ({"provider": [MemoryCache]}, TypeError),
    ({"provider": [MemoryCache(), None]}, TypeError),
    ({"provider": 5}, TypeError),
    ({"ttl": "5"}, TypeError),
    ({"ttl": -1}, ValueError),
    ({"ttl": float("inf")}, ValueError),
    ({"stale_if_error": "yes"}, TypeError),
    ({"stale_if_error": -1}, ValueError),
    ({"stale_if_error": None}, TypeError),
    ({"maxsize": -1}, ValueError),
    ({"maxsize": "10"}, TypeError),
    ({"defaults": [ID]}, TypeError),
    ({"defaults": {5: None}}, TypeError),
]


@pytest.mark.parametrize(("given", "kind"), WRONG)
def test_a_wrong_argument_of_a_cache_is_refused_by_its_name(given: dict[str, Any], kind: type[Exception]) -> None:
    """When the view is made, in our words."""
    [name] = given
    with pytest.raises(kind, match=rf"{name}.* must"):
        Meitner.sandbox(students=1).cached(**given)


def test_a_provider_stands_in_a_list_once() -> None:
    """Twice it would be asked twice for each miss."""
    twice = MemoryCache()
    with pytest.raises(ValueError, match="twice"):
        Meitner.sandbox(students=1).cached(provider=[twice, twice])

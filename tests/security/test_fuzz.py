"""Whatever bytes arrive, only errors of this package come out: the laws of `tests/fuzz`, under hypothesis.

The same laws run under atheris by hand, for as long as one likes: `python tests/fuzz/page.py -max_total_time=600`.
"""

from __future__ import annotations

import importlib
import json
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import aiohttp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sandbox_calls import KEY
from yarl import URL

from meitner_aio.errors import mask
from meitner_aio.sandbox import Sandbox

HERE = Path(__file__).parents[1] / "fuzz"
NAMES = sorted(path.stem for path in HERE.glob("*.py") if path.stem != "fuzzing")


@pytest.fixture(scope="module", params=NAMES)
def fuzz(request: pytest.FixtureRequest) -> Iterator[ModuleType]:
    """Return one of the harnesses."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(HERE))
        before = set(sys.modules)
        yield importlib.import_module(request.param)
        for name in set(sys.modules) - before:
            if Path(getattr(sys.modules[name], "__file__", None) or "/").parent == HERE:
                del sys.modules[name]


def test_there_is_a_harness_for_every_decoder() -> None:
    """What comes from outside: pages and records, errors, headers, tokens, compression, and what the sandbox is asked."""
    assert NAMES == ["bearer", "door", "error", "headers", "inflate", "page"]


def test_a_harness_holds_on_its_corpus(fuzz: ModuleType) -> None:
    """So that none rots: each runs, on inputs that reach what it is about."""
    assert len(fuzz.CORPUS) >= 5
    for data in fuzz.CORPUS:
        fuzz.harness(data)


def test_a_harness_takes_anything(fuzz: ModuleType) -> None:
    """Thousands of inputs: junk, JSON, and the corpus with bytes changed, cut out, doubled and swapped."""

    @settings(max_examples=25, deadline=None, derandomize=True, database=None)
    @given(st.lists(_inputs(fuzz.CORPUS), min_size=25, max_size=25))
    def holds(several: list[bytes]) -> None:
        for data in several:
            fuzz.harness(data)

    holds()


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
).map(lambda value: json.dumps(value).encode())
_odd = st.sampled_from(
    [b'"', b"{", b"}", b"[", b"null", b"-1", b"1e999", b"NaN", b"\xff", b"\xed\xa0\x80", b"\0", b"\n", b"\\ud800", b"9" * 30,
     b'"20150101-4242"', b"true", b",", b":", b"9999-12-31T23:59:59.999999999+23:59"]
)  # fmt: skip


def _inputs(corpus: list[bytes]) -> st.SearchStrategy[bytes]:
    some = st.sampled_from([data for data in corpus if len(data) < 5000])
    return st.one_of(
        st.binary(max_size=60),
        st.builds(bytes.__add__, st.binary(min_size=2, max_size=4), _json),
        st.builds(_changed, some, st.integers(0, 2**16), st.integers(0, 9), st.binary(max_size=4) | _odd),
        st.builds(_crossed, some, some, st.integers(0, 2**16), st.integers(0, 2**16)),
    )


def _changed(data: bytes, at: int, gone: int, new: bytes) -> bytes:
    at %= len(data) + 1
    return data[:at] + new + data[at + gone :]


def _crossed(one: bytes, other: bytes, until: int, since: int) -> bytes:
    return one[: until % (len(one) + 1)] + other[since % (len(other) + 1) :]


# Bounds: what one input may cost, whatever it says.

KIB = 1024


LARGE: dict[str, Callable[[int], bytes]] = {
    "nesting": lambda size: b"[" * size,
    "objects within objects": lambda size: b'{"a":' * (size // 5),
    "many keys": lambda size: b"{" + b",".join(b'"%x":1' % i for i in range(size // 9)) + b"}",
    "a long text": lambda size: b'"' + b"a" * size + b'"',
    "escapes": lambda size: b'"' + b"\\u0061" * (size // 6) + b'"',
    "a long number": lambda size: b"9" * size,
    "an array of nothing": lambda size: b"[" + b"null," * (size // 5) + b"null]",
    "an unknown field of arrays": lambda size: b'{"data":[],"x":[' + b"[]," * (size // 3) + b"1]}",
    "rows of nothing": lambda size: b'{"data":[' + b"{}," * (size // 3) + b'{}],"pagination":{"offset":0,"limit":1,"total":1}}',
    "an error of addresses": lambda size: b'{"error":{"code":"x","requestID":"","message":"' + b"a@" * (size // 2) + b'"}}',
    "an error of digits": lambda size: b'{"error":{"code":"x","requestID":"","message":"' + b"0 " * (size // 2) + b'"}}',
    "a filter of wildcards": lambda size: b'{"filter":{"orCondition":false,"like":{"lastName":"' + b"%a" * (size // 2) + b'"}}}',
    "a filter of ids": lambda size: b'{"filter":{"orCondition":false,"contains":{"id":[' + b'"a",' * (size // 4) + b'"a"]}}}',
    "a token": lambda size: b'{"access_token":"' + b"a" * size + b'"}',
}  # fmt: skip


@pytest.mark.parametrize("large", LARGE.values(), ids=LARGE)
def test_an_input_costs_memory_in_proportion(fuzz: ModuleType, large: Callable[[int], bytes]) -> None:
    """At most fifty times its own size, and never an answer that is not an answer."""
    data = _headed(fuzz, large(256 * KIB))
    fuzz.harness(data[:KIB])  # what is made once is no part of it
    tracemalloc.start()
    fuzz.harness(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 50 * len(data)


def _headed(fuzz: Any, body: bytes) -> bytes:
    """Return a body behind what leads a harness to read it as a student, or as a search for some."""
    heads = {"page": b"\x0c", "error": b"\x00\xc8\x00", "inflate": b"\x00\xff", "bearer": b"", "headers": b"\n"}
    if fuzz.__name__ == "door":
        return fuzz.asking("POST", "/student/_search", body)
    return heads[fuzz.__name__] + body


# What fuzzing found.


@pytest.mark.parametrize(
    "text", ["20150101-4242+46701234567", "070-123 45 67:0812345678", "+46 70 123 45 67:20150101-4242"]
)
def test_numbers_that_touch_are_all_masked(text: str) -> None:
    """A number right behind another, which no longer looks like the beginning of one, is masked with it."""
    assert mask(f"taken: {text} (twice)") == "taken: *** (twice)"


@pytest.mark.parametrize("path", ["/student/8%0A", "/%0Dstudent", "/student/%0a%0a/x", "/student%E2%80%A8"])
async def test_a_path_with_a_line_break_is_answered_as_any_other(path: str) -> None:
    """It is the API's error object that says no, or what its router says of a path that is nowhere."""
    async with Sandbox(students=1, schools=1) as sandbox, aiohttp.ClientSession(headers=KEY) as session:
        url = URL(sandbox.url + path, encoded=True)
        async with session.get(url) as answer:
            if answer.status == 404:
                assert (answer.content_type, await answer.text()) == ("text/plain", "404 page not found")
                return
            assert answer.status == 400
            assert (await answer.json())["error"]["requestID"] == answer.headers["X-Request-ID"]


def test_a_law_that_is_broken_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: with a reader that lets foreign errors through, the harness fails."""
    import meitner_aio._wire.decoding as reading

    monkeypatch.syspath_prepend(str(HERE))
    page = importlib.import_module("page")
    monkeypatch.setattr(reading, "FOREIGN", (KeyError,))
    with pytest.raises(Exception, match=r"JSON|UTF-8|recursion|Expected|Object|Input|truncated") as caught:
        all(page.harness(data) is None for data in page.CORPUS)
    assert not isinstance(caught.value, AssertionError)
    del sys.modules["page"], sys.modules["fuzzing"]

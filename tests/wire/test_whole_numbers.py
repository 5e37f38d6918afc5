"""One check of whole numbers: everything that takes one refuses the same values by the same errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from plain_directory import PlainDirectory

from meitner_aio import ApiKey, Meitner, RetryPolicy
from meitner_aio._listing.listing import Listing
from meitner_aio._operations.bulk import outcomes
from meitner_aio._wire.validation import check_whole
from meitner_aio.cached import MemoryCache, RedisCache
from meitner_aio.export._selection import Selection
from meitner_aio.outbox import Outbox
from meitner_aio.resources import Units
from meitner_aio.sandbox import Fault, Sandbox

LEAST_1: dict[str, Callable[[Any], object]] = {
    "limit of a listing": lambda n: Units(PlainDirectory()).list(limit=n),
    "concurrency of a listing": lambda n: Listing(PlainDirectory(), concurrency=n),  # type: ignore[arg-type]
    "concurrency in bulk": lambda n: outcomes([], lambda item: item, n),  # type: ignore[arg-type, return-value]
    "concurrency of upserts": lambda n: Units(PlainDirectory()).upsert_many("source_id", [], concurrency=n),
    "concurrency of an outbox": lambda n: Outbox(concurrency=n),
    "maxsize of an outbox": lambda n: Outbox(maxsize=n),
    "max_concurrency": lambda n: Meitner(auth=ApiKey("me", "hush"), max_concurrency=n),
    "limit of an export": lambda n: Selection.of(limit=n),
    "page_size of an export": lambda n: Selection.of(page_size=n),
    "maxsize in Redis": lambda n: RedisCache("redis://127.0.0.1:1", maxsize=n),
    "quota of a sandbox": lambda n: Sandbox(students=0, quota=n),
    "page_cap of a sandbox": lambda n: Sandbox(students=0, page_cap=n),
    "times of a fault": lambda n: Fault(500, times=n),
}
LEAST_0: dict[str, Callable[[Any], object]] = {
    "offset of a listing": lambda n: Units(PlainDirectory()).list(offset=n),
    "max_retries": lambda n: Meitner(auth=ApiKey("me", "hush"), retry=RetryPolicy(max_retries=n)),
    "maxsize of a cache": lambda n: Meitner(auth=ApiKey("me", "hush")).cached(maxsize=n),
    "maxsize in memory": MemoryCache,
    "students of a sandbox": lambda n: Sandbox(students=n),
    "schools of a sandbox": lambda n: Sandbox(students=0, schools=n),
}
TAKERS = [(take, 1) for take in LEAST_1.values()] + [(take, 0) for take in LEAST_0.values()]
NAMES = [*LEAST_1, *LEAST_0]


@pytest.mark.parametrize(("take", "least"), TAKERS, ids=NAMES)
@pytest.mark.parametrize("value", [True, 2.0, "2"], ids=repr)
def test_what_is_no_whole_number_is_a_type_error(take, least, value):
    """A truth and a fraction too, whole as it may be: whoever passes one means something else."""
    with pytest.raises(TypeError):
        take(value)


@pytest.mark.parametrize("value", [None, "x", 1.5, True], ids=repr)
def test_a_seed_has_no_least(value):
    """It is a whole number all the same, and there is one."""
    Sandbox(students=0, seed=-5)
    with pytest.raises(TypeError):
        Sandbox(students=0, seed=value)


@pytest.mark.parametrize(("take", "least"), TAKERS, ids=NAMES)
def test_what_is_too_small_is_a_value_error(take, least):
    """And the least is taken."""
    with pytest.raises(ValueError, match=r"at least|negative"):
        take(least - 1)
    take(least)


def test_it_names_what_was_wrong_and_never_the_value():
    """The value may be somebody's number."""
    with pytest.raises(TypeError, match=r"^seats must be an int, not str$"):
        check_whole("seats", "20150101-1234")
    with pytest.raises(ValueError, match=r"^seats must be an int of at least 1$"):
        check_whole("seats", -20150101, 1)
    assert check_whole("seats", -5) == -5

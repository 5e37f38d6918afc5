"""Whether the calls of a task are some of many: a context that the tasks of bulk work inherit."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextvars import ContextVar, copy_context
from typing import Any, TypeVar

T = TypeVar("T")

_in_bulk = ContextVar("meitner_aio_in_bulk", default=False)


def is_in_bulk() -> bool:
    """Whether the calls of this task are some of many: they wait for the quota as long as it takes."""
    return _in_bulk.get()


def bulk_task(work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    """Begin work whose calls are some of many."""
    context = copy_context()
    context.run(_in_bulk.set, True)  # noqa: FBT003 - of a variable
    return asyncio.create_task(work, context=context)

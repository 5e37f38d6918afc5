"""Marks the tasks of bulk work, and the tasks that they start, in a context variable."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextvars import ContextVar, copy_context
from typing import Any, TypeVar

T = TypeVar("T")

_in_bulk = ContextVar("meitner_aio_in_bulk", default=False)


def is_in_bulk() -> bool:
    """Whether this task is bulk work, whose calls wait for the quota however long that takes."""
    return _in_bulk.get()


def _enter() -> None:
    _in_bulk.set(True)


def bulk_task(work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    """Start bulk work in a task."""
    context = copy_context()
    context.run(_enter)
    return asyncio.create_task(work, context=context)

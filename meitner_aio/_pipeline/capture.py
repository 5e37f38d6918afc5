"""Collects the answers that a `with` block caused: those of its own task and of the tasks it starts, no others."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

from .._wire.messages import RawResponse


class _Block:
    """One `with` block, and the answers to the calls that started in it."""

    __slots__ = ("answers", "open", "owner")

    def __init__(self, owner: object) -> None:
        self.owner = owner
        self.open = True
        self.answers: list[RawResponse] = []


_blocks: ContextVar[tuple[_Block, ...]] = ContextVar("meitner_aio_capture", default=())


@contextmanager
def capturing(owner: object) -> Generator[list[RawResponse]]:
    """Yield a list that gets the answers to the calls of `owner` in the block, in the order in which they end."""
    block = _Block(owner)
    _blocks.set((*_blocks.get(), block))
    try:
        yield block.answers
    finally:
        block.open = False  # for the tasks that outlive the block: each has a copy of the variable
        _blocks.set(tuple(other for other in _blocks.get() if other is not block))


def listening(owner: object) -> Sequence[list[RawResponse]]:
    """Return the lists that get the answer to a call of `owner` that starts now."""
    blocks = _blocks.get()
    return [block.answers for block in blocks if block.open and block.owner is owner] if blocks else ()

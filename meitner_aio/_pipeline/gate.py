"""A bound on requests in flight that several clients share: a request passes it last, when its quota allows it.

It belongs to the task that sends, and to the tasks which that one starts: a client knows nothing of it.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from contextvars import ContextVar

from .._wire.messages import RawResponse, Request, Send

GATE: ContextVar[Callable[[], AbstractAsyncContextManager[None]] | None] = ContextVar("GATE", default=None)
"""Makes the block in which an attempt is sent; None where there is no bound but the client's own."""


def gated(send: Send) -> Send:
    """Return a `Send` that goes through the gate of the task, if it has one."""

    async def sent(request: Request) -> RawResponse:
        gate = GATE.get()
        if gate is None:
            return await send(request)
        request.attempt.left = False
        async with gate():
            request.attempt.left = True
            return await send(request)

    return sent

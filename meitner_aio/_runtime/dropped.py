"""What is left of owners that were dropped unclosed: at once, in whatever thread and state of the event loop.

The garbage collector may come at any line of any thread, and at the end of the interpreter no loop turns any more. So
nothing here waits, takes a lock or needs another turn of a loop.
"""

from __future__ import annotations

import asyncio
import os
import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import Any

_TLS, _INNER, _SOCKET, _TLS_CLOSED = "_ssl_protocol", "_transport", "_sock", "_closed"
_CLOSING, _END = "_closing", "_call_connection_lost"
"""Undocumented attributes of asyncio's transports: `close()` and `abort()` need a turn of the loop, these do not.

Where they are missing (uvloop), a loop that is closed has closed its connections itself.
"""


def when_dropped(owner: object, close: Callable[[bool], object]) -> None:
    """Call `close` once `owner` is collected, or the interpreter ends; in the running loop's thread while it runs.

    It is told whether this is a forked process: the loop, its selector and the connections are then the parent's.
    """
    weakref.finalize(owner, _close, asyncio.get_running_loop(), os.getpid(), close)


def _close(loop: asyncio.AbstractEventLoop, pid: int, close: Callable[[bool], object]) -> None:
    forked = os.getpid() != pid
    if not forked and loop.is_running() and not _is_this_threads(loop):
        with suppress(RuntimeError):  # it was closed just now
            loop.call_soon_threadsafe(close, False)  # noqa: FBT003 - takes no keywords
            return
    close(forked)


def _is_this_threads(loop: asyncio.AbstractEventLoop) -> bool:
    try:
        return asyncio.get_running_loop() is loop
    except RuntimeError:
        return False


def cut(transport: Any, *, forked: bool) -> None:
    """Close a connection's socket now. In a forked process the parent's loop does not hear of it."""
    layer = getattr(transport, _TLS, None)
    inner = transport if layer is None else getattr(layer, _INNER, None)
    if layer is not None:
        setattr(transport, _TLS_CLOSED, True)
    if not hasattr(inner, _END) or getattr(inner, _SOCKET) is None:
        with suppress(Exception):
            transport.abort()
        return
    if forked:  # what closes it orderly would take it out of the selector, which the parent shares
        setattr(inner, _CLOSING, True)
        getattr(inner, _SOCKET).close()
        setattr(inner, _SOCKET, None)
        return
    end = getattr(inner, _END)
    setattr(inner, _END, _ended)  # the loop may turn again, and would end it twice
    for ending in (transport.abort, lambda: end(None)):
        with suppress(RuntimeError):  # the loop is closed: there is nobody to be told
            ending()


def _ended(_: object) -> None:
    """Do nothing: the connection has ended."""

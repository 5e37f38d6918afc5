"""That a run is going on, on a terminal, until it ends."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager

from rich.console import Console, Group
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from ..._pipeline.server_limiter import Quota
from .._runs import Requests
from .amounts import counted, duration, quota_left

_A_SECOND = 8
"""How often the line is drawn anew."""


@contextmanager
def shown_requests(
    requests: Requests, quota: Callable[[], Quota | None], console: Console | None = None
) -> Generator[None]:
    """Draw, on stderr unless another console is meant, what is asked for, and the quota below it."""
    console = console or Console(stderr=True)
    spinner, began = Spinner("dots" if console.encoding.startswith("utf") else "line"), time.monotonic()

    def drawn() -> Group:
        spinner.update(text=under_way(requests, time.monotonic() - began))
        left = quota_left(quota())
        return Group(spinner, *([Text(left, style="dim")] if left else []))

    with Live(get_renderable=drawn, console=console, transient=True, refresh_per_second=_A_SECOND):
        yield


def under_way(requests: Requests, seconds: float) -> str:
    """Return what is going on, in a line."""
    sent = counted(requests.sent.total(), "request")
    return "  ".join(filter(None, (requests.latest, sent, duration(seconds))))

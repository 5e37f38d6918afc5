"""How many tenants are going: a bar for each at work on a terminal, elsewhere a line when one has ended (stderr)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager

from ...events import Event, RequestSent
from ...export import Progress
from .amounts import counted
from .output import say, tell
from .progress import Show, Waits


class Tenants:
    """Adds up the resources of each tenant, and counts those that have ended."""

    def __init__(self, number: int, *, requests: bool = False) -> None:
        """Expect so many tenants; bars count `requests` where nobody tells of rows."""
        self.show: Show | None = None
        """Moves a bar; where there is none, there are lines."""
        self._number, self._counts = number, requests
        self._requests = Counter[str]()
        self._news: dict[str, dict[str, Progress]] = {}
        self._waits: dict[str, Waits] = {}
        self._ended = 0

    def progress(self, tenant: str, news: Progress) -> None:
        """Hear how far a resource of a tenant has come."""
        of_tenant = self._news.setdefault(tenant, {})
        of_tenant[news.resource] = news
        if self.show is not None:
            rows, total = (sum(getattr(one, kind) for one in of_tenant.values()) for kind in ("rows", "total"))
            self.show(Progress(tenant, rows, total))

    def hear(self, tenant: str, event: Event) -> None:
        """Count a request, where those are counted; say in a log that a tenant waits for its quota."""
        if self.show is None:
            self._waits.setdefault(tenant, Waits(f"{tenant}: ")).show(event)
        elif self._counts and isinstance(event, RequestSent):
            self._requests[tenant] += 1
            self.show(Progress(tenant, self._requests[tenant], 0))

    def ended(self, tenant: str, done: str, why: str = "") -> None:
        """Hear what a tenant that has ended came to, and `why` it failed if it did."""
        self._ended += 1
        self._news.pop(tenant, None)
        self._waits.pop(tenant, None)
        if self.show is not None:
            self.show(Progress(tenant, 0, 0, finished=True))
        if why:
            say(f"meitner-aio: {tenant}: {why}")
        elif self.show is None:
            tell(f"{tenant}: {done}")

    def below(self) -> str:
        """Return what stands below the bars."""
        return f"{self._ended} of {counted(self._number, 'tenant')} done"


@contextmanager
def shown_tenants(number: int, *, drawing: bool, requests: bool = False) -> Generator[Tenants]:
    """Yield what shows so many tenants, by their rows or their requests. A bar goes when its tenant has ended."""
    shown = Tenants(number, requests=requests)
    if not drawing:
        yield shown
        return
    from .bars import Bars

    with Bars(lambda: None, noun="request" if requests else "row", below=shown.below, leaving=True) as bars:
        shown.show = bars.show
        yield shown

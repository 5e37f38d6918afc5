"""Tenants whose directories are sandboxes in this process: what they were asked, and how much went on at once."""

from __future__ import annotations

import asyncio
from typing import Any

from fault_server import NOON

from meitner_aio import Meitner
from meitner_aio.sandbox import Sandbox

RESOURCES = ("schools", "groups", "students")


def now() -> float:
    """Return the seconds since 1970, by the virtual clock of the loop that runs, if one does."""
    try:
        return NOON + asyncio.get_running_loop().time()
    except RuntimeError:
        return NOON


class Town:
    """A tenant: a sandbox, and what makes its clients."""

    def __init__(self, towns: Towns, **options: Any) -> None:
        size = {"students": 12, "schools": 2, "seed": len(towns.all) + 1, "limiter": "none", "clock": now}
        self.sandbox = Sandbox(**{**size, **options})
        self.clients: list[Meitner] = []
        self._towns = towns
        self._answer, self.sandbox.app.send = self.sandbox.app.send, self._counted  # type: ignore[method-assign]

    def __call__(self) -> Meitner:
        """Make a client."""
        self.clients.append(Meitner.sandbox(self.sandbox))
        self._towns.most_open = max(self._towns.most_open, self._towns.open)
        return self.clients[-1]

    async def _counted(self, request: Any) -> Any:
        towns = self._towns
        towns.sending += 1
        towns.most_sending = max(towns.most_sending, towns.sending)
        try:
            return await self._answer(request)
        finally:
            towns.sending -= 1

    @property
    def requests(self) -> int:
        """Requests that arrived."""
        return len(self.sandbox.requests)


class Towns:
    """Towns by name, and the most clients open and requests in flight that there were at once."""

    def __init__(self) -> None:
        self.all: dict[str, Town] = {}
        self.sending = self.most_sending = self.most_open = 0

    def add(self, *names: str, **options: Any) -> Town:
        """Add towns with these options of a sandbox, and return the last."""
        for name in names:
            self.all[name] = Town(self, **options)
        return self.all[names[-1]]

    @property
    def open(self) -> int:
        """Clients that are open."""
        return sum(not client._core.closed for town in self.all.values() for client in town.clients)

"""How one would read the API over aiohttp in an afternoon: the control that the tests of faults must break."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp


class NaiveClient:
    """Pages by offset until the first total, each asked for up to `attempts` times, whatever goes wrong.

    With one attempt it is what most scripts are, with many what they become after the first bad night.
    """

    def __init__(self, url: str, *, attempts: int = 1, timeout: float = 10.0) -> None:
        self._url = url
        self._attempts = attempts
        self._timeout = aiohttp.ClientTimeout(total=timeout)

    async def ids(self, path: str, limit: int) -> list[str]:
        """Return the ids of all rows."""
        async with aiohttp.ClientSession(timeout=self._timeout) as session:
            first = await self._page(session, path, 0, limit)
            offsets = range(limit, first["pagination"]["total"], limit)
            line = asyncio.Semaphore(8)

            async def page(offset: int) -> dict[str, Any]:
                async with line:
                    return await self._page(session, path, offset, limit)

            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(page(offset)) for offset in offsets]
            rest = [task.result() for task in tasks]
        return [row["id"] for answer in (first, *rest) for row in answer["data"]]

    async def _page(self, session: aiohttp.ClientSession, path: str, offset: int, limit: int) -> dict[str, Any]:
        for attempt in range(self._attempts):
            try:
                async with session.get(f"{self._url}{path}?limit={limit}&offset={offset}") as response:
                    response.raise_for_status()
                    answer: dict[str, Any] = await response.json()
                    answer["data"], answer["pagination"]["total"]
                    return answer
            except Exception:
                if attempt + 1 == self._attempts:
                    raise
        raise AssertionError


class NaiveTokens:
    """Bearer tokens as one fetches them without thinking of the others: whoever is refused gets a new one."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._token = ""
        self.fetched = 0

    async def get(self, session: aiohttp.ClientSession, path: str) -> int:
        """Return the status of an answer; one more attempt when a token is refused."""
        for _ in range(2):
            async with session.get(self._url + path, headers={"Authorization": f"Bearer {self._token}"}) as answer:
                if answer.status != 401:
                    return answer.status
            async with session.post(f"{self._url.removesuffix('/directory/v1')}/oauth/token") as answer:
                self.fetched += 1
                self._token = (await answer.json(content_type=None))["access_token"]
        return 401

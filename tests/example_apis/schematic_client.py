"""A client of Schematic: flags that are kept and have defaults, and events that nobody waits for, sent in batches."""

import math
from collections.abc import Mapping
from typing import Any, Self
from uuid import uuid4

from meitner_aio import Meitner, QuotaPolicy

from .schematic import Events, Fields, Flag, Flags, Keys

API, CAPTURE = "https://api.schematichq.com", "https://c.schematichq.com"
LARGEST_BATCH = 100


class Key:
    """The API key, in a header of its own."""

    def __init__(self, key: str) -> None:
        self.key = key

    async def headers(self) -> dict[str, str]:
        return {"X-Schematic-Api-Key": self.key}


class Schematic:
    """`cache` are the options of `cached`, `options` those of the clients of both servers, such as `timeout`."""

    def __init__(
        self,
        key: str,
        *,
        base_url: str = API,
        capture_url: str = CAPTURE,
        flag_defaults: Mapping[str, bool] | None = None,
        cache: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        self._auth, options = Key(key), {"quota": QuotaPolicy(per_hour=math.inf)} | options
        self.api = Meitner(auth=self._auth, base_url=base_url, **options)
        self._capture = Meitner(auth=self._auth, base_url=capture_url, **options)
        known = {flag: Flag(value=value) for flag, value in (flag_defaults or {}).items()}
        self._flags = self.api.cached(default=Flag(value=False), defaults=known, **(cache or {})).resource(Flags)
        self._buffer: list[dict[str, Any]] = []
        self.outbox = self._capture.outbox()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *raised: object) -> None:
        async with self.api, self._capture, self.outbox:
            await self.outbox.flush()

    async def check_flag(self, flag: str, **whom: Keys) -> bool:
        return (await self._flags.check(flag, **whom)).value

    def identify(self, keys: Keys, *, company: Fields | None = None, **fields: Any) -> None:
        self._put("identify", keys=keys, company=company, **fields)

    def track(self, event: str, **fields: Any) -> None:
        self._put("track", event=event, **fields)

    def _put(self, kind: str, idempotency_key: str | None = None, **body: Any) -> None:
        """Add an event to the batch that waits; the first one starts it. One that comes twice counts once."""
        given = {name: value for name, value in body.items() if value is not None}
        known = {"api_key": self._auth.key, "idempotency_key": idempotency_key or str(uuid4())}
        self._buffer.append({**known, "type": kind, "body": given})
        if len(self._buffer) == 1:
            self.outbox.put(self._send())

    async def _send(self) -> None:
        while self._buffer:
            batch, self._buffer[:] = self._buffer[:LARGEST_BATCH], self._buffer[LARGEST_BATCH:]
            await self._capture.resource(Events).capture(events=batch)

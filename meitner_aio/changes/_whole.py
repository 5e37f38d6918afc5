"""Resources that cannot be searched: read in full, and compared with what they were."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from .._pipeline.identity import Reader
from .._runtime.threads import threaded
from ..errors import IncompleteListing
from ._asked import searchable
from ._change import Change, Upserted
from ._checkpoint import Digest
from ._digest import Comparison, cipher
from ._reading import Reading

_SINGLY = 50
"""Rows that are asked for one by one when a full reading lacks them; for more, it has to be confirmed by another."""


class Whole:
    """Tells such resources, and keeps what they are and which of their rows are gone."""

    def __init__(self, reading: Reading, reader: Reader) -> None:
        """Tell what `reading` asks for; digests are for `reader` alone."""
        self.digests: dict[str, Digest] = {}
        self.gone: dict[str, list[str]] = {}
        """Ids of rows that are gone, by resource."""
        self._reading = reading
        self._reader = reader
        self._salt = os.urandom(16).hex()

    async def tell(self) -> AsyncGenerator[list[Change], None]:
        """Tell each of them whose turn it is."""
        asked = self._reading.asked
        for attribute in asked.resources:
            if searchable(attribute):
                continue
            old = None if asked.checkpoint is None else asked.checkpoint.digests.get(attribute)
            if old is not None and not await self._due(attribute, old):
                self.digests[attribute] = old
                continue
            async with aclosing(self._compared(attribute, old)) as told:
                async for batch in told:
                    yield batch

    async def _due(self, attribute: str, old: Digest) -> bool:
        every = self._reading.asked.grades_every
        if every is None:
            return True
        if self._reading.watch.began is None:
            await (
                self._reading.resource(attribute).list().first()
            )  # nothing was asked yet: somebody has to say the time
        return self._reading.now() - old.read_at >= every

    async def _compared(self, attribute: str, old: Digest | None) -> AsyncGenerator[list[Change], None]:
        """Read a resource in full, and tell what is not as it was."""
        reading, comparison = self._reading, await self._comparison(attribute, old)
        async with aclosing(reading.rows(reading.feed(attribute))) as pages:
            async for rows in pages:
                yield [Upserted(attribute, row) for row in rows if comparison.differs(row)]
        reading.reports[attribute] = reading.feeds.pop(attribute).report
        vanished = comparison.vanished()
        living = await self._confirmed(attribute, vanished)
        yield [Upserted(attribute, row) for row in living.values() if comparison.differs(row)]
        self.gone[attribute] = [id_ for id_ in vanished if id_ not in living]
        if old is None:
            reading.full.add(attribute)
        digests = await threaded(comparison.rows)
        enciphered = await threaded(cipher, digests, await self._key(self._salt), attribute)
        self.digests[attribute] = Digest(self._salt, int(reading.now()), enciphered)

    async def _comparison(self, attribute: str, old: Digest | None) -> Comparison:
        key = await self._key(self._salt)
        if old is None:
            return Comparison(key)
        old_key = await self._key(old.salt)
        return Comparison(key, await threaded(cipher, old.rows, old_key, attribute), old_key)

    async def _key(self, salt: str) -> bytes:
        """Return the key that belongs to a salt, for who reads what and for nobody else."""
        stamp = await threaded(self._reader.stamp, f"{salt} rows")
        return bytes.fromhex(stamp.digest)

    async def _confirmed(self, attribute: str, vanished: list[str]) -> dict[str, Any]:
        """Return which of the rows that a full reading lacks live all the same.

        One that lacks many may have been a faulty answer, an empty one above all: it is read once more, and has to
        lack the same.
        """
        reading = self._reading
        if len(vanished) > _SINGLY:
            lost = {*vanished}
            async with aclosing(reading.rows(reading.feed(attribute))) as pages:
                async for rows in pages:
                    if any(row.id.lower() in lost for row in rows):
                        raise IncompleteListing(f"{attribute}: two readings do not agree on which rows are gone")
            reading.feeds.pop(attribute)
        asked = vanished[:: max(1, -(-len(vanished) // _SINGLY))]
        living: dict[str, Any] = await reading.resource(attribute).get_many(asked)
        if living and len(asked) < len(vanished):
            raise IncompleteListing(f"{attribute}: rows that two readings lack can be read one by one")
        return living

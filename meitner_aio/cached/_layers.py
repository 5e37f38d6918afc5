"""The providers of a cache, asked in turn. One that fails or is too slow is passed over, with a warning.

Each has a seal of its own, because what stays in the memory of this process needs none; the keys are the same for all.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar
from weakref import WeakKeyDictionary

from ._providers import CacheProvider, MemoryCache
from ._sealing import Answer, Seal

T = TypeVar("T")

_log = logging.getLogger("meitner_aio")

_PATIENCE = 1.0
"""Seconds after which a call of a provider counts as failed."""

_REST = 5.0
"""Seconds for which a provider that was too slow is not asked again, so that not every read waits for it."""

_TO_CLEAR = 60.0
"""Seconds for a provider to forget everything: it may have to scan all that it keeps."""


class _Clears:
    """How often the views of this process cleared a provider: answers requested before are not kept afterwards."""

    def __init__(self) -> None:
        self.count = 0


_clears: WeakKeyDictionary[CacheProvider, _Clears] = WeakKeyDictionary()


def _clears_of(provider: CacheProvider) -> _Clears:
    try:
        return _clears.setdefault(provider, _Clears())
    except TypeError:  # not hashable, or no weak references: each view counts by itself
        return _Clears()


class _Layer:
    """One provider: its seal, and whether it may be asked."""

    def __init__(self, provider: CacheProvider, scope: bytes) -> None:
        self.provider = provider
        self.seal = Seal(scope, trusting=type(provider) is MemoryCache)  # nobody else writes to this memory
        self.clears = _clears_of(provider)
        self.failed = False
        """Whether its last call failed."""
        self._suspicious = False
        self._back_at = 0.0

    async def get(self, key: str) -> tuple[Answer, float] | None:
        """Return what is kept, and its age in seconds."""
        kept = None if self._resting else await self._ask(lambda: self.provider.get(key))
        if kept is None:
            return None
        opened = self.seal.opened(key, kept)
        if opened is None and not self._suspicious:
            self._suspicious = True
            _log.warning("the cache provider returned bytes that were never stored; asking the service instead")
        return opened

    async def set(self, key: str, answer: Answer, left: float) -> None:
        """Keep an answer for the seconds that are left of it."""
        if not self._resting:
            value = self.seal.sealed(key, answer)
            await self._ask(lambda: self.provider.set(key, value, left))

    async def delete(self, key: str) -> None:
        """Forget a key."""
        await self._ask(lambda: self.provider.delete(key))

    async def clear(self) -> bool:
        """Forget everything; return whether that succeeded."""
        return await self._ask(self._cleared, _TO_CLEAR) is not None

    async def _cleared(self) -> bool:
        await self.provider.clear()
        return True

    async def _ask(self, ask: Callable[[], Awaitable[T]], patience: float = _PATIENCE) -> T | None:
        """Return the provider's answer; None when it fails or is too slow."""
        self.failed = False
        try:
            async with asyncio.timeout(patience):
                return await ask()
        except Exception as error:  # noqa: BLE001 - whatever a provider raises
            self.failed = True
            if isinstance(error, TimeoutError):
                self._back_at = asyncio.get_running_loop().time() + _REST
            _log.warning("the cache provider failed with %s", type(error).__name__)  # its text may quote a value
            return None

    @property
    def _resting(self) -> bool:
        return asyncio.get_running_loop().time() < self._back_at


class Layers:
    """One or more providers. The first ones are asked first, and get what only a later one has."""

    def __init__(self, providers: Sequence[CacheProvider], scope: bytes) -> None:
        self._layers = [_Layer(provider, scope) for provider in providers]

    def __repr__(self) -> str:
        return " before ".join(repr(layer.provider) for layer in self._layers)

    @property
    def seal(self) -> Seal:
        """What makes the keys, which are the same for all."""
        return self._layers[0].seal

    @property
    def clears(self) -> int:
        """A number that grows when a view of this process clears any of the providers."""
        return sum(layer.clears.count for layer in self._layers)

    async def recalled(self, key: str, fresh: float) -> tuple[Answer, float] | None:
        """Return an answer and its age: the first one younger than `fresh` seconds, else the youngest, or None.

        Providers before the one that has it, which had none or an older one, are given it for the rest of its time.
        """
        since, asked, behind = self.clears, list[_Layer](), list[_Layer]()
        best: tuple[Answer, float] | None = None
        for layer in self._layers:
            found = await layer.get(key)
            if found is not None and (best is None or found[1] < best[1]):
                best, behind = found, list(asked)
            if not layer.failed:
                asked.append(layer)
            if best is not None and best[1] < fresh:
                break
        if best is not None and (left := best[0].lifetime - best[1]) > 0:
            await self._put(behind, key, best[0], left, since)
        return best

    async def keep(self, key: str, answer: Answer, since: int) -> None:
        """Keep an answer that was requested when `clears` was `since`."""
        await self._put(self._layers, key, answer, answer.lifetime, since)

    async def _put(self, layers: Sequence[_Layer], key: str, answer: Answer, left: float, since: int) -> None:
        """Keep an answer, unless a provider was cleared since it was requested, or is cleared while it is stored."""
        for layer in layers:
            if since != self.clears:
                return
            await layer.set(key, answer, left)
            if since != self.clears:
                await layer.delete(key)

    async def delete(self, key: str) -> None:
        """Let every provider forget a key."""
        for layer in self._layers:
            await layer.delete(key)

    async def clear(self) -> None:
        """Let every provider forget everything; where one cannot, new keys make sure that nothing is found again."""
        for layer in self._layers:
            layer.clears.count += 1
        if not all(await asyncio.gather(*(layer.clear() for layer in self._layers))):
            salt = os.urandom(32)
            for layer in self._layers:
                layer.seal = layer.seal.another(salt)

"""A client of Redis, of a URL or the caller's own, and the base of what keeps something there. Alone imports redis."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeAlias

from ..errors import ConfigurationError
from .cleanup import finished

if TYPE_CHECKING:
    import redis.asyncio

    Redis: TypeAlias = redis.asyncio.Redis


def redis_client(redis: object, who: str) -> Any:
    """Return the client of a URL, or the caller's own, which must return bytes; it connects on first use.

    `who` needs it, for the error: `ConfigurationError` if redis is not installed, `TypeError` or `ValueError` for what
    is no asynchronous Redis. No error quotes a URL, which may hold a password.
    """
    try:
        from redis.asyncio import Redis
    except ImportError:
        raise ConfigurationError(f'{who} needs redis: pip install "meitner-aio[redis]"') from None
    try:
        client: Any = Redis.from_url(redis) if isinstance(redis, str) else redis  # pyright: ignore[reportUnknownMemberType]
    except ValueError:  # its text may quote a part of a password
        raise ValueError(
            "redis must be a URL such as redis://localhost:6379; percent-encode a password in it"
        ) from None
    if not isinstance(client, Redis):
        raise TypeError(f"redis must be a URL or a redis.asyncio.Redis, not {type(redis).__name__}")
    if client.connection_pool.connection_kwargs.get("decode_responses"):
        raise ValueError("the Redis client must return bytes: make it with decode_responses=False")
    return client


class InRedis:
    """What keeps something in Redis, under names that begin with a prefix."""

    def __init__(self, redis: str | Redis, prefix: str) -> None:
        """Connect on first use; raises what `redis_client` raises."""
        self._redis: Any = redis_client(redis, type(self).__name__)
        self._ours = isinstance(redis, str)
        self._prefix = prefix

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: prefix {self._prefix!r}>"  # a URL may hold a password

    async def close(self) -> None:
        """Close the connections of a URL; your own client stays open."""
        if self._ours:
            await finished(self._redis.aclose())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

"""A client of Redis from a URL, or the caller's own. The only module that imports redis."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from ..errors import ConfigurationError

if TYPE_CHECKING:
    import redis.asyncio

    Redis: TypeAlias = redis.asyncio.Redis


def redis_client(redis: object, who: str) -> Any:  # noqa: ANN401 - its commands have no types that a checker could use
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

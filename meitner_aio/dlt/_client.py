"""The client that a load reads through, on an event loop of its own: a load is synchronous."""

from __future__ import annotations

from collections.abc import Collection, Generator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from .._pipeline.credentials import OAuth2
from ..client import Meitner
from ..errors import ConfigurationError
from ..portal import Portal

if TYPE_CHECKING:
    from dlt.common.configuration.providers.provider import ConfigProvider

_portals: dict[Meitner, Portal] = {}
"""Portals to clients of callers: a client belongs to the loop that it was first used in, so one serves all loads."""


class Reading:
    """Whom the resources of one source read through.

    A client that was made of the configuration is closed with the last of them, or when one fails; others are their
    owner's.
    """

    def __init__(self, given: Meitner | Portal | None) -> None:
        """Read through what is given, None for a client of the configuration; `TypeError` for anything else."""
        if not isinstance(given, Meitner | Portal | None):  # pyright: ignore[reportUnnecessaryIsInstance] - callers err
            raise TypeError(f"meitner must be a Meitner client, a Portal or None, not {type(given).__name__}")
        self._given = given
        self._own: Portal | None = None
        self._open: set[str] = set()
        """Resources that are still to be read through the client of the configuration."""

    @contextmanager
    def portal(self, resource: str, together: Collection[str]) -> Generator[Portal, None, None]:
        """Give the portal in which a resource is read, one of those that are read `together`."""
        if isinstance(self._given, Portal):
            yield self._given
        elif self._given is not None:
            yield _portals.setdefault(self._given, Portal(self._given))
        else:
            with self._configured(resource, together) as portal:
                yield portal

    @contextmanager
    def _configured(self, resource: str, together: Collection[str]) -> Generator[Portal, None, None]:
        if self._own is None:
            self._own, self._open = Portal(configured()), set(together)
        try:
            yield self._own
        except Exception:
            self._open.clear()
            raise
        finally:
            self._open.discard(resource)
            if not self._open:
                self._close()

    def _close(self) -> None:
        own, self._own = self._own, None
        if own is not None:
            own.close()


def configured() -> Meitner:
    """Return a client of what `sources.meitner` says in dlt's configuration, else of the environment."""
    import dlt

    def secret(name: str) -> str | None:
        return _setting(dlt.secrets.config_providers, name)

    base_url = _setting(dlt.config.config_providers, "base_url")
    client_secret, credentials, client_id = map(secret, ("client_secret", "client_credentials", "client_id"))
    if client_secret is None and credentials is None and client_id is None:
        return Meitner(base_url=base_url)
    if client_secret is None or (credentials is None) == (client_id is None):
        raise ConfigurationError(
            "sources.meitner in dlt's secrets needs client_secret, and beside it either client_credentials or "
            "client_id (OAuth2)"
        )
    if credentials is not None:
        return Meitner(credentials, client_secret, base_url=base_url)
    token_url = _setting(dlt.config.config_providers, "token_url") or "/oauth/token"
    return Meitner(auth=OAuth2(str(client_id), client_secret, token_url), base_url=base_url)


def _setting(providers: Sequence[ConfigProvider], name: str) -> str | None:
    """Return what the first provider says that says something.

    Without `dlt.secrets.get`: what that finds is in the trace which dlt keeps of a load, secrets in the clear.
    """
    for provider in providers:
        value, _ = provider.get_value(name, str, None, "sources", "meitner")
        if value is not None:
            return str(value)
    return None

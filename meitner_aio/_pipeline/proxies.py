"""Which proxy a request takes: the one that the caller named, else, where that is trusted, the environment's."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from ..errors import ConfigurationError
from .settings import is_loopback


class Proxies:
    """The proxies of one client: `proxy` for every request, or those of the environment."""

    def __init__(self, base_url: str, proxy: str | None) -> None:
        """Raise `ConfigurationError` for a `proxy` that must not see requests below `base_url`."""
        self._proxy = proxy
        self._found: dict[tuple[str, str], str | None] = {}
        if proxy is not None:
            _check(base_url, proxy)

    async def of(self, url: str) -> str | None:
        """Return the proxy for a request, None for none.

        The environment's proxy does not apply to this machine, to which plain http is allowed: it would see
        credentials. aiohttp's own look-up would also read a login for the server from .netrc.
        """
        if self._proxy is not None:
            _check(url, self._proxy)  # the token endpoint may be elsewhere
            return self._proxy
        parts = urlsplit(url)
        host = parts.hostname or ""
        if is_loopback(host):
            return None
        origin = parts.scheme, host
        if origin not in self._found:
            self._found[origin] = await asyncio.to_thread(_environments, *origin)
        return self._found[origin]


def _environments(scheme: str, host: str) -> str | None:
    """Return the environment's proxy for a server. Blocking: the system may look up names for it."""
    return None if proxy_bypass(host) else getproxies().get(scheme)


def _check(url: str, proxy: str) -> None:
    """Refuse a proxy elsewhere for plain http to this machine: it would get credentials in the clear."""
    try:
        parts = urlsplit(proxy)
    except ValueError:  # aiohttp refuses it
        return
    if parts.hostname and urlsplit(url).scheme == "http" and not is_loopback(parts.hostname):
        raise ConfigurationError(
            "proxy must be on this machine, as base_url is: credentials would leave it in the clear"
        )

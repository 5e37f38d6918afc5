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
        self._proxy = None if proxy is None else _checked(proxy)
        self._found: dict[tuple[str, str], str | None] = {}
        if proxy is not None:
            _check(base_url, proxy)

    async def of(self, url: str) -> str | None:
        """Return the proxy for a request, None for none.

        The environment's proxy applies neither to this machine nor to plain http: it would see credentials. aiohttp's
        own look-up would also read a login for the server from .netrc.
        """
        if self._proxy is not None:
            _check(url, self._proxy)  # the token endpoint may be elsewhere
            return self._proxy
        parts = urlsplit(url)
        host = parts.hostname or ""
        if parts.scheme == "http" or is_loopback(host):
            return None
        origin = parts.scheme, host
        if origin not in self._found:
            self._found[origin] = await asyncio.to_thread(_environments, *origin)
        return self._found[origin]


def _environments(scheme: str, host: str) -> str | None:
    """Return the environment's proxy for a server. Blocking: the system may look up names for it."""
    return None if proxy_bypass(host) else getproxies().get(scheme)


def _checked(proxy: object) -> str:
    """Return the URL of a proxy. An error does not quote it: it may hold a password."""
    if not isinstance(proxy, str):
        raise TypeError(f"proxy must be a str, not {type(proxy).__name__}")
    try:
        parts = urlsplit(proxy)
        wrong = parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0
    except ValueError:
        wrong = True
    if wrong or not proxy.isascii() or not proxy.isprintable() or " " in proxy:
        raise ConfigurationError("proxy must be an absolute http or https URL, such as http://localhost:3128")
    return proxy


def _check(url: str, proxy: str) -> None:
    """Refuse a proxy elsewhere for plain http: it would get credentials in the clear."""
    if urlsplit(url).scheme == "http" and not is_loopback(urlsplit(proxy).hostname or ""):
        raise ConfigurationError(
            "proxy must be on this machine where base_url is plain http: it would get credentials in the clear"
        )

"""What a client is built from: credentials, a server, headers. Refuses what could not work, or would leak."""

from __future__ import annotations

import ipaddress
import math
import os
import re
from collections.abc import Mapping
from ssl import CERT_NONE, SSLContext
from urllib.parse import urljoin, urlsplit

from .. import __version__
from ..errors import ConfigurationError
from .authentication import over
from .credentials import ApiKey, Auth, OAuth2
from .environment import secret_of

SERVERS = {
    "production": "https://api.meitner.se/directory/v1",
    "staging": "https://api.staging.meitner.se/directory/v1",
}
"""The API's own servers."""

_ACCEPT = {"Accept": "application/json", "Accept-Encoding": "gzip, deflate"}


def credentials(client_credentials: str | None, client_secret: str | None, auth: Auth | OAuth2 | None) -> Auth | OAuth2:
    """Return the credentials to use: those given, else those of the environment."""
    if auth is not None:
        if client_credentials is not None or client_secret is not None:
            raise ConfigurationError("give either auth or client_credentials and client_secret, not both")
        if not (callable(getattr(auth, "headers", None)) or type(auth) is OAuth2):
            raise ConfigurationError(
                f"auth must be ApiKey, OAuth2 or have an async headers(), not {type(auth).__name__}"
            )
        return auth
    key = client_credentials or os.environ.get("MEITNER_CLIENT_CREDENTIALS")
    secret = client_secret or secret_of(os.environ)
    client_id = os.environ.get("MEITNER_CLIENT_ID")
    if key and secret:
        return ApiKey(key, secret)
    if client_id and secret and client_credentials is None:
        token_url = os.environ.get("MEITNER_TOKEN_URL")
        if token_url and client_secret:
            raise ConfigurationError("MEITNER_TOKEN_URL is only for a secret of the environment: pass auth=OAuth2(...)")
        return OAuth2(client_id, secret, token_url or "/oauth/token")
    raise ConfigurationError(
        "no credentials: pass client_credentials and client_secret, or set MEITNER_CLIENT_CREDENTIALS and "
        "MEITNER_CLIENT_SECRET (for OAuth2: MEITNER_CLIENT_ID, MEITNER_CLIENT_SECRET and optionally MEITNER_TOKEN_URL)",
        missing_credentials=True,
    )


def server_url(server: str, base_url: str | None, *, given: bool) -> str:
    """Return the URL of the server: of the environment, unless one is passed.

    A secret that was `given` is not sent to a server that only the environment names: the variable may be meant for
    other credentials, perhaps a sandbox's.
    """
    told = os.environ.get("MEITNER_BASE_URL")
    url = base_url or told
    url = url and safe_url(url, "base_url").rstrip("/")
    if url and (base_url or not given or url == SERVERS.get(server)):
        return url
    if url:
        raise ConfigurationError(
            "MEITNER_BASE_URL names the server of the environment's credentials, and others were passed: "
            "pass base_url beside them, or unset the variable"
        )
    if server not in SERVERS:
        raise ConfigurationError(f"server must be one of {', '.join(SERVERS)}; other servers go into base_url")
    return SERVERS[server]


def safe_url(url: str, name: str) -> str:
    """Return a URL to which credentials may go: https, or http to this machine; no user, query or fragment."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        raise ConfigurationError(f"{name} is not a URL") from None
    if parts.scheme not in ("http", "https") or not host or not url.isascii() or not url.isprintable() or " " in url:
        raise ConfigurationError(f"{name} must be an absolute http or https URL")
    if parts.username is not None or set(url) & set("?#\\"):  # also empty ones, which swallow the path that follows
        raise ConfigurationError(f"{name} must hold no user, query or fragment")
    if parts.scheme == "http" and not is_loopback(host):
        raise ConfigurationError(f"{name} must be https: credentials and personal data would travel in the clear")
    return url


def is_loopback(host: str) -> bool:
    """Whether a host is certainly this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def checked_ssl(context: object) -> SSLContext:
    """Return a context that verifies the server; `ConfigurationError` for any other."""
    if not isinstance(context, SSLContext):
        raise ConfigurationError(
            f"ssl must be an ssl.SSLContext, not {context!r:.20}: certificates are always verified"
        )
    if context.verify_mode is CERT_NONE or not context.check_hostname:
        raise ConfigurationError(
            "ssl must check certificates and host names: load the certificate to trust with load_verify_locations()"
        )
    return context


_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_LINE = re.compile(r"[\t\x20-\x7e]*")


def every_header(headers: Mapping[str, str] | None, user_agent: str | None) -> dict[str, str]:
    """Return the headers of every request."""
    agent = f"meitner-aio/{__version__}" if user_agent is None else user_agent
    return over({**_ACCEPT, "User-Agent": agent}, headers or {})


def checked_headers(headers: Mapping[str, str]) -> Mapping[str, str]:
    """Return headers that can be sent; `ValueError` for one that could inject another, `TypeError` for no text."""
    for name, value in headers.items():
        if not isinstance(name, str) or not isinstance(value, str):  # pyright: ignore[reportUnnecessaryIsInstance] - callers err
            raise TypeError("the names and values of headers must be str")
        if not _TOKEN.fullmatch(name):
            raise ValueError("a header's name must be a token (RFC 9110, 5.6.2)")
        if not _LINE.fullmatch(value):
            raise ValueError(f"the header {name} must hold printable ASCII on one line")
    return headers


def public_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers that may go to another server than the API's: any other may be a secret."""
    public = {"user-agent", *(name.lower() for name in _ACCEPT)}
    return {name: value for name, value in headers.items() if name.lower() in public}


def same_server(url: str, other: str) -> bool:
    """Whether two URLs name the same origin."""
    ours, theirs = urlsplit(url.lower()), urlsplit(other.lower())
    return (ours.scheme, ours.netloc) == (theirs.scheme, theirs.netloc)


def api_url(base: str, api: str) -> str:
    """Return the base URL of another API below the origin, beside that of the client; its own for an empty name."""
    if not api:
        return base
    return f"{base.removesuffix(_OWN_API)}/{api}" if base.endswith(_OWN_API) else urljoin(base, f"/{api}")


_OWN_API = "/directory/v1"


def check_timeout(timeout: object) -> None:
    """Refuse what is neither seconds nor an `aiohttp.ClientTimeout`, which is recognised by an attribute."""
    if hasattr(timeout, "sock_connect"):
        return
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)):
        raise TypeError(f"timeout must be seconds or an aiohttp.ClientTimeout, not {type(timeout).__name__}")
    if not 0 < timeout < math.inf:
        raise ValueError("timeout must be positive and finite; for none at all pass aiohttp.ClientTimeout(total=None)")

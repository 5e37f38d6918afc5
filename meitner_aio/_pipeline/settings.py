"""What a client is built from: credentials, a server, headers. Refuses what could not work, or would leak."""

from __future__ import annotations

import ipaddress
import math
import os
import re
import warnings
from collections.abc import Mapping
from ssl import CERT_NONE, SSLContext
from urllib.parse import urljoin, urlsplit

from .. import __version__
from .._wire.validation import check_seconds
from ..errors import ConfigurationError
from .authentication import over
from .credentials import ApiKey, Auth, OAuth2, Secret
from .environment import secret_of

SERVERS = {
    "production": "https://api.meitner.se/directory/v1",
    "staging": "https://api.staging.meitner.se/directory/v1",
}
"""The API's own servers."""

_VENDOR = ".meitner.se"

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
    for name, text in (("client_credentials", client_credentials), ("client_secret", client_secret)):
        if text is not None:
            Secret(text, name)  # an empty one is no wish for the environment's
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


def server_url(server: str, base_url: str | None, *, given: bool, insecure: bool = False) -> str:
    """Return the URL of the server: of the environment, unless one is passed.

    A secret that was `given` is not sent to a server that only the environment names: the variable may be meant for
    other credentials, perhaps a sandbox's.
    """
    if not isinstance(server, str) or server not in SERVERS:  # pyright: ignore[reportUnnecessaryIsInstance] - callers err
        raise ConfigurationError(f"server must be one of {', '.join(SERVERS)}; other servers go into base_url")
    url = os.environ.get("MEITNER_BASE_URL") or None if base_url is None else base_url
    url = None if url is None else safe_url(url, "base_url", insecure=insecure).rstrip("/")
    if url and (base_url or not given or url == SERVERS.get(server)):
        return url
    if url:
        raise ConfigurationError(
            "MEITNER_BASE_URL names the server of the environment's credentials, and others were passed: "
            "pass base_url beside them, or unset the variable"
        )
    return SERVERS[server]


def safe_url(url: str, name: str, *, insecure: bool = False) -> str:
    """Return a URL to which credentials may go: https, or http to this machine; no user, query or fragment.

    With `insecure` also http to any other host but the API's own.
    """
    if not isinstance(url, str):  # pyright: ignore[reportUnnecessaryIsInstance] - callers err
        raise TypeError(f"{name} must be a str, not {type(url).__name__}")
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        raise ConfigurationError(f"{name} is not a URL") from None
    if parts.scheme not in ("http", "https") or not host or not url.isascii() or not url.isprintable() or " " in url:
        raise ConfigurationError(f"{name} must be a whole URL, such as {SERVERS['production']}")
    if parts.username is not None or set(url) & set("?#\\"):  # also empty ones, which swallow the path that follows
        raise ConfigurationError(f"{name} must hold no user, query or fragment")
    if parts.scheme == "http" and not is_loopback(host) and (not insecure or f".{host}".endswith(_VENDOR)):
        raise ConfigurationError(
            f"{name} must be https: credentials and personal data would travel in the clear; in Python, "
            "insecure=True allows that within a network of your own"
        )
    return url


def warn_if_insecure(url: str, auth: object) -> None:
    """Warn whoever builds a client whose requests, or those for a token, travel in the clear beyond this machine."""
    urls = [urlsplit(url)]
    if isinstance(auth, OAuth2):
        urls.append(urlsplit(urljoin(url, auth.token_url)))
    clear = dict.fromkeys(one.netloc for one in urls if one.scheme == "http" and not is_loopback(one.hostname or ""))
    if clear:
        message = f"insecure=True: credentials and personal data travel to {' and '.join(clear)} in the clear"
        warnings.warn(message, UserWarning, stacklevel=4)


def check_kinds(**given: tuple[object, type]) -> None:
    """Raise `TypeError` for an argument that is neither None nor of its type."""
    for name, (value, kind) in given.items():
        if value is not None and not isinstance(value, kind):
            raise TypeError(f"{name} must be a {kind.__name__}, not {type(value).__name__}")


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
    check_kinds(user_agent=(user_agent, str))
    agent = f"meitner-aio/{__version__}" if user_agent is None else user_agent
    if headers is not None and not isinstance(headers, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance] - callers err
        raise TypeError(f"headers must be a mapping of names to values, not {type(headers).__name__}")
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
        for part in ("total", "connect", "sock_connect", "sock_read"):
            if (seconds := getattr(timeout, part, None)) is not None:
                check_seconds(f"timeout.{part}", seconds)
        return
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)):
        raise TypeError(f"timeout must be seconds or an aiohttp.ClientTimeout, not {type(timeout).__name__}")
    if not 0 < timeout < math.inf:
        raise ValueError("timeout must be positive and finite; for none at all pass aiohttp.ClientTimeout(total=None)")

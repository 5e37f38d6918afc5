"""Credentials for the API. Keeps secrets out of `repr`, `str` and pickle; sends nothing.

An API key is two headers (`Client-ID`, `Client-Secret`); OAuth2 is the client-credentials grant (RFC 6749, 4.4).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NoReturn, Protocol, runtime_checkable

from .._wire.validation import strip_traceback
from ..errors import ConfigurationError

PRINTABLE = re.compile(r"[\x21-\x7e]+")
"""The characters of a credential: it is sent in a header."""


@runtime_checkable
class Auth(Protocol):
    """Anything that can return the headers that authenticate a request."""

    async def headers(self) -> Mapping[str, str]:
        """Return the headers to add to a request."""
        ...


class Secret:
    """Text that `repr`, `str` and pickle do not show: only `reveal()` returns it."""

    __slots__ = ("_text",)

    def __init__(self, text: object, name: str) -> None:
        """Raise `ConfigurationError` for what cannot be a credential in a header."""
        if not isinstance(text, str) or not PRINTABLE.fullmatch(text):
            del text  # a traceback may show the locals of this frame
            raise ConfigurationError(f"{name} must be printable ASCII without blanks, and not empty")
        self._text = text

    def reveal(self) -> str:
        """Return the text."""
        return self._text

    def __repr__(self) -> str:
        return "***"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret cannot be pickled or copied")


class ApiKey:
    """The two headers `Client-ID` and `Client-Secret`, on every request."""

    __slots__ = ("_credentials", "_secret")

    @strip_traceback
    def __init__(self, client_credentials: str, client_secret: str) -> None:
        """Raise `ConfigurationError` for what cannot be a credential."""
        self._credentials = Secret(client_credentials, "client_credentials")
        self._secret = Secret(client_secret, "client_secret")

    async def headers(self) -> Mapping[str, str]:
        """Return the two headers."""
        return {"Client-ID": self._credentials.reveal(), "Client-Secret": self._secret.reveal()}

    def secrets(self) -> tuple[Secret, Secret]:
        """Return both credentials."""
        return self._credentials, self._secret

    def __repr__(self) -> str:
        return "ApiKey(***)"


class OAuth2:
    """Client credentials for bearer tokens; `token_url` is absolute, or relative to the server.

    Holds no token: every client fetches its own and keeps it in memory.
    """

    __slots__ = ("client_id", "client_secret", "token_url")

    @strip_traceback
    def __init__(self, client_id: str, client_secret: str, token_url: str = "/oauth/token") -> None:  # noqa: S107 - a path
        """Raise `ConfigurationError` for what cannot be a credential."""
        self.client_id = Secret(client_id, "client_id")
        self.client_secret = Secret(client_secret, "client_secret")
        if not isinstance(token_url, str):  # pyright: ignore[reportUnnecessaryIsInstance] - callers err
            raise TypeError(f"token_url must be a str, not {type(token_url).__name__}")
        self.token_url = token_url

    def __repr__(self) -> str:
        return f"OAuth2(***, token_url={self.token_url!r})"

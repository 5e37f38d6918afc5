"""What a profile settles, and where its secret may go. Pure, except for a secret that lies in a keyring or a file.

What is said in a call or typed beats the environment, and the environment beats the file. A profile stands alone: none
inherits from another, so that no server gets the credentials of a second one. For the same reason an address and a
secret come from the same source, unless a person says otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from .._pipeline.credentials import ApiKey, OAuth2
from .._pipeline.environment import ADDRESS, has_identity, has_secret, secret_of
from .._pipeline.settings import SERVERS, same_server
from .._wire.validation import strip_traceback
from ..errors import ConfigurationError

USUAL = "default"
"""The profile of whoever names none."""

_SECRETS = ("client_credentials", "client_secret")
_URLS = ("base_url", "token_url")
"""They are refused with a user or a query, where a secret may stand."""
_BESIDE = "put {0} beside it in the file, unset the variable, or name the server yourself (--base-url, base_url=)"

_Count = Annotated[int, Meta(ge=1)]


class Profile(Struct, frozen=True, kw_only=True):
    """What a profile may settle. `repr` shows no secret."""

    server: Literal["production", "staging"] | None = None
    base_url: str | None = None
    client_credentials: str | None = None
    client_secret: str | None = None
    client_id: str | None = None
    token_url: str | None = None
    keyring: str | None = None
    """Under which name the secret is in the keyring of the system."""
    page_size: _Count | None = None
    concurrency: _Count | None = None
    format: str | None = None
    to: str | None = None
    max_wait: Annotated[float, Meta(ge=0)] | None = None

    def __repr__(self) -> str:
        return f"Profile({', '.join(f'{name}={value!r}' for name, value in self.__rich_repr__())})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:  # msgspec's would show the secrets
        masked = (*_SECRETS, "client_id", *(name for name in _URLS if set(getattr(self, name) or "") & set("@?")))
        known = [(name, getattr(self, name)) for name in self.__struct_fields__]
        return [(name, "***" if name in masked else value) for name, value in known if value is not None]

    @strip_traceback
    def auth(self, environment: Mapping[str, str]) -> ApiKey | OAuth2 | None:
        """Return the credentials of the profile; None when the environment or nothing has some.

        A secret of the environment completes an id of the profile; an id of the environment needs a secret from there,
        too: an id and a secret from different sources do not belong together.
        """
        if has_identity(environment) or not (self.client_credentials or self.client_id):
            return None
        secret = secret_of(environment) or self.secret()
        if not secret:
            return None
        if self.client_credentials:
            return ApiKey(self.client_credentials, secret)
        if self.client_id:
            token_url = environment.get("MEITNER_TOKEN_URL") or self.token_url
            if token_url != self.token_url and not has_secret(environment):
                raise ConfigurationError(
                    f"MEITNER_TOKEN_URL gets no secret of a profile: {_BESIDE.format('token_url')}"
                )
            return OAuth2(self.client_id, secret, *filter(None, [token_url]))
        return None

    def secret(self) -> str | None:
        """Return the secret of the profile, from the keyring where it says so; blocking, then. None for none."""
        if self.keyring is None:
            return self.client_secret
        from .keyring_secrets import kept

        return kept(self.keyring)

    def holds_secrets(self) -> bool:
        """Whether the file holds what only its owner may read."""
        return any(getattr(self, name) for name in _SECRETS)

    def url(self, environment: Mapping[str, str], typed: str | None = None, *, named: bool = False) -> str | None:
        """Return the server's URL: the one that was typed, else the environment's, else the profile's; None for none.

        Raises `ConfigurationError` where a secret would go to a server that neither its own source nor the person
        names. Whoever `named` a profile says its address, and whoever types one; but what belongs to production or
        staging does not go to the other, and what is said to belong there goes nowhere else.
        """
        own, set_url = self.base_url or SERVERS.get(self.server or ""), environment.get(ADDRESS)
        usual, theirs = own or SERVERS["production"], has_identity(environment)
        belong = not theirs and bool(self.client_credentials or self.client_id)
        mine = belong and not has_secret(environment)
        if typed:
            apis_own = self.server or any(same_server(typed, url) for url in SERVERS.values())
            if belong and apis_own and not self.base_url and not same_server(typed, usual):
                raise ConfigurationError(
                    f"the credentials of this profile belong to {self.server or 'production'} and go to no other "
                    "server: keep those of another in a profile that says its server or base_url"
                )
            return typed
        if set_url and mine and not same_server(set_url, usual):
            raise ConfigurationError(f"MEITNER_BASE_URL gets no secret of a profile: {_BESIDE.format('base_url')}")
        if own and theirs and not set_url and own != SERVERS["production"]:
            self._check_meant(named=named)
        return set_url or own

    def _check_meant(self, *, named: bool) -> None:
        """Refuse this profile's address for credentials of the environment, unless the profile was named."""
        if self.client_secret or self.client_credentials or self.client_id:
            raise ConfigurationError(
                "the environment has credentials, and this profile others for a server of its own: unset "
                "MEITNER_CLIENT_CREDENTIALS and MEITNER_CLIENT_ID, or set MEITNER_BASE_URL beside them"
            )
        if not named:
            raise ConfigurationError(
                f"the environment has credentials, and the profile {USUAL} a server that nobody named for them: "
                f"add --profile {USUAL}, or set MEITNER_BASE_URL beside them"
            )

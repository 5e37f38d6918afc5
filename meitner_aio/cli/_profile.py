"""Settings in config.toml, one table for each profile. Never prompts.

What is typed beats the environment, and the environment beats the file. A profile stands alone: none inherits from
another, so that no server gets the credentials of a second one. For the same reason an address and a secret come from
the same source, unless a person says otherwise.
"""

from __future__ import annotations

import os
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

import msgspec
from msgspec import Meta, Struct

from .._pipeline.settings import SERVERS, same_server
from .._runtime.private_files import open_private
from .._wire.validation import strip_traceback, suggestion
from ..errors import ConfigurationError
from ..export import Format
from ._exit import UsageError

if TYPE_CHECKING:
    from .._pipeline.credentials import ApiKey, OAuth2

USUAL = "default"
"""The profile of whoever names none."""

_SECRETS = ("client_credentials", "client_secret")
_OTHERS = 0o077
"""The permissions of everybody but the owner."""

_BESIDE = "put {0} beside it in the file, unset the variable, or type --base-url"

_Count = Annotated[int, Meta(ge=1)]


class Profile(Struct, frozen=True, kw_only=True):
    """What a profile may settle. `repr` shows no secret."""

    server: Literal["production", "staging"] | None = None
    base_url: str | None = None
    client_credentials: str | None = None
    client_secret: str | None = None
    client_id: str | None = None
    token_url: str | None = None
    page_size: _Count | None = None
    concurrency: _Count | None = None
    format: Format | None = None
    to: str | None = None
    max_wait: Annotated[float, Meta(ge=0)] | None = None

    def __repr__(self) -> str:
        return f"Profile({', '.join(f'{name}={value!r}' for name, value in self.__rich_repr__())})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:  # msgspec's would show the secrets
        masked = (*_SECRETS, "client_id")
        known = [(name, getattr(self, name)) for name in self.__struct_fields__]
        return [(name, "***" if name in masked else value) for name, value in known if value is not None]

    @strip_traceback
    def auth(self, environment: Mapping[str, str]) -> ApiKey | OAuth2 | None:
        """Return the credentials of the profile; None when the environment or nothing has some.

        A secret of the environment completes an id of the profile; an id of the environment needs a secret from there,
        too: an id and a secret from different sources do not belong together.
        """
        from .._pipeline.credentials import ApiKey, OAuth2

        secret = environment.get("MEITNER_CLIENT_SECRET") or self.client_secret
        if _in_environment(environment) or not secret:
            return None
        if self.client_credentials:
            return ApiKey(self.client_credentials, secret)
        if self.client_id:
            token_url = environment.get("MEITNER_TOKEN_URL") or self.token_url
            if token_url != self.token_url and secret == self.client_secret:
                raise ConfigurationError(
                    f"MEITNER_TOKEN_URL gets no secret of a profile: {_BESIDE.format('token_url')}"
                )
            return OAuth2(self.client_id, secret, *filter(None, [token_url]))
        return None

    def url(self, environment: Mapping[str, str], typed: str | None = None, *, named: bool = False) -> str | None:
        """Return the server's URL: the one that was typed, else the environment's, else the profile's; None for none.

        Raises `ConfigurationError` where a secret would go to a server that neither its own source nor the person
        names. Whoever `named` a profile says its address, and whoever types one; but what belongs to production or
        staging does not go to the other, and what is said to belong there goes nowhere else.
        """
        own, set_url = self.base_url or SERVERS.get(self.server or ""), environment.get("MEITNER_BASE_URL")
        usual, theirs = own or SERVERS["production"], _in_environment(environment)
        belong = not theirs and bool(self.client_credentials or self.client_id)
        mine = belong and not environment.get("MEITNER_CLIENT_SECRET")
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


def _in_environment(environment: Mapping[str, str]) -> bool:
    return bool(environment.get("MEITNER_CLIENT_CREDENTIALS") or environment.get("MEITNER_CLIENT_ID"))


def config_path() -> Path:
    """Return where the file is: in the folder that the platform has for the settings of a user."""
    import platformdirs

    return platformdirs.user_config_path("meitner-aio", appauthor=False) / "config.toml"


def load(name: str | None) -> Profile:
    """Return a profile of the file: the one named, else `default`, else, where there is none, an empty one.

    Raises `UsageError` for a name, a file or a setting that cannot be meant, and `ConfigurationError` for a file that
    others may have written, secrets or not: it decides where those of the environment go. So does a file that holds
    secrets and that others may read. A link of your own is followed, and the file that it leads to judged.
    """
    profiles = load_all(name)
    if name is None:
        return profiles.get(USUAL, Profile())
    if name not in profiles:
        raise UsageError(f"there is no profile {name!r} in {config_path()}{suggestion(name, profiles)}")
    return profiles[name]


def load_all(name: str | None = None) -> dict[str, Profile]:
    """Return every profile of the file by name, in its order; none where there is no file, unless one is named.

    Raises what `load` raises.
    """
    path = config_path()
    try:
        with os.fdopen(open_private(path, follow=True), "rb") as file:
            tables = tomllib.load(file)
            mode = os.fstat(file.fileno()).st_mode
    except (FileNotFoundError, NotADirectoryError):
        if name is None:
            return {}
        raise UsageError(f"there is no profile {name!r}: {path} does not exist") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as broken:
        raise UsageError(f"{path} is not TOML: {_place(broken)}") from None
    profiles = {key: _profile(key, table, path) for key, table in tables.items()}
    if sys.platform != "win32" and mode & _OTHERS and any(map(_holds_secrets, profiles.values())):
        raise ConfigurationError(f"others may read {path}, which holds secrets: chmod 600 {path}")
    return profiles


def _place(broken: Exception) -> str:
    """Return where a file is broken; what stands there may be a secret."""
    text = str(broken)
    return text[text.rindex("(") :].strip("()") if text.endswith(")") else "it must be UTF-8"


def _holds_secrets(profile: Profile) -> bool:
    return any(getattr(profile, name) for name in _SECRETS)


def _profile(name: str, table: object, path: Path) -> Profile:
    if not isinstance(table, dict):
        raise UsageError(f"{path}: {name} stands in no profile; put it below a line such as [{USUAL}]")
    known = Profile.__struct_fields__
    for key in cast("dict[str, object]", table):
        if key not in known:
            raise UsageError(f"{path}: profile {name} has an unknown setting {key!r}{suggestion(key, known)}")
    try:
        return msgspec.convert(table, Profile)
    except msgspec.ValidationError as wrong:
        raise UsageError(f"{path}: profile {name}: {_without_values(wrong)}") from None


def _without_values(wrong: msgspec.ValidationError) -> str:
    """Return what a setting must be and which one it is."""
    what, _, where = str(wrong).partition(" - at `$.")
    key = where.rstrip("`")
    choices = {"server": ", ".join(SERVERS), "format": ", ".join(Format.__args__)}  # type: ignore[attr-defined]
    if key in choices:
        return f"{key} must be one of {choices[key]}"
    return f"{key}: {what[:1].lower()}{what[1:]}"

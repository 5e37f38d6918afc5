"""The commands about profiles that are there: which ones, and away with one. No secret is shown."""

from __future__ import annotations

from contextlib import nullcontext
from typing import NamedTuple

from ..._pipeline.settings import SERVERS, safe_url
from ..._profiles import keyring_secrets
from ..._profiles.file import named
from ...errors import ConfigurationError
from .. import _config_file
from .._options import Json
from .._profile import Profile, config_path, load_all, usable
from ..rendering.output import tell, write_json, write_table
from .login import ProfileName, forgotten, profile_name

_WORDS = {"api_key": "API key", "oauth2": "OAuth2", None: "none", "file": "config.toml", "keyring": "keyring"}


class _Facts(NamedTuple):
    """What may be told of a profile."""

    name: str
    server: str
    credentials: str | None
    secret: str | None


def profiles_command(*, json: Json = False) -> None:
    """List the profiles, their servers, and where their secrets are.

    Shows no secret.

    Example: meitner-aio profiles --json
    """
    found = [_facts(name, profile) for name, profile in load_all().items()]
    if json:
        write_json([one._asdict() for one in found])
        return
    if not found:
        tell(f"{config_path()} has no profiles. To make one: meitner-aio login")
        return
    rows = [[one.name, one.server, _WORDS[one.credentials], _WORDS[one.secret]] for one in found]
    write_table([["profile", "server", "credentials", "secret"], *rows], wrapped=frozenset({1}))


def logout_command(*, profile: ProfileName = None) -> None:
    """Remove a profile, and its secret from the keyring.

    All settings of the profile are removed.
    The key itself stays valid until you revoke it at Meitner.

    Example: meitner-aio logout --profile solna
    """
    name = profile_name(profile)
    with usable():
        kept = named(name, _config_file.kept())
    with keyring_secrets.restoring(kept.keyring) if kept.keyring else nullcontext():
        if kept.keyring:
            forgotten(kept.keyring, name)
        mended = _config_file.remove(name)
    for line in mended:
        tell(line)
    tell(f"Removed: profile {name} from {config_path()}.")
    if kept.client_credentials or kept.client_id:
        tell("Its key is still valid: revoke it at Meitner if nobody else uses it.")


def _facts(name: str, profile: Profile) -> _Facts:
    kind = "api_key" if profile.client_credentials else "oauth2" if profile.client_id else None
    secret = "keyring" if profile.keyring else "file" if profile.client_secret else None
    return _Facts(name, _server(profile), kind, secret)


def _server(profile: Profile) -> str:
    try:
        return safe_url(profile.base_url or SERVERS[profile.server or "production"], "base_url")
    except ConfigurationError:  # it may hold a password
        return "no usable address"

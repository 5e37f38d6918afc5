"""The command that keeps credentials. They are asked for, or come through a pipe; a secret is never an option.

Nothing is written before the server has accepted them.
"""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import nullcontext
from typing import Annotated, Literal

from cyclopts import Parameter

from ..._pipeline.admission import QuotaPolicy
from ..._pipeline.credentials import ApiKey, OAuth2
from ..._pipeline.environment import LARGEST_SECRET, secret_text
from ..._pipeline.settings import SERVERS, safe_url
from ..._profiles import keyring_secrets
from ..._profiles.file import of_one
from ...errors import AuthenticationError, MeitnerError, NotFoundError, PermissionDeniedError
from .. import _config_file
from .._asking import agreed, asked, can_ask, hidden, needed
from .._exit import Exit, UsageError
from .._options import DirectoryOptions
from .._profile import USUAL, Profile, config_path
from .._refusals import refused
from ..rendering.output import say, tell
from .doctor import doctor_command

_TIMEOUT = 15.0
"""Seconds to wait for the answer that judges the credentials, and for the quota."""

ProfileName = Annotated[
    str | None,
    Parameter(help="Name of the profile. Default: MEITNER_PROFILE, or the profile called default.", metavar="NAME"),
]


def login_command(
    *,
    profile: ProfileName = None,
    client_id: Annotated[str | None, Parameter(help="The client id. Without it you are asked.", metavar="ID")] = None,
    server: Annotated[
        Literal["production", "staging"] | None, Parameter(help="Which server of the API to use.")
    ] = None,
    base_url: Annotated[str | None, Parameter(help="Use the server at this URL.", metavar="URL")] = None,
    oauth2: Annotated[
        bool, Parameter(name="--oauth2", help="The credentials are for OAuth2, and not an API key.", show_default=False)
    ] = False,
    token_url: Annotated[
        str | None, Parameter(help="Where OAuth2 tokens come from. Default: /oauth/token.", metavar="URL")
    ] = None,
    keyring: Annotated[
        bool, Parameter(help="Save the secret in the keyring of the system.", show_default=False)
    ] = False,
    yes: Annotated[
        bool, Parameter(help="Replace the credentials of a profile without asking.", show_default=False)
    ] = False,
) -> Exit:
    """Ask for credentials, test them, and save them in a profile.

    Asks for the client id and for the secret, which is not shown as you type.
    One request tests them: nothing is saved unless the server accepts them.
    Then doctor shows what you may read with them.

    Without a terminal, the secret is read from stdin:
    pass show solna | meitner-aio login --profile solna --client-id ID

    Example: meitner-aio login --profile solna
    """
    name = profile_name(profile)
    if server and base_url:
        raise UsageError("--server and --base-url contradict each other: leave one out")
    before = _config_file.kept().get(name)
    if not _may_write(name, before, yes=yes):
        tell("Nothing was saved.")
        return Exit.COMPLETE
    typed = base_url or SERVERS.get(server or "")
    url = _url(typed, before)
    auth = _credentials(client_id, token_url, oauth2=oauth2)
    while (accepted := _accepted(auth, url, ask=typed is None and can_ask())) is None:
        url = needed(_typed_url() or "", "server")  # nothing is no answer here: the secret goes there at once
    if not accepted:
        say(f"meitner-aio: {url} does not accept this client id and secret. Nothing was saved.")
        return Exit.AUTH
    tell(f"{url} accepts the credentials.")
    _keep(name, before, auth, url, keyring=keyring)
    for variable in of_one(os.environ):
        say(f"{variable} is set in the environment, and is used instead of what the profile has.")
    asyncio.run(doctor_command(directory=DirectoryOptions(profile=name)))
    return Exit.COMPLETE


def profile_name(typed: str | None) -> str:
    """Return which profile is meant; `UsageError` for a name that could not be a folder's, as tenants need it."""
    from ...tenants._names import check_name

    with refused():
        return check_name(typed or os.environ.get("MEITNER_PROFILE") or USUAL)


def _may_write(name: str, before: Profile | None, *, yes: bool) -> bool:
    if before is None or yes:
        return True
    if not can_ask():
        raise UsageError(f"{config_path()} already has a profile {name}: add --yes to replace its credentials")
    return agreed(f"{config_path()} already has a profile {name}. Replace its credentials?")


def _url(typed: str | None, before: Profile | None) -> str:
    """Return the server: as typed, else as answered, else that of the profile, else production."""
    usual = (before and (before.base_url or SERVERS.get(before.server or ""))) or SERVERS["production"]
    known = next((name for name, url in SERVERS.items() if url == usual), usual)
    if typed is None and can_ask():
        typed = _typed_url(f" [{known}]")
    return _checked(typed or usual)


def _typed_url(usual: str = "") -> str | None:
    """Return the server that is answered, asked for until it can be one; None for nothing."""
    while answer := asked(f"Server (production, staging or a URL){usual}: "):
        try:
            return _checked(SERVERS.get(answer.lower(), answer))
        except UsageError as wrong:
            say(f"meitner-aio: {wrong}")
    return None


def _checked(url: str) -> str:
    with refused():
        return safe_url(url, "the server").rstrip("/")


def _credentials(client_id: str | None, token_url: str | None, *, oauth2: bool) -> ApiKey | OAuth2:
    client_id = needed(client_id or (asked("Client id: ") if can_ask() else ""), "client id (--client-id)")
    secret = needed(hidden("Client secret (not shown): "), "secret") if can_ask() else _piped()
    with refused():
        if oauth2 or token_url is not None:
            return OAuth2(client_id, secret, token_url or "/oauth/token")
        return ApiKey(client_id, secret)


def _piped() -> str:
    stdin = sys.stdin
    with refused():
        return secret_text(stdin.buffer.read(LARGEST_SECRET + 1) if stdin else b"", "what came on stdin")


def _accepted(auth: ApiKey | OAuth2, url: str, *, ask: bool) -> bool | None:
    """Whether the server takes credentials; one request, and OAuth2's for a token. Raises what says neither.

    None where to `ask` for another address, because this one has no such API: the secret need not be typed again.
    """
    try:
        asyncio.run(_tried(auth, url))
    except PermissionDeniedError:  # it knows them, and has told them no schools
        return True
    except AuthenticationError:
        return False
    except MeitnerError as error:
        whole = f"Is the address whole? It looks like {SERVERS['production']}."
        if ask and isinstance(error, NotFoundError):
            say(f"meitner-aio: {error}")
            say(whole)
            return None
        error.add_note("Nothing was saved.")
        if isinstance(error, NotFoundError):
            error.add_note(whole)
        raise
    return True


async def _tried(auth: ApiKey | OAuth2, url: str) -> None:
    from ...client import Meitner

    patience = QuotaPolicy(max_wait=_TIMEOUT)
    async with Meitner(auth=auth, base_url=url, max_retries=0, timeout=_TIMEOUT, quota=patience) as meitner:
        await meitner.schools.list(limit=1)


def _keep(name: str, before: Profile | None, auth: ApiKey | OAuth2, url: str, *, keyring: bool) -> None:
    """Write the profile, and say what was done."""
    identity, secret = _revealed(auth)
    server = next((known for known, address in SERVERS.items() if address == url), None)
    settings = {"server": server} if server else {"base_url": url}
    settings["client_id" if isinstance(auth, OAuth2) else "client_credentials"] = identity
    if isinstance(auth, OAuth2) and auth.token_url != "/oauth/token":  # noqa: S105 - a path
        settings["token_url"] = auth.token_url
    kept = keyring_secrets.keeping(name, secret) if keyring else nullcontext()
    with kept:
        mended = _config_file.put(name, settings | ({"keyring": name} if keyring else {"client_secret": secret}))
    for line in mended:
        tell(line)
    also = "; the secret is in the keyring" if keyring else ""
    tell(f"Saved: profile {name} in {config_path()}, which only you can read{also}.")
    if before is not None and before.keyring and before.keyring != (name if keyring else None):
        forgotten(before.keyring, name)


def _revealed(auth: ApiKey | OAuth2) -> tuple[str, str]:
    pair = (auth.client_id, auth.client_secret) if isinstance(auth, OAuth2) else auth.secrets()
    return pair[0].reveal(), pair[1].reveal()


def forgotten(entry: str, name: str) -> None:
    """Remove the secret that a profile had from the keyring, unless another profile has it too, and say so."""
    others = [other for other, one in _config_file.kept().items() if one.keyring == entry and other != name]
    if others:
        tell(f"The secret {entry} stays in the keyring: profile {others[0]} uses it.")
    elif keyring_secrets.forget(entry):
        tell(f"Removed: the secret {entry} from the keyring.")
    else:
        say(f"The keyring had no secret {entry}.")

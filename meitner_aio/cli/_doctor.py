"""The command that says what is wrong, before an export does. Six requests at most, none of which reads a person."""

from __future__ import annotations

import os
import platform
import time
from importlib.metadata import version
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from .. import __version__
from .._auth import ApiKey
from ..errors import ConfigurationError, MeitnerError, ResponseValidationError
from ..records import Pagination
from ._checks import ASKED, Check, Seen, verdicts
from ._exit import Exit, UsageError, exit_code
from ._options import DIRECTORY, NO_CREDENTIALS, Directory, Json
from ._output import write_json, write_table
from ._profile import USUAL, Profile, config_path

if TYPE_CHECKING:
    from ..client import Meitner

_ANSWERS = 4
"""Small answers that tell how long one takes."""

_TIMEOUT = 15.0
"""Seconds that a doctor waits for an answer."""

_STYLES = {"ok": "green", "warn": "yellow", "fail": "bold red"}


class _Envelope(Struct):
    pagination: Pagination


async def doctor_command(*, json: Json = False, directory: Directory = DIRECTORY) -> Exit:
    """Check settings, credentials and server.

    Says what to do about what is wrong. Takes six requests at most, shows no secret, and reads no data about people.
    """
    checks = [_versions()]
    code = Exit.COMPLETE
    try:
        profile = directory.settings()
        checks.append(_settings(directory, profile))
        async with directory.client(profile, max_retries=0, timeout=_TIMEOUT) as meitner:
            checks.append(_credentials(directory, profile))
            seen = await _seen(meitner, directory.address(profile))
    except (UsageError, ConfigurationError) as wrong:
        checks.append(_unusable(str(wrong)))
        code = exit_code(wrong)
    else:
        checks += verdicts(seen)
        code = exit_code(seen.error) if seen.error else code
    if json:
        write_json({"healthy": code == Exit.COMPLETE, "checks": checks})
    else:
        _draw(checks)
    return code


def _versions() -> Check:
    libraries = ", ".join(f"{name} {version(name)}" for name in ("aiohttp", "msgspec"))
    return Check("versions", "ok", f"meitner-aio {__version__}, Python {platform.python_version()}, {libraries}")


def _settings(directory: Directory, profile: Profile) -> Check:
    if directory.sandbox:
        return Check("settings", "ok", "none needed")
    if profile == Profile():
        return Check("settings", "ok", f"none kept in {config_path()}")
    name = directory.profile or os.environ.get("MEITNER_PROFILE") or USUAL
    return Check("settings", "ok", f"profile {name} of {config_path()}")


def _unusable(reason: str) -> Check:
    """Return the verdict on what kept a client from being built."""
    if reason.startswith(NO_CREDENTIALS):
        return Check("credentials", "fail", "none", reason.removeprefix(f"{NO_CREDENTIALS}: "))
    return Check("settings", "fail", reason)


def _credentials(directory: Directory, profile: Profile) -> Check:
    if directory.sandbox:
        return Check("credentials", "ok", "none needed")
    kept = profile.auth(os.environ)
    if kept is None:
        kind = "an API key" if os.environ.get("MEITNER_CLIENT_CREDENTIALS") else "OAuth2"
        return Check("credentials", "ok", f"{kind} from the environment")
    return Check("credentials", "ok", f"{'an API key' if isinstance(kept, ApiKey) else 'OAuth2'} from the profile")


async def _seen(meitner: Meitner, url: str) -> Seen:
    """Ask for a page as large as pages may be, and then a few times for a small one."""
    try:
        answer = await meitner.request("GET", "/school", params={"limit": ASKED})
        answered_at = time.time()
        limit = msgspec.json.decode(answer.body, type=_Envelope).pagination.limit
        seconds = [await _timed(meitner) for _ in range(_ANSWERS)]
    except MeitnerError as error:
        headers = getattr(error, "headers", {})
        return Seen(url=url, error=error, headers=headers, answered_at=time.time(), quota=meitner.quota)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return Seen(url=url, error=ResponseValidationError("the answer is not a page"))
    return Seen(
        url=url,
        headers=answer.headers,
        answered_at=answered_at,
        page_limit=limit,
        seconds=seconds,
        quota=meitner.quota,
    )


async def _timed(meitner: Meitner) -> float:
    began = time.perf_counter()
    await meitner.request("GET", "/school", params={"limit": 1})
    return time.perf_counter() - began


def _draw(checks: list[Check]) -> None:
    rows = [["check", "", ""], *([check.name, check.state, check.found] for check in checks)]
    hints = [f"{check.name}: {check.hint}" for check in checks if check.hint]
    write_table(rows, styles=_STYLES, wrapped=frozenset({2}), note="\n".join(["", *hints] if hints else []))

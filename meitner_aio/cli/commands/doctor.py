"""The command that says what is wrong, before an export does. Twelve small reads, and with `--probe` some more."""

from __future__ import annotations

import os
import platform
import time
from asyncio import sleep
from collections.abc import Mapping
from importlib.metadata import version
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from ... import __version__
from ..._pipeline.admission import QuotaPolicy
from ..._pipeline.credentials import ApiKey
from ..._pipeline.inflation import fastest
from ...errors import ConfigurationError, MeitnerError, ResponseValidationError
from ...probe import Answer, Asker, Heard, page, rights
from ...resources import RESOURCES
from .._exit import Exit, UsageError, exit_code
from .._options import DIRECTORY, ClientOptions, DirectoryOptions, Json, credentials_hint
from .._profile import USUAL, Profile, config_path
from ..rendering.loudness import quiet
from ..rendering.output import columns, for_people, tell, write_json, write_table
from .check import Check
from .checks import ASKED, Observations, diagnose
from .probe import Probed, draw_probe, probed
from .rights import right

if TYPE_CHECKING:
    from ...client import Meitner

_TIMEOUT = 15.0
"""Seconds that a doctor waits for an answer, and for the quota."""

_STYLES = {"ok": "green", "warn": "yellow", "fail": "bold red"}

Probe = Annotated[
    bool,
    Parameter(
        help="Also find out how the server behaves where the documentation is silent, and how its openapi.json differs "
        "from what this version knows. Only reads, with 40 requests at most.",
        show_default=False,
    ),
]


async def doctor_command(*, probe: Probe = False, json: Json = False, directory: DirectoryOptions = DIRECTORY) -> Exit:
    """Check settings, credentials, server and permissions.

    Shows what was checked, the result, and what to do about what is wrong.
    Reads one record of each resource, and shows none of them.

    Example: meitner-aio doctor
    """
    checks, observed, found = [_versions()], None, None
    code = Exit.COMPLETE
    try:
        profile = directory.settings()
        checks.append(_settings(directory, profile))
        heard = Heard()
        options = ClientOptions(
            max_retries=0, timeout=_TIMEOUT, quota=QuotaPolicy(max_wait=_TIMEOUT), on_event=heard.record
        )
        async with directory.client(profile, **options) as meitner:
            checks.append(_credentials(directory, profile))
            asker = Asker(meitner, heard)
            answers = await rights(asker)
            observed = await _observed(meitner, asker, answers, directory.address(profile))
            if probe and observed.error is None:
                found = await _probed(asker, answers, quiet=json)
    except (UsageError, ConfigurationError) as wrong:
        checks.append(_unusable(wrong))
        code = exit_code(wrong)
    else:
        checks += diagnose(observed)
        code = _code(observed)
    if json:
        write_json(_report(code, checks, observed, found))
    else:
        _draw(checks)
        if found is not None:
            draw_probe(found)
    return code


async def _probed(asker: Asker, answers: Mapping[str, Answer], *, quiet: bool) -> Probed:
    if not quiet and for_people():
        tell("Finding out how the server behaves; this takes some seconds.")
    return await probed(asker, answers, sleep)


def _code(observed: Observations) -> Exit:
    """Return what went wrong as an exit code. What is refused will be refused again, so that it comes first."""
    codes = [exit_code(error) for error in observed.failures]
    return next((code for code in (Exit.AUTH, Exit.TEMPORARY) if code in codes), codes[0] if codes else Exit.COMPLETE)


def _report(code: Exit, checks: list[Check], observed: Observations | None, found: Probed | None) -> dict[str, object]:
    report: dict[str, object] = {"healthy": code == Exit.COMPLETE, "checks": checks}
    if observed is not None:
        report["rights"] = {name: right(error) for name, error in observed.rights.items()}
    return report if found is None else report | {"probe": found}


def _versions() -> Check:
    fast = {fastest().name} - {"zlib"}
    libraries = ", ".join(f"{name} {version(name)}" for name in ("aiohttp", "msgspec", *fast))
    return Check("versions", "ok", f"meitner-aio {__version__}, Python {platform.python_version()}, {libraries}")


def _settings(directory: DirectoryOptions, profile: Profile) -> Check:
    if directory.sandbox:
        return Check("settings", "ok", "none needed")
    if profile == Profile():
        return Check("settings", "ok", f"no profile saved ({config_path()})")
    name = directory.profile or os.environ.get("MEITNER_PROFILE") or USUAL
    return Check("settings", "ok", f"profile {name} in {config_path()}")


def _unusable(wrong: UsageError | ConfigurationError) -> Check:
    """Return the check that failed because no client could be built."""
    if isinstance(wrong, ConfigurationError) and wrong.missing_credentials:
        return Check("credentials", "fail", "not found", credentials_hint())
    return Check("settings", "fail", str(wrong))


def _credentials(directory: DirectoryOptions, profile: Profile) -> Check:
    if directory.sandbox:
        return Check("credentials", "ok", "none needed")
    kept = profile.auth(os.environ)
    if kept is None:
        kind = "an API key" if os.environ.get("MEITNER_CLIENT_CREDENTIALS") else "OAuth2"
        return Check("credentials", "ok", f"{kind} from the environment")
    return Check("credentials", "ok", f"{'an API key' if isinstance(kept, ApiKey) else 'OAuth2'} from the profile")


async def _observed(meitner: Meitner, asker: Asker, answers: Mapping[str, Answer], url: str) -> Observations:
    """Return what the small lists show, and fetch one page of the largest size."""
    found = {name: _error(answer) for name, answer in answers.items()}
    first, *others = answers.values()
    answered_at = time.time() - asker.since(first)
    error = _error(first) if len(answers) == 1 else None
    readable = next((name for name, wrong in found.items() if wrong is None), None)
    large = await asker.get(RESOURCES[readable].path, limit=ASKED) if readable is not None else Answer()
    rows = page(large)
    # The first answer took a connection, too.
    seconds = [answer.took for answer in others or [first] if answer.good and answer.took is not None]
    return Observations(
        url=url,
        error=error,
        headers=first.headers,
        answered_at=answered_at,
        rights={} if error is not None else found,
        page_limit=0 if large.refused else None if rows is None else rows.limit,
        seconds=seconds,
        paced=asker.paced,
        quota=meitner.quota,
    )


def _error(answer: Answer) -> MeitnerError | None:
    """Return why an answer is no page."""
    if answer.error is not None or page(answer) is not None:
        return answer.error
    return ResponseValidationError("the answer is not a page")


def _draw(checks: list[Check]) -> None:
    """Write a row for each check, and below it what to do; when quiet, only for those that are not well."""
    rows = [["check", "result", "details"]]
    for check in checks:
        if check.state != "ok" or not quiet():
            rows.append([check.name, check.state, check.found])
            rows += [["", "", f"To do: {check.hint}"]] if check.hint else []
    if len(rows) > 1:
        write_table(rows, styles=_STYLES, wrapped=frozenset({2}), width=columns())

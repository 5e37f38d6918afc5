"""Many profiles as many tenants: which ones are meant, a client for each, what to call the end of all."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Unpack

from cyclopts import Group, Parameter

from .._profiles.file import refuse_shared
from ..errors import ConfigurationError, MeitnerError, TooManyDeletions
from ._exit import Exit, UsageError, exit_code
from ._options import ClientOptions, DirectoryOptions, Positive, given
from ._profile import Profile, config_path, load_all, usable
from .rendering.amounts import counted

if TYPE_CHECKING:
    from ..client import Meitner
    from ..tenants import TenantReport, TenantsReport
    from ..tenants._turns import Turns
    from ..tenants._visits import Client


@Parameter(name="*", group=Group("Directory", sort_key=3))
@dataclass(frozen=True, kw_only=True)
class TenantsOptions:
    """Whether many directories are meant, each a profile with a folder of its own, and how many at once."""

    all_profiles: Annotated[
        bool,
        Parameter(
            help="Use all profiles, each with its own folder below --to. For some: --profile 'kommun-*'.",
            show_default=False,
        ),
    ] = False
    tenants: Annotated[Positive | None, Parameter(help="Profiles at the same time, at most. Default: 8.")] = None

    def profiles(self, directory: DirectoryOptions) -> dict[str, Profile] | None:
        """Return the profiles by name; None where one directory is meant.

        Raises `UsageError` for a pattern that no name matches, for options of one directory, and where the environment
        has what belongs to one: it would go to every server.
        """
        pattern = directory.profile or os.environ.get("MEITNER_PROFILE") or ""
        if not self.all_profiles and not any(sign in pattern for sign in "*?["):
            if self.tenants is not None:
                raise UsageError(
                    "--tenants only applies to many profiles: add --all-profiles, or --profile with a pattern"
                )
            return None
        if directory.sandbox or directory.server or directory.base_url or (self.all_profiles and directory.profile):
            raise UsageError(
                "each profile names its own server: leave out --server, --base-url and --sandbox, and give "
                "either --profile or --all-profiles"
            )
        with usable():
            refuse_shared(os.environ)
        return _matching("*" if self.all_profiles else pattern)

    def turns(self) -> Turns:
        """Return the places that tenants take."""
        from ..tenants._turns import Turns

        return Turns(**given(concurrency=self.tenants))


TENANTS = TenantsOptions()


def _matching(pattern: str) -> dict[str, Profile]:
    from ..tenants._names import check_names

    profiles = load_all()
    found = {name: profile for name, profile in profiles.items() if fnmatchcase(name, pattern)}
    if not found:
        raise UsageError(
            f"no profile of {config_path()} matches {pattern!r}; there are: {', '.join(profiles) or 'none'}"
        )
    try:
        check_names(found)
    except ValueError as wrong:
        raise UsageError(f"{config_path()}: {wrong}") from None
    return found


def clients(profiles: Mapping[str, Profile], **options: Unpack[ClientOptions]) -> dict[str, Client]:
    """Return what makes the client of each profile when its turn comes."""
    return {name: partial(_client, name, profile, **options) for name, profile in profiles.items()}


def _client(name: str, profile: Profile, **options: Unpack[ClientOptions]) -> Meitner:
    from ..client import Meitner

    auth = profile.auth({})
    if auth is None:
        raise ConfigurationError(f"profile {name} has no credentials in {config_path()}", missing_credentials=True)
    wide = options.get("max_concurrency") or profile.concurrency
    return Meitner(auth=auth, **given(base_url=profile.url({}, named=True), **{**options, "max_concurrency": wide}))


def code_of(one: TenantReport[Any]) -> Exit:
    """Return what a command for this tenant alone would end with."""
    error = one.error or getattr(one.report, "error", None)
    if error is None or isinstance(error, TooManyDeletions):
        return Exit.COMPLETE if one.ok else Exit.PARTIAL
    return exit_code(error)


def code_of_all(report: TenantsReport[Any]) -> Exit:
    """Return the code that all share; 3 where some have data and others none, 1 where none has, for several reasons."""
    codes = {code_of(one) for one in report.tenants.values()}
    if len(codes) == 1:
        return codes.pop()
    return Exit.PARTIAL if codes & {Exit.COMPLETE, Exit.PARTIAL} else Exit.ERROR


def why(error: Exception) -> str:
    """Return a line about an error: of what is not ours, the kind alone."""
    known = isinstance(error, MeitnerError | UsageError)
    return " ".join(f"{type(error).__name__}: {error}".split()) if known else type(error).__name__


def state_of(one: TenantReport[Any]) -> str:
    """Return a word or two for a table; nothing when all is well."""
    error = one.error or getattr(one.report, "error", None)
    if error is not None:
        return type(error).__name__
    return "" if one.ok else "incomplete"


def note_of_all(to: str, failed: int, of: int) -> str:
    """Return the line below a table of profiles: where their folders are, and how many of them an error ended."""
    return f"in {to}, a folder for each profile; {failed} of {counted(of, 'profile')} failed"


def facts_of(one: TenantReport[Any]) -> dict[str, Any]:
    """Return what JSON tells of a tenant, whatever was done for it."""
    told: dict[str, Any] = {"ok": one.ok, "requests": one.requests, "seconds": round(one.seconds, 3)}
    error = one.error
    if error is not None:
        message = str(error) if isinstance(error, MeitnerError | UsageError) else ""
        told["error"] = {"type": type(error).__name__, "message": message}
    return told

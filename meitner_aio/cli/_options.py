"""Options that commands share: which directory to read, how to page, which resources. Never a credential."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypedDict, Unpack

from cyclopts import Group, Parameter, Token
from cyclopts.validators import Number

from .._pipeline.settings import SERVERS, safe_url
from ..errors import ConfigurationError
from ..export import resource_names
from ..resources import LISTED, RESOURCES, attribute_of
from ._completing import complete_conditions
from ._exit import UsageError
from ._profile import Profile, config_path, load
from .rendering.typed import instant

if TYPE_CHECKING:
    from .._pipeline.admission import QuotaPolicy
    from ..client import Meitner
    from ..events import Event


def _resource(_: type, tokens: Sequence[Token]) -> str:
    (name,) = resource_names([tokens[0].value])
    return name


def _in_directory(_: type, tokens: Sequence[Token]) -> str:
    return attribute_of(tokens[0].value)


Natural = Annotated[int, Parameter(validator=Number(gte=0))]
Positive = Annotated[int, Parameter(validator=Number(gte=1))]
Seconds = Annotated[float, Parameter(validator=Number(gte=0))]

if TYPE_CHECKING:
    _Name = str
    _DirectoryName = str
else:
    _Name = Literal[tuple(LISTED)]  # what a shell completes; the converter accepts more
    _DirectoryName = Literal[tuple(RESOURCES)]

ResourceName = Annotated[_Name, Parameter(converter=_resource, help=", ".join(LISTED), n_tokens=1, show_choices=False)]
"""The name of whatever can be listed, as commands take it; `student-placements` is `student_placements`."""

DirectoryName = Annotated[
    _DirectoryName, Parameter(converter=_in_directory, help=", ".join(RESOURCES), n_tokens=1, show_choices=False)
]
"""The name of a resource of the directory: of records with ids."""

Json = Annotated[bool, Parameter(help="Print the result as JSON.", show_default=False)]

Where = Annotated[
    list[str],
    Parameter(
        help="Only records that meet a condition: last_name=Ek, last_name~E%, gender=Female,Other, "
        "date_of_birth>=2015-01-01, email_address1=null, meta.updated_at>=7d; != and !~ negate. "
        "Repeat --where to combine conditions. @FILE reads them from a file, one per line, and @- from stdin: other "
        "users of this machine can see what you type here.",
        metavar="FIELD=VALUE|@FILE",
        completer=complete_conditions,
    ),
]
"""Conditions; `conditions` defines their grammar."""

Since = Annotated[
    str | None,
    Parameter(
        help="Only records created or changed since: 2026-01-31 (midnight UTC), 2026-01-31T08:00Z, 7d, 12h.",
        metavar="TIME",
    ),
]


def since_of(typed: str | None, now: datetime) -> datetime | None:
    """Return the instant that `--since` means; `UsageError` for what means none."""
    try:
        return None if typed is None else instant(typed, now)
    except ValueError as wrong:
        raise UsageError(f"--since {wrong}") from None


def names_of(typed: str | None) -> list[str] | None:
    """Return the names in `--fields`, as they are spelled; `UsageError` for none."""
    names = None if typed is None else [name.strip() for name in typed.split(",") if name.strip()]
    if names == []:
        raise UsageError("--fields takes names such as id,last_name")
    return names


class ClientOptions(TypedDict, total=False):
    """Keywords of `Meitner` that commands set."""

    max_concurrency: int | None
    max_retries: int
    timeout: float
    quota: QuotaPolicy
    on_event: Callable[[Event], object] | None


def _go_together(_: type, directory: DirectoryOptions) -> None:
    directory.check()


@Parameter(name="*", group=Group("Directory", sort_key=3), validator=_go_together)
@dataclass(frozen=True, kw_only=True)
class DirectoryOptions:
    """Which directory a command reads: the API's, another server's, or synthetic data in this process."""

    profile: Annotated[
        str | None,
        Parameter(
            help="Profile of config.toml to use. Default: MEITNER_PROFILE, or the profile called default.",
            metavar="NAME",
        ),
    ] = None
    server: Annotated[Literal["production", "staging"] | None, Parameter(help="Which server of the API to use.")] = None
    base_url: Annotated[
        str | None, Parameter(help="Use the server at this URL. Default: MEITNER_BASE_URL.", metavar="URL")
    ] = None
    sandbox: Annotated[
        bool, Parameter(help="Use synthetic data: needs no credentials and no network.", show_default=False)
    ] = False
    students: Annotated[Natural | None, Parameter(help="Number of students in the sandbox.")] = None
    seed: Annotated[int | None, Parameter(help="Seed of the sandbox: the same seed gives the same data.")] = None

    def check(self) -> None:
        """Raise `ValueError` for options that contradict each other."""
        sized = self.students is not None or self.seed is not None
        elsewhere = self.server is not None or self.base_url is not None
        if sized and not self.sandbox:
            raise ValueError("--students and --seed only apply to the sandbox: add --sandbox.")
        if elsewhere and self.sandbox:
            raise ValueError("--sandbox uses no server: leave out --server and --base-url.")
        if self.profile is not None and self.sandbox:
            raise ValueError("--sandbox uses no profile: leave out --profile.")

    def settings(self) -> Profile:
        """Return the profile that applies. The sandbox has none: its data must not end up where the real data is."""
        if self.sandbox:
            return Profile()
        return load(self.profile or os.environ.get("MEITNER_PROFILE") or None)

    def address(self, profile: Profile) -> str:
        """Return the URL that is read, or what to call the sandbox, to show to people."""
        return "the sandbox in this process" if self.sandbox else self._url(profile) or SERVERS["production"]

    def _url(self, profile: Profile) -> str | None:
        named = bool(self.profile or os.environ.get("MEITNER_PROFILE"))
        return profile.url(os.environ, self.base_url or SERVERS.get(self.server or ""), named=named)

    def _checked_url(self, profile: Profile) -> str | None:
        url = self._url(profile)
        try:
            return url and safe_url(url, "base_url")
        except ConfigurationError as wrong:
            raise UsageError(str(wrong)) from None

    def client(self, profile: Profile, *, owned: bool = False, **options: Unpack[ClientOptions]) -> Meitner:
        """Return a client for the directory; for a sandbox, only `max_concurrency` of the `options` applies.

        `owned` makes the sandbox the directory of which `meitner-aio sandbox --registry` writes the registry. Raises
        `ConfigurationError` without credentials, and `UsageError` for an address that must not get them.
        """
        from ..client import Meitner

        if self.sandbox:
            wide = options.get("max_concurrency")
            size = given(students=self.students, seed=self.seed, owned=owned or None, max_concurrency=wide)
            return Meitner.sandbox(**size)
        auth, url = profile.auth(os.environ), self._checked_url(profile)
        try:
            return Meitner(**given(auth=auth, base_url=url, **options))
        except ConfigurationError as error:
            if not error.missing_credentials:
                raise
        raise ConfigurationError(f"no credentials: {credentials_hint()}", missing_credentials=True)


def credentials_hint() -> str:
    """Return where a command takes credentials from."""
    return (
        f"meitner-aio login asks for them and saves them in {config_path()}; "
        "or set MEITNER_CLIENT_CREDENTIALS and MEITNER_CLIENT_SECRET "
        "(for OAuth2: MEITNER_CLIENT_ID, MEITNER_CLIENT_SECRET and optionally MEITNER_TOKEN_URL); --sandbox needs none"
    )


def given(**options: object) -> dict[str, Any]:
    """Return the options that are not None: the library has its own defaults for the rest."""
    return {name: value for name, value in options.items() if value is not None}


@Parameter(name="*", group=Group("Paging", sort_key=2))
@dataclass(frozen=True, kw_only=True)
class PagingOptions:
    """How listings are read."""

    page_size: Annotated[Positive | None, Parameter(show=False)] = None
    """For experts: the client finds the largest page by itself (`docs/export.md`)."""
    concurrency: Annotated[Positive | None, Parameter(help="Requests at the same time, at most.")] = None

    def completed(self, profile: Profile) -> PagingOptions:
        """Return these options, with those of the profile where nothing was typed."""
        return replace(
            self,
            page_size=self.page_size or profile.page_size,
            concurrency=self.concurrency or profile.concurrency,
        )


DIRECTORY = DirectoryOptions()
PAGING = PagingOptions()

"""Options that commands share: which directory to read, how to page, which resources. Never a credential."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter, Token
from cyclopts.validators import Number

from ..export import resource_names
from ..resources import RESOURCES

if TYPE_CHECKING:
    from ..client import Meitner


def _resource(_: type, tokens: Sequence[Token]) -> str:
    (name,) = resource_names([tokens[0].value])
    return name


Natural = Annotated[int, Parameter(validator=Number(gte=0))]
Positive = Annotated[int, Parameter(validator=Number(gte=1))]

ResourceName = Annotated[str, Parameter(converter=_resource, help=", ".join(RESOURCES), n_tokens=1)]
"""A resource as a command takes it; `student-placements` is `student_placements`."""

Json = Annotated[bool, Parameter(help="Write JSON to stdout, for programs.", show_default=False)]


def _go_together(_: type, directory: Directory) -> None:
    directory.check()


@Parameter(name="*", group="Directory", validator=_go_together)
@dataclass(frozen=True, kw_only=True)
class Directory:
    """Which directory a command reads: the API's, another server's, or synthetic data in this process."""

    sandbox: Annotated[
        bool, Parameter(help="Read synthetic data in this process: no credentials, no network.", show_default=False)
    ] = False
    students: Annotated[Natural | None, Parameter(help="How many students the sandbox has.")] = None
    seed: Annotated[int | None, Parameter(help="The sandbox's data is the same for the same seed.")] = None
    server: Annotated[Literal["production", "staging"] | None, Parameter(help="The API's server.")] = None
    base_url: Annotated[str | None, Parameter(help="Another server; MEITNER_BASE_URL sets it, too.")] = None

    def check(self) -> None:
        """Refuse, with `ValueError`, options that do not go together."""
        sized = self.students is not None or self.seed is not None
        elsewhere = self.server is not None or self.base_url is not None
        if sized and not self.sandbox:
            raise ValueError("--students and --seed are about the sandbox: add --sandbox.")
        if elsewhere and self.sandbox:
            raise ValueError("--sandbox reads no server: leave out --server and --base-url.")

    def client(self, **options: Any) -> Meitner:  # noqa: ANN401 - the keywords of Meitner
        """Return a client for the directory; `options` are for a server."""
        from ..client import Meitner  # noqa: PLC0415 - help and version need no client

        if self.sandbox:
            return Meitner.sandbox(**given(students=self.students, seed=self.seed))
        return Meitner(**given(server=self.server, base_url=self.base_url, **options))


def given(**options: Any) -> dict[str, Any]:  # noqa: ANN401 - any option
    """Return the options that were given: what was not is for the library to decide."""
    return {name: value for name, value in options.items() if value is not None}


@Parameter(name="*", group="Paging")
@dataclass(frozen=True, kw_only=True)
class Paging:
    """How listings are read."""

    page_size: Annotated[Positive | None, Parameter(help="Rows to ask for; a server may give fewer.")] = None
    concurrency: Annotated[Positive | None, Parameter(help="Requests in flight at once.")] = None


DIRECTORY = Directory()
PAGING = Paging()

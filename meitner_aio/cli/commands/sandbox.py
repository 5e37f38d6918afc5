"""The command that serves a sandbox to any client of the API."""

from __future__ import annotations

import asyncio
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

from .._options import Json, Natural, Positive, given
from ..rendering.amounts import counted
from ..rendering.output import flush, write, write_json

if TYPE_CHECKING:
    from ...sandbox import Sandbox

_HOW = """\
{url} is a directory of synthetic data until Ctrl-C.
Any credentials are good there. In another terminal:

  export MEITNER_BASE_URL={url}
  export MEITNER_CLIENT_CREDENTIALS=sandbox MEITNER_CLIENT_SECRET=sandbox
  meitner-aio count
"""

_TRY = """
{state}. Change a row there, or leave one out, and see what would be done:

  meitner-aio reconcile {folder} --plan
"""


def _write(sandbox: Sandbox, folder: str) -> dict[str, int] | None:
    """Write what a sandbox holds as a registry, and return the rows by resource; None where there is one already."""
    from ...reconcile.registry._written import write_registry

    path = Path(folder)
    if path.is_dir() and any(path.iterdir()):
        return None
    return write_registry(path, sandbox.records)


def _registry(folder: str, rows: dict[str, int] | None) -> str:
    state = (
        "is not empty and was left as it is"
        if rows is None
        else f"says the same, in {counted(sum(rows.values()), 'row')}"
    )
    return _TRY.format(state=f"{folder} {state}", folder=shlex.quote(folder))


async def sandbox_command(
    *,
    port: Annotated[int, Parameter(help="0 takes a free one.", validator=Number(gte=0, lte=65535))] = 8080,
    students: Annotated[Natural | None, Parameter(help="How many students there are.")] = None,
    schools: Annotated[Positive | None, Parameter(help="How many schools they go to.")] = None,
    seed: Annotated[int | None, Parameter(help="The data is the same for the same seed.")] = None,
    limiter: Annotated[
        Literal["bucket", "window", "none"] | None,
        Parameter(help="A bucket that refills all the time, an hourly window, or no limit."),
    ] = None,
    quota: Annotated[Positive | None, Parameter(help="Requests an hour.")] = None,
    page_cap: Annotated[Positive | None, Parameter(help="Rows of a page at most.")] = None,
    over_cap: Annotated[
        Literal["clamp", "refuse"] | None, Parameter(help="What becomes of a limit above that cap.")
    ] = None,
    resolution: Annotated[
        Literal["second", "microsecond"] | None, Parameter(help="That of the instants that the server sets.")
    ] = None,
    latency: Annotated[float | None, Parameter(help="Seconds before each answer.", validator=Number(gte=0))] = None,
    registry: Annotated[
        str | None,
        Parameter(help="Write the data as a registry, too: something to try reconcile on.", metavar="FOLDER"),
    ] = None,
    json: Json = False,
) -> None:
    """Serve synthetic data on this machine, until Ctrl-C.

    It has every operation, filter, rule, quota and error of the API: point any client of the API at its URL.

    Left to itself it does what the vendor has published: 1,500 requests an hour from a bucket, whole seconds.

    With --registry every record has the source id that its row has: reconcile finds nothing to do until either changes.
    """
    from ...sandbox import Sandbox

    sandbox = Sandbox(
        **given(
            students=students,
            schools=schools,
            seed=seed,
            limiter=limiter,
            quota=quota,
            page_cap=page_cap,
            over_cap=over_cap,
            resolution=resolution,
            latency=latency,
            owned=None if registry is None else True,
        )
    )
    rows = None if registry is None else _write(sandbox, registry)
    url = await sandbox.start(port=port)
    try:
        if json:
            write_json({"url": url, **given(registry=rows)})
        else:
            write(_HOW.format(url=url) + ("" if registry is None else _registry(registry, rows)))
        flush()
        await asyncio.Event().wait()
    finally:
        await sandbox.close()

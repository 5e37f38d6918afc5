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
from ..rendering.loudness import quiet
from ..rendering.output import flush, write, write_json

if TYPE_CHECKING:
    from ...sandbox import Sandbox

_HOW = """\
{url} serves synthetic data until Ctrl-C.
It accepts any credentials. In another terminal:

  export MEITNER_BASE_URL={url}
  export MEITNER_CLIENT_CREDENTIALS=sandbox MEITNER_CLIENT_SECRET=sandbox
  meitner-aio count

In a browser:

  {origin}/          its operations, to try out
  {origin}/requests  what was asked, and faults to let it fail
"""

_TRY = """
{state}. Change or delete a row there, and see what would be done:

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
    port: Annotated[
        int, Parameter(help="Port to listen on; 0 takes a free one.", validator=Number(gte=0, lte=65535))
    ] = 8080,
    students: Annotated[Natural | None, Parameter(help="Number of students.")] = None,
    schools: Annotated[Positive | None, Parameter(help="Number of schools.")] = None,
    seed: Annotated[int | None, Parameter(help="The same seed gives the same data.")] = None,
    limiter: Annotated[
        Literal["bucket", "window", "none"] | None,
        Parameter(help="Kind of quota: a bucket that refills all the time, an hourly window, or none."),
    ] = None,
    quota: Annotated[Positive | None, Parameter(help="Requests per hour.")] = None,
    page_cap: Annotated[Positive | None, Parameter(help="Rows per page, at most.")] = None,
    over_cap: Annotated[
        Literal["clamp", "refuse"] | None, Parameter(help="What happens to a request for more rows than that.")
    ] = None,
    resolution: Annotated[
        Literal["second", "microsecond"] | None, Parameter(help="Precision of the timestamps.")
    ] = None,
    latency: Annotated[float | None, Parameter(help="Seconds before each answer.", validator=Number(gte=0))] = None,
    registry: Annotated[
        str | None,
        Parameter(help="Also write the data as the files of a registry, to try reconcile on.", metavar="FOLDER"),
    ] = None,
    json: Json = False,
) -> None:
    """Serve synthetic data on this machine until Ctrl-C.

    Behaves as the API does, with its filters, rules, quota and errors: any
    client of the API can use its URL. For a browser on this machine it has an
    explorer (extra: explorer), and a page of requests that lets them fail.

    By default it has the quota that the vendor has published, a bucket of 1,500
    requests per hour, and timestamps in whole seconds.

    With --registry, the records belong to the registry that is written:
    reconcile has nothing to do until one of the two changes.

    Example: meitner-aio sandbox --port 0 --students 50
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
            how = f"{url}\n" if quiet() else _HOW.format(url=url, origin=sandbox.origin)
            write(how + ("" if registry is None or quiet() else _registry(registry, rows)))
        flush()
        await asyncio.Event().wait()
    finally:
        await sandbox.close()

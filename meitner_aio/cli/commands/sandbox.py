"""The command that serves a sandbox to any client of the API."""

from __future__ import annotations

import asyncio
import sys
from typing import Annotated, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

from .._options import Json, Natural, Positive, given
from ..rendering.output import write_json

_HOW = """\
{url} is a directory of synthetic data until Ctrl-C.
Any credentials are good there. In another terminal:

  export MEITNER_BASE_URL={url}
  export MEITNER_CLIENT_CREDENTIALS=sandbox MEITNER_CLIENT_SECRET=sandbox
  meitner-aio count
"""


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
    json: Json = False,
) -> None:
    """Serve synthetic data on this machine, until Ctrl-C.

    It has every operation, filter, rule, quota and error of the API: point any client of the API at its URL.

    Left to itself it does what the vendor has published: 1,500 requests an hour from a bucket, whole seconds.
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
        )
    )
    url = await sandbox.start(port=port)
    try:
        if json:
            write_json({"url": url})
        else:
            sys.stdout.write(_HOW.format(url=url))
        sys.stdout.flush()
        await asyncio.Event().wait()
    finally:
        await sandbox.close()

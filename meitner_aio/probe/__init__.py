"""How a server really behaves: what documents leave open, found out by a few reads.

Made for `meitner-aio doctor --probe`. Nothing here writes, and nothing that it returns is about a person.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial

from ..resources import RESOURCES
from ._asking import MOST, Answer, Asker, Heard
from ._document import openapi
from ._findings import Determined, Finding, Undetermined, settled
from ._limiter import limiter, pause
from ._ordering import Read, order, read, resource, totals
from ._pages import page
from ._questions import archived, audit_retention, largest_page, nulls_in_ranges, zones
from ._rows import empty_lists, never_changed, resolution
from ._scene import SMALL, Scene, rights

__all__ = ["MOST", "Answer", "Asker", "Finding", "Heard", "Undetermined", "openapi", "page", "probe", "rights"]

Sleep = Callable[[float], Awaitable[object]]


async def probe(asker: Asker, first: Mapping[str, Answer], *, sleep: Sleep = asyncio.sleep) -> list[Finding]:
    """Return what could be found out, and why the rest could not. `first` are the answers of `rights`.

    Waits ten seconds at most, with `sleep`, for a limiter to give something back.
    """
    scene = Scene(asker, first)
    found = [await _answered("largest page", largest_page(scene)), *await _orders(scene)]
    for question, ask in (
        ("zones in filters", zones),
        ("null in ranges", nulls_in_ranges),
        ("archived", archived),
        ("audit events", audit_retention),
    ):
        found.append(await _answered(question, ask(scene)))
    for question, determine in (
        ("timestamps", resolution),
        ("updated_at", never_changed),
        ("empty lists", empty_lists),
    ):
        found.append(settled(question, partial(determine, scene)))
    return [*await _limiter(scene, sleep), *found]


async def _answered(question: str, answer: Awaitable[Determined]) -> Finding:
    try:
        determined = await answer
    except Undetermined as reason:
        return Finding(question, None, str(reason))
    return Finding(question, *determined)


async def _orders(scene: Scene) -> list[Finding]:
    """Look at a resource with titles, which may be what orders it, and at one without; at the first one twice."""
    found: list[Finding] = []
    reads: list[Read] = []

    async def ordered(name: str, times: int) -> Determined:
        reads.append(await read(scene, name, times))
        return order(reads[-1])

    for question, titled, times in (("order, titled", True, 2), ("order, others", False, 1)):
        if (name := resource(scene, titled=titled)) is not None:
            found.append(await _answered(question, ordered(name, times)))
    return [*found, settled("totals", partial(totals, reads))]


async def _limiter(scene: Scene, sleep: Sleep) -> list[Finding]:
    """Ask for something small just before and just after a pause, unless it is known already what gives back how."""
    asker, name = scene.asker, next(iter(scene.first), None)
    if name is not None and pause(asker.answers):
        for wait in (False, True):
            if wait:
                await sleep(pause(asker.answers))
            for _ in range(2):
                await asker.get(RESOURCES[name].path, limit=SMALL)
    return limiter(asker.answers)

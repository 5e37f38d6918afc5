"""In which order a server lists and finds rows, whether it does so every time, and whether its totals agree."""

from __future__ import annotations

from msgspec import Struct

from ..records import fields
from ._findings import Determined, Undetermined
from ._order import an_update_moves, enough, order_of
from ._pages import Page
from ._scene import Scene, model, searchable

_PAGE = 200
"""Rows whose order is looked at."""

_NOBODY = "00000000-0000-0000-0000-000000000000"
"""An id that no row has: all others are found by a search for what is not it."""


class Read(Struct, frozen=True):
    """First pages of a resource, listed and searched."""

    name: str
    listed: list[Page]
    searched: list[Page]


def resource(scene: Scene, *, titled: bool) -> str | None:
    """Return the longest resource that can be searched, with titles or without; None where none may be read."""
    names = [name for name in scene.first if searchable(name) and titled is _has_title(name)]
    return max(names, key=scene.total, default=None)


def _has_title(name: str) -> bool:
    return any(field.name == "title" and field.required for field in fields(model(name)))


async def read(scene: Scene, name: str, times: int) -> Read:
    """Return the first page of a resource, listed so many times, and searched as often. Raises `Undetermined`."""
    listed = [await scene.list_page(name, limit=_PAGE) for _ in range(times)]
    try:
        every = {"notEquals": {"id": _NOBODY}}
        searched = [await scene.search_page(name, every, limit=_PAGE) for _ in range(times)]
    except Undetermined:  # the list is enough
        searched = []
    return Read(name, listed, searched)


def order(seen: Read) -> Determined:
    """Say by what rows are ordered, and whether list and search, and two reads, agree."""
    rows, agreement = seen.listed[0].rows, _agreement(seen)
    if not enough(rows):
        counted = "1 row is" if len(rows) == 1 else f"{len(rows)} rows are"
        raise Undetermined(f"{seen.name}: {counted} too few to tell{agreement}")
    by = order_of(rows, model(seen.name))
    if by is None:
        return Determined("none", f"{seen.name}: by no field to be seen{agreement}")
    stays = "; an update moves no row" if an_update_moves(rows, by) is False else ""
    return Determined(by.words, f"{seen.name}: by {by.words}{stays}{agreement}")


def _agreement(seen: Read) -> str:
    said: list[str] = []
    lists, searches = ([[row.get("id") for row in one.rows] for one in pages] for pages in (seen.listed, seen.searched))
    if searches:
        said.append("search alike" if lists[0] == searches[0] else "search in another order")
    if len(lists) > 1:
        same = all(one == pages[0] for pages in (lists, searches) for one in pages)
        said.append("same twice" if same else "another one each time")
    return "".join(f"; {one}" for one in said)


def totals(reads: list[Read]) -> Determined:
    """Say whether the totals of lists and searches agree with each other and with the rows that came."""
    wrong: list[str] = []
    for seen in reads:
        pages = (*seen.listed, *seen.searched)
        totals = sorted({one.total for one in pages})
        if len(totals) > 1:
            wrong.append(f"{seen.name}: {' and '.join(f'{total:,}' for total in totals)}")
        due = {(len(one.rows), min(one.limit, one.total)) for one in pages}
        wrong += [
            f"{seen.name}: {came:,} rows where {meant:,} were due" for came, meant in sorted(due) if came != meant
        ]
    if wrong:
        return Determined("differ", f"they differ, or moved meanwhile: {'; '.join(wrong)}")
    if not any(seen.searched for seen in reads):
        raise Undetermined("there were no two answers to compare")
    return Determined("agree", "list, search and the rows that came agree")

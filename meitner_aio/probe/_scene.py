"""What the questions of a probe share: whom they ask, and what earlier ones have read."""

from __future__ import annotations

from collections.abc import Mapping

from .._operations.operations import operations
from .._operations.resource import model_of
from ..records import DirectoryRecord
from ..resources import RESOURCES
from ._asking import Answer, Asker
from ._findings import Undetermined
from ._pages import Page, Row, page

SMALL = 1
"""Rows of an answer that is about its headers, or about how many rows there are."""


def model(name: str) -> type[DirectoryRecord]:
    """Return the record of a resource."""
    return model_of(RESOURCES[name])


def searchable(name: str) -> bool:
    """Whether a resource has a search."""
    return "search" in operations(RESOURCES[name])


async def rights(asker: Asker) -> dict[str, Answer]:
    """Return the answer to a small list of each resource, until the asker is done.

    When the first is neither a page nor a refusal of this resource alone, no other is asked for: one is enough to know.
    """
    answers: dict[str, Answer] = {}
    for name, resource in RESOURCES.items():
        if asker.done:
            break
        answers[name] = answer = await asker.get(resource.path, limit=SMALL)
        if len(answers) == 1 and page(answer) is None and answer.status != 403:
            break
    return answers


class Scene:
    """An asker, the resources that may be read, and the rows seen so far."""

    def __init__(self, asker: Asker, first: Mapping[str, Answer]) -> None:
        """Begin with the answers of `rights`."""
        self.asker = asker
        self.first = {name: found for name, answer in first.items() if (found := page(answer)) is not None}
        self.rows: dict[str, list[Row]] = {name: found.rows for name, found in self.first.items()}
        """The rows of the longest page of each resource, listed or searched."""
        self.listed = dict(self.rows)
        """The rows of the longest listed page of each resource."""
        self.pages: list[Page] = list(self.first.values())

    def total(self, name: str) -> int:
        """Return how many rows a resource has, as its first answer said."""
        return self.first[name].total

    async def list_page(self, name: str, **params: int) -> Page:
        """Return a page of a resource. Raises `Undetermined`."""
        return self._noted(name, await self.asker.get(RESOURCES[name].path, **params), self.rows, self.listed)

    async def search_page(self, name: str, conditions: Mapping[str, object], **params: int) -> Page:
        """Return a page of the rows that meet conditions. Raises `Undetermined`."""
        return self._noted(name, await self.asker.search(RESOURCES[name].path, conditions, **params), self.rows)

    async def count(self, name: str, group: str, path: str, value: object) -> int:
        """Return how many rows meet a condition on `path` (`meta.createdAt`). Raises `Undetermined`."""
        condition = value
        for key in reversed(path.split(".")):
            condition = {key: condition}
        return (await self.search_page(name, {group: condition}, limit=SMALL)).total

    def _noted(self, name: str, answer: Answer, *kept: dict[str, list[Row]]) -> Page:
        found = page(answer)
        if found is None:
            raise Undetermined(self._why(answer), answer.status if answer.status in (400, 422) else None)
        self.pages.append(found)
        for rows in kept:
            if len(found.rows) > len(rows.get(name, ())):
                rows[name] = found.rows
        return found

    def _why(self, answer: Answer) -> str:
        if answer.good:
            return "the answer is not a page"
        if answer.status:
            return f"the server answered {answer.status}"
        return self.asker.done or "there was no answer"

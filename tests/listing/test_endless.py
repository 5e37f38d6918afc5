"""Servers that answer every offset with a full page: a read of them ends soon, and proves nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest
from virtual_time import run

from meitner_aio import IncompleteListing
from meitner_aio._wire.messages import Headers, RawResponse, Request
from meitner_aio.resources import Groups

ID = "00000000-0000-4000-8000-{:012x}"


class Endless:
    """Ignores the offset, but says that it heard it. Counts as many rows as it likes."""

    def __init__(self, total: int | None) -> None:
        self.requests = 0
        self.total = total

    async def __call__(self, request: Request) -> RawResponse:
        self.requests += 1
        if request.path != "/group":
            return self._answer([], 0, 50, 0)
        window = dict(part.split("=") for part in request.query.split("&"))
        offset, limit = int(window["offset"]), min(100, int(window["limit"]))
        made = {"createdAt": "2020-01-01T00:00:00Z"}
        rows = [{"id": ID.format(n), "schoolID": ID.format(0), "title": str(n), "meta": made} for n in range(limit)]
        return self._answer(rows, offset, limit, offset + 2 * limit if self.total is None else self.total)

    def _answer(self, rows: list[Any], offset: int, limit: int, total: int) -> RawResponse:
        page = {"data": rows, "pagination": {"offset": offset, "limit": limit, "total": total}}
        headers = {"Content-Type": "application/json", "Date": "Sat, 28 Nov 2026 12:00:00 GMT"}
        return RawResponse(200, Headers(headers), json.dumps(page).encode())


@pytest.mark.parametrize("total", [None, 110, 10**9])
@pytest.mark.parametrize("limit", [None, 10])
@pytest.mark.parametrize("concurrency", [1, 8])
def test_a_listing_without_end_is_ended(total: int | None, limit: int | None, concurrency: int) -> None:
    """After two pages in a row without a new row, no further request is sent."""
    server = Endless(total)
    listing = Groups(server).list(limit=limit, concurrency=concurrency)
    got = run(listing.all())
    assert len(got) == len({group.id for group in got}) == (100 if limit is None else 10)
    assert (listing.report.level, listing.report.complete) == ("unverified", False)
    assert listing.report.requests <= server.requests <= 3 + 2 * concurrency  # what was under way has no answer
    assert any("two pages in a row brought no new row" in problem for problem in listing.report.problems)


@pytest.mark.parametrize("total", [None, 10**9])
def test_no_repair_of_a_listing_without_end_is_without_end(total: int | None) -> None:
    """The repair ends as well, and reports that the read is unverified."""
    server = Endless(total)
    listing = Groups(server).list(limit=10, concurrency=1).paged(exact=True, strict=True)
    with pytest.raises(IncompleteListing, match="two pages in a row"):
        run(listing.all())
    assert server.requests <= 40


def test_a_server_that_counts_what_it_repeats_is_not_believed() -> None:
    """Repeated rows are not certified, even if their number equals the total."""
    server = Endless(10)
    listing = Groups(server).list(limit=4, concurrency=1)
    run(listing.all())
    assert (listing.report.level, listing.report.complete) == ("unverified", False)

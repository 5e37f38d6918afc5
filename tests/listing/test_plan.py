"""Which pages a plan asks for, answer by answer. Nothing is sent."""

from __future__ import annotations

import pytest

from meitner_aio import Pagination
from meitner_aio._listing.completeness import CompletenessTracker
from meitner_aio._listing.plan import Plan
from meitner_aio._listing.reading import Reading
from meitner_aio._listing.source import PageRequest
from meitner_aio._wire.decoding import DecodedPage


def _plan(**how: int) -> tuple[Plan, CompletenessTracker]:
    tracker = CompletenessTracker(updates=False)
    return Plan(Reading(**how), tracker), tracker


def _page(ask: PageRequest, rows: int, total: int, **said: int) -> DecodedPage[int]:
    pagination = Pagination(offset=ask.offset, limit=said.get("limit", ask.limit), total=total)
    return DecodedPage(list(range(rows)), pagination, asked=said.get("asked", 0), larger=bool(said.get("larger", 0)))


def _first(plan: Plan) -> PageRequest:
    assert plan.alone is not None
    return plan.alone


def test_after_a_full_first_page_of_a_given_size_nothing_is_asked_for_alone() -> None:
    """The size is known: others follow up to the total, and the answer was counted."""
    plan, tracker = _plan(limit=10)
    ask = plan.hear_alone(_first(plan), _page(_first(plan), 10, 35))
    assert (plan.alone, plan.rest, plan.end) == (None, None, 35)
    assert plan.begin_following() == ask._replace(offset=10)
    assert (ask.limit, ask.offset, tracker.requests) == (10, 0, 1)


def test_pages_grow_one_by_one_while_the_source_may_give_more() -> None:
    """The next one begins where the last one ended, and knows how many rows there are."""
    plan, _ = _plan()
    plan.hear_alone(_first(plan), _page(_first(plan), 50, 300, limit=50, asked=50, larger=1))
    ask = _first(plan)
    assert (ask.offset, ask.limit, ask.open, ask.first, ask.total) == (50, 1000, True, False, 300)
    assert plan.hear_alone(ask, _page(ask, 100, 300, limit=100, asked=100)).limit == 100
    assert plan.alone is None


def test_a_short_page_is_followed_by_its_rest_until_that_is_whole() -> None:
    """What the rest lacks is asked for in its turn; the page after it stays where it was."""
    plan, tracker = _plan(limit=10)
    plan.hear_alone(_first(plan), _page(_first(plan), 4, 35))
    for held, offset, limit in ((3, 4, 6), (3, 7, 3)):
        rest = plan.rest
        assert rest is not None
        assert (rest.offset, rest.limit, plan.tries) == (offset, limit, 1)
        plan.hear_rest(_page(rest, held, 35))
    assert (plan.rest, tracker.requests, tracker.problems) == (None, 3, [])


@pytest.mark.parametrize(("held", "tries", "ends"), [(4, 1, False), (0, 3, True)])
def test_only_a_page_without_any_row_ends_a_read(held: int, tries: int, *, ends: bool) -> None:
    """It contradicts its own total, so it is doubted longer; a short one is only noted."""
    plan, tracker = _plan(limit=10)
    plan.hear_alone(_first(plan), _page(_first(plan), held, 35))
    assert plan.tries == tries
    assert plan.give_up_rest() is ends
    assert len(tracker.problems) == 1


def test_two_pages_equally_short_are_as_large_as_pages_are() -> None:
    """Whatever limit the server says: others follow by the size that was seen."""
    plan, _ = _plan()
    for _ in range(2):
        ask = _first(plan)
        plan.hear_alone(ask, _page(ask, 20, 300, limit=1000, asked=1000))
    ask = plan.begin_following()
    assert (plan.alone, ask.limit, ask.offset, ask.open, plan.end) == (None, 20, 40, False, 300)


@pytest.mark.parametrize("limit", [20, None])
def test_a_read_that_is_continued_goes_on_after_what_is_replayed(limit: int | None) -> None:
    """By pages of the same size; without a given one, it is tried whether they may be larger."""
    plan, tracker = _plan() if limit is None else _plan(limit=limit)
    for offset in (0, 20):
        plan.replay(_page(PageRequest(20, offset), 20, 300))
    ask = plan.alone
    assert (ask is None) is (limit is not None)
    assert ask is None or (ask.offset, ask.limit, ask.open, ask.total) == (40, 1000, True, 300)
    assert (plan.begin_following().offset, plan.end, tracker.requests) == (40, 300, 2)


def test_a_full_page_beyond_the_total_moves_the_end() -> None:
    """The server counted fewer rows than it sent: there may be more, and that is a problem once."""
    plan, tracker = _plan(limit=10)
    ask = plan.hear_alone(_first(plan), _page(_first(plan), 10, 10))
    for offset in (10, 20):
        ask = ask._replace(offset=offset)
        plan.hear(ask, _page(ask, 10, 10), 1)
        assert plan.end == offset + 11
    assert len(tracker.problems) == 1

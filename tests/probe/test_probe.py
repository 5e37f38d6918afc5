"""What a probe finds out about servers of every habit, and that it never asks for more than it may."""

import contextlib
import json
import random
from urllib.parse import urlsplit

import msgspec
import pytest
from odd_server import NOON, Bucket, Clock, OddServer, Window, groups, placements, row, said
from raw_server import RawServer, answer, failure, page

from meitner_aio import Meitner, OAuth2
from meitner_aio.probe import MOST, Asker, Heard, Undetermined, openapi, probe, rights


async def _asked(server, clock=None, **options):
    """Let a client ask a server all that it has to ask: the findings by question, and the asker."""
    heard = Heard()
    clock = clock or server.clock
    if "auth" not in options:
        options |= {"client_credentials": "an-id", "client_secret": "a-secret"}
    async with server, Meitner(base_url=server.url, on_event=heard.record, **options) as meitner:
        asker = Asker(meitner, heard, clock=clock)
        findings = await probe(asker, await rights(asker), sleep=clock.sleep)
        with contextlib.suppress(Undetermined):
            await openapi(asker)
    return {one.question: one for one in findings}, asker


async def _found(**habits):
    found, _ = await _asked(OddServer(**habits))
    return found


def _events(count, first="2026-09-01T00:00:00Z"):
    return [
        row(number, timestamp=first.replace("09-01", f"09-{number + 1:02d}"), resource="Group")
        for number in range(count)
    ]


# What can be found out.


async def test_a_usual_server_gets_one_line_for_each_question():
    """Every question once, none twice, within the bound."""
    found, asker = await _asked(OddServer(limiter=Bucket(1500, "top"), document={"openapi": "3.1.0", "paths": {}}))
    assert {question: one.value for question, one in found.items()} == {
        "limiter": "bucket",
        "reset": "top of the hour",
        "headers": "current",
        "largest page": "1000",
        "order, titled": "title, then created_at",
        "order, others": "created_at",
        "totals": "agree",
        "zones in filters": "heeded",
        "null in ranges": "left out",
        "archived": None,
        "audit events": None,
        "timestamps": "whole seconds",
        "updated_at": "null",
        "empty lists": "[]",
    }
    assert asker.requests < 36
    assert not asker.done


@pytest.mark.parametrize(
    ("habits", "value", "words"),
    [
        ({}, "1000", "1,000 rows: 5,000 are clamped to that (unproven: the longest list has 60)"),
        ({"cap": 100}, "100", "100 rows: 1,000 are clamped to that (unproven"),
        ({"cap": 50}, "50", "50 rows: 1,000 are clamped to that"),
        ({"cap": 10_000}, "5000", "5,000 rows or more: any limit is taken (unproven"),
        ({"refuse_over": 999}, "500", "500 rows at least: 1,000 are refused (422)"),
        ({"refuse_over": 100}, "100", "100 rows at least: 1,000 are refused (422)"),
        ({"refuse_over": 1000}, "1000", "1,000 rows: 5,000 are refused (422)"),
        ({"refuse_over": 99}, None, "1,000 rows are refused (422), and so are 100"),
    ],
)
async def test_the_largest_page_is_given_clamped_or_refused(habits, value, words):
    """And what its lists are too short to show is said."""
    one = (await _found(**habits))["largest page"]
    assert (one.value, one.answer.startswith(words)) == (value, True), one


async def test_a_large_page_of_many_rows_is_proven():
    """It is read where no personal data is, if there are enough rows."""
    server = OddServer(
        rows={"group": groups(), "student-placement": placements(1200), "student": placements(2000)}, cap=1000
    )
    found, _ = await _asked(server)
    assert found["largest page"].answer == "1,000 rows: 5,000 are clamped to that"
    large = {urlsplit(seen.target).path for seen in server.seen if "limit=1000" in seen.target}
    assert large == {"/directory/v1/student-placement"}


def _by(key, **how):
    return lambda rows: sorted(rows, key=key, **how)


BY_ID = _by(lambda one: one["id"])
NEWEST_FIRST = _by(lambda one: one["meta"]["createdAt"], reverse=True)
BY_CHANGE = _by(lambda one: one["meta"]["updatedAt"] or one["meta"]["createdAt"])


@pytest.mark.parametrize(
    ("sort", "value", "words"),
    [
        (
            _by(lambda one: one["meta"]["createdAt"]),
            "created_at",
            "by created_at; an update moves no row; search alike",
        ),
        (NEWEST_FIRST, "created_at, descending", "by created_at, descending; an update moves no row"),
        (BY_ID, "id", "by id; an update moves no row"),
        (BY_CHANGE, "the last change", "by the last change; search alike"),
        (lambda rows: random.Random(3).sample(rows, len(rows)), "none", "by no field to be seen"),
    ],
)
async def test_the_order_of_rows_is_read_from_the_rows(sort, value, words):
    """By any field, up or down; whether an update moves a row is seen from rows that were updated."""
    one = (await _found(rows={"student-placement": sort(placements())}))["order, others"]
    assert (one.value, words in one.answer) == (value, True), one


@pytest.mark.parametrize(
    ("titles", "value"),
    [
        ([f"Klass {number}" for number in "ABCDEFGH"], "title"),
        ([f"Klass {number}" for number in "HGFEDCBA"], "title, descending"),
        (["alfa", "Bravo", "charlie", "Delta", "echo", "Foxtrot"], "title"),
        (["Ask", "Björk", "Zoo", "Ål", "Ängen", "Öland"], "title"),
        (["Al 2", "Al-3", "Al4", "Al: 5", "Al 6", "(Al) 7"], "title"),
        (["Öland", "Ask", "Zoo", "Ål", "Björk", "Ängen"], "none"),
    ],
)
async def test_titles_are_ordered_by_the_rules_of_some_language(titles, value):
    """Capitals may count or not, å comes after z, and marks may be passed over."""
    created = [3, 9, 1, 7, 2, 8, 4, 6]
    rows = [row(number, title=title) for number, title in zip(created, titles, strict=False)]
    assert (await _found(rows={"group": rows}))["order, titled"].value == value


async def test_a_field_that_is_null_on_some_rows_orders_none():
    """It is passed over; those that all rows have are looked at."""
    rows = [
        one | {"motherTongue": f"m{number:02d}" if number % 2 else None}
        for number, one in enumerate(BY_ID(placements()))
    ]
    assert (await _found(rows={"student-placement": rows[::-1]}))["order, others"].value == "id, descending"
    random.Random(1).shuffle(rows)
    assert (await _found(rows={"student-placement": rows}))["order, others"].value == "none"


async def test_what_orders_equal_rows_is_found_where_there_are_enough():
    """Of an import every row has the same time."""
    rows = [row(0, created="2025-01-01T00:00:00Z", id=f"{number}") | {"id": f"{number:02d}"} for number in range(20)]
    rows += [row(number, created="2025-02-01T00:00:00Z") | {"id": f"{number:02d}"} for number in range(7)]
    late = [row(number, created=f"2025-03-{number + 1:02d}T00:00:00Z") for number in range(9)]
    assert (await _found(rows={"student-placement": rows + late}))["order, others"].value == "created_at, then id"


async def test_few_rows_are_in_any_order():
    """Five of them prove nothing."""
    one = (await _found(rows={"group": groups(5)}))["order, titled"]
    assert (one.value, one.answer) == (None, "groups: 5 rows are too few to tell; search alike; same twice")


@pytest.mark.parametrize(
    ("searched", "words"),
    [
        (BY_ID, "search in another order; same twice"),
        (lambda rows: random.sample(rows, len(rows)), "another one each time"),
    ],
)
async def test_a_search_in_another_order_is_reported(searched, words):
    """Than the list, or than itself."""
    assert words in (await _found(searched=searched))["order, titled"].answer


async def test_a_total_that_is_not_that_of_the_rows_is_reported():
    """And by how much."""
    one = (await _found(searched=lambda rows: rows[:-1]))["totals"]
    assert (one.value, "groups: 39 and 40" in one.answer) == ("differ", True)


@pytest.mark.parametrize(
    ("zones", "value", "words"),
    [
        ("heed", "heeded", "Z and +02:00 find the same rows"),
        ("drop", "dropped", "10:00+02:00 is taken for 10:00 UTC"),
        ("refuse", "refused", "an offset is refused (400)"),
    ],
)
async def test_zones_in_filters_are_heeded_dropped_or_refused(zones, value, words):
    """The instant is one at which it makes a difference."""
    one = (await _found(zones=zones))["zones in filters"]
    assert (one.value, words in one.answer) == (value, True)


async def test_the_instant_is_just_before_a_row():
    """So that a zone that is dropped shows where rows are weeks apart, too."""
    rows = [row(0, created=f"2025-{month:02d}-15T12:00:00Z", title="-") for month in range(1, 13)]
    assert (await _found(rows={"group": rows}, zones="drop"))["zones in filters"].value == "dropped"


async def test_a_filter_that_filters_nothing_heeds_no_zone():
    """Equal counts would be no proof."""

    class Deaf(OddServer):
        def _meets(self, *_):
            return True

    found, _ = await _asked(Deaf())
    assert (found["zones in filters"].value, "leaves out no row" in found["zones in filters"].answer) == (None, True)
    assert found["null in ranges"].value == "found"


@pytest.mark.parametrize("updated", [1, 20, 39])
@pytest.mark.parametrize(("nulls", "value"), [("skip", "left out"), ("keep", "found")])
async def test_null_in_ranges(nulls, value, updated):
    """A row that was never updated is after 1970, or it is not."""
    rows = groups()
    for number, one in enumerate(rows):
        one["meta"]["updatedAt"] = "2026-05-01T00:00:00Z" if number < updated else None
    assert (await _found(rows={"group": rows}, nulls=nulls))["null in ranges"].value == value


@pytest.mark.parametrize(
    ("habits", "value", "words"),
    [
        ({"rows": {"student-placement": placements(20, archived=3)}}, "listed", "are listed"),
        ({"rows": {"student-placement": placements(300, archived=3)}, "cap": 50}, "listed", "listed: 3 of 300"),
        (
            {"rows": {"student-placement": placements(20, archived=3)}, "list_archived": False},
            "searched",
            "only found: 3 of",
        ),
        ({}, None, "no placement is archived, or"),
        ({"forbidden": ("student-placement",)}, None, "may not be read"),
    ],
)
async def test_archived_placements_are_listed_or_only_found(habits, value, words):
    """A page that shows one is enough; else three counts are compared."""
    one = (await _found(**habits))["archived"]
    assert (one.value, words in one.answer) == (value, True), one


@pytest.mark.parametrize(
    ("events", "value", "words"),
    [
        (_events(5), "20", "the oldest of 5 is 20 days old"),
        (_events(5)[::-1], "20", "the oldest of 5 is 20 days old"),
        ([_events(3)[2], _events(3)[0], _events(3)[1]], "19", "at neither end"),
        ([row(1, timestamp=None)], None, "says when it happened"),
        ([], None, "there are none"),
    ],
)
async def test_the_oldest_audit_event_says_how_long_they_are_kept(events, value, words):
    """At either end of the list; the age is by the server's clock."""
    one = (await _found(rows={"audit-event": events}))["audit events"]
    assert (one.value, words in one.answer) == (value, True), one


@pytest.mark.parametrize(
    ("created", "value", "words"),
    [
        ("2025-01-01T00:00:00Z", "whole seconds", "whole seconds, UTC; 2 looked at"),
        ("2025-01-01T00:00:00.120Z", "milliseconds", "milliseconds, UTC"),
        ("2025-01-01T00:00:00.123456+02:00", "microseconds", "microseconds, +02:00"),
        ("2025-01-01T00:00:00.123456789Z", "nanoseconds", "nanoseconds"),
        ("2025-01-01T00:00:00.000000Z", "whole seconds", "whole seconds, written with digits for more"),
        ("2025-01-01 00:00:00", "whole seconds", "without a zone"),
        ("yesterday", None, "no row says when it was created"),
    ],
)
async def test_the_resolution_of_timestamps_is_read_from_the_text(created, value, words):
    """As it is on the wire: a decoder would have made microseconds of anything."""
    rows = [row(number, created=created, title="-") for number in (1, 2)]
    one = (await _found(rows={"group": rows}))["timestamps"]
    assert (one.value, words in one.answer) == (value, True), one


async def test_updated_at_may_begin_as_created_at():
    """Or be null, as documented, until the first change."""
    rows = groups(8)
    for one in rows:
        one["meta"]["updatedAt"] = one["meta"]["createdAt"]
    assert (await _found(rows={"group": rows}))["updated_at"].value == "created_at"
    for one in rows:
        one["meta"]["updatedAt"] = "2026-08-01T00:00:00Z"
    assert (await _found(rows={"group": rows}))["updated_at"].value is None


async def test_nil_lists_are_named():
    """Fields of records, and empty pages."""
    one = (await _found(null_lists=True))["empty lists"]
    assert (one.value, one.answer) == ("null", "null: empty pages, groups.member_ids, groups.types")


async def test_a_credential_of_few_rights_gets_what_it_may_read():
    """Everything that the one resource shows, within the bound."""
    forbidden = (
        "school",
        "unit",
        "employee",
        "employee-placement",
        "guardian",
        "student",
        "student-placement",
        "audit-event",
    )
    found, asker = await _asked(OddServer(forbidden=forbidden))
    assert found["order, titled"].value == "title, then created_at"
    assert found["audit events"].answer == "they may not be read"
    assert asker.charged <= MOST


async def test_without_any_right_nothing_can_be_determined():
    """And each line says why."""
    found, _ = await _asked(
        OddServer(
            forbidden=(
                "school",
                "unit",
                "group",
                "employee",
                "employee-placement",
                "guardian",
                "student",
                "student-placement",
                "grade-elementary",
                "grade-upper-secondary",
                "audit-event",
            )
        )
    )
    assert {one.value for one in found.values()} == {None}
    assert all(one.answer for one in found.values())


async def test_the_limiter_is_found_by_a_wait_of_some_seconds():
    """For which nobody waits when it is known already."""
    clock = Clock()
    found, _ = await _asked(OddServer(limiter=Window(5000), clock=clock))
    assert (found["limiter"].value, 2 < clock.slept < 3) == ("window", True)
    clock = Clock()
    found, _ = await _asked(OddServer(limiter=Bucket(1500, "full"), clock=clock))
    assert (found["reset"].value, clock.slept) == ("full", 0.0)


# What it never does.


async def test_it_reads_and_shows_nothing_about_a_person():
    """Lists, searches and the document: no other request, and no value of a row in what is said."""
    people = [
        row(number, firstName="Canary", lastName=f"Canary {number}", identityNumber=f"2010-canary-{number}")
        for number in range(20)
    ]
    server = OddServer(rows={"student": people, "guardian": people, "group": groups()}, limiter=Window(5000))
    found, _ = await _asked(server)
    for seen in server.seen:
        assert seen.method == ("POST" if seen.target.partition("?")[0].endswith("/_search") else "GET")
    said_ = json.dumps(msgspec.to_builtins(list(found.values())))
    assert "anary" not in said_
    assert not any(one["id"] in said_ for one in people)


def _page(**changes):
    pagination = {"limit": 1000, "offset": 0, "total": 10**9} | changes
    return answer(200, {"data": [row(1, title="-")], "pagination": pagination})


def _tokens():
    return answer(200, {"access_token": f"tok-{random.random()}", "expires_in": 0.001, "token_type": "Bearer"})


MISCHIEF = {
    "cut": lambda: None,
    "page": _page,
    "quota": lambda: answer(
        200,
        {"data": [], "pagination": {"limit": 1, "offset": 0, "total": 0}},
        headers=said(1500, random.randrange(1500), NOON),
    ),
    "huge": lambda: _page(total=10**400),
    "negative": lambda: _page(total=-1, limit=-1),
    "words": lambda: _page(total="many"),
    "clamped": lambda: _page(limit=1),
    "rows": lambda: answer(
        200,
        {
            "data": [1, None, "x", {"meta": 7, "id": [], "title": {}}] * 3,
            "pagination": {"limit": 12, "offset": 0, "total": 12},
        },
    ),
    "dates": lambda: answer(
        200,
        {
            "data": [
                {"meta": {"createdAt": when, "updatedAt": when}}
                for when in ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59-23:59", "2025-99-99T99:99:99Z")
            ],
            "pagination": {"limit": 3, "offset": 0, "total": 3},
        },
    ),
    "nothing": lambda: answer(200, None),
    "garbage": lambda: answer(200, body=b"\xff<html>"),
    "deep": lambda: answer(200, body=b"[" * 100_000),
    "refused": lambda: failure(422, "UnprocessableEntity"),
    "malformed": lambda: failure(400, "BadRequest"),
    "forbidden": lambda: failure(403, "Forbidden"),
    "gone": lambda: failure(404, "NotFound"),
    "conflict": lambda: failure(409, "Conflict"),
    "unauthorized": lambda: failure(401, "Unauthorized"),
    "busy": lambda: failure(503, "Internal"),
    "elsewhere": lambda: answer(302, None, headers={"Location": "/directory/v1/school"}),
    "throttled": lambda: failure(429, "RateLimited", Retry_After="0"),
}


class Mischief(RawServer):
    """Does anything, by a seed; each kind of mischief may be chosen more or less often. Tokens die at once."""

    def __init__(self, kinds, seed=0):
        super().__init__([self._reply])
        self._random, self._kinds = random.Random(seed), kinds

    async def _reply(self, writer):
        if self.seen[-1].target == "/oauth/token":
            writer.write(_tokens())
        else:
            reply = MISCHIEF[self._random.choice(self._kinds)]()
            if reply is None:
                writer.transport.abort()
                raise ConnectionResetError
            writer.write(reply)
        await writer.drain()


AUTHS = {"API key": {}, "OAuth2": {"auth": OAuth2("an-id", "a-secret")}}


@pytest.mark.parametrize("auth", AUTHS)
@pytest.mark.parametrize("kind", MISCHIEF)
async def test_no_server_makes_it_ask_more_than_forty_times(kind, auth):
    """Counted at the server, tokens included; with each kind of mischief alone, and each between good pages."""
    for kinds in ([kind], [kind, "page"], [kind, "page", "page", "page"], [kind, "refused", "page"]):
        server = Mischief(kinds, seed=len(kinds))
        found, _ = await _asked(server, Clock(), **AUTHS[auth])
        assert len(server.seen) <= MOST, kinds
        assert all(one.answer for one in found.values())


@pytest.mark.parametrize("auth", AUTHS)
@pytest.mark.parametrize("seed", range(25))
async def test_no_mixture_of_mischief_does_either(seed, auth):
    """Any kinds, in any mixture."""
    kinds = random.Random(seed).sample(sorted(MISCHIEF), 4) + ["page"] * (seed % 5)
    server = Mischief(kinds, seed=seed)
    await _asked(server, Clock(), **AUTHS[auth])
    assert len(server.seen) <= MOST, kinds


@pytest.mark.parametrize("auth", AUTHS)
@pytest.mark.parametrize(
    "kinds",
    [["page"], ["page", "cut"], ["page", "page", "forbidden"], ["page", "unauthorized"], ["unauthorized", "busy"]],
)
async def test_the_bound_holds_however_much_is_asked(kinds, auth):
    """What may have left twice is counted twice, so that fewer than forty may leave, and never more."""
    options = AUTHS[auth] or {"client_credentials": "an-id", "client_secret": "a-secret"}
    server, heard = Mischief(kinds, seed=5), Heard()
    async with server, Meitner(base_url=server.url, on_event=heard.record, **options) as meitner:
        asker = Asker(meitner, heard)
        for _ in range(100):
            asker.done = asker.done if "most" in asker.done else ""  # whatever else it would have stopped for
            await asker.get("/school")
    assert "40 requests were made, the most" in asker.done
    assert MOST / 4 <= len(server.seen) <= MOST


@pytest.mark.parametrize(
    ("kind", "most", "why"),
    [
        ("unauthorized", 1, "the credentials were refused"),
        ("throttled", 1, "the quota is spent"),
        ("busy", 2, "2 requests in a row failed"),
    ],
)
async def test_a_server_in_trouble_is_left_alone(kind, most, why):
    """What nobody can answer is not asked."""
    server = Mischief([kind])
    heard = Heard()
    async with server, Meitner("an-id", "a-secret", base_url=server.url, on_event=heard.record) as meitner:
        asker = Asker(meitner, heard)
        for _ in range(9):
            await asker.get("/school")
    assert len(server.seen) == most
    assert asker.done == why


async def test_failures_that_are_not_in_a_row_stop_nothing():
    """A busy server answers now and then."""
    server, heard = OddServer(), Heard()
    server.respond = lambda _: failure(503, "Internal") if len(server.seen) % 2 else page([])
    async with server, Meitner("an-id", "a-secret", base_url=server.url, on_event=heard.record) as meitner:
        asker = Asker(meitner, heard)
        for _ in range(8):
            await asker.get("/school")
    assert (asker.done, len(server.seen)) == ("", 8)


async def test_a_slow_server_is_asked_for_ninety_seconds():
    """Not for forty timeouts."""
    server = OddServer(latency=10.0)
    _, asker = await _asked(server)
    assert len(server.seen) <= 10
    assert "1 min 30 s" in asker.done


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (failure(404, "NotFound"), "the server gives no openapi.json"),
        (failure(403, "Forbidden"), "openapi.json: the server answered 403"),
        (
            answer(302, None, headers={"Location": "https://example.org/openapi.json"}),
            "openapi.json: the server answered 302",
        ),
        (answer(200, body=b"<html>"), "openapi.json is no OpenAPI 3 document"),
        (answer(200, {"swagger": "2.0", "paths": {}}), "openapi.json is no OpenAPI 3 document"),
        (answer(200, {"openapi": "3.1.0"}), "openapi.json is no OpenAPI 3 document"),
        (answer(200, [1]), "openapi.json is no OpenAPI 3 document"),
        (answer(200, headers={"Content-Length": str(10**9)}), "openapi.json: GET /{id} was answered with more than"),
    ],
)
async def test_a_server_without_a_document_is_reported_as_such(reply, why):
    """Whatever it answers in its place; nothing is asked of another server."""
    heard = Heard()
    async with (
        RawServer([reply]) as server,
        Meitner("an-id", "a-secret", base_url=server.url, on_event=heard.record) as meitner,
    ):
        with pytest.raises(Undetermined) as caught:
            await openapi(Asker(meitner, heard))
    assert str(caught.value).startswith(why)
    assert [seen.target for seen in server.seen] == ["/directory/v1/openapi.json"]


async def test_an_answer_shows_nothing_of_its_data():
    """Neither it nor a page may quote a person in a traceback."""
    heard = Heard()
    async with (
        RawServer([page([{"firstName": "Canary"}])]) as server,
        Meitner("an-id", "a-secret", base_url=server.url) as meitner,
    ):
        answered = await Asker(meitner, heard).get("/student")
    assert repr(answered) == "Answer(200)"
    assert answered.data["data"] == [{"firstName": "Canary"}]


async def test_the_time_of_an_answer_is_its_own():
    """A call that waited for a token, or for the quota, says nothing about the server."""
    heard = Heard()
    token = answer(200, {"access_token": "tok", "expires_in": 3600})
    async with (
        RawServer([token, page([])]) as server,
        Meitner(base_url=server.url, auth=OAuth2("an-id", "a-secret"), on_event=heard.record) as meitner,
    ):
        asker = Asker(meitner, heard)
        first, second = [await asker.get("/school") for _ in range(2)]
    assert first.took is None
    assert second.took is not None
    assert (asker.requests, asker.charged, len(server.seen)) == (3, 2, 3)


def test_asking_is_reading():
    """An asker has no other methods: there is no way to write through it."""
    assert {name for name in vars(Asker) if not name.startswith("_")} == {"get", "search", "requests", "since"}

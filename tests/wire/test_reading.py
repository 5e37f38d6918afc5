"""How a successful answer is read: records and pages from bytes, and nothing foreign or personal out of either."""

from __future__ import annotations

import json
import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs
from plain_directory import PlainDirectory
from samples import ID, OTHER_ID, answer, record, required

from meitner_aio import (
    RESOURCES,
    EmployeePlacement,
    Group,
    Guardian,
    MeitnerError,
    ResponseValidationError,
    Student,
    to_dict,
)
from meitner_aio._operations.operations import operations
from meitner_aio._wire import decoding as reading
from meitner_aio._wire.decoding import PageReader, RecordDecoder, read
from meitner_aio._wire.messages import Request, error_from
from meitner_aio.records import Record, fields

CANARY = "20150101-4242"
GET = Request("get", "GET", "/student/{id}", f"/student/{ID}", headers={"Client-Secret": CANARY}, body=CANARY.encode())
LIST = Request("list", "GET", "/student", "/student", "limit=100&offset=0")
HTML = {"Content_Type": "text/html; charset=utf-8"}
ONE = msgspec.json.Decoder(Student)


def read_page(response, *, offset=0, skip_invalid=False):
    """Read a page of students."""
    return PageReader(Student).reader(offset, skip_invalid=skip_invalid)(LIST, response)


# Records.

GOOD = {"id": ID, "identityNumber": "x", "firstName": "Bo", "lastName": "Ek"}


def test_a_record_is_read():
    """JSON in, record out; a missing content type is forgiven, a charset ignored."""
    for headers in ({}, {"Content_Type": ""}, {"Content_Type": "application/vnd.api+JSON; charset=utf-8"}):
        assert read(GET, answer(GOOD, **headers), ONE).last_name == "Ek"


def test_a_page_is_read():
    """Rows and pagination, as they came."""
    pagination = {"offset": 0, "limit": 100, "total": 1}
    page = read_page(answer({"data": [GOOD], "pagination": pagination, "later": 1}))
    assert [row.id for row in page.rows] == [ID]
    assert (page.pagination.offset, page.pagination.limit, page.pagination.total) == (0, 100, 1)


BROKEN = {
    "a page of a portal": (answer(b"<html>", 200, **HTML), "text/html instead of JSON"),
    "text": (answer(b"{}", 200, Content_Type="text/plain"), "text/plain instead of JSON"),
    "nothing": (answer(b""), "an empty body"),
    "half a record": (answer(json.dumps(GOOD).encode()[:-9]), "not JSON"),
    "two records": (answer(json.dumps(GOOD).encode() * 2), "not JSON"),
    "HTML called JSON": (answer(b"<html>"), "not JSON"),
    "NaN": (answer(b"NaN"), "not JSON"),
    "invalid UTF-8": (answer(json.dumps(GOOD).encode().replace(b"Bo", b"\xff\xfe")), "not JSON"),
    "a lone surrogate": (answer(json.dumps(GOOD | {"firstName": "\ud800"}).encode()), "not JSON"),
    "deep nesting": (answer(b'{"later":' * 100_000), "not JSON"),
    "deep nesting in place": (answer(b'{"id":' + b"[" * 100_000), "shape|not JSON"),
    "a list": (answer([GOOD]), r"another shape: Expected `object`, got `array`"),
    "null": (answer(b"null"), "another shape: Expected `object`, got `null`"),
    "a missing field": (answer({**GOOD, "firstName": None}), r"Expected `str`, got `null` - at `\$\.firstName`"),
    "no id": (answer({key: GOOD[key] for key in GOOD if key != "id"}), "missing required field `id`"),
    "a number for text": (answer(GOOD | {"lastName": 201501014242}), r"at `\$\.lastName`"),
    "a date that is none": (answer(GOOD | {"dateOfBirth": "2015-02-30"}), r"Invalid .*date.* at `\$\.dateOfBirth`"),
    "a personal date": (answer(GOOD | {"dateOfBirth": CANARY}), r"at `\$\.dateOfBirth`"),
    "a naive instant": (answer(GOOD | {"meta": {"createdAt": "2026-03-01T12:00:00"}}), r"at `\$\.meta\.createdAt`"),
    "an enum of numbers": (answer(GOOD | {"gender": 201501014242}), r"at `\$\.gender`"),
}


@pytest.mark.parametrize(("response", "problem"), BROKEN.values(), ids=BROKEN)
def test_an_answer_that_breaks_the_contract_is_refused(response, problem):
    """One kind of error, which names the request and the place; no foreign exception and no value shows through."""
    response.headers["x-request-id"] = "h1"
    with pytest.raises(ResponseValidationError, match=problem) as caught:
        read(GET, response, ONE)
    error = caught.value
    assert error.message.startswith("GET /student/{id} was answered 200 with ")
    assert (error.request_id, error.method, error.route, error.attempts) == ("h1", "GET", "/student/{id}", 1)
    assert error.__cause__ is error.__context__ is None
    for text in (CANARY, "201501014242"):
        assert text not in str(error) + error.message


NUMBERS = {
    "huge": b"9" * 400,
    "64 bits and more": str(2**64).encode(),
    "a fraction": b"0.5",
    "1e400": b"1e400",
    "text": b'"7"',
}


@pytest.mark.parametrize("number", NUMBERS.values(), ids=NUMBERS)
def test_a_number_is_an_integer_or_a_refusal(number):
    """Numbers that no field can mean do not crash the reader."""
    placement = {"id": ID, "employeeID": ID, "schoolID": ID, "startDate": "2026-08-15", "employmentPercent": 424242}
    body = json.dumps(placement).encode().replace(b"424242", number)
    decoder = msgspec.json.Decoder(EmployeePlacement)
    try:
        percent = read(GET, answer(body), decoder).employment_percent
    except ResponseValidationError as error:
        assert "employmentPercent" in error.message
    else:
        assert percent == int(number)


def page_of(*rows):
    """Return an answer that holds rows."""
    return answer({"data": rows, "pagination": {"offset": 0, "limit": 100, "total": len(rows)}})


def test_a_broken_row_is_named_by_its_id():
    """Out of a hundred rows, the one to report is named; its values are not."""
    rows = [GOOD, GOOD | {"id": OTHER_ID, "lastName": 201501014242, "firstName": CANARY}, GOOD]
    with pytest.raises(ResponseValidationError, match=rf"at `\$\.data\[1\]\.lastName` \(row {OTHER_ID}\)$") as caught:
        read_page(page_of(*rows))
    assert caught.value.message.startswith("GET /student was answered 200 with JSON of another shape: ")
    assert "4242" not in str(caught.value).replace(OTHER_ID, "")
    assert caught.value.__context__ is None


@pytest.mark.parametrize("row", [{"id": 7}, {}, 7, None, [], "x"])
def test_a_broken_row_without_an_id_is_numbered(row):
    """A row that cannot say who it is is counted."""
    with pytest.raises(ResponseValidationError, match=r"\(row number 2 of the page at 0\)$"):
        read_page(page_of(GOOD, GOOD, row))


BROKEN_PAGES = {
    "no data": {"pagination": {"offset": 0, "limit": 1, "total": 0}},
    "no pagination": {"data": []},
    "data of another kind": {"data": {}, "pagination": {"offset": 0, "limit": 1, "total": 0}},
    "a total of text": {"data": [], "pagination": {"offset": 0, "limit": 1, "total": "0"}},
    "a bare list": [GOOD],
}


@pytest.mark.parametrize("body", BROKEN_PAGES.values(), ids=BROKEN_PAGES)
def test_a_broken_page_has_no_row_to_name(body):
    """The place is named, and no row is blamed."""
    with pytest.raises(ResponseValidationError, match="another shape") as caught:
        read_page(answer(body))
    assert "row" not in caught.value.message.replace("array", "")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
hostile = st.binary() | json_values.map(lambda value: json.dumps(value).encode())
rows = st.dictionaries(st.sampled_from([*GOOD, "meta", "gender", "dateOfBirth", "address"]), json_values, max_size=4)


@given(hostile, st.sampled_from([200, 404, 502]))
def test_no_bytes_raise_anything_foreign(body, status):
    """Whatever a server sends, only errors of this package come out."""
    response = answer(body, status)
    assert isinstance(error_from(GET, response), MeitnerError)
    for decode in (lambda: read(GET, response, ONE), lambda: read_page(response)):
        try:
            decode()
        except ResponseValidationError as error:
            assert error.__context__ is None


@given(st.lists(rows.map(lambda changes: GOOD | changes), max_size=3))
def test_no_row_raises_anything_foreign(several):
    """Nearly right rows are the hard ones."""
    try:
        page = read_page(page_of(*several))
    except ResponseValidationError as error:
        assert "$.data[" in error.message
    else:
        assert len(page.rows) == len(several)


@pytest.mark.parametrize("name", ["total", "limit"])
def test_a_page_that_promises_more_than_can_be_counted_is_refused(name):
    """What is made of the number, such as the time that an export takes, would be no float."""
    for number, refused in ((2**63 - 1, False), (2**63, True), (10**400, True)):
        page = answer({"data": [], "pagination": {"offset": 0, "limit": 100, "total": 1, name: number}})
        if refused:
            with pytest.raises(ResponseValidationError, match="more rows than can be counted"):
                read_page(page)
        else:
            assert getattr(read_page(page).pagination, name) == number


def test_a_page_of_another_place_is_refused():
    """Rows that belong elsewhere would be read twice, and those of this place never."""
    with pytest.raises(ResponseValidationError, match="another offset than 100"):
        read_page(page_of(GOOD), offset=100)


def test_invalid_rows_can_be_left_out():
    """The others are delivered, and the invalid ones are named by id, or by place when the id is none."""
    page = read_page(page_of(GOOD, {"id": OTHER_ID}, {"id": CANARY}, GOOD), skip_invalid=True)
    assert [row.last_name for row in page.rows] == ["Ek", "Ek"]
    assert page.invalid == (OTHER_ID, "number 2 of the page at 0")


def test_a_page_that_is_none_cannot_be_left_out():
    """`skip_invalid` is about rows."""
    with pytest.raises(ResponseValidationError, match="another shape"):
        read_page(answer([GOOD]), skip_invalid=True)


# What a server may send for nothing.

PAGE_OF_NONE = {"data": None, "pagination": {"offset": 0, "limit": 100, "total": 0}}
STAMPED = {"createdAt": "2026-03-01T12:00:00Z", "createdBy": None, "updatedAt": None, "updatedBy": None}
UNSTAMPED = dict.fromkeys(STAMPED)
LISTS = [
    (resource.model, field)
    for resource in RESOURCES.values()
    for field in fields(resource.model)
    if field.many and not field.nullable
]


def wire(model, **changes):
    """Return a record with every field set as the API sends it, but for the changes."""
    return json.loads(msgspec.json.encode(record(model))) | changes


def test_there_are_lists_to_be_null():
    """Groups, guardians and placements have them."""
    assert {f"{model.__name__}.{field.name}" for model, field in LISTS} == {
        "Group.types", "Group.moderator_ids", "Group.member_ids", "Guardian.student_ids", "EmployeePlacement.roles",
    }  # fmt: skip


@pytest.mark.parametrize(("model", "field"), LISTS)
@pytest.mark.parametrize("skip", [False, True])
def test_a_nil_list_is_an_empty_one(model, field, skip):
    """In a record and in a row of a page, whatever its neighbours are; everything else is as it was."""
    null, full = wire(model, **{field.wire: None}), wire(model)
    empty = structs.replace(record(model), **{field.name: []})
    assert read(GET, answer(null), RecordDecoder(model)) == empty
    page = PageReader(model).reader(0, skip_invalid=skip)(LIST, page_of(full, null, full))
    assert page.rows == [record(model), empty, record(model)]
    assert page.invalid == ()


def test_a_page_without_data_is_an_empty_one():
    """A nil slice of rows: no row, and no error."""
    page = read_page(answer(PAGE_OF_NONE))
    assert (page.rows, page.pagination.total) == ([], 0)


@pytest.mark.parametrize("model", [resource.model for resource in RESOURCES.values()])
def test_an_object_of_nulls_says_nothing(model):
    """Where null would be as good: no address, no id elsewhere, no word of when and by whom."""
    objects = {field.wire: field for field in fields(model) if field.kind == "object"}
    nulls = {wire: {inner.wire: None for inner in fields(field.type)} for wire, field in objects.items()}
    for decoded in (
        read(GET, answer(wire(model, **nulls)), RecordDecoder(model)),
        PageReader(model).reader(0, skip_invalid=False)(LIST, page_of(wire(model, **nulls))).rows[0],
    ):
        assert decoded.meta is None
        for field in objects.values():
            kept = getattr(decoded, field.name)
            assert kept is None or set(to_dict(kept).values()) == {None}


def test_an_object_of_nulls_is_read_alike_beside_a_nil_list():
    """Which way a row was read must not show: rows are compared with each other."""
    address, external = dict.fromkeys(["postalCity", "postalCode"]), {"sourceID": None, "source": None}
    plain = wire(Guardian, address=address, external=external, studentIDs=[])
    other = plain | {"studentIDs": None, "meta": UNSTAMPED}
    first, second = read_page_of(Guardian, plain, other).rows
    assert second == structs.replace(first, meta=None)


def read_page_of(model, *rows):
    """Read a page of a model."""
    return PageReader(model).reader(0, skip_invalid=False)(LIST, page_of(*rows))


class _Optional(Record):
    """A record of somebody's own, of which one list may be null."""

    names: list[str] | None = None
    numbers: list[int] = msgspec.field(default_factory=list)


def test_a_list_that_may_be_null_stays_null():
    """Whatever stands beside it: where null means something, it is no empty list."""
    decoder = RecordDecoder(_Optional)
    assert decoder.decode(b'{"names":null,"numbers":null}') == decoder.decode(b'{"names":null,"numbers":[]}')


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"types": None, "title": 7}, r"`\$\.data\[1\]\.title`"),
        ({"types": None, "memberIDs": [None]}, r"`\$\.data\[1\]\.memberIDs\[0\]`"),
        ({"types": None, "title": None}, r"`\$\.data\[1\]\.title`"),
        ({"types": None, "meta": STAMPED | {"createdAt": None, "createdBy": ID}}, r"`\$\.data\[1\]\.meta\.createdAt`"),
        ({"types": {}}, r"`\$\.data\[1\]\.types`"),
    ],
)
def test_what_is_broken_beside_a_null_stays_broken(changes, place):
    """Nulls for lists are forgiven, nothing else is; the first row that is really broken is the one that is named."""
    null = wire(Group, types=None)
    with pytest.raises(ResponseValidationError, match=rf"{place} \(row {ID}\)$"):
        read_page_of(Group, null, wire(Group, **changes))
    with pytest.raises(ResponseValidationError, match=re.sub(r"\\\.data\\\[1\\\]", "", place)):
        read(GET, answer(wire(Group, **changes)), RecordDecoder(Group))


def test_text_is_no_page_although_it_looks_like_one():
    """What does not call itself JSON is not looked at row by row."""
    response = answer(PAGE_OF_NONE, 200, **HTML)
    with pytest.raises(ResponseValidationError, match="text/html instead of JSON"):
        read_page(response)


def test_a_page_that_is_as_promised_is_read_once(monkeypatch):
    """The forgiving way costs the strict one nothing: it is not entered."""
    monkeypatch.setattr(reading, "_fill", None)
    monkeypatch.setattr(reading, "_raw_page", None)
    assert read_page_of(Group, wire(Group), wire(Group)).rows == [record(Group)] * 2
    assert read(GET, answer(wire(Group)), RecordDecoder(Group)) == record(Group)


@pytest.mark.parametrize("attribute", ["groups", "guardians", "employee_placements"])
async def test_a_directory_that_sends_nil_lists_is_read(attribute):
    """Through every read of a resource: an empty page, a listing, one record, a create and an update."""
    directory = PlainDirectory()
    resource = RESOURCES[attribute](directory)
    assert await resource.list().all() == []
    body = operations(RESOURCES[attribute])["create"].body
    made = await resource.create(**required(body))
    lists = [field.name for field in fields(resource.model) if field.many]
    assert [getattr(made, name) for name in lists] == [[]] * len(lists)
    assert await resource.get(made.id) == made
    assert await resource.list().all() == [made]
    assert structs.replace(await resource.modify(made, **{lists[0]: []}), meta=None) == structs.replace(made, meta=None)

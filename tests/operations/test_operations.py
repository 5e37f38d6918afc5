"""Operations without a network: what each sends, refuses to send, and accepts as an answer."""

from __future__ import annotations

import asyncio
import inspect
import json
import re
import traceback
from collections.abc import Coroutine
from typing import get_type_hints

import pytest
from api_table import parse
from conformance import body_of
from rich.pretty import pretty_repr
from samples import ID, OTHER_ID, Recorder, answer, call, every, page, record, required

from meitner_aio import RESOURCES, Address, Listing, ResponseValidationError, Student, StudentFields
from meitner_aio._operations.operations import Get, List, Resource, Search, operations
from meitner_aio._operations.writes import Create, Delete, Update
from meitner_aio._wire.messages import RawResponse
from meitner_aio.query import ResourceQuery
from meitner_aio.records import fields
from meitner_aio.resources import Students

API = parse()
CALLS = [
    pytest.param(resource, name, id=f"{attribute}.{name}")
    for attribute, resource in RESOURCES.items()
    for name in operations(resource)
]
ON_ONE = [case for case in CALLS if case.values[1] in ("get", "update", "delete", "archive", "restore")]
READS_ONE = [case for case in ON_ONE if case.values[1] != "delete"]


def answering(resource, name):
    """Return a `Send` that answers an operation as the directory would."""
    if name in ("list", "search"):
        return Recorder(page(record(resource.model)))
    return Recorder(answer(b"" if name == "delete" else record(resource.model), operations(resource)[name].status))


# What is sent.


@pytest.mark.parametrize(("resource", "name"), CALLS)
async def test_the_request_of_an_operation(resource, name):
    """Method, route, path, query and body of all 61 operations, as the API's table has them."""
    send = answering(resource, name)
    await call(resource, name, send)
    (request,) = send.requests
    fact = API.operations[name]
    assert (request.operation, request.method) == (name, fact.method)
    assert request.route == API.resources[resource.model.__name__].path + fact.suffix
    assert request.path == request.route.replace("{id}", ID)
    assert request.query == ("limit=50&offset=0" if fact.query else "")
    assert request.content_type == "application/json"
    assert (request.body is not None) == (name in ("create", "update", "search"))
    if name == "search":
        assert json.loads(request.body) == {"filter": {"equals": {"id": ID}, "orCondition": False}}
    elif request.body is not None:
        needed = [field for field in fields(body_of(resource, name)) if field.required]
        assert list(json.loads(request.body)) == [field.wire for field in needed]


@pytest.mark.parametrize(("resource", "name"), CALLS)
async def test_the_result_of_an_operation(resource, name):
    """Each operation returns a listing, a record or None."""
    result = await call(resource, name, answering(resource, name))
    if name in ("list", "search"):
        assert list(result) == [record(resource.model)]
    else:
        assert result == (None if name == "delete" else record(resource.model))


@pytest.mark.parametrize("attribute", [attribute for attribute in RESOURCES if attribute != "audit_events"])
async def test_every_field_of_a_write_is_sent_under_its_name(attribute):
    """Every given field is sent under its wire name."""
    resource = RESOURCES[attribute]
    for name, ids in (("create", []), ("update", [ID])):
        send = answering(resource, name)
        body = body_of(resource, name)
        await getattr(resource(send), name)(*ids, **every(body))
        sent = json.loads(send.requests[0].body)
        assert set(sent) == {field.wire for field in fields(body)}
        assert sent["external"] == {"sourceID": "Ek"}


async def test_null_is_sent_and_what_is_not_given_is_not():
    """None is sent as null, and omitted fields are not sent, also in nested objects."""
    send = answering(Students, "update")
    given = {"identity_number": "x", "first_name": "Bo", "last_name": "Ek"}
    await Students(send).update(ID, **given, email_address1=None, gender=None, address=Address(postal_code=None))
    assert json.loads(send.requests[0].body) == {
        "identityNumber": "x",
        "firstName": "Bo",
        "lastName": "Ek",
        "gender": None,
        "address": {"postalCode": None},
        "emailAddress1": None,
    }


async def test_an_id_travels_in_lower_case():
    """Ids are lower-cased in the path, so that a record has one path."""
    send = answering(Students, "get")
    await Students(send).get(ID.upper())
    assert send.requests[0].path == f"/student/{ID}"


async def test_listings_ask_for_what_they_are_told():
    """Limit and offset go into the query, of a search too; concurrency does not."""
    asked = []

    async def send(request):
        asked.append(request.query)
        limit, offset = (int(part.partition("=")[2]) for part in request.query.split("&"))
        return answer({"data": [], "pagination": {"offset": offset, "limit": limit, "total": 0}})

    await Students(send).list(limit=7, offset=3, concurrency=2)
    await Students(send).search(first_name="Bo").paged(limit=9, offset=1)
    await Students(send).list().count()
    assert asked == ["limit=7&offset=3", "limit=9&offset=1", "limit=1&offset=0"]


@pytest.mark.parametrize(("usual", "given", "most"), [(3, None, 3), (3, 2, 2), (1, None, 1), (None, None, 8)])
async def test_a_listing_keeps_to_its_concurrency(usual, given, most):
    """Requests in flight: what the call says, else what the resource was made with; 8 when nobody says."""
    flying, seen = 0, 0

    async def send(request):
        nonlocal flying, seen
        flying += 1
        seen = max(seen, flying)
        await asyncio.sleep(0)
        flying -= 1
        offset = int(request.query.rpartition("=")[2])
        row = json.loads(answer(record(Student)).body) | {"id": f"{ID[:-4]}{offset:04}"}
        return answer({"data": [row], "pagination": {"offset": offset, "limit": 1, "total": 30}})

    students = Students(send) if usual is None else Students(send, concurrency=usual)
    assert len(await students.list(limit=1, concurrency=given).all()) == 30
    assert seen == most
    if given is None:
        seen = 0
        assert len(await students.search(first_name="Bo").paged(limit=1).all()) == 30
        assert seen == most


def test_a_listing_asks_nothing_until_it_is_read():
    """Making a listing sends nothing."""
    send = answering(Students, "list")
    students = Students(send)
    assert isinstance(students.list(), Listing)
    assert isinstance(students.search(first_name="Bo"), Listing)
    assert send.requests == []


# What is refused before anything is sent.


@pytest.mark.parametrize(("resource", "name"), ON_ONE)
@pytest.mark.parametrize("bad", ["../school/1", "", ID + "/archive", "20150101-4242", None, 7])
def test_a_bad_id_is_refused_at_the_call(resource, name, bad):
    """It is refused by the call itself, not when awaited and not by the server."""
    send = answering(resource, name)
    given = required(body_of(resource, name)) if name == "update" else {}
    with pytest.raises((ValueError, TypeError), match=r"^id must be a"):
        getattr(resource(send), name)(bad, **given)
    assert send.requests == []


@pytest.mark.parametrize(("resource", "name"), [case for case in CALLS if case.values[1] in ("create", "update")])
def test_a_bad_write_is_refused_at_the_call(resource, name):
    """A missing field, an unknown field or a wrong type is refused by the call itself."""
    send = answering(resource, name)
    bound, ids, body = getattr(resource(send), name), [ID] if name == "update" else [], body_of(resource, name)
    for given in ({}, required(body) | {"surname": "Ek"}, required(body) | {"external": 7}):
        with pytest.raises(TypeError, match=f"^{body.__name__}"):
            bound(*ids, **given)
    with pytest.raises(TypeError):
        bound(*ids, "Ek")
    assert send.requests == []


def test_a_bad_search_is_refused_at_the_call():
    """Invalid conditions are refused by the call itself, and so is an empty search."""
    students = Students(answering(Students, "search"))
    with pytest.raises(ValueError, match="would match every row"):
        students.search()
    with pytest.raises(TypeError, match="did you mean 'last_name'"):
        students.search(lastname="Ek")


@pytest.mark.parametrize(
    ("given", "problem"), [({"limit": 0}, "limit"), ({"offset": -1}, "offset"), ({"concurrency": 0}, "concurrency")]
)
def test_a_bad_listing_is_refused_at_the_call(given, problem):
    """Invalid limits, offsets and concurrencies are refused by the call itself."""
    with pytest.raises(ValueError, match=f"^{problem} must be an int of at least"):
        Students(answering(Students, "list")).list(**given)


# What an answer may be.


@pytest.mark.parametrize(("resource", "name"), READS_ONE)
async def test_an_answer_about_another_record_is_refused(resource, name):
    """A record with another id than the requested one raises, so that data is never attributed to the wrong person."""
    other = json.loads(answer(record(resource.model)).body) | {"id": OTHER_ID}
    with pytest.raises(ResponseValidationError, match=r"was answered \d+ with another record") as caught:
        await call(resource, name, Recorder(answer(other)))
    assert caught.value.route.startswith(resource.path + "/{id}")


async def test_an_answer_may_spell_the_id_in_capitals():
    """An id in capitals in the answer is accepted."""
    capitals = json.loads(answer(record(Student)).body) | {"id": ID.upper()}
    assert (await Students(Recorder(answer(capitals))).get(ID)).id == ID.upper()


@pytest.mark.parametrize(("resource", "name"), [case for case in CALLS if case.values[1] != "delete"])
async def test_an_answer_that_is_no_record_is_refused(resource, name):
    """HTML from a portal or half a record raises `ResponseValidationError`, which names the operation."""
    for response in (answer(b"<html>"), answer(b'{"id":'), answer({}), RawResponse(200, {}, b"")):
        with pytest.raises(ResponseValidationError) as caught:
            await call(resource, name, Recorder(response))
        assert (caught.value.method, caught.value.attempts) == (operations(resource)[name].method, 1)


async def test_what_the_transport_raises_is_passed_on():
    """Errors of the transport are raised unchanged."""

    async def send(request):
        raise ConnectionResetError(request.route)

    with pytest.raises(ConnectionResetError, match=re.escape("/student/{id}")):
        await Students(send).get(ID)


def locals_of_the_package(error):
    """Return what the frames of the package show of their variables in a traceback."""
    frames = [
        frame for frame, _ in traceback.walk_tb(error.__traceback__) if "meitner_aio" in frame.f_globals["__name__"]
    ]
    assert frames
    return " ".join(pretty_repr(value) + repr(value) for frame in frames for value in frame.f_locals.values())


@pytest.mark.parametrize("name", ["create", "update", "get", "search"])
async def test_no_frame_of_an_error_shows_a_person(name):
    """The locals in a traceback, shown by repr or rich, hold no body, answer or condition."""
    canary = "Kanariefogel"
    mixed_up = json.loads(answer(record(Student)).body) | {"id": OTHER_ID, "firstName": canary, "lastName": 7}
    students = Students(Recorder(answer(mixed_up)))
    person = {"identity_number": canary, "first_name": canary, "last_name": canary}
    calls = {
        "create": lambda: students.create(**person),
        "update": lambda: students.update(ID, **person),
        "get": lambda: students.get(ID),
        "search": lambda: students.search(**person).all(),
    }
    with pytest.raises(ResponseValidationError) as caught:
        await calls[name]()
    assert canary not in locals_of_the_package(caught.value)


# What an operation looks like.


@pytest.mark.parametrize(("resource", "name"), CALLS)
def test_binding_happens_once(resource, name):
    """After first use an operation is a plain attribute of its resource, and of no other."""
    one, other = resource(answering(resource, name)), resource(answering(resource, name))
    first = getattr(one, name)
    assert getattr(one, name) is first
    assert vars(one)[name] is first
    assert getattr(other, name) is not first
    assert getattr(resource, name) is operations(resource)[name]


@pytest.mark.parametrize(("resource", "name"), CALLS)
def test_an_operation_documents_itself(resource, name):
    """`help(client.students.create)` shows what it does, its request and its parameters."""
    operation, bound = operations(resource)[name], getattr(resource(answering(resource, name)), name)
    assert (bound.__name__, bound.__qualname__) == (name, f"{resource.__name__}.{name}")
    assert bound.__module__ == resource.__module__
    assert bound.__doc__.startswith(operation.summary + "\n\n")
    said = bound.__doc__.partition("\n\nFields of ")[0]
    assert f"{operation.method} {operation.route(resource)}. " in said
    assert said.endswith(inspect.getdoc(resource.model).split("\n")[0])


@pytest.mark.parametrize(("resource", "name"), CALLS)
def test_a_call_with_too_many_arguments_is_named_as_it_was_called(resource, name):
    """The error of an argument that no call has is about `Students.get`, not about a function in the package."""
    with pytest.raises(TypeError, match=f"^{resource.__name__}.{name}\\(\\) takes"):
        getattr(resource(answering(resource, name)), name)(ID, 1, 2)


@pytest.mark.parametrize(("resource", "name"), CALLS)
def test_the_signature_is_the_record(resource, name):
    """The id is positional, every field a keyword, and required fields have no default."""
    operation, bound = operations(resource)[name], getattr(resource(answering(resource, name)), name)
    parameters = list(inspect.signature(bound).parameters.values())
    if "{id}" in operation.suffix:
        assert parameters.pop(0).name == "id"
    expected = fields(operation.body) if operation.body is not None else []
    if name == "list":
        assert [parameter.name for parameter in parameters] == ["limit", "offset", "concurrency"]
    else:
        assert [parameter.name for parameter in parameters] == [field.name for field in expected]
        for parameter, field in zip(parameters, expected, strict=True):
            assert (parameter.default is parameter.empty) == field.required
            assert "UnsetType" not in str(parameter.annotation)
            assert "msgspec" not in str(parameter.annotation)
    assert all(parameter.kind is parameter.KEYWORD_ONLY for parameter in parameters)


@pytest.mark.parametrize(("resource", "name"), [case for case in CALLS if case.values[1] not in ("list", "search")])
def test_a_call_is_a_coroutine(resource, name):
    """A call can be passed to `TaskGroup.create_task`."""
    made = call(resource, name, answering(resource, name))
    assert isinstance(made, Coroutine)
    asyncio.run(made)


@pytest.mark.parametrize(("attribute", "resource"), RESOURCES.items(), ids=RESOURCES)
def test_a_resource_shows_what_it_can_do(attribute, resource):
    """The repr of a resource lists its operations; operations that the API lacks do not exist."""
    bound = resource(Recorder(answer({})))
    assert repr(bound) == f"<{resource.__name__}: {', '.join(operations(resource))}>"
    for name in ("search", "create", "update", "delete", "archive", "restore"):
        assert hasattr(bound, name) == (name in operations(resource)), attribute


def test_a_resource_is_a_table():
    """A twelfth resource is a class with a path, a model and its operations; nothing has to be registered."""

    class Pupils(Resource[Student]):
        """Students, by another name."""

        path = "/pupil"
        model = Student
        list = List()
        create = Create(StudentFields)
        update = Update(StudentFields)
        get = Get()
        delete = Delete()

    assert list(operations(Pupils)) == ["list", "create", "update", "get", "delete"]
    send = Recorder(answer(record(Student)))
    assert asyncio.run(Pupils(send).get(ID)) == record(Student)
    assert send.requests[0].path == f"/pupil/{ID}"


def test_search_takes_queries_only():
    """The search of each resource takes conditions on the fields of its record."""
    for resource in RESOURCES.values():
        search = operations(resource).get("search")
        if search is not None:
            assert isinstance(search, Search)
            assert issubclass(search.body, ResourceQuery)
            asked = {field.name for field in fields(search.body)} - {"any_of", "all_of"}
            assert asked == {field.name for field in fields(resource.model)}
            assert get_type_hints(search.body)

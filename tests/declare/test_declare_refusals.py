"""What cannot work is refused when the class is made, with what is wrong and what to write instead."""

from __future__ import annotations

import inspect

import pytest

from meitner_aio import ApiKey, Meitner
from meitner_aio.declare import UNSET, Action, Create, Get, List, Paging, Record, Resource, Search, UnsetType, Update

CLIENT = Meitner(auth=ApiKey("me", "hush"))


class Thing(Record):
    """Whatever."""

    id: str
    name: str = ""


class Fields(Record):
    """What a write says."""

    name: str
    size: int | UnsetType = UNSET


class Pages(Record):
    """A parameter that pages have already."""

    offset: int


class WithId(Record):
    """A parameter that is called as the id is."""

    id: str


def invitation(name: str, *, size: int = 1) -> Fields:
    """Make a body."""
    return Fields(name=name, size=size)


@pytest.mark.parametrize(
    ("declared", "told"),
    [
        ({"model": None}, r"Things needs a model, .* Things.list answers with"),
        ({"model": dict}, "Things needs a model"),
        ({"paging": {"items": "rows"}}, "Things.paging must be a Paging, not dict"),
        ({"id_pattern": "("}, "Things.id_pattern must be a regular expression"),
        ({"id_pattern": None}, "Things.id_pattern must be a regular expression"),
        ({"_list": List()}, "Things._list: .*needs another name"),
        ({"paging": List()}, "Things.paging must be a Paging"),
        ({"permanent": List()}, "Things.permanent: a resource has permanent already"),
        ({"by": List(Pages)}, "Things.by: Pages.offset clashes with the parameter for pages"),
        ({"by": List(dict)}, "Things.by takes a class of Record"),
        ({"get": Get(WithId)}, "Things.get: WithId.id clashes with the id"),
        ({"search": Search(Fields)}, "Things.search takes a class of ResourceQuery"),
        ({"create": Create(invitation)}, "Things.create takes a class of Record"),
        ({"create": Create(Fields, key="mail")}, "Things.create: the key 'mail' must be a field of text"),
        ({"create": Create(Fields, key="size")}, "Things.create: the key 'size' must be a field of text"),
        ({"create": Create(Fields, key="name"), "list": None}, "needs a Search or a List"),
        ({"update": Update(dict)}, "Things.update takes a class of Record"),
        ({"act": Action("FETCH", "/{id}")}, "Things.act: the method must be one of GET, POST"),
        ({"act": Action("GET", "/{id}", body=Fields)}, "Things.act: a GET has no body; .* query="),
        ({"act": Action("DELETE", "/{id}", body=Fields)}, "Things.act: a DELETE has no body"),
        ({"act": Action("POST", "/{id}", body=Fields, query=Fields)}, "either a body or a query"),
        ({"act": Action("POST", "/{id}", body=dict)}, "Things.act takes a Record or a callable"),
        ({"act": Action("POST", "/{id}", body=7)}, "Things.act takes a Record or a callable"),
        ({"act": Action("POST", "/all")}, "name the {id} in its path, or say one=False"),
        ({"act": Action("POST", "/{id}", one=False)}, "its path has {id}, but one=False"),
        ({"act": Action("POST", "/{name}/x")}, "has {id} and no other parameter"),
        (
            {"act": Action("POST", "/{id}", answer=dict)},
            "an answer is a Record, a list of a Record, str, bytes or None",
        ),
        ({"act": Action("POST", "/{id}", answer=list[dict])}, "an answer is a Record"),
    ],
)
def test_a_declaration_that_cannot_work_is_refused_with_its_class(declared, told):
    """The error names the class and the operation."""
    table = {"path": "/things", "model": Thing, "list": List()} | declared
    with pytest.raises(TypeError, match=told):
        type("Things", (Resource,), table)


def test_fields_whose_names_clash_on_the_wire_are_refused_with_their_record():
    """`first_name` and `firstName` would be one."""
    with pytest.raises(ValueError, match="same name"):
        type("Both", (Record,), {"__annotations__": {"first_name": str, "firstName": str}})


@pytest.mark.parametrize(
    "wrong",
    [
        {"items": ""},
        {"items": "a..b"},
        {"total": "a b"},
        {"limit": "a.b"},
        {"limit": "offset"},
        {"items": "total", "total": "total"},
        {"offset": 7},
        {"total": "pagination.limit"},
        {"items": "data", "total": "data.total"},
        {"items": "page.rows", "total": "page"},
    ],
)
def test_a_paging_has_names(wrong):
    """A typing error is found here, not in an answer that seems to be wrong."""
    with pytest.raises(ValueError, match="Paging must be"):
        Paging(**wrong)


def test_the_type_list_is_hidden_by_an_operation_of_that_name():
    """Python itself would say that a `List` cannot be subscripted."""
    with pytest.raises(TypeError, match="`list` is the operation here"):

        class Things(Resource[Thing]):
            path = "/things"
            model = Thing
            list = List()
            act = Action("GET", "/x", one=False, answer=list[Thing])


def test_a_resource_may_extend_another():
    """It has the operations of both."""

    class Things(Resource[Thing]):
        path = "/things"
        model = Thing
        list = List()

    class More(Things):
        get = Get()

    assert repr(CLIENT.resource(More)) == "<More: list, get>"


def test_editors_see_the_parameters_of_a_call():
    """Those of the record, or of the callable that makes it; completion shows operations only."""

    class Things(Resource[Thing]):
        path = "/things"
        model = Thing
        by = List(Fields)
        ping = Action("POST", "/{id}/ping")
        send = Action("POST", "/{id}/send", body=invitation)
        ask = Action("GET", "/ask", one=False, query=Fields)

    things = CLIENT.resource(Things)
    signatures = {name: inspect.signature(getattr(things, name)) for name in ("by", "ping", "send", "ask")}
    returned = {name: one.return_annotation for name, one in signatures.items()}
    assert returned == {"by": "Listing[Thing]", **dict.fromkeys(("ping", "send", "ask"), "Coroutine[None, None, Any]")}
    shown = {name: str(one.replace(return_annotation=one.empty)) for name, one in signatures.items()}
    assert shown["ping"] == "(id: str, /)"
    assert shown["send"] == "(id: str, /, name: 'str', *, size: 'int' = 1)"
    assert shown["by"] == shown["ask"] == "(*, name: str, size: int = UNSET)"
    assert {name for name in dir(things) if not name.startswith("_")} == {"path", "model", *shown}


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda things: things.send("x"), "missing 1 required positional argument"),
        (lambda things: things.send("x", name=7), "Fields.name must be a str, not int"),
        (lambda things: things.note("x", nam="y"), "Fields has no field 'nam'; did you mean 'name'?"),
        (lambda things: things.note("x", name="y", size="z"), "Fields.size must be an int"),
        (lambda things: things.note(7, name="y"), "id must be a str"),
        (lambda things: things.ping("x", size=3), "Record has no field 'size'"),
    ],
)
def test_a_wrong_call_is_refused_before_anything_is_sent(call, told):
    """As for every write; the values are in no message."""

    class Things(Resource[Thing]):
        path = "/things"
        model = Thing
        id_pattern = "[a-z]"
        ping = Action("POST", "/{id}/ping")
        send = Action("POST", "/{id}/send", body=invitation)
        note = Action("POST", "/{id}/note", body=Fields)

    with pytest.raises(TypeError, match=told.replace("?", r"\?")):
        call(CLIENT.resource(Things))

"""Where a document says something else than this version knows: each kind of change is one line, in plain words."""

import json
from itertools import product

import pytest
from api_table import parse
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from openapi import document

from meitner_aio import Meitner
from meitner_aio.drift import differences
from meitner_aio.drift._schema import Reader

API = json.loads(json.dumps(document(parse())))  # nothing in it is shared
TEXT = {"type": "string"}


def _copy(api):
    return json.loads(json.dumps(api))


def _schema(api, name):
    return api["components"]["schemas"][name]


def _members(api, name):
    return _schema(api, name)["properties"]


def _group(api, resource, group):
    """Return the fields of a filter group of a resource."""
    return _members(api, f"{resource}Filter")[group]["anyOf"][0]["properties"]


def _operation(api, path, method):
    return api["paths"][path][method]


def _everywhere(name, change):
    """Return what applies a change to a field of students wherever a document has it."""

    def apply(api):
        for part in ("", "Create", "Update"):
            change(_members(api, f"Student{part}"), name, _schema(api, f"Student{part}")["required"])
        for group in _members(api, "StudentFilter").values():
            fields = group.get("anyOf", [{}])[0].get("properties", {})
            if name in fields:
                change(fields, name, [])

    return apply


def _new_everywhere(api):
    for part in ("", "Create", "Update"):
        _members(api, f"Student{part}")["nickname"] = {"anyOf": [TEXT, {"type": "null"}]}
    for group in ("equals", "notEquals", "like", "notLike"):
        _group(api, "Student", group)["nickname"] = TEXT


def _drop(fields, name, required):
    fields.pop(name)
    if name in required:
        required.remove(name)


def _retype(fields, name, _):
    fields[name] = (
        {"type": "array", "items": {"type": "integer"}} if "array" in json.dumps(fields[name]) else {"type": "integer"}
    )


def _move(api, old, new):
    api["paths"] = {
        path.replace(old, new, 1) if f"{path}/".startswith(f"{old}/") else path: node
        for path, node in api["paths"].items()
    }


def _sort(api, paths):
    for path in paths:
        for operation in api["paths"][path].values():
            if "limit" in json.dumps(operation.get("parameters")):
                operation["parameters"].append({"name": "sort", "in": "query", "schema": TEXT})


MUTATIONS = {
    "a field to read": (
        lambda api: _members(api, "Student").update(nickname=TEXT),
        "students: new field `nickname` (string)",
    ),
    "a field, everywhere": (_new_everywhere, "students: new field `nickname` (string)"),
    "a field to create with": (
        lambda api: _members(api, "StudentCreate").update(nickname=TEXT),
        "students: new field `nickname` (string) in create",
    ),
    "a required field": (
        lambda api: (
            _members(api, "UnitCreate").update(code=TEXT),
            _schema(api, "UnitCreate")["required"].append("code"),
        ),
        "units: new field `code` (string, required in create) in create",
    ),
    "a list of enums": (
        lambda api: _members(api, "Group").update(moods={"type": "array", "items": {"enum": ["Good", "Bad"]}}),
        "groups: new field `moods` (list of one of Good, Bad)",
    ),
    "a field to search by": (
        lambda api: _group(api, "Student", "equals").update(nickname=TEXT),
        "students: new field `nickname` (string) in search",
    ),
    "a field of an object": (
        lambda api: _members(api, "Address").update(floor={"type": "integer"}),
        "Address: new field `floor` (integer)",
    ),
    "a field of meta": (
        lambda api: _members(api, "Meta").update(version={"type": "integer"}),
        "Meta: new field `version` (integer)",
    ),
    "a field of pages": (
        lambda api: [
            _members(api, name).update(cursor=TEXT) for name in api["components"]["schemas"] if name.endswith("Page")
        ],
        "pages: new field `cursor` (string)",
    ),
    "a field of failures": (lambda api: _members(api, "Error").update(hint=TEXT), "Error: new field `hint` (string)"),
    "a field gone": (
        lambda api: _drop(_members(api, "Student"), "gender", []),
        "students: field `gender` is gone in read",
    ),
    "a field gone everywhere": (_everywhere("firstName", _drop), "students: field `firstName` is gone"),
    "a field gone from search": (
        lambda api: [
            _group(api, "Student", group).pop("gender", None)
            for group in ("equals", "notEquals", "contains", "notContains", "null", "notNull")
        ],
        "students: field `gender` is gone in search",
    ),
    "another type": (
        lambda api: _members(api, "School").update(title={"type": "integer"}),
        "schools: field `title` is integer now, not string in read",
    ),
    "another type everywhere": (
        _everywhere("firstName", _retype),
        "students: field `firstName` is integer now, not string",
    ),
    "another format": (
        lambda api: _members(api, "Group").update(schoolID=TEXT),
        "groups: field `schoolID` is string now, not uuid in read",
    ),
    "another type of a condition": (
        lambda api: _group(api, "Unit", "equals").update(title={"type": "boolean"}),
        "units: field `title` is boolean now, not string in search",
    ),
    "an enum for a text": (
        lambda api: _members(api, "Unit").update(title={"enum": ["North", "South"]}),
        "units: field `title` is one of North, South now, not string in read",
    ),
    "a text for an enum": (
        lambda api: _schema(api, "Gender").pop("enum"),
        "employees, students: field `gender` is string now, not enum Gender",
    ),
    "a list": (
        lambda api: _members(api, "UnitUpdate").update(title={"type": "array", "items": TEXT}),
        "units: field `title` is list of string now, not string in update",
    ),
    "no list": (
        lambda api: _members(api, "Group").update(memberIDs={"type": "string", "format": "uuid"}),
        "groups: field `memberIDs` is uuid now, not list of uuid in read",
    ),
    "may be null": (
        lambda api: _members(api, "Student").update(firstName={"type": ["string", "null"]}),
        "students: field `firstName` may be null now in read",
    ),
    "is never null": (
        lambda api: _members(api, "School").update(unitCode=TEXT),
        "schools: field `unitCode` is never null now in read",
    ),
    "is required": (
        lambda api: _schema(api, "StudentCreate")["required"].append("gender"),
        "students: field `gender` is required now in create",
    ),
    "is optional": (
        lambda api: _schema(api, "GradeElementaryUpdate")["required"].remove("term"),
        "grade_elementaries: field `term` is optional now in update",
    ),
    "is deprecated": (
        lambda api: _members(api, "Student")["identityNumber"].update(deprecated=True),
        "students: field `identityNumber` is deprecated now in read",
    ),
    "a value": (lambda api: _schema(api, "SchoolType")["enum"].append("XYZ"), "enum SchoolType: new value `XYZ`"),
    "two values": (lambda api: _schema(api, "Grade")["enum"].extend(["G", "VG"]), "enum Grade: new values `G`, `VG`"),
    "no such value": (lambda api: _schema(api, "SchoolType")["enum"].remove("FS"), "enum SchoolType: `FS` is gone"),
    "a value renamed": (
        lambda api: _schema(api, "Gender").update(enum=["Female", "Male", "Others"]),
        "enum Gender: new value `Others`; `Other` is gone",
    ),
    "an error code": (
        lambda api: _schema(api, "ErrorCode")["enum"].append("Teapot"),
        "enum ErrorCode: new value `Teapot`",
    ),
    "an operation": (
        lambda api: api["paths"]["/school/{id}"].update(delete=_operation(api, "/student/{id}", "delete")),
        "schools: operation delete is new",
    ),
    "an operation without a name": (
        lambda api: api["paths"].update({"/student/{id}/history": {"get": {}}}),
        "students: operation GET /student/{id}/history is new",
    ),
    "no such operation": (lambda api: api["paths"].pop("/student/_search"), "students: operation search is gone"),
    "an operation deprecated": (
        lambda api: _operation(api, "/unit/{id}", "patch").update(deprecated=True),
        "units: operation update is deprecated now",
    ),
    "another method": (
        lambda api: api["paths"]["/unit/{id}"].update(put=api["paths"]["/unit/{id}"].pop("patch")),
        "units: operation update is PUT /unit/{id} now",
    ),
    "another path of an operation": (
        lambda api: _move(api, "/student-placement/{id}/archive", "/student-placement/{id}/close"),
        "student_placements: operation archive is PATCH /student-placement/{id}/close now",
    ),
    "another status": (
        lambda api: _operation(api, "/unit", "post").update(
            responses={
                "200" if status == "201" else status: answer
                for status, answer in _operation(api, "/unit", "post")["responses"].items()
            }
        ),
        "units: operation create answers 200 now, not 201",
    ),
    "one more status": (
        lambda api: _operation(api, "/unit", "post")["responses"].update({"202": {}}),
        "units: operation create answers 201 or 202 now, not 201",
    ),
    "no answer": (
        lambda api: _operation(api, "/unit/{id}", "get")["responses"]["200"].pop("content"),
        "units: operation get answers nothing that is described now",
    ),
    "an answer to a deletion": (
        lambda api: _operation(api, "/group/{id}", "delete")["responses"]["204"].update(
            content={"application/json": {"schema": TEXT}}
        ),
        "groups: operation delete answers more than nothing now",
    ),
    "a body": (
        lambda api: _operation(api, "/student-placement/{id}/archive", "patch").update(requestBody={"content": {}}),
        "student_placements: operation archive takes a body now",
    ),
    "no body": (
        lambda api: _operation(api, "/unit", "post").pop("requestBody"),
        "units: operation create takes no body any more",
    ),
    "a parameter": (
        lambda api: _operation(api, "/unit", "get")["parameters"].append(
            {"name": "sort", "in": "query", "required": True, "schema": TEXT}
        ),
        "units: new parameter `sort` (string, required) in list",
    ),
    "a parameter, everywhere": (lambda api: _sort(api, api["paths"]), "every resource: new parameter `sort` (string)"),
    "a header": (
        lambda api: _operation(api, "/unit/{id}", "get")["parameters"].append(
            {"name": "If-None-Match", "in": "header", "schema": TEXT}
        ),
        "units: new parameter `If-None-Match` (string) in get",
    ),
    "no such parameter": (
        lambda api: _operation(api, "/unit", "get").update(
            parameters=_operation(api, "/unit", "get")["parameters"][:1]
        ),
        "units: parameter `offset` is gone in list",
    ),
    "a resource": (
        lambda api: api["paths"].update({"/parent": {"get": {}, "post": {}}, "/parent/{id}/invite": {"post": {}}}),
        "new resource /parent (list, create, POST /parent/{id}/invite)",
    ),
    "no such resource": (
        lambda api: [api["paths"].pop(path) for path in list(api["paths"]) if f"{path}/".startswith("/unit/")],
        "resource units is gone",
    ),
    "another path": (lambda api: _move(api, "/unit", "/department"), "units: path is /department now, not /unit"),
    "a group of conditions": (
        lambda api: _members(api, "UnitFilter").update(regex={"type": "object"}),
        "units: search takes `regex` now",
    ),
    "no such group": (
        lambda api: _members(api, "UnitFilter").pop("notLike"),
        "units: search takes no `notLike` any more",
    ),
    "no nested filters": (
        lambda api: _members(api, "UnitFilter").pop("nestedFilters"),
        "units: search takes no `nestedFilters` any more",
    ),
    "an order for a search": (
        lambda api: _members(api, "UnitSearch").update(order=TEXT),
        "units: search takes `order` now",
    ),
    "a condition": (
        lambda api: [_group(api, "Unit", group).update(title=TEXT) for group in ("greaterThan", "smallerThan")],
        "units: field `title` can be searched by `greaterThan`, `smallerThan` now",
    ),
    "no such condition": (
        lambda api: _group(api, "Unit", "like").pop("title"),
        "units: field `title` cannot be searched by `like` any more",
    ),
    "an object that is not described": (
        lambda api: _schema(api, "Address").pop("properties"),
        "Address: its fields are not described any more",
    ),
    "another API": (
        lambda api: api.update(paths={"/pet": {"get": {}}}),
        "the document describes another API: it has none of the resources",
    ),
}


def _mutated(change, api=API):
    api = _copy(api)
    change(api)
    assert api != API
    return api


def test_a_document_of_what_this_version_declares_has_no_difference():
    """The table of the tests is that document: neither the package nor its sandbox had a say in it."""
    assert differences(API) == []


@pytest.mark.parametrize("name", MUTATIONS)
def test_each_kind_of_change_is_one_line(name):
    """Nothing is said twice, whatever parts of the document the change is in."""
    change, line = MUTATIONS[name]
    assert differences(_mutated(change)) == [line]


def test_differences_come_together_in_the_order_of_the_resources():
    """Those of the whole document at once, the same every time."""
    wanted = ["a value", "an operation", "no such condition", "a field to read", "a resource"]
    api = _copy(API)
    for name in wanted:
        MUTATIONS[name][0](api)
    assert sorted(differences(api)) == sorted(MUTATIONS[name][1] for name in wanted)
    assert differences(api) == differences(_copy(api))


# The same document, spelled otherwise.


def _walked(node, change):
    """Return a copy in which every node is changed, the inner ones first."""
    if isinstance(node, dict):
        return change({key: _walked(value, change) for key, value in node.items()})
    return change([_walked(value, change) for value in node] if isinstance(node, list) else node)


def _old_nullable(node):
    """Spell what may be null as OpenAPI 3.0 does."""
    if isinstance(node, dict) and {"type": "null"} in node.get("anyOf", []):
        first = node["anyOf"][0]
        return {"allOf": [first], "nullable": True} if "$ref" in first else {**first, "nullable": True}
    return node


def _typed_null(node):
    if isinstance(node, dict) and {"type": "null"} in node.get("anyOf", []) and "type" in node["anyOf"][0]:
        return {**node["anyOf"][0], "type": [node["anyOf"][0]["type"], "null"]}
    return node


def _constants(node):
    if isinstance(node, dict) and isinstance(node.get("enum"), list):
        return {"oneOf": [{"const": value, "title": value} for value in node["enum"]]}
    return node


def _open_enums(node):
    return {"anyOf": [node, TEXT]} if isinstance(node, dict) and isinstance(node.get("enum"), list) else node


def _renamed(api):
    text = json.dumps(api)
    for name in sorted(api["components"]["schemas"], key=len, reverse=True):
        text = text.replace(f'"#/components/schemas/{name}"', f'"#/components/schemas/{name}ResponseBody~1x"').replace(
            f'"{name}": {{', f'"{name}ResponseBody/x": {{'
        )
    return json.loads(text)


def _inline(api):
    """Spell every schema where it is used, but for filters within filters."""

    def inlined(node, depth=0):
        if isinstance(node, dict) and "$ref" in node and depth < 5:
            node = _schema(api, node["$ref"].rpartition("/")[2])
            depth += 1
        if isinstance(node, dict):
            return {key: inlined(value, depth) for key, value in node.items()}
        return [inlined(value, depth) for value in node] if isinstance(node, list) else node

    return {**api, "paths": inlined(api["paths"])}


def _wrapped(node):
    if isinstance(node, dict) and "$ref" in node:
        return {"allOf": [node], "description": "-"}
    return node


def _shared_parts(api):
    """Name parameters, answers and bodies as components, too."""
    api = _copy(api)
    api["components"] |= {"parameters": {}, "responses": {}, "requestBodies": {}}
    for path, item in api["paths"].items():
        for method, operation in item.items():
            name = f"{method} {path}".replace("/", "-")
            for index, parameter in enumerate(operation["parameters"]):
                api["components"]["parameters"][f"{name}{index}"] = parameter
                operation["parameters"][index] = {"$ref": f"#/components/parameters/{name}{index}"}
            for status, response in operation["responses"].items():
                api["components"]["responses"][f"{name}{status}"] = response
                operation["responses"][status] = {"$ref": f"#/components/responses/{name}{status}"}
            if "requestBody" in operation:
                api["components"]["requestBodies"][name] = operation["requestBody"]
                operation["requestBody"] = {"$ref": f"#/components/requestBodies/{name}"}
    return api


SPELLINGS = {
    "as it is": lambda api: api,
    "null as in 3.0": lambda api: _walked(api, _old_nullable),
    "null as a type": lambda api: _walked(api, _typed_null),
    "enums as constants": lambda api: _walked(api, _constants),
    "open enums": lambda api: _walked(api, _open_enums),
    "other names": _renamed,
    "nothing named": _inline,
    "all wrapped": lambda api: _walked(api, _wrapped),
    "parts named": _shared_parts,
    "whole paths": lambda api: {**api, "paths": {f"/directory/v1{path}": node for path, node in api["paths"].items()}},
    "other parameters": lambda api: {
        **api,
        "paths": {path.replace("{id}", "{recordID}"): node for path, node in api["paths"].items()},
    },
    "parameters of paths": lambda api: {
        **api,
        "paths": {
            path: {method: {**one, "parameters": []} for method, one in item.items()}
            | {
                "parameters": item["post"]["parameters"]
                if "post" in item
                else item["get"]["parameters"]
                if "get" in item
                else []
            }
            if path.endswith("_search")
            else item
            for path, item in api["paths"].items()
        },
    },
    "other media types": lambda api: json.loads(
        json.dumps(api).replace("application/json", "application/json; charset=utf-8")
    ),
    "another order": lambda api: _walked(
        api, lambda node: dict(reversed(node.items())) if isinstance(node, dict) else node
    ),
    "with descriptions": lambda api: _walked(
        api,
        lambda node: (
            {**node, "x-note": "-"}
            if isinstance(node, dict) and "type" in node and isinstance(node["type"], str)
            else node
        ),
    ),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_how_a_document_is_written_is_no_difference(spelling):
    """Named or inline, 3.0 or 3.1: what it means is what counts."""
    spelled = SPELLINGS[spelling](API)
    assert (spelled == API) is (spelling in ("as it is", "another order"))
    assert differences(spelled) == []


def test_null_that_says_nothing_is_no_difference():
    """In place of a list it is as good as an empty one; in a body, in place of an object, it is not there."""
    api = _copy(API)
    for name, field in (("Group", "memberIDs"), ("GroupCreate", "memberIDs"), ("StudentUpdate", "address")):
        shown = _members(api, name)[field]
        _members(api, name)[field] = shown["anyOf"][0] if "anyOf" in shown else {"anyOf": [shown, {"type": "null"}]}
    assert api != API
    assert differences(api) == []
    _members(api, "Student")["address"] = {"anyOf": [_members(api, "Student")["address"], {"type": "null"}]}
    assert differences(api) == ["students: field `address` may be null now in read"]


@pytest.mark.parametrize("closed", [True, False])
def test_bodies_may_be_open_or_closed(closed):
    """What a server ignores is no field."""
    assert differences(document(parse(), closed=closed)) == []


async def test_the_sandbox_describes_what_this_version_knows():
    """Its own document, as it serves it."""
    async with Meitner.sandbox(students=1) as meitner:
        answer = await meitner.request("GET", "/openapi.json")
    assert differences(json.loads(answer.body)) == []


SAME_IN_ANY_SPELLING = ("a field of meta", "a value", "another type", "a parameter")


def _spelled_changes():
    """Return every such change in every spelling; in the suite each spelling has one change, and each change some."""
    turns = enumerate(product(SPELLINGS, SAME_IN_ANY_SPELLING))
    usual = len(SAME_IN_ANY_SPELLING) + 1  # so that it is another change for each spelling
    return [
        pytest.param(name, spelling, marks=[pytest.mark.slow] if at % usual else []) for at, (spelling, name) in turns
    ]


@pytest.mark.parametrize(("name", "spelling"), _spelled_changes())
def test_a_change_is_the_same_line_in_any_spelling(name, spelling):
    """And still one."""
    change, line = MUTATIONS[name]
    assert differences(SPELLINGS[spelling](_mutated(change))) == [line]


# Any single change.

RECORDS = [
    name
    for name, schema in API["components"]["schemas"].items()
    if "properties" in schema and not name.endswith(("Filter", "Search", "Page"))
]
ENUMS = [name for name, schema in API["components"]["schemas"].items() if "enum" in schema]


def _any_field(draw, api):
    name = draw(st.sampled_from(RECORDS))
    return _schema(api, name), draw(st.sampled_from(sorted(_members(api, name))))


def _field_added(draw, api):
    _members(api, draw(st.sampled_from(RECORDS)))[
        draw(st.sampled_from(("nickname", "åäö", "x" * 80, "a\x1b[31mb")))
    ] = TEXT


def _field_dropped(draw, api):
    schema, name = _any_field(draw, api)
    _drop(schema["properties"], name, schema["required"])


def _field_retyped(draw, api):
    schema, name = _any_field(draw, api)
    nullable = "null" in json.dumps(schema["properties"][name])
    schema["properties"][name] = {"type": ["number", "null"] if nullable else "number"}


def _field_required(draw, api):
    schema, name = _any_field(draw, api)
    (schema["required"].remove if name in schema["required"] else schema["required"].append)(name)


def _field_nullable(draw, api):
    schema, name = _any_field(draw, api)
    fields = schema["properties"]
    # Null in place of a list, and in a body in place of an object, is no difference.
    assume(not any(word in json.dumps(fields[name]) for word in ("array", "Meta", "Address", "External", "Error")))
    fields[name] = fields[name]["anyOf"][0] if "anyOf" in fields[name] else {"anyOf": [fields[name], {"type": "null"}]}


def _value_added(draw, api):
    _schema(api, draw(st.sampled_from(ENUMS)))["enum"].append("Unheard")


def _value_dropped(draw, api):
    # One of one value would be a text without values.
    values = _schema(api, draw(st.sampled_from([name for name in ENUMS if name != "AuditEventType"])))["enum"]
    values.remove(draw(st.sampled_from(values)))


def _operation_dropped(draw, api):
    path = draw(st.sampled_from(sorted(api["paths"])))
    api["paths"][path].pop(draw(st.sampled_from(sorted(api["paths"][path]))))


ANY = (
    _field_added,
    _field_dropped,
    _field_retyped,
    _field_required,
    _field_nullable,
    _value_added,
    _value_dropped,
    _operation_dropped,
)


@st.composite
def _changed(draw):
    api, change = _copy(API), draw(st.sampled_from(ANY))
    change(draw, api)
    return api


@settings(max_examples=15, deadline=None)
@given(_changed())
def test_any_single_change_is_exactly_one_line(api):
    """Wherever in the document it is; and the line can stand on any terminal."""
    (line,) = differences(api)
    assert line.isprintable()
    assert len(line) < 400


# Strangers' documents.

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=5)
    | st.sampled_from(("#/components/schemas/Meta", "$ref", "object")),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(("$ref", "type", "enum", "anyOf", "allOf", "properties", "items", "x"))
            | st.text(max_size=3),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)


def _places(node, path=()):
    yield path
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, child in children:
        yield from _places(child, (*path, key))


PLACES = [place for place in _places(API) if place]


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(PLACES), JSON), min_size=1, max_size=4))
def test_nothing_in_a_document_makes_comparing_fail(changes):
    """Whatever stands where: there are lines, which are text."""
    api = _copy(API)
    for (*path, last), value in changes:
        node = api
        for key in path:
            node = (
                node[key]
                if (isinstance(node, dict) and key in node)
                or (isinstance(node, list) and isinstance(key, int) and key < len(node))
                else {}
            )
        if isinstance(node, dict) or (isinstance(node, list) and isinstance(last, int) and last < len(node)):
            node[last] = value
    assert all(line.isprintable() for line in differences(api))


@pytest.mark.parametrize("document", [{}, {"paths": {}}, {"paths": []}, {"paths": {"/": None, "x": {"get": []}}}])
def test_what_is_no_description_of_this_api_is_one_line(document):
    """It has none of the resources, and more need not be said."""
    assert differences(document) == ["the document describes another API: it has none of the resources"]


def test_schemas_that_hold_themselves_are_read_in_few_steps(monkeypatch):
    """A thousand choices, each of which is a thousand choices: the schemas read are counted, and bounded."""
    api = _copy(API)
    loop = {"anyOf": [{"$ref": "#/components/schemas/Loop"}] * 1000}
    api["components"]["schemas"] |= {"Loop": loop, "Self": {"$ref": "#/components/schemas/Self"}}
    _members(api, "Student").update(
        firstName={"$ref": "#/components/schemas/Loop"}, lastName={"$ref": "#/components/schemas/Self"}
    )
    read = []
    resolved = Reader.resolved
    monkeypatch.setattr(Reader, "resolved", lambda reader, node: read.append(1) or resolved(reader, node))
    lines = differences(api)
    assert 1000 < len(read) < 100_000
    assert "students: field `firstName` is anything now, not string in read" in lines
    assert "students: field `lastName` is anything now, not string in read" in lines


def test_a_reference_to_elsewhere_is_not_followed():
    """Nothing but the document itself is ever read."""
    reader = Reader({"x": {"type": "string"}})
    assert reader.value({"$ref": "https://example.org/#/x"}).kind == "anything"
    assert reader.value({"$ref": "other.json#/x"}).kind == "anything"
    assert reader.value({"$ref": "#/x"}).kind == "string"

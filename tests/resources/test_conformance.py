"""The declarations of the package against the API's own facts, both ways: what only one of them knows is an error."""

from __future__ import annotations

import asyncio
import inspect
import json
import sys

import msgspec
import pytest
from api_table import (
    API_KEY_HEADERS,
    ERROR_ENVELOPE,
    FILTER_COMBINATORS,
    LIST_ENVELOPE,
    OAUTH2_TOKEN_PATH,
    RATE_LIMIT_HEADERS,
    SEARCH_BODY,
    SERVERS,
    TABLE,
    parse,
)
from conformance import accepted, body_of, declared, differences, objects, stated
from samples import ID, NOON, Recorder, answer, every, one, record, required

from meitner_aio import ApiKey, OAuth2, StudentQuery, query, records
from meitner_aio._operations.operations import Resource, operations
from meitner_aio._pipeline import settings
from meitner_aio._wire import messages
from meitner_aio._wire.messages import Envelope, Request, error_from
from meitner_aio.query import Query, to_filter
from meitner_aio.records import fields, wire_name
from meitner_aio.resources import LISTED, RESOURCES

API = parse()
CALLS = [(attribute, name) for attribute, resource in RESOURCES.items() for name in operations(resource)]


def test_package_and_api_say_the_same():
    """Every field, operation, enum value, filter group and error status of one is one of the other."""
    assert differences(API) == []


def test_there_is_as_much_to_say_as_the_api_has():
    """61 operations of 11 resources, and no fact said twice: the comparison of sets hides none."""
    sentences = list(stated(API))
    assert len(sentences) == len(set(sentences))
    assert sum(len(resource.operations) for resource in API.resources.values()) == len(CALLS) == 61
    assert len(API.resources) == len(RESOURCES) == 11


CHANGES = {
    "a new field": ("    title        string!  ", "    nickname string? r -\n    title        string!  "),
    "a field gone": ("    unitCode          string?                 rcu  ECLN\n", ""),
    "a field of a create only": ("subjectCode         string!                          rc ", "subjectCode string! c "),
    "a field that updates": ("subjectCode         string!                          rc ", "subjectCode string! rcu "),
    "another kind": ("employmentPercent  integer?", "employmentPercent  string?"),
    "no longer a list": ("studentIDs         list<uuid>", "studentIDs  uuid"),
    "no longer nullable": ("    description  string? ", "    description  string! "),
    "neither required nor nullable": ("    description  string? ", "    description  string "),
    "another default": ("hasChildcare                    boolean=false", "hasChildcare boolean=true"),
    "no default": ("enum:GroupCategory=Education", "enum:GroupCategory"),
    "a null in a shared object": ("createdAt  date-time!", "createdAt  date-time?"),
    "another wire name": ("schoolComment ", "comment "),
    "a new enum value": ("enum Gender Female Male Other", "enum Gender Female Male Other Unknown"),
    "an enum value gone": ("enum Gender Female Male Other", "enum Gender Female Male"),
    "a new enum": ("enum Grade A", "enum Subject EN\nenum Grade A"),
    "a new operation": ("/unit list search get create update", "/unit list search get create update delete"),
    "an operation gone": ("/unit list search get create update", "/unit list search get create"),
    "another method": ("operation update   PATCH", "operation update   PUT"),
    "another path": ("/{id}/restore", "/{id}/unarchive"),
    "another status": ("/{id}          204", "/{id}          200"),
    "another query parameter": ("limit,offset  400,401,403,404,409,429", "limit,page  400,401,403,404,409,429"),
    "another resource path": ("/grade-elementary", "/grades-elementary"),
    "another attribute": ("resource Unit units", "resource Unit organisations"),
    "a new resource": ("resource Unit units", "resource Room rooms /room list get\nresource Unit units"),
    "a new condition": (
        "    gender                  enum:Gender?            rcu  ECN",
        "    gender enum:Gender? rcu ECLN",
    ),
    "a condition gone": ("startDate          date!                             rcu  ECR", "startDate date! rcu EC"),
    "a condition in an object": ("createdAt  date-time!  -  ER", "createdAt  date-time!  -  ERN"),
    "a new filter group": ("| notLike", "| notLike soundsLike"),
    "a new error status": ("error 500 Internal", "error 410 Gone\nerror 500 Internal"),
    "an error status gone": ("error 409 Conflict\n", ""),
}


@pytest.mark.parametrize(("old", "new"), CHANGES.values(), ids=CHANGES)
def test_a_change_of_the_api_is_seen(old, new):
    """The comparison can fail: each kind of change to the table is a difference."""
    assert old in TABLE
    assert differences(parse(TABLE.replace(old, new, 1)))


def test_every_line_of_the_table_matters():
    """No line is there in vain: without it, the comparison fails."""
    lines = TABLE.splitlines(keepends=True)
    for number, line in enumerate(lines):
        if line.startswith((" ", "enum", "error")):
            rest = parse("".join(lines[:number] + lines[number + 1 :]))
            assert set(stated(rest)) != declared(), line


# The four laws that let the package be as short as it is.


def test_law_1_operations():
    """Which operations a resource has follows from what it is."""
    for name, resource in API.resources.items():
        expected = {"list", "get"}
        if not name.startswith("Grade"):
            expected |= {"search"}
        if name != "AuditEvent":
            expected |= {"create", "update"}
        if name not in ("School", "Unit", "AuditEvent"):
            expected |= {"delete"}
        if name == "StudentPlacement":
            expected |= {"archive", "restore"}
        assert set(resource.operations) == expected, name
        assert set(operations(RESOURCES[resource.attribute])) == expected, name


def test_law_2_an_update_says_part_of_what_a_create_says():
    """Every field of an update is one of the create, of the same type and requiredness."""
    for resource in API.resources.values():
        created = resource.part("c")
        for wire, fact in resource.part("u").items():
            assert created[wire] == fact
    for resource in RESOURCES.values():
        created = {field.name: field for field in fields(body_of(resource, "create"))}
        for field in fields(body_of(resource, "update")):
            assert created[field.name] == field


CONDITIONS_OF_A_KIND = {
    "uuid": "EC",
    "enum": "EC",
    "boolean": "EC",
    "string": "ECL",
    "date-time": "ER",
} | dict.fromkeys(("date", "integer"), "ECR")


def test_law_3_a_filter_follows_from_the_type():
    """The conditions of a field are a function of its kind; null is for what is nullable or a list."""
    facts = [fact for resource in API.resources.values() if "search" in resource.operations for fact in resource.fields]
    shared = [fact for name in ("Meta", "External", "Address") for fact in API.objects[name]]
    for fact in shared + [fact for fact in facts if "r" in fact.parts]:
        kind = fact.element.partition(":")[0]
        law = CONDITIONS_OF_A_KIND.get(kind, "ECLR")
        law += "N" * (fact.nullable or fact.kind.startswith("list<") or kind == "object")
        assert sorted(fact.conditions) == sorted(law), fact


def test_law_4_envelopes():
    """One envelope for pages, one for errors, one for searches."""
    assert {info.encode_name for info in msgspec.structs.fields(Envelope)} == set(LIST_ENVELOPE)
    assert {info.encode_name for info in msgspec.structs.fields(messages._ErrorBody)} == set(ERROR_ENVELOPE)
    body = json.loads(msgspec.json.encode(query.SearchBody(to_filter(query.MetaQuery(created_at=NOON)))))
    assert set(body) == set(SEARCH_BODY)
    nested = to_filter(StudentQuery(first_name="Bo", all_of=(StudentQuery(last_name="Ek"),)))
    assert set(nested) == {"equals", *FILTER_COMBINATORS}


# Names.


@pytest.mark.parametrize(
    ("name", "wire"),
    {
        "identity_number": "identityNumber",
        "school_id": "schoolID",
        "moderator_ids": "moderatorIDs",
        "email_address1": "emailAddress1",
        "teacher1_employee_id": "teacher1EmployeeID",
        "csn_school_code": "csnSchoolCode",
        "modern_language_in_school_choice": "modernLanguageInSchoolChoice",
        "id": "id",
        "source_id": "sourceID",
        "request_id": "requestID",
    }.items(),
)
def test_wire_name(name, wire):
    """A Python name is the wire name cut at its capitals, ID and IDs as one word."""
    assert wire_name(name) == wire


def cut(wire: str) -> str:
    """Return the Python name of a wire name: the other direction of the law."""
    words = wire.replace("IDs", "Ids").replace("ID", "Id")
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in words)


def test_every_python_name_is_its_wire_name_cut():
    """The law holds, in both directions, for every field of every record, write and query."""
    bodies = {body_of(resource, name) for resource in RESOURCES.values() for name in operations(resource)}
    models = {resource.model for resource in RESOURCES.values()}
    for kind in {*bodies, *models, *objects(), query.MetaQuery, query.ExternalQuery, query.AddressQuery}:
        for field in fields(kind):
            assert field.wire == wire_name(field.name)
            assert field.name == cut(field.wire)


# What a default means.


@pytest.mark.parametrize("resource", RESOURCES.values(), ids=RESOURCES)
def test_reading_gives_the_default(resource):
    """An answer without a field reads as the field's default, as an empty list, or as None."""
    name = resource.model.__name__
    facts = API.resources[name].part("r")
    bare = msgspec.to_builtins({f.wire: one(f) for f in fields(resource.model) if f.required})
    read = msgspec.json.decode(json.dumps(bare), type=resource.model)
    for field in fields(resource.model):
        fact = facts[field.wire]
        if not fact.required:
            expected = (
                [] if fact.kind.startswith("list<") else {None: None, "false": False}.get(fact.default, fact.default)
            )
            assert getattr(read, field.name) == expected


@pytest.mark.parametrize(("attribute", "name"), [pair for pair in CALLS if pair[1] in ("create", "update")])
def test_a_write_sends_what_was_given_and_no_default(attribute, name):
    """A write with its required fields sends those and nothing else; with all, all."""
    resource = RESOURCES[attribute]
    part = API.resources[resource.model.__name__].part(name[0])
    body = body_of(resource, name)
    for given in (required(body), every(body)):
        send = Recorder(answer(record(resource.model)))
        ids = [ID] if name == "update" else []
        asyncio.run(getattr(resource(send), name)(*ids, **given))
        sent = json.loads(send.requests[0].body)
        assert set(sent) == {wire_name(key) for key in given}
    assert set(sent) == set(part)


def test_annotations_say_what_a_search_accepts():
    """What checkers allow by the annotation is what `to_filter` takes at run time."""
    letters = {query.Equals: "E", query.OneOf: "C", query.Like: "L", query.Range: "R", query.Null: "N"}
    for resource in RESOURCES.values():
        if "search" not in operations(resource):
            continue
        kind = body_of(resource, "search")
        leaves = [("", field) for field in fields(kind) if not issubclass(field.type, Query)]
        for holder in fields(kind):
            if holder.type in (query.MetaQuery, query.ExternalQuery, query.AddressQuery):
                leaves += [(f"{holder.wire}.", field) for field in fields(holder.type)]
        annotated = {
            f"{group} of {prefix}{field.wire}"
            for prefix, field in leaves
            for choice in field.choices
            for group in API.groups[letters[getattr(choice, "__origin__", choice)]]
        }
        assert annotated == set(accepted(kind))


# What is not in any record.


def test_every_error_of_every_operation_has_a_class():
    """Each status that an operation may fail with raises a class of its own, found by its documented status."""
    kinds = {}
    for operation in API.operations.values():
        for status in operation.errors:
            body = {"error": {"code": API.errors[status], "message": "No.", "requestID": "r1"}}
            error = error_from(Request(operation.name, operation.method, "/", "/"), answer(body, status))
            assert error.code == API.errors[status]
            assert records.ErrorCode(error.code).known
            kinds[status] = type(error)
    assert len(set(kinds.values())) == len(API.errors) == 8


def test_rate_limit_headers_are_read():
    """The reset header is UTC epoch milliseconds, as text; a 429 carries what it says."""
    assert "RateLimit-Reset" in RATE_LIMIT_HEADERS
    headers = {"RateLimit_Reset": str(int(NOON.timestamp()) * 1000)}
    error = error_from(Request("list", "GET", "/student", "/student"), answer(b"", 429, **headers))
    assert error.reset_at == NOON


def test_servers_are_those_of_the_api():
    """The client knows the API's two servers and no other."""
    assert settings.SERVERS == SERVERS


def test_credentials_travel_in_the_headers_of_the_api():
    """An API key is two headers; a token is asked for where the API gives them."""
    assert asyncio.run(ApiKey("me", "hush").headers()) == dict(
        zip(API_KEY_HEADERS.values(), ("me", "hush"), strict=True)
    )
    assert OAuth2("me", "hush").token_url == OAUTH2_TOKEN_PATH


def test_every_resource_module_is_registered():
    """A resource class that no table has would be unreachable."""
    modules = [module for name, module in sys.modules.items() if name.startswith("meitner_aio.resources.")]
    found = {
        kind
        for module in modules
        for kind in vars(module).values()
        if inspect.isclass(kind) and issubclass(kind, Resource) and hasattr(kind, "model")
    }
    assert found == set(LISTED.values())

"""The endpoints of Schematic: companies and users by their keys, flags, events. `schematic_client` is their client."""

from typing import Any, TypeAlias

from meitner_aio.declare import UNSET, Action, Personal, Record, Resource, UnsetType

Keys: TypeAlias = dict[str, str]
Traits: TypeAlias = dict[str, Any]


class ByKeys(Record):
    keys: Personal[Keys]


class Fields(ByKeys):
    name: Personal[str] | UnsetType = UNSET
    traits: Personal[Traits] | UnsetType = UNSET


class UserFields(Fields):
    company: Keys | UnsetType = UNSET


class Whom(Record):
    company: Keys | UnsetType = UNSET
    user: Personal[Keys] | UnsetType = UNSET


class Batch(Record):
    events: Personal[list[dict[str, Any]]]


class Flag(Record):
    value: bool


class Entity(Record, rename=None):
    id: str
    name: Personal[str]
    traits: Personal[Traits | None] = None


class Companies(Resource[Entity]):
    path = "/companies"
    id_pattern = r"\w+"
    get_company = Action("GET", "/{id}", answer=Entity, inside="data")
    lookup_company = Action("GET", "/lookup", one=False, query=ByKeys, answer=Entity, inside="data")
    upsert_company = Action("POST", "/", one=False, body=Fields, answer=Entity, inside="data", safe=True)


class Users(Resource[Entity]):
    path = "/users"
    lookup_user = Action("GET", "/lookup", one=False, query=ByKeys, answer=Entity, inside="data")
    upsert_user = Action("POST", "/", one=False, body=UserFields, answer=Entity, inside="data", safe=True)


class Flags(Resource[Flag]):
    path = "/flags"
    id_pattern = r"[\w-]+"
    check = Action("POST", "/{id}/check", body=Whom, answer=Flag, inside="data", reads=True)


class Events(Resource[Any]):
    path = "/batch"
    capture = Action("POST", "/", one=False, body=Batch, safe=True)

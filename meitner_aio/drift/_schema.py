"""The schemas of an OpenAPI document as values, however they are spelled: inline or named, 3.0 or 3.1. Pure.

The document is untrusted: nothing in it may make reading fail, or take long. Objects are opened one at a time, because
schemas may hold themselves.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import reduce
from typing import Any, NamedTuple, cast

from ..records import Kind
from ._notes import shown

Json = Mapping[str, Any]

_DEEPEST = 8
"""How many references, or choices within choices, are followed."""

_MOST, _WITHIN = 200_000, 500
"""Schemas that are read of one document, and for one field; the API's has some thousands, and three."""

_FORMATS = {str(kind): kind for kind in (Kind.UUID, Kind.DATE, Kind.INSTANT)}

_SHOWN = 6
"""Values of an enum that are named in words."""


class Value(NamedTuple):
    """What a schema takes."""

    kind: str
    """That of a field, or what no field of the API is: number, null, anything."""
    many: bool = False
    nullable: bool = False
    values: tuple[str, ...] = ()
    """Those of an enum."""
    schemas: tuple[Json, ...] = ()
    """Those whose members an object has."""

    @property
    def named(self) -> str:
        """The type in words."""
        one = shown(self.kind)
        if self.values:
            one = f"one of {', '.join(map(shown, self.values[:_SHOWN]))}{', ...' * (len(self.values) > _SHOWN)}"
        return f"list of {one}" if self.many else one


ANYTHING = Value("anything")


class Member(NamedTuple):
    """A field of an object."""

    value: Value
    required: bool
    deprecated: bool = False


def as_object(value: object) -> Json:
    """Return a JSON object; an empty one for anything else."""
    return cast("Json", value) if isinstance(value, dict) else {}


def items(value: object) -> list[Any]:
    """Return a JSON list; an empty one for anything else."""
    return [*cast("Iterable[Any]", value)] if isinstance(value, list) else []


class Reader:
    """Reads the schemas of one document."""

    def __init__(self, document: Json) -> None:
        self._document = document
        self._left = _MOST
        self._enough = 0
        """How many are left when those for one field are used up."""

    def resolved(self, node: object) -> Json:
        """Return an object of the document, its reference followed; an empty one for what leads nowhere."""
        found = as_object(node)
        for _ in range(_DEEPEST):
            reference = found.get("$ref")
            if not isinstance(reference, str):
                return found
            steps = [step.replace("~1", "/").replace("~0", "~") for step in reference.split("/")]
            if steps.pop(0) != "#":
                return {}
            target = reduce(lambda place, step: as_object(place).get(step), steps, cast("object", self._document))
            beside = {key: value for key, value in found.items() if key != "$ref"}
            found = {**as_object(target), **beside} if beside else as_object(target)
        return {}

    def body(self, node: object) -> Value | None:
        """Return what a request body or a response holds as JSON; None where that is not described."""
        for media, described in as_object(self.resolved(node).get("content")).items():
            if "json" in media and "schema" in as_object(described):
                return self.value(as_object(described)["schema"])
        return None

    def members(self, value: Value) -> dict[str, Member] | None:
        """Return the fields of an object; None where they are not described."""
        described = [schema for schema in value.schemas if isinstance(schema.get("properties"), dict)]
        if not described:
            return None
        required = {name for schema in described for name in items(schema.get("required")) if isinstance(name, str)}
        return {
            name: Member(self.value(one), name in required, self.resolved(one).get("deprecated") is True)
            for schema in described
            for name, one in as_object(schema["properties"]).items()
        }

    def value(self, node: object, depth: int = 0) -> Value:
        """Return what a schema takes."""
        if depth == 0:
            self._enough = max(0, self._left - _WITHIN)
        if depth > _DEEPEST or self._left <= self._enough:
            return ANYTHING
        self._left -= 1
        schema = self.resolved(node)
        if choices := [choice for key in ("anyOf", "oneOf") for choice in items(schema.get(key))]:
            value = self._choice(choices, depth)
        elif wholes := items(schema.get("allOf")):
            value = self._all([*wholes, {key: one for key, one in schema.items() if key != "allOf"}], depth)
        else:
            value = self._plain(schema, depth)
        return value._replace(nullable=True) if schema.get("nullable") is True else value

    def _choice(self, choices: Iterable[object], depth: int) -> Value:
        """Return the only choice beside null, or the values of several enums; anything for other choices."""
        values = [self.value(choice, depth + 1) for choice in choices]
        real = [value for value in values if value.kind != "null"]
        nullable = len(real) < len(values) or any(value.nullable for value in real)
        if len(real) == 1:
            return real[0]._replace(nullable=nullable)
        words = dict.fromkeys(word for value in real for word in value.values)
        open_enum = words and all((value.values or value.kind == Kind.TEXT) and not value.many for value in real)
        if not open_enum:
            return Value("anything", nullable=nullable)
        return Value(Kind.ENUM, nullable=nullable, values=tuple(words))

    def _all(self, parts: Iterable[object], depth: int) -> Value:
        """Return what meets several schemas at once."""
        values = [value for part in parts if (value := self.value(part, depth + 1)).kind != "anything"]
        if not values:
            return ANYTHING
        nullable = all(value.nullable for value in values)
        return values[0]._replace(nullable=nullable, schemas=tuple(one for value in values for one in value.schemas))

    def _plain(self, schema: Json, depth: int) -> Value:
        names = [name for name in _several(schema.get("type")) if isinstance(name, str)]
        words = [schema["const"]] if "const" in schema else items(schema.get("enum"))
        nullable = ("null" in names and len(names) > 1) or (None in words and len(words) > 1)
        name = next((name for name in names if name != "null"), "null" if names or words == [None] else "")
        if texts := [word for word in words if isinstance(word, str)]:
            return Value(Kind.ENUM, nullable=nullable, values=tuple(dict.fromkeys(texts)))
        if name == "array":
            return self.value(schema.get("items"), depth + 1)._replace(many=True, nullable=nullable)
        if name == Kind.OBJECT or "properties" in schema:
            return Value(Kind.OBJECT, nullable=nullable, schemas=(schema,))
        if name == Kind.TEXT:
            name = _FORMATS.get(str(schema.get("format")), name)
        return Value(name or "anything", nullable=nullable)


def _several(value: object) -> list[Any]:
    return items(value) or [value]

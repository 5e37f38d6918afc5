"""What a row of a registry may say of each resource: columns, references and keys, derived from what `create` takes.

A column has the name of a field of `create`; one inside an object follows a dot (`address.postal_code`), and
`source_id` is `external.source_id`. Where a field holds ids of the directory, which no registry has, a column may name
a key in its place: `student.identity_number` for `student_id`, `members.source_id` for `member_ids`. Every part may be
spelled as the API does.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import product
from typing import NamedTuple

from ..._operations.operations import operations
from ..._operations.writes import Create
from ..._wire.validation import suggestion
from ...records import Field, Kind, Record, fields, wire_name
from ...resources import DATA_EXPORT, RESOURCES, attribute_of
from ...resources._references import REFERENCES
from ._problems import Flaw

KeyName = str | tuple[str, ...]
"""A key: a field, or several that tell records apart together; "source_id" is that of `external`."""

_EDUCATION: dict[str, tuple[str, ...]] = {"moderator_ids": ("employees",), "member_ids": ("students",)}
"""Who belongs to a group of category Education, which is what a group is unless its row says otherwise."""

ALSO_KNOWN_BY: dict[str, tuple[str, ...]] = {"schools": ("unit_code", "title"), "units": ("title",)}
"""Fields by which a reference may name a record although nobody keeps them unique."""


class Column(NamedTuple):
    """What a registry may say of a field of `create`."""

    name: str
    """`last_name`, `address.postal_code`, `source_id`, `student.identity_number`."""
    field: str
    """The field of `create` that it is about."""
    leaf: Field
    """What declares its values."""
    many: bool
    """Whether it holds several values."""
    inside: str = ""
    """The field of the object, where the field is one."""
    by: str = ""
    """The key of the record referred to, where it is a reference."""


class Declared:
    """The columns and keys of a resource."""

    def __init__(self, resource: str) -> None:
        """Read what the resource declares; `ValueError` for one that no registry can say anything of."""
        self.resource = resource
        create = _create(resource)
        self.body: type[Record] = create.body or Record
        self.fields = {field.name: field for field in fields(self.body)}
        self.natural = create.key
        """The fields by which such records are known; none where there is only the id in another system."""
        self.by_category = tuple(_EDUCATION) if resource == "groups" else ()
        """The fields of which it depends on the record's category what their ids are of."""
        self.key_names = _key_names(self.natural)
        """The keys by which a row can be known, the natural one first."""
        self.columns = {column.name: column for column in _columns(self.body)}
        self.spellings = {name: column for column in self.columns.values() for name in _spellings(column)}

    def column(self, name: str, place: str = "a column") -> Column | Flaw:
        """Return the column of a name, or what is wrong with the name."""
        found = self.spellings.get(name)
        if found is not None:
            return found
        close = suggestion(name, self.spellings).removeprefix("; ")
        # Where a header is missing, its names are values: only one that is nearly a name is said.
        said = repr(name) if close else place
        proposal = close or "give it the name of a field, or leave it out"
        return Flaw(name if close else "", f"{self.resource} have no field for {said}", proposal)

    def lacking(self, names: set[str]) -> Iterator[Flaw]:
        """Yield a flaw for every required field that none of some columns is about."""
        given = {self.columns[name].field for name in names}
        for field in self.fields.values():
            if field.required and field.name not in given:
                yield Flaw(field.name, "a column is missing", f"add {' or '.join(self.names_of(field.name))}")

    def names_of(self, field: str) -> list[str]:
        """Return the columns of a field, those that name a key first."""
        found = [column for column in self.columns.values() if column.field == field]
        return [column.name for column in sorted(found, key=lambda column: not column.by)]

    def homes(self, field: str, category: object) -> tuple[str, ...]:
        """Return where what a field names is looked for; in a group, that depends on its category (None: not said)."""
        if field in self.by_category and category in (None, "Education"):
            return _EDUCATION[field]
        return REFERENCES.get(field, ())


@cache
def declared(resource: str) -> Declared:
    """Return the columns and keys of a resource; `ValueError` for one that no registry can say anything of."""
    return Declared(resource)


def resource_of(name: str) -> str:
    """Return a resource by its name, with dashes or underscores; `ValueError` for what no registry can hold."""
    resource = name.replace("-", "_")
    if resource in DATA_EXPORT:
        return attribute_of(resource)  # which says why not
    if resource not in RESOURCES:
        raise ValueError(f"{name!r} is no resource{suggestion(resource, RESOURCES) or _holds()}")
    declared(resource)
    return resource


def _holds() -> str:
    """Return what a registry may hold, as the end of a sentence."""
    tables = {name: operations(api) for name, api in RESOURCES.items()}
    held = (name for name, table in tables.items() if isinstance(table.get("create"), Create) and "search" in table)
    return f"; there are {', '.join(held)}"


def _key_names(natural: tuple[str, ...]) -> tuple[KeyName, ...]:
    if not natural:
        return ("source_id",)
    return (natural[0] if len(natural) == 1 else natural, "source_id")


def _create(resource: str) -> Create[...]:
    table = operations(RESOURCES[resource])
    create = table.get("create")
    if not isinstance(create, Create):
        raise ValueError(f"{resource} are written by the server only: no registry can hold them")  # noqa: TRY004
    if "search" not in table:
        raise ValueError(f"{resource} have no key by which a registry could know them again: create them one by one")
    return create


def _columns(body: type[Record]) -> Iterator[Column]:
    for field in fields(body):
        if field.name == "external":
            yield Column("source_id", field.name, _member(field.type, "source_id"), many=False, inside="source_id")
        elif field.kind is Kind.OBJECT:
            for leaf in fields(field.type):
                yield Column(f"{field.name}.{leaf.name}", field.name, leaf, leaf.many, inside=leaf.name)
        else:
            yield Column(field.name, field.name, field, field.many)
            yield from _references(field)


def _references(field: Field) -> Iterator[Column]:
    if field.kind is not Kind.UUID:
        return
    name = f"{field.name.removesuffix('_ids')}s" if field.many else field.name.removesuffix("_id")
    leaves: dict[str, Field] = {}
    for home in REFERENCES.get(field.name, ()):
        create = _create(home)
        body = create.body or Record
        keys = create.key if len(create.key) == 1 else ()
        leaves |= {key: _member(body, key) for key in keys}
        leaves["source_id"] = _member(_member(body, "external").type, "source_id")
        leaves |= {key: _member(body, key) for key in ALSO_KNOWN_BY.get(home, ())}
    for by, leaf in leaves.items():
        yield Column(f"{name}.{by}", field.name, leaf, field.many, by=by)


def _member(record: type[Record], name: str) -> Field:
    return next(field for field in fields(record) if field.name == name)


def _spellings(column: Column) -> Iterator[str]:
    names = [column.name, *(["external.source_id"] if column.name == "source_id" else [])]
    for name in names:
        for parts in product(*((part, wire_name(part)) for part in name.split("."))):
            yield ".".join(parts)

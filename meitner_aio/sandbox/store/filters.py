"""A search's filter, compiled once into a test of a row. Raises `ValueError` for an invalid filter.

Which groups a field takes follows from its type alone (law 3), read from the declaration of the record. The meaning is
SQL's: a comparison with null is never true, negated or not. A condition on a list asks whether any element fits, its
negation whether none does; a list is null when it is empty.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator
from functools import cache, partial
from operator import attrgetter
from typing import Any, NamedTuple, cast

from ...query import GROUPS
from ...records import Field, Kind, Record, fields
from ..http.dialect import Dialect
from ..http.reading import dotted, read_list, read_object, read_one
from .shapes import is_list, is_object
from .tables import Row

DEEPEST = 50
"""How deep filters may nest."""

Test = Callable[[Row], bool]
Get = Callable[[Row], object]
Check = Callable[[Any], bool]


class Filter(NamedTuple):
    """A compiled filter."""

    test: Test
    ids: frozenset[str] | None
    """The only rows that can pass, where the filter names them; None where it does not."""


def compile_filter(model: type[Record], data: object, dialect: Dialect) -> Filter:
    """Return the test that the JSON of a filter stands for."""
    test = _Compiler(dialect).level(model, data, 1)
    level = read_object(data, "filter")
    return Filter(test, None if level["orCondition"] else _ids(level))


def _ids(level: dict[str, object]) -> frozenset[str] | None:
    """Return the ids that a level asks for by value, when it does."""
    for group in ("equals", "contains"):
        conditions = level.get(group)
        asked = conditions.get("id") if is_object(conditions) else None
        if asked is not None:
            return frozenset(str(one).lower() for one in (asked if is_list(asked) else [asked]))
    return None


class _Compiler(NamedTuple):
    """Makes tests of conditions, as a dialect understands them."""

    dialect: Dialect

    def level(self, model: type[Record], data: object, depth: int) -> Test:
        """Return the test of a level with all that nests in it."""
        if depth > DEEPEST:
            raise ValueError(f"filters nest deeper than {DEEPEST}")
        level = read_object(data, "filter")
        for name in level.keys() - {*GROUPS, "orCondition", "nestedFilters"}:
            self._foreign(f"filter.{name} is not a filter group")
        either = level.get("orCondition")
        if either is not True and either is not False:
            raise ValueError("filter.orCondition must be given, true or false")
        tests = [test for group in GROUPS for test in self._conditions(group, model, level.get(group), group)]
        nested = level.get("nestedFilters")
        if nested is not None:
            tests += [self.level(model, inner, depth + 1) for inner in read_list(nested, "nestedFilters")]
        return _joined(tests, any if either else all)

    def _foreign(self, problem: str) -> None:
        """Ignore what the server does not know, or refuse it."""
        if self.dialect.unknown == "refuse":
            raise ValueError(problem)

    def _conditions(
        self, group: str, record: type[Record], data: object, name: str, owner: Get | None = None
    ) -> Iterator[Test]:
        """Yield a test for every condition of a group on the fields of a row, or of the record in it that `owner` gets.

        A field whose type the group does not apply to is not in the group: as unknown as one that does not exist.
        """
        if data is None:
            return
        declared = {field.wire: field for field in fields(record)}
        for wire, value in read_object(data, name).items():
            field, where = declared.get(wire), dotted(name, wire)
            if field is None:
                self._foreign(f"{where} is not a field")
                continue
            get = attrgetter(field.name) if owner is None else _within(owner, field.name)
            if field.kind is Kind.OBJECT:
                yield from self._conditions(group, field.type, value, where, get)
            elif not applies(group, field):
                self._foreign(f"{where}: {group} does not apply to a field of type {field.described}")
            elif value is not None:
                yield self._condition(group, field, value, where, get)

    def _condition(self, group: str, field: Field, value: object, name: str, get: Get) -> Test:
        positive = _POSITIVE.get(group, group)
        if positive == "null":
            return _nullness(value, name, get, wanted=group == "null")
        if positive == "contains":
            items = read_list(value, name)
            check: Check = frozenset(read_one(field, item, self.dialect, name) for item in items).__contains__
        elif positive == "like":
            check = _like(str(read_one(field, value, self.dialect, name)))
        else:
            check = partial(_BOUNDS.get(positive, operator.eq), read_one(field, value, self.dialect, name))
        return _applied(check, get, many=field.many, negated=positive != group)


def _joined(tests: list[Test], join: Callable[[Iterator[bool]], bool]) -> Test:
    if not tests:
        return lambda _: True
    if len(tests) == 1:
        return tests[0]
    return lambda row: join(test(row) for test in tests)


def _within(owner: Get, name: str) -> Get:
    def get(row: Row) -> object:
        record = owner(row)
        return None if record is None else getattr(record, name)

    return get


_FAMILIES = {
    "equals": set(Kind) - {Kind.OBJECT},
    "contains": set(Kind) - {Kind.OBJECT, Kind.INSTANT},
    "like": {Kind.TEXT},
    "range": {Kind.DATE, Kind.INTEGER, Kind.INSTANT},
}
_POSITIVE = {"notEquals": "equals", "notContains": "contains", "notLike": "like", "notNull": "null"}
_BOUNDS: dict[str, Callable[[Any, Any], bool]] = {
    "greaterThan": operator.lt,  # the bound comes first: bound < value
    "smallerThan": operator.gt,
    "greaterOrEqual": operator.le,
    "smallerOrEqual": operator.ge,
}


def applies(group: str, field: Field) -> bool:
    """Whether a field's type takes a filter group (law 3). An object takes those of its own fields."""
    family = "range" if group in _BOUNDS else _POSITIVE.get(group, group)
    return field.nullable or field.many if family == "null" else field.kind in _FAMILIES[family]


def _nullness(value: object, name: str, get: Get, *, wanted: bool) -> Test:
    if value is not True and value is not False:
        raise ValueError(f"{name} must be true or false")
    null = value is wanted
    return lambda row: (get(row) in (None, [])) is null


def _applied(check: Check, get: Get, *, many: bool, negated: bool) -> Test:
    if many:
        return lambda row: any(map(check, cast("list[object]", get(row)))) is not negated
    if negated:
        return lambda row: (value := get(row)) is not None and not check(value)
    return lambda row: (value := get(row)) is not None and check(value)


_TOKENS = re.compile(r"\\(?P<escaped>.)|(?P<wild>%)|(?P<one>_)|(?P<plain>[^\\%_]+)", re.DOTALL)


def _like(pattern: str) -> Check:
    r"""Return the test of a LIKE pattern: `%` any run, `_` one character, `\` takes the meaning from the next."""
    parts, end, least = [""], 0, 0
    for token in _TOKENS.finditer(pattern):
        end = token.end()
        if token["wild"]:
            parts.append("")
        else:
            parts[-1] += "." if token["one"] else re.escape(token["escaped"] or token["plain"])
            least += len(token["escaped"] or token["plain"] or "_")
    if end != len(pattern):
        raise ValueError("a LIKE pattern cannot end with its escape character")
    first, *rest = parts
    if rest:
        # Each part but the last is settled where it is found first, so that no number of % makes a pattern slow.
        first += "".join(f"(?>.*?{part})" for part in rest[:-1] if part) + ".*" + rest[-1]
    return _matcher(first, least)


def _matcher(expression: str, least: int) -> Check:
    """Return the test of an expression that no text of fewer than `least` characters matches.

    It is compiled when there is a text that long: the expression may be as long as a body.
    """
    compiled = cache(partial(re.compile, expression, re.DOTALL))
    return lambda text: len(text) >= least and compiled().fullmatch(text) is not None

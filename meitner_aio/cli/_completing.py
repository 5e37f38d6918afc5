"""What a shell completes where a field is named. Pure: knows the records and queries of the resources on the line."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from .._operations.resource import model_of
from .._wire.field_names import paths
from ..export import resource_names
from ..records import Field, Record, fields, wire_name
from ..resources import LISTED
from ._exit import UsageError
from .conditions import operators, query_of, searchable

if TYPE_CHECKING:
    from cyclopts.completion import CompletionContext


def complete_conditions(context: CompletionContext) -> list[str]:
    """Return the fields that a condition may begin with, and for the only one that is left its operators, too."""
    try:
        known = _common(lambda name: searchable(query_of(name)), _resources(context))
    except (ValueError, UsageError):
        return []
    found = _beginning(_typed(context), known)
    if len(found) > 1:
        return [*found]
    return [f"{path}{sign}" for path, field in found.items() for sign in operators(field)]


def complete_paths(context: CompletionContext) -> list[str]:
    """Return the fields that a list of fields, separated by commas, may go on with; a dot leads into an object."""
    return _lists(context, paths)


def complete_fields(context: CompletionContext) -> list[str]:
    """Return the fields that a list of fields of a record may go on with."""
    return _lists(context, _whole)


def _whole(model: type[Record]) -> Mapping[str, Field]:
    return {field.name: field for field in fields(model)}


def _lists(context: CompletionContext, of: Callable[[type[Record]], Mapping[str, Field]]) -> list[str]:
    *before, incomplete = _typed(context).split(",")
    try:
        known = _common(lambda name: of(model_of(LISTED[name])), _resources(context))
    except ValueError:
        return []
    found = [",".join((*before, path)) for path in _beginning(incomplete, known) if path not in before]
    # Two ways to go on keep a shell from ending the word after the first.
    return found if len(found) > 1 else [way for one in found for way in (one, f"{one},")]


def _typed(context: CompletionContext) -> str:
    """Return the word so far: conditions stand in quotes, and shells hand over the one that begins them."""
    return context.incomplete.lstrip("'\"")


def _resources(context: CompletionContext) -> tuple[str, ...]:
    given = context.get("resource") or context["resources"]
    return resource_names(given.raw_tokens)


def _common(of: Callable[[str], Mapping[str, Field]], resources: Iterable[str]) -> dict[str, Field]:
    """Return what all the resources have."""
    first, *others = (of(name) for name in resources)
    return {path: field for path, field in first.items() if all(path in other for other in others)}


def _beginning(typed: str, known: Mapping[str, Field]) -> dict[str, Field]:
    """Return the fields whose names begin as typed, spelled as in Python, or else as in the API."""
    found = {path: field for path, field in known.items() if path.startswith(typed)}
    if found:
        return found
    spelled = ((_wire(path), field) for path, field in known.items())
    return {name: field for name, field in spelled if name.startswith(typed)}


def _wire(path: str) -> str:
    return ".".join(wire_name(part) for part in path.split("."))

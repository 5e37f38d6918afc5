"""What only the source says: the docstrings of attributes, and where a name that is no class or function is from."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import NamedTuple


class Attribute(NamedTuple):
    """An assignment, with the docstring below it."""

    name: str
    annotation: str
    default: str
    doc: str


@cache
def _tree(module: str) -> ast.Module:
    path = inspect.getsourcefile(import_module(module))
    return ast.parse(Path(path).read_text(encoding="utf-8")) if path else ast.Module([], [])


def _statements(body: Sequence[ast.stmt]) -> Iterator[tuple[ast.stmt, str]]:
    """Yield every statement with the docstring that follows it, also inside `if` and the like."""
    for place, statement in enumerate(body):
        after = body[place + 1] if place + 1 < len(body) else None
        said = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) and after.value.value
        yield statement, inspect.cleandoc(said) if isinstance(said, str) else ""
        for inner in ("body", "orelse"):
            if isinstance(statement, (ast.If, ast.Try)):
                yield from _statements(getattr(statement, inner))


def _assigned(body: Sequence[ast.stmt], of: str = "") -> dict[str, Attribute]:
    """Return what a block assigns to names, or to attributes of `of`."""
    found: dict[str, Attribute] = {}
    for statement, doc in _statements(body):
        if isinstance(statement, ast.AnnAssign):
            target, annotation = statement.target, ast.unparse(statement.annotation)
        elif isinstance(statement, ast.Assign) and len(statement.targets) == 1:
            target, annotation = statement.targets[0], ""
        else:
            continue
        plain = isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name) and target.value.id == of
        name = target.attr if plain else target.id if isinstance(target, ast.Name) and not of else ""
        if name and not name.startswith("_"):
            found[name] = Attribute(name, annotation, ast.unparse(statement.value) if statement.value else "", doc)
    return found


def _class(kind: type) -> ast.ClassDef | None:
    body: Sequence[ast.stmt] = _tree(kind.__module__).body
    found = None
    for name in kind.__qualname__.split("."):
        found = next((one for one, _ in _statements(body) if isinstance(one, ast.ClassDef) and one.name == name), None)
        if found is None:
            return None
        body = found.body
    return found


@cache
def attributes(kind: type) -> dict[str, Attribute]:
    """Return the attributes that the body of a class declares, in their order."""
    found = _class(kind)
    return {} if found is None else _assigned(found.body)


@cache
def set_attributes(kind: type) -> dict[str, Attribute]:
    """Return the attributes that `__init__` sets: of an error all, of other classes those that it explains."""
    found = _class(kind)
    inside = found.body if found else []
    made = next((one for one in inside if isinstance(one, ast.FunctionDef) and one.name == "__init__"), None)
    if made is None:
        return {}
    given = {one.arg: ast.unparse(one.annotation) for one in made.args.kwonlyargs + made.args.args if one.annotation}
    every = {
        name: one._replace(annotation=one.annotation or given.get(name, ""))
        for name, one in _assigned(made.body, "self").items()
    }
    return every if issubclass(kind, Exception) else {name: one for name, one in every.items() if one.doc}


def module_attributes(module: str) -> dict[str, Attribute]:
    """Return what a module assigns."""
    return _assigned(_tree(module).body)


def defined(module: str) -> list[str]:
    """Return the public names that a module defines itself, in their order; type variables are nobody's to use."""
    names = [
        (statement.name, None) if isinstance(statement, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)) else None
        for statement, _ in _statements(_tree(module).body)
    ]
    made = [one[0] for one in names if one is not None]
    variables = [name for name, one in module_attributes(module).items() if not one.default.startswith("TypeVar(")]
    return [name for name in dict.fromkeys([*made, *variables]) if not name.startswith("_")]


def origin(module: str, name: str) -> str:
    """Return the module that assigns a name, following imports; one that is not of the package ends the search."""
    for statement, _ in _statements(_tree(module).body):
        if isinstance(statement, ast.ImportFrom):
            source = _imported(module, statement)
            given = [one.asname or one.name for one in statement.names]
            if name in given or (given == ["*"] and name in getattr(import_module(source), "__all__", ())):
                return origin(source, name) if source.startswith("meitner_aio") else source
    return module


def _imported(module: str, statement: ast.ImportFrom) -> str:
    """Return the module that a statement imports from, its dots resolved."""
    package = module if hasattr(import_module(module), "__path__") else module.rpartition(".")[0]
    base = package.rsplit(".", statement.level - 1)[0] if statement.level else ""
    return ".".join(filter(None, [base, statement.module or ""]))

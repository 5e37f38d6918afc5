"""A page for each public module: every name that users may import, with its signature and docstring."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

from ._classes import class_entry, function
from ._markdown import code, directive, joined, prose, summary, table
from ._names import ROOT, Name, modules, names
from ._signatures import default
from ._source import Attribute, module_attributes, origin


def page(module: str) -> str:
    """Return the page of a module."""
    own = [one for one in names(module) if one.home == module]
    others = [one for one in names(module) if one.home != module]
    doc = inspect.getdoc(import_module(module)) or ""
    listed = ((code(one.name), _summary(one)) for one in others)
    return (
        joined(
            f"# `{module}`",
            prose(doc),
            *(_entry(one) for one in own),
            "## Names from elsewhere" if others and own else "",
            table(("Name", "What it is"), listed),
        )
        + "\n"
    )


def _summary(one: Name) -> str:
    value = inspect.unwrap(one.value) if callable(one.value) else one.value
    if inspect.isclass(value) or inspect.isfunction(value):
        return summary(value.__doc__ or "")
    if type(value).__module__.startswith(ROOT):
        said = type(value).__call__ if callable(value) else type(value)
        return summary(_attribute(one).doc or said.__doc__ or "")
    return summary(_attribute(one).doc)


def _attribute(one: Name) -> Attribute:
    made_in = origin("meitner_aio._exports" if one.module == ROOT else one.module, one.name)
    nothing = Attribute(one.name, "", "", "")
    return module_attributes(made_in).get(one.name, nothing) if made_in.startswith(ROOT) else nothing


def _entry(one: Name) -> str:
    value = one.value
    if inspect.isclass(value):
        return class_entry(one, value)
    plain = inspect.unwrap(value) if callable(value) else value
    if plain is not value:  # a fixture
        return _directive("py:function", one, f"{one.name}", prose(inspect.getdoc(plain) or ""))
    if inspect.isfunction(value):
        return function("py:function", one.name, value, module=one.module)
    if callable(value) and type(value).__module__.startswith(ROOT):  # one that is called
        calls = [("", type(value).__call__), *_public(type(value))]
        return joined(
            *(
                function("py:function", f"{one.name}{'.' * bool(name)}{name}", call, module=one.module)
                for name, call in calls
            )
        )
    told = _attribute(one)
    doc = told.doc or _summary(one)
    written = default(value) if default(value) != "..." else told.default
    shown = code(f"{one.name} = {written}") if written and len(written) < 200 else ""
    return _directive("py:data", one, one.name, joined(prose(doc), shown))


def _directive(kind: str, one: Name, signature: str, body: str) -> str:
    return directive(kind, signature, body, module=one.module)


def _public(kind: type) -> Iterator[tuple[str, Callable[..., Any]]]:
    for name, value in vars(kind).items():
        plain = value.__func__ if isinstance(value, (staticmethod, classmethod)) else value
        if not name.startswith("_") and inspect.isfunction(plain):
            yield name, plain


def pages() -> dict[str, str]:
    """Return the page of every module by its file, and the list of them."""
    listed = ((f"[`{one}`]({one}.md)", summary(inspect.getdoc(import_module(one)) or "")) for one in modules())
    index = joined(
        "# The API",
        "Every public module and name. What the package `meitner_aio` exports is imported from there.",
        table(("Module", "What it is for"), listed),
        directive("toctree", "", "\n".join(modules()), hidden=""),
    )
    return {"index.md": index + "\n", **{f"{one}.md": page(one) for one in modules()}}

"""The public names: which there are, where users import them from, and whose page tells of each."""

from __future__ import annotations

import inspect
import pkgutil
from functools import cache
from importlib import import_module
from typing import NamedTuple

import meitner_aio
from meitner_aio.resources import LISTED

from . import _resources
from ._source import defined, origin

ROOT = meitner_aio.__name__
ON_RESOURCES = "a page of a resource"


class Name(NamedTuple):
    """A public name: where users import it from, and the module whose page tells of it."""

    module: str
    name: str
    value: object
    home: str


@cache
def modules() -> tuple[str, ...]:
    """Return the public modules: the package, and those in it without an underscore."""
    inside = (one.name for one in pkgutil.iter_modules(meitner_aio.__path__) if not one.name.startswith("_"))
    return (ROOT, *(f"{ROOT}.{name}" for name in inside))


@cache
def exported(module: str) -> tuple[str, ...]:
    """Return the names that a module exports: `__all__`, else what it defines without an underscore."""
    loaded = import_module(module)
    names: list[str] = getattr(loaded, "__all__", None) or defined(module)
    return tuple(name for name in names if name != "__version__")


@cache
def _on_resources() -> frozenset[int]:
    found: set[int] = set()
    for kind in LISTED.values():
        found |= {id(one) for one in (*_resources.classes(kind), *_resources.all_enums(kind).values())}
    return frozenset(found)


def _module_of(module: str, name: str, value: object) -> str:
    """Return the module that defines a name, private ones included."""
    value = inspect.unwrap(value) if callable(value) else value
    owned = inspect.isclass(value) or inspect.isfunction(value)
    return value.__module__ if owned else origin("meitner_aio._exports" if module == ROOT else module, name)


def home(module: str, name: str) -> str:
    """Return whose page tells of a name: that of the module that defines it, else of the first that exports it."""
    value = getattr(import_module(module), name)
    if id(value) in _on_resources():
        return ON_RESOURCES
    made_in = _module_of(module, name, value)
    around = ".".join(made_in.split(".")[:2])
    candidates = [made_in, around, *modules()]
    return next(one for one in candidates if one in modules() and _exports(one, name, value))


def _exports(module: str, name: str, value: object) -> bool:
    return name in exported(module) and getattr(import_module(module), name) is value


@cache
def names(module: str) -> list[Name]:
    """Return what a module exports; the name of the package is the one to import from, where it has it."""
    found: list[Name] = []
    for name in exported(module):
        value = getattr(import_module(module), name)
        shown = ROOT if _exports(ROOT, name, value) else module
        found.append(Name(shown, name, value, home(module, name)))
    return found


@cache
def _public_ids() -> frozenset[int]:
    return _on_resources() | {id(one.value) for module in modules() for one in names(module)}


def is_public(value: object) -> bool:
    return id(value) in _public_ids()

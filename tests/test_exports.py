"""What the front door shows: every name that users need, nothing slow, and the operations that exist."""

from __future__ import annotations

import inspect
import json
import pydoc
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any, Literal

import pytest
from packaging.requirements import Requirement
from samples import Recorder, answer

import meitner_aio
from meitner_aio import ApiKey, Meitner, errors, query, records
from meitner_aio._operations.operations import Resource, operations
from meitner_aio.query import Condition
from meitner_aio.records import OpenEnum, Record
from meitner_aio.resources import DATA_EXPORT, RESOURCES


def _public(kind: type) -> Iterator[type]:
    """Yield the public subclasses of a class that the package defines, at any depth."""
    for child in kind.__subclasses__():
        if child.__module__.startswith("meitner_aio."):
            if not child.__name__.startswith("_"):
                yield child
            yield from _public(child)


def _exported() -> set[str]:
    """Return the names that users may need, found in the modules that define them."""
    names = {enum.__name__ for enum in _public(OpenEnum)}
    names |= {error.__name__ for error in _public(errors.MeitnerError)} | {"MeitnerError"}
    shared = [kind for kind in _public(Record) if kind.__module__ == records.__name__]
    names |= {kind.__name__ for kind in shared if not kind.__subclasses__()}  # what only others are made of is nobody's
    for resource in RESOURCES.values():
        bodies = [operation.body for operation in operations(resource).values() if operation.body is not None]
        names |= {kind.__name__ for kind in (resource.model, *bodies)}
        names |= {kind.__name__ for body in bodies for kind in _objects_in(body)}
    for resource in DATA_EXPORT.values():
        names |= {kind.__name__ for kind in (resource, resource.model, *_objects_in(resource.model))}
    return names | _operators()


def _objects_in(record: type[Record]) -> Iterator[type[Record]]:
    for field in records.fields(record):
        for kind in (field.type, *field.choices):
            if isinstance(kind, type) and issubclass(kind, Record):
                yield kind


def _operators() -> set[str]:
    """Return the names in `query` that make a condition or are one."""
    makers = {name for name, value in vars(query).items() if getattr(value, "__module__", "") == query.__name__}
    made = {name for name in makers if name.islower() and not name.startswith("_")}
    constants = {name for name, value in vars(query).items() if isinstance(value, Condition)}
    return (made | constants | {"like"}) - {"to_filter"}


CONTRACT = {
    "ApiKey",
    "Listing",
    "Meitner",
    "OAuth2",
    "Page",
    "Rate",
    "RawResponse",
    "RetryPolicy",
    "to_dict",
    "to_json",
    "__version__",
}
"""Names that the documentation teaches and no declaration implies."""


def test_all_is_complete():
    """Every record, write, query, enum, error and operator is importable from the front door."""
    assert (_exported() | CONTRACT) - set(meitner_aio.__all__) == set()
    assert {"like", "one_of", "above", "at_least", "below", "at_most", "between", "null", "equals"} == _operators()


def test_all_is_sorted_and_importable():
    """`__all__` is in order, without repetition, and every name in it is there."""
    names = list(meitner_aio.__all__)
    assert len(set(names)) == len(names)
    assert all(hasattr(meitner_aio, name) for name in names)
    assert names == sorted(names)


def test_all_is_ours():
    """What the modules of the package import for themselves is not exported: no module, no other library's name."""
    found = {name: getattr(getattr(meitner_aio, name), "__module__", "meitner_aio.") for name in meitner_aio.__all__}
    assert [name for name, module in found.items() if not module.startswith("meitner_aio.")] == []
    assert [name for name, value in vars(meitner_aio).items() if name in found and inspect.ismodule(value)] == []


def test_a_public_name_is_the_same_everywhere():
    """What `meitner_aio` gives is what its modules define, not a copy of it."""
    for kind in (*_public(OpenEnum), *_public(errors.MeitnerError)):
        assert getattr(meitner_aio, kind.__name__) is kind


def _modules_after(code: str) -> set[str]:
    """Return the top-level modules that a fresh process has imported after some code."""
    script = f"import sys, json\n{code}\nprint(json.dumps(sorted({{name.partition('.')[0] for name in sys.modules}})))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


SLOW = {"aiohttp", "aiolimiter", "cyclopts", "dask", "distributed", "pyarrow", "rich", "tenacity", "yarl"}


def test_import_is_cheap():
    """`from meitner_aio import Meitner` loads msgspec and nothing slower: not even aiohttp."""
    assert _modules_after("from meitner_aio import Meitner") & SLOW == set()


def test_pyarrow_is_loaded_when_a_table_is_made():
    """`import meitner_aio.arrow` finds no fault with a machine that has none."""
    assert "pyarrow" not in _modules_after("import meitner_aio.arrow")


def _libraries_of_extras():
    """Return the modules of what the extras bring, but those of the development of this package."""
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = {name: lines for name, lines in project["optional-dependencies"].items() if name not in DEVELOPMENT}
    brought = {Requirement(line).name for lines in extras.values() for line in lines} - {project["name"]}
    modules = {module for module, names in packages_distributions().items() if brought & {*names}}
    return modules | {name.replace("-", "_") for name in brought}


DEVELOPMENT = {"test", "test-engine", "lint", "audit", "bench", "release"}
"""Extras for those who work on the package."""


def test_what_extras_bring_is_loaded_when_it_is_used():
    """Importing every public module but the command line loads none of it: who installed all extras pays for none."""
    brought = _libraries_of_extras()
    assert brought >= {
        "cyclopts",
        "distributed",
        "dlt",
        "isal",
        "keyring",
        "obstore",
        "pyarrow",
        "redis",
        "rich",
        "uvloop",
    }
    package = Path(meitner_aio.__file__).parent
    paths = [path.relative_to(package.parent).with_suffix("") for path in package.rglob("*.py")]
    names = {".".join(path.parts).removesuffix(".__init__") for path in paths}
    public = {name for name in names if "._" not in name}
    ours = sorted(name for name in public if not name.startswith(("meitner_aio.cli", "meitner_aio.testing")))
    assert {"meitner_aio.arrow", "meitner_aio.distributed", "meitner_aio.dlt", "meitner_aio.export"} <= {*ours}
    loaded = _modules_after(f"import {', '.join(ours)}")
    assert {"aiohttp", "msgspec"} <= loaded
    assert loaded & brought == set()


def test_the_command_line_loads_only_what_its_own_extra_brings():
    """`meitner-aio` without Parquet, a keyring or uvloop is complete: only what a command needs is loaded for it."""
    assert _modules_after("import meitner_aio.cli") & _libraries_of_extras() <= {"cyclopts", "rich"}


@pytest.mark.parametrize(
    ("option", "shown", "needed"), [("--help", "export", {"cyclopts", "rich"}), ("--version", "0.", {"cyclopts"})]
)
def test_help_and_version_need_no_client(option, shown, needed):
    """They come at once: neither the client nor what it is made of is loaded to print them."""
    code = f"""
import contextlib, io, runpy
sys.argv = ["meitner-aio", {option!r}]
with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()) as shown:
    runpy.run_module("meitner_aio", run_name="__main__")
assert {shown!r} in shown.getvalue()
assert not [name for name in sys.modules if name.startswith(("meitner_aio.cli.commands", "meitner_aio.resources"))]
"""
    found = _modules_after(code)
    assert found & SLOW == needed
    assert found & {"asyncio", "email", "logging", "msgspec", "socket", "sqlite3", "ssl"} == set()


@pytest.mark.parametrize("module", ["client", "mirror", "errors"])
def test_a_module_can_come_before_all_exports(module):
    """What is loaded when it is wanted must not need another order of imports."""
    assert "msgspec" in _modules_after(f"import meitner_aio.{module}; meitner_aio.Meitner, meitner_aio.{module}")


def test_what_is_not_there_is_an_attribute_error():
    """As of any module; and what is there is listed."""
    with pytest.raises(AttributeError, match="module 'meitner_aio' has no attribute 'Meitnr'"):
        meitner_aio.Meitnr  # noqa: B018
    assert {"Meitner", "__version__", *meitner_aio.__all__} <= set(dir(meitner_aio))


# Tab completion.

ON_EVERY_RESOURCE = {"path", "model", "get_many"}
"""What a resource shows beside its operations."""


def _composed(resource: type[Resource[Any]]) -> set[str]:
    """Return the names of what a resource does in several calls, as they follow from its operations."""
    names: set[str] = set()
    table = operations(resource)
    if "search" in table:
        names.add("find")
    if "update" in table:
        names |= {"modify", "create_many", "update_many"}
    if "search" in table and "update" in table:
        names |= {"upsert", "upsert_many"}
    if "delete" in table:
        names.add("delete_many")
    return names


@pytest.mark.parametrize(("attribute", "resource"), RESOURCES.items(), ids=RESOURCES)
def test_tab_completion_shows_the_operations(attribute, resource):
    """What a resource offers by name is what the API can do, what can be made of that, and no more."""
    bound = resource(Recorder(answer({})))
    shown = {name for name in dir(bound) if not name.startswith("_")}
    assert shown - ON_EVERY_RESOURCE == set(operations(resource)) | _composed(resource), attribute
    assert shown >= ON_EVERY_RESOURCE


def test_tab_completion_finds_all_operations_of_a_client():
    """Reading `dir` alone, a user finds 11 resources and 61 operations, and what is made of them."""
    client = Meitner(auth=ApiKey("me", "hush"))
    found = {
        f"{attribute}.{name}"
        for attribute in dir(client)
        if not attribute.startswith("_") and isinstance(getattr(client, attribute), Resource)
        for name in dir(getattr(client, attribute))
        if not name.startswith("_") and name not in ON_EVERY_RESOURCE
    }
    made = {f"{attribute}.{name}" for attribute, kind in RESOURCES.items() for name in _composed(kind)}
    assert found - made == {f"{attribute}.{name}" for attribute, kind in RESOURCES.items() for name in operations(kind)}
    assert len(found - made) == 61
    assert {name for name in made if name.startswith("audit_events.")} == {"audit_events.find"}
    assert {name for name in made if name.startswith("grade_elementaries.")} == {
        f"grade_elementaries.{name}" for name in ("modify", "create_many", "update_many", "delete_many")
    }
    assert not made & {"schools.delete_many", "units.delete_many"}


# Help.

FACED = [
    (attribute, name) for attribute, kind in RESOURCES.items() for name in ("find", "upsert") if hasattr(kind, name)
]


PERSON, SOURCE = Literal["identity_number", "source_id"], Literal["source_id"]
KEYS = {
    "schools": SOURCE,
    "units": SOURCE,
    "groups": SOURCE | tuple[Literal["school_id"], Literal["title"]],
    "employees": PERSON,
    "employee_placements": SOURCE | tuple[Literal["employee_id"], Literal["school_id"]],
    "guardians": PERSON,
    "students": PERSON,
    "student_placements": SOURCE | tuple[Literal["student_id"], Literal["school_id"]],
}
"""By what each resource is upserted; by several of these where there are several."""


@pytest.mark.parametrize(("attribute", "name"), FACED)
def test_find_and_upsert_show_their_fields(attribute, name):
    """Editors and `help` read a real signature: the conditions of the search, the key and the fields of the create."""
    resource = RESOURCES[attribute]
    call = getattr(resource(Recorder(answer({}))), name)
    like = {"find": "search", "upsert": "create"}[name]
    parameters = inspect.signature(call).parameters
    fields = [field.name for field in records.fields(operations(resource)[like].body or Record)]
    assert list(parameters) == (["key"] if name == "upsert" else []) + fields
    kinds = {parameter.kind for field, parameter in parameters.items() if field != "key"}
    assert kinds == {inspect.Parameter.KEYWORD_ONLY}
    if name == "upsert":
        assert parameters["key"].kind is inspect.Parameter.POSITIONAL_ONLY
        key: Any = KEYS[attribute]
        several = key | tuple[key, ...] if key != SOURCE else key
        assert parameters["key"].annotation == several
    assert call.__qualname__ == f"{resource.__name__}.{name}"
    assert call.__module__ == resource.__module__


@pytest.mark.parametrize("attribute", KEYS)
def test_upsert_many_shows_what_it_takes(attribute):
    """A key, the items, and how many at a time: outcomes come as those of the other bulk calls do."""
    resource = RESOURCES[attribute](Recorder(answer({})))
    many, others = inspect.signature(resource.upsert_many), inspect.signature(resource.create_many)
    assert list(many.parameters) == ["key", *others.parameters]
    assert many.parameters["concurrency"] == others.parameters["concurrency"]


@pytest.mark.parametrize("attribute", RESOURCES)
def test_everything_on_a_resource_has_help(attribute):
    """`help(meitner.students.find)` says what it does, as `help` of every other name does."""
    bound = RESOURCES[attribute](Recorder(answer({})))
    for name in {*operations(RESOURCES[attribute]), *_composed(RESOURCES[attribute]), "get_many"}:
        shown = pydoc.render_doc(getattr(bound, name), renderer=pydoc.plaintext)
        assert name in shown
        assert len((getattr(bound, name).__doc__ or "").partition("\n")[0]) > 20, name


@pytest.mark.parametrize(("attribute", "name"), FACED)
def test_find_and_upsert_are_bound_once(attribute, name):
    """Afterwards each is a plain attribute of its own resource, as an operation is; on the class it is itself."""
    kind = RESOURCES[attribute]
    one, other = kind(Recorder(answer({}))), kind(Recorder(answer({})))
    assert getattr(one, name) is getattr(one, name)
    assert getattr(one, name) is not getattr(other, name)
    assert vars(one)[name] is getattr(one, name)
    assert getattr(kind, name) is vars(kind)[name]
    assert name not in operations(kind)

"""What jedi completes, for IPython and Jupyter: by reading code, and on the objects of a shell that runs."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import jedi
import pytest
from IPython.core.completer import IPCompleter, provisionalcompleter

from meitner_aio import Meitner
from meitner_aio.records import fields
from meitner_aio.resources import RESOURCES

TYPED = {
    "meitner.|": "students",
    "meitner.students.|": "create",
    "meitner.grade_elementaries.|": "create",
    "meitner.students.list(lim|)": "limit=",
    "meitner.students.list().|": "paged",
    "meitner.students.search().|": "paged",
    "(await meitner.students.get('')).|": "first_name",
    "(await meitner.students.create()).|": "first_name",
    "(await meitner.students.update('')).|": "first_name",
    "(await meitner.students.find()).|": "first_name",
    "(await meitner.students.upsert('source_id')).record.|": "first_name",
    "(await meitner.students.list()).data[0].|": "first_name",
    "(await meitner.students.list().all())[0].|": "first_name",
    "(await meitner.students.list().first()).|": "first_name",
    "(await meitner.students.get_many([]))[''].|": "first_name",
    "async for student in meitner.students.list(): student.fir|": "first_name",
    "async for student in meitner.students.search(): student.fir|": "first_name",
}
"""What is typed, up to the cursor, and what has to be among the completions."""

KEYWORDS = {
    f"meitner.students.{call}fir|)": "first_name="
    for call in ("create(", "update('', ", "search(", "find(", "upsert('source_id', ")
}
"""Keywords come from signatures, which objects have: jedi reads no `ParamSpec`."""

HEAD = ["from meitner_aio import Meitner", "async def main(meitner: Meitner):"]


@pytest.fixture(scope="module", autouse=True)
def _own_cache(request: pytest.FixtureRequest) -> Iterator[None]:
    """Keep what jedi parsed beside what pytest keeps: the next run is three times as fast."""
    before = jedi.settings.cache_directory
    jedi.settings.cache_directory = str(request.config.cache.mkdir("jedi"))
    yield
    jedi.settings.cache_directory = before


@pytest.fixture(scope="module")
def meitner() -> Meitner:
    """Give a client that is never used."""
    return Meitner.sandbox(students=1, schools=1)


@pytest.fixture(scope="module")
def read() -> jedi.Script:
    """Give everything that is typed as one file: jedi learns what a name is once."""
    return jedi.Script("\n".join([*HEAD, *(f"    {typed.replace('|', '')}" for typed in TYPED)]))


@pytest.fixture(scope="module")
def run(meitner) -> jedi.Interpreter:
    """Give everything that is typed as one cell, after one that made the client."""
    return jedi.Interpreter("\n".join(typed.replace("|", "") for typed in TYPED | KEYWORDS), [{"meitner": meitner}])


def _names(script: jedi.Script, line: int, column: int) -> set[str]:
    return {found.name_with_symbols for found in script.complete(line, column)}


@pytest.mark.parametrize(("line", "typed"), [*enumerate(TYPED, 1)])
def test_completions_by_reading(line: int, typed: str, read) -> None:
    """What an editor offers that runs nothing."""
    assert TYPED[typed] in _names(read, len(HEAD) + line, 4 + typed.index("|"))


@pytest.mark.parametrize(("line", "typed"), [*enumerate(TYPED | KEYWORDS, 1)])
def test_completions_on_objects(line: int, typed: str, run) -> None:
    """What a notebook offers in the cell after."""
    assert (TYPED | KEYWORDS)[typed] in _names(run, line, typed.index("|"))


async def test_completions_of_ipython(meitner) -> None:
    """Its completer, with its own settings: keywords, and fields of a record."""
    names = {"meitner": meitner, "student": await meitner.students.list().first()}
    completer = IPCompleter(shell=None, namespace=names, global_namespace={})
    with provisionalcompleter():
        for typed, expected in (("meitner.students.create(fir", "first_name="), ("student.fir", "first_name")):
            assert expected in {found.text for found in completer.completions(typed, len(typed))}


@pytest.mark.parametrize("name", RESOURCES)
def test_what_a_shell_offers_can_be_used(name: str, meitner) -> None:
    """Everything that `dir` names without an underscore exists, of every resource."""
    resource = getattr(meitner, name)
    offered = [one for one in dir(resource) if not one.startswith("_")]
    assert {"list", "get", "get_many"} <= {*offered}
    assert all(hasattr(resource, one) for one in offered)


@pytest.mark.parametrize(
    ("call", "returns"),
    [
        ("list", "Listing[Student]"),
        ("search", "Listing[Student]"),
        ("get", "Coroutine[None, None, Student]"),
        ("create", "Coroutine[None, None, Student]"),
        ("update", "Coroutine[None, None, Student]"),
        ("delete", "Coroutine[None, None, None]"),
        ("find", "Coroutine[None, None, Student | None]"),
        ("upsert", "Coroutine[None, None, Upserted[Student]]"),
    ],
)
def test_signatures_say_what_a_call_takes_and_returns(call: str, returns: str, meitner) -> None:
    """For `?`, `help` and `inspect.signature`."""
    bound = getattr(meitner.students, call)
    shown = inspect.signature(bound)
    assert shown.return_annotation == returns
    assert bound.__qualname__ == f"Students.{call}"
    body = getattr(getattr(type(meitner.students), call), "body", None)
    if body is not None:
        assert [name for name, one in shown.parameters.items() if one.kind is one.KEYWORD_ONLY] == [
            field.name for field in fields(body)
        ]


def test_docstrings_list_the_fields(meitner) -> None:
    """With kinds, and what may be left out or be None: what the signature alone does not say in words."""
    said = meitner.students.create.__doc__
    assert "POST /student" in said
    for line in (
        "Fields of StudentFields:",
        "identity_number            string, required",
        "gender                     enum Gender, or None",
        "external                   object ExternalRequest or External",
        "date_of_birth              date, or None",
    ):
        assert line in said
    assert "member_ids     list of uuid\n" in meitner.groups.create.__doc__
    assert "date or Equals or OneOf or Range or Null" in meitner.students.search.__doc__
    assert "Fields" not in meitner.students.get.__doc__

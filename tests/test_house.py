"""The shape of the package: floors and seams, read from its imports; sizes; what no file may hold."""

from __future__ import annotations

import ast
import importlib
import io
import pkgutil
import re
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest

import meitner_aio

PACKAGE = Path(meitner_aio.__file__).parent
FILES = sorted(path for path in PACKAGE.rglob("*.py") if "__pycache__" not in path.parts)

FLOORS = (
    ("error_response", "errors", "_html", "records", "events"),  # facts
    ("_runtime", "_wire", "query", "plain", "_pseudonyms"),  # what a request and an answer are
    ("_listing", "_operations"),  # the typed half of a call, which knows only `Send`
    ("_pipeline",),  # how a request travels
    ("resources", "_profiles"),  # the directory; settings that are kept
    ("sandbox", "client"),  # that of this process knows no client: what is made with the client may stand on it
    # Made with the client, and strangers to each other: everything without an underscore that is not named here, and
    # "changes"; "portal" stands on its outbox, "arrow", "mirror" and "dlt" may stand on those, "tenants" on all of
    # them, and "distributed" on tenants.
    ("changes", "portal_outbox", "portal", "arrow", "mirror", "dlt", "tenants", "distributed"),
    ("_exports", "cli", "testing", "__main__"),
)
"""A part (a module, or a folder with all it holds) imports from floors below, and from those before it on its own."""
MADE_WITH_THE_CLIENT = 6
PLACE_OF = {part: (floor, place) for floor, parts in enumerate(FLOORS) for place, part in enumerate(parts)}
STRANGERS = {
    ("_pipeline", "_listing"),
    ("_pipeline", "_operations"),
    ("arrow", "changes"),
    ("dlt", "mirror"),
    ("dlt", "arrow"),
    ("mirror", "arrow"),
}
"""The first two meet in `Send`, the others in an export's formats or in what changed."""

SEAMS = {
    "aiohttp": ("_pipeline/transport.py", "sandbox/"),
    "yarl": ("_pipeline/transport.py",),
    "multidict": ("_pipeline/transport.py",),
    "tenacity": ("_pipeline/retry.py",),
    "aiolimiter": ("_pipeline/smoothing.py",),
    "isal": ("_pipeline/inflation.py",),
    "redis": ("_runtime/redis_client.py",),
    "pyrate_limiter": ("quota/_redis_quota.py",),
    "obstore": ("export/destinations/_object_store.py",),
    "dlt": ("dlt/",),
    "pyarrow": ("export/formats/arrow.py", "reconcile/registry/_parquet.py"),
    "dask": ("distributed/",),
    "distributed": ("distributed/",),
    "cyclopts": ("cli/",),
    "rich": ("cli/",),
    "keyring": ("_profiles/keyring_secrets.py",),
    "pytest": ("testing/",),
    "pytest_asyncio": ("testing/",),
}
"""The modules that may import a library."""

LONGEST_MODULE = 400
"""Lines; the aim is 250, and cohesion decides."""
LONGER_MODULES = {}
LONGEST_FUNCTION = 35
"""Lines of statements, docstring and comments not counted: they are not what a reader has to hold in the head."""


class Import(NamedTuple):
    """One module that a file imports: a part of the package (by the name of the part), or another library."""

    part: str | None
    library: str
    line: int
    lazy: bool
    """Inside a function, or for type checkers only."""


def part_of(path: Path) -> str:
    """Return the part of the package that a file belongs to: a module, or a folder with all it holds."""
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def place_of(part: str) -> tuple[int, int]:
    """Return the floor of a part of the package, and its place there."""
    if part not in PLACE_OF and part.startswith("_"):
        pytest.fail(f"{part} is part of the engine: say in FLOORS on which floor it lives")
    return PLACE_OF.get(part, (MADE_WITH_THE_CLIENT, 0))


def imports(path: Path) -> list[Import]:
    """Return everything that a file imports, wherever in the file."""
    found: list[Import] = []
    _collect(ast.parse(path.read_text(encoding="utf-8")), path, found, lazy=False)
    return found


def _collect(node: ast.AST, path: Path, found: list[Import], *, lazy: bool) -> None:
    for child in ast.iter_child_nodes(node):
        inside = (
            lazy or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) or _is_for_checkers(child)
        )
        if isinstance(child, ast.Import):
            found += [_import(name.name, child.lineno, inside) for name in child.names]
        elif isinstance(child, ast.ImportFrom):
            base = _absolute(child, path)
            names = [base] if base != "meitner_aio" else [f"{base}.{name.name}" for name in child.names]
            found += [_import(name, child.lineno, inside) for name in names]
        _collect(child, path, found, lazy=inside)


def _is_for_checkers(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def _absolute(node: ast.ImportFrom, path: Path) -> str:
    """Return the module that `from ... import` names, its dots resolved."""
    package = ["meitner_aio", *path.relative_to(PACKAGE).parent.parts]
    above = package[: len(package) - node.level + 1] if node.level else []
    return ".".join([*above, *([node.module] if node.module else [])])


def _import(name: str, line: int, lazy: bool) -> Import:
    library, *inner = name.split(".")
    return Import(inner[0] if library == "meitner_aio" and inner else None, library, line, lazy)


def broken_floors(path: Path) -> Iterator[str]:
    """Say which imports of a file lead up or sideways."""
    part = part_of(path)
    for found in imports(path):
        # The version is a fact of the floor below all; a front door shows what it may.
        if found.part is None or found.part in (part, "__version__"):
            continue
        if part == "__init__":
            allowed = place_of(found.part) < PLACE_OF["cli"]
        elif part == "client" and found.lazy:
            allowed = place_of(found.part) <= (MADE_WITH_THE_CLIENT, 0)
        else:
            allowed = place_of(found.part) < place_of(part) and (part, found.part) not in STRANGERS
        if not allowed:
            yield f"{path.relative_to(PACKAGE)}:{found.line} imports {found.part}"


def broken_seams(path: Path) -> Iterator[str]:
    """Say which imports of a file reach for a library that is another module's business."""
    where = path.relative_to(PACKAGE).as_posix()
    for found in imports(path):
        owners = SEAMS.get(found.library)
        annotation_only = where == "client.py" and found.library == "aiohttp" and found.lazy
        if owners is not None and not where.startswith(owners) and not annotation_only:
            yield f"{where}:{found.line} imports {found.library}"


def test_floors_hold():
    """A module imports only from floors below its own, inside functions and for annotations too."""
    assert [broken for path in FILES for broken in broken_floors(path)] == []


def test_seams_hold():
    """Each library is known to one part of the package."""
    assert [broken for path in FILES for broken in broken_seams(path)] == []


def test_the_sandbox_serves_and_never_calls():
    """Of aiohttp, the sandbox knows the server only."""
    for path in (PACKAGE / "sandbox").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [name.name for name in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
            module = node.module or "" if isinstance(node, ast.ImportFrom) else ""
            if module == "aiohttp" or "aiohttp" in names:
                assert (module, names) == ("aiohttp", ["web"]), path


@pytest.mark.parametrize(
    ("part", "source", "broken"),
    [
        ("errors", "from .records import Record", (1, 0)),
        ("_wire/validation", "def f():\n    from .. import query", (1, 0)),
        ("_wire/headers", "if TYPE_CHECKING:\n    from .._pipeline.retry import Retrying", (1, 0)),
        ("_pipeline/core", "from .._listing.listing import Listing\nfrom .._operations.bulk import outcomes", (2, 0)),
        ("_listing/listing", "from .._operations.bulk import outcomes", (1, 0)),
        ("_operations/find", "from .._listing.listing import Listing\nfrom .operations import Get", (0, 0)),
        ("resources/a", "from ..client import Meitner", (1, 0)),
        ("resources/a", "from .students import Student\nfrom .._operations.operations import Get", (0, 0)),
        ("client", "from .outbox import Outbox", (1, 0)),
        ("client", "def f():\n    from .outbox import Outbox", (0, 0)),
        ("client", "def f():\n    from .cli import run", (1, 0)),
        ("cached", "from .outbox import Outbox\nfrom .client import Meitner", (1, 0)),
        ("export/_run", "import meitner_aio.cli", (1, 0)),
        ("_operations/bulk", "from .. import __version__\nimport aiohttp.web", (0, 1)),
        ("_pipeline/transport", "import aiohttp\nfrom yarl import URL\nimport tenacity", (0, 1)),
        ("_pipeline/retry", "import aiohttp\nimport tenacity", (0, 1)),
        ("client", "if TYPE_CHECKING:\n    import aiohttp", (0, 0)),
        ("client", "import aiohttp", (0, 1)),
    ],
)
def test_a_wrong_import_is_seen(part, source, broken, tmp_path, monkeypatch):
    """The reading of imports can fail: up, sideways, lazily, for checkers, by any spelling."""
    monkeypatch.setattr(sys.modules[__name__], "PACKAGE", tmp_path)
    path = tmp_path / f"{part}.py"
    path.parent.mkdir(exist_ok=True)
    path.write_text(source, encoding="utf-8")
    assert (len(list(broken_floors(path))), len(list(broken_seams(path)))) == broken


# Calls of the system whose failures differ between systems: one place each, which knows them.

OF_THE_SYSTEM = {
    "flock": ("_runtime/locks.py",),
    "fsync": ("_runtime/durable.py",),
    "fchmod": ("_runtime/permissions.py",),
    "add_signal_handler": ("_runtime/signals.py",),
    "F_FULLFSYNC": ("_runtime/durable.py",),
    "locking": ("_runtime/locks.py",),
    "stdout": ("cli/rendering/output.py",),
}
"""Names, and the modules that may use them as attributes."""


def strayed_calls(path: Path) -> Iterator[str]:
    """Say where a file does by itself what is another module's business."""
    where = path.relative_to(PACKAGE).as_posix()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute) and where not in OF_THE_SYSTEM.get(node.attr, (where,)):
            yield f"{where}:{node.lineno} uses {node.attr}"


def test_the_system_is_called_in_one_place():
    """Locks, syncs, modes, signals and stdout: what is known of other systems is known wherever they are used."""
    assert [strayed for path in FILES for strayed in strayed_calls(path)] == []


def test_a_strayed_call_is_seen(tmp_path, monkeypatch):
    """The reading can fail."""
    monkeypatch.setattr(sys.modules[__name__], "PACKAGE", tmp_path)
    path = tmp_path / "a.py"
    path.write_text("os.fsync(3)\nsys.stdout.write('')\n", encoding="utf-8")
    assert list(strayed_calls(path)) == ["a.py:1 uses fsync", "a.py:2 uses stdout"]


# Sizes, and what no file may hold.


def test_modules_are_small_enough_to_hold():
    """A module that outgrows the limit is two."""
    sizes = {str(path.relative_to(PACKAGE)): len(path.read_text(encoding="utf-8").splitlines()) for path in FILES}
    assert {name: size for name, size in sizes.items() if size > LONGEST_MODULE} == {}


def _length(function: ast.FunctionDef | ast.AsyncFunctionDef, comments: set[int]) -> int:
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    if not body or function.end_lineno is None:
        return 0
    return len(set(range(body[0].lineno, function.end_lineno + 1)) - comments)


def _comment_lines(source: str) -> set[int]:
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return {
        token.start[0]
        for token in tokens
        if token.type == tokenize.COMMENT and not token.line[: token.start[1]].strip()
    }


def _functions(path: Path) -> Iterator[tuple[str, int]]:
    source = path.read_text(encoding="utf-8")
    comments = _comment_lines(source)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield f"{path.relative_to(PACKAGE)}:{node.lineno} {node.name}", _length(node, comments)


def test_functions_are_small_enough_to_hold():
    """A function that outgrows the limit is two."""
    long = [place for path in FILES for place, length in _functions(path) if length > LONGEST_FUNCTION]
    assert long == []


@pytest.mark.parametrize("path", FILES, ids=[str(path.relative_to(PACKAGE)) for path in FILES])
def test_no_file_prints_or_silences_at_large(path):
    """Only the terminal prints; an ignore names what it ignores, and why a rule is waived stands beside it."""
    source = path.read_text(encoding="utf-8")
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    printed = [
        node.lineno for node in calls if isinstance(node.func, ast.Name) and node.func.id in ("print", "breakpoint")
    ]
    assert not printed or part_of(path) in ("cli", "__main__")
    assert not re.search(r"#\s*type:\s*ignore(?!\[)", source)
    assert not re.search(r"#\s*pyright:\s*ignore(?!\[)", source)
    assert not re.search(r"#\s*noqa(?!: [A-Z]+\d+)", source)


@pytest.mark.parametrize("path", FILES, ids=[str(path.relative_to(PACKAGE)) for path in FILES])
def test_every_module_says_what_it_is_for(path):
    """A module opens with its purpose."""
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))


def test_what_hides_from_repr_hides_from_rich():
    """A msgspec Struct shows rich every field, whatever its `repr` says: who writes one writes both."""
    for module in pkgutil.walk_packages([str(PACKAGE)], "meitner_aio."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    ours = [kind for kind in _subclasses(msgspec.Struct) if kind.__module__.startswith("meitner_aio.")]
    discreet = [kind for kind in ours if "__repr__" in vars(kind)]
    assert len(discreet) > 3
    assert [kind.__qualname__ for kind in discreet if "__rich_repr__" not in vars(kind)] == []


def _subclasses(kind: type) -> Iterator[type]:
    for child in kind.__subclasses__():
        yield child
        yield from _subclasses(child)

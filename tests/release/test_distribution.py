"""What is published: exactly the files under version control, with a page whose links lead somewhere, and it installs."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from importlib.metadata import distribution
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import pytest
from lacking import lacking
from pages import block, page
from wheelhouse import metadata_of, needed, repack

import meitner_aio
from meitner_aio import Meitner
from meitner_aio.sandbox import Sandbox

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
VERSION = meitner_aio.__version__

STRAY = (
    ".env",
    ".venv/lib/python3.11/site-packages/docs/index.md",
    "env/lib/python3.11/site-packages/meitner_aio/__init__.py",
    "tests/env/lib/python3.11/site-packages/tests/test_theirs.py",
    "docs/.venv/lib/python3.11/site-packages/README.md",
    "docs/_build/index.html",
    "docs/_build/index.md",
    "docs/reference/index.md",
    "docs/reference/api/index.md",
    "meitner_aio/x.pyc",
    "meitner_aio/x.py.orig",
    "meitner_aio/.DS_Store",
    "meitner_aio/resources/__pycache__/students.cpython-311.pyc",
    "meitner_aio/config.toml",
    "meitner_aio/sandbox/http/static/pages.css.orig",
    "meitner_aio/sandbox/http/static/shot.png",
    "meitner_aio/stray.html",
    "tests/out/students.ndjson",
    "dist/meitner_aio-0.0.1.tar.gz",
    "out/students.ndjson",
)
"""What people have in their trees: environments of any name, what was built, settings with secrets, exported rows."""


class Built(NamedTuple):
    """What `python -m build` made of a tree, and the files of that tree that are under version control."""

    sdist: Path
    wheel: Path
    tracked: set[str]


def run(*command: object, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command that knows nothing of this checkout."""
    told = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "UV_", "MEITNER_"))}
    words = [str(word) for word in command]
    return subprocess.run(
        words, cwd=cwd, env=told | environment, capture_output=True, text=True, timeout=300, check=False
    )


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """Build from a copy of the tree in which much lies around, with warnings as errors."""
    if not (ROOT / ".git").exists():
        pytest.skip("this is no checkout")
    for name in ("build", "hatchling", "hatch_fancy_pypi_readme"):
        if find_spec(name) is None:
            lacking(f'{name} is not installed: pip install -e ".[test]"')
    listed = run("git", "ls-files", "-z", cwd=ROOT)
    assert listed.returncode == 0, listed.stderr
    tracked = {name for name in listed.stdout.split("\0") if name and (ROOT / name).exists()}
    tree, made = tmp_path_factory.mktemp("tree"), tmp_path_factory.mktemp("made")
    for name in (*tracked, *STRAY):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        if name in tracked:
            shutil.copyfile(ROOT / name, tree / name)
        else:
            (tree / name).write_text("stray\n", encoding="utf-8")
    done = run(sys.executable, "-m", "build", "--no-isolation", "--outdir", made, cwd=tree, PYTHONWARNINGS="error")
    assert done.returncode == 0, done.stdout + done.stderr
    return Built(*made.glob("*.tar.gz"), *made.glob("*.whl"), tracked)


def test_the_sdist_is_what_is_under_version_control(built: Built) -> None:
    """Every file of the repository, the metadata, and nothing that merely lay in the tree."""
    with tarfile.open(built.sdist) as archive:
        files = {entry.name.partition("/")[2] for entry in archive if entry.isfile()}
    assert files == built.tracked | {"PKG-INFO"}


def test_the_wheel_is_the_package(built: Built) -> None:
    """The modules, the files of the sandbox's pages, the mark of a typed package, and metadata: no tests or documents."""
    with zipfile.ZipFile(built.wheel) as archive:
        files = set(archive.namelist())
    about = {"METADATA", "WHEEL", "RECORD", "entry_points.txt", "licenses/LICENSE"}
    package = {name for name in built.tracked if name.startswith("meitner_aio/")}
    assert files == package | {f"meitner_aio-{VERSION}.dist-info/{name}" for name in about}
    assert files > {"meitner_aio/py.typed", "meitner_aio/sandbox/http/static/requests.html"}


def test_the_page_of_the_package_has_no_link_beside_itself(built: Built) -> None:
    """Links of the README to files, and its pictures, lead to those of this version in the repository; they are there."""
    metadata = metadata_of(built.wheel).metadata
    assert metadata["Description-Content-Type"] == "text/markdown"
    page = metadata.get_payload()
    repository = re.escape(PROJECT["project"]["urls"]["Source"])
    files = [target.partition("#")[0] for target in re.findall(rf"\]\({repository}/blob/v{VERSION}/([^)]*)\)", page)]
    assert len(files) == len(re.findall(r"\]\((?!https://|#)", README)) > 10
    assert set(files) <= built.tracked
    assert re.findall(r"\]\((?!https://|#)", page) == []
    pictures = re.findall(rf'(?:src|srcset)="{repository}/raw/v{VERSION}/([^"]*)"', page)
    assert pictures == re.findall(r'(?:src|srcset)="([^"]*)"', README)
    assert set(pictures) <= built.tracked


def test_every_address_is_of_one_repository() -> None:
    """Who moves the repository changes one address, and is told of a place that was forgotten."""
    urls = PROJECT["project"]["urls"]
    assert list(urls) == ["Homepage", "Documentation", "Changelog", "Issues", "Source"]
    links = PROJECT["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]["substitutions"]
    places = [*urls.values(), *(re.search("https:.*", link["replacement"])[0] for link in links)]
    assert [place for place in places if not f"{place}/".startswith(f"{urls['Source']}/")] == []


# Installing


class Installer(NamedTuple):
    """uv, with a folder of wheels as the only place where packages come from."""

    programs: Path
    environment: dict[str, str]

    def __call__(self, program: str, *arguments: object, cwd: Path, **more: str) -> subprocess.CompletedProcess[str]:
        """Run `uv` or `uvx`."""
        return run(self.programs / program, *arguments, cwd=cwd, **self.environment, **more)


@pytest.fixture(scope="module")
def uv(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Installer:
    """Give uv the wheel that was built, and wheels of what is installed here of that which the command line needs."""
    if find_spec("uv") is None:
        lacking('uv is not installed: pip install -e ".[test]"')
    from uv import find_uv_bin

    place = tmp_path_factory.mktemp("uv")
    wheels = place / "wheels"
    wheels.mkdir()
    shutil.copy(built.wheel, wheels)
    for name in needed(metadata_of(built.wheel), ["cli"]):
        repack(distribution(name), wheels)
    settings = place / "uv.toml"
    settings.write_text(f'no-index = true\nfind-links = ["{wheels.as_posix()}"]\n', encoding="utf-8")
    environment = {
        "UV_CONFIG_FILE": str(settings),
        "UV_OFFLINE": "true",
        "UV_CACHE_DIR": str(place / "cache"),
        "UV_TOOL_DIR": str(place / "tools"),
        "UV_PYTHON": sys.executable,
        "UV_PYTHON_DOWNLOADS": "never",
    }
    return Installer(Path(find_uv_bin()).parent, environment)


@pytest.fixture(scope="module")
def bare(uv: Installer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the programs of an environment in which the package was installed without extras."""
    place = tmp_path_factory.mktemp("bare")
    for command in (
        ("venv", ".venv"),
        ("pip", "install", "--python", ".venv", "meitner-aio"),
        ("pip", "check", "--python", ".venv"),
    ):
        done = uv("uv", *command, cwd=place)
        assert done.returncode == 0, done.stderr
    return place / ".venv" / "bin"


def test_without_extras_the_package_imports(bare: Path, tmp_path: Path) -> None:
    """Every public module does, but the plugin for pytest: what is optional is asked for when it is used."""
    code = """
import importlib, pkgutil, meitner_aio
absent = {}
for module in pkgutil.walk_packages(meitner_aio.__path__, "meitner_aio."):
    if "._" not in module.name and not module.name.startswith("meitner_aio.cli."):
        try:
            importlib.import_module(module.name)
        except ModuleNotFoundError as error:
            absent[module.name] = error.name
print(meitner_aio.__version__, absent)
"""
    done = run(bare / "python", "-W", "error", "-c", code, cwd=tmp_path)
    assert (done.stderr, done.stdout) == (
        "",
        f"{VERSION} {{'meitner_aio.cli': 'cyclopts', 'meitner_aio.testing': 'pytest'}}\n",
    )


def test_without_extras_the_command_says_what_is_missing(bare: Path, tmp_path: Path) -> None:
    """It says its version and what to install, in a line on stderr; it fails, unless the version is what was asked."""
    advice = 'the command line needs cyclopts, which is not installed: pip install "meitner-aio[cli]"'
    for arguments, code in ((("--version",), 0), (("export", "--sandbox"), 1), ((), 1)):
        done = run(bare / "meitner-aio", *arguments, cwd=tmp_path)
        assert (done.returncode, done.stdout, done.stderr) == (code, "", f"meitner-aio {VERSION}: {advice}\n")


def test_the_command_of_the_readme_needs_no_installation(uv: Installer, tmp_path: Path) -> None:
    """`uvx`, word for word, exports a sandbox; without Parquet, which another extra brings."""
    (line,) = re.findall(r"^uvx (.*)$", README, re.MULTILINE)
    assert line.startswith('--from "meitner-aio[cli]" meitner-aio export --sandbox')
    done = uv("uvx", *line.replace('"', "").replace("2000", "20").split(), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "students.ndjson").read_text(encoding="utf-8").count("\n") == 20


async def test_the_script_of_the_first_page_brings_what_it_needs(uv: Installer, tmp_path: Path) -> None:
    """`uv run` of a file with nothing installed around it; credentials come from the environment, as ever."""
    name = "schools.py"
    assert f"\nuv run {name}\n" in page("start.md")
    (tmp_path / name).write_text(block("start.md", name), encoding="utf-8")
    async with Sandbox(students=20) as sandbox:
        secrets = {
            "MEITNER_CLIENT_CREDENTIALS": "an-id",
            "MEITNER_CLIENT_SECRET": "a-secret",
            "MEITNER_BASE_URL": sandbox.url,
        }
        done = await asyncio.to_thread(uv, "uv", "run", name, cwd=tmp_path, **secrets)
        async with Meitner("an-id", "a-secret", base_url=sandbox.url) as meitner:
            titles = [school.title async for school in meitner.schools.list()]
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == titles != []

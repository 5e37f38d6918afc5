"""A folder of wheels made of what is installed here: installers that are given it need no index and no network."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution, PathDistribution, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.tags import parse_tag
from packaging.utils import canonicalize_name

_OF_ONE_INSTALLATION = {"RECORD", "INSTALLER", "REQUESTED", "direct_url.json", "uv_cache.json", "uv_build.json"}
"""Files of a `.dist-info` that say how it came here."""


def metadata_of(wheel: Path) -> PathDistribution:
    """Return the metadata of a wheel as `importlib.metadata` gives that of what is installed."""
    folder = "-".join(wheel.name.split("-")[:2]) + ".dist-info/"
    return PathDistribution(zipfile.Path(wheel, folder))


def needed(of: Distribution, extras: Iterable[str] = ()) -> set[str]:
    """Return the normalized names of everything that a distribution needs on this machine, with the extras named."""
    names: set[str] = set()
    waiting = list(_requirements(of, extras))
    seen: set[str] = set()
    while waiting:
        requirement = waiting.pop()
        if str(requirement) in seen:
            continue
        seen.add(str(requirement))
        name = canonicalize_name(requirement.name)
        own = name == canonicalize_name(of.name)
        if not own:
            names.add(name)
        waiting += _requirements(of if own else distribution(name), requirement.extras)
    return names


def _requirements(of: Distribution, extras: Iterable[str]) -> Iterator[Requirement]:
    for line in of.requires or ():
        requirement = Requirement(line)
        if requirement.marker is None or any(requirement.marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            yield requirement


def repack(installed: Distribution, folder: Path) -> Path:
    """Write the wheel that an installed distribution came from; what an installer made (scripts, bytecode) stays out."""
    lines = (installed.read_text("WHEEL") or "").splitlines()
    tags = [tag for line in lines if line.startswith("Tag: ") for tag in parse_tag(line.removeprefix("Tag: "))]
    parts = [{tag.interpreter for tag in tags}, {tag.abi for tag in tags}, {tag.platform for tag in tags}]
    name = canonicalize_name(installed.name).replace("-", "_")
    wheel = folder / "-".join([name, installed.version, *(".".join(sorted(part)) for part in parts)])
    wheel = wheel.with_name(f"{wheel.name}.whl")
    record, info = "", ""
    with zipfile.ZipFile(wheel, "w") as archive:
        for file in installed.files or ():
            top = file.parts[0]
            if top.endswith(".dist-info"):
                info = top
            if ".." in file.parts or file.suffix == ".pyc" or (top == info and file.name in _OF_ONE_INSTALLATION):
                continue
            content = Path(str(file.locate())).read_bytes()
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")
            record += f"{file.as_posix()},sha256={digest},{len(content)}\n"
            archive.writestr(file.as_posix(), content)
        archive.writestr(f"{info}/RECORD", f"{record}{info}/RECORD,,\n")
    return wheel

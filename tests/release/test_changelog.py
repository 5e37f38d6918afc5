"""The changelog has what is published, under a heading with its date, and pages name that version."""

from __future__ import annotations

import re
from datetime import date
from itertools import pairwise
from pathlib import Path

import pytest
from packaging.version import Version
from pages import PAGES, page

import meitner_aio

CHANGELOG = (Path(__file__).parents[2] / "CHANGELOG.md").read_text(encoding="utf-8")
SECTIONS = ["Breaking", "Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"]
_RELEASE = re.compile(r"\[(\d+\.\d+\.\d+)\] - (\d{4}-\d{2}-\d{2})")


def faults(text: str, version: str) -> list[str]:
    """Return what is wrong with the headings of a changelog, for a package of this version."""
    first, *released = re.findall(r"^## (.*)$", text, re.MULTILINE)
    found = [] if first == "[Unreleased]" else [f"{first} is before [Unreleased]"]
    found += [f"{heading} is no version with its date" for heading in released if not _RELEASE.fullmatch(heading)]
    told = [(Version(one[1]), date.fromisoformat(one[2])) for one in map(_RELEASE.fullmatch, released) if one]
    if version not in {str(release) for release, _ in told}:
        found.append(f"{version} has no heading")
    for (newer, later), (older, earlier) in pairwise(told):
        if newer <= older or later < earlier:
            found.append(f"{newer} is above {older}")
    for release in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        sections = re.findall(r"^### (.*)$", release, re.MULTILINE)
        if sections != [one for one in SECTIONS if one in sections]:
            found.append(f"{release.splitlines()[0]} has {', '.join(sections)}")
    return found


def test_the_version_has_its_notes() -> None:
    """Under a heading with a date; what is unreleased stands first, and newer versions above older ones."""
    assert faults(CHANGELOG, meitner_aio.__version__) == []


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("## [Unreleased]\n", "0.2.0 has no heading"),
        ("## [Unreleased]\n## [0.2.0]\n", "[0.2.0] is no version with its date"),
        ("## [0.2.0] - 2026-11-29\n", "[0.2.0] - 2026-11-29 is before [Unreleased]"),
        ("## [Unreleased]\n## [0.2.0] - 2026-11-29\n## [0.10.0] - 2026-11-28\n", "0.2.0 is above 0.10.0"),
        ("## [Unreleased]\n## [0.2.0] - 2026-11-29\n## [0.1.0] - 2026-11-30\n", "0.2.0 is above 0.1.0"),
        ("## [Unreleased]\n### Fixed\n### Added\n## [0.2.0] - 2026-11-29\n", "[Unreleased] has Fixed, Added"),
        ("## [Unreleased]\n### Added\n### Added\n## [0.2.0] - 2026-11-29\n", "[Unreleased] has Added, Added"),
    ],
)
def test_notes_that_are_amiss_are_seen(text: str, told: str) -> None:
    """A version without notes or without a date, versions or sections out of order, a section twice."""
    assert told in faults(text, "0.2.0")


def test_pages_name_the_version_that_is_published() -> None:
    """What they advise to pin, and what they show of commands."""
    named = {
        (name, version) for name in PAGES for version in re.findall(r"meitner-aio(?:~=|==| )(\d[\w.]*)", page(name))
    }
    minor = Version(meitner_aio.__version__).release[:2]
    assert {name for name, _ in named} >= {"versions.md", "shell.md"}
    assert {name: version for name, version in named if Version(version).release[:2] != minor} == {}

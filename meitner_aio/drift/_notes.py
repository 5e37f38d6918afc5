"""What differs, said once: the same change in several parts, or of several owners, is one line. Pure."""

from __future__ import annotations

from collections.abc import Iterable

_LONGEST = 40
"""Characters of a name that is shown: it is the server's word."""

_PARTS = ("read", "create", "update", "search")


def shown(name: str) -> str:
    """Return a name from a document as it can stand on a terminal."""
    plain = "".join(character if character.isprintable() else "?" for character in name)
    return plain if len(plain) <= _LONGEST else f"{plain[: _LONGEST - 3]}..."


def listed(names: Iterable[str]) -> str:
    """Return names from a document, quoted."""
    return ", ".join(f"`{shown(name)}`" for name in names)


class Notes:
    """Differences as they are met: whose, of what, which, and in which part (read, create, update, search)."""

    def __init__(self, every: Iterable[str]) -> None:
        """Call all of the owners in `every` together by one word."""
        self._every = set(every)
        self._parts: dict[tuple[str, str], set[str]] = {}
        self._changes: dict[tuple[str, str, str], set[str]] = {}

    def looked_at(self, owner: str, subject: str, part: str) -> None:
        """Note that a subject was compared in a part: a change in all of them needs to name none."""
        self._parts.setdefault((owner, subject), set()).add(part)

    def add(self, owner: str, subject: str, change: str, part: str = "") -> None:
        """Note a change."""
        self._changes.setdefault((owner, subject, change), set()).add(part)

    def lines(self) -> list[str]:
        """Return a line for each change, in the order in which they were met; owners of the same one share it."""
        owners: dict[str, list[str]] = {}
        for (owner, subject, change), parts in self._changes.items():
            everywhere = "" in parts or self._parts.get((owner, subject), parts) <= parts
            where = "" if everywhere else f" in {', '.join(sorted(parts, key=_rank))}"
            owners.setdefault(f"{subject} {change}".strip() + where, []).append(owner)
        return [f"{self._named(names)}: {change}".removeprefix(": ") for change, names in owners.items()]

    def _named(self, owners: list[str]) -> str:
        return "every resource" if self._every == {*owners} else ", ".join(filter(None, owners))


def _rank(part: str) -> tuple[int, str]:
    return (_PARTS.index(part) if part in _PARTS else len(_PARTS), part)

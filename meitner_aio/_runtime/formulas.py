"""Text of a CSV file that is opened in a spreadsheet: what could be a formula there gets an apostrophe. Pure.

The signs are those of OWASP (CSV injection): `=`, `+`, `-`, `@`, tab and line breaks, and the full-width twins of the
first four. Each part of a cell counts: the cell itself, and what follows a `;`, a comma, a tab or a line break in it,
where a spreadsheet that splits at another character than the file does sees another cell begin. A part that begins with
a sign gets an apostrophe, and so does a cell that begins with a tab or a line break. Apostrophes and quotes before the
sign do not count, so that the rule can be undone: `plain` takes the apostrophe away wherever a part begins with one and
then could be a formula.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from operator import itemgetter

SIGNS = "=+-@\N{FULLWIDTH EQUALS SIGN}\N{FULLWIDTH PLUS SIGN}\N{FULLWIDTH HYPHEN-MINUS}\N{FULLWIDTH COMMERCIAL AT}"
_BREAKS = "\t\r\n"
_SPLITS = f";,{_BREAKS}"
_PART = rf"(?:^|(?<=[{_SPLITS}]))"
_FORMULA = rf"['\"]*[{re.escape(SIGNS)}]"
_BLANK = rf"'*[{_BREAKS}]"
_UNSAFE = re.compile(f"{_PART}(?={_FORMULA})|^(?={_BLANK})")
_GUARDED = re.compile(f"{_PART}'(?={_FORMULA})|^'(?={_BLANK})")
_OPENINGS = frozenset(f"{SIGNS}{_BREAKS}'\"")


def guarded(text: str) -> str:
    """Return text that no spreadsheet takes for a formula."""
    return _UNSAFE.sub("'", text)


def plain(text: str) -> str:
    """Return the text that was guarded."""
    return _GUARDED.sub("", text)


def any_unsafe(texts: Iterable[str | None]) -> bool:
    """Whether any of the texts may need a guard. A look at all of them together costs a tenth of one at each."""
    found = list(filter(None, texts))
    together = "\0".join(found)
    if not any(sign in together for sign in SIGNS + _BREAKS):
        return False
    return any(sign in together for sign in _SPLITS) or not _OPENINGS.isdisjoint(map(itemgetter(0), found))

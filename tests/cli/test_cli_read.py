"""What list, search and get say of completeness, and what of a name reaches a terminal: the command as a process."""

import asyncio
import json
from urllib.parse import parse_qs, urlsplit

import pytest
from raw_server import RawServer, answer
from test_cli_process import ANY, _on_a_terminal, _run

UNITS = [
    {
        "id": f"{number:08d}-0000-4000-8000-000000000000",
        "title": f"Enhet {number}",
        "meta": {"createdAt": f"2025-01-{number + 1:02d}T08:00:00Z"},
    }
    for number in range(10)
]
GONE = {"id": "77777777-0000-4000-8000-000000000000", "resourceID": UNITS[0]["id"]}


class Shrinking:
    """Serves ten units; the first one is deleted after the first page, so that every later page begins a row too far."""

    def __init__(self, path="/unit", *, shrinks=True):
        self.path = path
        self.shrinks = shrinks
        self.units = list(UNITS)
        self.pages = 0

    def __call__(self, seen):
        target = urlsplit(seen.target)
        asked = {name: int(values[0]) for name, values in parse_qs(target.query).items()}
        limit, offset = asked.get("limit", 50), asked.get("offset", 0)
        rows = self.rows(target.path, json.loads(seen.body) if seen.body else {})
        found = {"offset": offset, "limit": limit, "total": len(rows)}
        body = {"data": rows[offset : offset + limit], "pagination": found}
        if target.path.endswith(self.path):
            self.pages += 1
            if self.pages == 1 and self.shrinks:
                del self.units[0]
        return answer(200, body, headers={"Date": "Sat, 21 Nov 2026 10:00:00 GMT"})

    def rows(self, path, body):
        if "audit" in path:
            return [] if len(self.units) == len(UNITS) else [GONE]
        rows = self.units
        for name, holds in (("greaterOrEqual", str.__ge__), ("smallerThan", str.__lt__)):
            bound = body.get("filter", {}).get(name, {}).get("meta", {}).get("createdAt")
            rows = [row for row in rows if bound is None or holds(row["meta"]["createdAt"][:19], bound[:19])]
        return rows


async def _said(server_of, *arguments):
    async with RawServer(server_of) as server:
        environment = ANY | {"MEITNER_BASE_URL": server.url}
        return await asyncio.to_thread(_run, *arguments, environment=environment)


def _titles(out):
    return [json.loads(line)["title"] for line in out.splitlines()]


@pytest.mark.parametrize(
    ("path", "command"),
    [("/unit", ("list", "units")), ("/unit/_search", ("search", "units", "--where", "title~Enhet%"))],
)
async def test_rows_that_may_be_lacking_are_exit_code_3_and_one_line(path, command):
    """A row slipped through between two pages: stdout has the others, stderr says which resource, and what to do."""
    code, out, err = await _said(Shrinking(path), *command, "--page-size", "2", "--concurrency", "1")
    assert _titles(out) == [unit["title"] for unit in UNITS if unit is not UNITS[2]]
    assert (code, err.count("\n")) == (3, 1)
    assert err.startswith("meitner-aio: units may lack rows: 9 rows read, unverified")
    assert "--exact" in err


async def test_what_the_line_advises_finds_the_rows():
    """With `--exact` the row that slipped through is there, and nothing is left to be said."""
    code, out, err = await _said(Shrinking(), "list", "units", "--page-size", "2", "--concurrency", "1", "--exact")
    assert sorted(_titles(out)) == [unit["title"] for unit in UNITS]
    assert (code, err) == (0, "units: 10 rows, complete (stable)\n")


@pytest.mark.parametrize(
    ("limit", "code"),
    [("1", 0), ("2", 0), ("4", 0), ("50", 3)],
)
async def test_a_read_that_a_limit_ended_is_not_called_incomplete(limit, code):
    """As many rows as were asked for are there; a limit that nobody reaches is a read to the end like any other."""
    ended, out, err = await _said(Shrinking(), "list", "units", "--page-size", "2", "--limit", limit)
    assert (ended, err.count("\n")) == (code, 1)
    assert ("may lack rows" in err, "--limit ended the read" in err) == (code == 3, code == 0)
    assert len(_titles(out)) == min(int(limit), 9)


async def test_a_quiet_directory_is_complete():
    """Nothing moved: exit code 0, and no word where none is wanted."""
    code, out, err = await _said(Shrinking(shrinks=False), "list", "units", "--page-size", "2", "-q")
    assert (code, len(_titles(out)), err) == (0, 10, "")


def test_exact_and_offset_do_not_go_together():
    """Completeness is shown from the first row on: wrong usage, before any request."""
    code, out, err = _run("list", "units", "--sandbox", "--exact", "--offset", "3")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "--offset" in err


def test_concurrency_is_the_sandboxes_too():
    """`--concurrency 16` is more than a client has by itself: the command builds the one that was asked for."""
    code, out, _ = _run("list", "units", "--sandbox", "--concurrency", "16")
    assert (code, len(out.splitlines())) == (0, 1)


EVIL = "Åsa \x9b2J\x7f\u202e\u2066\u200b\U000e0041\u2028 \N{ROCKET}"
"""Swedish, and what steers a terminal or hides: C1, DEL, directions, zero width, a tag, a line separator."""


def _evil(seen):
    unit = UNITS[0] | {"title": EVIL}
    if urlsplit(seen.target).path.endswith(unit["id"]):
        return answer(200, unit, body=json.dumps(unit, ensure_ascii=False).encode())
    page = {"data": [unit], "pagination": {"offset": 0, "limit": 50, "total": 1}}
    return answer(200, page, body=json.dumps(page, ensure_ascii=False).encode())


SHOWN = [
    ("get", "units", UNITS[0]["id"]),
    ("get", "units", UNITS[0]["id"], "--json"),
    ("list", "units", "--json", "-q"),
    ("search", "units", "--where", "title~%", "--json", "-q"),
]


@pytest.mark.parametrize(
    ("arguments", "encoding"),
    [*((one, "utf-8") for one in SHOWN), (SHOWN[0], "ascii"), (SHOWN[2], "ascii"), (SHOWN[2], "latin-1")],
)
async def test_json_never_steers_a_terminal_and_means_the_same(arguments, encoding):
    """On a terminal what is dangerous, or unknown to its encoding, is escaped as JSON escapes: the value is the same."""
    async with RawServer(_evil) as server:
        environment = ANY | {"MEITNER_BASE_URL": server.url, "PYTHONIOENCODING": encoding}
        code, drawn = await asyncio.to_thread(_on_a_terminal, *arguments, environment=environment, encoding=encoding)
    assert code == 0
    assert all(character.isprintable() for character in drawn.replace("\r\n", ""))
    assert json.loads(drawn)["title"] == EVIL
    assert ("Åsa" in drawn) == (encoding != "ascii")
    assert r"\u009b2J\u007f\u202e" in drawn


async def test_an_export_to_a_terminal_does_not_steer_it_either():
    """`export --to -` writes the same lines as `list --json`."""
    async with RawServer(_evil) as server:
        environment = ANY | {"MEITNER_BASE_URL": server.url}
        code, drawn = await asyncio.to_thread(_on_a_terminal, "export", "units", "--to", "-", environment=environment)
    assert code == 0
    (row,) = (line for line in drawn.splitlines() if line.startswith("{"))
    assert row.isprintable()
    assert json.loads(row)["title"] == EVIL


@pytest.mark.parametrize(("arguments", "encoding"), [(SHOWN[1], "utf-8"), (SHOWN[2], "utf-8"), (SHOWN[3], "ascii")])
async def test_json_for_a_program_has_every_byte(arguments, encoding):
    """Where stdout is not a terminal nothing is escaped, whatever encoding Python is set to: JSON is UTF-8."""
    async with RawServer(_evil) as server:
        environment = ANY | {"MEITNER_BASE_URL": server.url, "PYTHONIOENCODING": encoding}
        code, out, _ = await asyncio.to_thread(_run, *arguments, environment=environment)
    assert code == 0
    assert EVIL in out
    assert json.loads(out)["title"] == EVIL


def test_what_was_typed_does_not_steer_the_terminal_either():
    """A line that names it is on stderr, pasted from wherever it came."""
    code, drawn = _on_a_terminal("list", "units", "--sandbox", "--all\x9b2J")
    assert code == 2
    assert r"\x9b2J" in drawn
    assert drawn.replace("\r\n", "").isprintable()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("list", "units"), r"\xc5sa"),
        (("search", "units", "--where", "title~%"), r"\xc5sa"),
        (("get", "units", UNITS[0]["id"]), r"\u00c5sa"),
        (("count", "units"), "units"),
        (("--help",), "Usage"),
        (("list", "--help"), "Usage"),
    ],
)
async def test_an_ascii_terminal_is_no_reason_to_fail(arguments, said):
    """What it cannot write is escaped: no traceback, no other name than the one that is there."""
    async with RawServer(_evil) as server:
        environment = ANY | {"MEITNER_BASE_URL": server.url, "PYTHONIOENCODING": "ascii"}
        code, drawn = await asyncio.to_thread(_on_a_terminal, *arguments, environment=environment)
    assert code == 0
    assert drawn.isascii()
    assert "Traceback" not in drawn
    assert said in drawn


@pytest.mark.parametrize("where", ["terminal", "pipe"])
def test_the_summary_of_an_export_is_written_in_ascii(tmp_path, where):
    """A folder with a Swedish name is shown with escapes, the export is whole, and the exit code says so."""
    arguments = ("export", "units", "--sandbox", "--to", str(tmp_path / "skolår"))
    environment = {"PYTHONIOENCODING": "ascii"}
    ended, drawn = (
        _on_a_terminal(*arguments, environment=environment)
        if where == "terminal"
        else _run(*arguments, environment=environment)[:2]
    )
    assert ended == 0
    assert r"skol\xe5r" in drawn
    assert "Traceback" not in drawn
    assert len((tmp_path / "skolår" / "units.ndjson").read_text().splitlines()) == 1

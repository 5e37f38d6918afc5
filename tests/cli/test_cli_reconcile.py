"""The commands `reconcile` and `retire-placements`: what they ask, show, write and end with."""

from __future__ import annotations

import asyncio
import io
import json
import os
import signal
import stat
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from meitner_aio import APIConnectionError, ConnectionReason, Meitner
from meitner_aio.cli._options import DirectoryOptions
from meitner_aio.cli._reconciling import BrakeOptions
from meitner_aio.cli.rendering.progress import Actions
from meitner_aio.cli.rendering.typed import share, term
from meitner_aio.mirror import Mirror
from meitner_aio.reconcile import Brakes, Proposal
from meitner_aio.reconcile.registry._written import write_registry
from meitner_aio.sandbox import Sandbox

Cli = Callable[..., tuple[int, str, str]]

_REASON = next(iter(ConnectionReason))
HEADER = "source_id;identity_number;first_name;last_name\n"
ROWS = "P1;20150104-0105;Almaviva;Bergfalk\nP2;20150211-0213;Bodvar;Eklundh\n"
PERSONAL = ("20150104-0105", "Almaviva", "Bergfalk", "20150211-0213", "Bodvar", "Eklundh")


@pytest.fixture
def directory(monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """Return the directory that every command reads and writes."""
    sandbox = Sandbox(students=10, owned=True)
    monkeypatch.setattr(DirectoryOptions, "client", lambda *_, **__: Meitner.sandbox(sandbox))
    return sandbox


@pytest.fixture
def registry(tmp_path: Path, directory: Sandbox) -> Path:
    """Return the folder of a registry that says what the directory does."""
    write_registry(tmp_path / "registry", directory.records)
    return tmp_path / "registry"


@pytest.fixture
def new(tmp_path: Path) -> Path:
    """Return the folder of a registry with two students whom no directory knows."""
    folder = tmp_path / "new"
    folder.mkdir(mode=0o700)
    (folder / "students.csv").write_text(HEADER + ROWS, encoding="utf-8")
    return folder


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Return what sits a person at a terminal, and lets them answer."""

    def answer(text: str) -> None:
        terminal = io.StringIO(text)
        monkeypatch.setattr(terminal, "isatty", lambda: True)
        monkeypatch.setattr(sys, "stdin", terminal)
        monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
        monkeypatch.setenv("TERM", "dumb")  # a person, and no bars

    return answer


def _edit(path: Path, edit: Callable[[list[str]], list[str]]) -> None:
    path.write_text("".join(edit(path.read_text(encoding="utf-8").splitlines(keepends=True))), encoding="utf-8")


def _writes(sandbox: Sandbox) -> int:
    """Return how many requests may have changed something."""
    kinds = (one.operation.rpartition(".")[2] for one in sandbox.requests)
    return sum(kind in ("create", "update", "delete", "archive", "restore") for kind in kinds)


# -- planning


def test_a_registry_that_says_what_the_directory_does_needs_nothing(
    cli: Cli, registry: Path, directory: Sandbox
) -> None:
    """A table without any action, exit code 0, and not a single write."""
    code, out, err = cli("reconcile", str(registry), "--plan")
    assert (code, err) == (0, "")
    assert out.splitlines()[0].split() == ["resource", "unchanged"]
    assert "there is nothing to do" in out
    assert _writes(directory) == 0
    assert all(len(line) <= 80 for line in out.splitlines())


def test_a_plan_shows_numbers_and_writes_nothing(cli: Cli, new: Path, directory: Sandbox) -> None:
    """Neither to the directory nor to the journal; no value of a row is shown, with a line an action neither."""
    code, out, err = cli("reconcile", str(new), "--plan", "--details")
    assert (code, err, _writes(directory)) == (0, "", 0)
    assert ["students", "2"] in [line.split() for line in out.splitlines()]
    assert "create students of line 2: external ***, identity_number ***" in out
    assert not any(value in out for value in PERSONAL)
    assert [path.name for path in new.iterdir()] == ["students.csv"]


def test_values_are_shown_when_asked_for(cli: Cli, registry: Path, directory: Sandbox) -> None:
    """What a field is and what it would be, and the key that the record is known by."""
    student = directory.records("students")[0]
    names = f"{student.first_name};{student.last_name}"
    _edit(
        registry / "students.csv",
        lambda rows: [rows[0], rows[1].replace(names, f"{student.first_name};Nyman"), *rows[2:]],
    )
    _, out, _ = cli("reconcile", str(registry), "--plan", "--show-values")
    line = next(line for line in out.splitlines() if line.startswith("update students"))
    assert f"({student.identity_number}): last_name {student.last_name} -> Nyman" in line


def test_json_has_everything_but_values(cli: Cli, new: Path, directory: Sandbox) -> None:
    """Counts, actions, what is held, problems and requests; keys and values are added by --show-values."""
    _edit(new / "students.csv", lambda rows: [*rows, "P3;20150318;Disa;Holm\n"])
    code, out, _ = cli("reconcile", str(new), "--plan", "--json")
    told = json.loads(out)
    assert (code, told["report"]) == (3, None)
    assert told["plan"]["resources"]["students"]["create"] == 2
    assert [action["line"] for action in told["plan"]["actions"]] == [2, 3]
    assert [(one["line"], one["field"]) for one in told["plan"]["problems"]] == [(4, "identity_number")]
    assert (told["plan"]["held"], told["plan"]["removals"]) == ([], 0)
    assert told["plan"]["requests"] > 0
    assert not any(value in out for value in PERSONAL)
    _, out, _ = cli("reconcile", str(new), "--plan", "--json", "--show-values")
    assert json.loads(out)["plan"]["actions"][0]["key"] == "20150104-0105"
    assert json.loads(out)["plan"]["actions"][0]["changes"]["last_name"] == {"before": None, "after": "Bergfalk"}


def test_a_printed_proposal_is_what_the_terminal_shows(cli: Cli, new: Path, directory: Sandbox) -> None:
    """Its words and numbers; it holds no value of a row."""

    async def printed() -> str:
        from meitner_aio.reconcile import Desired, plan

        async with Meitner.sandbox(directory) as meitner:
            return str(await plan(meitner, Desired.load(new)))

    text = asyncio.run(printed())
    _, out, _ = cli("reconcile", str(new), "--plan")
    assert text.split()[:-7] == out.split()[:-7]  # the quota has one request less
    assert not any(value in text for value in PERSONAL)


def test_problems_that_are_not_told_are_counted_with_what_shows_them(cli: Cli, new: Path, directory: Sandbox) -> None:
    """Five are told, and `--details` tells all."""
    _edit(new / "students.csv", lambda rows: [*rows, *(f"W{n};2015;Disa;Holm\n" for n in range(7))])
    _, out, _ = cli("reconcile", str(new), "--plan")
    assert "  and 2 more: --details" in out.splitlines()
    _, out, _ = cli("reconcile", str(new), "--plan", "--details")
    assert out.count("  students.csv:") == 7


# -- carrying out


def test_without_a_terminal_somebody_has_to_have_agreed(cli: Cli, new: Path, directory: Sandbox) -> None:
    """A cron job without --yes is wrong usage, before any request."""
    code, out, err = cli("reconcile", str(new))
    assert (code, out, err.count("\n"), len(directory.requests)) == (2, "", 1, 0)
    assert "--yes" in err
    assert "--plan" in err


def test_yes_carries_out_and_then_nothing_is_left(cli: Cli, new: Path, directory: Sandbox) -> None:
    """The numbers before and after, and a journal that nobody else can read."""
    code, out, err = cli("reconcile", str(new), "--yes")
    assert (code, err) == (0, "students: 2 actions\n")
    assert "2 actions done, in " in out
    assert {one.external.source_id for one in directory.records("students")} > {"P1", "P2"}
    assert stat.S_IMODE((new / "reconcile.journal").stat().st_mode) == 0o600
    writes = _writes(directory)
    code, out, _ = cli("reconcile", str(new), "--yes", "--json")
    told = json.loads(out)
    assert (code, told["plan"]["actions"], told["report"]["ok"], _writes(directory)) == (0, [], True, writes)


def test_quietly_only_trouble_is_told(cli: Cli, new: Path, registry: Path, directory: Sandbox) -> None:
    """A plan that is looked at is a result; one that is carried out to its end is none; one that is not says so."""
    assert "students" in cli("reconcile", str(new), "-q", "--plan")[1]
    assert cli("reconcile", str(new), "-q", "--yes") == (0, "", "")
    assert _writes(directory) == 2
    students = registry / "students.csv"
    students.write_text("".join(students.read_text(encoding="utf-8").splitlines(keepends=True)[:1]), encoding="utf-8")
    code, out, err = cli("reconcile", str(registry), "-q", "--yes", "--delete")
    assert (code, out, err.count("\n")) == (3, "", 1)
    assert "held back" in err
    assert "--plan shows them" in err


@pytest.mark.parametrize("answer", ["y\n", "Yes\n", "\n", "n\n", ""])
def test_a_person_is_asked(
    cli: Cli, new: Path, directory: Sandbox, answers: Callable[[str], None], answer: str
) -> None:
    """Once, with the number of actions; anything but yes is no, and no is exit code 3."""
    agreed = answer.startswith(("y", "Y"))
    answers(answer)
    code, _, err = cli("reconcile", str(new))
    assert "Carry out 2 actions? [y/N] " in err
    assert ("P1" in {one.external.source_id for one in directory.records("students")}) is agreed
    assert ("Nothing was changed" in err) is not agreed
    assert (code, _writes(directory)) == ((0, 2) if agreed else (3, 0))


def test_nobody_is_asked_about_nothing(
    cli: Cli, registry: Path, directory: Sandbox, answers: Callable[[str], None]
) -> None:
    """A question whose answer changes nothing is none."""
    answers("")
    code, _, err = cli("reconcile", str(registry))
    assert (code, err, _writes(directory)) == (0, "", 0)


def test_ctrl_c_at_the_question_is_an_answer(
    cli: Cli, new: Path, directory: Sandbox, answers: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command ends at once, though the loop that would hear of it waits for the answer."""
    answers("")
    waited: list[bool] = []

    def interrupted() -> str:
        os.kill(os.getpid(), signal.SIGINT)
        waited.append(True)
        return ""

    monkeypatch.setattr(sys.stdin, "readline", interrupted)
    before = signal.getsignal(signal.SIGINT)
    code, _, err = cli("reconcile", str(new))
    assert (code, waited, _writes(directory)) == (130, [], 0)
    assert err.endswith("meitner-aio: interrupted\n")
    assert signal.getsignal(signal.SIGINT) is before


def test_a_saved_plan_is_carried_out_later(cli: Cli, new: Path, directory: Sandbox, tmp_path: Path) -> None:
    """It holds no value; carried out twice, it does nothing twice."""
    file = tmp_path / "plan.json"
    code, _, _ = cli("reconcile", str(new), "--save", str(file))
    assert (code, _writes(directory)) == (0, 0)
    assert not any(value in file.read_text(encoding="utf-8") for value in PERSONAL)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    code, out, _ = cli("reconcile", str(new), "--apply", str(file))
    assert (code, "2 actions done" in out) == (0, True)
    writes = _writes(directory)
    code, out, _ = cli("reconcile", str(new), "--apply", str(file), "--json")
    assert (code, json.loads(out)["report"]["results"]["already_done"], _writes(directory)) == (0, 2, writes)


def test_what_changed_since_the_plan_is_skipped(cli: Cli, new: Path, directory: Sandbox, tmp_path: Path) -> None:
    """The row that somebody agreed to is not the one that stands there now: exit code 3, and what to do."""
    cli("reconcile", str(new), "--save", str(tmp_path / "plan.json"))
    _edit(new / "students.csv", lambda rows: [rows[0], rows[1].replace("Bergfalk", "Other"), rows[2]])
    code, out, _ = cli("reconcile", str(new), "--apply", str(tmp_path / "plan.json"))
    assert code == 3
    assert "1 action changed since the plan, and left as it is: plan again" in out
    assert "create students of line 2: " in out
    assert "P1" not in {one.external.source_id for one in directory.records("students")}


def test_what_fails_is_told_by_name(cli: Cli, new: Path, directory: Sandbox) -> None:
    """Exit code 1; the other action is done all the same."""
    directory.fail("422", operations=["students.create"], times=1)
    code, out, _ = cli("reconcile", str(new), "--yes")
    assert code == 1
    assert "1 action failed." in out
    assert "UnprocessableEntityError" in out
    assert not any(value in out for value in PERSONAL)


# -- what is held


def test_removals_that_are_held_can_be_let_go_by_their_number(cli: Cli, registry: Path, directory: Sandbox) -> None:
    """Exit code 3 and what to type; another number lets nothing go."""
    count = len(directory.records("student_placements"))
    _edit(registry / "student_placements.csv", lambda rows: rows[:1])
    code, out, _ = cli("reconcile", str(registry), "--yes")
    assert (code, _writes(directory)) == (3, 0)
    assert "Held: student_placements" in out
    number = int(out.rpartition("--accept-removals ")[2])
    assert 0 < number <= count
    assert cli("reconcile", str(registry), "--yes", "--accept-removals", str(number - 1))[0] == 3
    assert _writes(directory) == 0
    code, out, _ = cli("reconcile", str(registry), "--yes", "--accept-removals", str(number))
    assert (code, f"{number} actions done" in out) == (0, True)


def test_people_stay_unless_deletion_was_asked_for(cli: Cli, registry: Path) -> None:
    """A group that the registry lacks is deleted with --delete only."""
    _edit(registry / "groups.csv", lambda rows: rows[:-1])
    kinds = {}
    for options in ((), ("--delete",)):
        _, out, _ = cli("reconcile", str(registry), "--plan", "--json", *options)
        kinds[options] = [action["kind"] for action in json.loads(out)["plan"]["actions"]]
    assert kinds == {(): [], ("--delete",): ["delete"]}


def test_nobodys_records_are_claimed_when_asked_for(cli: Cli, registry: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Held with exit code 3, and claimed with --claim."""
    monkeypatch.setattr(DirectoryOptions, "client", lambda *_, **__: Meitner.sandbox(Sandbox(students=10)))
    for path in registry.iterdir():
        if path.name != "students.csv":
            path.unlink()
    students = {}
    for options in ((), ("--claim",)):
        code, out, _ = cli("reconcile", str(registry), "--plan", "--json", "--source", "api", *options)
        students[options] = (code, json.loads(out)["plan"]["resources"]["students"])
    (without, kept), (_, claimed) = students.values()
    assert (without, kept["claim"], kept["held"] > 0) == (3, 0, True)
    assert claimed["claim"] == kept["held"] - claimed["held"] > 0
    assert "nobody owns: --claim\n" in cli("reconcile", str(registry), "--plan", "--source", "api")[1]


# -- what ends early


@pytest.mark.parametrize("error", [KeyboardInterrupt, APIConnectionError("gone", reason=_REASON)])
def test_what_ends_early_says_how_to_go_on(
    cli: Cli, new: Path, directory: Sandbox, monkeypatch: pytest.MonkeyPatch, error: Any
) -> None:
    """With the journal that a run is resumed from, and the same command."""

    async def ended(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(Proposal, "apply", ended)
    code, _, err = cli("reconcile", str(new), "--yes")
    assert code == (130 if error is KeyboardInterrupt else 5)
    assert f"What was done is in {new}/reconcile.journal." in err
    assert f"To go on: meitner-aio reconcile {new} --yes" in err


def test_what_will_not_be_better_next_time_does_not_say_so(
    cli: Cli, new: Path, directory: Sandbox, tmp_path: Path
) -> None:
    """A file that is no journal is refused in one line, and nothing is sent."""
    (tmp_path / "other.journal").write_text("not a journal\n", encoding="utf-8")
    code, _, err = cli("reconcile", str(new), "--yes", "--journal", str(tmp_path / "other.journal"))
    assert (code, err.count("\n"), _writes(directory)) == (2, 1, 0)


def test_a_run_that_is_terminated_is_resumed(
    cli: Cli, new: Path, directory: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SIGTERM in the midst of it: exit code 130, how to go on, and nothing is done twice after that."""
    tell = Actions.tell

    def terminated(self: Actions, outcome: Any) -> None:
        tell(self, outcome)
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(Actions, "tell", terminated)
    code, _, err = cli("reconcile", str(new), "--yes")
    assert (code, "To go on: meitner-aio reconcile" in err) == (130, True)
    monkeypatch.setattr(Actions, "tell", tell)
    code, _, _ = cli("reconcile", str(new), "--yes")
    owned = [one.external.source_id for one in directory.records("students")]
    assert (code, owned.count("P1"), owned.count("P2")) == (0, 1, 1)


# -- options


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("reconcile",), "FOLDER"),
        (("reconcile", "nowhere", "--plan"), "nowhere is not a folder"),
        (("reconcile", ".", "--plan"), "holds no file of a resource"),
        (("reconcile", "x", "--apply", "plan.json", "--plan"), "leave out --plan"),
        (("reconcile", "x", "--apply", "plan.json", "--claim", "--max-updates", "1%"), "--claim, --max-updates"),
        (("reconcile", "x", "--plan", "--save", "x/plan.json"), "save the plan in another folder"),
        (("reconcile", "x", "--plan", "--grace", "soon"), "--grace must be a time such as 30d or 2y"),
        (("reconcile", "x", "--plan", "--max-removals", "5"), "--max-removals must be a share such as 5% or 0.05"),
        (("reconcile", "x", "--plan", "--accept-removals", "-1"), "--accept-removals"),
        (("reconcile", "x", "--plan", "--encoding", "latin"), "--encoding"),
        (("reconcile", "x", "--json"), "--yes"),
        (("retire-placements", "--plan"), "--ended TIME is missing"),
        (("retire-placements", "--ended", "7", "--plan"), "--ended must be a time"),
    ],
)
def test_wrong_usage_of_reconcile_is_one_line(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], reason: str
) -> None:
    """Exit code 2, before anything is asked or read."""
    monkeypatch.chdir(tmp_path)
    code, out, err = cli(*arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert reason in err


def test_a_registry_in_cp1252_is_read_as_one(cli: Cli, tmp_path: Path, directory: Sandbox) -> None:
    """Only when it is said."""
    (tmp_path / "students.csv").write_bytes((HEADER + "P1;20150104-0105;Åsa;Öst\n").encode("cp1252"))
    assert cli("reconcile", str(tmp_path), "--plan")[0] == 3
    assert cli("reconcile", str(tmp_path), "--plan", "--encoding", "cp1252")[0] == 0


def test_options_reach_the_plan(
    cli: Cli, registry: Path, monkeypatch: pytest.MonkeyPatch, directory: Sandbox, tmp_path: Path
) -> None:
    """Under the names that it has there, as the values that it takes."""
    handed: dict[str, Any] = {}

    async def planned(*_: object, **keywords: Any) -> None:
        handed.update(keywords)
        raise KeyboardInterrupt

    monkeypatch.setattr("meitner_aio.reconcile.plan", planned)
    cli(
        *("reconcile", str(registry), "--plan", "--claim", "--delete", "--grace", "3d", "--retention", "2y"),
        *("--source", "api", "--max-removals", "1%", "--max-updates", "0.5", "--minimum", "3"),
        *("--accept-removals", "7", "--journal", str(tmp_path / "j"), "--mirror", str(tmp_path / "m.sqlite")),
    )
    assert isinstance(handed.pop("present"), Mirror)
    assert handed == {
        "claim": True,
        "delete": True,
        "grace": timedelta(days=3),
        "retention": timedelta(days=730),
        "source": "api",
        "brakes": Brakes(remove=0.01, update=0.5, minimum=3),
        "accept_removals": 7,
        "journal": tmp_path / "j",
    }


@pytest.mark.parametrize(
    ("text", "value"), [("5%", 0.05), ("0.05", 0.05), ("100 %", 1.0), ("0", 0.0), ("12.5%", 0.125)]
)
def test_a_share_is_typed_in_two_ways(text: str, value: float) -> None:
    """As a percentage, or as a number up to one."""
    assert share(text) == pytest.approx(value)


@pytest.mark.parametrize("text", ["5", "101%", "-1%", "", "%", "half", "0,05", "nan"])
def test_what_may_be_meant_in_two_ways_is_no_share(text: str) -> None:
    """5 may be 5 % or five times all."""
    with pytest.raises(ValueError, match="must be a share such as 5%"):
        share(text)


def test_a_term_may_be_years() -> None:
    """Archives are kept for years, of 365 days."""
    assert (term("2y"), term("7d")) == (timedelta(days=730), timedelta(days=7))
    with pytest.raises(ValueError, match="such as 30d or 2y"):
        term("2 years")


def test_brakes_are_those_of_the_library_unless_said() -> None:
    """The terminal has no defaults of its own."""
    assert BrakeOptions().options() == {"brakes": Brakes()}


# -- placements that are over


def test_placements_that_are_over_are_retired(
    cli: Cli, directory: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Planned, then carried out; the journal is a file of this folder."""
    monkeypatch.chdir(tmp_path)
    code, out, err = cli("retire-placements", "--ended", "7d", "--plan", "--json")
    kinds = {action["kind"] for action in json.loads(out)["plan"]["actions"]}
    assert (code, err, kinds) == (0, "", {"archive"})
    code, out, _ = cli("retire-placements", "--ended", "9999d", "--plan")
    assert (code, "There is nothing to do." in out, "registry" in out) == (0, True, False)
    code, _, _ = cli("retire-placements", "--ended", "7d", "--yes")
    assert (code, (tmp_path / "retire-placements.journal").exists()) == (0, True)
    code, out, _ = cli("retire-placements", "--ended", "7d", "--archived", "0d", "--plan", "--json")
    assert {action["kind"] for action in json.loads(out)["plan"]["actions"]} <= {"delete"}

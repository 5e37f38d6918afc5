"""No value of a record reaches the journal, the file of a plan, a log, or an error."""

from __future__ import annotations

import pytest
from canaries import CANARIES, PERSON, Mine, shown, sung
from fault_server import run
from plans import CLAIM, Planner

from meitner_aio import Meitner
from meitner_aio.reconcile import Desired
from meitner_aio.reconcile.planning._proposal import Proposal
from meitner_aio.sandbox import Sandbox

SOURCE_ID = "elev-kanariella-77"
PLACES = (*CANARIES, SOURCE_ID)


def _row():
    return {name: value for name, value in PERSON.items() if name != "address"} | {
        "address": PERSON["address"],
        "source_id": SOURCE_ID,
    }


@pytest.mark.parametrize("fault", ["none", "422", "lost_answer", "garbage"])
def test_files_logs_and_errors_hold_no_value(tmp_path, fault):
    """Neither while it goes well nor when everything fails."""
    journal, path = tmp_path / "registry.journal", tmp_path / "plan.json"

    async def main():
        desired, sandbox = Desired(students=[_row()]), Sandbox(students=3, schools=1, limiter="none")
        async with Meitner.sandbox(sandbox) as meitner:
            (record, *_) = await meitner.students.list().all()
            planner = await Planner.of(meitner, desired)
            planner.create("students")
            planner.update("students", record, "first_name", "external", "address", kind=CLAIM)
            proposal = planner.proposal()
            proposal.save(path)
            with Mine(PLACES) as mine:
                if fault != "none":
                    sandbox.fail(fault, operations=("create", "update"), times=9)
                report = await Proposal.load(path, meitner, desired).apply(journal)
                mine.shows(report, *planner.actions, proposal, *desired.rows("students"))
                for failure in report.failures:
                    mine.shows(failure, failure.error)
                    assert [line for line in shown(failure.error) if sung(line, PLACES)] == []
            assert mine.watch.heard == []
            assert [text for text in mine.texts if sung(text, PLACES)] == []

    run(main())
    assert sung(path.read_text(), PLACES) == []
    assert sung(journal.read_text(), PLACES) == []


async def test_intents_hold_no_value(tmp_path):
    """A run that stops leaves them."""
    desired, sandbox = Desired(students=[_row()]), Sandbox(students=3, schools=1)
    journal = tmp_path / "registry.journal"

    def told(outcome):
        raise LookupError

    async with Meitner.sandbox(sandbox) as meitner:
        planner = await Planner.of(meitner, desired)
        planner.create("students")
        with Mine(PLACES) as mine:
            error = await mine.fails(planner.proposal().apply(journal, on_progress=told))
        assert [line for line in shown(error) if sung(line, PLACES)] == []
    assert b'{"type":"intents"' in journal.read_bytes()
    assert sung(journal.read_text(), PLACES) == []


async def test_what_stops_a_run_shows_no_row(tmp_path):
    """A crash report prints the locals of every frame."""
    desired, sandbox = Desired(students=[_row()]), Sandbox(students=3, schools=1)
    async with Meitner.sandbox(sandbox) as meitner:
        planner = await Planner.of(meitner, desired)
        planner.create("students")
        sandbox.fail("401", operations=("students.create",))
        with Mine(PLACES) as mine:
            errors = [
                await mine.fails(planner.proposal(source="another").apply(tmp_path / "a.journal")),
            ]
            sandbox.heal()
            errors.append(await mine.fails(planner.proposal(source="another").apply(tmp_path / "a.journal")))
        for error in errors:
            assert [line for line in shown(error) if sung(line, PLACES)] == []
        assert mine.watch.heard == []

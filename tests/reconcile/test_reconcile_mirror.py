"""The present out of a real mirror: the same plan, for the requests of what changed since."""

from __future__ import annotations

from pathlib import Path

from meitner_aio import Meitner
from meitner_aio.mirror import Mirror
from meitner_aio.reconcile import Desired, Proposal, plan
from meitner_aio.reconcile.registry._written import write_registry
from meitner_aio.sandbox import Sandbox


def _said(proposal: Proposal) -> list[tuple[str, str, str | None, set[str]]]:
    actions = (*proposal.actions, *(held.action for held in proposal.held))
    return [(one.kind.value, one.resource, one.id, set(one.changes)) for one in actions]


async def test_a_plan_out_of_a_mirror_costs_what_changed_since(tmp_path: Path) -> None:
    """Somebody is renamed in the directory, somebody is deleted there, and a row is new: all of it is seen."""
    sandbox = Sandbox(students=2_000, schools=4, limiter="none", owned=True)
    registry = tmp_path / "registry"
    write_registry(registry, sandbox.records)
    for name in ("units", "employees", "guardians", "employee_placements", "groups"):
        (registry / f"{name}.csv").unlink()
    with (registry / "students.csv").open("a", encoding="utf-8") as file:
        columns = (registry / "students.csv").read_text(encoding="utf-8").splitlines()[0].split(";")
        new = {"source_id": "new", "identity_number": "20150104-0105", "first_name": "Alma", "last_name": "Berg"}
        file.write(";".join(new.get(column, "") for column in columns) + "\n")
    desired = Desired.load(registry)
    async with Meitner.sandbox(sandbox) as meitner:
        with Mirror(tmp_path / "directory.sqlite") as mirror:
            first = await plan(meitner, desired, present=mirror)
            renamed, deleted = sandbox.records("students")[5], sandbox.records("students")[7]
            await meitner.students.modify(renamed, last_name="Annan")
            await meitner.students.delete(deleted.id)
            sandbox.requests.clear()
            copied = await plan(meitner, desired, present=mirror)
            asked = [f"{request.method} {request.path}" for request in sandbox.requests]
            listed = await plan(meitner, desired)
    assert [one.kind.value for one in first.actions] == ["create"]
    assert _said(copied) == _said(listed)
    assert {one.id for one in copied.actions if one.resource == "students"} == {None, renamed.id}
    # A search for each of four resources (schools name units), one for the audit events, and what was deleted (the
    # student and the placement) is asked for before it is believed.
    assert len(asked) == 7, asked
    assert {path.split("/")[-1] for path in asked} == {"_search"}

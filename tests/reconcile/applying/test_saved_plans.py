"""Plans in files: what they hold and what not, and what is refused before anything is sent."""

from __future__ import annotations

import hashlib
import json
import stat

import msgspec
import pytest
from plans import DELETE, Planner, number, pupils

from meitner_aio import ConfigurationError, Meitner, MeitnerError
from meitner_aio.reconcile import Desired
from meitner_aio.reconcile.planning._proposal import Proposal
from meitner_aio.sandbox import Sandbox


@pytest.fixture
def sandbox():
    """Give a small directory."""
    return Sandbox(students=3, schools=1, seed=4)


@pytest.fixture
async def meitner(sandbox):
    """Give a client of it."""
    async with Meitner.sandbox(sandbox) as client:
        yield client


@pytest.fixture
def path(tmp_path):
    """Give a place for a plan."""
    return tmp_path / "plan.json"


@pytest.fixture
def desired():
    """Give a registry."""
    return Desired(students=[*pupils(2), pupils(1, 2)[0] | {"source_id": number(9)}])


@pytest.fixture
async def proposal(meitner, desired):
    """Give a plan of it."""
    planner = await Planner.of(meitner, desired)
    planner.create_all("students")
    planner.remove(DELETE, "guardians", (await meitner.guardians.list().all())[0])
    return planner.proposal()


async def test_a_plan_comes_back_as_it_was_but_for_values(proposal, path, meitner, desired):
    """Ids, names of fields and hashes are kept; keys, values and the registry's own ids are not."""
    proposal.save(path)
    loaded = Proposal.load(path, meitner, desired).data
    names = [name for name in loaded.__struct_fields__ if name != "actions"]
    assert [getattr(loaded, name) for name in names] == [getattr(proposal.data, name) for name in names]
    for before, after in zip(proposal.data.actions, loaded.actions, strict=True):
        assert list(after.changes) == list(before.changes)
        assert {change.after for change in after.changes.values()} <= {None}
        same = ("kind", "resource", "id", "line", "name", "seen", "wanted")
        assert [getattr(after, name) for name in same] == [getattr(before, name) for name in same]
    assert [action.source_id is None for action in loaded.actions] == [False, False, True, True]


async def test_a_saved_plan_does_what_the_plan_would(proposal, path, meitner, desired, sandbox):
    """With another client of the same credential, in another process."""
    proposal.save(path)
    async with Meitner.sandbox(sandbox) as other:
        report = await Proposal.load(path, other, desired).apply(path.with_name("a.journal"))
    assert report.ok, report.failures
    (made,) = [one for one in sandbox.records("students") if one.identity_number == number(2)]
    assert made.external.source_id == number(9)


async def test_a_file_is_its_owners_alone_and_whole(proposal, path):
    """0600, also where there was another; nothing beside it is left."""
    path.write_text("x")
    path.chmod(0o644)
    proposal.save(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [one.name for one in path.parent.iterdir()] == ["plan.json"]


async def test_another_directorys_plan_is_refused_before_any_request(proposal, path, desired):
    """Hashes of another credential would have every record look changed: the reason is said instead."""
    proposal.save(path)
    directory = Sandbox(students=4, schools=1)
    async with Meitner.sandbox(directory) as other:
        with pytest.raises(MeitnerError, match=r"another directory.*plan again"):
            await Proposal.load(path, other, desired).apply(path.with_name("a.journal"))
    assert not directory.requests


async def test_another_credentials_plan_is_refused_before_any_request(path, desired, tmp_path):
    """On the same server, another credential may be another organisation's."""
    async with Sandbox(students=3, schools=1) as sandbox:
        async with Meitner("one", "secret", base_url=sandbox.url) as meitner:
            planner = await Planner.of(meitner, desired)
            planner.create_all("students")
            planner.proposal().save(path)
        sandbox.requests.clear()
        async with Meitner("two", "secret", base_url=sandbox.url) as other:
            with pytest.raises(MeitnerError, match="with other credentials"):
                await Proposal.load(path, other, desired).apply(tmp_path / "a.journal")
        assert not sandbox.requests


def _edited(path, edit):
    """Change what a file says of the plan, with a sum that fits."""
    file = json.loads(path.read_bytes())
    edit(file["plan"])
    data = msgspec.json.encode(file["plan"])
    file["sha256"] = hashlib.sha256(data).hexdigest()
    path.write_bytes(msgspec.json.encode({**file, "plan": msgspec.Raw(data)}))


def _action(**changes):
    return lambda plan: plan["actions"][0].update(changes)


def _last(**changes):
    return lambda plan: plan["actions"][-1].update(changes)


@pytest.mark.parametrize(
    "edit",
    [
        _action(kind="destroy"),
        _action(resource="grade_elementaries"),
        _action(resource="../student"),
        _action(id="5f0c8a52-6b1e-4c58-9d0e-2f7c3a1b9e64"),
        _action(line=0),
        _action(line="4"),
        _action(kind="archive", line=0),
        _last(id=None),
        _last(id="../school"),
        _last(resource="schools"),
        lambda plan: plan.update(ids={"x": "@nobody"}),
        lambda plan: plan.pop("actions"),
        lambda plan: plan.update(made_at="now"),
    ],
)
async def test_a_plan_that_means_nothing_is_refused(proposal, path, edit):
    """Whatever else may be wrong with the file, what it would have done is not tried."""
    proposal.save(path)
    _edited(path, edit)
    with pytest.raises(ConfigurationError, match="changed or damaged"):
        Proposal.load(path)


async def test_a_file_that_was_changed_or_cut_off_is_refused(proposal, path):
    """At whichever byte."""
    proposal.save(path)
    data = path.read_bytes()
    for size in range(0, len(data), 97):
        path.write_bytes(data[:size])
        with pytest.raises(ConfigurationError):
            Proposal.load(path)
    path.write_bytes(data.replace(b'"line":1', b'"line":2', 1))
    with pytest.raises(ConfigurationError, match="changed or damaged"):
        Proposal.load(path)


@pytest.mark.parametrize("content", [b"", b"\xff", b"[]", b"{}", b"identity_number\n", b"[" * 100_000])
def test_another_file_is_no_plan(path, content):
    """It is said so, and nothing of it."""
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match="no saved proposal"):
        Proposal.load(path)


async def test_another_version_is_refused(proposal, path):
    """What it says may mean something else."""
    proposal.save(path)
    path.write_bytes(path.read_bytes().replace(b'"version":1', b'"version":2'))
    with pytest.raises(ConfigurationError, match="another version"):
        Proposal.load(path)


async def test_a_file_that_others_may_write_is_refused(proposal, path):
    """Whoever approved it may not be whoever wrote it last."""
    proposal.save(path)
    path.chmod(0o622)
    with pytest.raises(ConfigurationError, match="others may write"):
        Proposal.load(path)

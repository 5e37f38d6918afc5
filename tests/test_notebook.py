"""Notebooks: cells run as IPython runs them, tables hide what `repr` hides, and everything in them is escaped."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell
from msgspec.structs import replace
from pages import examples
from traitlets.config import Config

from meitner_aio import Address, External, Student, to_dict
from meitner_aio._html import preformatted, table
from meitner_aio.export import export
from meitner_aio.mirror import Mirror
from meitner_aio.notebook import show
from meitner_aio.reconcile import Desired, plan
from meitner_aio.records import Record, fields
from meitner_aio.resources import RESOURCES

SCRIPT = "<script>alert('&')</script>"


@pytest.fixture
def shell(tmp_path, monkeypatch: pytest.MonkeyPatch) -> Iterator[InteractiveShell]:
    """Give a shell that leaves nothing behind, in a folder of its own."""
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.chdir(tmp_path)
    kept = {name: getattr(sys, name) for name in ("displayhook", "excepthook", "ps1", "ps2") if hasattr(sys, name)}
    main = sys.modules["__main__"]
    made = InteractiveShell(config=Config(HistoryManager={"enabled": False}))
    yield made
    made.restore_sys_module_state()
    sys.modules["__main__"] = main
    for name, value in kept.items():
        setattr(sys, name, value)


async def _cell(shell: InteractiveShell, code: str) -> dict[str, str]:
    """Run a cell as a kernel does, beside the loop that runs, and return what its last line shows, by media type."""
    done = await shell.run_cell_async(code, transformed_cell=shell.transform_cell(code))
    done.raise_error()
    return _shown(shell, done.result)


def _shown(shell: InteractiveShell, value: object) -> dict[str, str]:
    return {} if value is None else shell.display_formatter.format(value)[0]


@pytest.mark.usefixtures("meitner_environment")
@pytest.mark.meitner(students=300)
async def test_the_cells_of_the_page_run(shell, meitner_sandbox, capsys) -> None:
    """From top to bottom, in one notebook: the first two show tables without a name, the third with."""
    cells = examples("notebooks.md")
    shown = [await _cell(shell, cell) for cell in cells]
    first, second, third, *_ = (one["text/html"] for one in shown[:3])
    found = [row for row in meitner_sandbox.records("students") if row.last_name == "Ek"]
    assert found
    for student in found:
        assert student.id in first
        assert student.id in second
        assert student.first_name not in first + second
    assert any(student.identity_number in third for student in found)
    assert not any(student.identity_number in shown[2]["text/plain"] for student in found)
    assert capsys.readouterr().out.splitlines()[-1] == "300"


def test_a_shell_without_a_loop_runs_cells_too(shell) -> None:
    """IPython's own runner: a client outlives the cell that made it."""
    assert shell.autoawait
    for cell in ("from meitner_aio import Meitner", "meitner = Meitner.sandbox(students=3)"):
        shell.run_cell(cell).raise_error()
    for _ in range(2):
        done = shell.run_cell("len([one.id async for one in meitner.students.list()])")
        done.raise_error()
        assert done.result == 3
    shell.run_cell("async with meitner:\n    one = await meitner.students.list().first()").raise_error()
    assert isinstance(shell.user_ns["one"], Student)


def _personal(record: Record) -> Iterator[str]:
    """Yield every personal value of a record and of what is in it, as text."""
    for field in fields(type(record)):
        value = getattr(record, field.name)
        if isinstance(value, Record):
            yield from _personal(value)
        elif field.personal and value not in (None, ""):
            yield str(value)


@pytest.mark.parametrize("name", RESOURCES)
async def test_tables_mask_exactly_what_repr_masks(name: str, meitner, shell) -> None:
    """As many stars, and no personal value: of a record, a page and a list."""
    await _cell(shell, "%load_ext meitner_aio.notebook")
    page = await getattr(meitner, name).list(limit=20)
    rows = page.data
    assert rows
    for value in (rows[0], page, rows, {row.id: row for row in rows}, show(rows)):
        html = _shown(shell, value)["text/html"]
        records = rows[:1] if value is rows[0] else rows
        assert html.count("***") == sum(repr(row).count("***") for row in records)
        cells = html.replace("***", "").replace(">", " ").replace("<", " ").replace(", ", " ").split()
        assert not {text for row in records for text in _personal(row)} & {*cells}
        assert all(row.id in html for row in records)


async def test_texts_of_the_directory_are_no_html(meitner) -> None:
    """Wherever they stand: a name in the clear, an address, an id in another system that nothing masks."""
    student = await meitner.students.list().first()
    external, address = External(source_id=SCRIPT), Address(postal_city=SCRIPT)
    student = replace(student, first_name=SCRIPT, address=address, external=external)
    for html, times in (
        (student._repr_html_(), 1),
        (show(student)._repr_html_(), 1),
        (show(student, show_values=True)._repr_html_(), 3),
    ):
        assert "<script" not in html
        assert html.count("&lt;script&gt;") == times


def test_every_text_of_a_table_is_escaped() -> None:
    """Headings, cells, the title, and what is printed, whatever it is made of."""
    for html in (table([SCRIPT], [[{SCRIPT: [SCRIPT]}]], SCRIPT), preformatted(SCRIPT)):
        assert "<script" not in html
        assert "&lt;script&gt;alert(&#x27;&amp;&#x27;)" in html


async def test_values_are_shown_to_a_cell_that_asks(meitner, shell) -> None:
    """All of them in the table, none in the text that is saved beside it; at most so many rows."""
    students = await meitner.students.list().all()
    shown = _shown(shell, show(students, show_values=True, rows=2))
    for student in students[:2]:
        for text in _personal(student):
            assert text in shown["text/html"]
            assert text not in shown["text/plain"]
    assert students[2].id not in shown["text/html"]
    assert f"Student, {len(students)} rows, the first 2 shown" in shown["text/html"]
    assert to_dict(students[0])["first_name"] not in _shown(shell, show(students))["text/html"]


async def test_show_takes_records_only(meitner) -> None:
    """Before anything is asked."""
    wrong: Any
    for wrong in (meitner.students.list(), [1], ["a"], "text"):
        with pytest.raises(TypeError, match="show takes records"):
            show(wrong)
    with pytest.raises(ValueError, match="rows"):
        show([], rows=0)
    assert "Records, 0 rows" in show([])._repr_html_()


async def test_the_extension_leaves_other_lists_alone_and_can_go(meitner, shell) -> None:
    """Numbers, an empty list, a mixture: as IPython shows them; without the extension, records in a list as well."""
    rows = (await meitner.schools.list()).data
    assert "text/html" not in _shown(shell, rows)
    await _cell(shell, "%load_ext meitner_aio.notebook")
    assert "text/html" in _shown(shell, rows)
    for other in ([], {}, [1, 2], [*rows, 1], {"a": 1}):
        assert "text/html" not in _shown(shell, other)
    await _cell(shell, "%unload_ext meitner_aio.notebook")
    assert "text/html" not in _shown(shell, rows)


async def test_reports_are_tables(meitner, tmp_path, shell) -> None:
    """What was exported, synchronised, proposed and done, in numbers."""
    exported = await export(meitner, ["schools", "students"], to=tmp_path / "out")
    with Mirror(tmp_path / "directory.sqlite") as mirror:
        synced = await mirror.sync(meitner, ["schools"])
    employees = [{"source_id": SCRIPT, "identity_number": "19800101-0103", "first_name": "Hemlig", "last_name": "Ek"}]
    proposal = await plan(meitner, Desired(employees=employees))
    done = await proposal.apply(tmp_path / "journal")
    for value, told in (
        (exported, "<td>students</td><td>200</td><td>True</td><td>certified</td>"),
        (synced, "<td>schools</td><td>4</td><td>0</td>"),
        (proposal, "create"),
        (done, "<td>employees</td><td>1</td>"),
    ):
        html = _shown(shell, value)["text/html"]
        assert told in html
        assert "Hemlig" not in html
        assert "<script" not in html

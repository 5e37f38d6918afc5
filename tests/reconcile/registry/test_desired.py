"""A desired state: what is told of rows and files, where, and what stays known of rows that are left out."""

from __future__ import annotations

import csv
import io
import os
from datetime import date

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import meitner_aio
from meitner_aio import Address, External, Meitner, MeitnerError, Student, StudentFields
from meitner_aio._runtime.formulas import guarded
from meitner_aio.export import export
from meitner_aio.reconcile import Desired, Doubt, Key, NoteKind, Reference
from meitner_aio.reconcile.registry import _desired, _files
from meitner_aio.reconcile.registry._declared import declared
from meitner_aio.reconcile.registry._problems import MOST_PROBLEMS
from meitner_aio.sandbox import Sandbox

ID = "5f0c8a52-6b1e-4c58-9d0e-2f7c3a1b9e64"
OTHER = ID.replace("5f", "6f", 1)
BO = "20150101-2387"
EVA = "20150102-2386"
LAW = settings(max_examples=50, deadline=None, derandomize=True)
HEAD = "identity_number,first_name,last_name\n"


@pytest.fixture(autouse=True)
def _today(monkeypatch):
    monkeypatch.setattr(_desired, "_today", lambda: date(2026, 8, 17))


@pytest.fixture
def load(tmp_path):
    """Write files by name, and load the folder."""

    def write_and_load(encoding="utf-8", **files):
        for name, content in files.items():
            stem, _, kind = name.rpartition("_")
            data = content if isinstance(content, bytes) else content.encode()
            (tmp_path / f"{stem}.{kind}").write_bytes(data)
        return Desired.load(tmp_path, encoding=encoding)

    return write_and_load


def _told(desired):
    """Return file, line and field of every problem."""
    return [(problem.file, problem.line, problem.field) for problem in desired.problems]


def _fields(desired, resource="students"):
    return [row.fields for row in desired.rows(resource)]


# What is read.


def test_a_folder_is_read_file_by_file(load):
    """A file a resource, in three formats of names; what the registry does not have it says nothing of."""
    desired = load(
        students_csv=HEAD + f"{BO},Bo,Ek\n",
        schools_ndjson='{"title": "Norr", "schoolType": "GR", "sourceID": "n"}\n',
    )
    assert desired.resources == ("schools", "students")
    assert [desired.count(name) for name in desired.resources] == [1, 1]
    assert _fields(desired) == [{"identity_number": BO, "first_name": "Bo", "last_name": "Ek"}]
    assert desired.problems == ()
    with pytest.raises(ValueError, match="has no groups"):
        desired.count("groups")


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (["student.csv"], "did you mean 'students'"),
        (["students.xlsx"], "no csv"),
        (["students.cvs"], "did you mean 'csv'"),
        (["students.csv", "students.ndjson"], "both"),
        (["student-placements.csv", "student_placements.parquet"], "both"),
        (["elever.csv"], "'elever' is no resource; there are schools, units, .*student_placements$"),
        (["grade_elementaries.csv"], "no key"),
        (["audit_events.csv"], "server only"),
        ([], "no file"),
        (["README.md", ".hidden.csv", "notes.txt"], "no file"),
    ],
)
def test_a_folder_that_is_no_registry_is_refused(tmp_path, files, said):
    """A name that no resource has could be one that was mistyped; it is refused before anything is read."""
    for name in files:
        (tmp_path / name).touch()
    with pytest.raises(ValueError, match=said):
        Desired.load(tmp_path)


def test_what_is_no_registry_may_lie_beside_it(load, tmp_path):
    """Hidden files, README, texts, journals and folders are passed over; a dash in a name is an underscore."""
    for name in (".DS_Store", "README", "about.md", "registry.journal"):
        (tmp_path / name).touch()
    (tmp_path / "old").mkdir()
    (tmp_path / "student-placements.csv").write_text("student_id,school_id,school_type,start_date\n")
    assert load().resources == ("student_placements",)


def test_names_may_be_spelled_as_the_api_does(load):
    """Columns have Python's names or the API's, also inside an object and in a reference."""
    desired = load(
        students_csv=f"identityNumber,firstName,last_name,address.postalCode,external.sourceID\n{BO},Bo,Ek,11122,7\n",
        groups_ndjson='{"school.sourceID": "n", "title": "7A", "memberIDs": ["' + ID + '"]}\n',
    )
    (student,), (group,) = _fields(desired), _fields(desired, "groups")
    assert student["address"] == Address(postal_code="11122")
    assert student["external"].source_id == "7"
    assert group["school_id"] == Reference(("schools",), "source_id", "n")
    assert group["member_ids"] == [ID]


@pytest.mark.parametrize(
    ("category", "members", "moderators"),
    [
        ("", ("students",), ("employees",)),
        ("education", ("students",), ("employees",)),
        ("Other", ("students", "employees", "guardians"), ("students", "employees", "guardians")),
    ],
)
def test_a_reference_says_where_it_leads(load, category, members, moderators):
    """Members of an Education group are students and its moderators employees; of others any people."""
    desired = load(
        groups_csv="school.unit_code,title,category,members.identity_number,moderators.source_id\n"
        f'n,7A,{category},"{BO}; {EVA.replace("-", "")};{BO}",e\n'
    )
    (row,) = desired.rows("groups")
    assert row.fields["member_ids"] == [Reference(members, "identity_number", number) for number in (BO, EVA)]
    assert row.fields["moderator_ids"] == [Reference(moderators, "source_id", "e")]
    assert row.fields["school_id"] == Reference(("schools",), "unit_code", "n")
    assert len(row.references) == 4
    ids = {reference: f"{number:08}{ID[8:]}" for number, reference in enumerate(row.references)}
    body = row.body(ids.__getitem__)
    assert sorted([body.school_id, *body.member_ids, *body.moderator_ids]) == sorted(ids.values())


def test_a_reference_is_told_once():
    """Who is named twice in a row has to be found once."""
    row = {
        "school_id": ID,
        "title": "Kör",
        "category": "Other",
        "members": [{"source_id": "7"}],
        "moderators": [{"source_id": "7"}],
    }
    (found,) = Desired(groups=[row]).rows("groups")
    assert len(found.references) == 1


def test_empty_cells(load):
    """An empty cell is null where the field may be null, an empty list, and nothing elsewhere."""
    desired = load(
        students_csv=f"identity_number,first_name,last_name,email_address1,identity_temporary,source_id\n{BO},Bo,Ek,,,\n",
        groups_csv="school_id,title,members.identity_number\n" + ID + ",7A,\n",
        schools_csv="title,school_type,source_id,unit.source_id\nNorr,GR,n,\n",
    )
    assert _fields(desired) == [{"identity_number": BO, "first_name": "Bo", "last_name": "Ek", "email_address1": None}]
    assert _fields(desired, "groups")[0]["member_ids"] == []
    assert _fields(desired, "schools")[0]["unit_id"] is None


def test_null_in_json(load):
    """In JSON null is as an empty cell, but a list or an object that is null says nothing, as the API reads them."""
    desired = load(
        schools_ndjson='{"title": "N", "school_type": "GR", "source_id": "n", "unit": null}\n',
        groups_ndjson='{"school_id": "' + ID + '", "title": "7A", "members": null, "types": null}\n',
        students_ndjson='{"identity_number": "' + BO + '", "first_name": "Bo", "last_name": "Ek", "address": null}\n',
    )
    assert desired.problems == ()
    assert _fields(desired, "schools")[0]["unit_id"] is None
    assert _fields(desired, "groups") == [{"school_id": ID, "title": "7A"}]
    assert "address" not in _fields(desired)[0]


def test_records_and_writes_are_rows():
    """A write is a row, and so is a record of the directory, without what the server sets."""
    write = StudentFields(identity_number=BO, first_name="Bo", last_name="Ek", address=Address(postal_code="11122"))
    record = Student(
        id=ID, identity_number=EVA, first_name="Eva", last_name="Ek", external=External(source_id="7", source="api")
    )
    desired = Desired(students=(one for one in (write, record)))
    assert desired.problems == ()
    first, second = desired.rows("students")
    assert first.body(str) == write
    assert second.fields["external"] == meitner_aio.ExternalRequest(source_id="7")
    assert {name: value for name, value in second.fields.items() if value is not None} == {
        "identity_number": EVA, "identity_temporary": False, "first_name": "Eva", "last_name": "Ek",
        "external": meitner_aio.ExternalRequest(source_id="7"),
    }  # fmt: skip


# The same data is the same, however it is written.

_NAMES = st.text("abcåäöÅÄÖ é;,\"'\n-", min_size=1, max_size=8).filter(str.strip)
_STUDENTS = st.lists(
    st.fixed_dictionaries(
        {
            "identity_number": st.integers(0, 9999).map(lambda number: f"20150101-{number:04}"),
            "first_name": _NAMES,
            "last_name": _NAMES,
            "source_id": st.none() | _NAMES,
            "gender": st.sampled_from([None, "Female", "male", "zz"]),
            "date_of_birth": st.none() | st.dates().map(str),
            "identity_temporary": st.sampled_from([None, "ja", "false"]),
            "address.postal_city": st.none() | _NAMES,
        }
    ),
    max_size=6,
)


def _as_csv(rows, delimiter, encoding):
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0], delimiter=delimiter)
    writer.writeheader()
    if (delimiter, encoding) == (";", "utf-8-sig"):  # as for Excel
        rows = [{name: cell and guarded(cell) for name, cell in row.items()} for row in rows]
    writer.writerows(rows)
    return text.getvalue().encode(encoding)


@LAW
@given(_STUDENTS, st.sampled_from(";,\t"), st.sampled_from(["utf-8", "utf-8-sig", "cp1252"]))
def test_the_format_does_not_matter(tmp_path_factory, rows, delimiter, encoding):
    """CSV (of each kind), NDJSON, Parquet and mappings of the same data make the same rows, problems and digest."""
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    if not rows:
        return
    folder = tmp_path_factory.mktemp("registry")
    formats = {
        "csv": _as_csv(rows, delimiter, encoding),
        "ndjson": msgspec.json.Encoder().encode_lines(rows),
    }
    nested = [dict(row) | {"address": {"postal_city": row["address.postal_city"]}} for row in rows]
    for row in nested:
        del row["address.postal_city"]
    seen = [Desired(students=rows), Desired(students=nested)]
    for kind, data in formats.items():
        (folder / kind).mkdir()
        (folder / kind / f"students.{kind}").write_bytes(data)
        seen.append(Desired.load(folder / kind, encoding="cp1252" if encoding == "cp1252" else "utf-8"))
    (folder / "parquet").mkdir()
    schema = pyarrow.schema([(name, pyarrow.string()) for name in rows[0]])
    parquet.write_table(pyarrow.Table.from_pylist(rows, schema), folder / "parquet" / "students.parquet")
    seen.append(Desired.load(folder / "parquet"))
    first, *others = seen
    for other in others:
        assert _fields(other) == _fields(first)
        assert other.digest("students") == first.digest("students")
        assert [problem.field for problem in other.problems] == [problem.field for problem in first.problems]
        assert (other.held_rows, other.unknown_rows) == (first.held_rows, first.unknown_rows)
        assert {(n.kind, n.field, n.count) for n in other.notes} == {(n.kind, n.field, n.count) for n in first.notes}


def test_parquet_has_lists_and_structs(tmp_path):
    """Nested types of Parquet are what nested JSON is; dates and whole numbers are taken as they are."""
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    rows = [{"school": {"source_id": "n"}, "title": "7A", "members": [{"identity_number": BO}], "types": ["Class"]}]
    parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "groups.parquet")
    placement = {
        "student.identity_number": 201501012387,
        "school_id": ID,
        "school_type": "GR",
        "start_date": date(2026, 8, 17),
    }
    parquet.write_table(pyarrow.Table.from_pylist([placement]), tmp_path / "student_placements.parquet")
    desired = Desired.load(tmp_path)
    assert desired.problems == ()
    assert _fields(desired, "groups") == _fields(Desired(groups=rows), "groups")
    assert _fields(desired, "student_placements")[0]["start_date"] == date(2026, 8, 17)
    assert _fields(desired, "student_placements")[0]["student_id"].value == BO


# What is wrong, and where.


def test_every_problem_of_every_row_is_told(load):
    """A row says all that is wrong with it, at its first line, counted in lines of the file and not in records."""
    desired = load(
        students_csv="identity_number;first_name;last_name;gender;date_of_birth\r\n"
        f'{BO};"Bo\r\nOla";Ek;;\r\n'
        f"{EVA};;Ek;kvinna;8/7 2026\r\n"
        ";;;;\r\n"
        "x;Ada;Ek;;\r\n"
    )
    assert _told(desired) == [
        ("students.csv", 4, "gender"),
        ("students.csv", 4, "date_of_birth"),
        ("students.csv", 4, "first_name"),
        ("students.csv", 6, "identity_number"),
    ]
    assert [row.line for row in desired.rows("students")] == [2]
    assert desired.problem_counts == {"students": 4}
    assert (desired.held_rows, desired.unknown_rows) == ({"students": 2}, {"students": 1})
    assert [(note.kind, note.count, note.line) for note in desired.notes] == [(NoteKind.BLANK_ROW, 1, 5)]


@pytest.mark.parametrize(
    ("content", "line", "field"),
    [
        (HEAD.replace("\n", ",first_name\n"), 1, "first_name"),
        (HEAD.replace("\n", ",firstName\n"), 1, "first_name"),
        ("identity_number,first_name\n", 1, "last_name"),
        ("20150101-2387,Bo,Ek\n", 1, ""),
        ("", 1, ""),
        ("\n\n", 1, ""),
        ('"identity_number,first_name\n', 1, ""),
        (HEAD.encode() + b"20150101-2387,Bo,Ek\n20150102-2386,\xc5sa,Ek\n", 3, ""),
        (HEAD.encode("utf-16"), 1, ""),
    ],
)
def test_a_file_that_cannot_be_used_is_one_problem(load, content, line, field):
    """A wrong header or encoding is told once; nothing of the file is used, and nothing can be missing from it."""
    desired = load(students_csv=content)
    assert _told(desired) == [("students.csv", line, field)]
    assert desired.unreadable == {"students"}
    assert Doubt.UNREADABLE in desired.doubts("students")
    assert (list(desired.rows("students")), list(desired.held("students"))) == ([], [])


def test_the_wrong_encoding_is_said_with_its_remedy(load):
    """A file that is not UTF-8 says which byte is none, and what reads it; then it is read."""
    content = (HEAD + f"{BO},Åsa,Ek\n").encode("cp1252")
    desired = load(students_csv=content)
    place = content.index(b"\xc5") + 1
    assert f"byte {place} " in desired.problems[0].message
    assert "cp1252" in desired.problems[0].proposal
    assert _fields(load(encoding="cp1252"))[0]["first_name"] == "Åsa"


def test_utf8_is_not_read_as_cp1252(load):
    """Each letter beyond ASCII would be two, in titles without a problem; a file of ASCII is the same in both."""
    problem, *_ = load(students_csv=HEAD + f"{BO},Åsa,Ek\n", encoding="cp1252").problems
    assert "is UTF-8" in problem.message
    assert _fields(load(students_csv=HEAD + f"{BO},Asa,Ek\n", encoding="cp1252"))[0]["first_name"] == "Asa"


def test_utf16_is_said_by_its_name(load):
    """What some spreadsheets save as Unicode is known by its first bytes: cp1252 would not help."""
    (problem,) = load(students_csv=HEAD.encode("utf-16")).problems
    assert "UTF-16" in problem.message
    assert "cp1252" not in problem.proposal


def test_a_byte_order_mark_outranks_what_was_said(load):
    """A file that begins with the mark of UTF-8 is UTF-8, though its neighbours are cp1252."""
    assert _fields(load(students_csv="\ufeff" + HEAD + f"{BO},Åsa,Ek\n", encoding="cp1252"))[0]["first_name"] == "Åsa"


@pytest.mark.parametrize(
    ("file", "first", "last"),
    [
        ("\ufeffidentity_number;first_name;last_name\n{};'-Åsa;\"Ek;'=1\"\n", "-Åsa", "Ek;=1"),
        ("identity_number;first_name;last_name\n{};'-Åsa;\"Ek;'=1\"\n", "'-Åsa", "Ek;'=1"),
        ("\ufeffidentity_number,first_name,last_name\n{},'-Åsa,Ek;'=1\n", "'-Åsa", "Ek;'=1"),
    ],
)
def test_the_apostrophes_of_a_file_for_excel_are_no_part_of_it(load, file, first, last):
    """Semicolons and the mark of UTF-8 together say that it is one; any other file is read as it stands."""
    (row,) = _fields(load(students_csv=file.format(BO)))
    assert (row["first_name"], row["last_name"]) == (first, last)


@pytest.mark.parametrize("excel", [False, True])
async def test_an_export_in_either_dialect_says_the_same(tmp_path, excel):
    """The cells of an export of text that could be a formula, under the columns of a registry."""
    sandbox = Sandbox(students=0, schools=1)
    async with Meitner.sandbox(sandbox) as meitner:
        await meitner.students.create(identity_number="20150101-2387", first_name="=1+1", last_name="'-Ek,\t@x;\"+4")
        wanted = ["identity_number", "first_name", "last_name"]
        await export(meitner, ["students"], to=tmp_path / "out", format="csv", excel=excel, fields=wanted)
    text = (tmp_path / "out" / "students.csv").read_bytes().decode()
    head, _, rest = text.partition("\r\n")
    registry = tmp_path / "registry"
    registry.mkdir()
    (registry / "students.csv").write_bytes(f"{head.replace('id', 'source_id', 1)}\r\n{rest}".encode())
    (row,) = _fields(Desired.load(registry))
    assert (row["first_name"], row["last_name"]) == ("=1+1", "'-Ek,\t@x;\"+4")


def test_an_encoding_is_one_of_two(tmp_path):
    """Any other encoding is refused, before any file is read; other names of the two are taken."""
    with pytest.raises(ValueError, match="utf-8 or cp1252"):
        Desired.load(tmp_path, encoding="latin-1")
    with pytest.raises(ValueError, match="no file"):
        Desired.load(tmp_path, encoding="windows-1252")


@pytest.mark.parametrize(
    ("row", "field"),
    [
        (f"{BO},Bo\n", ""),
        (f"{BO},Bo,Ek,x\n", ""),
        (f'{BO},"Bo"x,Ek\n', ""),
        (f'{BO},"Bo,Ek\n', ""),
        (f"{BO},Bo,Ek,,\n", None),
        ("\n", None),
    ],
)
def test_ragged_rows(load, row, field):
    """Where cells and header do not fit, not even the key is believed; empty cells at the end do no harm."""
    desired = load(students_csv=HEAD + row)
    assert [problem.field for problem in desired.problems] == ([] if field is None else [field])
    assert desired.unknown_rows["students"] == (field is not None)


def test_after_a_broken_quote_the_rest_is_read(load):
    """A row that is no CSV is told where it begins, and the next line begins anew."""
    desired = load(students_csv=HEAD + f'{BO},"Bo"x,Ek\n{EVA},Eva,Ek\n')
    assert _told(desired) == [("students.csv", 2, "")]
    assert [row.line for row in desired.rows("students")] == [3]


@pytest.mark.parametrize(
    ("line", "fields"),
    [
        ("{", [""]),
        ("[]", [""]),
        ("null", [""]),
        ('{"identity_number": "20150101-2387", "first_name": "Bo", "lastNme": "Ek"}', ["lastNme", "last_name"]),
        ('{"identity_number": "20150101-2387", "first_name": ["Bo"], "last_name": "Ek"}', ["first_name"]),
        (
            '{"identity_number": "20150101-2387", "first_name": "Bo", "last_name": "Ek", "lastName": "Ek"}',
            ["last_name"],
        ),
        ('{"identity_number": "20150101-2387", "first_name": "Bo", "last_name": "Ek", "pets": 1}', [""]),
        (
            '{"identity_number": "20150101-2387", "first_name": "Bo", "last_name": "Ek", "address.postal_code": "1", "address": {"postalCode": "2"}}',
            ["address.postal_code"],
        ),
    ],
)
def test_ndjson_rows(load, line, fields):
    """A line of JSON that is no row says what is wrong with it; blank lines are none."""
    desired = load(students_ndjson=f"\n{line}\n")
    assert _told(desired) == [("students.ndjson", 2, field) for field in fields]


@pytest.mark.parametrize("delimiter", [";", ",", "\t"])
def test_the_header_decides_what_separates(load, delimiter):
    """The names of columns that exist tell the delimiter; a name that holds more of the others does not mislead."""
    others = "".join(sign * 5 for sign in ";,\t" if sign != delimiter)
    head = delimiter.join(["identity_number", "first_name", "last_name", f'"{others}"'])
    desired = load(students_csv=f"{head}\n")
    assert [(problem.field, problem.message.rpartition(" ")[2]) for problem in desired.problems] == [("", "4")]


def test_all_columns_that_are_wrong_are_told(load):
    """A header tells each name that no field has, each that is there twice, and each that is missing."""
    desired = load(students_csv="identity_number,last_nme,gender,gender,pets\n")
    assert {problem.field for problem in desired.problems} == {"last_nme", "last_name", "first_name", "gender", ""}


def test_ndjson_is_utf_8(load):
    """With a byte order mark or without; a file that is not UTF-8 is one problem, and names the line."""
    row = '{"identity_number": "20150101-2387", "first_name": "Åsa", "last_name": "Ek"}\n'
    assert _fields(load(students_ndjson="\ufeff" + row))[0]["first_name"] == "Åsa"
    desired = load(students_ndjson=b"\n" + row.encode("cp1252") * 2)
    assert _told(desired) == [("students.ndjson", 2, "")]
    assert desired.unreadable == {"students"}


def test_a_mistyped_reference_is_named(load):
    """A column that is nearly one says which it may be."""
    desired = load(student_placements_csv="student.identity_numer,school_id,school_type,start_date\n")
    assert "'student.identity_number'" in desired.problems[0].proposal


def test_one_field_said_in_two_ways(load):
    """A record may be named by one of two columns, the other left empty, and not by both."""
    head = "student.identity_number,student.source_id,school_id,school_type,start_date\n"
    end = f",{ID},GR,2026-08-17\n"
    desired = load(student_placements_csv=f"{head}{BO},{end}" + f",s7{end}" + f"{EVA},s8{end}")
    assert [row.fields["student_id"].by for row in desired.rows("student_placements")] == [
        "identity_number",
        "source_id",
    ]
    assert [problem.line for problem in desired.problems] == [4]


def test_an_empty_column_takes_nothing_back(load):
    """Of two columns for one field the empty one says nothing, wherever it stands."""
    head, end = "title,school_type,source_id,unit.source_id,unit.title\n", "Norr,GR"
    desired = load(schools_csv=f"{head}{end},1,u,\n{end},2,,u\n{end},3,,\n")
    assert [fields["unit_id"] and fields["unit_id"].by for fields in _fields(desired, "schools")] == [
        "source_id",
        "title",
        None,
    ]


def test_what_create_would_refuse_is_told(load):
    """A row passes through the same checks as the keywords of a create, and its dates are in order."""
    desired = load(
        student_placements_csv="student_id,school_id,school_type,start_date,end_date,childcare_max_hours\n"
        f"{ID},{ID},GR,2026-08-17,2026-08-16,\n{ID},{ID},GR,2026-08-17,,9223372036854775808\n{OTHER},{ID},GR,2026-08-17,2026-08-17,\n"
    )
    told = [problem for problem in desired.problems if "same" not in problem.message]
    assert [(problem.line, problem.field) for problem in told] == [(2, "end_date"), (3, "")]


_ANY = st.sampled_from(["", " Bo ", "Åsa", "a?b", "B\ud800", "GR", "male", "2026-02-01", "1", "ja", ID, ID.upper(), BO])
_VALUES = _ANY | st.integers(2**63 - 1, 2**64) | st.booleans() | st.dates() | st.lists(_ANY, max_size=2)
_WHOLE = {
    "students": {"identity_number": BO, "first_name": "Bo", "last_name": "Ek"},
    "schools": {"source_id": "n", "title": "Norr", "school_type": "GR"},
    "groups": {"school.source_id": "n", "title": "7A"},
    "guardians": {"identity_number": BO, "first_name": "Bo", "last_name": "Ek"},
    "employee_placements": {"employee.source_id": "e", "school.source_id": "n", "start_date": "2026-08-17"},
    "student_placements": {
        "student.source_id": "e",
        "school_id": ID,
        "school_type": "GR",
        "start_date": "2026-08-17",
    },
}


@settings(LAW, max_examples=500)
@given(st.sampled_from(sorted(_WHOLE)), st.data())
def test_create_takes_every_row_that_can_be_used(resource, data):
    """What is left of a row's values when none was refused, `create` refuses neither: text that is none, for example."""
    names = st.sampled_from(sorted(declared(resource).columns))
    row = _WHOLE[resource] | data.draw(st.dictionaries(names, _VALUES, min_size=1, max_size=3))
    desired = Desired(**{resource: [row]})
    for used in desired.rows(resource):
        assert msgspec.json.encode(used.body(lambda _: ID))
    assert desired.count(resource) + desired.held_rows[resource] == 1


def test_a_reference_that_is_no_text_is_told():
    """A lone surrogate names nothing: the row is left out like any other that is wrong."""
    desired = Desired(student_placements=[_WHOLE["student_placements"] | {"student.source_id": "B\ud800"}])
    assert [problem.field for problem in desired.problems] == ["student.source_id"]
    assert desired.held_rows == {"student_placements": 1}


def test_a_row_without_a_key_is_refused(load):
    """What is known by its id in another system alone needs one."""
    desired = load(units_csv="title,source_id\nNorr,\n")
    assert _told(desired) == [("units.csv", 2, "source_id")]
    assert desired.doubts("units") == {Doubt.UNKNOWN_ROWS}


_BYTES = st.binary(max_size=80) | st.text('identy_umbr,;\t"\n\r{}[]:null015-\0\ud7ff', max_size=60).map(str.encode)
_HEADS = st.sampled_from([b"", HEAD.encode(), b"\xef\xbb\xbf" + HEAD.encode(), b"PAR1", b'{"identity_number": '])


@LAW
@given(_HEADS, _BYTES, st.sampled_from(["csv", "ndjson", "parquet"]), st.sampled_from(["utf-8", "cp1252"]))
def test_any_bytes_are_read_or_told(tmp_path_factory, head, data, kind, encoding):
    """No file makes loading fail: whatever is in it is a row, blank, or a problem."""
    if kind == "parquet":
        pytest.importorskip("pyarrow")
    folder = tmp_path_factory.mktemp("registry")
    (folder / f"students.{kind}").write_bytes(head + data)
    desired = Desired.load(folder, encoding=encoding)
    assert len(list(desired.rows("students"))) == desired.count("students")
    assert len(list(desired.held("students"))) == desired.held_rows["students"]
    assert bool(desired.problems) == bool(desired.held_rows["students"] or desired.unreadable)


@LAW
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.dates(),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["identity_number", "address", "postal_code", "members", "title", "x", "school"]),
                inner,
                max_size=3,
            )
        ),
        max_leaves=8,
    )
)
def test_any_object_is_a_row_or_told(item):
    """No object makes a desired state fail, however it is nested."""
    for resource in ("students", "groups"):
        desired = Desired(**{resource: [item]})
        assert desired.count(resource) + desired.held_rows[resource] == 1
        assert bool(desired.problems) == bool(desired.held_rows[resource])


# Keys.


def test_repeated_keys_name_both_lines(load):
    """Of two rows with the same key, however spelled, nobody knows which is right: both are told and left out."""
    desired = load(
        students_csv="identity_number,first_name,last_name,source_id\n"
        f"{BO},Bo,Ek,1\n{EVA},Eva,Ek,2\n150101-2387,Bosse,Ek,3\n20150103-2385,Ada,Ek,2\n20150104-2384,Lo,Ek,5\n"
    )
    told = [(problem.line, problem.field, problem.message.rpartition(" ")[2]) for problem in desired.problems]
    assert told == [
        (2, "identity_number", "4"),
        (3, "source_id", "5"),
        (4, "identity_number", "2"),
        (5, "source_id", "3"),
    ]
    assert [row.line for row in desired.rows("students")] == [6]
    assert [row.line for row in desired.held("students")] == [2, 3, 4, 5]
    assert (desired.count("students"), desired.held_rows["students"]) == (1, 4)
    assert all(desired.is_held("students", Key("source_id", (text,))) for text in "123")
    assert not desired.is_held("students", Key("source_id", ("5",)))
    assert desired.doubts("students") == frozenset()


def test_keys_that_only_hash_alike_are_no_repetition(monkeypatch):
    """Of keys only hashes are kept; where two are the same, the rows are read again and compared."""
    monkeypatch.setattr(Key, "__hash__", lambda _: 1)
    row = {"first_name": "Bo", "last_name": "Ek"}
    desired = Desired(students=[{**row, "identity_number": number} for number in (BO, EVA, EVA)])
    assert [problem.line for problem in desired.problems] == [2, 3]
    assert [one.line for one in desired.rows("students")] == [1]


def test_a_row_that_is_wrong_can_still_be_a_repetition(load):
    """A row that cannot be used claims its key nevertheless."""
    desired = load(students_csv=HEAD + f"{BO},Bo,Ek\n{BO},,Ek\n")
    assert desired.count("students") == 0
    assert {problem.line for problem in desired.problems} == {2, 3}


@pytest.mark.parametrize(
    ("resource", "row", "keys"),
    [
        ("students", {"identity_number": BO, "source_id": "7"}, [("identity_number", (BO,)), ("source_id", ("7",))]),
        ("units", {"source_id": "7"}, [("source_id", ("7",))]),
        (
            "groups",
            {"school.source_id": "n", "title": "7A", "types": ["zz"]},
            [(("school_id", "title"), (Reference(("schools",), "source_id", "n"), "7A"))],
        ),
        (
            "employee_placements",
            {"employee.identity_number": BO, "school_id": ID},
            [(("employee_id", "school_id"), (Reference(("employees",), "identity_number", BO), ID))],
        ),
        ("guardians", {"identity_number": "x", "source_id": "7"}, [("source_id", ("7",))]),
        ("guardians", {"identity_number": "x"}, []),
    ],
)
def test_the_keys_of_a_row_that_is_left_out_stay_known(resource, row, keys):
    """What is left out is known by every key that can be read, so that it never counts as missing."""
    desired = Desired(**{resource: [row]})
    (held,) = desired.held(resource)
    assert [(key.by, key.values) for key in held.keys] == keys
    assert all(desired.is_held(resource, key) for key in held.keys)
    assert desired.unknown_rows == {resource: not keys}
    assert desired.doubts(resource) == (frozenset() if keys else {Doubt.UNKNOWN_ROWS})


@LAW
@given(st.lists(st.sampled_from(["1", "2", "3", "4", ""]), max_size=8), st.lists(st.booleans(), min_size=8, max_size=8))
def test_every_row_is_used_or_held(sources, bad):
    """Rows that can be used and rows that are left out are all rows, each once; keys of those used are unique."""
    rows = [
        {
            "identity_number": f"20150101-{number:04}",
            "first_name": "" if bad[number] else "Bo",
            "last_name": "E",
            "source_id": source,
        }
        for number, source in enumerate(sources)
    ]
    desired = Desired(students=rows)
    used, held = list(desired.rows("students")), list(desired.held("students"))
    assert sorted(row.line for row in [*used, *held]) == list(range(1, len(rows) + 1))
    assert (len(used), len(held)) == (desired.count("students"), desired.held_rows["students"])
    keys = [key for row in used for key in row.keys]
    assert len(keys) == len(set(keys))
    assert not any(desired.is_held("students", key) for key in keys)
    assert {row.line for row in held} == {problem.line for problem in desired.problems}


def test_some_lines_are_read_alone(load):
    """Of the lines that are asked for, those are rows that can be used."""
    desired = load(students_csv=HEAD + f"{BO},Bo,Ek\n{EVA},Eva,\n20150103-2385,Ada,Ek\n20150104-2384,Lo,Ek\n")
    assert [row.line for row in desired.rows("students", lines={3, 4, 9})] == [4]
    assert list(desired.rows("students", lines=())) == []


# Emptiness, and files that change.


@pytest.mark.parametrize(
    ("name", "content", "unreadable"),
    [
        ("students_csv", HEAD, False),
        ("students_csv", "", True),
        ("students_ndjson", "", False),
        ("students_csv", HEAD + ",,\n", False),
    ],
)
def test_an_empty_file_is_remembered_as_empty(load, name, content, unreadable):
    """A file without rows is no reason to remove everybody."""
    desired = load(**{name: content})
    assert desired.empty == {"students"}
    assert desired.doubts("students") == {Doubt.EMPTY} | ({Doubt.UNREADABLE} if unreadable else set())


def test_no_rows_in_memory_are_empty_too():
    """An empty list is as an empty file; what was not named is not there at all."""
    desired = Desired(students=[])
    assert (desired.empty, desired.resources) == ({"students"}, ("students",))


@pytest.mark.parametrize("sneaky", [False, True])
def test_a_file_that_changed_is_not_read_again(load, tmp_path, sneaky):
    """Rows are those that were checked: a file with another content is refused, though size and time are the same."""
    desired = load(students_csv=HEAD + f"{BO},Bo,Ek\n")
    path = tmp_path / "students.csv"
    before = path.stat()
    path.write_text(HEAD + f"{BO},Bo,{'Ag' if sneaky else 'Agren'}\n")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(MeitnerError, match="has changed"):
        list(desired.rows("students"))


def test_a_file_that_changes_while_it_is_read_is_refused(load, tmp_path):
    """Who has read rows of a file that somebody writes to is told at its end."""
    desired = load(students_csv=HEAD + f"{BO},Bo,Ek\n{EVA},Eva,Ek\n")
    rows = desired.rows("students")
    next(rows)
    with (tmp_path / "students.csv").open("a") as file:
        file.write("more")
    with pytest.raises(MeitnerError, match="while it was read"):
        list(rows)


def test_the_digest_is_that_of_what_is_said(load):
    """A digest is the same for the same rows, and another for another value, order or resource."""
    row = {"identity_number": BO, "first_name": "Bo", "last_name": "Ek"}
    one = Desired(students=[row]).digest("students")
    assert Desired(students=[{**row, "identity_number": BO.replace("-", "")}]).digest("students") == one
    assert Desired(students=[{**row, "first_name": "Bosse"}]).digest("students") != one
    assert Desired(employees=[row]).digest("employees") != one


# Bounds, and silence.


def test_problems_are_bounded(load):
    """A thousand problems are kept, and all are counted."""
    desired = Desired(students=[{"identity_number": "x"}] * (MOST_PROBLEMS + 5))
    assert len(desired.problems) == MOST_PROBLEMS
    assert desired.problem_counts["students"] == 3 * (MOST_PROBLEMS + 5)
    assert desired.unknown_rows["students"] == MOST_PROBLEMS + 5


CANARIES = ["19870403-2393", "Kanariella", "Fjäderqvist", "fjader@canary.example", "source-canary", "Kanarie\ufffd"]


def _everything(desired):
    rows = [*desired.rows("students"), *desired.held("students")]
    shown = [desired, *desired.problems, *desired.notes, *rows, *(key for row in rows for key in row.keys)]
    return "\n".join(text for one in shown for text in (str(one), repr(one)))


@pytest.mark.parametrize(
    "row",
    [
        CANARIES[:5],
        ["19870403-239", *CANARIES[1:5]],
        [CANARIES[0], CANARIES[5], "", *CANARIES[3:5]],
        [CANARIES[0], CANARIES[1], CANARIES[2], CANARIES[3], CANARIES[4], CANARIES[1]],
        CANARIES[:3],
    ],
)
def test_nothing_personal_is_shown(load, row):
    """No text of the desired state, of its rows, keys, problems and notes holds a value of a row."""
    head = "identity_number;first_name;last_name;gender;source_id\n"
    for content in (
        head + ";".join(row) + "\n",
        head + f"{';'.join(row)}\n" * 2,
        ";".join(row) + "\n",
        head + '"' + ";".join(row),
    ):
        shown = _everything(load(students_csv=content))
        assert [canary for canary in [*CANARIES, "19870403", "Kanarie"] if canary in shown] == []


def test_a_header_that_is_missing_shows_no_value(load):
    """Where names of columns should be, values may stand, and nearly be a name."""
    desired = load(students_csv=f"{BO},Gendr,first_nam\n")
    assert not any(text in _everything(desired) for text in ("Gendr", "first_nam", BO))


def test_a_column_that_is_nothing_like_a_field_is_not_shown(load):
    """The name of a column may be a value that slipped into the header: it is told by its place."""
    desired = load(students_csv="identity_number,first_name,last_name,Kanariella\n")
    assert "column 4" in str(desired.problems[0])
    assert "Kanariella" not in _everything(desired)


def _locals_of(error):
    """Return what the frames of the package hold."""
    trace = error.__traceback__
    while trace is not None:
        if "meitner_aio" in trace.tb_frame.f_code.co_filename:
            yield from trace.tb_frame.f_locals.values()
        trace = trace.tb_next


@pytest.mark.parametrize("when", ["load", "rows", "held"])
def test_an_error_keeps_no_row_in_its_frames(load, tmp_path, monkeypatch, when):
    """Rows are in no local that a crash report could show, when a file changed while it was read."""
    path = tmp_path / "students.csv"
    path.write_text(HEAD + f"{BO},Kanariella,Ek\n{EVA},Kanariella,\n")
    if when == "load":
        stats = iter([(1, 1), (2, 2)])
        monkeypatch.setattr(_files, "_stat", lambda _: next(stats))
    else:
        rows = getattr(load(), when)("students")
        next(rows)
        path.write_text("changed")
    with pytest.raises(MeitnerError, match="while it was read") as caught:
        load() if when == "load" else next(rows)
    assert caught.value.__context__ is None
    kinds = {type(value).__name__ for value in _locals_of(caught.value)}
    assert kinds & {"Row", "HeldRow", "Read", "RawRow", "_Cells"} == set()
    assert not any("Kanariella" in repr(value) for value in _locals_of(caught.value))


@pytest.mark.slow
def test_many_rows_take_little_memory(load):
    """Of a row that was checked a few hundred bytes are kept, and less than all rows at a time are in memory."""
    import tracemalloc

    count = 50_000
    rows = "".join(f"20{n // 10000:02}0101-{n % 10000:04},Förnamn {n},Efternamn {n},s{n}\n" for n in range(count))
    content = "identity_number,first_name,last_name,source_id\n" + rows
    tracemalloc.start()
    try:
        desired = load(students_csv=content)
        _, peak = tracemalloc.get_traced_memory()
        assert desired.count("students") == count
        assert peak < 300 * count + len(content.encode())
    finally:
        tracemalloc.stop()


def test_a_key_of_a_row_that_can_be_used_is_known():
    """By source id, too; one of a row that is left out is not."""
    desired = Desired(students=[{"identity_number": BO, "first_name": "Bo", "last_name": "Ek", "source_id": "s1"}])
    assert desired.has("students", Key("source_id", ("s1",)))
    assert desired.has("students", Key("identity_number", (BO,)))
    assert not desired.has("students", Key("identity_number", (EVA,)))
    twice = Desired(students=2 * [{"identity_number": BO, "first_name": "Bo", "last_name": "Ek"}])
    assert not twice.has("students", Key("identity_number", (BO,)))

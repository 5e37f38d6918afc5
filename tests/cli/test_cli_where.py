"""Conditions as they are typed: what each means, what none can mean, and that a search by it finds what it says."""

import io
import json
import unicodedata
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from meitner_aio import MetaQuery, StudentQuery, above, at_least, at_most, below, between, equals, like, null, one_of
from meitner_aio._operations.operations import operations
from meitner_aio.cli._exit import UsageError
from meitner_aio.cli.conditions import conditions, searchable
from meitner_aio.cli.rendering.typed import instant
from meitner_aio.query import to_filter
from meitner_aio.resources import RESOURCES

NOW = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
AN_ID = "5f0c8a52-6b1e-4c58-9d0e-2f7c3a1b9e64"


def _meant(*typed, resources=("students",)):
    return conditions(typed, resources, NOW)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("last_name=Ek", {"last_name": equals("Ek")}),
        ("last_name!=Ek", {"last_name": ~equals("Ek")}),
        ("last-name=Ek", {"last_name": equals("Ek")}),
        ("lastName=Ek", {"last_name": equals("Ek")}),
        ("meta.updatedAt=null", {"meta": MetaQuery(updated_at=null)}),
        ("last_name = Ek ", {"last_name": equals("Ek")}),
        ("last_name=", {"last_name": equals("")}),
        ("last_name=a=b", {"last_name": equals("a=b")}),
        ("last_name=~Ek", {"last_name": equals("~Ek")}),
        ("last_name=Ek, Bo", {"last_name": equals("Ek, Bo")}),
        ("last_name=Åsa\nEk", {"last_name": equals("Åsa\nEk")}),
        ("last_name~E%", {"last_name": like("E%")}),
        ("last_name!~E%", {"last_name": ~like("E%")}),
        ("last_name=A\u030aberg", {"last_name": one_of("A\u030aberg", "\xc5berg")}),
        ("last_name!=A\u030aberg", {"last_name": ~one_of("A\u030aberg", "\xc5berg")}),
        ("last_name~A\u030a%", {"last_name": like("\xc5%")}),
        ("last_name~null", {"last_name": like("null")}),
        ("email_address1=null", {"email_address1": null}),
        ("email_address1!=null", {"email_address1": ~null}),
        ("gender=Female", {"gender": equals("Female")}),
        ("gender=Female, Other", {"gender": one_of("Female", "Other")}),
        ("gender!=Female,Other", {"gender": ~one_of("Female", "Other")}),
        ("identity_temporary=true", {"identity_temporary": equals(value=True)}),
        ("identity_temporary=false", {"identity_temporary": equals(value=False)}),
        (f"id={AN_ID.upper()}", {"id": equals(AN_ID)}),
        ("date_of_birth=2015-01-31", {"date_of_birth": equals(date(2015, 1, 31))}),
        ("date_of_birth>=2015-01-31", {"date_of_birth": at_least(date(2015, 1, 31))}),
        ("date_of_birth<=2015-01-31", {"date_of_birth": at_most(date(2015, 1, 31))}),
        ("date_of_birth>2015-01-31", {"date_of_birth": above(date(2015, 1, 31))}),
        ("date_of_birth<2015-01-31", {"date_of_birth": below(date(2015, 1, 31))}),
        ("meta.updated_at=null", {"meta": MetaQuery(updated_at=null)}),
        ("meta.updated_at>=2026-01-01", {"meta": MetaQuery(updated_at=at_least(datetime(2026, 1, 1, tzinfo=UTC)))}),
        ("meta.created_at<7d", {"meta": MetaQuery(created_at=below(NOW - timedelta(days=7)))}),
    ],
)
def test_a_condition_means_what_it_says(typed, meant):
    """The grammar, line by line."""
    assert _meant(typed) == meant


def test_conditions_on_different_fields_must_all_hold():
    """Those on one object are one query of it."""
    after = datetime(2026, 1, 1, tzinfo=UTC)
    assert _meant("last_name=Ek", "meta.created_at>=2026-01-01", "meta.updated_at=null", "gender=Other") == {
        "last_name": equals("Ek"),
        "gender": equals("Other"),
        "meta": MetaQuery(created_at=at_least(after), updated_at=null),
    }


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (("last_name=Ek", "last_name=Bo"), one_of("Ek", "Bo")),
        (("last_name!=Ek", "last_name!=Bo"), ~one_of("Ek", "Bo")),
        (("date_of_birth>=2015-01-01", "date_of_birth<=2016-01-01"), between(date(2015, 1, 1), date(2016, 1, 1))),
    ],
)
def test_a_condition_once_more_on_the_same_field(typed, meant):
    """Several values are one of them; two bounds are a range."""
    assert list(_meant(*typed).values()) == [meant]


@pytest.mark.parametrize(
    ("typed", "reason"),
    [
        (("last_name",), "--where takes FIELD=VALUE"),
        (("=Ek",), "--where takes FIELD=VALUE"),
        (("last name=Ek",), "--where takes FIELD=VALUE"),
        (("last_nme=Ek",), "students has no field 'last_nme'; did you mean 'last_name'?"),
        (("identityNumbr=Ek",), "did you mean 'identity_number'?"),
        (("lastNme=Ek",), "? It has id, "),
        (("updated_at>=7d",), "did you mean 'meta.updated_at'?"),
        (("meta.update_at=7d",), "did you mean 'meta.updated_at'?"),
        (("meta=7d",), "has no field 'meta'"),
        (("any_of=x",), "has no field 'any_of'"),
        (("gender=female",), "gender must be one of Female, Male, Other; did you mean 'Female'?"),
        (("gender=Female,Othr",), "gender must be one of"),
        (("gender~F%",), "~ does not apply to gender; there is = !="),
        (("last_name>E",), "> does not apply to last_name; there is = != ~ !~"),
        (("meta.updated_at~7d",), "~ does not apply to meta.updated_at; there is = != > >= < <="),
        (("date_of_birth=soon",), "date_of_birth must be a date such as"),
        (("date_of_birth>=",), "date_of_birth must be a date such as"),
        (("meta.updated_at>=2026-13-01",), "meta.updated_at must be an instant such as"),
        (("meta.updated_at>=2026-01-01T08:00",), "has no time zone"),
        (("meta.updated_at=2026-01-01,2026-01-02",), "takes one value"),
        (("identity_temporary=yes",), "must be true or false"),
        (("id=7",), "id must be a UUID such as"),
        (("last_name=null",), "last_name is never null"),
        (("email_address1=null", "email_address1=a"), "is null or has a value"),
        (("gender=Female,null",), "is null or has a value"),
        (("date_of_birth>=null",), "must be a date"),
        (("last_name=\udc80",), "lone surrogate"),
        (("last_name=Ek", "last_name!=Bo"), "last_name has conditions that one search cannot join"),
        (("last_name~E%", "last_name~B%"), "cannot join"),
        (("date_of_birth>2015-01-01", "date_of_birth>=2016-01-01"), "cannot join"),
    ],
)
def test_what_cannot_be_meant_is_refused(typed, reason):
    """One sentence that says what would do."""
    with pytest.raises(UsageError) as refused:
        _meant(*typed)
    assert reason in str(refused.value)


@pytest.mark.parametrize(
    "typed", ["date_of_birth=20150315-1234", "id=20150315-1234", "identity_temporary=20150315-1234"]
)
def test_a_wrong_value_is_not_repeated(typed):
    """It may be about a person, and stderr may be a log."""
    with pytest.raises(UsageError) as refused:
        _meant(typed)
    assert "1234" not in str(refused.value)


def test_every_resource_named_must_have_the_field():
    """An export of two resources is selected by what both have, and of none that cannot be searched."""
    assert _meant("last_name=Ek", resources=("students", "guardians")) == {"last_name": equals("Ek")}
    with pytest.raises(UsageError, match="guardians has no field 'gender'"):
        _meant("gender=Other", resources=("students", "guardians"))
    with pytest.raises(UsageError, match="grade_elementaries cannot be searched"):
        _meant("id=7", resources=("grade_elementaries",))


def test_numbers_are_whole_and_fit():
    """As the API has them."""
    hours = {"resources": ("student_placements",)}
    assert _meant("childcare_max_hours<=20", **hours) == {"childcare_max_hours": at_most(20)}
    for text in ("many", "2.5", "", "9" * 19):
        with pytest.raises(UsageError, match=r"whole number|64 bits"):
            _meant(f"childcare_max_hours={text}", **hours)


def test_no_condition_asks_nothing():
    """Not even whether the resources can be searched."""
    assert _meant(resources=tuple(RESOURCES)) == {}


VALUES = {
    "uuid": AN_ID,
    "string": "x",
    "boolean": "true",
    "integer": "7",
    "date": "2026-01-31",
    "date-time": "7d",
}


@pytest.mark.parametrize("resource", [name for name, kind in RESOURCES.items() if "search" in operations(kind)])
def test_every_field_of_every_resource_can_be_asked_for(resource):
    """A field that is added to a query record can be typed at once: every leaf, by equality."""
    query = operations(RESOURCES[resource])["search"].body
    leaves = searchable(query)
    assert len(leaves) > 4
    for path, field in leaves.items():
        kind = field.kind.partition(":")[0]
        value = next(iter(field.type)).value if kind == "enum" else VALUES[kind]
        found = _meant(f"{path}={value}", resources=(resource,))
        assert "equals" in to_filter(query(**found)), path


@settings(derandomize=True, max_examples=200, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=20))
def test_text_arrives_as_it_was_typed(text):
    """Whatever it holds: only the blanks at its ends are lost. Only a form of letters that servers do not keep adds one."""
    assume(text.strip() != "null")
    typed = text.strip()
    kept = unicodedata.normalize("NFC", typed)
    assert _meant(f"last_name={text}") == {"last_name": equals(typed) if kept == typed else one_of(typed, kept)}


@settings(derandomize=True, max_examples=300, deadline=None)
@given(st.lists(st.text(max_size=30), min_size=1, max_size=3))
def test_anything_typed_is_meant_or_refused(typed):
    """Nothing but a `UsageError` comes out, and what comes out otherwise is a search."""
    try:
        found = _meant(*typed)
    except UsageError:
        return
    to_filter(StudentQuery(**found))


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("2026-01-31", datetime(2026, 1, 31, tzinfo=UTC)),
        ("2026-01-31T08:00Z", datetime(2026, 1, 31, 8, tzinfo=UTC)),
        ("2026-01-31 08:00:30.5+01:00", datetime(2026, 1, 31, 7, 0, 30, 500_000, tzinfo=UTC)),
        ("90m", NOW - timedelta(minutes=90)),
        ("12h", NOW - timedelta(hours=12)),
        ("7d", NOW - timedelta(days=7)),
        ("2w", NOW - timedelta(weeks=2)),
    ],
)
def test_instants_as_people_type_them(text, meant):
    """A date is its midnight in UTC; a number with a unit is that long ago."""
    assert instant(text, NOW) == meant


@pytest.mark.parametrize(
    "text", ["", "7", "7y", "-7d", "7 d", "d", "999999w", "2026-02-30", "2026-01-31T08:00", "now", "\u0667d"]
)
def test_other_instants_are_refused(text):
    """One without a zone, too: nobody knows whose clock it means."""
    with pytest.raises(ValueError, match=r"instant|zone"):
        instant(text, NOW)


def _found(cli, *conditions, resource="students"):
    where = [word for condition in conditions for word in ("--where", condition)]
    code, out, err = cli("search", resource, *where, "--sandbox", "--students", "120", "--quiet")
    assert (code, err) == (0, "")
    return [json.loads(line) for line in out.splitlines()]


@pytest.mark.parametrize(
    ("conditions", "holds"),
    [
        (["gender=Female,Other"], lambda row: row["gender"] in ("Female", "Other")),
        (["gender!=Female"], lambda row: row["gender"] not in ("Female", None)),
        (["last_name=A\u030aberg"], lambda row: row["lastName"] == "\xc5berg"),
        (["last_name~%son"], lambda row: row["lastName"].endswith("son")),
        (
            ["date_of_birth>=2012-01-01", "date_of_birth<2014-01-01"],
            lambda row: "2012-01-01" <= row["dateOfBirth"] < "2014-01-01",
        ),
        (["meta.updated_at!=null", "gender=Male"], lambda row: row["meta"]["updatedAt"] and row["gender"] == "Male"),
    ],
)
def test_search_finds_what_the_conditions_say(cli, conditions, holds):
    """Exactly the rows of a listing for which they hold."""
    everything = [
        json.loads(line) for line in cli("list", "students", "--sandbox", "--students", "120")[1].splitlines()
    ]
    expected = [row["identityNumber"] for row in everything if holds(row)]
    assert [row["identityNumber"] for row in _found(cli, *conditions)] == expected != []


def test_search_limit_and_offset_cut_what_was_found(cli):
    """As they cut a listing."""
    found = cli("search", "students", "--where", "gender=Female", "--sandbox")[1].splitlines()
    part = cli("search", "students", "--where", "gender=Female", "--sandbox", "--limit", "3", "--offset", "2")[1]
    names = [[json.loads(line)["identityNumber"] for line in lines] for lines in (found[2:5], part.splitlines())]
    assert names[0] == names[1] != []


def test_conditions_stand_in_a_file(tmp_path, monkeypatch):
    """One a line, beside typed ones, from a file or stdin: what is typed, everybody on the machine may read."""
    path = tmp_path / "conditions"
    path.write_bytes("\ufefflast_name=Ek\r\n\nlast_name=Åsa @ 7\n".encode())
    assert _meant(f"@{path}", "gender=Other") == _meant("last_name=Ek", "last_name=Åsa @ 7", "gender=Other")
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"identity_number=20150101-2384\n")))
    assert _meant("@-") == {"identity_number": equals("20150101-2384")}


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (None, "cannot be read: No such file"),
        (b"", "holds no condition"),
        (b"\n \r\n", "holds no condition"),
        (b"last_name=\xff", "is not UTF-8"),
        (b"last_name=" + b"x" * 2**20, "is larger than"),
        (b"20150101-2384", "takes FIELD=VALUE"),
        (b"date_of_birth=20150101-2384", "must be a date"),
    ],
)
def test_a_file_that_holds_no_condition_is_refused(tmp_path, data, reason):
    """An empty one would select everything; none is quoted."""
    path = tmp_path / "conditions"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(UsageError, match=reason) as refused:
        _meant(f"@{path}")
    assert "2384" not in str(refused.value)


def test_a_search_by_a_file(cli, tmp_path):
    """From the shell, with the value in no command line."""
    code, out, _ = cli("list", "students", "--sandbox", "--students", "20", "--json", "--limit", "1")
    number = json.loads(out)["identityNumber"]
    (tmp_path / "who").write_text(f"identity_number={number}\n")
    code, out, _ = cli("search", "students", "--sandbox", "--students", "20", "--json", "--where", f"@{tmp_path}/who")
    assert (code, [json.loads(line)["identityNumber"] for line in out.splitlines()]) == (0, [number])

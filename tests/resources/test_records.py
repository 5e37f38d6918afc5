"""Records: frozen, typed, discreet, and tolerant of an API that grows."""

from __future__ import annotations

import copy
import gc
import io
import json
import pickle
import re
from datetime import UTC, date, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from samples import ID, NOON, record, required

from meitner_aio import (
    RESOURCES,
    Address,
    Employee,
    Error,
    ErrorCode,
    External,
    ExternalRequest,
    Gender,
    Group,
    GroupCategory,
    GroupType,
    Guardian,
    Meta,
    Student,
    StudentFields,
    StudentPlacement,
    to_dict,
)
from meitner_aio._operations.operations import operations
from meitner_aio.records import OpenEnum, Record, fields

CANARY = "Canary-Kanariefågel"
STUDENT = {"id": ID, "identityNumber": CANARY, "firstName": CANARY, "lastName": CANARY}
MODELS = [resource.model for resource in RESOURCES.values()]
BODIES = sorted(
    {
        operation.body
        for resource in RESOURCES.values()
        for name, operation in operations(resource).items()
        if operation.body is not None and name != "search"
    },
    key=lambda body: body.__name__,
)
EVERY_KIND = [*MODELS, *BODIES, Meta, Address, External, ExternalRequest, Error]
ENUMS = [enum for enum in OpenEnum.__subclasses__() if enum.__module__.startswith("meitner_aio.")]


def read(model, data):
    """Return a record as an answer gives it."""
    return msgspec.json.decode(json.dumps(data), type=model)


def written(body):
    """Return what goes over the wire for a record."""
    return json.loads(msgspec.json.encode(body))


def rich(value: object) -> str:
    """Return what rich prints of a value."""
    console = Console(file=io.StringIO(), width=300)
    console.print(value)
    return console.file.getvalue()


def repickled(value):
    """Return what another process would get."""
    return pickle.loads(pickle.dumps(value))


# What a record keeps to itself.


def test_repr_masks_personal_fields_and_shows_the_rest():
    """A log line with a record in it names the record, not the person."""
    student = read(Student, STUDENT | {"gender": "Female", "emailAddress1": None, "dateOfBirth": "2015-01-01"})
    assert CANARY not in repr(student)
    assert f"Student(id={ID!r}, " in repr(student)
    assert "first_name=***" in repr(student)
    assert "date_of_birth=***" in repr(student)
    assert "email_address1=None" in repr(student)
    assert "Gender.FEMALE" in repr(student)
    assert str(student) == repr(student) == f"{student}"


@pytest.mark.parametrize("render", [repr, str, "{}".format, rich], ids=["repr", "str", "f", "rich"])
def test_nested_objects_are_masked_too(render):
    """An address inside a record, a record inside a list: no way of showing it shows the person."""
    student = read(Student, STUDENT | {"address": {"postalAddress": CANARY, "postalCity": CANARY}})
    for shown in (render(student), render([student]), render({"found": student})):
        assert CANARY not in shown
        assert "postal_city=" in shown


def test_a_body_masks_like_the_record():
    """A write that ends up in a traceback tells no more than a record; what it does not set, it does not show."""
    body = StudentFields(identity_number=CANARY, first_name=CANARY, last_name=CANARY, gender=None)
    assert repr(body) == "StudentFields(identity_number=***, first_name=***, last_name=***, gender=None)"
    assert CANARY not in rich(body)
    assert "email" not in rich(body)


PERSONAL = re.compile(
    r"identity_number|first_name|last_name|email_address\d|phone_number\d|date_of_birth|edu_person_principal_name"
    r"|postal_\w+|country_code|message|\w+_comment"
)


@pytest.mark.parametrize("kind", EVERY_KIND, ids=lambda kind: kind.__name__)
def test_what_is_personal_is_marked(kind):
    """Names, identity numbers, e-mail, phones, addresses, dates of birth and free text about a person are personal."""
    for field in fields(kind):
        of_an_address = (kind, field.name) == (Address, "municipality_code")  # a school's says nothing about a person
        assert field.personal == (of_an_address or PERSONAL.fullmatch(field.name) is not None), field.name


@pytest.mark.parametrize("kind", MODELS, ids=lambda kind: kind.__name__)
def test_to_dict_shows_all(kind):
    """`to_dict` is the way to the data: every field, nested ones as dictionaries, nothing masked."""
    whole = record(kind)
    shown = to_dict(whole)
    assert set(shown) == set(kind.__struct_fields__)
    assert "***" not in repr(shown)
    assert not any(isinstance(value, Record) for value in shown.values())
    assert shown["meta"]["created_at"] == NOON


def test_to_dict_leaves_out_what_is_not_set():
    """A value that stands for `not given` is no value."""
    assert to_dict(Address(postal_code=None)) == {"postal_code": None}
    group = read(Group, {"id": ID, "schoolID": ID, "title": "7A", "memberIDs": [ID]})
    assert to_dict(group)["member_ids"] == [ID]


def test_to_dict_goes_as_deep_as_the_record():
    """Records in a list become dictionaries too, and the list is a new one."""

    class Household(Record):
        """People who live together."""

        members: list[Student]

    household = Household(members=[read(Student, STUDENT)])
    shown = to_dict(household)
    assert [type(member) for member in shown["members"]] == [dict]
    assert shown["members"][0]["first_name"] == CANARY
    assert shown["members"] is not household.members


# What a record is.


@pytest.mark.parametrize("kind", EVERY_KIND, ids=lambda kind: kind.__name__)
def test_records_are_frozen_and_keyword_only(kind):
    """A record is a value: it does not change, and its fields have names."""
    whole = record(kind)
    name = kind.__struct_fields__[0]
    with pytest.raises(AttributeError):
        setattr(whole, name, None)
    with pytest.raises(AttributeError):
        delattr(whole, name)
    with pytest.raises(AttributeError):
        whole.anything = 1
    with pytest.raises(TypeError):
        kind(ID)
    with pytest.raises(TypeError):
        kind(**required(kind), surname="Ek")


@pytest.mark.parametrize("kind", EVERY_KIND, ids=lambda kind: kind.__name__)
def test_records_are_equal_by_value_and_survive_copies(kind):
    """Equal fields make equal records; copies and pickles are equal to what they were made of."""
    whole = record(kind)
    for twin in (copy.copy(whole), copy.deepcopy(whole), repickled(whole)):
        assert twin == whole
        assert type(twin) is kind
    other = msgspec.structs.replace(whole, **{kind.__struct_fields__[-1]: None})
    assert other != whole


def test_records_without_lists_are_hashable():
    """Students can be members of a set."""
    assert len({read(Student, STUDENT), read(Student, STUDENT), read(Student, STUDENT | {"gender": "Male"})}) == 2


def test_records_of_two_resources_are_never_equal():
    """The same fields do not make a student an employee."""
    assert read(Student, STUDENT) != read(Employee, STUDENT)


def test_a_default_list_is_not_shared():
    """Each record has its own list."""
    one, other = (read(Guardian, STUDENT) for _ in range(2))
    assert one.student_ids == []
    assert one.student_ids is not other.student_ids


@pytest.mark.parametrize("kind", MODELS, ids=lambda kind: kind.__name__)
def test_records_stay_out_of_the_garbage_collector(kind):
    """Records cannot form cycles, so a hundred thousand of them cost the collector nothing."""
    assert not gc.is_tracked(record(kind))


# What the API may do.


@pytest.mark.parametrize("kind", MODELS, ids=lambda kind: kind.__name__)
def test_unknown_fields_are_ignored(kind):
    """A field that the API adds tomorrow breaks nobody today."""
    answer = written(record(kind)) | {"fromTheFuture": {"deep": [1, None]}}
    assert read(kind, answer) == record(kind)


@pytest.mark.parametrize("kind", MODELS, ids=lambda kind: kind.__name__)
def test_a_record_is_written_as_it_was_read(kind):
    """Decoding and encoding are inverse."""
    answer = written(record(kind))
    assert written(read(kind, answer)) == answer


def test_a_missing_required_field_is_refused():
    """A record without its identity is no record."""
    with pytest.raises(msgspec.ValidationError, match="identityNumber"):
        read(Student, {"id": ID, "firstName": "Bo", "lastName": "Ek"})


@pytest.mark.parametrize("value", [None, 7, [], {}])
def test_a_required_text_is_text(value):
    """A field of another type is refused, null too."""
    with pytest.raises(msgspec.ValidationError, match="lastName"):
        read(Student, STUDENT | {"lastName": value})


@pytest.mark.parametrize("enum", ENUMS, ids=lambda enum: enum.__name__)
def test_enums_are_open(enum):
    """A value that this version does not know is kept as itself; the known ones are themselves."""
    for member in enum:
        assert enum(member.value) is member
        assert member.known
        assert member == member.value
        assert str(member) == f"{member}" == member.value
    later = enum("Later")
    assert (later, later.value, later.name) == ("Later", "Later", "Later")
    assert not later.known
    assert isinstance(later, enum)
    assert later not in list(enum)
    assert str(later) == f"{later}" == "Later"


@pytest.mark.parametrize("enum", ENUMS, ids=lambda enum: enum.__name__)
def test_the_name_of_a_member_is_not_a_value(enum):
    """`FEMALE` is how Python spells `Female`: from the wire it would be an unknown value."""
    for member in enum:
        if member.name not in [other.value for other in enum]:
            assert not enum(member.name).known


def test_unknown_enum_values_survive_the_journey():
    """Read, compared, hashed, pickled, copied and written back, an unknown value stays what it was."""
    student = read(Student, STUDENT | {"gender": "Later"})
    assert student.gender == "Later" == Gender("Later")
    assert student.gender != Gender.OTHER
    assert hash(student.gender) == hash("Later")
    assert {student.gender: 1}["Later"] == 1
    assert repickled(student) == copy.deepcopy(student) == student
    assert written(student)["gender"] == "Later"
    group = read(Group, {"id": ID, "schoolID": ID, "title": "7A", "types": ["Later", "Class"]})
    assert group.types == [GroupType("Later"), GroupType.CLASS]
    assert group.category is GroupCategory.EDUCATION


@pytest.mark.parametrize("value", [7, True, [], {}])
def test_an_enum_is_text(value):
    """An open enum is open to new words, not to other types."""
    with pytest.raises(msgspec.ValidationError):
        read(Student, STUDENT | {"gender": value})
    with pytest.raises(ValueError, match="not a valid Gender"):
        Gender(value)


@given(st.text())
def test_any_text_can_be_an_enum_value(text):
    """No word of a later API breaks an enum."""
    code = ErrorCode(text)
    assert code == text
    assert hash(code) == hash(text)
    assert code.known == (text in [member.value for member in ErrorCode])


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-03-01T12:00:00Z", NOON),
        ("2026-03-01T13:00:00+01:00", NOON),
        ("2026-03-01T12:00:00.123456789Z", NOON + timedelta(microseconds=123457)),
        ("0001-01-01T00:00:00Z", datetime(1, 1, 1, tzinfo=UTC)),
    ],
)
def test_timestamps_are_aware(text, instant):
    """Whatever offset or precision the server uses, a timestamp is an instant."""
    meta = read(Meta, {"createdAt": text})
    assert meta.created_at == instant
    assert meta.created_at.utcoffset() is not None


@pytest.mark.parametrize("text", ["2026-03-01T12:00:00", "2026-03-01", "yesterday", "", 1772366400, None])
def test_a_timestamp_without_a_zone_is_refused(text):
    """A naive time would be some time on that day."""
    with pytest.raises(msgspec.ValidationError, match="createdAt"):
        read(Meta, {"createdAt": text})


def test_dates_are_dates():
    """A day has no time."""
    student = read(Student, STUDENT | {"dateOfBirth": "2015-02-28"})
    assert student.date_of_birth == date(2015, 2, 28)
    assert type(student.date_of_birth) is date
    with pytest.raises(msgspec.ValidationError):
        read(Student, STUDENT | {"dateOfBirth": "2015-02-29"})


def test_absent_objects_read_as_none():
    """`meta`, `external` and `address` may be missing; `external` may be null."""
    student = read(Student, STUDENT | {"external": None})
    assert (student.meta, student.external, student.address) == (None, None, None)
    placement = read(
        StudentPlacement, {"id": ID, "studentID": ID, "schoolID": ID, "schoolType": "GR", "startDate": "2026-08-15"}
    )
    assert (placement.has_childcare, placement.archived_at) == (False, None)


# Unset and null are two things in a write.


def test_an_address_sends_what_it_was_given():
    """None clears a field; a field that was not given is not sent."""
    assert written(Address(postal_code=None)) == {"postalCode": None}
    assert written(Address(postal_city="Solna", postal_code=None)) == {"postalCity": "Solna", "postalCode": None}
    assert written(Address()) == {}
    assert written(External(source_id="5")) == {"sourceID": "5"}


def test_an_address_that_was_read_sends_what_it_says():
    """An address from an answer is whole: given back in a write, it means the same address."""
    address = read(Address, {"postalCity": "Solna"})
    assert address.postal_code is None
    assert written(address) == dict.fromkeys(("postalAddress", "postalCode", "countryCode", "municipalityCode")) | {
        "postalCity": "Solna"
    }


def test_replace_keeps_unset_unset():
    """Changing one field of an address sends no other."""
    assert written(msgspec.structs.replace(Address(postal_city="Solna"), postal_code="1")) == {
        "postalCity": "Solna",
        "postalCode": "1",
    }


@pytest.mark.parametrize("kind", BODIES, ids=lambda kind: kind.__name__)
def test_a_body_with_nothing_optional_sends_nothing_optional(kind):
    """What is not given is not sent: no null, no default."""
    assert set(written(kind(**required(kind)))) == {field.wire for field in fields(kind) if field.required}

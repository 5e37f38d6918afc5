"""Names of fields: every spelling that people know means the same field, and a wrong one is told what there is."""

import pytest

from meitner_aio import MetaQuery, Student, StudentQuery
from meitner_aio._operations.operations import operations
from meitner_aio._operations.resource import model_of
from meitner_aio._wire.field_names import paths, resolved
from meitner_aio.export.formats.columns import Rows
from meitner_aio.resources import RESOURCES

MODELS = [model_of(kind) for kind in RESOURCES.values()]
QUERIES = [operations(kind)["search"].body for kind in RESOURCES.values() if "search" in operations(kind)]


def _spellings(path, known):
    """Yield a path as Python, the API, an option and a file's header have it."""
    parts = path.split(".")
    wires = [known[".".join(parts[: end + 1])].wire for end in range(len(parts))]
    yield from (path, ".".join(wires), path.replace("_", "-"), path.replace(".", "_"), path.upper())


@pytest.mark.parametrize("record", [*MODELS, *QUERIES], ids=lambda record: record.__name__)
def test_every_spelling_means_the_field_and_no_other(record):
    """Signs and capitals tell no two fields of any record or query apart: what is added later is held to that, too."""
    known = paths(record)
    assert {path: {resolved(one, known, "x") for one in _spellings(path, known)} for path in known} == {
        path: {path} for path in known
    }


@pytest.mark.parametrize("name", ["ab", "a_b", "external.source_id", "external_source_id"])
def test_a_name_that_is_one_means_that_field(name):
    """In a record of a user's own, where another field may differ in signs only."""
    assert resolved(name, ["a_b", "ab", "external.source_id", "external_source_id"], "x") == name
    assert resolved(name, ["external_source_id", "external.source_id", "ab", "a_b"], "x") == name


@pytest.mark.parametrize("record", MODELS, ids=lambda record: record.__name__)
def test_the_columns_of_exports_are_the_paths(record):
    """What a header says can be typed."""
    known = [path for path, field in paths(record).items() if path.count(".") or path not in ("meta", "external")]
    columns = [column.name for column in Rows(record).columns]
    assert columns == [path.replace(".", "_") for path in known if path != "address"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("last_nme", "students has no field 'last_nme'; did you mean 'last_name'? It has id, meta, meta.created_at"),
        ("lastNme", "did you mean 'last_name'?"),
        ("sourceID", "did you mean 'external.source_id'?"),
        ("", "students has no field ''; it has id, "),
        ("20150315-1234", "students has no field '***'; it has id, "),
    ],
)
def test_a_name_that_means_none_is_told_the_nearest_and_all(name, said):
    """What looks like a number of a person is not repeated: it was typed in the wrong place."""
    with pytest.raises(ValueError, match="has no field") as refused:
        resolved(name, paths(Student), "students")
    assert said in str(refused.value)
    assert str(refused.value).endswith("date_of_birth, edu_person_principal_name")


def test_a_query_has_paths_as_a_record_has():
    """Its objects are queries; what joins conditions is a list and has no paths below it."""
    known = paths(StudentQuery)
    assert known["meta"].type is MetaQuery
    assert "meta.updated_at" in known
    assert not [path for path in known if path.startswith(("any_of.", "all_of."))]

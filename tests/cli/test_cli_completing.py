"""What a shell is told where a field is named: the question that the installed scripts ask at a TAB."""

import pytest


@pytest.fixture
def ends(cli):
    """Give `ends(*words)`: what the last of the words may become."""

    def ask(*words):
        code, out, err = cli("__complete", *words)
        assert (code, err) == (0, "")
        return out.partition("\x1fbegin\n")[2].splitlines()

    return ask


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (("list", "students", "--fields", "last"), ["last_name", "last_name,"]),
        (("list", "students", "--fields", "id,last"), ["id,last_name", "id,last_name,"]),
        (("list", "students", "--fields", "lastN"), ["lastName", "lastName,"]),
        (("list", "students", "--fields", "external.s"), ["external.source_id", "external.source"]),
        (("list", "students", "--fields", "external.sourceI"), ["external.sourceID", "external.sourceID,"]),
        (("list", "students", "--fields=gen"), ["gender", "gender,"]),
        (("list", "students", "--fields", "last_name,last"), []),
        (("list", "schools", "--fields", "gen"), []),
        (("list", "studnets", "--fields", "gen"), []),
        (("search", "students", "--where", "last"), ["last_name=", "last_name!=", "last_name~", "last_name!~"]),
        (("search", "students", "--where", "'gend"), ["gender=", "gender!="]),
        (
            ("search", "student-placements", "--where", "modernLanguageA"),
            [f"modernLanguageAlternative{s}" for s in ("=", "!=")],
        ),
        (("search", "students", "--where", "meta.u"), ["meta.updated_at", "meta.updated_by"]),
        (("search", "grade-elementaries", "--where", "i"), []),
        (("export", "students", "guardians", "--where", "gend"), []),
        (("export", "students", "employees", "--to", "x", "--where", "gend"), ["gender=", "gender!="]),
        (("export", "students", "--fields", "exter"), ["external", "external,"]),
        (("export", "--fields", "me"), ["meta", "meta,"]),
    ],
)
def test_the_fields_of_the_resources_on_the_line(ends, words, found):
    """Those that all of them have, spelled as begun; for the last one left, the ways to go on from it."""
    assert ends(*words) == found


def test_every_field_is_offered(ends):
    """Where nothing is typed yet: objects, and the fields in them."""
    everything = ends("list", "students", "--fields", "")
    assert {"id", "external", "external.source_id", "address.postal_code", "gender"} <= {*everything}
    conditions = ends("search", "students", "--where", "")
    assert {*everything} - {*conditions} == {"external", "address", "meta"}

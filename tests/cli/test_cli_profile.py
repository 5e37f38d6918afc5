"""Settings kept in a file: what they settle, what beats them, and how a file is refused."""

import asyncio

import pytest

from meitner_aio import ApiKey, ConfigurationError, OAuth2
from meitner_aio._pipeline.settings import SERVERS
from meitner_aio.cli._exit import UsageError
from meitner_aio.cli._options import DirectoryOptions, PagingOptions
from meitner_aio.cli._profile import Profile, config_path, load
from meitner_aio.sandbox import Sandbox

SECRET = "canary-secret"
KEYS = f'client_credentials = "an-id"\nclient_secret = "{SECRET}"\n'


@pytest.fixture
def kept(monkeypatch, tmp_path):
    """Return what writes the file of settings, for the owner alone."""
    for name in ("HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "home"))

    def write(text, mode=0o600):
        path = config_path()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)
        return path

    return write


def test_the_file_is_where_the_platform_keeps_settings(kept):
    """In a folder of our own."""
    assert kept("").parts[-2:] == ("meitner-aio", "config.toml")


def test_a_profile_settles_everything_that_an_option_does(kept):
    """Each table is a profile, each key an option."""
    kept(
        '[school]\nserver = "staging"\npage_size = 500\nconcurrency = 4\nformat = "csv"\nto = "out"\nmax_wait = 60\n'
        '[own]\nbase_url = "https://directory.example/v1"\nclient_id = "an-id"\ntoken_url = "/token"\n'
    )
    assert load("school") == Profile(
        server="staging", page_size=500, concurrency=4, format="csv", to="out", max_wait=60.0
    )
    assert load("own").url({}) == "https://directory.example/v1"


def test_who_names_no_profile_has_the_default(kept):
    """`default`, or nothing at all where there is none; no profile inherits from it."""
    assert load(None) == Profile()
    kept(f"[default]\n{KEYS}[other]\npage_size = 7\n")
    assert load(None).client_credentials == "an-id"
    assert load("other") == Profile(page_size=7)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[school]\npage_sise = 5", "profile school has an unknown setting 'page_sise'; did you mean 'page_size'?"),
        ("[school]\npage_size = 0", "profile school: page_size: expected `int` >= 1"),
        ('[school]\npage_size = "5"', "profile school: page_size: expected"),
        ('[school]\nserver = "moon"', "profile school: server must be one of production, staging"),
        ('[school]\nformat = "xml"', "profile school: format must be one of ndjson, csv"),
        ("[school]\nmax_wait = -1", "profile school: max_wait: expected"),
        ("page_size = 5\n[school]", "page_size stands in no profile; put it below a line such as [default]"),
        ("[school\n", "is not TOML: at line 1"),
        ("[scool]", "there is no profile 'school' in"),
        ("[scool]", "did you mean 'scool'?"),
    ],
)
def test_a_file_that_cannot_be_meant_is_refused(kept, text, reason):
    """With the path of the file, and what would do."""
    path = kept(text)
    with pytest.raises(UsageError) as refused:
        load("school")
    assert reason in str(refused.value)
    assert str(path) in str(refused.value)


@pytest.mark.parametrize(
    "text", [f'client_secret = {SECRET}"', f'[a]\nserver = "{SECRET}"', f"[a]\npage_size = '{SECRET}'"]
)
def test_a_broken_file_is_refused_without_showing_it(kept, text):
    """What stands in the wrong place may be a secret."""
    kept(text)
    with pytest.raises(UsageError) as refused:
        load("a")
    assert SECRET not in str(refused.value)


@pytest.mark.usefixtures("kept")
def test_a_profile_of_no_file_is_refused():
    """Only one that is named: who names none needs no file."""
    with pytest.raises(UsageError, match="does not exist"):
        load("school")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644])
def test_secrets_that_others_may_read_are_refused(kept, mode):
    """Whichever profile holds them; the message says how to mend it."""
    path = kept(f"[default]\n[other]\n{KEYS}", mode)
    with pytest.raises(ConfigurationError, match="chmod 600") as refused:
        load(None)
    assert str(path) in str(refused.value)
    kept("[default]\npage_size = 5", mode)
    assert load(None).page_size == 5


def test_no_secret_shows():
    """Not in `repr`, and not in rich."""
    profile = Profile(client_credentials=SECRET, client_secret=SECRET, client_id=SECRET, server="staging")
    assert SECRET not in repr(profile) + str(list(profile.__rich_repr__()))
    assert "staging" in repr(profile)
    for url in (f"https://me:{SECRET}@x.example", f"https://x.example?key={SECRET}"):
        profile = Profile(base_url=url, token_url=url)
        assert SECRET not in repr(profile) + str(list(profile.__rich_repr__()))
    assert "https://x.example" in repr(Profile(base_url="https://x.example"))


BOTH = {"MEITNER_CLIENT_CREDENTIALS": "e", "MEITNER_CLIENT_SECRET": "e"}


@pytest.mark.parametrize(
    ("profile", "environment", "kind"),
    [
        ({}, {}, None),
        ({"client_credentials": "a"}, {}, None),
        ({"client_secret": "a"}, {}, None),
        ({"client_credentials": "a", "client_secret": "b"}, {}, ApiKey),
        ({"client_id": "a", "client_secret": "b"}, {}, OAuth2),
        ({"client_credentials": "a"}, {"MEITNER_CLIENT_SECRET": "b"}, ApiKey),
        ({"client_credentials": "a", "client_secret": "b"}, BOTH, None),
        ({"client_credentials": "a", "client_secret": "b"}, {"MEITNER_CLIENT_ID": "c"}, None),
    ],
)
def test_the_environment_beats_the_credentials_of_a_profile(profile, environment, kind):
    """As a pair: an id of the one is never sent with the secret of the other. None leaves it to the environment."""
    auth = Profile(**profile).auth(environment)
    assert auth is None if kind is None else type(auth) is kind


async def test_a_secret_of_the_environment_completes_an_id_of_the_file():
    """And beats the secret that the file has."""
    auth = Profile(client_credentials="a", client_secret="b").auth({"MEITNER_CLIENT_SECRET": "c"})
    assert await auth.headers() == {"Client-ID": "a", "Client-Secret": "c"}


@pytest.mark.parametrize(
    ("options", "environment", "profile", "url"),
    [
        ({}, None, {}, None),
        ({}, None, {"server": "staging"}, SERVERS["staging"]),
        ({}, None, {"server": "staging", "base_url": "https://f.example"}, "https://f.example"),
        ({}, "https://e.example", {"base_url": "https://f.example"}, "https://e.example"),
        ({"server": "staging"}, "https://e.example", {"base_url": "https://f.example"}, SERVERS["staging"]),
        ({"base_url": "https://o.example"}, "https://e.example", {"server": "staging"}, "https://o.example"),
    ],
)
def test_what_is_typed_beats_the_environment_beats_the_file(monkeypatch, options, environment, profile, url):
    """For the server."""
    if environment:
        monkeypatch.setenv("MEITNER_BASE_URL", environment)
    assert DirectoryOptions(**options).address(Profile(**profile)) == (url or SERVERS["production"])


def test_what_is_typed_beats_the_file_in_paging():
    """Each option by itself."""
    paging = PagingOptions(page_size=5).completed(Profile(page_size=7, concurrency=9))
    assert (paging.page_size, paging.concurrency) == (5, 9)


def test_the_environment_names_a_profile_and_an_option_another(kept, monkeypatch):
    """MEITNER_PROFILE, and --profile before it."""
    kept("[one]\npage_size = 1\n[two]\npage_size = 2\n")
    monkeypatch.setenv("MEITNER_PROFILE", "one")
    assert DirectoryOptions().settings().page_size == 1
    assert DirectoryOptions(profile="two").settings().page_size == 2


def test_the_sandbox_has_no_profile(cli, kept, tmp_path):
    """Its data must not end up in the folder of the real one, and a broken file does not concern it."""
    kept(f'[default]\nto = "{tmp_path / "real"}"')
    code, _, err = cli("export", "units", "--sandbox")
    assert (code, "--to" in err, (tmp_path / "real").exists()) == (2, True, False)
    kept("[broken")
    assert cli("count", "units", "--sandbox")[0] == 0


def test_a_broken_file_is_wrong_usage(cli, kept):
    """Exit code 2, one line."""
    kept("[broken")
    code, out, err = cli("count")
    assert (code, out, err.count("\n")) == (2, "", 1)


def test_an_open_file_of_secrets_is_a_matter_of_credentials(cli, kept):
    """Exit code 4, and no secret shown."""
    kept(f"[default]\n{KEYS}", 0o644)
    code, out, err = cli("count")
    assert (code, out, err.count("\n"), SECRET in err) == (4, "", 1, False)


async def test_an_export_by_profile_alone(cli, kept, tmp_path):
    """Credentials, server, folder, page size: nothing is typed but the resource."""
    async with Sandbox(students=30, credentials=("an-id", SECRET)) as sandbox:
        kept(f'[default]\n{KEYS}base_url = "{sandbox.url}"\nto = "{tmp_path / "out"}"\npage_size = 7\n')
        code, out, err = await asyncio.to_thread(cli, "export", "students")
        pages = [seen for seen in sandbox.requests if seen.path.endswith("/student")]
    assert (code, err) == (0, "students: 30 rows\n")
    assert len((tmp_path / "out" / "students.ndjson").read_text().splitlines()) == 30
    assert len(pages) == 5
    assert SECRET not in out

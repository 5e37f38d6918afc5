"""Tenants by the names of their profiles: read from the file, and from nothing else."""

from __future__ import annotations

import pytest
from profile_files import settings

from meitner_aio import ConfigurationError
from meitner_aio.sandbox import Sandbox
from meitner_aio.tenants import export_many, sync_many

pytestmark = pytest.mark.usefixtures("own_settings")
KEY = 'client_credentials = "an-id"\nclient_secret = "a-secret"\n'


async def test_a_text_is_the_name_of_a_profile(tmp_path):
    """Each goes to its own server with its own credentials, to the folder that it is called by here."""
    async with (
        Sandbox(students=3, credentials=("solna-id", "solna-secret")) as solna,
        Sandbox(students=4, credentials=("lund-id", "lund-secret")) as lund,
    ):
        settings(
            *(
                f'[{name}]\nclient_credentials = "{name}-id"\nclient_secret = "{name}-secret"\nbase_url = "{one.url}"'
                for name, one in (("solna", solna), ("lund", lund))
            )
        )
        exported = await export_many({"solna": "solna", "south": "lund"}, ["students"], to=tmp_path / "out")
        synced = await sync_many({"south": "lund"}, ["students"], to=tmp_path / "copies")
    assert (exported.ok, synced.ok) == (True, True)
    lines = {path.parent.name: len(path.read_text().splitlines()) for path in tmp_path.glob("out/*/students.ndjson")}
    assert lines == {"solna": 3, "south": 4}
    assert synced["south"].report.inserted == 4


@pytest.mark.parametrize("many", [export_many, sync_many])
async def test_what_is_wrong_with_profiles_is_said_at_once(tmp_path, monkeypatch, many):
    """One that is not there, one for two folders, and an environment that would beat all of them."""
    settings(f"[solna]\n{KEY}[lund]\n{KEY}")
    with pytest.raises(ConfigurationError, match="no profile 'sollna'"):
        await many({"a": "solna", "b": "sollna"}, ["students"], to=tmp_path / "out")
    with pytest.raises(ValueError, match="two tenants have the same profile"):
        await many({"a": "solna", "b": "solna"}, ["students"], to=tmp_path / "out")
    monkeypatch.setenv("MEITNER_CLIENT_ID", "an-id")
    with pytest.raises(ConfigurationError, match="MEITNER_CLIENT_ID would be that of every profile"):
        await many({"a": "solna"}, ["students"], to=tmp_path / "out")
    assert not (tmp_path / "out").exists()

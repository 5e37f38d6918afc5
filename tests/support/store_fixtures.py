"""Fixtures of tests that export into object stores."""

import pytest
from object_stores import s3_server, store_environment
from store_proxy import StoreProxy


@pytest.fixture(scope="session")
def s3_process():
    """Run an S3 for all tests of this process."""
    with s3_server() as server:
        yield server


@pytest.fixture
def s3(s3_process, monkeypatch, tmp_path):
    """Give an S3 with an empty bucket, which the environment names; requests that fail are tried again at once."""
    store_environment(monkeypatch, tmp_path)
    for name, value in s3_process.variables().items():
        monkeypatch.setenv(name, value)
    s3_process.bucket()
    return s3_process


@pytest.fixture
async def proxy(s3, monkeypatch):
    """Put a proxy before the S3, and its address into the environment."""
    async with StoreProxy(s3.url) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        yield proxy

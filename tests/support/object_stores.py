"""Object stores for tests: an S3 of moto in a thread, an Azurite in a process; both on free ports of loopback."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from lacking import lacking

BUCKET = "exports"
KEY, SECRET = "AKIACANARY4242424242", "canary-secret-4242"
_ACCOUNT = "devstoreaccount1"
_ACCOUNT_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""Published with the emulator."""
_PATIENCE = 30.0
_WITH_US = '"$@" >/dev/null 2>&1 & echo $!; read -r _; kill -9 $!'
"""A shell that runs a server, and kills it when nobody holds our end of the pipe any more."""


def store_environment(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    """Keep whatever gives credentials out of a test, and let requests that fail be tried again at once, and twice."""
    from meitner_aio.export.destinations import _object_store

    for name in os.environ:
        if name.startswith(("AWS_", "AZURE_", "GOOGLE_", "XDG_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home))
    instantly = {"init_backoff": timedelta(milliseconds=1), "max_backoff": timedelta(milliseconds=2), "base": 2}
    monkeypatch.setattr(
        _object_store, "RETRY", {"max_retries": 2, "retry_timeout": timedelta(seconds=20), "backoff": instantly}
    )


class S3:
    """A server of S3, whose state a client of another make shows."""

    def __init__(self, url: str) -> None:
        import boto3

        self.url = url
        self.client: Any = boto3.client(
            "s3", endpoint_url=url, region_name="us-east-1", aws_access_key_id=KEY, aws_secret_access_key=SECRET
        )

    def variables(self, url: str | None = None) -> dict[str, str]:
        """Return what the environment holds of somebody who uses it; of a proxy before it, with its `url`."""
        return {
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": url or self.url,
        }

    def bucket(self, name: str = BUCKET) -> None:
        """Make an empty bucket."""
        with suppress(Exception):
            self.clear(name)
        with suppress(self.client.exceptions.BucketAlreadyOwnedByYou):
            self.client.create_bucket(Bucket=name)

    def clear(self, name: str = BUCKET) -> None:
        """Remove what a bucket holds."""
        for upload in self.client.list_multipart_uploads(Bucket=name).get("Uploads", []):
            self.client.abort_multipart_upload(Bucket=name, Key=upload["Key"], UploadId=upload["UploadId"])
        for key in self.objects(name):
            self.client.delete_object(Bucket=name, Key=key)

    def objects(self, name: str = BUCKET) -> list[str]:
        """Return the keys of all objects."""
        return [one["Key"] for one in self.client.list_objects_v2(Bucket=name).get("Contents", [])]

    def get(self, key: str, name: str = BUCKET) -> bytes:
        """Return the content of an object."""
        return self.client.get_object(Bucket=name, Key=key)["Body"].read()

    def uploads(self, name: str = BUCKET) -> list[str]:
        """Return the keys of uploads that are neither complete nor aborted."""
        return [one["Key"] for one in self.client.list_multipart_uploads(Bucket=name).get("Uploads", [])]


@contextmanager
def s3_server() -> Iterator[S3]:
    """Run an S3 in a thread."""
    import logging

    from moto.s3 import models
    from moto.server import ThreadedMotoServer

    models.S3_UPLOAD_PART_MIN_SIZE = 1  # five megabytes of test data for a second part help nobody

    for name in ("werkzeug", "botocore", "boto3", "urllib3"):
        logging.getLogger(name).setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield S3(f"http://{host}:{port}")
    finally:
        server.stop()


@contextmanager
def azurite(folder: os.PathLike[str]) -> Iterator[dict[str, str]]:
    """Run an Azurite; yields what the environment of its user holds. Skips the test where there is none, but in CI."""
    binary = shutil.which("azurite-blob")
    if binary is None:
        lacking("azurite-blob is not installed: npm install --global azurite")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = ["--blobHost", "127.0.0.1", "--blobPort", str(port), "--location", str(folder), "--silent"]
    shell = subprocess.Popen(
        ["/bin/sh", "-c", _WITH_US, "sh", binary, *options, "--skipApiVersionCheck", "--disableTelemetry"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        _wait_for(port)
        yield {
            "AZURE_STORAGE_ACCOUNT_NAME": _ACCOUNT,
            "AZURE_STORAGE_ACCOUNT_KEY": _ACCOUNT_KEY,
            "AZURE_STORAGE_ENDPOINT": f"http://127.0.0.1:{port}/{_ACCOUNT}",
        }
    finally:
        shell.communicate()


def _wait_for(port: int) -> None:
    ends = time.monotonic() + _PATIENCE
    while time.monotonic() < ends:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1.0):
            return
        time.sleep(0.05)
    raise RuntimeError("Azurite does not listen")

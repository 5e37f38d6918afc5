"""The page about object stores keeps its word: its examples run, its rules are ones that a store takes."""

from __future__ import annotations

import json
import re
import runpy
import shlex
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pages import blocks, examples, page

from meitner_aio import DestinationReason, Meitner

PAGE = page("object-stores.md")
BUCKET = "kommun-exports"


async def test_the_examples_in_python_run(
    s3: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """An export, then a reader of it; `meitner` is an open client, and the store is on this machine."""
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")  # for the reader, who is none of ours
    s3.bucket(BUCKET)
    exporting, reading = examples("object-stores.md")
    (tmp_path / "exporting.py").write_text("async def example(meitner):\n" + textwrap.indent(exporting, "    "))
    (tmp_path / "reading.py").write_text(reading)
    async with Meitner.sandbox(students=20) as meitner:
        await runpy.run_path(str(tmp_path / "exporting.py"))["example"](meitner)
    runpy.run_path(str(tmp_path / "reading.py"))
    assert "students 20" in capsys.readouterr().out
    file = json.loads(s3.get("meitner/manifest.json", BUCKET))["resources"]["students"]["file"]
    assert re.fullmatch(r"run=\d{8}T\d{6}Z-[0-9a-f]{8}/students\.ndjson", file)
    assert re.search(r"# run=\d{8}T\d{6}Z-[0-9a-f]{8}/students\.ndjson", exporting)


def test_the_command_runs(cli: Callable[..., tuple[int, str, str]], s3: Any) -> None:
    """As it is written, with a sandbox for the directory."""
    s3.bucket(BUCKET)
    (block,) = blocks("object-stores.md", "sh")
    program, *words = shlex.split(block.text)
    assert program == "meitner-aio"
    assert cli(*words, "--sandbox", "--students", "20")[0] == 0
    assert "meitner/manifest.json" in s3.objects(BUCKET)


def test_the_rule_for_abandoned_uploads_is_one(s3: Any) -> None:
    """A store takes it, and has it then; the rights are JSON that names what is called."""
    s3.bucket(BUCKET)
    rights, rule = (json.loads(block.text) for block in blocks("object-stores.md", "json"))
    s3.client.put_bucket_lifecycle_configuration(Bucket=BUCKET, LifecycleConfiguration=rule)
    (known,) = s3.client.get_bucket_lifecycle_configuration(Bucket=BUCKET)["Rules"]
    assert known["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 1}
    assert {action for one in rights["Statement"] for action in one["Action"]} >= {"s3:GetObject", "s3:PutObject"}


def test_every_reason_is_on_the_page() -> None:
    """Whoever handles errors finds each, and its exit code."""
    assert [reason.name for reason in DestinationReason if f"`{reason.name}`" not in PAGE] == []

"""The metrics of `sync`: read back by Prometheus' own parser, written so that nobody reads half of them."""

from __future__ import annotations

import os
import re
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pages import page
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from meitner_aio import APIConnectionError, Quota, RequestSent, TooManyDeletions
from meitner_aio.cli._metrics import Family, text_of, write
from meitner_aio.cli._runs import Ran, Requests, Totals
from meitner_aio.mirror import Count, SyncReport

AT = datetime(2026, 11, 29, 5, 15, 3, tzinfo=UTC)
QUOTA = Quota(1500, 1200, AT)


def _ran(**counts: Count) -> Ran:
    return Ran(AT, 1.25, {"students": 2, "audit_events": 1}, (SyncReport(counts, 3, complete=True),))


def _parsed(text: str) -> dict[str, Metric]:
    return {family.name: family for family in text_string_to_metric_families(text)}


def _values(text: str) -> dict[str, dict[tuple[str, ...], float]]:
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = tuple(value for name, value in sample.labels.items() if name != "mirror")
            assert labels not in found.setdefault(sample.name, {})
            found[sample.name][labels] = sample.value
    return found


def _text(totals: Totals, rows: dict[str, int] | None = None, quota: Quota | None = QUOTA) -> str:
    return text_of(totals.families(AT, AT, rows or {}, quota), (("mirror", "directory.sqlite"),))


def test_runs_are_counted() -> None:
    """Counters rise from run to run, gauges are those of the last."""
    totals = Totals()
    totals.add(_ran(students=Count(inserted=12, updated=3), units=Count(unchanged=2)))
    totals.add(_ran(students=Count(inserted=1, deleted=4)))
    totals.add(Ran(AT, 0.5, {"students": 1}, error=APIConnectionError("no connection")))
    values = _values(_text(totals, {"students": 9, "units": 2}))
    assert values["meitner_sync_rows_total"]["students", "inserted"] == 13
    assert values["meitner_sync_rows_total"]["students", "updated"] == 3
    assert values["meitner_sync_rows_total"]["students", "deleted"] == 4
    assert values["meitner_sync_rows_total"]["units", "unchanged"] == 2
    assert values["meitner_sync_requests_total"] == {(): 7}
    assert values["meitner_sync_failures_total"] == {(): 1}
    assert values["meitner_sync_duration_seconds"] == {(): 0.5}
    assert values["meitner_sync_last_run_timestamp_seconds"] == {(): AT.timestamp()}
    assert values["meitner_sync_last_success_timestamp_seconds"] == {(): AT.timestamp()}
    assert values["meitner_sync_age_seconds"] == {(): 0.0}
    assert values["meitner_mirror_rows"] == {("students",): 9, ("units",): 2}
    assert values["meitner_quota_remaining"] == {(): 1200}
    assert values["meitner_quota_limit"] == {(): 1500}


def test_a_copy_grows_older_while_runs_fail() -> None:
    """By the clock of when it is written."""
    totals = Totals()
    totals.add(Ran(AT, 0.5, {}, error=APIConnectionError("no connection")))
    text = text_of(totals.families(AT + timedelta(hours=2), AT, {}, None))
    assert _values(text)["meitner_sync_age_seconds"] == {(): 7200.0}


def test_held_deletions_are_a_number_until_a_run_goes_through() -> None:
    """An alarm can be made of it, and ends by itself."""
    totals = Totals()
    held = TooManyDeletions("many", deletions={"students": 137}, rows={"students": 412})
    totals.add(Ran(AT, 0.5, {}, error=held))
    assert _values(_text(totals))["meitner_sync_held_deletions"] == {("students",): 137}
    assert _values(_text(totals))["meitner_sync_failures_total"] == {(): 1}
    totals.add(_ran(students=Count(deleted=137)))
    assert _values(_text(totals))["meitner_sync_held_deletions"] == {("students",): 0}


def test_an_incomplete_run_is_a_failure() -> None:
    """The copy is not shown to be true."""
    totals = Totals()
    totals.add(Ran(AT, 1.0, {}, (SyncReport({}, 3, complete=False),)))
    assert _values(_text(totals))["meitner_sync_failures_total"] == {(): 1}


def test_what_is_not_known_is_left_out() -> None:
    """Zero would be a lie: of the last success before the first, of a quota that no answer told."""
    totals = Totals()
    totals.add(Ran(AT, 0.5, {}, error=APIConnectionError("no connection")))
    text = text_of(totals.families(AT, None, {}, None))
    assert "last_success" not in text
    assert "age" not in text
    assert "quota" not in text
    assert "last_run" in text


def test_names_are_as_prometheus_wants_them() -> None:
    """Counters end in _total, times in seconds, every family says what it is; no two are one in OpenMetrics."""
    totals = Totals()
    totals.add(_ran(students=Count()))
    text = _text(totals, {"students": 9})
    helped = [line.split()[2] for line in text.splitlines() if line.startswith("# HELP ")]
    typed = {line.split()[2]: line.split()[3] for line in text.splitlines() if line.startswith("# TYPE ")}
    assert helped == list(typed)
    assert set(typed.values()) == {"gauge", "counter"}
    assert all(name.endswith("_total") == (kind == "counter") for name, kind in typed.items())
    assert len({name.removesuffix("_total") for name in typed}) == len(typed)
    assert all(family.documentation for family in _parsed(text).values())
    assert all(
        not ("timestamp" in name or "duration" in name or "age" in name) or name.endswith("_seconds") for name in typed
    )
    assert text.endswith("\n")


@given(st.text(), st.text().filter(lambda text: "\r" not in text))
def test_labels_and_helps_survive_whatever_they_hold(label: str, words: str) -> None:
    """Quotes, backslashes, ends of lines, braces: a path may have them."""
    family = Family("meitner_any", "gauge", " ".join(words.split()) or "any", {(("resource", label),): 1.5})
    try:
        text = text_of([family], (("mirror", label[::-1]),))
        text.encode()
    except UnicodeEncodeError:
        return
    (found,) = text_string_to_metric_families(text)
    (sample,) = found.samples
    assert sample.labels == {"mirror": label[::-1], "resource": label}
    assert sample.value == 1.5


def test_the_page_about_it_names_every_metric() -> None:
    """And no other."""
    totals = Totals()
    totals.add(_ran(students=Count()))
    named = set(re.findall(r"`(meitner_(?:sync|mirror|quota)_\w+)", page("sync.md")))
    assert named == {family.name for family in totals.families(AT, AT, {"students": 9}, QUOTA)}


def test_requests_are_counted_by_resource() -> None:
    """Those of a search are of its resource, those sent again count; what no resource has is named by its path."""
    requests = Requests()
    for route in ("/student", "/student/_search", "/student-placement/_search", "/audit-event/_search", "/oauth/token"):
        requests.tell(RequestSent("GET", route, 1))
    assert requests.sent == {"students": 2, "student_placements": 1, "audit_events": 1, "oauth": 1}
    assert requests.latest == "oauth"


def test_a_file_is_replaced_whole_and_everybody_may_read_it(tmp_path: Path) -> None:
    """Whatever the umask, and whatever a killed process left; nothing stays beside it."""
    path = tmp_path / "meitner.prom"
    (tmp_path / ".meitner.prom.tmp").write_text("half of")
    before = os.umask(0o077)
    try:
        write(path, "meitner_any 1\n")
        with path.open() as reader:
            write(path, "meitner_any 2\n")
            assert reader.read() == "meitner_any 1\n"
    finally:
        os.umask(before)
    assert path.read_text() == "meitner_any 2\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert [one.name for one in tmp_path.iterdir()] == ["meitner.prom"]


def test_a_file_that_cannot_be_written_leaves_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And nothing of its own."""
    path = tmp_path / "meitner.prom"
    write(path, "meitner_any 1\n")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space"):
        write(path, "meitner_any 2\n")
    assert path.read_text() == "meitner_any 1\n"
    assert [one.name for one in tmp_path.iterdir()] == ["meitner.prom"]


def test_a_link_in_the_place_of_what_is_made_is_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody who may write to the folder of metrics must not choose what is overwritten."""
    precious = tmp_path / "precious"
    precious.write_text("precious")
    (tmp_path / ".meitner.prom.tmp").symlink_to(precious)
    (tmp_path / "meitner.prom").symlink_to(precious)
    write(tmp_path / "meitner.prom", "meitner_any 1\n")
    assert precious.read_text() == "precious"
    assert not (tmp_path / "meitner.prom").is_symlink()
    (tmp_path / ".meitner.prom.tmp").symlink_to(precious)
    monkeypatch.setattr(Path, "unlink", lambda *_, **__: None)  # it is made again in between
    with pytest.raises(FileExistsError):
        write(tmp_path / "meitner.prom", "meitner_any 2\n")
    assert precious.read_text() == "precious"

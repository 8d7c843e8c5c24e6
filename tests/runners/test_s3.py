"""Recordings in S3, archive in S3, against moto's server on loopback."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from typer.testing import CliRunner

from callscan.archive import Archive
from callscan.archive.verify import verify
from callscan.audio import hash_file
from callscan.cli import app
from callscan.config import Settings
from callscan.errors import ArchiveError
from callscan.runners.scan import scan
from callscan.speech.fake import FakeEngine

fsspec = pytest.importorskip("fsspec")
pytest.importorskip("s3fs")
server = pytest.importorskip("moto.server")


@pytest.fixture(scope="module")
def bucket(recordings: Path) -> Iterator[str]:
    """A bucket with the recordings; the environment points every S3 client at it, as it would at a real one."""
    moto = server.ThreadedMotoServer("127.0.0.1", 0)
    moto.start()
    host, port = moto.get_host_and_port()
    variables = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    filesystem = fsspec.filesystem("s3", skip_instance_cache=True)
    filesystem.mkdir("calls")
    filesystem.put(f"{recordings}/", "calls/recordings/", recursive=True)
    yield "s3://calls"
    for name, value in before.items():
        os.environ.pop(name) if value is None else os.environ.update({name: value})
    moto.stop()


def outcome(archive: str) -> list[tuple[str, str, str, int]]:
    """What became of each recording, wherever it lay."""
    return sorted(
        (record.call_id, record.status, record.key, len(record.transcript.segments) if record.transcript else 0)
        for record in Archive(archive).records()
    )


def test_from_s3_into_s3_is_as_from_disk_to_disk(
    bucket: str, recordings: Path, settings: Settings, tmp_path: Path
) -> None:
    report = scan(f"{bucket}/recordings", archive=f"{bucket}/archive", settings=settings, engine=FakeEngine)
    assert (report.coverage.discovered, report.coverage.scanned, report.coverage.duplicate) == (8, 6, 1)
    scan(recordings, archive=tmp_path / "archive", settings=settings, engine=FakeEngine)
    assert outcome(f"{bucket}/archive") == outcome(str(tmp_path / "archive"))
    assert verify(Archive(f"{bucket}/archive"), hash_file).problems == ()


def test_report_rescan_and_export_of_an_archive_in_s3(bucket: str, settings: Settings, tmp_path: Path) -> None:
    archive = f"{bucket}/reported"
    scan(f"{bucket}/recordings", archive=archive, settings=settings, engine=FakeEngine)
    command = CliRunner()
    shown = command.invoke(app, ["report", archive, "--json"])
    assert json.loads(shown.stdout) == json.loads(Archive(archive).store.read("report/report.json"))
    counted = command.invoke(app, ["rescan", archive, "--json"])
    assert json.loads(counted.stdout) == json.loads(Archive(archive).store.read("report/report.json"))
    assert json.loads(counted.stdout)["coverage"] == json.loads(shown.stdout)["coverage"]
    assert (shown.exit_code, counted.exit_code) == (0, 0)
    assert command.invoke(app, ["export", archive, "--format", "vtt", "--out", str(tmp_path / "vtt")]).exit_code == 0
    assert len(list((tmp_path / "vtt").iterdir())) == 6


def test_killed_and_continued_in_s3(crash_test: ModuleType, bucket: str, settings: Settings) -> None:
    scan(f"{bucket}/recordings", archive=f"{bucket}/whole", settings=settings, engine=FakeEngine)
    archive = f"{bucket}/killed"
    process = multiprocessing.get_context("spawn").Process(
        target=crash_test.run_scan, args=(f"{bucket}/recordings", archive, settings)
    )
    process.start()
    store = Archive.create(archive)
    while not store.shard_ids() and process.is_alive():
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.join()
    left = len(store.shard_ids())
    scan(f"{bucket}/recordings", archive=archive, settings=settings, engine=FakeEngine)
    assert left <= len(store.shard_ids()) == 3
    assert crash_test.results(archive) == crash_test.results(f"{bucket}/whole")


def test_of_two_runs_that_plan_at_once_one_stops(bucket: str) -> None:
    archive = Archive.create(f"{bucket}/raced")
    archive.plan(1, [])
    with pytest.raises(ArchiveError, match="another run is writing"):
        archive.plan(1, [])

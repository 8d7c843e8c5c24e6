from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from callscan.archive import Archive
from callscan.cli import app
from callscan.errors import ArchiveError, ConfigError, UsageError
from callscan.speech.fake import FakeEngine


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("callscan.runners.scan.load_engine", lambda settings: FakeEngine())

    def invoke(*arguments: object):
        return CliRunner().invoke(app, [str(argument) for argument in arguments])

    return invoke


@pytest.fixture(scope="module")
def toml(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("settings") / "settings.toml"
    path.write_text("[calls]\nsettle = 0.0\n[shards]\ncalls = 3\n")
    return path


def test_scan_status_verify_show(run, recordings: Path, keywords: Path, toml: Path, tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    options = ("scan", recordings, "--archive", archive, "--keywords", keywords, "--config", toml)
    done = run(*options, "--json")
    assert done.exit_code == 1
    assert json.loads(done.stdout)["coverage"]["discovered"] == 8
    assert "8 recordings discovered, 8 to listen to" in done.stderr
    assert "1 of these recordings are quarantined" in done.stderr
    assert run(*options, "--max-failures", 1).exit_code == 0

    status = run("status", archive)
    assert status.stdout.startswith("8 recordings = 6 scanned + ")
    assert json.loads(run("status", archive, "--json").stdout)["waiting"] == 0

    verified = json.loads(run("verify", archive, "--json").stdout)
    assert (verified["problems"], verified["rehashed"]) == ([], 8)
    (shard, *_) = Archive(str(archive)).shards()
    Path(shard).write_bytes(Path(shard).read_bytes()[:-9])
    assert run("verify", archive).exit_code == 1


def test_show_a_call(run, recordings: Path, keywords: Path, toml: Path, tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    run("scan", recordings, "--archive", archive, "--keywords", keywords, "--config", toml)
    text = run("show", archive, "call_00001").stdout
    assert re.search(r"^call_00001  scanned$", text, re.MULTILINE)
    assert re.search(r"^ +0:\d\d\.\d  (agent|customer) ", text, re.MULTILINE)
    record = json.loads(run("show", archive, "call_00001", "--format", "json").stdout)
    assert record["transcript"]["segments"][0]["words"]
    assert isinstance(run("show", archive, "nobody").exception, ArchiveError)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (["--device", "tpu"], ConfigError),
        (["--channels", "agent,client"], ConfigError),
        (["--workers", "0"], ConfigError),
        (["--config", "none.toml"], ConfigError),
        (["--metadata", "none.csv"], UsageError),
    ],
)
def test_wrong_options(run, recordings: Path, tmp_path: Path, options: list[str], error: type[Exception]) -> None:
    done = run("scan", recordings, "--archive", tmp_path / "archive", *options)
    assert isinstance(done.exception, error)
    assert not (tmp_path / "archive").exists()


SLOW = """
import sys, time, callscan.runners.scan
from callscan.speech.fake import FakeEngine

class Slow(FakeEngine):
    def transcribe(self, calls):
        for speech in super().transcribe(calls):
            print("heard", file=sys.stderr, flush=True)
            time.sleep(0.2)
            yield speech

callscan.runners.scan.load_engine = lambda settings: Slow()
from callscan.cli import main
main()
"""


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_is_130_and_nothing_half_done_stays(
    recordings: Path, keywords: Path, toml: Path, tmp_path: Path, stop: signal.Signals
) -> None:
    archive = tmp_path / "archive"
    arguments = ["scan", recordings, "--archive", archive, "--keywords", keywords, "--config", toml]
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW, *map(str, arguments)],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        # What runs in the background of a script has SIGINT ignored, and hands that on.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stderr is not None
    for line in process.stderr:
        if line == "heard\n":
            break
    process.send_signal(stop)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 130
    assert out == ""
    assert "continues where this one stopped" in err
    held = Archive(str(archive))
    assert held.coverage()["discovered"] == 8
    assert held.coverage()["deferred"] >= 5
    assert not list(archive.rglob(".partial-*"))

"""The real pyannote.audio on the embedded pipeline, loaded as it ships. Needs the extra ``pyannote``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import callscan.demo
from callscan.config import Settings
from callscan.diarization import models
from callscan.errors import ModelError

CALLS = Path(callscan.demo.__file__).parent / "calls"
TRUTH = json.loads((CALLS / "truth.json").read_text("utf-8"))
MONO = sorted(name for name, call in TRUTH.items() if call["channels"] == 1)

real = pytest.mark.skipif(not models.installed(), reason="the extra pyannote is not installed")

_SENDS = """
import sys
touched = []
sys.addaudithook(lambda event, details: touched.append(event) if event in WATCHED else None)
WATCHED = ("socket.connect", "socket.getaddrinfo", "socket.sendto")
import numpy as np
from callscan.config import Settings
from callscan.worker import load_diariser
diariser = load_diariser(Settings().override(diarization={"pipeline": "demo"}, speech={"device": "cpu", "threads": 1}))
noise = np.random.default_rng(0).normal(0, 0.1, 16000 * 12).astype(np.float32)
diariser.turns(noise)
from pyannote.audio.telemetry import metrics
metrics.provider.force_flush()
assert not metrics.is_metrics_enabled()
assert touched == [], touched
# The same again with the telemetry on, to show that it would have been noticed.
metrics.set_telemetry_metrics(True)
diariser.turns(noise)
metrics.provider.force_flush(3000)
assert touched, "telemetry was not noticed"
print("nothing was sent")
"""


def python(code: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, **environment}, timeout=240
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@real
def test_nothing_is_sent_even_where_the_environment_asks_for_it() -> None:
    assert python(_SENDS, PYANNOTE_METRICS_ENABLED="1", OMP_NUM_THREADS="1").strip() == "nothing was sent"


def test_torch_is_not_imported_before_a_mono_call() -> None:
    code = """
import sys
import callscan.worker
from callscan.config import Settings
callscan.worker.load_diariser(Settings().override(diarization={"pipeline": "auto"}))
print(sorted({"torch", "pyannote.audio", "torchaudio"} & set(sys.modules)))
"""
    assert python(code).strip() == "[]"


@pytest.fixture(scope="module")
def scanned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive of the mono sample calls, scanned by the command line."""
    archive = tmp_path_factory.mktemp("mono") / "archive"
    recordings = [str(CALLS / TRUTH[name]["file"]) for name in MONO]
    options = ["--archive", str(archive), "--model", "demo", "--device", "cpu", "--diarization", "demo"]
    command = [sys.executable, "-c", "from callscan.cli import main; main()", "scan", *recordings, *options]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return archive


@real
def test_the_mono_sample_calls_have_speakers(scanned: Path) -> None:
    from callscan.archive import Archive

    right = words = 0
    for record in Archive(str(scanned)).records():
        assert record.transcript is not None
        turns = record.transcript.turns
        assert {turn.speaker for turn in turns} == {"agent", "customer"}
        for said in TRUTH[record.call_id]["turns"]:
            middle = (said["start"] + said["end"]) / 2
            right += any(t.start <= middle < t.end and t.speaker == said["speaker"] for t in turns)
            words += 1
    assert right / words >= 0.9


@real
def test_the_exported_rttm_is_what_the_archive_holds(scanned: Path, tmp_path: Path) -> None:
    from callscan.archive import Archive

    code = "from callscan.cli import main; main()"
    command = [sys.executable, "-c", code, "export", str(scanned), "--format", "rttm", "--out", str(tmp_path)]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    from pyannote.database.util import load_rttm

    for record in Archive(str(scanned)).records():
        assert record.transcript is not None
        read = load_rttm(tmp_path / f"{record.call_id}.rttm")[record.call_id]
        kept = sorted((t.start, t.end, t.speaker) for t in record.transcript.turns)
        got = sorted((round(s.start, 3), round(s.end, 3), label) for s, _, label in read.itertracks(yield_label=True))
        assert [label for *_, label in got] == [speaker for *_, speaker in kept]
        assert [time for row in got for time in row[:2]] == pytest.approx(
            [t for row in kept for t in row[:2]], abs=2e-3
        )


@real
def test_a_folder_that_is_no_pipeline(tmp_path: Path) -> None:
    from callscan.worker import load_diariser

    (tmp_path / "config.yaml").write_text("pipeline: {name: nothing.Here}\n")
    diariser = load_diariser(Settings().override(diarization={"pipeline": str(tmp_path)}))
    assert diariser is not None
    import numpy as np

    with pytest.raises(ModelError, match="is no pipeline that pyannote"):
        diariser.turns(np.zeros(16_000, np.float32))


@real
def test_no_sound_has_no_turns() -> None:
    import numpy as np

    from callscan.worker import load_diariser

    diariser = load_diariser(Settings().override(diarization={"pipeline": "demo"}, speech={"threads": 1}))
    assert diariser is not None
    for seconds in (0.0, 0.05, 1.0, 30.0):
        assert diariser.turns(np.zeros(int(16_000 * seconds), np.float32)) == ()

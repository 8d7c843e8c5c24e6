"""``callscan doctor`` explains recordings and the installation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import audio_makers as makers
import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from callscan.cli.doctor import doctor, installation
from callscan.errors import UsageError

app = typer.Typer()
app.command()(doctor)


def _run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, list(arguments))
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stdout


def _facts(path: Path) -> dict[str, Any]:
    _, output = _run(str(path), "--json")
    facts: dict[str, Any] = json.loads(output)
    return facts


def test_a_degraded_recording(tmp_path: Path) -> None:
    samples = np.hstack([makers.chatter(4), makers.silence(4)])
    path = makers.write(tmp_path / "a.wav", makers.cut(makers.wav(samples), 0.5))
    code, output = _run(str(path))
    assert code == 0
    assert "truncated: declared 4.0 s, found 2.0 s" in output
    facts = _facts(path)
    assert (facts["status"], facts["audio"]["codec"]) == ("degraded", "pcm_s16le")
    assert facts["problems"] == [{"reason": "truncated", "detail": "declared 4.0 s, found 2.0 s"}]
    assert facts["warnings"] == ["dead_channel:1"]
    assert facts["channels"][1] == {"speech": 0, "level_dbfs": -120.0, "peak_dbfs": -120.0}
    assert facts["channels"][0]["peak_dbfs"] == pytest.approx(20 * np.log10(0.3), abs=1.5)


def test_a_recording_without_speech(tmp_path: Path) -> None:
    assert _facts(makers.write(tmp_path / "a.wav", makers.wav(makers.silence(3))))["status"] == "no_speech"


def test_a_quarantined_recording(tmp_path: Path) -> None:
    path = makers.write(tmp_path / "line\nbreak.wav", b"#EXTM3U\n")
    code, output = _run(str(path))
    assert code == 1
    assert "quarantined: playlist" in output
    assert "\nbreak.wav" not in output
    assert _facts(path)["reason"] == "playlist"


def test_a_folder_is_no_recording(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is a folder"):
        CliRunner().invoke(app, [str(tmp_path)], catch_exceptions=False)


def test_the_installation() -> None:
    checks = {check.name: check for check in installation()}
    assert {"python", "av", "ctranslate2", "decoder", "cuda", "room", "models", "extra s3"} <= set(checks)
    assert checks["decoder"].state in ("ok", "note")
    code, output = _run("--json")
    assert [check["name"] for check in json.loads(output)] == list(checks)
    assert code == any(check.state == "missing" for check in checks.values())

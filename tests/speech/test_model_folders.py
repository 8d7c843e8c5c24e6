"""Which model folder is used, and what is said where it lacks something. No network is asked."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from callscan import hub
from callscan.config import Speech
from callscan.errors import ModelError
from callscan.speech import engine, models
from callscan.speech.whisper import Whisper


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the embedded model."""
    return shutil.copytree(models.DEMO, tmp_path / "model")


@pytest.mark.parametrize("name", ["model.bin", "tokenizer.json"])
def test_a_folder_without_what_a_model_needs_is_refused(folder: Path, name: str) -> None:
    assert models.resolve(str(folder), "cpu") == folder
    (folder / name).unlink()
    with pytest.raises(ModelError, match=f"holds no {name}") as error:
        models.resolve(str(folder), "cpu")
    assert "--copy_files tokenizer.json" in error.value.hint


def test_a_model_that_was_fetched_in_part_is_not_here(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "cached", lambda repository, **which: folder)
    assert models.cached("small") == folder
    (folder / "tokenizer.json").unlink()
    assert models.cached("small") is None


def test_the_usual_features_are_made_where_no_others_are_named(folder: Path) -> None:
    (folder / "preprocessor_config.json").unlink()
    assert Whisper(folder, device="cpu", threads=1).features(np.zeros(16000, np.float32), 5.0).shape == (80, 500)


def test_features_that_the_model_does_not_take_are_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "preprocessor_config.json").write_text(json.dumps({"feature_size": 128}))
    with pytest.raises(ModelError, match=r"takes 80 mel bands, and its preprocessor_config\.json says 128"):
        Whisper(folder, device="cpu", threads=1)
    large = SimpleNamespace(model=SimpleNamespace(n_mels=128), feature_extractor=SimpleNamespace(mel_filters=[0] * 80))
    monkeypatch.setattr("faster_whisper.WhisperModel", lambda *given, **options: large)
    (folder / "preprocessor_config.json").unlink()
    with pytest.raises(ModelError, match=r"takes 128 mel bands, and its preprocessor_config\.json is missing"):
        Whisper(folder, device="cpu", threads=1)


def test_a_language_that_the_model_has_not_learnt_is_refused_before_any_call() -> None:
    assert engine.load(Speech(model="demo", device="cpu", threads=1, language="fr")).model.knows("de")
    with pytest.raises(ModelError, match="does not know the language 'yue'"):
        engine.load(Speech(model="demo", device="cpu", threads=1, language="yue"))

"""Which pipeline is used, and what is said where it cannot be had. No network is asked."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from callscan import hub
from callscan.diarization import models
from callscan.errors import ModelError


class MissingError(Exception):
    pass


class GatedError(Exception):
    pass


def client(local: Path | None, remote: Path | Exception) -> Any:
    """A hub whose cache holds ``local`` and whose server answers with ``remote``."""

    def snapshot_download(repository: str, *, revision: str, local_files_only: bool = False) -> str:
        assert (repository, revision) == (models.REPOSITORY, models.REVISION)
        if local_files_only and local is None:
            raise MissingError
        if not local_files_only and isinstance(remote, Exception):
            raise remote
        return str(local if local_files_only else remote)

    errors = SimpleNamespace(LocalEntryNotFoundError=MissingError, RepositoryNotFoundError=GatedError)
    return SimpleNamespace(snapshot_download=snapshot_download, errors=errors)


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setattr(models, "installed", lambda: True)
    return monkeypatch


def test_without_the_extra_auto_is_off_and_a_name_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "installed", lambda: False)
    assert models.locate("off") is None
    assert models.locate("auto") is None
    assert models.why_not("auto") == 'pyannote.audio is not installed: pip install "callscan[pyannote]"'
    with pytest.raises(ModelError, match="needs pyannote") as error:
        models.locate("demo")
    assert "--diarization off" in error.value.hint


def test_auto_takes_what_is_on_this_machine_and_asks_no_network(here: pytest.MonkeyPatch, tmp_path: Path) -> None:
    here.setattr(hub, "client", lambda: client(None, AssertionError("asked the network")))
    assert models.locate("auto") is None
    assert models.why_not("auto") == "the weights are not on this machine: callscan models fetch community-1"
    here.setattr(hub, "client", lambda: client(tmp_path, AssertionError("asked the network")))
    assert models.locate("auto") == models.locate("community-1") == tmp_path


def test_a_name_is_fetched(here: pytest.MonkeyPatch, tmp_path: Path) -> None:
    here.setattr(hub, "client", lambda: client(None, tmp_path))
    assert models.locate("community-1") == tmp_path


def test_a_missing_licence_gets_the_steps(here: pytest.MonkeyPatch) -> None:
    here.setattr(hub, "client", lambda: client(None, GatedError("401")))
    with pytest.raises(ModelError, match="only to those who accepted its conditions") as error:
        models.locate("community-1")
    for step in (f"huggingface.co/{models.REPOSITORY}", "settings/tokens", "HF_TOKEN=", "models fetch community-1"):
        assert step in error.value.hint


def test_a_hub_that_cannot_be_reached_is_told_with_its_cause(here: pytest.MonkeyPatch) -> None:
    here.setattr(hub, "client", lambda: client(None, OSError("no route to host\nand much more")))
    with pytest.raises(ModelError, match=r"cannot fetch community-1 \(.*\): no route to host$") as error:
        models.locate("community-1")
    assert "give --diarization the folder of a copy" in error.value.hint


def test_a_folder_is_a_pipeline_if_it_has_a_config(here: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no diarization pipeline"):
        models.locate(str(tmp_path))
    (tmp_path / "config.yaml").write_text("")
    assert models.locate(str(tmp_path)) == tmp_path
    assert models.locate("demo") == models.DEMO


def test_the_embedded_pipeline_is_small_and_whole() -> None:
    files = {str(path.relative_to(models.DEMO)): path.stat().st_size for path in models.DEMO.rglob("*.*")}
    assert {"config.yaml", "segmentation/pytorch_model.bin", "embedding/pytorch_model.bin", "MODEL_CARD.md"} <= set(
        files
    )
    assert {"plda/plda.npz", "plda/xvec_transform.npz"} <= set(files)
    assert sum(files.values()) <= 10_000_000

from __future__ import annotations

import runpy
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import callscan
from callscan.archive import Archive
from callscan.config import Settings, load
from callscan.errors import UsageError
from callscan.report import Report
from callscan.speech.fake import FakeEngine

PIPELINES = Path(__file__).parents[2] / "pipelines"


@pytest.mark.parametrize("path", sorted(PIPELINES.glob("*.toml")), ids=lambda path: path.stem)
def test_the_settings_are_valid_and_say_something(path: Path) -> None:
    assert load(path) != Settings()


def run(name: str, *arguments: object, monkeypatch: pytest.MonkeyPatch) -> int | None:
    monkeypatch.setattr("callscan.runners.scan.load_engine", lambda settings: FakeEngine())
    monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(PIPELINES / name), run_name="__main__")
    code = ended.value.code
    assert code is None or isinstance(code, int)
    return code


@pytest.fixture
def toml(settings: Settings, tmp_path: Path) -> Path:
    path = tmp_path / "settings.toml"
    path.write_text(f"keywords = '{settings.keywords}'\n[calls]\nsettle = 0.0\n")
    return path


def test_nightly_scans_and_tells_what_failed(
    recordings: Path, toml: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = tmp_path / "archive"
    assert run("nightly.py", toml, recordings, archive, monkeypatch=monkeypatch) == 1
    assert capsys.readouterr().out.startswith("8 discovered, 6 scanned, 1 quarantined\n")
    assert run("nightly.py", toml, tmp_path / "none", archive, monkeypatch=monkeypatch) == 2


def test_backfill_goes_on_where_a_month_fails(
    recordings: Path, toml: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for month in ("2026-01", "2026-02", "2026-03"):
        shutil.copytree(recordings, tmp_path / "years" / month)
    scan = callscan.scan

    def unreachable(month: str, **options: Any) -> Report:
        if month.endswith("2026-02"):
            raise UsageError("cannot be listed")
        return scan(month, **options)

    monkeypatch.setattr("callscan.scan", unreachable)
    archive = tmp_path / "archive"
    assert run("backfill.py", toml, tmp_path / "years", archive, monkeypatch=monkeypatch) == 1
    assert "2026-02: cannot be listed" in capsys.readouterr().err
    assert Archive(str(archive)).coverage()["discovered"] == 16


def test_backfill_takes_the_months_alone(
    recordings: Path, toml: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    years, archive = tmp_path / "years", tmp_path / "archive"
    shutil.copytree(recordings, tmp_path / "elsewhere")
    for folder in ("2026-01", ".snapshot"):
        shutil.copytree(recordings, years / folder)
    (years / "2026-02").mkdir()
    (years / "2026-03").symlink_to(tmp_path / "elsewhere")
    shutil.copy(recordings / "call_00001.wav", years / "loose.wav")
    (years / ".DS_Store").touch()
    assert run("backfill.py", toml, years, archive, monkeypatch=monkeypatch) == 0
    told = capsys.readouterr()
    assert "1 files beside the months" in told.err
    assert f"2 of 3 file://{years}/2026-02: no recordings" in told.out
    assert Archive(str(archive)).coverage()["discovered"] == 16
    assert run("backfill.py", toml, years / "2026-01", archive, monkeypatch=monkeypatch) == 2
    assert "holds no folders" in capsys.readouterr().err


def test_the_cluster_files_parse() -> None:
    yaml = pytest.importorskip("yaml")
    job = yaml.safe_load((PIPELINES / "cluster" / "rayjob.yaml").read_text())
    assert job["kind"] == "RayJob"
    (group,) = job["spec"]["rayClusterSpec"]["workerGroupSpecs"]
    container = group["template"]["spec"]["containers"][0]
    settings = load(PIPELINES / "gpu-cluster.toml")
    assert group["replicas"] == settings.ray.workers
    assert float(container["resources"]["limits"]["cpu"]) == settings.ray.cpus_per_worker
    assert float(container["resources"]["limits"]["nvidia.com/gpu"]) == settings.ray.gpus_per_worker
    assert {"name": "RAY_AUTH_MODE", "value": "token"} in container["env"]
    subprocess.run(["bash", "-n", str(PIPELINES / "cluster" / "slurm.sh")], check=True)

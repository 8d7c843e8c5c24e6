"""The public surface: what importing loads, what the wheel holds, what --help says."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEAVY = ("av", "ctranslate2", "duckdb", "faster_whisper", "lark", "numpy", "onnxruntime", "pyarrow", "ray", "torch")


@pytest.mark.parametrize("code", ["import callscan", "import callscan.cli"])
def test_importing_loads_nothing_heavy(code: str) -> None:
    script = f"{code}; import sys, json; print(json.dumps([m for m in {HEAVY!r} if m in sys.modules]))"
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert json.loads(found) == []


def test_help_loads_nothing_heavy() -> None:
    script = (
        "import sys; sys.argv = ['callscan', '--help']\n"
        "from callscan.cli import main\n"
        "try: main()\n"
        f"finally: print([m for m in {HEAVY!r} if m in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"
    for command in ("scan", "demo", "report", "rescan", "status", "verify", "show", "match", "doctor", "keywords"):
        assert command in done.stdout


def test_the_wheel_holds_the_package_the_keywords_and_the_demo(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)], cwd=ROOT, check=True
    )
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    top = {name.split("/")[0] for name in names}
    assert top == {"callscan", f"callscan-{wheel.name.split('-')[1]}.dist-info"}
    for needed in (
        "callscan/demo/model/model.bin",
        "callscan/demo/calls/calls.csv",
        "callscan/demo/MODEL_CARD.md",
        "callscan/speech/phantoms.toml",
    ):
        assert needed in names
    assert any(name.startswith("callscan/_keywords/fr/") for name in names)
    assert not any("__pycache__" in name or name.startswith("callscan/demo/work") for name in names)
    assert wheel.stat().st_size < 40_000_000

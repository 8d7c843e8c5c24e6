"""The Ray runner, on a cluster of two nodes on loopback and on one that it starts itself."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from callscan.archive import Archive
from callscan.archive.verify import verify
from callscan.audio import hash_file
from callscan.config import Settings
from callscan.errors import ModelError, UsageError
from callscan.runners.scan import perform, scan
from callscan.speech.api import CallAudio, CallSpeech
from callscan.speech.fake import FakeEngine, fake_engine
from crash_test import results

pytest.importorskip("ray.cluster_utils")
pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """The address of two nodes with one CPU each: two workers need both."""
    from ray.cluster_utils import Cluster

    nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    nodes.add_node(num_cpus=1)
    nodes.wait_for_nodes()
    yield nodes.address
    nodes.shutdown()


@pytest.fixture(scope="module")
def local(recordings: Path, keywords: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    settings = Settings().override(shards={"calls": 3}, calls={"settle": 0.0}, keywords=str(keywords))
    archive = tmp_path_factory.mktemp("local") / "archive"
    scan(recordings, archive=archive, settings=settings, engine=fake_engine)
    return results(archive)


OWN = """
import os, sys
from pathlib import Path
from callscan.runners.scan import scan
from callscan.config import *
from callscan.speech.fake import FakeEngine

folder = sys.argv[2]  # the worker has other arguments

def engine():
    facts = {name: os.environ.get(name, "") for name in ("RAY_AUTH_MODE", "RAY_USAGE_STATS_ENABLED")}
    Path(folder, str(os.getpid())).write_text(str(facts))
    return FakeEngine()

scan(sys.argv[1], archive=f"{folder}/archive", settings=SETTINGS, engine=engine)
import ray
assert not ray.is_initialized()
"""


def test_an_own_cluster_is_closed_to_others_and_gone_afterwards(
    local: dict[str, bytes], recordings: Path, settings: Settings, tmp_path: Path
) -> None:
    code = OWN.replace("SETTINGS", repr(settings.override(ray={"workers": 2})))
    subprocess.run([sys.executable, "-c", code, str(recordings), str(tmp_path)], check=True)
    assert results(tmp_path / "archive") == local
    facts = {path.read_text() for path in tmp_path.iterdir() if path.name.isdigit()}
    assert facts == {"{'RAY_AUTH_MODE': 'token', 'RAY_USAGE_STATS_ENABLED': '0'}"}


@pytest.mark.parametrize("workers", [1, 2])
def test_a_cluster_of_two_nodes_gives_the_same_report(
    cluster: str, local: dict[str, bytes], recordings: Path, settings: Settings, tmp_path: Path, workers: int
) -> None:
    on_ray = settings.override(ray={"address": cluster, "workers": workers})
    scan(recordings, archive=tmp_path / "archive", settings=on_ray, engine=fake_engine)
    assert results(tmp_path / "archive") == local


def test_a_call_that_kills_its_worker_is_quarantined_alone(
    cluster: str, crash_test: ModuleType, settings: Settings, tmp_path: Path
) -> None:
    crash_test.make_recordings(tmp_path / "calls", calls=64, seconds=1.5)
    for name in ("twin.wav", "page.wav"):
        (tmp_path / "calls" / name).unlink()
    poison = hash_file(str(tmp_path / "calls" / "call_00041.wav"))

    class Poisoned(FakeEngine):
        def transcribe(self, calls: Iterable[CallAudio]) -> Iterator[CallSpeech]:
            def deadly() -> Iterator[CallAudio]:
                for call in calls:
                    if call.key == poison:
                        os.kill(os.getpid(), signal.SIGKILL)
                    yield call

            return super().transcribe(deadly())

    on_ray = settings.override(ray={"address": cluster, "workers": 2}, shards={"calls": 16})
    outcome = perform([str(tmp_path / "calls")], str(tmp_path / "archive"), on_ray, Poisoned)
    coverage = outcome.report.coverage
    assert (coverage.discovered, coverage.scanned, coverage.quarantined) == (64, 63, 1)
    archive = Archive(str(tmp_path / "archive"))
    assert [(r.call_id, r.reason) for r in archive.records() if r.status == "quarantined"] == [
        ("call_00041", "worker_crash")
    ]
    assert outcome.failures == 1
    assert verify(archive, hash_file).problems == ()


def test_what_is_wrong_with_the_model_ends_the_run_with_its_hint(
    cluster: str, recordings: Path, settings: Settings, tmp_path: Path
) -> None:
    def broken() -> FakeEngine:
        raise ModelError("no such model", "fetch it")

    on_ray = settings.override(ray={"address": cluster})
    with pytest.raises(ModelError) as caught:
        scan(recordings, archive=tmp_path / "archive", settings=on_ray, engine=broken)
    assert (caught.value.message, caught.value.hint) == ("no such model", "fetch it")


def test_a_cluster_that_is_not_there(recordings: Path, settings: Settings, tmp_path: Path) -> None:
    nowhere = settings.override(ray={"address": "127.0.0.1:1"})
    with pytest.raises(UsageError, match="cannot use Ray on 127"):
        scan(recordings, archive=tmp_path / "archive", settings=nowhere, engine=fake_engine)

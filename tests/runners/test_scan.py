from __future__ import annotations

import errno
import json
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

import callscan
from callscan.archive import Archive
from callscan.archive.lock import lock
from callscan.config import Settings
from callscan.errors import ArchiveError, CallscanError, ConfigError, UsageError
from callscan.report import Report
from callscan.runners.plan import Plan
from callscan.runners.scan import Progress, perform, scan
from callscan.speech.api import CallAudio, CallSpeech
from callscan.speech.fake import FakeEngine
from crash_test import results


@pytest.fixture(scope="session")
def whole(recordings: Path, keywords: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The archive of an uninterrupted scan."""
    archive = tmp_path_factory.mktemp("whole") / "archive"
    settings = Settings().override(shards={"calls": 3}, calls={"settle": 0.0}, keywords=str(keywords))
    scan(recordings, archive=archive, settings=settings, engine=FakeEngine)
    return archive


def test_every_recording_is_in_the_report(whole: Path) -> None:
    report = json.loads((whole / "report" / "report.json").read_text())
    assert report["coverage"] == {
        "discovered": 8,
        "scanned": 6,
        "no_speech": 0,
        "degraded": 0,
        "quarantined": 1,
        "duplicate": 1,
        "deferred": 0,
    }
    assert sum(issue["hits"] for issue in report["issues"]) > 0


def test_again_is_nothing_to_do_and_the_same_report(
    whole: Path, recordings: Path, settings: Settings, tmp_path: Path
) -> None:
    archive = Path(shutil.copytree(whole, tmp_path / "archive"))
    progress = Telling()
    outcome = perform([str(recordings)], str(archive), settings, FakeEngine, progress)
    assert (progress.plans[0].discovered, progress.plans[0].due, progress.calls) == (8, 0, 0)
    assert results(archive) == results(whole)
    assert outcome.failures == 1
    assert Archive(str(archive)).runs() == [1]


def test_a_second_night_adds_its_calls(
    crash_test: ModuleType, recordings: Path, settings: Settings, tmp_path: Path
) -> None:
    shutil.copytree(recordings, tmp_path / "day" / "1")
    first = scan(tmp_path / "day", archive=tmp_path / "archive", settings=settings, engine=FakeEngine)
    crash_test.make_recordings(tmp_path / "day" / "2", calls=2, seconds=1.5, seed=9)
    (tmp_path / "day" / "2" / "page.wav").unlink()
    second = scan(tmp_path / "day", archive=tmp_path / "archive", settings=settings, engine=FakeEngine)
    assert isinstance(second, Report)
    assert second.coverage.discovered - first.coverage.discovered == 3
    assert second.coverage.scanned - first.coverage.scanned == 2
    assert second.coverage.duplicate - first.coverage.duplicate == 1


def test_a_moved_folder_is_known_by_its_bytes(
    whole: Path, recordings: Path, settings: Settings, tmp_path: Path
) -> None:
    archive = Path(shutil.copytree(whole, tmp_path / "archive"))
    shutil.copytree(recordings, tmp_path / "moved")
    report = scan(tmp_path / "moved", archive=archive, settings=settings, engine=Deaf)
    assert (report.coverage.discovered, report.coverage.scanned, report.coverage.quarantined) == (16, 6, 1)


def test_progress_tells_of_every_call(recordings: Path, settings: Settings, tmp_path: Path) -> None:
    progress = Telling()
    perform([str(recordings)], str(tmp_path / "archive"), settings, FakeEngine, progress)
    assert progress.calls == progress.plans[0].due == 8
    assert progress.shards == 3
    assert progress.order == ["loading", "planned", "counting"]


def test_interrupted_anywhere_it_continues(whole: Path, recordings: Path, settings: Settings, tmp_path: Path) -> None:
    for calls in (0, 4):
        archive = tmp_path / f"archive{calls}"
        with pytest.raises(KeyboardInterrupt):
            perform([str(recordings)], str(archive), settings, lambda calls=calls: Interrupted(calls))
        assert Archive(str(archive)).coverage()["discovered"] == 8
        scan(recordings, archive=archive, settings=settings, engine=FakeEngine)
        assert results(archive) == results(whole)


def test_metadata_reaches_the_records_and_numbers_do_not(
    recordings: Path, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CALLSCAN_CALLER_KEY", "ab" * 32)
    table = tmp_path / "calls.csv"
    table.write_text("call_id,queue,caller_number,wait\ncall_00001,ventes,0612345678,12\nnobody,x,,\ncall_00002,,,\n")
    progress = Telling()
    perform([str(recordings)], str(tmp_path / "archive"), settings.override(metadata=str(table)), FakeEngine, progress)
    held = {r.call_id: dict(r.metadata) for r in Archive(str(tmp_path / "archive")).records()}
    assert set(held["call_00001"]) == {"queue", "caller", "wait"}
    assert held["call_00001"]["wait"] == "12"
    assert held["call_00002"] == {}
    assert progress.plans[0].unmatched == 1
    everything = b"".join(path.read_bytes() for path in (tmp_path / "archive").rglob("*") if path.is_file())
    assert b"0612345678" not in everything


def test_what_cannot_be_done_is_told_before_an_archive_is_made(
    recordings: Path, settings: Settings, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    archive = tmp_path / "archive"
    cases: list[tuple[Path, Settings, type[CallscanError]]] = [
        (tmp_path / "none", settings, UsageError),
        (tmp_path / "empty", settings, UsageError),
        (recordings, settings.override(keywords=str(tmp_path / "none")), ConfigError),
        (recordings, settings.override(metadata=str(tmp_path / "none.csv")), UsageError),
    ]
    for paths, options, error in cases:
        with pytest.raises(error):
            scan(paths, archive=archive, settings=options, engine=FakeEngine)
        assert not archive.exists()


def test_an_archive_that_cannot_be_written(recordings: Path, settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ArchiveError, match="cannot"):
        scan(recordings, archive=tmp_path / "file" / "archive", settings=settings, engine=FakeEngine)


def test_a_second_run_is_refused(recordings: Path, settings: Settings, tmp_path: Path) -> None:
    archive = Archive.create(str(tmp_path / "archive"))
    with lock(archive.url), pytest.raises(ArchiveError, match="being written by another run"):
        subprocess_scan(recordings, archive.url, settings)


def subprocess_scan(recordings: Path, archive: str, settings: Settings) -> None:
    """In another process: a lock keeps out others, not oneself."""
    code = (
        "import sys\nfrom callscan.runners.scan import scan\nfrom callscan.config import *\n"
        "from callscan.speech.fake import FakeEngine\nfrom callscan.errors import ArchiveError\n"
        f"try: scan({str(recordings)!r}, archive={archive!r}, settings={settings!r}, engine=FakeEngine)\n"
        "except ArchiveError as error: sys.exit(error.message)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    if done.returncode:
        raise ArchiveError(done.stderr)


def test_whichever_write_fails_the_next_run_continues(
    crash_test: ModuleType, whole: Path, recordings: Path, settings: Settings, tmp_path: Path
) -> None:
    """A short form: scripts/crash_test.py --writes goes through all of them."""
    with crash_test.Disk() as disk:
        steps = crash_test.count_writes(disk, recordings, tmp_path / "count", settings)
        assert steps >= 3 * 9  # format, inventory, shards, the report's files: each written and synced with its folder
        for step in range(2, steps + 1, 6):
            crash_test.fail_write(disk, step, errno.ENOSPC, recordings, tmp_path / f"archive{step}", settings)
            assert results(tmp_path / f"archive{step}") == results(whole)


def test_what_a_killed_worker_left_is_gone_when_the_run_ends(
    recordings: Path, settings: Settings, tmp_path: Path
) -> None:
    class Leaving(FakeEngine):
        def transcribe(self, calls: Iterable[CallAudio]) -> Iterator[CallSpeech]:
            (tmp_path / "archive" / "calls").mkdir(exist_ok=True)
            (tmp_path / "archive" / "calls" / ".partial-000001-000000.parquet-1-00").write_bytes(b"half")
            return super().transcribe(calls)

    scan(recordings, archive=tmp_path / "archive", settings=settings, engine=Leaving)
    assert not list((tmp_path / "archive").rglob(".partial-*"))


def test_the_public_names() -> None:
    assert callscan.scan is scan
    assert callscan.Archive is Archive
    assert callscan.Report is Report
    with pytest.raises(AttributeError):
        callscan.nonsense  # noqa: B018


def test_importing_callscan_loads_nothing_heavy() -> None:
    code = "import sys; before = set(sys.modules); import callscan; print(*(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert loaded <= {"callscan", *sys.stdlib_module_names}


class Telling(Progress):
    def __init__(self) -> None:
        self.order: list[str] = []
        self.plans: list[Plan] = []
        self.calls = self.shards = 0

    def loading(self) -> None:
        self.order.append("loading")

    def planned(self, plan: Plan) -> None:
        self.order.append("planned")
        self.plans.append(plan)

    def done(self, calls: int) -> None:
        self.calls += calls

    def shard(self, summary: object) -> None:
        self.shards += 1

    def counting(self) -> None:
        self.order.append("counting")


class Deaf(FakeEngine):
    """Must not be asked."""

    def transcribe(self, calls: Iterable[CallAudio]) -> Iterator[CallSpeech]:
        for call in calls:
            raise AssertionError(f"{call.key} was transcribed again")
        return iter(())


class Interrupted(FakeEngine):
    """^C at the Nth call."""

    def __init__(self, calls: int) -> None:
        self.left = calls

    def transcribe(self, calls: Iterable[CallAudio]) -> Iterator[CallSpeech]:
        def until(given: Iterable[CallAudio]) -> Iterator[CallAudio]:
            for call in given:
                if not self.left:
                    raise KeyboardInterrupt
                self.left -= 1
                yield call

        return super().transcribe(until(calls))

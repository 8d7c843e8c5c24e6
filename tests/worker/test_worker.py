from __future__ import annotations

import os
import shutil
import wave
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from callscan.archive import Archive
from callscan.archive.inventory import Planned, Task
from callscan.audio import hash_file
from callscan.config import Settings
from callscan.errors import ArchiveError, ModelError, RecordingError
from callscan.records import CallRecord, Recording
from callscan.speech.api import CallAudio, CallSpeech
from callscan.speech.fake import FakeEngine
from callscan.worker import Worker

SHARD = "000001-000000"


def write_call(path: Path, channels: int = 2, seconds: float = 1.0, level: float = 0.2, seed: int = 0) -> Path:
    noise = np.random.default_rng(seed).normal(0, level, (int(8000 * seconds), channels))
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes((np.clip(noise, -1, 1) * 32767).astype("<i2").tobytes())
    return path


def planned(path: Path, **changes: object) -> Planned:
    status = path.stat()
    recording = Recording(str(path), status.st_size, status.st_mtime_ns)
    return replace(Planned(recording, path.stem), **changes)


@pytest.fixture
def listen(tmp_path: Path) -> Callable[..., dict[str, CallRecord]]:
    """Runs one shard of these recordings and gives its records by call id."""

    def run(
        *calls: Planned, engine: FakeEngine | None = None, settings: Settings | None = None, known: Iterable[str] = ()
    ) -> dict[str, CallRecord]:
        archive = Archive.create(str(tmp_path / "archive"))
        with Worker(archive.url, settings or Settings(), lambda: engine or FakeEngine()) as worker:
            (summary,) = worker.work([Task(SHARD, calls, frozenset(known))])
        table = archive.table(SHARD)
        assert sum(summary.statuses.values()) == table.num_rows == len(calls)
        from callscan.archive import from_table

        return {record.call_id: record for record in from_table(table)}

    return run


def test_two_channels_are_two_speakers_and_one_is_none(
    tmp_path: Path, listen: Callable[..., dict[str, CallRecord]]
) -> None:
    records = listen(
        planned(write_call(tmp_path / "stereo.wav")),
        planned(write_call(tmp_path / "mono.wav", channels=1)),
        planned(write_call(tmp_path / "three.wav", channels=3)),
    )
    speakers = {name: [s.speaker for s in record.transcript.segments] for name, record in records.items()}  # type: ignore[union-attr]
    assert speakers == {
        "stereo": ["agent", "customer"],
        "mono": ["unknown"],
        "three": ["agent", "customer", "unknown"],
    }
    assert {record.status for record in records.values()} == {"scanned"}
    assert records["stereo"].key == hash_file(str(tmp_path / "stereo.wav"))


def test_channels_can_be_named_the_other_way(tmp_path: Path, listen: Callable[..., dict[str, CallRecord]]) -> None:
    swapped = Settings().override(calls={"channels": ["customer", "agent"]})
    records = listen(planned(write_call(tmp_path / "a.wav")), settings=swapped)
    assert [s.speaker for s in records["a"].transcript.segments] == ["customer", "agent"]  # type: ignore[union-attr]


def test_every_failure_is_a_record(tmp_path: Path, listen: Callable[..., dict[str, CallRecord]]) -> None:
    good = write_call(tmp_path / "good.wav")
    silent = write_call(tmp_path / "silent.wav", level=0.0)
    (tmp_path / "empty.wav").touch()
    (tmp_path / "page.wav").write_text("<html></html>")
    cut = write_call(tmp_path / "cut.wav", seed=1)
    cut.write_bytes(cut.read_bytes()[:-16_000])
    growing = planned(write_call(tmp_path / "growing.wav", seed=2))
    (tmp_path / "growing.wav").write_bytes(b"RIFF")
    gone = planned(write_call(tmp_path / "gone.wav"))
    (tmp_path / "gone.wav").unlink()
    refused = Planned(Recording("/pipe.wav", 0), "pipe", "not_a_file", "a pipe")
    files = [planned(path) for path in (good, silent, tmp_path / "empty.wav", tmp_path / "page.wav", cut)]
    records = listen(*files, growing, gone, refused)
    assert {name: (record.status, record.reason) for name, record in records.items()} == {
        "good": ("scanned", ""),
        "silent": ("no_speech", "no_speech"),
        "empty": ("quarantined", "empty"),
        "page": ("quarantined", "not_audio"),
        "cut": ("degraded", "truncated"),
        "growing": ("deferred", "changing"),
        "gone": ("quarantined", "unreadable"),
        "pipe": ("quarantined", "not_a_file"),
    }
    assert records["cut"].transcript is not None
    assert records["page"].detail


def test_the_same_bytes_are_transcribed_once(tmp_path: Path, listen: Callable[..., dict[str, CallRecord]]) -> None:
    first = write_call(tmp_path / "first.wav")
    twin = Path(shutil.copy(first, tmp_path / "twin.wav"))
    old = write_call(tmp_path / "old.wav", seed=3)
    engine = Counting()
    records = listen(planned(first), planned(twin), planned(old), engine=engine, known=[hash_file(str(old))])
    assert {name: record.status for name, record in records.items()} == {
        "first": "scanned",
        "twin": "duplicate",
        "old": "duplicate",
    }
    assert engine.heard == [records["first"].key]


def test_little_of_the_speech_in_words_is_degraded(
    tmp_path: Path, listen: Callable[..., dict[str, CallRecord]]
) -> None:
    call = planned(write_call(tmp_path / "a.wav"))
    assert listen(call, engine=Covering(0.59))["a"].reason == "coverage"
    assert listen(call, engine=Covering(0.6))["a"].status == "scanned"


def test_only_the_call_that_the_engine_fails_on_alone_is_at_fault(
    tmp_path: Path, listen: Callable[..., dict[str, CallRecord]]
) -> None:
    paths = [write_call(tmp_path / f"{i}.wav", seed=i) for i in range(6)]
    bad = {hash_file(str(paths[2])), hash_file(str(paths[4]))}
    records = listen(*map(planned, paths), engine=Failing(bad))
    assert [records[str(i)].reason for i in range(6)] == ["", "", "engine", "", "engine", ""]
    assert "no words for this" in records["2"].detail


def test_what_the_engine_reports_and_what_it_cannot_read_become_reasons(
    tmp_path: Path, listen: Callable[..., dict[str, CallRecord]]
) -> None:
    call = planned(write_call(tmp_path / "a.wav"))
    assert listen(call, engine=Reporting())["a"].reason == "engine"
    assert listen(call, engine=Failing({hash_file(str(tmp_path / "a.wav"))}, RecordingError("limit_time", "slow")))[
        "a"
    ].reason == ("limit_time")


@pytest.mark.parametrize("error", [ModelError("no model"), ArchiveError("no disk")])
def test_what_is_no_fault_of_a_call_ends_the_run(
    tmp_path: Path, listen: Callable[..., dict[str, CallRecord]], error: Exception
) -> None:
    path = write_call(tmp_path / "a.wav")
    with pytest.raises(type(error)):
        listen(planned(path), engine=Failing({hash_file(str(path))}, error))
    assert Archive(str(tmp_path / "archive")).shards() == []


def test_an_engine_that_forgets_a_call_is_asked_again(
    tmp_path: Path, listen: Callable[..., dict[str, CallRecord]]
) -> None:
    paths = [write_call(tmp_path / f"{i}.wav", seed=i) for i in range(3)]
    records = listen(*map(planned, paths), engine=Forgetful())
    assert [records[str(i)].status for i in range(3)] == ["scanned"] * 3


def test_no_more_calls_are_open_than_the_engine_holds(
    tmp_path: Path, listen: Callable[..., dict[str, CallRecord]]
) -> None:
    paths = [write_call(tmp_path / f"{i}.wav", seed=i, seconds=0.3) for i in range(30)]
    engine = Watching()
    listen(*map(planned, paths), engine=engine)
    assert engine.most_open <= engine.before + 1 + 4 + 2 * 4  # one in hand, four decoded ahead, their processes' links


def test_another_setting_is_another_fingerprint(tmp_path: Path) -> None:
    archive = Archive.create(str(tmp_path / "archive"))
    found = set()
    for changes in ({}, {"calls": {"channels": ["customer", "agent"]}}, {"speech": {"language": "auto"}}):
        with Worker(archive.url, Settings().override(**changes), FakeEngine) as worker:
            found.add(worker.fingerprint)
    assert len(found) == 3


class Counting(FakeEngine):
    def __init__(self) -> None:
        self.heard: list[str] = []

    def transcribe(self, calls: Iterable[CallAudio]) -> Iterator[CallSpeech]:
        for speech in super().transcribe(calls):
            self.heard.append(speech.key)
            yield speech


class Covering(FakeEngine):
    def __init__(self, coverage: float) -> None:
        self.coverage = coverage

    def transcribe(self, calls: Iterable[CallAudio]) -> Iterator[CallSpeech]:
        return (replace(speech, coverage=self.coverage) for speech in super().transcribe(calls))


class Failing(FakeEngine):
    """Takes three calls at a time, and fails on all of them when one is bad."""

    def __init__(self, bad: set[str], error: Exception | None = None) -> None:
        self.bad, self.error = bad, error or RuntimeError("no words for this")

    def transcribe(self, calls: Iterable[CallAudio]) -> Iterator[CallSpeech]:
        waiting: list[CallAudio] = []
        for call in calls:
            waiting.append(call)
            if len(waiting) == 3:
                yield from self.batch(waiting)
                waiting = []
        yield from self.batch(waiting)

    def batch(self, calls: list[CallAudio]) -> Iterator[CallSpeech]:
        if self.bad & {call.key for call in calls}:
            raise self.error
        return super().transcribe(calls)


class Reporting(FakeEngine):
    def transcribe(self, calls: Iterable[CallAudio]) -> Iterator[CallSpeech]:
        return (CallSpeech(call.key, error="no memory") for call in calls)


class Forgetful(FakeEngine):
    def transcribe(self, calls: Iterable[CallAudio]) -> Iterator[CallSpeech]:
        given = list(calls)
        return super().transcribe(given[: max(1, len(given) - 1)])


class Watching(FakeEngine):
    before = most_open = 0

    def transcribe(self, calls: Iterable[CallAudio]) -> Iterator[CallSpeech]:
        self.before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
        for speech in super().transcribe(calls):
            self.most_open = max(self.most_open, len(os.listdir("/proc/self/fd")))  # noqa: PTH208
            yield speech


def test_what_a_shard_took_stands_beside_its_rows(tmp_path: Path) -> None:
    archive = Archive.create(str(tmp_path / "archive"))
    calls = (planned(write_call(tmp_path / "a.wav", seconds=2.0)), planned(write_call(tmp_path / "b.wav", seed=1)))
    with Worker(archive.url, Settings(), FakeEngine) as worker:
        assert len(list(worker.work([Task(SHARD, calls[:1]), Task("000001-000001", calls[1:])]))) == 2
    first, second = archive.costs()
    assert (first["audio_s"], second["audio_s"]) == (2.0, 1.0)
    # What is done ahead for the second shard is booked on the first one: on both together it is true.
    stages = {name for cost in (first, second) for name in cost["stages"]}
    assert stages == {"read", "decode", "generate", "archive"}
    wall = first["wall_s"] + second["wall_s"]
    for name in stages:
        assert 0 < first["stages"].get(name, 0) + second["stages"].get(name, 0) <= 2 * wall  # two decode at once


class Ahead(FakeEngine):
    """Takes all calls that it can have before it gives an answer, as a recogniser with batches does."""

    def __init__(self) -> None:
        super().__init__()
        self.taken: list[int] = []

    def transcribe(self, calls: Iterable[CallAudio]) -> Iterator[CallSpeech]:
        waiting = list(calls)
        self.taken.append(len(waiting))
        yield from super().transcribe(waiting)


def test_the_next_shard_is_taken_up_before_the_last_one_is_done(tmp_path: Path) -> None:
    archive = Archive.create(str(tmp_path / "archive"))
    calls = [planned(write_call(tmp_path / f"{number}.wav", seed=number)) for number in range(5)]
    copy = tmp_path / "copy.wav"
    copy.write_bytes((tmp_path / "0.wav").read_bytes())
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"no audio")
    shards = [(planned(broken),), tuple(calls[:2]), (planned(copy), *calls[2:4]), (calls[4], planned(broken))]
    tasks = [Task(f"000001-{number:06d}", shard) for number, shard in enumerate(shards)]
    engine, told = Ahead(), 0

    def done(number: int) -> None:
        nonlocal told
        told += number

    with Worker(archive.url, Settings(), lambda: engine) as worker:
        summaries = list(worker.work(tasks, done))
    assert engine.taken == [6]
    assert [summary.shard for summary in summaries] == [task.shard for task in tasks]
    assert told == sum(map(len, shards)) == 8
    # A duplicate within a shard is known at once; across shards the plan and the count see to it.
    assert [summary.statuses for summary in summaries] == [
        {"quarantined": 1},
        {"scanned": 2},
        {"scanned": 3},
        {"scanned": 1, "quarantined": 1},
    ]
    walls = [cost["wall_s"] for cost in archive.costs()]
    assert all(wall > 0 for wall in walls)


def test_shards_of_which_nothing_can_be_heard_are_committed_on_the_way(tmp_path: Path) -> None:
    archive = Archive.create(str(tmp_path / "archive"))
    broken = []
    for number in range(10):
        (tmp_path / f"{number}.wav").write_bytes(b"no audio")
        broken.append(planned(tmp_path / f"{number}.wav"))
    taken = 0

    def tasks() -> Iterator[Task]:
        nonlocal taken
        for number, call in enumerate(broken):
            taken += 1
            yield Task(f"000001-{number:06d}", (call,))

    with Worker(archive.url, Settings(), FakeEngine) as worker:
        for number, summary in enumerate(worker.work(tasks())):
            assert summary.statuses == {"quarantined": 1}
            assert taken <= number + 4
    assert len(archive.shard_ids()) == 10

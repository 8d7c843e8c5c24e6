"""Mono calls in the worker: with a diariser, without one, and with one that fails."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest

from callscan.archive import Archive, from_table
from callscan.archive.inventory import Planned, Task
from callscan.config import Settings
from callscan.diarization.fake import FakeDiariser
from callscan.errors import ConfigError, ModelError
from callscan.records import CallRecord, Recording, Turn
from callscan.runners.plan import gather, make_plan
from callscan.speech.fake import FakeEngine
from callscan.worker import Worker


class Broken(FakeDiariser):
    def turns(self, samples: object) -> tuple[Turn, ...]:
        raise RuntimeError("out of memory")


class Deaf(FakeDiariser):
    def turns(self, samples: object) -> tuple[Turn, ...]:
        return ()


def call(folder: Path, channels: int) -> Path:
    """Three seconds of sound, a pause, two more."""
    rng = np.random.default_rng(channels)
    loud = rng.normal(0, 0.2, (8000 * 6, channels))
    loud[8000 * 3 : 8000 * 4] = 0
    path = folder / f"{channels}.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes((np.clip(loud, -1, 1) * 32767).astype("<i2").tobytes())
    return path


def record(folder: Path, channels: int, diariser: FakeDiariser | None) -> CallRecord:
    path = call(folder, channels)
    status = path.stat()
    planned = Planned(Recording(str(path), status.st_size, status.st_mtime_ns), path.stem)
    archive = Archive.create(str(folder / "archive"))
    settings = Settings().override(diarization={"pipeline": "off"})
    with Worker(archive.url, settings, FakeEngine, diariser) as worker:
        list(worker.work([Task("000001-000000", (planned,), frozenset())]))
    (found,) = from_table(archive.table("000001-000000"))
    return found


def test_mono_words_get_turns_and_the_archive_keeps_them(tmp_path: Path) -> None:
    found = record(tmp_path, 1, FakeDiariser())
    assert found.transcript is not None
    assert [turn.label for turn in found.transcript.turns] == ["A", "B"]
    assert found.status == "scanned"
    assert not any(note.startswith("speakers:") for note in found.notes)
    assert sum(note.startswith("roles: A ") for note in found.notes) == 1
    for segment in found.transcript.segments:
        (turn,) = (t for t in found.transcript.turns if t.start - 0.1 <= segment.start and segment.end <= t.end + 0.1)
        assert segment.speaker == turn.speaker


@pytest.mark.parametrize(
    ("diariser", "note"),
    [
        (None, "speakers: diarization is switched off"),
        (Broken(), "speakers: RuntimeError: out of memory"),
        (Deaf(), "speakers: the diarization found no turns"),
    ],
)
def test_mono_words_count_without_speakers(tmp_path: Path, diariser: FakeDiariser | None, note: str) -> None:
    found = record(tmp_path, 1, diariser)
    assert found.transcript is not None
    assert found.status == "scanned"
    assert found.transcript.turns == ()
    assert {segment.speaker for segment in found.transcript.segments} == {"unknown"}
    assert note in found.notes


def test_stereo_calls_are_never_diarised(tmp_path: Path) -> None:
    found = record(tmp_path, 2, Broken())
    assert found.transcript is not None
    assert {segment.speaker for segment in found.transcript.segments} == {"agent", "customer"}
    assert not any(note.startswith("speakers") for note in found.notes)


def test_the_fingerprint_tells_the_diariser_apart(tmp_path: Path) -> None:
    archive = Archive.create(str(tmp_path / "archive"))
    settings = Settings().override(diarization={"pipeline": "off"})
    with Worker(archive.url, settings, FakeEngine) as bare, Worker(archive.url, settings, FakeEngine, Deaf()) as with_:
        speech, _, none = bare.fingerprint.partition("-")
        again, _, diariser = with_.fingerprint.partition("-")
    assert speech == again
    assert none != diariser


@pytest.mark.parametrize(("text", "bounds"), [("2", (2, 2)), ("1-3", (1, 3)), ("auto", None), ("10-12", (10, 12))])
def test_numbers_of_speakers(text: str, bounds: tuple[int, int] | None) -> None:
    assert Settings().override(diarization={"speakers": text}).diarization.bounds == bounds


@pytest.mark.parametrize("text", ["0", "3-2", "two", "", "2-", "100"])
def test_numbers_of_speakers_that_cannot_be(text: str) -> None:
    with pytest.raises(ConfigError, match="must be a number, a range such as 2-4, or auto"):
        Settings().override(diarization={"speakers": text})


def test_a_pipeline_that_is_none_is_an_error_before_any_call(tmp_path: Path) -> None:
    archive = Archive.create(str(tmp_path / "archive"))
    settings = Settings().override(diarization={"pipeline": str(tmp_path / "nothing")})
    with pytest.raises(ModelError, match=r"no diarization pipeline|needs pyannote"):
        Worker(archive.url, settings, FakeEngine)


def test_another_diariser_makes_only_mono_calls_new(tmp_path: Path) -> None:
    """What was heard on two channels is not listened to again because pyannote was installed since."""
    recordings = [call(tmp_path, channels) for channels in (1, 2)]
    archive = Archive.create(str(tmp_path / "archive"))
    settings = Settings().override(diarization={"pipeline": "off"}, calls={"settle": 0.0})

    def listened(diariser: FakeDiariser | None) -> list[str]:
        with Worker(archive.url, settings, FakeEngine, diariser) as worker:
            found = [Recording(str(p), p.stat().st_size, p.stat().st_mtime_ns) for p in recordings]
            plan = make_plan(archive, gather(found), worker.fingerprint, settings.shards)
            tasks = list(plan.tasks())
            for task in tasks:
                list(worker.work([task]))
        return sorted(planned.call_id for task in tasks for planned in task.calls)

    assert listened(None) == ["1", "2"]
    assert listened(None) == []
    assert listened(FakeDiariser()) == ["1"]
    assert listened(FakeDiariser()) == []
    (mono, stereo) = sorted(archive.records(), key=lambda record: record.call_id)
    assert mono.transcript is not None
    assert len(mono.transcript.turns) == 2
    assert stereo.transcript is not None
    assert stereo.transcript.turns == ()

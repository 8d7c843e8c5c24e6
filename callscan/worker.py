"""The worker: a shard of recordings in, a file of call records out. Runners decide where it runs, and how many.

This is the one place where an exception becomes a status: whatever goes wrong with a recording ends as its
``quarantined`` (or ``deferred``) record, and whatever goes wrong with the archive or the model ends the run.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from types import MappingProxyType, TracebackType
from typing import Any

from callscan.archive import Archive
from callscan.archive.inventory import Planned, Task
from callscan.audio import Decoded, DecodeLimits, Decoder, hash_file
from callscan.audio.files import local_path
from callscan.config import Settings
from callscan.diarization import models as pipelines
from callscan.diarization.api import Diariser
from callscan.diarization.speakers import channels_swapped, named
from callscan.errors import CallscanError, RecordingError
from callscan.records import CallRecord, Recording, Speaker, Status, Transcript, Turn
from callscan.speech.api import CallAudio, CallSpeech, SpeechEngine

VERSION = 2
"""Grows when this file makes another record from the same recording and the same engine."""

_AHEAD = 4
"""Recordings that are being decoded before the engine asks for them."""

EngineFactory = Callable[[], SpeechEngine]
"""Makes the engine in the process that uses it; must be picklable."""


def load_engine(settings: Settings) -> SpeechEngine:
    """The speech engine that the settings ask for."""
    from callscan.speech import engine  # loads the model's libraries, which the fake does without

    return engine.load(settings.speech)


def load_diariser(settings: Settings) -> Diariser | None:
    """The diariser that the settings ask for; None where they ask for none or ``auto`` finds none."""
    folder = pipelines.locate(settings.diarization.pipeline)
    if folder is None:
        return None
    from callscan.diarization.pyannote import PyannoteDiariser

    return PyannoteDiariser(
        folder,
        speakers=settings.diarization.bounds,
        device=settings.speech.device,
        threads=settings.speech.threads,
    )


@dataclass(frozen=True, slots=True)
class Summary:
    """What became of a shard: its recordings by status, their audio seconds, and the seconds it took."""

    shard: str
    statuses: dict[Status, int]
    audio: float = 0.0
    wall: float = 0.0


@dataclass(frozen=True, slots=True)
class _Call:
    """A recording that is decoded and open; ``close`` frees what it holds."""

    planned: Planned
    key: str
    decoded: Decoded
    close: Callable[[], None]


class Worker:
    """Works on one shard after another, with one engine and one decoder. Use it as a context manager.

    ``diariser`` takes the place of the one that the settings name.
    """

    def __init__(
        self, archive: str, settings: Settings, engine: EngineFactory, diariser: Diariser | None = None
    ) -> None:
        self._archive = Archive(archive)
        self._calls = settings.calls
        self._language = None if settings.speech.language == "auto" else settings.speech.language
        self._engine = engine()
        self._diariser = diariser or load_diariser(settings)
        self._no_diariser = pipelines.why_not(settings.diarization.pipeline)
        self._open = ExitStack()
        self._threads = self._open.enter_context(ThreadPoolExecutor(_AHEAD, "callscan-decode"))
        # Closed first: that kills what the threads wait for.
        self._decoder = self._open.enter_context(Decoder(DecodeLimits()))

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    @property
    def fingerprint(self) -> str:
        """Hex digest of everything but the recording itself that can change its record.

        After a hyphen stands that of the diariser, which changes the records of mono calls alone.
        """
        parts = [VERSION, self._engine.fingerprint, self._language, self._calls.channels, self._calls.min_coverage]
        diariser = self._diariser.fingerprint[:16] if self._diariser else "none"
        return f"{hashlib.sha256(json.dumps(parts).encode()).hexdigest()}-{diariser}"

    def run(self, task: Task, done: Callable[[int], None] = lambda calls: None) -> Summary:
        """Work on a shard and commit it; raises only what has to stop the run (ArchiveError, ModelError).

        ``done`` is called with a number of recordings whenever so many more are done.
        """
        began = time.perf_counter()
        self._engine.meter.take()
        records: dict[str, CallRecord] = {}
        heard = 0
        for call, speech in self._transcribed(self._opened(task, records)):
            records[call.planned.recording.uri] = self._heard(call, speech)
            done(1)
            heard += 1
        ordered = [records[planned.recording.uri] for planned in task.calls]
        audio = sum(record.audio.decoded for record in ordered if record.audio is not None)
        spent = self._engine.meter.take()
        encoding = time.perf_counter()

        def cost() -> dict[str, Any]:
            now = time.perf_counter()
            seconds = {name: round(value, 4) for name, value in spent.seconds.items()}
            return {
                "audio_s": round(audio, 3),
                "wall_s": round(now - began, 3),
                "stages": seconds | {"archive": round(now - encoding, 4)},
                **spent.counts,
            }

        self._archive.commit(task.shard, ordered, fingerprint=self.fingerprint, cost=cost)
        done(len(ordered) - heard)
        statuses = dict(Counter(record.status for record in ordered))
        return Summary(task.shard, statuses, audio, time.perf_counter() - began)

    def _opened(self, task: Task, records: dict[str, CallRecord]) -> Iterator[_Call]:
        """The calls that can be transcribed, decoded a few ahead; those that cannot go straight into ``records``."""
        seen: set[str] = set()
        rest = iter(task.calls)
        ahead: deque[Future[_Call | CallRecord]] = deque()
        try:
            while True:
                while len(ahead) < _AHEAD and (planned := next(rest, None)) is not None:
                    ahead.append(self._threads.submit(self._prepare, planned, task.known))
                if not ahead:
                    return
                outcome = ahead.popleft().result()
                if isinstance(outcome, _Call) and outcome.key in seen:
                    outcome.close()
                    outcome = _duplicate(outcome.planned, outcome.key)
                if isinstance(outcome, _Call):
                    seen.add(outcome.key)
                    yield outcome
                else:
                    records[outcome.uri] = outcome
        finally:
            for future in ahead:
                if not future.cancel():
                    future.add_done_callback(_close_unused)

    def _prepare(self, planned: Planned, known: frozenset[str]) -> _Call | CallRecord:
        """Hash and decode one recording."""
        key = ""
        with ExitStack() as stack:
            try:
                if planned.reason:
                    raise RecordingError(planned.reason, planned.detail)
                with self._engine.meter.time("read"):
                    path = stack.enter_context(_local(planned.recording))
                    key = hash_file(path)
                _demand_unchanged(planned.recording, path)
                if key in known:
                    return _duplicate(planned, key)
                with self._engine.meter.time("decode"):
                    decoded = stack.enter_context(self._decode(path))
                _demand_unchanged(planned.recording, path)
                return _Call(planned, key, decoded, stack.pop_all().close)
            except Exception as error:  # noqa: BLE001 - here it becomes a status
                return _failed(planned, key, error)

    def _decode(self, path: str) -> Decoded:
        """Decode a recording, a second time if its process dies: that may have been any other program's fault."""
        try:
            return self._decoder.decode(path)
        except RecordingError as error:
            if error.reason != "decoder_crash":
                raise
            return self._decoder.decode(path)

    def _transcribed(self, calls: Iterator[_Call]) -> Iterator[tuple[_Call, CallSpeech | Exception]]:
        """What the engine hears in each call, in order; the call is closed when the next one is asked for.

        Where the engine fails, the calls it had in hand are given to it again one by one: only the one that it
        fails on alone is at fault.
        """
        in_hand: deque[_Call] = deque()

        def audio() -> Iterator[CallAudio]:
            for call in calls:
                in_hand.append(call)
                yield self._audio(call)

        try:
            while True:
                try:
                    for speech in self._engine.transcribe(audio()):
                        yield in_hand[0], speech
                        in_hand.popleft().close()
                    if not in_hand:
                        return
                except Exception as error:
                    _reraise_fatal(error)
                    if not in_hand:
                        raise
                for _ in range(len(in_hand)):
                    yield in_hand[0], self._alone(in_hand[0])
                    in_hand.popleft().close()
        finally:
            for call in in_hand:
                call.close()

    def _alone(self, call: _Call) -> CallSpeech | Exception:
        try:
            return next(iter(self._engine.transcribe(iter([self._audio(call)]))))
        except Exception as error:  # noqa: BLE001 - becomes a status in _heard
            _reraise_fatal(error)
            return error

    def _audio(self, call: _Call) -> CallAudio:
        decoded = call.decoded
        return CallAudio(call.key, decoded.duration, decoded.channels, decoded.read, self._language)

    def _heard(self, call: _Call, speech: CallSpeech | Exception) -> CallRecord:
        """The record of a call that the engine has listened to."""
        if isinstance(speech, CallSpeech) and speech.error:
            speech = RecordingError("engine", speech.error)
        if isinstance(speech, Exception):
            reason = speech.reason if isinstance(speech, RecordingError) else "engine"
            return _failed(call.planned, call.key, RecordingError(reason, _message(speech)))
        transcript, remarks = self._with_speakers(call, speech)
        problems = list(call.decoded.problems)
        if not problems and any(speech.spans) and speech.coverage < self._calls.min_coverage:
            problems.append(("coverage", f"words cover {speech.coverage:.0%} of the speech"))
        status: Status = "degraded" if problems else "scanned"
        if not problems and not any(speech.spans):
            status, problems = "no_speech", [("no_speech", "")]
        (reason, detail), *others = problems or [("", "")]
        return replace(
            _record(call.planned, status, call.key, reason, detail),
            audio=call.decoded.info,
            transcript=transcript,
            notes=(*(f"{code}: {text}" for code, text in others), *call.decoded.warnings, *remarks),
        )

    def _with_speakers(self, call: _Call, speech: CallSpeech) -> tuple[Transcript, tuple[str, ...]]:
        """What was said, by whom as far as that can be told, and what there is to note about it."""
        channels = call.decoded.channels
        transcript = Transcript(
            language=speech.language,
            language_probability=speech.language_probability,
            segments=tuple(
                replace(segment, speaker=self._speaker(segment.channel, channels)) for segment in speech.segments
            ),
            speech=speech.spans,
            coverage=speech.coverage,
        )
        if not any(speech.spans):
            return transcript, ()
        if channels > 1:
            return transcript, channels_swapped(transcript.segments, self._calls.channels, speech.language)
        turns, remarks = self._turns(call)
        if not turns:
            return transcript, remarks
        found = named(transcript.segments, turns, speech.language, dict(call.planned.metadata))
        return replace(transcript, segments=found.segments, turns=found.turns), (*remarks, *found.notes)

    def _turns(self, call: _Call) -> tuple[tuple[Turn, ...], tuple[str, ...]]:
        """Who speaks when on a mono recording, or a note why that is not known; its words count all the same."""
        if self._diariser is None:
            return (), (f"speakers: {self._no_diariser}",)
        try:
            with self._engine.meter.time("diarize"):
                turns = self._diariser.turns(call.decoded.read(0, 0.0, call.decoded.duration))
        except Exception as error:  # noqa: BLE001 - the words are there, whatever becomes of their speakers
            _reraise_fatal(error)
            return (), (f"speakers: {_message(error)}",)
        return turns, () if turns else ("speakers: the diarization found no turns",)

    def _speaker(self, channel: int, channels: int) -> Speaker:
        """One channel holds both speakers, so it tells neither."""
        names = self._calls.channels
        return names[channel] if channels > 1 and channel < len(names) else "unknown"


def crashed(archive: Archive, task: Task, fingerprint: str) -> Summary:
    """Commit a shard of one call that kills every worker which takes it."""
    (planned,) = task.calls
    error = RecordingError("worker_crash", "every worker that listened to it died")
    archive.commit(task.shard, [_failed(planned, "", error)], fingerprint=fingerprint)
    return Summary(task.shard, {"quarantined": 1})


def _close_unused(future: Future[_Call | CallRecord]) -> None:
    if future.exception() is None and isinstance(outcome := future.result(), _Call):
        outcome.close()


def _record(planned: Planned, status: Status, key: str, reason: str = "", detail: str = "") -> CallRecord:
    return CallRecord(
        call_id=planned.call_id,
        uri=planned.recording.uri,
        key=key,
        status=status,
        reason=reason,
        detail=detail,
        size=planned.recording.size,
        metadata=MappingProxyType(dict(planned.metadata)),
    )


def _duplicate(planned: Planned, key: str) -> CallRecord:
    return _record(planned, "duplicate", key, "same_bytes")


def _failed(planned: Planned, key: str, error: Exception) -> CallRecord:
    """The one place where an exception becomes a status."""
    _reraise_fatal(error)
    reason = error.reason if isinstance(error, RecordingError) else "internal"
    if reason == "changing":
        return _record(planned, "deferred", "", reason, _message(error))
    return _record(planned, "quarantined", key, reason, _message(error))


def _reraise_fatal(error: Exception) -> None:
    """What is wrong with the archive, the model or the settings is not wrong with a call."""
    if isinstance(error, CallscanError) and not isinstance(error, RecordingError):
        raise error


def _message(error: Exception) -> str:
    return error.message if isinstance(error, CallscanError) else f"{type(error).__name__}: {error}"


@contextmanager
def _local(recording: Recording) -> Iterator[str]:
    """A path to the recording's bytes: its own, or for a remote one that of a temporary copy with the same suffix."""
    if local_path(recording.uri) is not None:
        yield recording.uri
        return
    import fsspec

    with tempfile.NamedTemporaryFile(prefix="callscan-", suffix=PurePosixPath(recording.uri).suffix) as copy:
        try:
            with fsspec.open(recording.uri, "rb") as remote:
                shutil.copyfileobj(remote, copy, 1 << 20)
        except Exception as error:  # each fsspec file system raises its own client's errors
            raise RecordingError("unreadable", f"{type(error).__name__}: {error}") from error
        copy.flush()
        yield copy.name


def _demand_unchanged(recording: Recording, path: str) -> None:
    """The bytes that were planned are the bytes that are read: no recorder is still writing to them."""
    try:
        now = os.stat(local_path(path) or path)  # noqa: PTH116 - a name that is not Unicode is bytes
    except OSError as error:
        raise RecordingError("unreadable", error.strerror or str(error)) from error
    moved = path == recording.uri and recording.modified != now.st_mtime_ns
    if now.st_size != recording.size or moved:
        raise RecordingError("changing", f"planned with {recording.size} bytes, now {now.st_size}")

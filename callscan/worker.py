"""The worker: shards of recordings in, a file of call records out for each. Runners decide where it runs, and how many.

Whatever goes wrong with a recording ends as its ``quarantined`` (or ``deferred``) record, and whatever goes wrong with
the archive or the model ends the run.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from itertools import chain
from threading import Lock
from types import TracebackType
from typing import Any

from callscan.archive import Archive
from callscan.archive.inventory import Planned, Task
from callscan.audio import Decoded, DecodeLimits, Decoder, files, hash_file
from callscan.config import Settings
from callscan.diarization import alone
from callscan.diarization import models as pipelines
from callscan.diarization.api import Diariser
from callscan.diarization.roles import Said
from callscan.diarization.speakers import channels_swapped, named
from callscan.errors import RecordingError
from callscan.outcome import duplicate, failed, message, record, reraise_fatal
from callscan.records import CallRecord, Span, Speaker, Status, Transcript, Turn, union
from callscan.speech.api import CallAudio, CallSpeech, SpeechEngine

VERSION = 2
"""Grows when this file makes another record from the same recording and the same engine."""

_AHEAD = 4
"""Recordings that are being decoded before the engine asks for them."""

_BEGUN = 4
"""Shards that are begun and not committed: where no recording can be heard, the engine never gives a call back."""

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
    """What became of a shard: its recordings by status, their audio seconds, and the seconds since the one before."""

    shard: str
    statuses: dict[Status, int]
    audio: float = 0.0
    wall: float = 0.0


@dataclass(slots=True, eq=False)
class _Shard:
    """A shard that is being worked on: its records so far by URI, the keys met, how many calls the engine heard."""

    task: Task
    records: dict[str, CallRecord] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)
    heard: int = 0

    @property
    def complete(self) -> bool:
        return len(self.records) == len(self.task.calls)


@dataclass(frozen=True, slots=True)
class _Call:
    """A recording that is decoded and open; ``close`` frees what it holds.

    Of a mono recording, ``turns`` are its diariser's, ``voices`` where each of them is heard, by label; empty without.
    """

    shard: _Shard
    planned: Planned
    key: str
    decoded: Decoded
    close: Callable[[], None]
    turns: tuple[Turn, ...] = ()
    voices: Mapping[str, Sequence[Span]] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()


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
        self._diarising = Lock()
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
        diariser = f"{alone.VERSION}{self._diariser.fingerprint[:16]}" if self._diariser else "none"
        return f"{hashlib.sha256(json.dumps(parts).encode()).hexdigest()}-{diariser}"

    def work(self, tasks: Iterable[Task], done: Callable[[int], None] = lambda calls: None) -> Iterator[Summary]:
        """Work on shards in turn and yield what became of each once it is committed.

        While the last calls of a shard are heard, the next shard's first ones are decoded and heard with them: the
        model never waits. Raises only what has to stop the run (ArchiveError, ModelError). ``done`` is called with a
        number of recordings whenever so many more are done.
        """
        self._engine.meter.take()
        begun: deque[_Shard] = deque()
        committed = time.perf_counter()
        rest = iter(tasks)
        for task in rest:
            for call, speech in self._transcribed(self._opened(chain([task], rest), begun)):
                call.shard.records[call.planned.recording.uri] = self._heard(call, speech)
                call.shard.heard += 1
                done(1)
                while begun and begun[0].complete:
                    yield self._commit(begun.popleft(), committed, done)
                    committed = time.perf_counter()
            while begun:
                yield self._commit(begun.popleft(), committed, done)
                committed = time.perf_counter()

    def _commit(self, shard: _Shard, began: float, done: Callable[[int], None]) -> Summary:
        """Write the records of a shard; its cost is what was spent since ``began``, when the last one was written."""
        ordered = [shard.records[planned.recording.uri] for planned in shard.task.calls]
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

        self._archive.commit(shard.task.shard, ordered, fingerprint=self.fingerprint, cost=cost)
        done(len(ordered) - shard.heard)
        statuses = dict(Counter(record.status for record in ordered))
        return Summary(shard.task.shard, statuses, audio, time.perf_counter() - began)

    def _opened(self, tasks: Iterator[Task], begun: deque[_Shard]) -> Iterator[_Call]:
        """The calls that can be transcribed, decoded a few ahead; those that cannot go straight into their records.

        A shard is put into ``begun`` when its first recording is taken up; it ends where that holds :data:`_BEGUN`.
        """

        def recordings() -> Iterator[tuple[_Shard, Planned]]:
            while len(begun) < _BEGUN and (task := next(tasks, None)) is not None:
                begun.append(shard := _Shard(task))
                for planned in task.calls:
                    yield shard, planned

        rest = recordings()
        ahead: deque[tuple[_Shard, Future[_Call | CallRecord]]] = deque()
        try:
            while True:
                while len(ahead) < _AHEAD and (following := next(rest, None)) is not None:
                    shard, planned = following
                    ahead.append((shard, self._threads.submit(self._prepare, shard, planned)))
                if not ahead:
                    return
                shard, future = ahead.popleft()
                outcome = future.result()
                if isinstance(outcome, _Call) and outcome.key in shard.seen:
                    outcome.close()
                    outcome = duplicate(outcome.planned, outcome.key)
                if isinstance(outcome, _Call):
                    shard.seen.add(outcome.key)
                    yield outcome
                else:
                    shard.records[outcome.uri] = outcome
        finally:
            for _, future in ahead:
                if not future.cancel():
                    future.add_done_callback(_close_unused)

    def _prepare(self, shard: _Shard, planned: Planned) -> _Call | CallRecord:
        """Hash and decode one recording."""
        key = ""
        with ExitStack() as stack:
            try:
                if planned.reason:
                    raise RecordingError(planned.reason, planned.detail)
                with self._engine.meter.time("read"):
                    path = stack.enter_context(files.local_copy(planned.recording))
                    key = hash_file(path)
                files.demand_unchanged(planned.recording, path)
                if key in shard.task.known:
                    return duplicate(planned, key)
                with self._engine.meter.time("decode"):
                    decoded = stack.enter_context(self._decode(path))
                files.demand_unchanged(planned.recording, path)
                turns, remarks = self._turns(decoded) if decoded.channels == 1 else ((), ())
                voices = alone.stretches(turns, decoded.duration)
                return _Call(shard, planned, key, decoded, stack.pop_all().close, turns, voices, remarks)
            except Exception as error:  # noqa: BLE001 - here it becomes a status
                return failed(planned, key, error)

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
                    reraise_fatal(error)
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
            reraise_fatal(error)
            return error

    def _audio(self, call: _Call) -> CallAudio:
        """What the engine hears: the channels of the recording, or the voices of its only one."""
        decoded = call.decoded
        if not call.voices:
            return CallAudio(call.key, decoded.duration, decoded.channels, decoded.read, self._language)
        voices = [*call.voices.values()]
        read = alone.channels(decoded.read, voices)
        return CallAudio(call.key, decoded.duration, len(voices), read, self._language)

    def _heard(self, call: _Call, speech: CallSpeech | Exception) -> CallRecord:
        """The record of a call that the engine has listened to."""
        if isinstance(speech, CallSpeech) and speech.error:
            speech = RecordingError("engine", speech.error)
        if isinstance(speech, Exception):
            reason = speech.reason if isinstance(speech, RecordingError) else "engine"
            return failed(call.planned, call.key, RecordingError(reason, message(speech)))
        transcript, remarks = self._with_speakers(call, speech)
        problems = list(call.decoded.problems)
        if not problems and any(speech.spans) and speech.coverage < self._calls.min_coverage:
            problems.append(("coverage", f"words cover {speech.coverage:.0%} of the speech"))
        status: Status = "degraded" if problems else "scanned"
        if not problems and not any(speech.spans):
            status, problems = "no_speech", [("no_speech", "")]
        (reason, detail), *others = problems or [("", "")]
        return replace(
            record(call.planned, status, call.key, reason, detail),
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
            return replace(transcript, speech=speech.spans[:channels]), ()
        if channels > 1:
            return transcript, channels_swapped(transcript.segments, self._calls.channels, speech.language)
        if not call.voices:
            return transcript, call.remarks
        labels = [*call.voices]
        said = [Said(replace(segment, channel=0), labels[segment.channel]) for segment in transcript.segments]
        found = named(said, call.turns, speech.language, dict(call.planned.metadata))
        spans = tuple(union(chain.from_iterable(speech.spans)))
        return replace(transcript, segments=found.segments, turns=found.turns, speech=(spans,)), found.notes

    def _turns(self, decoded: Decoded) -> tuple[tuple[Turn, ...], tuple[str, ...]]:
        """Who speaks when on a mono recording, or a note why that is not known; its words count all the same."""
        if self._diariser is None:
            return (), (f"speakers: {self._no_diariser}",)
        try:
            with self._diarising, self._engine.meter.time("diarize"):
                turns = self._diariser.turns(decoded.read(0, 0.0, decoded.duration))
        except Exception as error:  # noqa: BLE001 - the words are there, whatever becomes of their speakers
            reraise_fatal(error)
            return (), (f"speakers: {message(error)}",)
        return turns, () if turns else ("speakers: the diarization found no turns",)

    def _speaker(self, channel: int, channels: int) -> Speaker:
        """One channel holds both speakers, so it tells neither."""
        names = self._calls.channels
        return names[channel] if channels > 1 and channel < len(names) else "unknown"


def crashed(archive: Archive, task: Task, fingerprint: str) -> Summary:
    """Commit a shard of one call that kills every worker which takes it."""
    (planned,) = task.calls
    error = RecordingError("worker_crash", "every worker that listened to it died")
    archive.commit(task.shard, [failed(planned, "", error)], fingerprint=fingerprint)
    return Summary(task.shard, {"quarantined": 1})


def _close_unused(future: Future[_Call | CallRecord]) -> None:
    if future.exception() is None and isinstance(outcome := future.result(), _Call):
        outcome.close()

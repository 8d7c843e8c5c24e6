"""The speech engine: windows of many calls decoded together, prepared while the model works.

A call's text depends on the call alone. Windows are cut from one channel, padded to a length of their own, and only
windows of one length share a batch, so the calls beside it change nothing.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice

import numpy as np

from callscan.config import Speech
from callscan.records import Segment, Span, Word
from callscan.speech import gates
from callscan.speech.api import CallAudio, CallSpeech
from callscan.speech.meter import Meter
from callscan.speech.models import resolve
from callscan.speech.vad import PADDING, padded, spans_of, speech_probabilities
from callscan.speech.whisper import LADDER, Features, Heard, Whisper, has_cuda
from callscan.speech.windows import Window, pack

VERSION = 1
"""Grows when the same audio and model give another text."""
_ROUND = 4  # batches that are collected and sorted together
_OMITTED = 1.0  # a span of so many seconds without a word is heard again on its own
_PREPARING = 2  # threads that prepare windows while the model works


@dataclass(slots=True)
class _Call:
    """A call in hand: its windows are heard one round after another."""

    audio: CallAudio
    spans: tuple[tuple[Span, ...], ...]
    windows: list[Window]
    language: str = ""
    probability: float = 1.0
    waiting: int = 0
    heard: dict[int, tuple[Heard, int]] = field(default_factory=dict)


class WhisperEngine:
    """A :class:`~callscan.speech.api.SpeechEngine` on a loaded :class:`~callscan.speech.whisper.Whisper`."""

    def __init__(self, model: Whisper, *, batch: int = 16) -> None:
        self._model = model
        self._batch = batch

    @property
    def fingerprint(self) -> str:
        """Hex digest of the model and of this engine's version; the batch size changes no text."""
        return hashlib.sha256(f"{VERSION} {self._model.digest}".encode()).hexdigest()

    @property
    def meter(self) -> Meter:
        """Seconds of ``vad``, ``features``, ``encode``, ``generate``, ``align``; counts of :meth:`_count`."""
        return self._model.meter

    def transcribe(self, calls: Iterable[CallAudio]) -> Iterator[CallSpeech]:
        """One result a call, in the order given; see :mod:`callscan.speech.api`."""
        with ThreadPoolExecutor(_PREPARING, "callscan-prepare") as threads:
            open_calls: deque[_Call] = deque()
            windows = self._windows(calls, open_calls, threads)
            while batch := list(islice(windows, _ROUND * self._batch)):
                self._hear(batch)
                while open_calls and open_calls[0].waiting == 0:
                    yield self._finished(open_calls.popleft())
            while open_calls:
                yield self._finished(open_calls.popleft())

    def _windows(
        self, calls: Iterable[CallAudio], open_calls: deque[_Call], threads: ThreadPoolExecutor
    ) -> Iterator[tuple[_Call, int, Features]]:
        """Windows of one call after another with their features, a few made ahead."""
        ahead: deque[tuple[_Call, int, Future[Features]]] = deque()
        scouts: deque[Future[_Call]] = deque()
        source = iter(calls)

        def scout() -> None:
            while len(scouts) < _PREPARING and (audio := next(source, None)) is not None:
                scouts.append(threads.submit(self._scouted, audio))

        scout()
        while scouts:
            call = scouts.popleft().result()
            scout()
            open_calls.append(call)
            call.waiting = len(call.windows)
            for index in range(len(call.windows)):
                ahead.append((call, index, threads.submit(self._features, call.audio, call.windows[index])))
                if len(ahead) > 2 * self._batch:
                    owner, at, ready = ahead.popleft()
                    yield owner, at, ready.result()
        for owner, at, ready in ahead:
            yield owner, at, ready.result()

    def _scouted(self, audio: CallAudio) -> _Call:
        """Where somebody speaks in a call, and the windows to hear."""
        with self.meter.time("vad"):
            spans = tuple(
                tuple(spans_of(speech_probabilities(audio, channel), audio.duration, self._model.lengths[-1]))
                for channel in range(audio.channels)
            )
        windows = [
            window for channel in range(audio.channels)
            for window in pack(channel, padded(list(spans[channel]), audio.duration), self._model.lengths)
        ]  # fmt: skip
        return _Call(audio, spans, windows, language=audio.language or "")

    def _features(self, audio: CallAudio, window: Window) -> Features:
        sound = [audio.read(window.channel, piece.start, piece.end) for piece in window.pieces]
        return self._model.features(np.concatenate(sound), window.padded)

    def _hear(self, batch: list[tuple[_Call, int, Features]]) -> None:
        """Decode a round of windows, those of one length together; what fails a gate is decoded again, harder."""
        self._settle_languages(batch)
        todo = sorted(batch, key=lambda item: item[0].windows[item[1]].seconds)
        for step, effort in enumerate(LADDER):
            again = []
            for group in self._groups(todo):
                given = [(mel, call.language, call.windows[at].seconds) for call, at, mel in group]
                self._count(given)
                for (call, at, mel), heard in zip(group, self._model.hear(given, effort), strict=True):
                    before = call.heard.get(at)
                    if before is None or heard.avg_logprob > before[0].avg_logprob or _loops(before[0]):
                        call.heard[at] = (heard, step)
                    if _silent(heard):
                        continue
                    if gates.failed(heard.text, heard.avg_logprob):
                        again.append((call, at, mel))
            todo = again
        for call, _, _ in batch:
            call.waiting -= 1

    def _count(self, given: Sequence[tuple[Features, str, float]]) -> None:
        """A batch of windows: how many of the places it has room for, and how many of its frames are padding."""
        frames = sum(mel.shape[1] for mel, _, _ in given)
        sound = sum(round(100 * seconds) for _, _, seconds in given)
        self.meter.count(windows=len(given), places=self._batch, frames=frames, padding=frames - sound)

    def _groups(self, items: list[tuple[_Call, int, Features]]) -> Iterator[list[tuple[_Call, int, Features]]]:
        group: list[tuple[_Call, int, Features]] = []
        for item in items:
            if group and (len(group) == self._batch or item[2].shape != group[0][2].shape):
                yield group
                group = []
            group.append(item)
        if group:
            yield group

    def _settle_languages(self, batch: list[tuple[_Call, int, Features]]) -> None:
        """Detect the language of the calls that have none, each from the first of its windows that is heard."""
        first: dict[int, tuple[_Call, int, Features]] = {}
        for item in batch:
            if not item[0].language:
                first.setdefault(id(item[0]), item)
        for group in self._groups(sorted(first.values(), key=lambda item: item[2].shape)):
            found = self._model.languages([mel for _, _, mel in group])
            for (call, _, _), (language, probability) in zip(group, found, strict=True):
                call.language, call.probability = language, probability

    def _finished(self, call: _Call) -> CallSpeech:
        """The result of a call all of whose windows were heard; spans left without a word are heard once more."""
        segments = [s for at, window in enumerate(call.windows) for s in self._segments(call, window, *call.heard[at])]
        spans = [list(channel) for channel in call.spans]
        omitted = [
            (channel, span)
            for channel, found in enumerate(spans)
            for span in found
            if span.duration >= _OMITTED and not gates.covered(span, [s for s in segments if s.channel == channel])
        ]
        alone = [
            window
            for channel, span in omitted
            for window in pack(channel, padded([span], call.audio.duration), self._model.lengths)
        ]
        once_more = _Call(call.audio, call.spans, alone, call.language, call.probability, len(alone))
        for at in range(0, len(alone), self._batch):
            part = range(at, min(at + self._batch, len(alone)))
            self._hear([(once_more, index, self._features(call.audio, alone[index])) for index in part])
        for index, (channel, span) in enumerate(omitted):
            heard, step = once_more.heard[index]
            found = self._segments(once_more, alone[index], heard, step)
            if not found and _silent(heard):
                spans[channel].remove(span)  # the recogniser, too, hears nobody speak
            if found:  # what is heard alone takes the place of a loop or a phantom
                segments = [
                    s for s in segments if s.channel != channel or not span.start - PADDING <= s.start < span.end
                ]
                segments += found
        ordered = tuple(sorted(segments, key=lambda s: (s.start, s.channel, s.end)))
        speech = sum(span.duration for found in spans for span in found)
        words = sum(
            gates.covered(span, [s for s in ordered if s.channel == channel])
            for channel, found in enumerate(spans)
            for span in found
        )
        return CallSpeech(
            key=call.audio.key,
            language=call.language,
            language_probability=round(call.probability, 4),
            spans=tuple(tuple(found) for found in spans),
            segments=ordered,
            coverage=round(words / speech, 4) if speech else 1.0,
        )

    def _segments(self, call: _Call, window: Window, heard: Heard, step: int) -> list[Segment]:
        """A window's text in call time."""
        if _silent(heard):
            return []
        segments = []
        for part, text, spoken in zip(heard.parts, heard.texts, heard.words, strict=True):
            words: list[Word] = []
            for word in spoken:
                time = _within(window.call_time(word.start, word.end), call.spans[window.channel])
                start = max(time.start, words[-1].end if words else 0.0)
                words.append(
                    Word(word.text.strip(), round(start, 3), round(max(start, time.end), 3), round(word.probability, 4))
                )
            if not text:
                continue
            whole = Span(words[0].start, words[-1].end) if words else window.call_time(part.start, part.end)
            segments.append(
                Segment(
                    start=round(whole.start, 3),
                    end=round(whole.end, 3),
                    text=text,
                    channel=window.channel,
                    speaker="unknown",
                    words=tuple(words),
                    avg_logprob=round(heard.avg_logprob, 4),
                    compression_ratio=round(gates.compression_ratio(text), 4),
                    temperature=round(0.2 * step, 1),
                    flags=gates.flags_of(text, call.language, heard.avg_logprob),
                )
            )
        return segments


def _within(time: Span, spans: Sequence[Span]) -> Span:
    """A word's time without the padding: cut at the ends of the speech it lies in, the nearest span."""
    middle = (time.start + time.end) / 2
    speech = min(spans, key=lambda span: max(span.start - middle, middle - span.end, 0.0))
    start = min(max(time.start, speech.start), speech.end)
    return Span(start, min(max(time.end, start), speech.end))


def _silent(heard: Heard) -> bool:
    """No text, or text that Whisper itself holds for a guess over silence."""
    return not heard.text or (heard.no_speech > gates.NO_SPEECH and heard.avg_logprob < gates.MIN_LOGPROB)


def _loops(heard: Heard) -> bool:
    return gates.compression_ratio(heard.text) > gates.MAX_COMPRESSION


def load(options: Speech) -> WhisperEngine:
    """The engine that the settings ask for; a model whose name is known and that is not here is fetched."""
    device = options.device
    if device == "auto":
        device = "cuda" if has_cuda() else "cpu"
    return WhisperEngine(Whisper(resolve(options.model, device), device=device, threads=options.threads))

"""The speech engine: windows of many calls decoded together, prepared while the model works.

A call's text depends on the call alone. Windows are cut from one channel, padded to a length of their own, and only
windows of one length share a batch, so the calls beside it change nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from callscan.config import Speech
from callscan.records import Span
from callscan.speech import compose
from callscan.speech.api import CallAudio, CallSpeech
from callscan.speech.meter import Meter
from callscan.speech.models import resolve
from callscan.speech.pipeline import Call, Item, Pipeline
from callscan.speech.vad import padded, spans_of, speech_probabilities
from callscan.speech.whisper import Features, Heard, Whisper, cuda_devices, efforts
from callscan.speech.windows import Window, pack

VERSION = 1
"""Grows when the same audio and model give another text."""
_BATCH = {"cpu": 16, "cuda": 32}


class WhisperEngine:
    """A :class:`~callscan.speech.api.SpeechEngine` on a loaded :class:`~callscan.speech.whisper.Whisper`.

    ``beam_size`` is how wide a window is first searched, ``batch`` how many windows are decoded together, 0 for what
    suits the device.
    """

    def __init__(self, model: Whisper, *, beam_size: int = 5, batch: int = 0) -> None:
        self.model = model
        self.efforts = efforts(beam_size)
        self.batch = batch or _BATCH[model.device]

    @property
    def fingerprint(self) -> str:
        """Hex digest of the model and of this engine's version; the batch size changes no text."""
        return hashlib.sha256(f"{VERSION} {self.efforts} {self.model.digest}".encode()).hexdigest()

    @property
    def meter(self) -> Meter:
        """Seconds of ``vad``, ``features``, ``encode``, ``generate``, ``align``; counts of :meth:`hear`."""
        return self.model.meter

    def transcribe(self, calls: Iterable[CallAudio]) -> Iterator[CallSpeech]:
        """One result a call, in the order given; see :mod:`callscan.speech.api`."""
        with Pipeline(self) as pipeline:
            yield from pipeline.run(calls)

    # -- what the pipeline has done for it, each by one of its threads

    def search(self, audio: CallAudio, channel: int) -> tuple[list[Span], list[Window]]:
        """Where somebody speaks on a channel, and the windows to hear."""
        with self.meter.time("vad"):
            probabilities = speech_probabilities(audio, channel)
            spans = spans_of(probabilities, audio.duration, self.model.lengths[-1])
        return spans, pack(channel, padded(spans, audio.duration), self.model.lengths)

    def features(self, item: Item) -> Item:
        """Read a window's sound and make its features."""
        sound = [item.call.audio.read(item.window.channel, piece.start, piece.end) for piece in item.window.pieces]
        item.mel = self.model.features(np.concatenate(sound), item.window.padded)
        return item

    def hear(self, group: Sequence[Item]) -> list[Heard]:
        """Decode a batch: windows of one length, at one step. Counts the places that a batch has, and frames."""
        given = [(_mel(item), item.call.language, item.window.seconds) for item in group]
        frames = sum(mel.shape[1] for mel, _, _ in given)
        sound = sum(round(100 * seconds) for _, _, seconds in given)
        self.meter.count(windows=len(given), places=self.batch, frames=frames, padding=frames - sound)
        return self.model.hear(given, self.efforts[group[0].step])

    def languages(self, group: Sequence[Item]) -> list[tuple[str, float]]:
        """The language of each window."""
        return self.model.languages([_mel(item) for item in group])

    # -- what the pipeline does between

    def again(self, call: Call) -> list[Item]:
        """The speech of a call, all of whose windows were heard, that has no text: each stretch as its own window."""
        call.segments = [segment for item in call.items for segment in item.segments()]
        call.omitted = compose.omitted(call.spans, call.segments)
        untouched = set(call.omitted)
        for item in call.items:
            channel = item.window.channel
            for span, rest in item.unfinished():
                if (channel, span) not in untouched:
                    call.omitted.append((channel, rest))
        call.items = [
            Item(call, window)
            for channel, stretch in call.omitted
            for window in pack(channel, padded([stretch], call.audio.duration), self.model.lengths)
        ]
        return call.items

    def finished(self, call: Call) -> CallSpeech:
        """The result of a call of which everything was heard."""
        segments, spans = call.segments, [list(channel) for channel in call.spans]
        for item, (channel, span) in zip(call.items, call.omitted or [], strict=True):
            found = item.segments()
            if found:
                segments = compose.replaced(segments, channel, span, found)
            elif item.silent and span in spans[channel]:
                spans[channel].remove(span)  # the recogniser, too, hears nobody speak
        return CallSpeech(
            key=call.audio.key,
            language=call.language,
            language_probability=round(call.probability, 4),
            spans=tuple(tuple(found) for found in spans),
            segments=compose.ordered(segments),
            coverage=compose.coverage(spans, segments),
        )


def _mel(item: Item) -> Features:
    if item.mel is None:
        raise RuntimeError("the window has no features")
    return item.mel


def load(options: Speech) -> WhisperEngine:
    """The engine that the settings ask for; a model whose name is known and that is not here is fetched."""
    device = options.device
    if device == "auto":
        device = "cuda" if cuda_devices() else "cpu"
    model = Whisper(resolve(options.model, device), device=device, threads=options.threads)
    return WhisperEngine(model, beam_size=options.beam_size)

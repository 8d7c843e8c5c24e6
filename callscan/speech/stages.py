"""What is done to a call, stage by stage: speech found, features made, windows heard, a transcript put together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from callscan.records import Span
from callscan.speech import compose
from callscan.speech.api import CallAudio, CallSpeech
from callscan.speech.call import Call, Item
from callscan.speech.vad import padded, spans_of, speech_probabilities
from callscan.speech.whisper import Features, Heard, Whisper, efforts
from callscan.speech.windows import Window, pack

_BATCH = {"cpu": 16, "cuda": 32}


class Stages:
    """The stages on a loaded :class:`~callscan.speech.whisper.Whisper`, which measures them (``model.meter``).

    ``beam_size`` is how wide a window is first searched, ``batch`` how many windows are decoded together, 0 for what
    suits the device.
    """

    def __init__(self, model: Whisper, *, beam_size: int = 5, batch: int = 0) -> None:
        self.model = model
        self.efforts = efforts(beam_size)
        self.batch = batch or _BATCH[model.device]

    # -- each by one of the threads of a pipeline

    def search(self, audio: CallAudio, channel: int) -> tuple[list[Span], list[Window]]:
        """Where somebody speaks on a channel, and the windows to hear."""
        with self.model.meter.time("vad"):
            probabilities = speech_probabilities(audio, channel)
            spans = spans_of(probabilities, audio.duration, self.model.lengths[-1])
        return spans, pack(channel, padded(spans, audio.duration), self.model.lengths)

    def features(self, item: Item) -> Item:
        """Read a window's sound and make its features."""
        sound = [item.call.audio.read(item.window.channel, piece.start, piece.end) for piece in item.window.pieces]
        item.mel = self.model.features(np.concatenate(sound), item.window.padded)
        return item

    def hear(self, group: Sequence[Item]) -> list[Heard]:
        """Decode a batch: windows of one length and language, at one step. Counts a batch's places, and frames."""
        given = [(_mel(item), item.window.seconds) for item in group]
        frames = sum(mel.shape[1] for mel, _ in given)
        sound = sum(round(100 * seconds) for _, seconds in given)
        self.model.meter.count(windows=len(given), places=self.batch, frames=frames, padding=frames - sound)
        return self.model.hear(given, group[0].call.language, self.efforts[group[0].step])

    def languages(self, group: Sequence[Item]) -> list[tuple[str, float]]:
        """The language of each window."""
        return self.model.languages([_mel(item) for item in group])

    # -- by the one that decides

    def again(self, call: Call) -> list[Item]:
        """The speech of a call, all of whose windows were heard, that has no text: each stretch as its own window."""
        heard = [item.segments() for item in call.items]
        call.segments = [segment for found in heard for segment in found]
        call.omitted = dict.fromkeys(compose.omitted(call.spans, call.segments))
        for item, found in zip(call.items, heard, strict=True):
            channel = item.window.channel
            for span, rest in item.unfinished():
                untouched = (channel, span) in call.omitted
                call.omitted[channel, span if untouched else rest] = found[-1] if item.cut else None
        call.items = [
            Item(call, window)
            for channel, stretch in call.omitted
            for window in pack(channel, padded([stretch], call.audio.duration), self.model.lengths)
        ]
        return call.items

    def finished(self, call: Call) -> CallSpeech:
        """The result of a call of which everything was heard."""
        segments, spans = call.segments, [list(channel) for channel in call.spans]
        for item, ((channel, span), cut) in zip(call.items, (call.omitted or {}).items(), strict=True):
            found = item.segments()
            if found:
                segments = compose.replaced(segments, channel, span, found, cut)
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

"""A speech engine without a model, for tests of everything around it.

It hears speech wherever there is sound and writes words that depend on nothing but the samples: the same call gives
the same text in any batch, on any machine.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import TYPE_CHECKING

from callscan.records import Segment, Span, Word
from callscan.speech.api import SAMPLE_RATE, CallAudio, CallSpeech
from callscan.speech.meter import Meter

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_FRAME = 0.03
_LOUD = 0.01
_GAP = 0.3
_WORD = 0.4
_CHUNK = 30.0
_SENTENCES = (
    "bonjour je vous appelle pour ma facture c'est la troisième fois que j'appelle personne ne m'a rappelé "
    "ça fait vingt minutes d'attente ça ne marche toujours pas je vous remercie au revoir"
)
_TEXT = tuple(_SENTENCES.split())


class FakeEngine:
    """Deterministic text from the loudness of the samples. Implements :class:`~callscan.speech.api.SpeechEngine`."""

    fingerprint = hashlib.sha256(b"callscan.speech.fake 1").hexdigest()

    @cached_property
    def meter(self) -> Meter:
        """Measures ``generate``."""
        return Meter()

    def transcribe(self, calls: Iterable[CallAudio]) -> Iterator[CallSpeech]:
        """One result a call, in order; one call is open at a time."""
        for call in calls:
            with self.meter.time("generate"):
                heard = [self._channel(call, channel) for channel in range(call.channels)]
            segments = sorted((s for _, said in heard for s in said), key=lambda s: (s.start, s.channel))
            yield CallSpeech(
                key=call.key,
                language=call.language or "fr",
                language_probability=1.0,
                spans=tuple(spans for spans, _ in heard),
                segments=tuple(segments),
            )

    def _channel(self, call: CallAudio, channel: int) -> tuple[tuple[Span, ...], list[Segment]]:
        spans: list[Span] = []
        start = 0.0
        while start < call.duration:
            for span in _loud(call.read(channel, start, start + _CHUNK), start):
                if spans and span.start - spans[-1].end < _GAP:
                    spans[-1] = Span(spans[-1].start, span.end)
                else:
                    spans.append(span)
            start += _CHUNK
        return tuple(spans), [self._segment(call, channel, span) for span in spans]

    def _segment(self, call: CallAudio, channel: int, span: Span) -> Segment:
        levels = abs(call.read(channel, span.start, span.end))
        # Loudness to two digits: what a lossy codec or another resampler changes does not change the words.
        seed = hashlib.sha256(f"{levels.mean():.2f} {span.duration:.1f}".encode()).digest()
        count = max(1, int(span.duration / _WORD))
        words = tuple(
            Word(
                _TEXT[(seed[0] + i) % len(_TEXT)],
                round(span.start + i * span.duration / count, 3),
                round(span.start + (i + 1) * span.duration / count, 3),
                round(0.5 + seed[i % 32] / 512, 4),
            )
            for i in range(count)
        )
        return Segment(
            span.start, span.end, " ".join(word.text for word in words), channel, "unknown", words, -0.1, 1.0
        )


def fake_engine() -> FakeEngine:
    """A factory that can be pickled, as the runners take it."""
    return FakeEngine()


def _loud(samples: NDArray[np.float32], offset: float) -> Iterator[Span]:
    """Stretches of frames louder than silence, in seconds from the start of the call."""
    import numpy as np

    width = int(_FRAME * SAMPLE_RATE)
    frames = len(samples) // width
    loud = np.abs(samples[: frames * width]).reshape(frames, width).mean(axis=1) > _LOUD
    edges = np.flatnonzero(np.diff(np.concatenate(([False], loud, [False])).astype(np.int8)))
    for first, last in edges.reshape(-1, 2):
        yield Span(round(offset + first * _FRAME, 3), round(offset + last * _FRAME, 3))

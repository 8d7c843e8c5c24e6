"""A call in hand, and its windows, while the engine hears it."""

from __future__ import annotations

from dataclasses import dataclass, field

from callscan.records import Segment, Span
from callscan.speech import compose, gates
from callscan.speech.api import CallAudio, CallSpeech
from callscan.speech.whisper import Features, Heard
from callscan.speech.windows import Window


@dataclass(slots=True, eq=False)
class Call:
    """A call in hand. ``items`` are the windows that are being heard, ``waiting`` how many of them still are.

    ``omitted`` is set once all its windows were heard: speech without a word, which is heard again, alone, and by it
    the segment that was cut before or in it.
    """

    audio: CallAudio
    language: str
    probability: float = 1.0
    spans: list[list[Span]] = field(default_factory=list)
    items: list[Item] = field(default_factory=list)
    waiting: int = 0
    segments: list[Segment] = field(default_factory=list)
    omitted: dict[tuple[int, Span], Segment | None] | None = None
    done: CallSpeech | None = None


@dataclass(slots=True, eq=False)
class Item:
    """A window of a call: its features while they are needed, and the best that was heard of it so far."""

    call: Call
    window: Window
    mel: Features | None = None
    step: int = 0
    heard: tuple[Heard, int] | None = None

    def take(self, heard: Heard, steps: int) -> bool:
        """Take what was heard at this step, of so many; whether that will do. If not, the next step is due."""
        if self.heard is None or heard.avg_logprob > self.heard[0].avg_logprob or _loops(self.heard[0]):
            self.heard = heard, self.step
        self.step += 1
        done = compose.silent(heard) or not gates.failed(heard.text, heard.avg_logprob) or self.step == steps
        if done:
            self.mel = None
        return done

    @property
    def silent(self) -> bool:
        """Whether nobody was heard."""
        return self.heard is not None and compose.silent(self.heard[0])

    @property
    def cut(self) -> bool:
        """Whether its last segment was cut at the limit of tokens."""
        return self.heard is not None and self.heard[0].cut and bool(self.heard[0].texts[-1])

    def unfinished(self) -> list[tuple[Span, Span]]:
        """Speech that the recogniser stopped before: its span and the stretch without text, in call time."""
        if self.heard is None or self.silent:
            return []
        return compose.unfinished(self.window, self.heard[0], self.call.spans[self.window.channel])

    def segments(self) -> list[Segment]:
        """What was heard, in call time."""
        if self.heard is None:
            return []
        spans = self.call.spans[self.window.channel]
        return compose.segments_of(self.window, *self.heard, spans, self.call.language)


def _loops(heard: Heard) -> bool:
    return gates.compression_ratio(heard.text) > gates.MAX_COMPRESSION

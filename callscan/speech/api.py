"""What a speech engine takes and gives: the seam between the worker and any recogniser."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from callscan.records import Segment, Span
from callscan.speech.meter import Meter

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SAMPLE_RATE = 16_000
"""Samples a second of everything an engine reads."""


@dataclass(frozen=True, slots=True)
class CallAudio:
    """One decoded call, read piece by piece so that its length does not matter.

    ``read(channel, start, end)`` gives mono float32 samples in [-1, 1] at 16 kHz, shape (n,), for the seconds
    ``start`` to ``end`` (cut at the end of the recording). ``duration`` is seconds. ``language`` is an ISO 639-1
    code, or None to detect it.
    """

    key: str
    duration: float
    channels: int
    read: Callable[[int, float, float], NDArray[np.float32]]
    language: str | None = None


@dataclass(frozen=True, slots=True)
class CallSpeech:
    """What the engine heard in one call.

    ``spans[c]`` are channel c's speech spans; ``segments`` are those of all channels by start time, speaker
    ``unknown``. ``coverage`` is the share of speech seconds that words cover. ``error`` says what failed, empty if
    nothing did.
    """

    key: str
    language: str = ""
    language_probability: float = 0.0
    spans: tuple[tuple[Span, ...], ...] = ()
    segments: tuple[Segment, ...] = ()
    coverage: float = 1.0
    error: str = ""


class SpeechEngine(Protocol):
    """Turns decoded calls into text with times."""

    @property
    def fingerprint(self) -> str:
        """Hex digest of everything that can change the text: model digest, options, format version."""
        ...

    @property
    def meter(self) -> Meter:
        """Measures what the engine's stages cost; who runs the engine takes from it."""
        ...

    def transcribe(self, calls: Iterable[CallAudio]) -> Iterator[CallSpeech]:
        """Yield one result a call, in the order given. ``calls`` is pulled as needed, never all at once, and a
        call's ``read`` may be called until its result has been yielded."""
        ...

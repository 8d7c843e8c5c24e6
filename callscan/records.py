"""The values that flow through callscan: frozen, comparable, made of the standard library alone.

Times are seconds (float) from the start of the recording. Text is NFC Unicode. Every value knows how it was
come by, so that a number in a report leads back to a second in a recording.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, NamedTuple

Speaker = Literal["customer", "agent", "ivr", "unknown"]
SPEAKERS: tuple[Speaker, ...] = ("customer", "agent", "ivr", "unknown")

Status = Literal["scanned", "no_speech", "degraded", "quarantined", "duplicate", "deferred"]
STATUSES: tuple[Status, ...] = ("scanned", "no_speech", "degraded", "quarantined", "duplicate", "deferred")


@dataclass(frozen=True, slots=True)
class Recording:
    """A file that was discovered: where it is and what tells it apart, never its samples.

    ``uri`` is a local path or an fsspec URL; ``size`` is bytes; ``modified`` is the modification time in
    nanoseconds since the epoch, 0 where the store has none.
    """

    uri: str
    size: int
    modified: int = 0


@dataclass(frozen=True, slots=True)
class Span:
    """Where someone speaks, in seconds; ``end`` is exclusive."""

    start: float
    end: float

    @property
    def duration(self) -> float:
        """Seconds from start to end."""
        return self.end - self.start


def union(spans: Iterable[Span]) -> list[Span]:
    """The time that any of the spans covers: spans in order and apart."""
    found: list[Span] = []
    for span in sorted(spans, key=lambda span: span.start):
        if found and span.start <= found[-1].end:
            found[-1] = Span(found[-1].start, max(found[-1].end, span.end))
        else:
            found.append(span)
    return found


@dataclass(frozen=True, slots=True)
class Word:
    """One word as the recogniser wrote it (punctuation attached), with its time and probability (0 to 1)."""

    text: str
    start: float
    end: float
    probability: float = 1.0


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of text by one speaker on one channel, as Whisper means a segment.

    ``flags`` names what makes the text doubtful (``phantom``, ``loop``, ``low_confidence``); a segment
    flagged ``phantom`` or ``loop`` is kept as evidence and never counted.
    """

    start: float
    end: float
    text: str
    channel: int
    speaker: Speaker
    words: tuple[Word, ...] = ()
    avg_logprob: float = 0.0
    compression_ratio: float = 0.0
    temperature: float = 0.0
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Turn:
    """Who spoke when on a mono recording; ``label`` is the diariser's own name for the voice."""

    start: float
    end: float
    label: str
    speaker: Speaker = "unknown"


@dataclass(frozen=True, slots=True)
class Transcript:
    """What was said in one call: segments of all channels, by start time.

    ``coverage`` is the share of the speech seconds that words cover (0 to 1), the measure behind
    ``degraded``; ``speech`` holds each channel's speech spans, index = channel.
    """

    language: str
    language_probability: float
    segments: tuple[Segment, ...]
    speech: tuple[tuple[Span, ...], ...] = ()
    turns: tuple[Turn, ...] = ()
    coverage: float = 1.0


@dataclass(frozen=True, slots=True)
class AudioInfo:
    """What a recording turned out to be. Seconds; ``lost`` is declared or damaged audio that was not heard."""

    container: str
    codec: str
    channels: int
    sample_rate: int
    declared: float
    decoded: float
    lost: float = 0.0


@dataclass(frozen=True, slots=True)
class CallRecord:
    """All that is known of one discovered recording.

    ``key`` is the SHA-256 of the file's bytes (empty when they could not be read): the same call under two
    names has one key. ``reason`` is a code from :data:`callscan.errors.REASONS`, empty for ``scanned``;
    ``detail`` says it in words. ``audio`` and ``transcript`` are None where the call did not get that far.
    """

    call_id: str
    uri: str
    key: str
    status: Status
    reason: str = ""
    detail: str = ""
    size: int = 0
    audio: AudioInfo | None = None
    transcript: Transcript | None = None
    metadata: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    notes: tuple[str, ...] = ()


class Hit(NamedTuple):
    """One pattern found once, with its evidence.

    ``start`` and ``end`` are the first word's start and the last word's end; ``quote`` is what was said there,
    ``segment`` the index of the first word's segment in the transcript. ``speaker_known`` is False where
    the pattern is bound to a speaker and the recording does not tell who spoke. A hit counts unless it carries a
    flag: ``negated``, ``hypothetical``, ``resolved``, ``question``. A tuple, for there are many of them, and one is
    made in a quarter of the time.
    """

    issue: str
    pattern: str
    lexicon: str
    speaker: Speaker
    start: float
    end: float
    quote: str
    segment: int
    probability: float = 1.0
    speaker_known: bool = True
    flags: tuple[str, ...] = ()

    @property
    def counted(self) -> bool:
        """Whether the hit counts: it carries no flag."""
        return not self.flags

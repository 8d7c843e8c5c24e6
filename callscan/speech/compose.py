"""From what was heard in windows to a call's segments, in call time and checked against its speech."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from callscan.records import Segment, Span, Word
from callscan.speech import gates
from callscan.speech.vad import MIN_SPEECH
from callscan.speech.whisper import Heard
from callscan.speech.windows import Window

_OMITTED = 1.0  # so many seconds of speech without a word are heard again on their own
_AGREE = 0.3  # a word lies within its segment's timestamps, give or take so many seconds

Spans = Sequence[Sequence[Span]]
"""Speech spans by channel."""


def silent(heard: Heard) -> bool:
    """No text, or text that Whisper itself holds for a guess over silence."""
    return not heard.text or (heard.no_speech > gates.NO_SPEECH and heard.avg_logprob < gates.MIN_LOGPROB)


def segments_of(window: Window, heard: Heard, step: int, spans: Sequence[Span], language: str) -> list[Segment]:
    """A window's text in call time; ``spans`` are its channel's, ``step`` how hard it was decoded."""
    if silent(heard):
        return []
    segments = []
    for part, text, spoken in zip(heard.parts, heard.texts, heard.words, strict=True):
        words: list[Word] = []
        for word in spoken:
            first = min(max(word.start, part.start - _AGREE), part.end)
            last = min(max(word.end, first), part.end + _AGREE)
            time = _within(window.call_time(first, last), spans)
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
                flags=gates.flags_of(text, language, heard.avg_logprob),
            )
        )
    return segments


def omitted(spans: Spans, segments: Sequence[Segment]) -> list[tuple[int, Span]]:
    """Spans long enough to hold a word that no segment touches, with their channels: to be heard once more, alone."""
    times = _times(spans, segments)
    return [
        (channel, span)
        for channel, found in enumerate(spans)
        for span in found
        if span.duration >= _OMITTED and not gates.covered(span, times[channel])
    ]


def unfinished(window: Window, heard: Heard, spans: Sequence[Span]) -> list[tuple[Span, Span]]:
    """Speech in a window behind the last timestamp, where the recogniser stopped too early: span and stretch.

    ``spans`` are the channel's, in order and apart. Behind text that was cut every stretch counts: it is to take the
    place of that text.
    """
    reached, least = window.seconds, _OMITTED  # a window without any text is omitted speech
    if heard.cut:
        reached, least = heard.parts[-1].start, MIN_SPEECH
    elif heard.parts:
        reached = heard.parts[-1].end
    found, at = [], 0.0
    for piece in window.pieces:
        rest = piece.start + max(0.0, reached - at)
        at += piece.duration
        first = bisect_right(spans, rest, key=lambda span: span.end)
        for span in spans[first : bisect_left(spans, piece.end, first, key=lambda span: span.start)]:
            start, end = max(span.start, rest), min(span.end, piece.end)
            if end - start >= least:
                found.append((span, Span(start, end)))
    return found


def replaced(
    segments: Sequence[Segment], channel: int, span: Span, found: Sequence[Segment], cut: Segment | None
) -> list[Segment]:
    """The segments with what was ``found`` in speech heard alone: it takes the place of a loop or a phantom there,
    and of the segment that was ``cut`` before."""
    kept = [s for s in segments if s is not cut and (s.channel != channel or not span.start <= s.start < span.end)]
    return [*kept, *found]


def ordered(segments: Sequence[Segment]) -> tuple[Segment, ...]:
    """Segments of all channels by their start."""
    return tuple(sorted(segments, key=lambda s: (s.start, s.channel, s.end)))


def coverage(spans: Spans, segments: Sequence[Segment]) -> float:
    """The share of the speech seconds that words cover; 1 where nobody speaks."""
    times = _times(spans, segments)
    speech = sum(span.duration for found in spans for span in found)
    words = sum(gates.covered(span, times[channel]) for channel, found in enumerate(spans) for span in found)
    return round(words / speech, 4) if speech else 1.0


def _times(spans: Spans, segments: Sequence[Segment]) -> list[list[Span]]:
    """The time with trusted text, by channel."""
    return [gates.trusted(s for s in segments if s.channel == channel) for channel in range(len(spans))]


def _within(time: Span, spans: Sequence[Span]) -> Span:
    """A word's time without the padding: cut at the ends of the speech it lies in, the nearest span."""
    middle = (time.start + time.end) / 2
    after = bisect_right(spans, middle, key=lambda span: span.start)
    near = spans[max(0, after - 1) : after + 1]
    speech = min(near, key=lambda span: max(span.start - middle, middle - span.end, 0.0))
    start = min(max(time.start, speech.start), speech.end)
    return Span(start, min(max(time.end, start), speech.end))

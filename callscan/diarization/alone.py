"""Each voice of a mono recording alone: what a recorder with two channels would have kept apart.

A recogniser that hears both sides at once runs two people's sentences together, and loses both where they overlap.
So each voice is heard by itself, everybody else silenced where only they speak. Silence between two voices goes half
to each: speech that the diariser missed is heard, and heard once.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from callscan.diarization.api import SAMPLE_RATE
from callscan.records import Span, Turn

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

VERSION = 1
"""Grows when the same turns give other stretches."""
_SAME = 0.3
"""Seconds of silence that a voice may make within a turn."""
_THROWN_IN = 1.0
"""Seconds of a turn that is heard as part of another one's, where it lies inside that: of "oui", said into somebody's
sentence, a recogniser understands that sentence."""
_INSIDE = 0.8


def stretches(turns: Sequence[Turn], duration: float) -> dict[str, tuple[Span, ...]]:
    """Where each voice is heard, in seconds, by its label; together they are the whole recording.

    A voice that only throws words into others' turns is heard nowhere and left out.
    """
    floor = _floor(turns)
    events = [(min(turn.end, duration), False, turn.label) for turn in floor]
    events += [(max(turn.start, 0.0), True, turn.label) for turn in floor]
    found: dict[str, list[Span]] = {turn.label: [] for turn in floor}
    speaking: set[str] = set()
    last: set[str] = set()
    since = 0.0
    for at, begins, label in sorted(events):
        if speaking:
            _give(found, speaking, Span(since, at))
        elif begins and at > since:
            middle = (since + at) / 2 if last else since
            _give(found, last, Span(since, middle))
            _give(found, {label}, Span(middle, at))
        last = set(speaking) or last
        speaking = speaking | {label} if begins else speaking - {label}
        since = at
    _give(found, last, Span(since, duration))
    return {label: tuple(spans) for label, spans in found.items() if spans}


def channels(
    read: Callable[[int, float, float], NDArray[np.float32]], voices: Sequence[Sequence[Span]]
) -> Callable[[int, float, float], NDArray[np.float32]]:
    """A recording with a channel for each voice, silent outside its stretches, out of the first channel of another;
    both are read as :class:`callscan.audio.Decoded` is."""

    def silenced(channel: int, start: float, end: float) -> NDArray[np.float32]:
        import numpy as np

        samples = read(0, start, end)
        out = np.zeros_like(samples)
        for span in voices[channel]:
            if span.start < end and start < span.end:
                first = max(0, round((span.start - start) * SAMPLE_RATE))
                last = max(first, round((span.end - start) * SAMPLE_RATE))
                out[first:last] = samples[first:last]
        return out

    return silenced


def _floor(turns: Sequence[Turn]) -> list[Turn]:
    """The turns of those who have the floor: without what is thrown in while somebody else speaks for longer."""
    joined: list[Turn] = []
    latest: dict[str, int] = {}
    for turn in sorted((turn for turn in turns if turn.end > turn.start), key=lambda turn: turn.start):
        number = latest.get(turn.label)
        if number is not None and turn.start - joined[number].end < _SAME:
            joined[number] = replace(joined[number], end=max(joined[number].end, turn.end))
        else:
            latest[turn.label] = len(joined)
            joined.append(turn)
    kept: list[Turn] = []
    begun: list[Turn] = []
    for number, turn in enumerate(joined):
        begun = [other for other in begun if other.end > turn.start]
        after = number + 1
        while after < len(joined) and joined[after].start < turn.end:
            after += 1
        if not _thrown_in(turn, [*begun, *joined[number + 1 : after]]):
            kept.append(turn)
        begun.append(turn)
    return kept


def _thrown_in(turn: Turn, beside: Sequence[Turn]) -> bool:
    """Whether a turn lies in longer ones ``beside`` it."""
    length = turn.end - turn.start
    longer = [other for other in beside if other.label != turn.label and other.end - other.start > length]
    inside = sum(max(0.0, min(turn.end, other.end) - max(turn.start, other.start)) for other in longer)
    return length < _THROWN_IN and inside >= _INSIDE * length


def _give(found: Mapping[str, list[Span]], labels: Collection[str], span: Span) -> None:
    """Add a stretch to some voices; what follows on without a gap makes one with what came before."""
    for label in labels:
        spans = found[label]
        if spans and spans[-1].end == span.start:
            spans[-1] = Span(spans[-1].start, span.end)
        elif span.duration:
            spans.append(span)

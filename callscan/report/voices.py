"""Who speaks when in one call: the turns of a diarised call, else the speech spans of each channel."""

from __future__ import annotations

from dataclasses import dataclass

from callscan.records import Speaker, Transcript

UNHEARD = frozenset({"phantom", "loop"})
"""Flags of segments that nobody said: kept in the archive as evidence, in no count and no export."""


@dataclass(frozen=True, slots=True)
class Voice:
    """One stretch of speech. Seconds; ``channel`` counts from 0.

    ``name`` tells voices apart where ``speaker`` does not: it is the role, or the diariser's label.
    """

    speaker: Speaker
    channel: int
    start: float
    end: float
    name: str


def voices(transcript: Transcript) -> list[Voice]:
    """Every stretch of speech, channel by channel.

    A channel is the voice of whoever of customer and agent says the most on it: an announcement on the agent's
    channel does not make it another's.
    """
    if transcript.turns:
        labels: dict[Speaker, set[str]] = {}
        for turn in transcript.turns:
            labels.setdefault(turn.speaker, set()).add(turn.label)
        alone = {speaker for speaker, own in labels.items() if len(own) == 1 and speaker != "unknown"}
        return [
            Voice(turn.speaker, 0, turn.start, turn.end, turn.speaker if turn.speaker in alone else turn.label)
            for turn in transcript.turns
        ]
    said: dict[int, dict[Speaker, float]] = {}
    for segment in transcript.segments:
        seconds = said.setdefault(segment.channel, {})
        seconds[segment.speaker] = seconds.get(segment.speaker, 0.0) + segment.end - segment.start
    found = []
    for channel, spans in enumerate(transcript.speech):
        seconds = said.get(channel, {})
        sides: tuple[Speaker, ...] = ("customer", "agent")
        known = [side for side in sides if side in seconds] or sorted(seconds)
        speaker: Speaker = max(known, key=lambda side: seconds[side]) if known else "unknown"
        found += [Voice(speaker, channel, span.start, span.end, speaker) for span in spans]
    return found

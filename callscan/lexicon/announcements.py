"""Who is a machine: announcements and hold messages, so that nobody's words are counted as the customer's.

Two signs. A segment holds what only machines say, before any agent has spoken. Or the same words stand at the
same place of many calls: no two customers open with the same twelve words in the same second.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from callscan.lexicon.alphabet import Alphabet, WordMemory
from callscan.lexicon.lexicon import Lexicon
from callscan.lexicon.program import Program, compiled, features, leaves
from callscan.lexicon.words import normalised
from callscan.records import Segment, Transcript

MIN_WORDS = 5
"""Shorter segments ("bonjour") are the same in many calls without being a machine's."""
MIN_CALLS = 5
MIN_SHARE = 0.05
SAME_PLACE = 3.0
"""Seconds by which the start of one announcement may differ between calls."""


class Announcements:
    """The announcements a lexicon knows, for one language."""

    def __init__(self, lexicon: Lexicon, language: str = "fr") -> None:
        patterns = lexicon.sources(language).announcements
        self._expression: re.Pattern[str] | None = None
        if not patterns:
            return
        alphabet = Alphabet(lexicon.language(language))
        for leaf in {leaf for pattern in patterns for leaf in leaves(pattern.node)}:
            asked = list(features(leaf, alphabet))
            alphabet.ask((f for f, _ in asked), ((s, f) for f, s in asked if s))
        alphabet.freeze()
        program = Program(alphabet)
        self._expression = compiled("|".join(program.expression(p.node) for p in patterns))
        self._memory = WordMemory(alphabet)

    def is_announcement(self, text: str) -> bool:
        """Whether a text holds what only a machine says."""
        if self._expression is None:
            return False
        symbols = b"".join(map(self._memory.__getitem__, normalised(text)[1].split())).decode("utf-16-le")
        return self._expression.search(symbols) is not None


def mark_ivr(transcript: Transcript, announcements: Announcements) -> Transcript:
    """The transcript with announcements said by ``ivr``: those before any agent speaks, whoever's channel it is.

    Where nobody is known to be the agent, announcements are looked for in the whole call. A human agent who says
    such words ("je vous mets en relation") keeps them: only what comes before the agent's first other words counts.
    """
    opened = False
    agents = any(segment.speaker == "agent" for segment in transcript.segments)
    segments: list[Segment] = []
    for segment in transcript.segments:
        if segment.speaker != "ivr" and not opened and announcements.is_announcement(segment.text):
            segment = replace(segment, speaker="ivr")
        elif segment.speaker == "agent" and agents:
            opened = True
        segments.append(segment)
    return replace(transcript, segments=tuple(segments))


def _phrase(segment: Segment) -> bytes | None:
    words = normalised(segment.text)[1].split()
    return b" ".join(words) if len(words) >= MIN_WORDS else None


def repeated_phrases(transcripts: Iterable[Transcript]) -> Mapping[bytes, float]:
    """What stands at the same place of many calls: normalised text to its usual start in seconds."""
    starts: dict[bytes, list[float]] = {}
    calls = 0
    for transcript in transcripts:
        calls += 1
        first: dict[bytes, float] = {}
        for segment in transcript.segments:
            phrase = _phrase(segment)
            if phrase is not None:
                first.setdefault(phrase, segment.start)
        for phrase, start in first.items():
            starts.setdefault(phrase, []).append(start)
    needed = max(MIN_CALLS, MIN_SHARE * calls)
    found: dict[bytes, float] = {}
    for phrase, times in starts.items():
        if len(times) < needed:
            continue
        times.sort()
        middle = times[len(times) // 2]
        if sum(abs(time - middle) <= SAME_PLACE for time in times) >= needed:
            found[phrase] = middle
    return found


def mark_repeated(transcript: Transcript, phrases: Mapping[bytes, float]) -> Transcript:
    """The transcript with the segments of :func:`repeated_phrases` that stand at their place said by ``ivr``."""

    def spoken(segment: Segment) -> Segment:
        phrase = _phrase(segment)
        if phrase is None or abs(segment.start - phrases.get(phrase, float("inf"))) > SAME_PLACE:
            return segment
        return replace(segment, speaker="ivr")

    return replace(transcript, segments=tuple(spoken(segment) for segment in transcript.segments))


def mark_all(transcripts: Sequence[Transcript], announcements: Announcements) -> list[Transcript]:
    """Both signs over many calls that are at hand together."""
    phrases = repeated_phrases(transcripts)
    return [mark_ivr(mark_repeated(transcript, phrases), announcements) for transcript in transcripts]

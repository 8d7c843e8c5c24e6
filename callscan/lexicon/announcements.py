"""Who is a machine: announcements and hold messages, so that nobody's words are counted as the customer's.

A segment is a machine's when it holds what only machines say, before any agent has spoken. Announcements that no
lexicon knows are recognised where many calls are counted together (callscan/report/assemble.py).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from callscan.lexicon.alphabet import LOWEST, MAX_WORD_LENGTH, MAX_WORDS, Alphabet, Language, WordMemory, number_of
from callscan.lexicon.compiled import Kernel
from callscan.lexicon.pattern import Pattern
from callscan.lexicon.program import Program, features, leaves, needed
from callscan.lexicon.words import normalised
from callscan.records import Transcript


class Announcements:
    """The announcements of one language: ``patterns`` of what only a machine says."""

    def __init__(self, patterns: Sequence[Pattern], language: Language) -> None:
        self._kernel: Kernel | None = None
        if not patterns:
            return
        alphabet = Alphabet(language)
        for leaf in {*leaves(*(pattern.node for pattern in patterns))}:
            asked = list(features(leaf, alphabet))
            alphabet.ask((f for f, _ in asked), ((s, f) for f, s in asked if s))
        alphabet.freeze()
        program = Program(alphabet)
        self._any = program.add(*(pattern.node for pattern in patterns))
        self._kernel = Kernel(program.code())
        self._memory = WordMemory(alphabet)
        sets = [needed(pattern.node, program) for pattern in patterns]
        rarest = frozenset[str]().union(*(of_one[0] for of_one in sets)) if all(sets) else None
        self._telling = None if rarest is None else _Telling(self._memory, frozenset(map(number_of, rarest)))

    def is_announcement(self, text: str) -> bool:
        """Whether a text holds what only a machine says."""
        if self._kernel is None:
            return False
        words = normalised(text)[1].split()
        # Hardly any text has even one of the words that it takes.
        if self._telling is not None and not any(map(self._telling.__getitem__, words)):
            return False
        rows = np.frombuffer(b"".join(map(self._memory.__getitem__, words)), "<u2") - np.uint16(LOWEST)
        return self._kernel.search(rows, self._any, 0, len(rows)) is not None


class _Telling(dict[bytes, bool]):
    """Whether a word has any of the symbols ``asked`` for, filled as words turn up."""

    def __init__(self, memory: WordMemory, asked: frozenset[int]) -> None:
        super().__init__()
        self._memory, self._asked = memory, asked

    def __missing__(self, word: bytes) -> bool:
        found = not self._asked.isdisjoint(memoryview(self._memory[word]).cast("H"))
        if len(word) <= MAX_WORD_LENGTH:
            if len(self) >= MAX_WORDS:
                self.clear()
            self[word] = found
        return found


def opened(announcements: Announcements, said_by_agent: Iterable[tuple[int, str]]) -> float:
    """From which segment of a call on nothing is a machine's, as :func:`mark_ivr` has it; infinity where that may be
    anywhere. ``said_by_agent`` are the agent's segments in order (index and text); no more are read than it takes."""
    return next((index for index, text in said_by_agent if not announcements.is_announcement(text)), math.inf)


def mark_ivr(transcript: Transcript, announcements: Announcements) -> Transcript:
    """The transcript with announcements said by ``ivr``: those before any agent speaks, whoever's channel it is.

    Where nobody is known to be the agent, announcements are looked for in the whole call. A human agent who says
    such words ("je vous mets en relation") keeps them: only what comes before the agent's first other words counts.
    """
    numbered = list(enumerate(transcript.segments))
    by_agent = ((index, segment.text) for index, segment in numbered if segment.speaker == "agent")
    since = opened(announcements, by_agent)
    machine = {i for i, segment in numbered if i < since and announcements.is_announcement(segment.text)}
    return replace(
        transcript,
        segments=tuple(replace(segment, speaker="ivr") if i in machine else segment for i, segment in numbered),
    )

"""The words of many calls by number: each distinct word once, and arrays of which word is said when.

A transcript's words are read once for all lexicons to come; a new lexicon looks at every distinct word, not at every
word said. What it finds is the same as in the transcripts themselves.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from callscan.lexicon.alphabet import BREAK, SEGMENT, WordMemory
from callscan.lexicon.stream import SAID_BY, STOPS, Evidence, once
from callscan.lexicon.words import normalised
from callscan.records import Speaker

SEGMENT_WORD, BREAK_WORD, FIRST_WORD = 0, 1, 2
"""Numbers of the marks before each segment (:mod:`callscan.lexicon.stream`), and of the first word of a vocabulary."""

_SPEAKERS: dict[int, Speaker] = {number: speaker for speaker, number in SAID_BY.items()}


@dataclass(frozen=True, slots=True)
class Spoken:
    """What is said in some calls, call by call and speaker by speaker, laid out as in :mod:`callscan.lexicon.stream`.

    ``words``, ``starts``, ``ends`` and ``probabilities`` are arrays of one length: a mark before each segment, then
    its words, by their number in ``vocabulary`` from :data:`FIRST_WORD` on. ``calls``, ``indices`` (in
    the call), ``speakers`` (:data:`callscan.lexicon.stream.SAID_BY`) and ``runs`` (who speaks in turn) are arrays of
    one value a segment; ``texts`` holds the text of the segments whose text is not their words. ``lengths`` is where
    each call's last segment ends (seconds), ``unheard`` the agent's segments that are left out, by call: index and
    text. Times are in parts of a second, ``second`` of them; probabilities in parts of one, ``certain`` of them.
    """

    vocabulary: list[str]
    words: Any
    starts: Any
    ends: Any
    probabilities: Any
    calls: Any
    indices: Any
    speakers: Any
    runs: Any
    texts: dict[int, str]
    lengths: Any
    unheard: dict[int, list[tuple[int, str]]]
    second: float = 1.0
    certain: float = 1.0


class Vocabulary:
    """What a lexicon's alphabet makes of the words of a :class:`Spoken`: each distinct one is looked at once."""

    def __init__(self, memory: WordMemory) -> None:
        self._memory = memory
        self._kept: dict[str, bytes] = {}
        self._last: tuple[Spoken, Symbols] | None = None

    def symbols(self, spoken: Spoken) -> Symbols:
        """The vocabulary of a Spoken; the last one is remembered."""
        if self._last is None or self._last[0] is not spoken:
            self._last = spoken, _symbols_of(spoken, self)
        return self._last[1]

    def kept(self, word: str) -> bytes:
        """The symbols that count of a word as the recogniser wrote it (16 bit each); none of hesitations."""
        found = self._kept.get(word)
        if found is None:
            if len(self._kept) > 500_000:
                self._kept.clear()
            found = self._kept[word] = b"".join(symbols for symbols, _, _ in self.tokens(word))
        return found

    def tokens(self, word: str) -> list[tuple[bytes, int, int]]:
        """The words within a word ("l'attente,") that count: symbol, and where they begin and end in it (in NFC)."""
        _, clean = normalised(word)
        found: list[tuple[bytes, int, int]] = []
        at = 0
        for token in clean.split():
            begin = clean.index(token, at)
            at = begin + len(token)
            symbols = self._memory[token]
            pieces = (symbols[place : place + 2] for place in range(0, len(symbols), 2))
            found += [(piece, begin, at) for piece in pieces if int.from_bytes(piece, "little") > ord(SEGMENT)]
        return found


class ColumnStream:
    """As :class:`callscan.lexicon.stream.Stream`, over the segments from ``first`` to before ``last`` of a Spoken."""

    def __init__(self, vocabulary: Vocabulary, spoken: Spoken, first: int, last: int) -> None:
        import numpy as np

        self._np = np
        symbols = vocabulary.symbols(spoken)
        self._spoken, self._vocabulary = spoken, vocabulary
        self._first = first
        marks = symbols.marks
        self._begin = int(marks[first])
        end = int(marks[last]) if last < len(marks) else len(spoken.words)
        self._words = spoken.words[self._begin : end].astype(np.intp)
        self._symbols, self._stops = symbols, symbols.stops
        own_marks = marks[first:last] - self._begin
        counts = symbols.counts.take(self._words)
        self._before = np.cumsum(counts) - counts
        owner = np.repeat(np.arange(len(counts)), counts)
        begins = symbols.begins.take(self._words)
        begins -= self._before
        kept = symbols.flat.take(begins.take(owner) + np.arange(len(owner)))
        self.kept, self._index = once(kept, np.arange(len(kept)))
        self._owner = owner
        speakers = spoken.speakers[first:last]
        begins = self._index.searchsorted(self._before[own_marks])
        self.said_by: Any = np.repeat(speakers, np.diff([0, *begins[1:].tolist(), len(self._index)]))
        turns = np.flatnonzero(np.diff(spoken.runs[first:last])) + 1
        self.runs: list[int] = [*begins[turns].tolist(), len(self._index)]
        self._marks: list[int] = own_marks.tolist()
        self._text: str | None = None

    def __len__(self) -> int:
        return len(self._index)

    @property
    def text(self) -> str:
        """One character per word that counts."""
        if self._text is None:
            self._text = self.kept.tobytes().decode("utf-16-le")
        return self._text

    def call(self, position: int) -> int:
        """Which of the calls a word of :attr:`text` is in."""
        return int(self._spoken.calls[self._segment(self._word(position))])

    def length(self, position: int) -> float:
        """Where the last segment of a word's call ends."""
        return float(self._spoken.lengths[self.call(position)])

    def _word(self, position: int) -> int:
        """Which of the words as the recogniser wrote them a word of :attr:`text` is in."""
        return int(self._owner[self._index[position]])

    def _segment(self, word: int) -> int:
        return self._first + bisect_right(self._marks, word) - 1

    def _written(self, word: int) -> str:
        number = int(self._words[word])
        return normalised(self._spoken.vocabulary[number - FIRST_WORD])[0] if number >= FIRST_WORD else "\x1e"

    def _token(self, position: int, word: int) -> tuple[int, int]:
        """Where a word of :attr:`text` is in what the recogniser wrote."""
        nth = int(self._index[position]) - int(self._before[word])
        _, begin, end = self._vocabulary.tokens(self._written(word))[nth]
        return begin, end

    def evidence(self, start: int, end: int) -> Evidence:
        """Where the words from ``start`` to before ``end`` of :attr:`text` are."""
        spoken = self._spoken
        first, last = self._word(start), self._word(end - 1)
        segment = self._segment(first)
        places = [place for place in range(first, last + 1) if self._words[place] >= FIRST_WORD]
        written = [self._written(place) for place in places]
        begins = self._token(start, first)[0]
        ends = len(written[-1]) - self._token(end - 1, last)[1]
        said = " ".join(written)
        said = said[begins : len(said) - ends]
        numbers = (spoken.probabilities[[self._begin + place for place in places]] / spoken.certain).tolist()
        return Evidence(
            float(spoken.starts[self._begin + first] / spoken.second),
            float(spoken.ends[self._begin + last] / spoken.second),
            said,
            int(spoken.indices[segment]),
            _SPEAKERS[int(spoken.speakers[segment])],
            sum(numbers) / len(numbers),
        )

    def time(self, position: int) -> tuple[float, float]:
        """When a word of :attr:`text` was said."""
        word = self._begin + self._word(position)
        second = self._spoken.second
        return float(self._spoken.starts[word] / second), float(self._spoken.ends[word] / second)

    def stopped(self, start: int, end: int) -> bool:
        """Whether a sentence ends inside the words from ``start`` to before ``end`` of :attr:`text`."""
        return self._stopped(self._word(start), self._word(end - 1))

    def cut(self, start: int, end: int) -> bool:
        """Whether a sentence ends between two words of :attr:`text`."""
        first, last = self._word(start), self._word(end)
        begins = self._token(end, last)[0]
        if first == last and begins <= self._token(start, first)[1]:
            return False
        return (begins > 0 and self._written(last)[begins - 1] in STOPS) or self._stopped(first, last)

    def asked(self, end: int) -> bool:
        """Whether the sentence of the word before ``end`` of :attr:`text` ends with a question mark, and soon."""
        first = self._word(end - 1)
        left = 300 + self._token(end - 1, first)[1]
        for word in range(first, len(self._words)):
            written = self._written(word)
            if self._words[word] == BREAK_WORD or left < len(written):
                return False
            if self._stops[self._words[word]]:
                return written[-1] == "?"
            left -= len(written) + 1
        return False

    def _stopped(self, first: int, last: int) -> bool:
        return bool(self._stops[self._words[first:last]].any())

    def said_by_agent(self, call: int) -> Iterator[tuple[int, str]]:
        """The agent's segments of a call with their texts, in order."""
        np = self._np
        first, last = self._segments(call)
        own = np.flatnonzero(self._spoken.speakers[first:last] == SAID_BY["agent"]) + first
        said = [(int(self._spoken.indices[segment]), segment) for segment in own.tolist()]
        left_out = dict(self._spoken.unheard.get(call, ()))
        for index, segment in sorted([*said, *((index, -1) for index in left_out)]):
            yield index, self._text_of(segment) if segment >= 0 else left_out[index]

    def text_of(self, call: int, index: int) -> str:
        """The text of a segment of a call."""
        first, last = self._segments(call)
        return self._text_of(first + int(self._np.flatnonzero(self._spoken.indices[first:last] == index)[0]))

    def _segments(self, call: int) -> tuple[int, int]:
        calls, number = self._spoken.calls, self._spoken.calls.dtype.type(call)
        return int(calls.searchsorted(number)), int(calls.searchsorted(number, side="right"))

    def _text_of(self, segment: int) -> str:
        known = self._spoken.texts.get(segment)
        if known is not None:
            return known
        marks, words = self._symbols.marks, self._spoken.words
        end = int(marks[segment + 1]) if segment + 1 < len(marks) else len(words)
        numbers = words[int(marks[segment]) + 1 : end].tolist()
        return " ".join([self._spoken.vocabulary[number - FIRST_WORD] for number in numbers])


@dataclass(frozen=True, slots=True)
class Symbols:
    """A Spoken's vocabulary in one alphabet: the symbols of word n are ``counts[n]`` from ``begins[n]`` on in ``flat``;
    ``stops[n]`` says that it ends a sentence. ``marks`` are the places of the marks."""

    flat: Any
    begins: Any
    counts: Any
    stops: Any
    marks: Any


def _symbols_of(spoken: Spoken, vocabulary: Vocabulary) -> Symbols:
    """Look at each distinct word once."""
    import numpy as np

    kept = [b"", BREAK.encode("utf-16-le"), *map(vocabulary.kept, spoken.vocabulary)]
    counts = np.array([len(symbols) // 2 for symbols in kept], dtype=np.int64)
    return Symbols(
        np.frombuffer(b"".join(kept), dtype="<u2"),
        np.cumsum(counts) - counts,
        counts,
        np.array([False, False, *[word[-1:] in STOPS and word != "" for word in spoken.vocabulary]]),
        np.flatnonzero(spoken.words < FIRST_WORD),
    )


STRETCH = 1 << 17
"""Words that are matched together: as many as a core's cache holds well."""


def stretches(spoken: Spoken, codes: Sequence[str | None]) -> Iterator[tuple[str, int, int]]:
    """Segments that are matched together, first and before last, with the code of their calls; None is for none."""
    import numpy as np

    marks = np.flatnonzero(spoken.words < FIRST_WORD)
    calls, firsts = np.unique(spoken.calls, return_index=True)
    bounds = [*firsts.tolist(), len(spoken.calls)]
    begin: int | None = None
    for number, call in enumerate(calls.tolist()):
        code = codes[call]
        if code is None:
            continue
        if begin is None:
            begin = bounds[number]
        end = bounds[number + 1]
        full = end == len(marks) or marks[end] - marks[begin] >= STRETCH
        if full or number + 1 == len(calls) or codes[int(calls[number + 1])] != code:
            yield code, begin, end
            begin = None

"""The words of many calls by number: each distinct word once, and arrays of which word is said when.

A transcript's words are read once for all lexicons to come; a new lexicon looks at every distinct word, not at every
word said. What it finds is the same as in the transcripts themselves.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np

from callscan.lexicon.alphabet import BREAK, SEGMENT, WordMemory, number_of, numbers_of
from callscan.lexicon.compiled import spelled
from callscan.lexicon.stream import ASKED_SOON, SAID_BY, STOPS, AnyStream, Evidence, runs_of
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
    marks: Any
    begins: Any = None
    second: float = 1.0
    certain: float = 1.0

    def times(self, words: Any) -> tuple[list[float], list[float]]:
        """When each word starts and ends, in seconds."""
        if self.begins is None:
            return self.starts.take(words).tolist(), self.ends.take(words).tolist()
        segments = self.marks.searchsorted(words, side="right") - 1
        marks = self.marks.take(segments)
        which, within, begins = spread(words - marks)
        steps = self.starts.take((marks + 1).take(which) + within)
        starts = self.begins.take(segments) + np.add.reduceat(steps, begins, dtype=np.int64)
        ends = starts + self.ends.take(words)
        return (starts / self.second).tolist(), (ends / self.second).tolist()


class Vocabulary:
    """What a lexicon's alphabet makes of the words of a :class:`Spoken`: each distinct one is looked at once."""

    def __init__(self, memory: WordMemory) -> None:
        self._memory = memory
        self._kept: dict[str, bytes] = {}
        self._read: dict[str, tuple[str, list[tuple[bytes, int, int]]]] = {}
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
            found = self._kept[word] = b"".join(symbols for symbols, _, _ in self._tokens(word))
        return found

    def written(self, word: str) -> tuple[str, list[tuple[bytes, int, int]]]:
        """A word in NFC, and the words within it ("l'attente,") that count: symbol, and where each begins and ends."""
        found = self._read.get(word)
        if found is None:
            if len(self._read) > 20_000:
                self._read.clear()
            found = self._read[word] = normalised(word)[0], self._tokens(word)
        return found

    def _tokens(self, word: str) -> list[tuple[bytes, int, int]]:
        _, clean = normalised(word)
        found: list[tuple[bytes, int, int]] = []
        at = 0
        for token in clean.split():
            begin = clean.index(token, at)
            at = begin + len(token)
            symbols = self._memory[token]
            pieces = (symbols[place : place + 2] for place in range(0, len(symbols), 2))
            found += [(piece, begin, at) for piece in pieces if int.from_bytes(piece, "little") > number_of(SEGMENT)]
        return found


class ColumnStream(AnyStream):
    """The stream of the segments from ``first`` to before ``last`` of a Spoken."""

    def __init__(self, vocabulary: Vocabulary, spoken: Spoken, first: int, last: int) -> None:
        super().__init__()
        symbols = vocabulary.symbols(spoken)
        self._spoken, self._vocabulary = spoken, vocabulary
        self._first = first
        marks = spoken.marks
        self._begin = int(marks[first])
        end = int(marks[last]) if last < len(marks) else len(spoken.words)
        self._words = spoken.words[self._begin : end].astype(np.intp)
        self._stops = symbols.stops
        own_marks = marks[first:last] - self._begin
        # A place is a word and which of its symbols.
        self._width = symbols.width
        self.kept, self._places = spelled(self._words, symbols.table, self._width)
        # Where each run of one speaker begins, as a segment and as a word.
        turns = np.flatnonzero(np.diff(spoken.runs[first:last], prepend=spoken.runs[first : first + 1] + 1))
        begins = self._places.searchsorted((own_marks.take(turns) * self._width).astype(self._places.dtype))
        ends = np.append(begins[1:], len(self.kept))
        self.said_by = np.repeat(spoken.speakers[first:last].take(turns), ends - begins)
        self.runs = runs_of(ends)
        self._marks = own_marks
        # Segments by call and index there, as far as anything was found in them.
        self._numbers: dict[tuple[int, int], int] = {}

    def calls(self, positions: Any) -> Any:
        """See :meth:`AnyStream.calls`."""
        return self._spoken.calls[self._first + self._segments_of(self._words_of(positions))]

    def length(self, position: int) -> float:
        """See :meth:`AnyStream.length`."""
        return float(self._spoken.lengths[int(self.calls(position))])

    def _words_of(self, positions: Any) -> Any:
        """Which of the words as the recogniser wrote them each word of :attr:`text` is in."""
        return self._places.take(positions) // self._width

    def _segments_of(self, words: Any) -> Any:
        return self._marks.searchsorted(words, side="right") - 1

    def _written(self, word: int) -> str:
        number = int(self._words[word])
        if number < FIRST_WORD:
            return "\x1e"
        return self._vocabulary.written(self._spoken.vocabulary[number - FIRST_WORD])[0]

    def _tokens(self, positions: Any, words: Any) -> list[tuple[int, int]]:
        """Where words of :attr:`text` are in what the recogniser wrote."""
        spoken, written = self._spoken, self._vocabulary.written
        nth = self._places.take(positions) - words * self._width
        numbers = self._words.take(words) - FIRST_WORD
        return [
            written(spoken.vocabulary[number])[1][place][1:]
            for number, place in zip(numbers.tolist(), nth.tolist(), strict=True)
        ]

    def evidence(self, starts: Any, ends: Any) -> list[Evidence]:
        """See :meth:`AnyStream.evidence`."""
        spoken = self._spoken
        first, last = self._words_of(starts), self._words_of(np.subtract(ends, 1))
        begins, after = self._tokens(starts, first), self._tokens(np.subtract(ends, 1), last)
        segments = self._first + self._segments_of(first)
        indices = spoken.indices.take(segments).tolist()
        self._numbers.update(
            zip(zip(spoken.calls.take(segments).tolist(), indices, strict=True), segments.tolist(), strict=True)
        )
        # Every word from the first to the last of each, one after the other, without the marks between segments.
        which, within, _ = spread(last - first + 1)
        every = first.take(which) + within
        numbers = self._words.take(every) - FIRST_WORD
        is_word = numbers >= 0
        every, counts = every[is_word], np.bincount(which[is_word], minlength=len(first))
        vocabulary, read = spoken.vocabulary, self._vocabulary.written
        written = [read(vocabulary[number])[0] for number in numbers[is_word].tolist()]
        certain = (spoken.probabilities.take(every + self._begin) / spoken.certain).tolist()
        found: list[Evidence] = []
        at = 0
        for from_, to, (begin, _), (_, end), index, speaker, count in zip(
            spoken.times(first + self._begin)[0],
            spoken.times(last + self._begin)[1],
            begins,
            after,
            indices,
            spoken.speakers.take(segments).tolist(),
            counts.tolist(),
            strict=True,
        ):
            said = " ".join(written[at : at + count])
            said = said[begin : len(said) - len(written[at + count - 1]) + end]
            probability = sum(certain[at : at + count]) / count
            found.append(Evidence(from_, to, said, index, _SPEAKERS[speaker], probability))
            at += count
        return found

    def time(self, position: int) -> tuple[float, float]:
        """See :meth:`AnyStream.time`."""
        starts, ends = self._spoken.times(self._words_of([position]) + self._begin)
        return starts[0], ends[0]

    def stopped(self, starts: Any, ends: Any) -> Any:
        """See :meth:`AnyStream.stopped`."""
        first, last = self._words_of(starts), self._words_of(np.subtract(ends, 1))
        which, within, _ = spread(last - first)
        found = np.zeros(len(first), dtype=bool)
        found[which[self._stops.take(self._words.take(first.take(which) + within))]] = True
        return found

    def cut(self, start: int, end: int) -> bool:
        """See :meth:`AnyStream.cut`."""
        first, last = self._words_of(np.array([start, end])).tolist()
        (_, ends), (begins, _) = self._tokens(np.array([start, end]), np.array([first, last]))
        if first == last and begins <= ends:
            return False
        return (begins > 0 and self._written(last)[begins - 1] in STOPS) or self._stopped(first, last)

    def asked(self, ends: Any) -> Any:
        """See :meth:`AnyStream.asked`."""
        words = self._words_of(np.subtract(ends, 1)).tolist()
        return np.array([self._asked(end, word) for end, word in zip(ends, words, strict=True)], dtype=bool)

    def _asked(self, end: int, first: int) -> bool:
        # No more than so many words have room in as many letters.
        numbers = self._words[first : first + ASKED_SOON + 1]
        stops = np.flatnonzero(self._stops[numbers])
        if not len(stops) or (numbers[: stops[0]] == BREAK_WORD).any():
            return False
        last = first + int(stops[0])
        left = ASKED_SOON + self._tokens(np.array([end - 1]), np.array([first]))[0][1]
        left -= sum(len(self._written(word)) + 1 for word in range(first, last))
        written = self._written(last)
        return left >= len(written) and written[-1] == "?"

    def _stopped(self, first: int, last: int) -> bool:
        return bool(self._stops[self._words[first:last]].any())

    def said_by_agent(self, call: int) -> Iterator[tuple[int, str]]:
        """The agent's segments of a call with their texts, in order."""
        spoken = self._spoken
        first, last = spoken.calls.searchsorted(spoken.calls.dtype.type([call, call + 1])).tolist()
        own = np.flatnonzero(spoken.speakers[first:last] == SAID_BY["agent"]) + first
        said = [*zip(spoken.indices.take(own).tolist(), own.tolist(), strict=True)]
        left_out = dict(spoken.unheard.get(call, ()))
        said += [(index, -1) for index in left_out]
        for index, segment in sorted(said):
            yield index, self._text_of(segment) if segment >= 0 else left_out[index]

    def text_of(self, call: int, index: int) -> str:
        """The text of a segment of a call that :meth:`evidence` told of."""
        return self._text_of(self._numbers[call, index])

    def _text_of(self, segment: int) -> str:
        known = self._spoken.texts.get(segment)
        if known is not None:
            return known
        marks, words = self._spoken.marks, self._spoken.words
        end = int(marks[segment + 1]) if segment + 1 < len(marks) else len(words)
        numbers = words[int(marks[segment]) + 1 : end].tolist()
        return " ".join([self._spoken.vocabulary[number - FIRST_WORD] for number in numbers])


@dataclass(frozen=True, slots=True)
class Symbols:
    """A Spoken's vocabulary in one alphabet: the symbols of word n are ``width`` numbers of ``table`` from n times that
    on, with zeros behind them; ``stops[n]`` says that it ends a sentence."""

    table: Any
    width: int
    stops: Any


def _symbols_of(spoken: Spoken, vocabulary: Vocabulary) -> Symbols:
    """Look at each distinct word once."""
    kept = [b"", numbers_of(BREAK), *map(vocabulary.kept, spoken.vocabulary)]
    size = max(map(len, kept))
    return Symbols(
        np.frombuffer(bytearray().join([symbols.ljust(size, b"\0") for symbols in kept]), "<u2"),
        size // 2,
        np.array([False, False, *[word[-1:] in STOPS and word != "" for word in spoken.vocabulary]]),
    )


def spread(counts: Any) -> tuple[Any, Any, Any]:
    """So many of each, one after the other: which each is of, its number among those, and where those of each begin."""
    begins = np.cumsum(counts)
    begins -= counts
    which = np.repeat(np.arange(len(counts)), counts)
    return which, np.arange(len(which)) - begins.take(which), begins


STRETCH = 1 << 20
"""Words that are matched together: of so many, those that the same way is looked for in share what is read for it."""


def stretches(spoken: Spoken, codes: Sequence[str | None]) -> Iterator[tuple[str, int, int]]:
    """Segments that are matched together, first and before last, with the code of their calls; None is for none."""
    firsts = np.flatnonzero(np.append(True, spoken.calls[1:] != spoken.calls[:-1])[: len(spoken.calls)])
    bounds = [*firsts.tolist(), len(spoken.calls)]
    words = [*spoken.marks.take(firsts).tolist(), len(spoken.words)]
    own = [*map(codes.__getitem__, spoken.calls.take(firsts).tolist())]
    number = 0
    for code, calls in groupby(own):
        begin, number = number, number + len([*calls])
        while code is not None and begin < number:
            # As many calls as it takes, or all that are left.
            end = min(bisect_left(words, words[begin] + STRETCH, begin + 1, number), number)
            yield code, bounds[begin], bounds[end]
            begin = end

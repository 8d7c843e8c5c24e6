"""A transcript as one stream of words, and the way back from a word of the stream to its second in the call."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, NamedTuple

import numpy as np

from callscan.lexicon.alphabet import JOIN, LOWEST, number_of
from callscan.lexicon.compiled import counted
from callscan.lexicon.words import WordTable, normalised
from callscan.records import Segment, Speaker, Transcript, Word

SEGMENT_MARK = " \x1e "
BREAK_MARK = " \x1d "
PAUSE = 5.0
"""Seconds of one speaker's silence over which no pattern reaches."""
OVERLAP = 0.5
"""Seconds that one who speaks on may begin before the end of what was said: who begins earlier is another voice."""
ASKED_SOON = 300
"""Letters to the end of a question, at most."""
UNHEARD = frozenset({"phantom", "loop"})
STOPS = ".!?;"
_SENTENCE_END = re.compile(r"[.!?;](?=\s|$)")
_MARK = re.compile("[\x1d\x1e]")
_MARKS = re.compile(r"\s*[\x1d\x1e]\s*")


def text_of(segment: Segment) -> str:
    """What is read of a segment: its words where it has them, so that every match has a time of its own."""
    return " ".join([word.text for word in segment.words]) if segment.words else segment.text


@dataclass(frozen=True, slots=True)
class Layout:
    """The text of a stream and the segments that it is made of, in its order: the call each is in and its index there,
    who says it (:data:`SAID_BY`), its start and end (seconds), and its place among ``segments``, which are all of the
    transcripts. ``runs`` is the number of the last segment of each run of one speaker in one call."""

    text: str
    segments: list[Segment]
    places: Any
    calls: Any
    indices: Any
    speakers: Any
    starts: Any
    ends: Any
    runs: Any

    def __len__(self) -> int:
        return len(self.places)

    def segment(self, number: int) -> Segment:
        """One of them."""
        return self.segments[int(self.places[number])]


def lay_out(transcripts: Sequence[Transcript], *, clean: bool = False) -> Layout:
    """One stream out of some calls: call by call, speaker by speaker, each in order of time.

    Announcements, phantoms and loops are left out. Marks stand between segments: one that patterns reach over
    where the same speaker goes on, one that they do not reach over after a pause, between voices that overlap, between
    speakers and between calls. ``clean`` takes such letters out of the texts first.
    """
    segments = [transcript.segments for transcript in transcripts]
    counts = [len(own) for own in segments]
    every = [*chain.from_iterable(segments)]
    # One loop that looks at each segment once: they lie all over memory, and a column at a time finds each anew.
    ranks: list[int] = []
    flagged: list[int] = []
    channels: list[int] = []
    starts: list[float] = []
    ends: list[float] = []
    for segment in every:
        if segment.flags:
            flagged.append(len(ranks))
        ranks.append(_RANKS[segment.speaker])
        channels.append(segment.channel)
        starts.append(segment.start)
        ends.append(segment.end)
    call = np.repeat(np.arange(len(counts)), counts)
    rank = np.array(ranks, np.int64)
    rank[[at for at in flagged if not UNHEARD.isdisjoint(every[at].flags)]] = _RANKS["ivr"]
    start, end, channel = np.array(starts, np.float64), np.array(ends, np.float64), np.array(channels, np.int64)
    # One number for whose words in which call they are: sorting by one is faster than by three.
    whose = (call * len(_RANKS) + rank) * (channel.max(initial=0) + 1) + channel
    in_order = np.all((start[1:] >= start[:-1]) | (call[1:] != call[:-1]))
    order = np.argsort(whose, kind="stable") if in_order else np.lexsort((start, whose))
    order = order[rank.take(order) != _RANKS["ivr"]]
    call, whose, start, end = call.take(order), whose.take(order), start.take(order), end.take(order)
    fresh = whose[1:] != whose[:-1]
    gap = start[1:] - end[:-1]
    reached = ~fresh & (gap <= PAUSE) & (gap >= -OVERLAP)
    marks = [SEGMENT_MARK if over else BREAK_MARK for over in reached.tolist()]
    texts = [text_of(s) if s.words else s.text for s in [every[at] for at in order.tolist()]]
    parts = [""] * (len(texts) + len(marks))
    parts[::2] = [_MARK.sub(" ", text) for text in texts] if clean else texts
    parts[1::2] = marks
    indices = order - (np.cumsum(counts) - counts).take(call)
    runs = np.flatnonzero(np.append(fresh, True)[: len(order)])
    return Layout("".join(parts), every, order, call, indices, _SAYING.take(rank.take(order)), start, end, runs)


class Evidence(NamedTuple):
    """Where a match is: times, quote, the first word's segment and its speaker."""

    start: float
    end: float
    quote: str
    segment: int
    speaker: Speaker
    probability: float


_RANKS: dict[Speaker, int] = {"agent": 0, "customer": 1, "unknown": 2, "ivr": 3}
"""The order in which the speakers of a call follow each other in its stream; machines are not in it."""
SAID_BY: dict[Speaker, int] = {"customer": 1, "agent": 2, "unknown": 3}
"""A bit a speaker, so that one look says whether a pattern is looked for in somebody's words. Unknown may be either."""
_SAYING = np.array([SAID_BY.get(speaker, 0) for speaker in _RANKS], dtype=np.uint8)


def runs_of(ends: Any) -> Any:
    """Where each of some runs begins and ends, the next where one ends."""
    runs = np.zeros((len(ends), 2), dtype=np.int64)
    runs[:, 1], runs[1:, 0] = ends, ends[:-1]
    return runs


class AnyStream(ABC):
    """The words of some calls as symbols, and the way back to what was said when.

    ``kept`` are the symbols (16 bit each) without hesitations and repeated words, ``said_by`` whose words they are
    (:data:`SAID_BY`, uint8), ``runs`` where what each speaker says in turn begins and ends (two columns, int64).
    Positions are of words of these; arrays of positions are asked about together where that is much cheaper.
    """

    kept: Any
    said_by: Any
    runs: Any

    def __init__(self) -> None:
        self._rows: Any = None

    def __len__(self) -> int:
        return len(self.kept)

    @property
    def rows(self) -> Any:
        """The row of each word's symbol in tables by symbol (uint16)."""
        if self._rows is None:
            self._rows = self.kept - np.uint16(LOWEST)
        return self._rows

    def run(self, position: int) -> tuple[int, int]:
        """Where what the speaker of a word says in turn begins and ends."""
        begin, end = self.runs[self.runs[:, 1].searchsorted(position, side="right")].tolist()
        return begin, end

    @abstractmethod
    def calls(self, positions: Any) -> Any:
        """Which of the calls each word is in."""

    @abstractmethod
    def length(self, position: int) -> float:
        """Where the last segment of a word's call ends."""

    @abstractmethod
    def evidence(self, starts: Any, ends: Any) -> list[Evidence]:
        """Where the words from each start to before its end are."""

    @abstractmethod
    def time(self, position: int) -> tuple[float, float]:
        """When a word was said: its own time, or its share of the segment's."""

    @abstractmethod
    def stopped(self, starts: Any, ends: Any) -> Any:
        """Whether a sentence ends inside the words from each start to before its end."""

    @abstractmethod
    def cut(self, start: int, end: int) -> bool:
        """Whether a sentence ends between two words."""

    @abstractmethod
    def asked(self, ends: Any) -> Any:
        """Whether the sentence of the word before each end ends with a question mark, and soon."""


class Stream(AnyStream):
    """The stream of some transcripts."""

    def __init__(self, table: WordTable, transcripts: Sequence[Transcript]) -> None:
        super().__init__()
        self._transcripts = transcripts
        self._layout = lay_out(transcripts)
        self._written, clean = normalised(self._layout.text)
        marks = np.count_nonzero(np.frombuffer(clean, np.uint8) - np.uint8(0x1D) < 2)
        if marks >= max(len(self._layout), 1):  # more than stand between the segments
            self._layout = lay_out(transcripts, clean=True)
            self._written, clean = normalised(self._layout.text)
        words = table.read(clean)
        self._starts, self._ends = words.starts, words.ends
        self._count = len(words.symbols)
        self._joins = np.flatnonzero(words.symbols == number_of(JOIN)) if self._count > len(words.starts) else None
        # What counts: no hesitations, no marks between segments.
        self.kept, self._counting, self._marks = counted(words.symbols, max(len(self._layout) - 1, 0))
        layout = self._layout
        last_marks = self._marks[layout.runs[:-1]]
        ends = np.append(self._counting.searchsorted(last_marks), len(self.kept))[: len(layout.runs)]
        self.runs = runs_of(ends)
        self.said_by = np.repeat(layout.speakers.take(layout.runs), np.diff(ends, prepend=0))
        self._edges: Any = None
        self._owners: dict[int, list[int]] = {}

    def calls(self, positions: Any) -> Any:
        """See :meth:`AnyStream.calls`."""
        return self._layout.calls[self._marks.searchsorted(self._raw(positions))]

    def length(self, position: int) -> float:
        """See :meth:`AnyStream.length`."""
        return max(segment.end for segment in self._transcripts[int(self.calls(position))].segments)

    def _raw(self, positions: Any) -> Any:
        """The places of words among all symbols."""
        return self._counting[positions]

    def _word(self, raw: Any) -> Any:
        """The numbers of words among those of the text, of places among the symbols."""
        return raw if self._joins is None else raw - 2 * self._joins.searchsorted(raw)

    def evidence(self, starts: Any, ends: Any) -> list[Evidence]:
        """See :meth:`AnyStream.evidence`."""
        first_raw, last_raw = self._raw(starts), self._raw(np.subtract(ends, 1))
        first_number, last_number = self._marks.searchsorted(first_raw), self._marks.searchsorted(last_raw)
        first, last = self._word(first_raw), self._word(last_raw)
        begins, ends = self._starts[first], self._ends[last]
        segments = self._layout.segments
        found: list[Evidence] = []
        for low, high, from_, to, start, end, number, one, other, place in zip(
            begins.tolist(),
            ends.tolist(),
            self._share(first_number, begins).tolist(),
            self._share(last_number, ends).tolist(),
            first.tolist(),
            last.tolist(),
            self._layout.indices[first_number].tolist(),
            first_number.tolist(),
            last_number.tolist(),
            self._layout.places.take(first_number).tolist(),
            strict=True,
        ):
            said = self._written[low:high] if one == other else _MARKS.sub(" ", self._written[low:high])
            probability = 1.0
            segment = segments[place]
            if segment.words and (one == other or self._layout.segment(other).words):
                spoken = self._spoken(one, start, other, end)
                from_, to = spoken[0].start, spoken[-1].end
                probability = sum([word.probability for word in spoken]) / len(spoken)
            found.append(Evidence(from_, to, said, number, segment.speaker, probability))
        return found

    def time(self, position: int) -> tuple[float, float]:
        """See :meth:`AnyStream.time`."""
        found = self.evidence([position], [position + 1])[0]
        return found.start, found.end

    def stopped(self, starts: Any, ends: Any) -> Any:
        """See :meth:`AnyStream.stopped`."""
        first, last = self._word(self._raw(starts)), self._word(self._raw(np.subtract(ends, 1)))
        found = map(self._stopped, self._starts[first].tolist(), self._ends[last].tolist())
        return np.array([*found], dtype=bool)

    def cut(self, start: int, end: int) -> bool:
        """See :meth:`AnyStream.cut`."""
        after = int(self._ends[self._word(self._raw(start))])
        next_word = int(self._starts[self._word(self._raw(end))])
        return after < next_word and (self._written[next_word - 1] in STOPS or self._stopped(after, next_word))

    def asked(self, ends: Any) -> Any:
        """See :meth:`AnyStream.asked`."""
        after = self._ends[self._word(self._raw(np.subtract(ends, 1)))]
        return np.array([*map(self._asked, after.tolist())], dtype=bool)

    def _asked(self, after: int) -> bool:
        # One letter more than counts: what stands behind the last one tells whether it ends a sentence.
        stop = _SENTENCE_END.search(self._written, after, after + ASKED_SOON + 1)
        if stop is None or stop.start() >= after + ASKED_SOON:
            return False
        # What is said after a pause, or by another, is another sentence.
        return stop[0] == "?" and "\x1d" not in self._written[after : stop.start()]

    def _stopped(self, begin: int, end: int) -> bool:
        return _SENTENCE_END.search(self._written, begin, end) is not None

    def _bounds(self, numbers: Any) -> tuple[Any, Any]:
        """The first words of segments and the words after their last, among all words."""
        if self._edges is None:
            self._edges = self._word(np.concatenate([[-1], self._marks, [self._count]]))
        return self._edges[numbers] + 1, self._edges[np.add(numbers, 1)]

    def _share(self, numbers: Any, at: Any) -> Any:
        """When each segment came to a place in the text, as if all its letters took the same time."""
        first, after = self._bounds(numbers)
        begins, ends = self._starts[first], self._ends[after - 1]
        start = self._layout.starts.take(numbers)
        return start + (self._layout.ends.take(numbers) - start) * ((at - begins) / (ends - begins))

    def _spoken(self, first_number: int, first: int, last_number: int, last: int) -> list[Word]:
        """The recogniser's words from one normalised word to another."""
        found: list[Word] = []
        for number in range(first_number, last_number + 1):
            words = self._layout.segment(number).words
            begins = int(self._bounds([number])[0][0])
            owners = self._owners_of(number)
            low = owners[first - begins] if number == first_number else 0
            high = owners[last - begins] if number == last_number else len(words) - 1
            found.extend(words[low : high + 1])
        return found

    def _owners_of(self, number: int) -> list[int]:
        """For each normalised word of a segment, the index of the recogniser's word it belongs to."""
        found = self._owners.get(number)
        if found is None:
            found = []
            for position, word in enumerate(self._layout.segment(number).words):
                _, clean = normalised(_MARKS.sub(" ", word.text))
                found.extend([position] * len(clean.split()))
            self._owners[number] = found
        return found

"""A transcript as one stream of words, and the way back from a word of the stream to its second in the call."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from operator import gt
from typing import Any, NamedTuple, Protocol

from callscan.lexicon.alphabet import BREAK, JOIN, OTHER, SEGMENT
from callscan.lexicon.words import WordTable, normalised
from callscan.records import Segment, Speaker, Transcript, Word

SEGMENT_MARK = " \x1e "
BREAK_MARK = " \x1d "
PAUSE = 5.0
"""Seconds of one speaker's silence over which no pattern reaches."""
UNHEARD = frozenset({"phantom", "loop"})
STOPS = ".!?;"
_SPACES = "".join(chr(code) for code in range(256) if chr(code).isspace())
_SENTENCE_END = re.compile(r"[.!?;](?=\s|$)")
_MARK = re.compile("[\x1d\x1e]")
_MARKS = re.compile(r"\s*[\x1d\x1e]\s*")


def text_of(segment: Segment) -> str:
    """What is read of a segment: its words where it has them, so that every match has a time of its own."""
    return " ".join([word.text for word in segment.words]) if segment.words else segment.text


@dataclass(slots=True)
class Layout:
    """The text of a stream and what it is made of, in order: segments, with their call and their index in it, and
    runs of one speaker in one call with how many segments they have."""

    text: str
    segments: list[Segment]
    calls: list[int]
    indices: list[int]
    runs: list[tuple[Speaker, int]]


def lay_out(transcripts: Sequence[Transcript]) -> Layout:
    """One stream out of some calls: call by call, speaker by speaker, each in order of time.

    Announcements, phantoms and loops are left out. Marks stand between segments: one that patterns reach over
    where the same speaker goes on, one that they do not reach over after a pause, between speakers and between calls.
    """
    parts: list[str] = []
    layout = Layout("", [], [], [], [])
    for call, transcript in enumerate(transcripts):
        segments = transcript.segments
        streams: dict[tuple[Speaker, int], list[int]] = {}
        key: tuple[Speaker, int]
        for index, segment in enumerate(segments):
            if segment.speaker == "ivr" or (segment.flags and not UNHEARD.isdisjoint(segment.flags)):
                continue
            key = (segment.speaker, segment.channel)
            if key in streams:
                streams[key].append(index)
            else:
                streams[key] = [index]
        for key in sorted(streams):
            indices = streams[key]
            spoken = [segments[index] for index in indices]
            starts = [segment.start for segment in spoken]
            if any(map(gt, starts, starts[1:])):
                indices = sorted(indices, key=lambda index: segments[index].start)
                spoken = [segments[index] for index in indices]
            end = float("-inf")
            for segment in spoken:
                parts.append(SEGMENT_MARK if segment.start - end <= PAUSE else BREAK_MARK)
                parts.append(text_of(segment) if segment.words else segment.text)
                end = segment.end
            layout.segments.extend(spoken)
            layout.indices.extend(indices)
            layout.calls.extend([call] * len(indices))
            layout.runs.append((key[0], len(indices)))
    layout.text = "".join(parts[1:])
    if layout.text.count("\x1e") + layout.text.count("\x1d") > len(layout.segments) - 1:
        clean = [_MARK.sub(" ", part) if number % 2 else part for number, part in enumerate(parts)]
        layout.text = "".join(clean[1:])
    return layout


class Evidence(NamedTuple):
    """Where a match is: times, quote, the first word's segment and its speaker."""

    start: float
    end: float
    quote: str
    segment: int
    speaker: Speaker
    probability: float


SAID_BY: dict[Speaker, int] = {"customer": 1, "agent": 2, "unknown": 3}
"""A bit a speaker, so that one look says whether a pattern is looked for in somebody's words. Unknown may be either."""


class AnyStream(Protocol):
    """What the matcher asks of a stream: see :class:`Stream`. Positions are of words of ``text``."""

    kept: Any
    said_by: Any
    runs: list[int]

    @property
    def text(self) -> str:
        """See :attr:`Stream.text`."""

    def __len__(self) -> int:
        """How many words count."""

    def call(self, position: int) -> int:
        """See :meth:`Stream.call`."""

    def length(self, position: int) -> float:
        """See :meth:`Stream.length`."""

    def evidence(self, start: int, end: int) -> Evidence:
        """See :meth:`Stream.evidence`."""

    def time(self, position: int) -> tuple[float, float]:
        """See :meth:`Stream.time`."""

    def stopped(self, start: int, end: int) -> bool:
        """See :meth:`Stream.stopped`."""

    def cut(self, start: int, end: int) -> bool:
        """See :meth:`Stream.cut`."""

    def asked(self, end: int) -> bool:
        """See :meth:`Stream.asked`."""


class Stream:
    """The words of some calls as symbols: ``kept`` (16 bit each) without hesitations and repeated words, ``text``, the
    same as characters, ``said_by``, whose words they are (:data:`SAID_BY`, uint8), and ``runs``, where each speaker in
    turn ends."""

    def __init__(self, table: WordTable, transcripts: Sequence[Transcript]) -> None:
        import numpy as np

        self._np = np
        self._transcripts = transcripts
        self._layout = lay_out(transcripts)
        self._written, clean = normalised(self._layout.text)
        words = table.read(clean)
        raw = words.symbols
        self._starts, self._ends = words.starts, words.ends
        self._count = len(raw)
        self._marks: list[int] = np.flatnonzero((raw == ord(SEGMENT)) | (raw == ord(BREAK))).tolist()
        self._joins: list[int] = np.flatnonzero(raw == ord(JOIN)).tolist() if len(raw) > len(words.starts) else []
        self.kept, self._index = kept_of(raw)
        self.runs: list[int] = self._run_ends()
        speakers = np.array([SAID_BY[speaker] for speaker, _ in self._layout.runs], dtype=np.uint8)
        self.said_by: Any = np.repeat(speakers, np.diff([0, *self.runs])) if len(speakers) else speakers
        self._text: str | None = None
        self._stops: list[int] | None = None
        self._owners: dict[int, list[int]] = {}
        self._extents: dict[int, tuple[int, int]] = {}

    def __len__(self) -> int:
        return len(self._index)

    @property
    def text(self) -> str:
        """One character per word that counts."""
        if self._text is None:
            self._text = self.kept.tobytes().decode("utf-16-le")
        return self._text

    def _run_ends(self) -> list[int]:
        """Where each speaker in turn ends in :attr:`text`."""
        np = self._np
        last = np.cumsum([segments for _, segments in self._layout.runs])[:-1] - 1
        marks = np.array(self._marks, dtype=np.int64)[last] if len(last) else []
        return [*self._index.searchsorted(marks).tolist(), len(self._index)]

    def call(self, position: int) -> int:
        """Which of the calls a word of :attr:`text` is in."""
        return self._layout.calls[bisect_left(self._marks, int(self._index[position]))]

    def length(self, position: int) -> float:
        """Where the last segment of a word's call ends."""
        return max(segment.end for segment in self._transcripts[self.call(position)].segments)

    def _place(self, position: int) -> tuple[int, int]:
        """Of a word of :attr:`text`: its number among all words, and its segment's number in the stream."""
        raw = int(self._index[position])
        return self._word(raw), bisect_left(self._marks, raw)

    def _word(self, raw: int) -> int:
        return raw - 2 * bisect_left(self._joins, raw) if self._joins else raw

    def evidence(self, start: int, end: int) -> Evidence:
        """Where the words from ``start`` to before ``end`` of :attr:`text` are."""
        first, first_number = self._place(start)
        last, last_number = (first, first_number) if end == start + 1 else self._place(end - 1)
        begins, ends = int(self._starts[first]), int(self._ends[last])
        said = self._written[begins:ends]
        segments = self._layout.segments
        first_segment, last_segment = segments[first_number], segments[last_number]
        if first_segment.words and last_segment.words:
            spoken = self._spoken(first_number, first, last_number, last)
            times = spoken[0].start, spoken[-1].end
            probability = sum([word.probability for word in spoken]) / len(spoken)
        else:
            times = self._share(first_number, begins), self._share(last_number, ends)
            probability = 1.0
        return Evidence(
            times[0],
            times[1],
            _MARKS.sub(" ", said) if first_number != last_number else said,
            self._layout.indices[first_number],
            first_segment.speaker,
            probability,
        )

    def time(self, position: int) -> tuple[float, float]:
        """When a word of :attr:`text` was said: its own time, or its share of the segment's."""
        found = self.evidence(position, position + 1)
        return found.start, found.end

    def stopped(self, start: int, end: int) -> bool:
        """Whether a sentence ends inside the words from ``start`` to before ``end`` of :attr:`text`."""
        first, _ = self._place(start)
        last, _ = self._place(end - 1)
        return self._stopped(int(self._starts[first]), int(self._ends[last]))

    def cut(self, start: int, end: int) -> bool:
        """Whether a sentence ends between two words of :attr:`text`."""
        first, _ = self._place(start)
        last, _ = self._place(end)
        after, next_word = int(self._ends[first]), int(self._starts[last])
        return after < next_word and (self._written[next_word - 1] in STOPS or self._stopped(after, next_word))

    def asked(self, end: int) -> bool:
        """Whether the sentence of the word before ``end`` of :attr:`text` ends with a question mark, and soon."""
        last, _ = self._place(end - 1)
        after = int(self._ends[last])
        stops = self._sentence_ends()
        number = bisect_left(stops, after)
        if number == len(stops) or stops[number] >= after + 300 or self._written[stops[number]] != "?":
            return False
        # What is said after a pause, or by another, is another sentence.
        return "\x1d" not in self._written[after : stops[number]]

    def _stopped(self, begins: int, ends: int) -> bool:
        stops = self._sentence_ends()
        number = bisect_left(stops, begins)
        return number < len(stops) and stops[number] < ends

    def _sentence_ends(self) -> list[int]:
        """Where the sentences of the whole stream end."""
        if self._stops is None:
            self._stops = sentence_ends(self._written)
        return self._stops

    def _bounds(self, number: int) -> tuple[int, int]:
        """The first word of a segment and the word after its last, among all words."""
        before = self._word(self._marks[number - 1]) if number else -1
        after = self._word(self._marks[number] if number < len(self._marks) else self._count)
        return before + 1, after

    def _share(self, number: int, at: int) -> float:
        segment = self._layout.segments[number]
        extent = self._extents.get(number)
        if extent is None:
            first, after = self._bounds(number)
            extent = self._extents[number] = int(self._starts[first]), int(self._ends[after - 1])
        begins, ends = extent
        return segment.start + (segment.end - segment.start) * ((at - begins) / (ends - begins))

    def _spoken(self, first_number: int, first: int, last_number: int, last: int) -> list[Word]:
        """The recogniser's words from one normalised word to another."""
        found: list[Word] = []
        for number in range(first_number, last_number + 1):
            words = self._layout.segments[number].words
            begins, _ = self._bounds(number)
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
            for position, word in enumerate(self._layout.segments[number].words):
                _, clean = normalised(_MARKS.sub(" ", word.text))
                found.extend([position] * len(clean.split()))
            self._owners[number] = found
        return found


def sentence_ends(text: str) -> list[int]:
    """The places of the characters that end a sentence: a stop with white space, or nothing, after it."""
    import numpy as np

    try:
        letters = np.frombuffer(text.encode("latin-1"), dtype=np.uint8)
    except UnicodeEncodeError:
        return [found.start() for found in _SENTENCE_END.finditer(text)]
    stops, spaces = _letters(STOPS), _letters(_SPACES)
    followed = np.append(spaces[letters[1:]], True)
    found: list[int] = np.flatnonzero(stops[letters] & followed[: len(letters)]).tolist()
    return found


@cache
def _letters(text: str) -> Any:
    """Which of the 256 letters of Latin-1 are in a text."""
    import numpy as np

    return np.isin(np.arange(256), [ord(letter) for letter in text])


def kept_of(raw: Any) -> tuple[Any, Any]:
    """The symbols that count, and the place of each in ``raw``: no hesitations, no marks between segments, and what is
    said twice in a row ("la deuxième la deuxième") once."""
    import numpy as np

    index = np.flatnonzero(raw > ord(SEGMENT))
    return once(raw[index], index)


def once(kept: Any, index: Any) -> tuple[Any, Any]:
    """Symbols, and the place of each, without what is said twice in a row."""
    import numpy as np

    for length in (1, 2, 3):
        stays = _once(np, kept, length)
        if stays is not None:
            kept, index = kept[stays], index[stays]
    return kept, index


def _once(np: Any, kept: Any, length: int) -> Any:
    """Which words stay when "la deuxième la deuxième" is heard as said once; None where nothing is repeated."""
    if len(kept) < 2 * length:
        return None
    same = (kept[:-length] == kept[length:]) & (kept[:-length] > ord(OTHER))
    run = same
    for shift in range(1, length):
        run = run[:-1] & same[shift:]
    starts = np.flatnonzero(run)
    if not len(starts):
        return None
    stays = np.ones(len(kept), dtype=bool)
    for shift in range(length):
        stays[starts + shift] = False
    return stays

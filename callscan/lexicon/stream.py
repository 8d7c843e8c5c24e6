"""A transcript as one stream of words, and the way back from a word of the stream to its second in the call."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from callscan.lexicon.alphabet import BREAK, JOIN, OTHER, SEGMENT
from callscan.lexicon.words import WordTable, normalised
from callscan.records import Segment, Speaker, Transcript

SEGMENT_MARK = " \x1e "
BREAK_MARK = " \x1d "
PAUSE = 5.0
"""Seconds of one speaker's silence over which no pattern reaches."""
_UNHEARD = ("phantom", "loop")
_SENTENCE_END = re.compile(r"[.!?;](?=\s|$)")
_MARKS = re.compile(r"\s*[\x1d\x1e]\s*")


def text_of(segment: Segment) -> str:
    """What is read of a segment: its words where it has them, so that every match has a time of its own."""
    return " ".join([word.text for word in segment.words]) if segment.words else segment.text


def lay_out(transcript: Transcript) -> tuple[str, list[int], list[tuple[Speaker, int]]]:
    """The stream's text, the segments it is made of, and the speakers in turn with how many segments they have.

    Speaker by speaker, each in order of time. Announcements, phantoms and loops are left out. Marks stand between
    segments: one that patterns reach over where the same speaker goes on, one that they do not reach over after a
    pause or between speakers.
    """
    streams: dict[tuple[str, int], list[tuple[float, int, Segment]]] = {}
    for index, segment in enumerate(transcript.segments):
        if segment.speaker == "ivr" or (segment.flags and any(flag in segment.flags for flag in _UNHEARD)):
            continue
        key = (segment.speaker, segment.channel)
        if key in streams:
            streams[key].append((segment.start, index, segment))
        else:
            streams[key] = [(segment.start, index, segment)]
    parts: list[str] = []
    order: list[int] = []
    runs: list[tuple[Speaker, int]] = []
    for key in sorted(streams):
        stream = streams[key]
        stream.sort(key=lambda entry: entry[:2])
        end = float("-inf")
        for start, index, segment in stream:
            parts.append(SEGMENT_MARK if start - end <= PAUSE else BREAK_MARK)
            parts.append(text_of(segment) if segment.words else segment.text)
            order.append(index)
            end = segment.end
        runs.append((stream[0][2].speaker, len(stream)))
    text = "".join(parts[1:])
    if text.count("\x1e") + text.count("\x1d") != len(order) - 1:
        clean = [re.sub("[\x1d\x1e]", " ", part) if number % 2 else part for number, part in enumerate(parts)]
        text = "".join(clean[1:])
    return text, order, runs


@dataclass(frozen=True, slots=True)
class Evidence:
    """Where a match is in the transcript: times, quote, the first word's segment."""

    start: float
    end: float
    quote: str
    segment: int
    probability: float
    asked: bool
    """The sentence of the match ends with a question mark."""
    cut: bool
    """A sentence ends inside the match."""


class Stream:
    """One transcript's words as symbols: ``kept`` (16 bit each) without hesitations and repeated words, ``data`` and
    ``text`` the same as bytes and characters."""

    def __init__(self, table: WordTable, transcript: Transcript) -> None:
        import numpy as np

        self._segments = transcript.segments
        laid_out, self._order, self._runs = lay_out(transcript)
        self._written, clean = normalised(laid_out)
        words = table.read(clean)
        raw = words.symbols
        self._words = words
        self._joins = np.flatnonzero(raw == ord(JOIN)) if len(raw) > len(words.starts) else raw[:0]
        self._marks = np.flatnonzero((raw == ord(SEGMENT)) | (raw == ord(BREAK)))
        index = np.flatnonzero(raw > ord(SEGMENT))
        kept = raw[index]
        for length in (1, 2, 3):
            stays = _once(np, kept, length)
            if stays is not None:
                kept, index = kept[stays], index[stays]
        self._index = index
        self.kept: Any = kept
        self._text: str | None = None
        self._spoken: dict[int, list[int]] = {}

    def __len__(self) -> int:
        return len(self._index)

    @property
    def text(self) -> str:
        """One character per word that counts."""
        if self._text is None:
            self._text = self.kept.tobytes().decode("utf-16-le")
        return self._text

    def runs(self) -> list[tuple[Speaker, int]]:
        """Each speaker in turn, with the end of what they say in :attr:`text`."""
        runs: list[tuple[Speaker, int]] = []
        segments = 0
        for speaker, count in self._runs:
            segments += count
            last = segments == len(self._order)
            runs.append((speaker, len(self) + 1 if last else int(self._index.searchsorted(self._marks[segments - 1]))))
        return runs

    def _place(self, position: int) -> tuple[int, int]:
        """Of a word of :attr:`text`: its number among all words, and its segment's number in the stream."""
        raw = int(self._index[position])
        joins = int(self._joins.searchsorted(raw)) if len(self._joins) else 0
        return raw - 2 * joins, int(self._marks.searchsorted(raw))

    def evidence(self, start: int, end: int) -> Evidence:
        """Where the words from ``start`` to before ``end`` of :attr:`text` are."""
        first, first_number = self._place(start)
        last, last_number = self._place(end - 1)
        begins, ends = int(self._words.starts[first]), int(self._words.ends[last])
        said = self._written[begins:ends]
        after = _SENTENCE_END.search(self._written, ends, ends + 300)
        first_segment = self._segments[self._order[first_number]]
        last_segment = self._segments[self._order[last_number]]
        if first_segment.words and last_segment.words:
            spoken = self._spoken_words(first_number, first, last_number, last)
            times = spoken[0].start, spoken[-1].end
            probability = sum(word.probability for word in spoken) / len(spoken)
        else:
            times = self._share(first_number, begins), self._share(last_number, ends)
            probability = 1.0
        return Evidence(
            start=times[0],
            end=times[1],
            quote=_MARKS.sub(" ", said),
            segment=self._order[first_number],
            probability=probability,
            asked=after is not None and after[0] == "?",
            cut=_SENTENCE_END.search(said) is not None,
        )

    def time(self, position: int) -> tuple[float, float]:
        """When a word of :attr:`text` was said: its own time, or its share of the segment's."""
        found = self.evidence(position, position + 1)
        return found.start, found.end

    def cut(self, start: int, end: int) -> bool:
        """Whether a sentence ends between two words of :attr:`text`."""
        first, _ = self._place(start)
        last, _ = self._place(end)
        between = self._written[int(self._words.ends[first]) : int(self._words.starts[last])]
        return _SENTENCE_END.search(between) is not None

    def _bounds(self, number: int) -> tuple[int, int]:
        """The first word of a segment and the word after its last, among all words."""
        marks, joins = self._marks, self._joins
        before = int(marks[number - 1]) if number else -1
        after = int(marks[number]) if number < len(marks) else len(self._words.symbols)
        shift = (lambda raw: raw - 2 * int(joins.searchsorted(raw))) if len(joins) else (lambda raw: raw)
        return shift(before) + 1, shift(after)

    def _share(self, number: int, at: int) -> float:
        segment = self._segments[self._order[number]]
        first, after = self._bounds(number)
        begins, ends = int(self._words.starts[first]), int(self._words.ends[after - 1])
        share = (at - begins) / max(1, ends - begins)
        return segment.start + (segment.end - segment.start) * min(1.0, max(0.0, share))

    def _spoken_words(self, first_number: int, first: int, last_number: int, last: int) -> list[Any]:
        found: list[Any] = []
        for number in range(first_number, last_number + 1):
            words = self._segments[self._order[number]].words
            begins, _ = self._bounds(number)
            owners = self._owners(number)
            low = owners[first - begins] if number == first_number else 0
            high = owners[last - begins] if number == last_number else len(words) - 1
            found.extend(words[low : high + 1])
        return found

    def _owners(self, number: int) -> list[int]:
        """For each normalised word of a segment, the index of the recogniser's word it belongs to."""
        found = self._spoken.get(number)
        if found is None:
            found = []
            for position, word in enumerate(self._segments[self._order[number]].words):
                _, clean = normalised(_MARKS.sub(" ", word.text))
                found.extend([position] * len(clean.split()))
            self._spoken[number] = found
        return found


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

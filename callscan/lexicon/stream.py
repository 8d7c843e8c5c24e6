"""A transcript as one stream of normalised words, and the way back from a word of the stream to the transcript."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from callscan.records import Segment, Speaker, Transcript

SEGMENT_MARK = " \x1e "
BREAK_MARK = " \x1d "
PAUSE = 5.0
"""Seconds of one speaker's silence over which no pattern reaches."""
UNHEARD = frozenset({"phantom", "loop"})

_TYPOGRAPHIC = str.maketrans({"’": "'", "‘": "'", "ʼ": "'", "œ": "½", "Œ": "½", "Ÿ": "ÿ", "…": ".", "–": "-", "—": "-"})


def _table() -> bytes:
    table = bytearray(b" " * 256)
    for code in range(256):
        letter = chr(code)
        if letter.isalpha() and letter not in "ªº":
            lowered = letter.lower()
            table[code] = ord(lowered) if len(lowered) == 1 and ord(lowered) < 256 else code
        elif letter in "0123456789½":
            table[code] = code
    table[0x1D], table[0x1E] = 0x1D, 0x1E
    return bytes(table)


_TABLE = _table()


def normalised(text: str) -> bytes:
    """Lower-case words and spaces, one byte per character of the NFC text; accents are kept, punctuation is not."""
    try:
        return text.encode("latin-1").translate(_TABLE)
    except UnicodeEncodeError:
        text = unicodedata.normalize("NFC", text).translate(_TYPOGRAPHIC)
        return text.encode("latin-1", "replace").translate(_TABLE)


def words_of(text: str) -> list[tuple[int, int]]:
    """Where each word of a text stands (start and end in its NFC form), as :func:`normalised` cuts it."""
    clean = normalised(text).replace(b"\x1d", b" ").replace(b"\x1e", b" ")
    return [found.span() for found in re.finditer(rb"[^ ]+", clean)]


@dataclass(frozen=True, slots=True)
class Place:
    """A segment's part of the stream: which segment, and its speaker."""

    segment: int
    speaker: Speaker


def text_of(segment: Segment) -> str:
    """What is read of a segment: its words where it has them, so that every match has a time of its own."""
    return " ".join([word.text for word in segment.words]) if segment.words else segment.text


def lay_out(transcript: Transcript) -> tuple[str, list[Place]]:
    """The stream's text and the segments it is made of, speaker by speaker, each in order of time.

    Announcements, phantoms and loops are left out. Marks stand between segments: one that patterns reach over
    where the same speaker goes on, one that they do not after a pause or between speakers.
    """
    order = sorted(
        (
            (segment.speaker, segment.channel, segment.start, index)
            for index, segment in enumerate(transcript.segments)
            if segment.speaker != "ivr" and not UNHEARD.intersection(segment.flags)
        ),
    )
    parts: list[str] = []
    places: list[Place] = []
    last: tuple[str, int] | None = None
    end = 0.0
    for speaker, channel, start, index in order:
        segment = transcript.segments[index]
        text = text_of(segment)
        if "\x1d" in text or "\x1e" in text:
            text = text.replace("\x1d", " ").replace("\x1e", " ")
        if last is not None:
            parts.append(SEGMENT_MARK if last == (speaker, channel) and start - end <= PAUSE else BREAK_MARK)
        parts.append(text)
        places.append(Place(index, segment.speaker))
        last, end = (speaker, channel), segment.end
    return "".join(parts), places


@dataclass(frozen=True, slots=True)
class Evidence:
    """Where a match is in the transcript: times, quote, and the text between its words."""

    start: float
    end: float
    quote: str
    probability: float
    asked: bool
    """The sentence of the match ends with a question mark."""
    cut: bool
    """A sentence ends inside the match."""


_SENTENCE_END = re.compile(r"[.!?;](?=\s|$)")


class Locator:
    """From words of the stream back to one transcript's segments, words and times."""

    def __init__(self, transcript: Transcript) -> None:
        self._segments = transcript.segments
        self._texts: dict[int, tuple[str, list[tuple[int, int]]]] = {}
        self._word_of: dict[int, list[int]] = {}

    def _read(self, index: int) -> tuple[str, list[tuple[int, int]]]:
        found = self._texts.get(index)
        if found is None:
            text = unicodedata.normalize("NFC", text_of(self._segments[index]))
            found = self._texts[index] = (text, words_of(text))
        return found

    def _spoken(self, index: int) -> list[int]:
        """For each normalised word of a segment, the index of the recogniser's word it belongs to."""
        found = self._word_of.get(index)
        if found is None:
            found = []
            for position, word in enumerate(self._segments[index].words):
                found.extend([position] * len(words_of(unicodedata.normalize("NFC", word.text))))
            self._word_of[index] = found
        return found

    def time(self, index: int, word: int) -> tuple[float, float]:
        """When a normalised word of a segment was said: its own time, or its share of the segment's."""
        segment = self._segments[index]
        if segment.words:
            spoken = segment.words[self._spoken(index)[word]]
            return spoken.start, spoken.end
        text, spans = self._read(index)
        first, last = spans[word]
        length = max(len(text), 1)
        seconds = segment.end - segment.start
        return segment.start + seconds * first / length, segment.start + seconds * last / length

    def evidence(self, pieces: Iterable[tuple[int, int, int]]) -> Evidence:
        """``pieces``: (segment, first word, last word), in order, of one match."""
        pieces = list(pieces)
        quotes: list[str] = []
        inner = ""
        probabilities: list[float] = []
        for number, (index, first, last) in enumerate(pieces):
            text, spans = self._read(index)
            start, end = spans[first][0], spans[last][1]
            quotes.append(text[start:end])
            inner += text[start : end if number == len(pieces) - 1 else None] + " "
            probabilities.extend(self._probabilities(index, first, last))
        first_index, first_word, _ = pieces[0]
        last_index, _, last_word = pieces[-1]
        text, spans = self._read(last_index)
        sentence_end = _SENTENCE_END.search(text, spans[last_word][1])
        return Evidence(
            start=self.time(first_index, first_word)[0],
            end=self.time(last_index, last_word)[1],
            quote=" ".join(quotes),
            probability=sum(probabilities) / len(probabilities),
            asked=sentence_end is not None and sentence_end[0] == "?",
            cut=_SENTENCE_END.search(inner.rstrip()[:-1]) is not None,
        )

    def _probabilities(self, index: int, first: int, last: int) -> Iterator[float]:
        segment = self._segments[index]
        if not segment.words:
            yield 1.0
            return
        spoken = self._spoken(index)
        for position in dict.fromkeys(spoken[first : last + 1]):
            yield segment.words[position].probability

    def broken(self, before: tuple[int, int], after: tuple[int, int]) -> bool:
        """Whether a sentence ends between two words, each (segment, word)."""
        text, spans = self._read(before[0])
        start = spans[before[1]][1]
        if before[0] == after[0]:
            return _SENTENCE_END.search(text[start : spans[after[1]][0] + 1]) is not None
        following, following_spans = self._read(after[0])
        return (
            _SENTENCE_END.search(text, start) is not None
            or _SENTENCE_END.search(following[: following_spans[after[1]][0]]) is not None
        )

"""From the tokens Whisper writes to timed text: segments between timestamps, words from the alignment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

TIME_STEP = 0.02
"""Seconds between two timestamp tokens, and between two encoder positions."""


TIES = "'’-"
"""What ties two parts of a written word together."""


@dataclass(frozen=True, slots=True)
class TimedTokens:
    """Text tokens between two timestamps; seconds from the start of the window."""

    start: float
    end: float
    tokens: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class TimedWord:
    """A word with its number of tokens; seconds from the start of the window."""

    text: str
    start: float
    end: float
    probability: float
    size: int


def split(tokens: Sequence[int], first_timestamp: int, end_of_text: int, seconds: float) -> list[TimedTokens]:
    """Cut a window's tokens at its timestamps.

    Text before the first timestamp starts at 0, text after the last one ends with the window (``seconds``). Special
    tokens, from ``end_of_text`` up, are left out.
    """
    found: list[TimedTokens] = []
    start = 0.0
    text: list[int] = []
    for token in tokens:
        if token >= first_timestamp:
            time = min((token - first_timestamp) * TIME_STEP, seconds)
            if text:
                found.append(TimedTokens(start, max(start, time), tuple(text)))
                text = []
            start = time
        elif token < end_of_text:
            text.append(token)
    if text:
        found.append(TimedTokens(start, max(start, seconds), tuple(text)))
    return found


def words_of(
    path: Sequence[tuple[int, int]],
    probabilities: Sequence[float],
    texts: Sequence[str],
    sizes: Sequence[int],
) -> list[TimedWord]:
    """Words from an alignment path of (token index, encoder position).

    ``texts`` and ``sizes`` are the words and how many tokens each has. A word begins where the path first reaches
    its first token and ends where it reaches the next word's. Punctuation that stands alone joins the word before it,
    and so does what an apostrophe or a hyphen ties to it ("n" + "'est").
    """
    begins: dict[int, int] = {}
    for token, position in path:
        begins.setdefault(token, position)
    last = path[-1][1] if path else 0
    words: list[TimedWord] = []
    at = 0
    for text, size in zip(texts, sizes, strict=True):
        begin = begins.get(at, last) * TIME_STEP
        end = begins.get(at + size, last) * TIME_STEP
        scores = probabilities[at : at + size]
        at += size
        probability = sum(scores) / len(scores) if scores else 0.0
        before = words[-1] if words else None
        if before and not text.startswith(" ") and (text[:1] in TIES or before.text[-1:] in TIES or not _spoken(text)):
            words[-1] = TimedWord(before.text + text, before.start, before.end, before.probability, before.size + size)
        else:
            words.append(TimedWord(text, begin, max(begin, end), probability, size))
    return words


def _spoken(text: str) -> bool:
    return any(c.isalnum() for c in text)

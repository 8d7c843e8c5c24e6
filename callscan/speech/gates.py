"""What makes a window's text doubtful, and what shows that it is no speech at all.

Thresholds are Whisper's own (openai/whisper, ``decoding``/``transcribe``): text that compresses too well repeats
itself, text of low probability was guessed.
"""

from __future__ import annotations

import tomllib
import unicodedata
import zlib
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

from callscan.records import Segment, Span, union

MAX_COMPRESSION = 2.4
MIN_LOGPROB = -1.0
NO_SPEECH = 0.6
_LOOP_REPEATS = 4


def compression_ratio(text: str) -> float:
    """Bytes of ``text`` over bytes of its zlib compression."""
    data = text.encode()
    return len(data) / len(zlib.compress(data)) if data else 0.0


def failed(text: str, avg_logprob: float) -> bool:
    """Whether a window should be decoded again."""
    return compression_ratio(text) > MAX_COMPRESSION or avg_logprob < MIN_LOGPROB


def is_loop(text: str) -> bool:
    """Whether the text says the same few words again and again."""
    words = _folded(text).split()
    for size in range(1, 9):
        run = 1
        for at in range(size, len(words) - size + 1, size):
            run = run + 1 if words[at : at + size] == words[at - size : at] else 1
            if run >= _LOOP_REPEATS and size * run >= 6:
                return True
    return False


def is_phantom(text: str, language: str) -> bool:
    """Whether the text is one of the sentences that Whisper writes where nobody speaks (phantoms.toml)."""
    plain = _folded(text)
    return any(phrase in plain for phrase in _phantoms().get(language, ()))


def flags_of(text: str, language: str, avg_logprob: float) -> tuple[str, ...]:
    """The flags of a segment, sorted."""
    found = []
    if is_loop(text):
        found.append("loop")
    if avg_logprob < MIN_LOGPROB:
        found.append("low_confidence")
    if is_phantom(text, language):
        found.append("phantom")
    return tuple(found)


def trusted(segments: Iterable[Segment]) -> list[Span]:
    """The time that segments of one channel cover whose text is trusted: spans in order and apart."""
    heard = (segment for segment in segments if "loop" not in segment.flags and "phantom" not in segment.flags)
    return union(Span(segment.start, segment.end) for segment in heard)


def covered(span: Span, times: Sequence[Span]) -> float:
    """Seconds of ``span`` that ``times``, in order and apart, cover."""
    total = 0.0
    for at in range(max(0, bisect_right(times, span.start, key=lambda time: time.start) - 1), len(times)):
        if times[at].start >= span.end:
            break
        total += max(0.0, min(times[at].end, span.end) - max(times[at].start, span.start))
    return total


@cache
def _phantoms() -> dict[str, tuple[str, ...]]:
    table = tomllib.loads(Path(__file__).with_name("phantoms.toml").read_text("utf-8"))
    return {language: tuple(_folded(phrase) for phrase in phrases) for language, phrases in table.items()}


def _folded(text: str) -> str:
    """Lower case, without accents and punctuation, single spaces."""
    bare = "".join(c for c in unicodedata.normalize("NFD", text.lower()) if not unicodedata.combining(c))
    return " ".join("".join(c if c.isalnum() else " " for c in bare).split())

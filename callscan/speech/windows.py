"""Speech spans of one channel packed into windows that a Whisper encoder takes, and the way back to call time."""

from __future__ import annotations

import math
from dataclasses import dataclass

from callscan.records import Span

WHISPER_LENGTH = 30.0
"""Seconds that a Whisper encoder hears at once."""


@dataclass(frozen=True, slots=True)
class Window:
    """Spans of one channel end to end: ``pieces`` in call time, ``seconds`` of sound, ``padded`` for the encoder."""

    channel: int
    pieces: tuple[Span, ...]
    seconds: float
    padded: float

    def piece_at(self, time: float) -> tuple[Span, float]:
        """The piece that is heard at ``time`` in the window, and what to add to get call time."""
        at = 0.0
        for piece in self.pieces:
            if time < at + piece.duration or piece is self.pieces[-1]:
                return piece, piece.start - at
            at += piece.duration
        raise ValueError("a window without pieces")

    def call_time(self, start: float, end: float) -> Span:
        """A stretch of the window in call time, cut at the ends of the piece that its middle lies in."""
        piece, shift = self.piece_at((start + end) / 2)
        begin = min(max(start + shift, piece.start), piece.end)
        return Span(begin, min(max(end + shift, begin), piece.end))


def pack(channel: int, spans: list[Span], lengths: tuple[float, ...]) -> list[Window]:
    """Windows over ``spans`` in their order, each padded to one of ``lengths``; no span may exceed the last of them.

    A model that only knows one length gets as few windows as possible, filled up. With several, the windows of a
    channel are made alike instead: two of 9 s padded to 10 cost less than one of 15 s and one of 3 s padded to 5.
    """
    longest = lengths[-1]
    total = sum(span.duration for span in spans)
    goal = total / max(1, math.ceil(total / (0.95 * longest))) if len(lengths) > 1 else longest
    windows: list[Window] = []
    pieces: list[Span] = []
    seconds = 0.0
    for span in spans:
        full = seconds + span.duration > longest
        if pieces and (full or seconds + span.duration / 2 > goal):
            windows.append(_window(channel, pieces, seconds, lengths))
            pieces, seconds = [], 0.0
        pieces.append(span)
        seconds += span.duration
    if pieces:
        windows.append(_window(channel, pieces, seconds, lengths))
    return windows


def _window(channel: int, pieces: list[Span], seconds: float, lengths: tuple[float, ...]) -> Window:
    padded = next((length for length in lengths if seconds <= length), lengths[-1])
    return Window(channel, tuple(pieces), min(seconds, padded), padded)

"""Speech spans of one channel packed into windows that a Whisper encoder takes, and the way back to call time."""

from __future__ import annotations

import math
from dataclasses import dataclass

from callscan.records import Span

LONGEST = 30.0
"""Seconds that a Whisper encoder hears at once."""
TIGHT = (5.0, 10.0, 15.0, 20.0, 25.0, LONGEST)
"""Lengths a window is padded to for a model that was trained on short windows too."""


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


def pack(channel: int, spans: list[Span], *, tight: bool) -> list[Window]:
    """Windows over ``spans`` in their order; none of the spans may be longer than 30 s.

    A model that only knows windows of 30 s gets as few as possible, filled up. With ``tight`` lengths the windows of
    a channel are made alike instead, because two of 18 s cost less than one of 30 s and one of 6 s padded.
    """
    total = sum(span.duration for span in spans)
    goal = total / max(1, math.ceil(total / (LONGEST - 1))) if tight else LONGEST
    windows: list[Window] = []
    pieces: list[Span] = []
    seconds = 0.0
    for span in spans:
        full = seconds + span.duration > LONGEST
        if pieces and (full or seconds + span.duration / 2 > goal):
            windows.append(_window(channel, pieces, seconds, tight=tight))
            pieces, seconds = [], 0.0
        pieces.append(span)
        seconds += span.duration
    if pieces:
        windows.append(_window(channel, pieces, seconds, tight=tight))
    return windows


def _window(channel: int, pieces: list[Span], seconds: float, *, tight: bool) -> Window:
    padded = next(length for length in TIGHT if seconds <= length + 1e-6) if tight else LONGEST
    return Window(channel, tuple(pieces), min(seconds, padded), padded)

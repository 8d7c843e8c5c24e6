"""Speech spans of one channel packed into windows that a Whisper encoder takes, and the way back to call time."""

from __future__ import annotations

import math
from dataclasses import dataclass

from callscan.records import Span

WHISPER_LENGTH = 30.0
"""Seconds that a Whisper encoder hears at once."""
_JOINT = 0.5
"""What each joint between two spans costs, in seconds of a window: the words beside it are misheard more often."""


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

    Of all ways to cut the spans into windows it is the one that gives the encoder least to do. A model that only knows
    one length gets windows as few and full as can be; one that knows many gets few spans in each.
    """
    total = 0.0
    ends = [total := total + span.duration for span in spans]
    # least[n]: what the first n spans cost at least, and how many of them come before their last window.
    least: list[tuple[float, int]] = [(0.0, 0)]
    for last, end in enumerate(ends):
        best = (math.inf, last)
        for first in range(last, -1, -1):
            seconds = end - (ends[first - 1] if first else 0.0)
            if first < last and seconds > lengths[-1]:
                break
            cost = least[first][0] + _padded(seconds, lengths) + _JOINT * (last - first)
            best = min(best, (cost, first))
        least.append(best)
    windows: list[Window] = []
    until = len(spans)
    while until:
        first = least[until][1]
        pieces = tuple(spans[first:until])
        seconds = sum(piece.duration for piece in pieces)
        padded = _padded(seconds, lengths)
        windows.append(Window(channel, pieces, min(seconds, padded), padded))
        until = first
    return windows[::-1]


def _padded(seconds: float, lengths: tuple[float, ...]) -> float:
    return next((length for length in lengths if seconds <= length), lengths[-1])

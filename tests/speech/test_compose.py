"""What of a window's speech is heard again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callscan.records import Span
from callscan.speech.compose import unfinished
from callscan.speech.tokens import TimedTokens
from callscan.speech.whisper import Heard
from callscan.speech.windows import Window, pack


def heard(start: float, end: float, cut: bool = False) -> Heard:
    """A window whose last text has these times."""
    return Heard("oui", (TimedTokens(start, end, (1,)),), ("oui",), ((),), -0.1, 0.0, cut)


WINDOW = Window(0, (Span(10.0, 14.0), Span(20.0, 20.6), Span(30.0, 33.0)), 7.6, 10.0)
SPANS = [Span(0.0, 9.0), Span(10.2, 13.8), Span(20.2, 20.4), Span(30.2, 32.8), Span(40.0, 44.0)]


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (heard(0.0, 7.6), []),
        (heard(0.0, 3.5), [(SPANS[3], Span(30.2, 32.8))]),
        (heard(0.0, 2.0), [(SPANS[1], Span(12.0, 13.8)), (SPANS[3], Span(30.2, 32.8))]),
        (heard(2.0, 7.6, cut=True), [(SPANS[1], Span(12.0, 13.8)), (SPANS[2], SPANS[2]), (SPANS[3], SPANS[3])]),
        (heard(3.5, 7.6, cut=True), [(SPANS[1], Span(13.5, 13.8)), (SPANS[2], SPANS[2]), (SPANS[3], SPANS[3])]),
        (heard(6.0, 7.6, cut=True), [(SPANS[3], Span(31.4, 32.8))]),
        (Heard("", (), (), (), 0.0, 0.0), []),
    ],
)
def test_speech_behind_the_last_timestamp_is_unfinished(given: Heard, found: list[tuple[Span, Span]]) -> None:
    answer = unfinished(WINDOW, given, SPANS)
    assert [span for span, _ in answer] == [span for span, _ in found]
    for (_, stretch), (_, right) in zip(answer, found, strict=True):
        assert (stretch.start, stretch.end) == pytest.approx((right.start, right.end))


@given(st.lists(st.tuples(st.floats(0, 3), st.floats(0.1, 9)), max_size=20), st.floats(0, 30), st.booleans())
def test_unfinished_speech_is_what_lies_in_the_pieces_behind(
    drawn: list[tuple[float, float]], reached: float, cut: bool
) -> None:
    spans, at = [], 0.0
    for pause, duration in drawn:
        spans.append(Span(at + pause, at + pause + duration))
        at = spans[-1].end
    for window in pack(0, spans, (30.0,)):
        answer = unfinished(window, heard(reached, reached, cut), spans)
        right, begin = [], 0.0
        for piece in window.pieces:
            rest = piece.start + max(0.0, reached - begin)
            begin += piece.duration
            for span in spans:
                start, end = max(span.start, rest), min(span.end, piece.end)
                if end - start >= (0.1 if cut else 1.0):
                    right.append((span, Span(start, end)))
        assert answer == right


def test_a_long_call_s_spans_are_not_all_looked_at_for_every_window() -> None:
    class Looked(list[Span]):
        def __iter__(self) -> None:  # type: ignore[override]
            raise AssertionError("all were looked at")

    assert unfinished(WINDOW, heard(0.0, 2.0), Looked(SPANS)) == unfinished(WINDOW, heard(0.0, 2.0), SPANS)

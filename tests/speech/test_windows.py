"""Packing speech spans into windows, and the way back to call time."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callscan.records import Span
from callscan.speech.windows import WHISPER_LENGTH, pack

ALIKE, FULL = (5.0, 10.0, 15.0), (WHISPER_LENGTH,)


@st.composite
def spans(draw: st.DrawFn) -> list[Span]:
    at, found = 0.0, []
    for _ in range(draw(st.integers(0, 40))):
        start = at + draw(st.floats(0, 20))
        end = start + draw(st.floats(0.1, 15))
        found.append(Span(start, end))
        at = end
    return found


@given(spans(), st.sampled_from([ALIKE, FULL]))
def test_every_span_is_heard_once_and_in_order(found: list[Span], lengths: tuple[float, ...]) -> None:
    windows = pack(1, found, lengths)
    assert [piece for window in windows for piece in window.pieces] == found
    for window in windows:
        assert window.channel == 1
        assert window.seconds == pytest.approx(sum(piece.duration for piece in window.pieces))
        assert window.seconds <= window.padded + 1e-6
        assert window.padded in lengths


@given(spans(), st.sampled_from([ALIKE, FULL]), st.floats(0, WHISPER_LENGTH), st.floats(0, 3))
def test_window_time_leads_back_into_the_piece_that_was_heard(
    found: list[Span], lengths: tuple[float, ...], start: float, length: float
) -> None:
    for window in pack(0, found, lengths):
        time = window.call_time(start, start + length)
        assert time.start <= time.end
        assert any(piece.start <= time.start and time.end <= piece.end for piece in window.pieces)


def test_times_within_a_piece_are_shifted_by_where_it_lies() -> None:
    (window,) = pack(0, [Span(10.0, 14.0), Span(60.0, 63.0)], FULL)
    assert window.call_time(1.0, 2.0) == Span(11.0, 12.0)
    assert window.call_time(4.5, 5.0) == Span(60.5, 61.0)
    # A word that straddles the cut belongs to the piece its middle lies in, and ends there.
    assert window.call_time(3.0, 4.8) == Span(13.0, 14.0)


def test_a_model_of_short_windows_pads_less() -> None:
    found = [Span(i * 10.0, i * 10.0 + 4.0) for i in range(9)]  # 36 s of speech
    alike, full = pack(0, found, ALIKE), pack(0, found, FULL)
    assert [window.padded for window in full] == [WHISPER_LENGTH, WHISPER_LENGTH]
    assert sum(window.padded for window in alike) <= 45
    assert all(a.pieces[-1].end <= b.pieces[0].start for a, b in pairwise(alike))


@given(spans())
def test_one_length_is_filled_into_as_few_windows_as_can_be(found: list[Span]) -> None:
    fewest, room = 0, 0.0
    for span in found:
        if span.duration > room:
            fewest, room = fewest + 1, WHISPER_LENGTH
        room -= span.duration
    assert len(pack(0, found, FULL)) == fewest


def test_spans_share_a_window_only_where_it_spares_the_encoder_much() -> None:
    found = [Span(0.0, 1.9), Span(5.0, 6.9), Span(9.0, 9.4), Span(11.0, 11.5)]
    assert [len(window.pieces) for window in pack(0, found, (2.0, 4.0))] == [1, 1, 2]
    assert [len(window.pieces) for window in pack(0, found, FULL)] == [4]

"""Speech spans: on probabilities made by hand, and Silero itself on sounds without speech."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from callscan.records import Span
from callscan.speech.api import SAMPLE_RATE, CallAudio
from callscan.speech.vad import FRAME_SECONDS, PADDING, padded, spans_of, speech_probabilities


def probabilities(*parts: tuple[float, float]) -> np.ndarray:
    """(seconds, probability) one after another."""
    return np.concatenate([np.full(round(s / FRAME_SECONDS), p, np.float32) for s, p in parts])


def call_of(samples: np.ndarray) -> CallAudio:
    def read(channel: int, start: float, end: float) -> np.ndarray:
        return samples[channel, round(start * SAMPLE_RATE) : round(end * SAMPLE_RATE)]

    return CallAudio("key", samples.shape[1] / SAMPLE_RATE, samples.shape[0], read)


def test_short_pauses_are_bridged() -> None:
    found = spans_of(probabilities((1, 0), (1, 0.9), (0.2, 0), (1, 0.9), (2, 0), (1, 0.9), (1, 0)), 7.2, 30)
    assert len(found) == 2
    assert found[0].start == pytest.approx(1, abs=0.05)
    assert found[0].end == pytest.approx(3.2, abs=0.1)


def test_between_the_thresholds_nothing_changes() -> None:
    assert spans_of(probabilities((1, 0), (2, 0.45), (1, 0)), 4, 30) == []
    (span,) = spans_of(probabilities((1, 0), (0.5, 0.9), (2, 0.45), (1, 0)), 4.5, 30)
    assert span.end > 3.4


def test_a_click_is_no_speech() -> None:
    assert spans_of(probabilities((1, 0), (FRAME_SECONDS, 0.9), (1, 0)), 2, 30) == []


@given(st.lists(st.tuples(st.floats(0.05, 50), st.sampled_from([0.0, 0.4, 0.6, 0.99])), max_size=30), st.floats(2, 30))
def test_spans_are_in_order_apart_and_fit(parts: list[tuple[float, float]], longest: float) -> None:
    given_ = probabilities(*parts) if parts else np.zeros(0, np.float32)
    duration = len(given_) * FRAME_SECONDS
    found = spans_of(given_, duration, longest)
    for span in found:
        assert 0 <= span.start < span.end <= duration + 0.001
        assert span.duration <= longest - 2 * PADDING + 0.002
    assert all(a.end <= b.start for a, b in pairwise(found))


@given(st.lists(st.tuples(st.floats(0, 3), st.floats(0.1, 5)), max_size=20))
def test_padding_keeps_spans_apart_and_inside_the_call(parts: list[tuple[float, float]]) -> None:
    spans, at = [], 0.0
    for gap, length in parts:
        spans.append(Span(at + gap, at + gap + length))
        at += gap + length
    wide = padded(spans, at)
    for span, more in zip(spans, wide, strict=True):
        assert span.start - PADDING - 1e-9 <= more.start <= span.start + 1e-9
        assert span.end - 1e-9 <= more.end <= span.end + PADDING + 1e-9
    assert all(a.start >= 0 and a.end <= b.start + 1e-9 and b.end <= at + 1e-9 for a, b in pairwise(wide))


def test_a_long_monologue_is_cut_at_its_quietest() -> None:
    given_ = probabilities((20, 0.95), (0.1, 0.6), (20, 0.95))
    first, second = spans_of(given_, 40.1, 30)
    assert isinstance(first, Span)
    assert first.end == pytest.approx(20.0, abs=0.15)
    assert second.end == pytest.approx(40.1, abs=0.1)


def test_silence_and_hum_have_no_speech() -> None:
    seconds = 65
    t = np.arange(seconds * SAMPLE_RATE) / SAMPLE_RATE
    rng = np.random.default_rng(1)
    samples = np.stack([np.zeros(len(t)), 0.1 * np.sin(2 * np.pi * 440 * t), 0.01 * rng.standard_normal(len(t))])
    call = call_of(samples.astype(np.float32))
    for channel in range(3):
        found = speech_probabilities(call, channel)
        assert found.shape == (int(np.ceil(seconds / FRAME_SECONDS)),)
        assert spans_of(found, call.duration, 30) == []


def test_an_empty_call_has_no_frames() -> None:
    assert speech_probabilities(call_of(np.zeros((1, 0), np.float32)), 0).shape == (0,)

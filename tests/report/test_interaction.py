"""Interaction measures against a stopwatch: a call looked at every hundredth of a second."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callscan.records import Segment, Span, Transcript, Turn
from callscan.report.interaction import OTHER, Voices, measure
from callscan.report.voices import voices

CALL = st.tuples(
    st.integers(0, 300),
    st.lists(st.tuples(st.integers(0, OTHER), st.integers(0, 320), st.integers(0, 60)), max_size=8),
)


def apart(spans: list[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
    """Without overlap within one voice, as speech spans are."""
    kept: list[tuple[int, int, int]] = []
    for role, start, length in spans:
        if all(role != r or start >= e or start + length <= s for r, s, e in kept):
            kept.append((role, start, start + length))
    return kept


@settings(max_examples=60)
@given(st.lists(CALL, min_size=1, max_size=4))
def test_against_a_stopwatch(calls: list[tuple[int, list[tuple[int, int, int]]]]) -> None:
    rows = [(index, *span) for index, (_, spans) in enumerate(calls) for span in apart(spans)]
    table = np.array(rows, dtype=np.int64).reshape(-1, 4)
    duration = np.array([length / 100 for length, _ in calls])
    got = measure(Voices(table[:, 0], table[:, 1], table[:, 2] / 100, table[:, 3] / 100), duration)
    for index, (length, spans) in enumerate(calls):
        ticks = [{role for role, s, e in apart(spans) if s <= tick < e} for tick in range(length)]
        silent = [not who for who in ticks]
        longest = run = 0
        for quiet in silent:
            run = run + 1 if quiet else 0
            longest = max(longest, run)
        assert got.silence[index] == pytest.approx(sum(silent) / 100, abs=1e-6)
        assert got.speech[index] == pytest.approx((length - sum(silent)) / 100, abs=1e-6)
        assert got.longest_silence[index] == pytest.approx(longest / 100, abs=1e-6)
        assert got.overtalk[index] == pytest.approx(sum(max(0, len(who) - 1) for who in ticks) / 100, abs=2e-3)
        for role in (0, 1):
            assert got.talk[role][index] == pytest.approx(sum(role in who for who in ticks) / 100, abs=1e-6)


def test_a_channel_is_whose_words_are_on_it() -> None:
    segments = (
        Segment(0.0, 9.0, "annonce", 0, "ivr"),
        Segment(10.0, 12.0, "bonjour", 0, "agent"),
        Segment(13.0, 14.0, "oui", 1, "customer"),
    )
    transcript = Transcript("fr", 1.0, segments, ((Span(0, 9), Span(10, 12)), (Span(13, 14),), (Span(3, 4),)))
    assert [(v.speaker, v.channel, v.start) for v in voices(transcript)] == [
        ("agent", 0, 0),
        ("agent", 0, 10),
        ("customer", 1, 13),
        ("unknown", 2, 3),
    ]


def test_turns_speak_for_a_mono_call() -> None:
    transcript = Transcript("fr", 1.0, (), ((Span(0, 5),),), (Turn(0, 2, "A", "agent"), Turn(2, 5, "B", "customer")))
    assert [(v.speaker, v.start, v.end) for v in voices(transcript)] == [("agent", 0, 2), ("customer", 2, 5)]

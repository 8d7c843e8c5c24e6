"""Interaction measures against a stopwatch: a call looked at every hundredth of a second."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callscan.records import Segment, Span, Transcript, Turn
from callscan.report.interaction import HOLD_PHRASE, OTHER, ROLES, Voices, holds, measure
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


def measured(*spans: tuple[int, float, float], duration: float = 60.0) -> tuple[Voices, np.ndarray]:
    """Spans (role, start, end) of one call."""
    table = np.array(spans, dtype=float).reshape(-1, 3)
    role = table[:, 0].astype(np.int64)
    return Voices(np.zeros(len(table), np.int64), role, table[:, 1], table[:, 2]), np.array([duration])


CUSTOMER, AGENT = ROLES.index("customer"), ROLES.index("agent")


@pytest.mark.parametrize(
    ("spans", "by_customer", "by_agent"),
    [
        ([(AGENT, 0, 5), (CUSTOMER, 4, 8)], 1, 0),  # takes the floor
        ([(AGENT, 0, 5), (CUSTOMER, 2, 4)], 0, 0),  # the other one speaks on
        ([(AGENT, 0, 5), (CUSTOMER, 4.5, 5.3)], 0, 0),  # a word of agreement
        ([(AGENT, 0, 5), (CUSTOMER, 4.8, 9)], 0, 0),  # haste
        ([(AGENT, 0, 5), (CUSTOMER, 4, 8), (AGENT, 7, 10)], 1, 1),
        ([(OTHER, 0, 5), (CUSTOMER, 4, 8)], 0, 0),  # an announcement cannot be interrupted
        ([], 0, 0),
    ],
)
def test_interruptions(spans: list[tuple[int, float, float]], by_customer: int, by_agent: int) -> None:
    got = measure(*measured(*spans)).interruptions
    assert [int(count[0]) for count in got] == [by_customer, by_agent]


def test_interruptions_stay_in_their_call() -> None:
    voices = Voices(np.array([0, 1]), np.array([AGENT, CUSTOMER]), np.array([0.0, 4.0]), np.array([5.0, 8.0]))
    assert [count.tolist() for count in measure(voices, np.array([60.0, 60.0])).interruptions] == [[0, 0], [0, 0]]


@pytest.mark.parametrize(
    ("spans", "asked", "role", "seconds"),
    [
        ([(AGENT, 0, 5), (AGENT, 25, 30)], [5.0], AGENT, 20.0),
        ([(AGENT, 0, 5.5), (AGENT, 25, 30)], [5.0], AGENT, 19.5),  # the agent's voice ends after the phrase
        ([(AGENT, 0, 5)], [5.0], AGENT, 55.0),  # nobody comes back
        ([(AGENT, 0, 5), (AGENT, 9, 30)], [5.0], AGENT, 0.0),  # a pause
        ([(AGENT, 0, 5), (CUSTOMER, 6, 20), (AGENT, 25, 30)], [5.0], AGENT, 0.0),  # the customer talks: no hold
        ([(AGENT, 0, 5), (CUSTOMER, 6, 8), (AGENT, 25, 30)], [5.0], AGENT, 20.0),  # "oui, merci" to the music
        ([(AGENT, 0, 5), (AGENT, 25, 30)], [4.0, 5.0], AGENT, 20.0),  # said twice, on hold once
        ([(OTHER, 0, 5), (OTHER, 25, 30)], [5.0], OTHER, 20.0),  # nobody is known
    ],
)
def test_hold(spans: list[tuple[int, float, float]], asked: list[float], role: int, seconds: float) -> None:
    voices, duration = measured(*spans)
    call = np.zeros(len(asked), np.int64)
    assert holds(voices, duration, call, np.array(asked), np.full(len(asked), role)).tolist() == [seconds]


@pytest.mark.parametrize(
    ("text", "asks"),
    [
        ("Ne quittez pas, je vérifie votre dossier.", True),
        ("merci de patienter un instant", True),
        ("Je vous mets en attente.", True),
        ("Merci d'avoir patienté.", False),
        ("Please hold the line.", True),
        ("I hold a contract with you.", False),
    ],
)
def test_hold_phrases(text: str, asks: bool) -> None:
    assert pc.match_substring_regex(pa.array([text]), HOLD_PHRASE).to_pylist() == [asks]

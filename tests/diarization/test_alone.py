"""Where each voice of a mono recording is heard: what must hold for any turns, and the cases that decide."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from callscan.diarization.alone import channels, stretches
from callscan.records import Span, Turn

DURATION = 30.0
TIME = st.integers(0, 600).map(lambda tick: tick / 20)


@st.composite
def turns(draw: st.DrawFn) -> list[Turn]:
    found = []
    for label in draw(st.lists(st.sampled_from("ABC"), unique=True)):
        edges = sorted(draw(st.lists(TIME, min_size=2, max_size=6, unique=True)))
        found += [Turn(a, b, label) for a, b in zip(edges[::2], edges[1::2], strict=False)]
    return found


def heard_at(found: dict[str, tuple[Span, ...]], at: float) -> set[str]:
    return {label for label, spans in found.items() if any(span.start <= at < span.end for span in spans)}


@given(turns())
def test_every_moment_is_heard_and_nobody_while_only_others_speak(turns: list[Turn]) -> None:
    found = stretches(turns, DURATION)
    if not turns:
        assert found == {}
        return
    for tick in range(600):
        at = tick / 20 + 0.025
        speaking = {turn.label for turn in turns if turn.start <= at < turn.end}
        heard = heard_at(found, at)
        assert heard
        if len(speaking) == 1 and not heard & speaking:
            # Only what is thrown into a longer turn is heard as that turn's: that one has to be near.
            (own,) = (t for t in turns if t.label in speaking and t.start <= at < t.end)
            assert own.end - own.start < 1.0
        if all(turn.end <= at - 0.35 or at + 0.35 <= turn.start for turn in turns):
            assert len(heard) == 1  # a shorter pause belongs to everybody who makes it within a turn


@given(turns())
def test_stretches_are_in_order_and_apart(turns: list[Turn]) -> None:
    for spans in stretches(turns, DURATION).values():
        assert all(span.start < span.end for span in spans)
        assert all(one.end < other.start for one, other in pairwise(spans))
        assert spans[0].start >= 0
        assert spans[-1].end <= DURATION


@pytest.mark.parametrize(
    ("turns", "expected"),
    [
        # Silence goes half to each; the beginning and the end to whoever is nearest.
        ([Turn(2, 4, "A"), Turn(6, 8, "B")], {"A": [(0, 5)], "B": [(5, 10)]}),
        # Both are heard where both speak.
        ([Turn(0, 5, "A"), Turn(4, 10, "B")], {"A": [(0, 5)], "B": [(4, 10)]}),
        # A pause of one voice stays its own.
        ([Turn(1, 2, "A"), Turn(3, 4, "A"), Turn(5, 9, "B")], {"A": [(0, 4.5)], "B": [(4.5, 10)]}),
        # What is thrown in is heard as part of the sentence it is thrown into.
        ([Turn(0, 8, "A"), Turn(3, 3.5, "B"), Turn(9, 10, "B")], {"A": [(0, 8.5)], "B": [(8.5, 10)]}),
        # Said on after a breath, it is a sentence.
        (
            [Turn(0, 5, "A"), Turn(4, 4.5, "B"), Turn(4.7, 6, "B")],
            {"A": [(0, 5)], "B": [(4, 10)]},
        ),
        ([Turn(0, 10, "A"), Turn(3, 3.5, "B")], {"A": [(0, 10)]}),
    ],
)
def test_cases(turns: list[Turn], expected: dict[str, list[tuple[float, float]]]) -> None:
    found = stretches(turns, 10.0)
    assert {label: [(span.start, span.end) for span in spans] for label, spans in found.items()} == expected


def test_a_voice_is_read_alone_in_any_piece() -> None:
    sound = np.arange(1, 160_001, dtype=np.float32)

    def read(channel: int, start: float, end: float) -> np.ndarray:
        assert channel == 0
        return sound[round(start * 16_000) : round(end * 16_000)]

    alone = channels(read, [[Span(0, 2), Span(6, 7)], [Span(2, 6), Span(7, 10)]])
    whole = [alone(channel, 0.0, 10.0) for channel in (0, 1)]
    assert np.array_equal(whole[0] + whole[1], sound)
    assert not whole[0][2 * 16_000 : 6 * 16_000].any()
    assert np.array_equal(np.concatenate([alone(1, at, at + 0.5) for at in np.arange(0, 10, 0.5)]), whole[1])

"""Words to turns: what must hold for any words and turns, and the cases that decide."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callscan.diarization.assign import assign
from callscan.records import Segment, Turn, Word

TIME = st.integers(0, 600).map(lambda tick: tick / 20)


@st.composite
def segments(draw: st.DrawFn) -> list[Segment]:
    found, at = [], 0.0
    for _ in range(draw(st.integers(0, 4))):
        words = []
        for _ in range(draw(st.integers(0, 5))):
            start = at + draw(st.integers(0, 30)) / 20
            at = start + draw(st.integers(0, 12)) / 20
            words.append(Word(f"w{len(found)}-{len(words)}", start, at, 0.5))
        start = words[0].start if words else at
        text = " ".join(word.text for word in words) or "wordless"
        found.append(Segment(start, at, text, 0, "unknown", tuple(words), -0.2, 1.1, flags=("low_confidence",)))
    return found


@st.composite
def turns(draw: st.DrawFn) -> list[Turn]:
    found = []
    for label in draw(st.lists(st.sampled_from("ABC"), unique=True)):
        edges = sorted(draw(st.lists(TIME, min_size=2, max_size=6, unique=True)))
        found += [Turn(a, b, label) for a, b in zip(edges[::2], edges[1::2], strict=False)]
    return found


@given(segments(), turns())
def test_no_word_is_lost_added_or_moved(heard: list[Segment], turns: list[Turn]) -> None:
    said = assign(heard, turns)
    assert [word for one in said for word in one.segment.words] == [word for one in heard for word in one.words]
    assert [one.segment.text for one in said if not one.segment.words] == [s.text for s in heard if not s.words]
    assert {one.label for one in said} <= ({turn.label for turn in turns} or {None})
    for one in said:
        assert one.segment.start <= one.segment.end
        assert (one.segment.avg_logprob, one.segment.flags) == (-0.2, ("low_confidence",))
        if one.segment.words and len({o.label for o in said}) > 1:
            assert one.segment.text.split() == [word.text for word in one.segment.words]


@given(segments(), turns(), st.permutations("ABC"))
def test_labels_are_only_names(heard: list[Segment], turns: list[Turn], names: list[str]) -> None:
    renamed = dict(zip("ABC", names, strict=True))
    # Where two voices fit a word equally well, the name decides: apart from that it must not.
    apart = [t for t in turns if not any(o.label != t.label and o.start < t.end and t.start < o.end for o in turns)]
    before = assign(heard, apart)
    after = assign(heard, [replace(turn, label=renamed[turn.label]) for turn in apart])
    inside = {w for s in heard for w in s.words if any(t.start <= w.start < w.end <= t.end for t in apart)}
    pairs = [(b.label, a.label) for b, a in zip(before, after, strict=False) if set(b.segment.words) <= inside]
    if len(before) == len(after) and all(s.words and set(s.words) <= inside for s in heard):
        assert [renamed[str(b)] for b, _ in pairs] == [a for _, a in pairs]


@given(segments(), st.lists(TIME, min_size=2, max_size=2, unique=True).map(sorted))
def test_one_voice_says_everything(heard: list[Segment], edges: list[float]) -> None:
    said = assign(heard, [Turn(edges[0], edges[1], "A")])
    assert [one.segment for one in said] == heard
    assert {one.label for one in said} <= {"A"}


@given(st.lists(st.tuples(st.sampled_from("AB"), st.integers(1, 6)), min_size=1, max_size=8))
def test_words_inside_turns_after_pauses_are_whose_turn_it_is(plan: list[tuple[str, int]]) -> None:
    words, turns, expected, at = [], [], [], 0.0
    for label, count in plan:
        turns.append(Turn(at - 0.1, at + 0.4 * count + 0.1, label))
        for _ in range(count):
            words.append(Word("mot", at, at + 0.35))
            expected.append(label)
            at += 0.4
        at += 0.5
    said = assign([Segment(0.0, at, "mots", 0, "unknown", tuple(words))], turns)
    assert [one.label for one in said for _ in one.segment.words] == expected


def labels(turns: list[Turn], *times: tuple[float, float]) -> str:
    words = tuple(Word(f"m{i}", start, end) for i, (start, end) in enumerate(times))
    said = assign([Segment(words[0].start, words[-1].end, "", 0, "unknown", words)], turns)
    return "".join(str(one.label) for one in said for _ in one.segment.words)


@pytest.mark.parametrize(
    ("turns", "times", "expected"),
    [
        # The middle word is mostly in the second turn.
        ([Turn(0, 1, "A"), Turn(1, 3, "B")], [(0.0, 0.9), (0.9, 1.6), (1.6, 2.5)], "ABB"),
        # A stray turn inside a phrase does not tear it apart.
        ([Turn(0, 3, "A"), Turn(1.0, 1.2, "B")], [(0.0, 0.9), (0.9, 1.5), (1.5, 2.5)], "AAA"),
        # A word of agreement between two pauses is the other one's.
        ([Turn(0, 1, "A"), Turn(1.5, 1.9, "B"), Turn(2.4, 3, "A")], [(0, 1), (1.5, 1.9), (2.4, 3)], "ABA"),
        # Before the first turn, between two and after the last: the nearest.
        ([Turn(2, 3, "A"), Turn(5, 6, "B")], [(0, 1), (3.2, 3.4), (4.7, 4.9), (8, 9)], "AABB"),
    ],
)
def test_cases(turns: list[Turn], times: list[tuple[float, float]], expected: str) -> None:
    assert labels(turns, *times) == expected

"""The loops over the words of a text, in Python and as machine code, against plain Python of the slow kind."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callscan.lexicon import Lexicon, compiled
from callscan.lexicon.alphabet import BREAK, DROP, JOIN, LOWEST, OTHER, SEGMENT, number_of
from callscan.records import Segment, Transcript

LETTERS = bytes([0x1D, 0x1E, *range(48, 58), *range(97, 123), *range(0xE0, 0x100)])
words = st.lists(
    st.one_of(
        st.sampled_from(
            [b"oui", b"abcdefg", b"abcdefgh", b"abcdefga", b"abcdefghijklmn", b"abcdefghijklmno", b"z" * 99]
        ),
        st.lists(st.sampled_from(LETTERS), min_size=1, max_size=30).map(bytes),
    ),
    max_size=40,
)
marks = [number_of(one) for one in (DROP, JOIN, SEGMENT, BREAK, OTHER)]
symbols = st.lists(st.sampled_from([*marks, *range(LOWEST + 5, LOWEST + 9)]), max_size=60)


@pytest.fixture(params=["python", "machine code"], scope="module")
def way(request: pytest.FixtureRequest) -> object:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiled, "WORTH", -1 if request.param == "machine code" else 1 << 60)
        yield


@settings(deadline=None)
@given(spaced=words, gaps=st.lists(st.integers(1, 3), min_size=41, max_size=41))
def test_words_are_looked_up_where_they_are(way: object, spaced: list[bytes], gaps: list[int]) -> None:
    text = b" " * (gaps[0] - 1) + b"".join(word + b" " * gap for word, gap in zip(spaced, gaps, strict=False)) + b" "
    tables = [np.zeros(1 << bits, kind) for kind in (np.int64, np.uint16) for bits in (15, 16)]
    data = np.frombuffer(text, np.uint8)
    found, starts, ends, new, at = compiled.looked_up(data, 0, *tables)
    assert [*zip(starts.tolist(), ends.tolist(), strict=True)] == [m.span() for m in re.finditer(rb"[^ ]+", text)]
    assert at == len(text)
    assert len(found) == len(spaced)
    assert [place for place, _ in new] == [*range(len(spaced))]
    # The same word has the same hash, and no two of them share one; up to seven letters are their own.
    by_word = dict(zip(spaced, (hashed for _, hashed in new), strict=True))
    assert [by_word[word] for word in spaced] == [hashed for _, hashed in new]
    assert len({*by_word.values()}) == len(by_word)
    assert all(by_word[word] == int.from_bytes(word, "little") for word in by_word if len(word) <= 7)


def test_both_ways_hash_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    text = b" ".join([bytes([97 + n % 26, 0xE9, 0xFF]) * (1 + n % 40) for n in range(3000)]) + b" "
    tables = [np.zeros(1 << bits, kind) for kind in (np.int64, np.uint16) for bits in (15, 16)]
    found = []
    for worth in (-1, 1 << 60):
        monkeypatch.setattr(compiled, "WORTH", worth)
        found.append(compiled.looked_up(np.frombuffer(text, np.uint8), 0, *tables)[3])
    assert found[0] == found[1]


def test_many_new_words_are_told_in_parts(way: object) -> None:
    text = np.frombuffer(b" ".join(b"w%d" % number for number in range(2 * compiled.NEW + 1)) + b" ", np.uint8)
    tables = [np.zeros(1 << bits, kind) for kind in (np.int64, np.uint16) for bits in (15, 16)]
    at, told = 0, []
    while at < len(text):
        _, starts, _, new, at = compiled.looked_up(text, at, *tables)
        told.append(len(starts))
        assert len(new) == len(starts)
    assert told == [compiled.NEW, compiled.NEW, 1]


def without_repeats(said: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """One length after the other: what is said again right behind is left out where it is said first."""
    kept = list(said)
    for length in (1, 2, 3):
        gone = set[int]()
        for at in range(len(kept) - 2 * length + 1):
            first, second = ([symbol for symbol, _ in kept[begin : begin + length]] for begin in (at, at + length))
            if first == second and min(first) > number_of(OTHER):
                gone.update(range(at, at + length))
        kept = [one for at, one in enumerate(kept) if at not in gone]
    return kept


@settings(deadline=None)
@given(said=symbols)
def test_what_counts_is_said_once(way: object, said: list[int]) -> None:
    separators = (number_of(SEGMENT), number_of(BREAK))
    places = [at for at, symbol in enumerate(said) if symbol in separators]
    kept, at, marked = compiled.counted(np.array(said, np.uint16), len(places))
    expected = without_repeats([(symbol, at) for at, symbol in enumerate(said) if symbol > number_of(SEGMENT)])
    assert [*zip(kept.tolist(), at.tolist(), strict=True)] == expected
    assert marked.tolist() == places


@pytest.mark.parametrize("letter", ["\x1d", "\x1e", " \x1e ", "\x1d\x1e"])
def test_letters_like_marks_are_spaces(lexicon: Lexicon, letter: str) -> None:
    def call(text: str) -> Transcript:
        segments = [Segment(0.0, 4.0, text, 0, "customer"), Segment(5.0, 9.0, "personne ne m'a rappelé", 0, "customer")]
        return Transcript("fr", 1.0, tuple(segments))

    said = "c'est la troisième{}fois{}que j'appelle"
    spaced = lexicon.match(call(said.format(" ", " ")))
    assert {hit.issue for hit in spaced} == {"repeat_contact", "callback_missed"}
    found = lexicon.match(call(said.format(letter, letter)))
    assert [(hit.issue, hit.pattern, hit.segment, hit.flags) for hit in found] == [
        (hit.issue, hit.pattern, hit.segment, hit.flags) for hit in spaced
    ]

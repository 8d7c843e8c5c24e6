"""Tokens with timestamps, and alignments, made into timed text."""

from hypothesis import given
from hypothesis import strategies as st

from callscan.speech.tokens import TimedTokens, split, words_of

EOT, TIME0 = 1000, 2000


def at(seconds: float) -> int:
    return TIME0 + round(seconds * 50)


def test_text_between_timestamps_is_a_segment() -> None:
    tokens = [at(0.5), 1, 2, at(1.5), at(2.0), 3, at(3.0), EOT]
    assert split(tokens, TIME0, EOT, 10) == [TimedTokens(0.5, 1.5, (1, 2)), TimedTokens(2.0, 3.0, (3,))]


def test_text_without_timestamps_fills_the_window() -> None:
    assert split([1, 2, EOT], TIME0, EOT, 8.5) == [TimedTokens(0.0, 8.5, (1, 2))]
    assert split([at(1), 1], TIME0, EOT, 4.0) == [TimedTokens(1.0, 4.0, (1,))]


def test_times_end_with_the_window_and_never_run_backwards() -> None:
    assert split([at(3), 1, at(1), 2, at(29)], TIME0, EOT, 5.0) == [
        TimedTokens(3.0, 3.0, (1,)),
        TimedTokens(1.0, 5.0, (2,)),
    ]


@given(st.lists(st.one_of(st.integers(0, EOT - 1), st.integers(TIME0, TIME0 + 1500)), max_size=60))
def test_no_text_token_is_lost(tokens: list[int]) -> None:
    found = split(tokens, TIME0, EOT, 30.0)
    assert [t for part in found for t in part.tokens] == [t for t in tokens if t < EOT]
    assert all(0 <= part.start <= part.end <= 30.0 for part in found)


def test_a_word_ends_where_the_next_begins_and_takes_its_punctuation() -> None:
    path = [(0, 0), (0, 5), (1, 10), (2, 20), (3, 30), (4, 40), (4, 45)]
    words = words_of(path, [0.9, 0.8, 0.6, 0.5], [" bon", "jour", "."], [1, 2, 1])
    assert [(w.text, w.start, w.end, w.size) for w in words] == [(" bon", 0.0, 0.2, 1), ("jour.", 0.2, 0.6, 3)]
    assert words[1].probability == (0.8 + 0.6) / 2


def test_an_empty_alignment_gives_words_without_length() -> None:
    (word,) = words_of([], [], [" oui"], [1])
    assert (word.start, word.end, word.probability) == (0.0, 0.0, 0.0)


def test_an_apostrophe_or_a_hyphen_keeps_a_word_together() -> None:
    path = [(i, 10 * i) for i in range(8)]
    words = words_of(path, [0.5] * 7, [" n", "'est", " vingt", "-", "deux", " l'", "eau"], [1] * 7)
    assert [w.text for w in words] == [" n'est", " vingt-deux", " l'eau"]
    assert [w.size for w in words] == [2, 3, 2]

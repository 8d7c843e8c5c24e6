"""The kernel: instructions find what regular expressions of the same patterns find, machine code what Python finds."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callscan.lexicon import Lexicon, compiled
from callscan.lexicon.alphabet import BREAK, Alphabet, rows_of
from callscan.lexicon.compiled import Kernel
from callscan.lexicon.pattern import Alt, Gap, Near, Node, Opt, Said, Seq
from callscan.lexicon.program import Program, features
from callscan.records import Segment, Transcript, Word

HERE = Path(__file__).parent
WORDS = ("chat", "chien", "noir", "blanc", "gros", "petit", "maison", "jardin")
LETTERS = dict(zip(WORDS, "abcdefgh", strict=True))

nodes: st.SearchStrategy[Node] = st.recursive(
    st.sampled_from(WORDS).map(lambda word: Said(word, exact=True)),
    lambda inner: st.one_of(
        st.lists(inner, min_size=2, max_size=6).map(lambda options: Alt(tuple(options))),
        st.tuples(inner, st.booleans(), st.integers(0, 3), inner).map(
            lambda given: Seq(
                (Opt(given[0]) if given[1] else given[0], *([Gap(given[2])] if given[2] else []), given[3])
            )
        ),
        st.tuples(inner, inner, st.integers(0, 3), st.booleans()).map(lambda given: Near(*given, seconds=1.0)),
    ),
    max_leaves=9,
)


def expression(node: Node) -> str:
    """A pattern as a regular expression over letters; "-" is the mark between speakers."""
    if isinstance(node, Said):
        return LETTERS[node.word]
    if isinstance(node, Gap):
        return f"[^-]{{0,{node.most}}}?"
    if isinstance(node, Opt):
        return f"(?:{expression(node.part)})?"
    if isinstance(node, Seq):
        return "".join(map(expression, node.parts))
    if isinstance(node, Alt):
        # Single words are one look-up, after the other options.
        single = [expression(option) for option in node.options if isinstance(option, Said)]
        several = [expression(option) for option in node.options if not isinstance(option, Said)]
        return f"(?:{'|'.join([*several, *single])})"
    assert isinstance(node, Near)
    first, second = expression(node.first), expression(node.second)
    forward, back = f"{first}[^-]{{0,{node.words}}}?{second}", f"{second}[^-]{{0,{node.words}}}?{first}"
    return f"(?:{forward})" if node.ordered else f"(?:{forward}|{back})"


@pytest.fixture(scope="module")
def alphabet(lexicon: Lexicon) -> Alphabet:
    made = Alphabet(lexicon.language("fr"))
    for word in WORDS:
        made.ask(feature for feature, _ in features(Said(word, exact=True), made))
        made.ask((), [(word, ("exact", word))])
    made.freeze()
    return made


@settings(max_examples=400, deadline=None)
@given(node=nodes, other=nodes, text=st.text("abcdefgh-", max_size=40), at=st.integers(0, 40))
def test_a_pattern_finds_what_its_regular_expression_finds(
    alphabet: Alphabet, node: Node, other: Node, text: str, at: int
) -> None:
    program = Program(alphabet)
    one, either, ending = program.add(node), program.add(node, other), program.add(node, at_end=True)
    guarded = program.add(node, unless=[(program.add(other), 2)])
    kernel = Kernel(program.code())
    symbols = {letter: alphabet.encode(word) for word, letter in LETTERS.items()} | {"-": BREAK}
    rows = np.array(rows_of(symbols[letter] for letter in text), dtype=np.uint16)
    written, size, low = expression(node), len(text), min(at, len(text))
    both = f"(?:{written}|{expression(other)})"

    def span(expected: re.Match[str] | None) -> tuple[int, int] | None:
        return expected.span() if expected else None

    found = kernel.search(rows, one, low, size)
    assert found == span(re.compile(written).search(text, low))
    assert kernel.search(rows, either, low, size) == span(re.compile(both).search(text, low))
    assert kernel.search(rows, ending, low, size) == span(re.compile(rf"(?:{written})\Z").search(text, low))
    assert kernel.match(rows, one, low, size) is (re.compile(written).match(text, low) is not None)
    if found:
        near = text[max(low, found[0] - 2) : found[1] + 2]
        assert kernel.ruled_out(rows, guarded, found, (low, size)) is (re.search(expression(other), near) is not None)


def test_machine_code_finds_what_python_finds(lexicon: Lexicon, monkeypatch: pytest.MonkeyPatch) -> None:
    said = [json.loads(line) for name in ("labelled.jsonl", "neutral.jsonl") for line in (HERE / name).open()]
    segments = [Segment(at, at + 4.0, one["text"], 0, one["speaker"]) for at, one in enumerate(said)]
    calls = [Transcript("fr", 9e9, tuple(segments[at : at + 9])) for at in range(0, len(segments), 9)]
    monkeypatch.setattr(compiled, "WORTH", 1 << 60)
    by_python = [lexicon.match(one) for one in calls], [*lexicon.match_many(calls)]
    monkeypatch.setattr(compiled, "WORTH", -1)
    by_machine = [lexicon.match(one) for one in calls], [*lexicon.match_many(calls)]
    assert by_python == by_machine
    assert by_python[0] == by_python[1]
    assert sum(map(len, by_python[0])) > 200


@pytest.mark.parametrize("said", ["le chat et le chien", "le chien et le chat"])
def test_seconds_apart_in_either_order(write_issue, said: str) -> None:
    lexicon = Lexicon.load([write_issue("chat NEAR/2s chien")])
    for pause, found in ((0.5, True), (3.0, False)):
        first, *_, last = said.split()[1:]
        words = (Word(first, 0.0, 0.4), Word("et", 0.5, 0.6), Word("le", 0.7, 0.8), Word(last, 0.8 + pause, 4.0))
        segment = Segment(0.0, 4.0, " ".join(word.text for word in words), 0, "customer", words=words)
        assert bool(lexicon.match(Transcript("fr", 5.0, (segment,)))) is found

"""Pairs of words at some distances: the rarer one is looked for first, then a colour of the other, then the pair."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any

import numpy as np

from callscan.lexicon.alphabet import ROWS, rows_of
from callscan.lexicon.colours import Colours
from callscan.lexicon.kernel import BITS, DISTANCE, SPEAKERS
from callscan.lexicon.program import Program
from callscan.lexicon.ways import Entry, Symbols

NEAR, FAR = range(1, 2), range(2, DISTANCE + 1)
"""The distances that are looked for together."""


class Kinds:
    """Symbols that are in the same of some sets are of one kind: a few thousand symbols, a few hundred kinds. Kind 0 is
    in none of the sets."""

    def __init__(self, sets: Iterable[Symbols]) -> None:
        self.sets = sorted(set(sets), key=lambda s: (len(s), sorted(s)))
        held: dict[str, list[int]] = {}
        for number, symbols in enumerate(self.sets):
            for one in symbols:
                held.setdefault(one, []).append(number)
        numbers: dict[tuple[int, ...], int] = {}
        self.of = {one: numbers.setdefault(tuple(held[one]), len(numbers) + 1) for one in sorted(held)}
        self.count = len(numbers) + 1

    def among(self, symbols: Symbols) -> Any:
        """The kinds of some symbols of the sets, each once."""
        return np.array([*{self.of[one] for one in symbols}])

    def lookup(self) -> Any:
        """The kind of every symbol, by its row."""
        table = np.zeros(ROWS, dtype=np.uint32)
        for one, number in self.of.items():
            table[rows_of(one)] = number
        return table


class Pairs:
    """The ways whose words are at some distances, one table after the other. Their lists come after ``lists``, those of
    single words."""

    def __init__(self, lists: list[list[int]]) -> None:
        self.looked = np.zeros(SPEAKERS * ROWS, dtype=np.uint8)
        """Which tables have a word as the one looked for first, by whoever says it and its row: a bit each."""
        self._asked: list[Any] = []
        self._lists = lists
        self._pairs: list[Any] = []
        self._ways: list[int] = []
        self._bits: list[int] = []
        self._first: list[Any] = []
        self._other: list[Any] = []
        self._count = 0

    def add(
        self,
        ways: Sequence[tuple[int, Entry]],
        distances: range,
        rarer: int,
        said_by: Sequence[int],
        colours: Colours,
    ) -> None:
        """A table of the ways with pairs at ``distances``. ``rarer`` says which word of a pair is the rarer one, and
        looked for first: 0 or 1. ``colours`` are of the other."""
        held: list[tuple[int, Symbols, Symbols, int]] = []
        for number, way in ways:
            assert way.second is not None  # noqa: S101 - a single word is no pair
            bits = sum(1 << distance for distance in distances if way.second.first <= distance <= way.second.last)
            if bits:
                held.append((number, way.anchor, way.second.symbols, bits))
        by_line = np.zeros(SPEAKERS * ROWS, dtype=np.uint64)
        asked: dict[tuple[int, Symbols], set[Symbols]] = {}
        for number, first, second, _ in held:
            head, other = (second, first) if rarer else (first, second)
            asked.setdefault((said_by[number], head), set()).add(other)
        for (said, head), others in asked.items():
            rows = np.array(rows_of(head))
            every = colours.asked(frozenset().union(*others))
            for speaker in range(1, SPEAKERS):
                if speaker & said:
                    by_line[speaker * ROWS + rows] |= every
        self._asked.append(by_line)
        self.looked[by_line != 0] |= np.uint8(1 << len(self._asked) - 1)
        left, right = Kinds(first for _, first, _, _ in held), Kinds(last for _, _, last, _ in held)
        # Numbers of pairs: those of this table come after those of the ones before.
        width, base = right.count, self._count
        both = left.lookup() * width + base, right.lookup()
        self._first.append(both[rarer])
        self._other.append(both[1 - rarer])
        self._count += left.count * width
        # Of all pairs of kinds one in a hundred is any way's.
        heads = {one: left.among(one)[:, None] * width + base for one in {first for _, first, _, _ in held}}
        tails = {one: right.among(one) for one in {last for _, _, last, _ in held}}
        for number, anchor, symbols, bits in held:
            self._pairs.append((heads[anchor] + tails[symbols]).ravel())
            self._ways.append(number)
            self._bits.append(bits)

    def tables(self) -> dict[str, Any]:
        """Which of all pairs are any way's: a bit a number, as a table would not fit into a core's cache; and the lists
        of ways (:class:`callscan.lexicon.kernel.Tables`)."""
        pairs = np.concatenate([[], *self._pairs]).astype(np.int64)
        ways, bits = (np.repeat(np.array(one, np.int64), [*map(len, self._pairs)]) for one in (self._ways, self._bits))
        by_pair = np.argsort(pairs, kind="stable")
        pairs = pairs[by_pair]
        begins = np.flatnonzero(np.append(True, pairs[1:] != pairs[:-1])[: len(pairs)])
        numbers, sizes = pairs[begins], np.diff(np.append(begins, len(pairs)))
        before = len(self._lists)
        words = np.zeros((self._count >> 5) + 1, dtype=np.int64)
        np.bitwise_or.at(words, numbers >> 5, np.left_shift(1, numbers & 31))
        counts = np.bitwise_count(words)
        words |= (np.cumsum(counts, dtype=np.int64) - counts + before) << 32
        lists = np.cumsum([0, *map(len, self._lists), *sizes], dtype=np.int64) << BITS
        lists[before:-1] |= np.bitwise_or.reduceat(bits[by_pair], begins) if len(begins) else 0
        return {
            "asked": _beside(self._asked),
            "first": _beside(self._first).astype(np.int32),
            "other": _beside(self._other).astype(np.int32),
            "members": words,
            "lists": lists,
            "ways": np.concatenate(
                [np.fromiter(chain.from_iterable(self._lists), np.int32), ways[by_pair]], dtype=np.int32
            ),
        }


def _beside(tables: Sequence[Any]) -> Any:
    return np.stack(tables, axis=1).ravel()


def rarer_word(way: Entry, program: Program) -> int:
    """Which of a pair is said less: 0 for the first, 1 for the second."""
    assert way.second is not None  # noqa: S101 - a single word is no pair
    return int(program.share(way.anchor) > program.share(way.second.symbols))

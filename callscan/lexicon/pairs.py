"""Pairs of words at some distances: the rarer one is looked for first, then a colour of the other, then the pair."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from callscan.lexicon.alphabet import LOWEST, number_of
from callscan.lexicon.colours import ROWS, Colours, rows_of
from callscan.lexicon.program import Program
from callscan.lexicon.ways import DISTANCE, REACH, Entry, Symbols

SPEAKERS = 4
"""Values of ``said_by``: sums of bits."""
LINES = SPEAKERS * ROWS
"""Rows of a table by who says a symbol and the symbol."""
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

    def lookup(self) -> Any:
        """The kind of every symbol, by its row."""
        table = np.zeros(ROWS, dtype=np.intp)
        for one, number in self.of.items():
            table[number_of(one) - LOWEST] = number
        return table


class Pairs:
    """The ways whose words are at some ``distances``, as lists that are added to ``lists``. ``rarer`` says which word
    of a pair is the rarer one, and looked for first: 0 or 1. ``colours`` are of the other."""

    def __init__(
        self,
        ways: Sequence[tuple[int, Entry]],
        distances: range,
        rarer: int,
        said_by: Sequence[int],
        colours: Colours,
        lists: list[list[int]],
    ) -> None:
        held: list[tuple[int, Symbols, Symbols, int]] = []
        for number, way in ways:
            assert way.second is not None  # noqa: S101 - a single word is no pair
            bits = sum(1 << distance for distance in distances if way.second.first <= distance <= way.second.last)
            if bits:
                held.append((number, way.anchor, way.second.symbols, bits))
        self.heads = np.zeros(LINES, dtype=np.uint64)
        """The colours that the other of a pair can have, by whoever says the one looked for first and its row."""
        asked: dict[tuple[int, Symbols], set[Symbols]] = {}
        for number, first, second, _ in held:
            head, other = (second, first) if rarer else (first, second)
            asked.setdefault((said_by[number], head), set()).add(other)
        for (said, head), others in asked.items():
            rows = np.array(rows_of(head))
            every = colours.asked(frozenset().union(*others))
            for speaker in range(1, SPEAKERS):
                if speaker & said:
                    self.heads[speaker * ROWS + rows] |= every
        left, right = Kinds(first for _, first, _, _ in held), Kinds(last for _, _, last, _ in held)
        width = right.count
        both = left.lookup() * width, right.lookup()
        self._head, self._other = both[rarer], both[1 - rarer]
        # Of all pairs of kinds one in a hundred is any way's. For those: the ways, and at which distances they are met.
        own: dict[int, list[int]] = {}
        met: dict[int, int] = {}
        for number, anchor, symbols, bits in held:
            heads = {left.of[one] for one in anchor}
            tails = {right.of[one] for one in symbols}
            for pair in (head * width + tail for head in heads for tail in tails):
                own.setdefault(pair, []).append(number)
                met[pair] = met.get(pair, 0) | bits
        pairs = sorted(own)
        self._pairs = _Members(np.array(pairs, dtype=np.intp), left.count * width)
        self._met = np.array([met[pair] for pair in pairs], dtype=np.uint8)
        self._first = len(lists)
        lists += [own[pair] for pair in pairs]
        self._distances = np.array(distances)
        self._bits = np.left_shift(1, self._distances).astype(np.uint8)
        # From the one looked for first to the other, and to the first.
        self._away = -self._distances if rarer else self._distances
        self._back = self._away if rarer else 0 * self._away

    def find(self, rows: Any, at: Any, lines: Any, seen: Any) -> tuple[Any, Any, Any]:
        """The pairs in a text: places of the first words, numbers of lists, distances. ``rows`` are those of the text,
        with :data:`REACH` of no word before and after it, and ``seen`` their colours; ``at`` are the places in the text
        of the words looked for first, and ``lines`` their rows by whoever says them."""
        asked = self.heads.take(lines)
        seen_at = [np.flatnonzero((asked & seen[REACH + away :].take(at)) != 0) for away in self._away]
        nth = np.repeat(np.arange(len(seen_at)), [*map(len, seen_at)])
        heads = at.take(np.concatenate(seen_at)) + REACH
        pairs = self._other.take(rows.take(heads + self._away.take(nth)))
        pairs += self._head.take(rows.take(heads))
        places, numbers = self._pairs.find(pairs)
        met = np.flatnonzero((self._met.take(numbers) & self._bits.take(nth.take(places))) != 0)
        places = places.take(met)
        nth = nth.take(places)
        begins = heads.take(places) + self._back.take(nth)
        return begins, self._first + numbers.take(met), self._distances.take(nth)


class _Members:
    """Some of the numbers below ``size``, and the place of each among them: a bit a number, as a table would not fit
    into a core's cache. ``numbers`` are in order."""

    def __init__(self, numbers: Any, size: int) -> None:
        self._words = np.zeros((size >> 6) + 1, dtype=np.uint64)
        np.bitwise_or.at(self._words, numbers >> 6, np.left_shift(np.uint64(1), (numbers & 63).astype(np.uint64)))
        counts = np.bitwise_count(self._words)
        self._before = (np.cumsum(counts, dtype=np.int32) - counts).astype(np.int32)

    def find(self, asked: Any) -> tuple[Any, Any]:
        """Which of some numbers are among them, by place in ``asked``, and the place of each of these."""
        words = self._words.take(asked >> 6)
        bits = np.left_shift(np.uint64(1), (asked & 63).astype(np.uint64))
        places = np.flatnonzero((words & bits) != 0)
        lower = words.take(places) & (bits.take(places) - np.uint64(1))
        return places, self._before.take(asked.take(places) >> 6) + np.bitwise_count(lower)


def rarer_word(way: Entry, program: Program) -> int:
    """Which of a pair is said less: 0 for the first, 1 for the second."""
    assert way.second is not None  # noqa: S101 - a single word is no pair
    return int(program.share(way.anchor) > program.share(way.second.symbols))

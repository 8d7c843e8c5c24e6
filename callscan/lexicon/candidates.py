"""Where a pattern could be: the two rarest words it cannot do without, near each other.

Every pattern has a bit. Two tables say, for each symbol, of which patterns it is the rarest word and of which the second
rarest; a few operations over whole arrays then give the places where both are near each other, for all patterns at
once. An Aho-Corasick automaton over the rarest words alone was tried first: it is as fast, but leaves ten times as
many places to look at, and the looking is what costs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from callscan.lexicon.alphabet import DROP, MAX_SYMBOLS
from callscan.lexicon.pattern import Alt, Fused, Gap, Near, Node, Opt, Said, Seq, Shape
from callscan.lexicon.program import Program, span

REACH = 12
"""Words between the two; a pattern that can be longer is looked for by its rarest word alone."""
_WORDS = 4
_BITS = 64 * _WORDS
_LOWEST = ord(DROP)


def needed(node: Node, program: Program) -> list[frozenset[str]]:
    """Sets of symbols of which each has a word in every match, rarest first."""
    sets = sorted(_needed(node, program), key=lambda s: (program.share(s), sorted(s)))
    return list(dict.fromkeys(sets))


def _needed(node: Node, program: Program) -> list[frozenset[str]]:
    if isinstance(node, Said | Fused | Shape):
        return [program.symbols(node)]
    if isinstance(node, Gap | Opt):
        return []
    if isinstance(node, Seq):
        return [found for part in node.parts for found in _needed(part, program)]
    if isinstance(node, Near):
        return _needed(node.first, program) + _needed(node.second, program)
    assert isinstance(node, Alt)  # noqa: S101
    options = [sorted(_needed(option, program), key=program.share) for option in node.options]
    if not all(options):
        return []
    # One of the options holds: the rarest words of each, taken together; and the second rarest where all have two.
    found = [frozenset().union(*(option[0] for option in options))]
    if all(len(option) > 1 for option in options):
        found.append(frozenset().union(*(option[1] for option in options)))
    return found


class Candidates:
    """Finds the places for a list of patterns, by number."""

    def __init__(self, nodes: Sequence[Node], program: Program) -> None:
        import numpy as np

        self._np = np
        size = MAX_SYMBOLS * 2
        first = np.zeros((size, _WORDS), dtype=np.uint64)
        second = np.zeros((size, _WORDS), dtype=np.uint64)
        self._of_bit: list[list[int]] = [[] for _ in range(_BITS)]
        keys: list[tuple[Any, ...]] = []
        for number, node in enumerate(nodes):
            sets = needed(node, program)
            keys.append((program.share(sets[0]), sorted(sets[0]), number, sets, span(node)[1]))
        # Patterns with the same rarest words share a bit rather than patterns that have nothing in common.
        for rank, (_, _, number, sets, width) in enumerate(sorted(keys, key=lambda key: key[1])):
            bit = rank * _BITS // len(keys)
            self._of_bit[bit].append(number)
            column, mask = bit // 64, np.uint64(1 << (bit % 64))
            first[[ord(s) - _LOWEST for s in sets[0]], column] |= mask
            if len(sets) > 1 and width <= REACH:
                second[[ord(s) - _LOWEST for s in sets[1]], column] |= mask
            else:
                second[:, column] |= mask
        self._first, self._second = first, second
        self._cache: dict[tuple[int, int], tuple[int, ...]] = {}

    def find(self, kept: Any) -> Iterator[tuple[int, tuple[int, ...]]]:
        """(place, numbers of the patterns that may be around it), by place."""
        np = self._np
        count = len(kept)
        rows = kept - np.uint16(_LOWEST)
        here = np.take(self._first, rows, axis=0)
        near = np.zeros((count + 2 * REACH, _WORDS), dtype=np.uint64)
        near[REACH : REACH + count] = np.take(self._second, rows, axis=0)
        # Doubling: after the last step each row holds what is in the 2 * REACH + 1 rows from it on.
        length = 1
        while length < 2 * REACH + 1:
            step = min(length, 2 * REACH + 1 - length)
            near[:-step] |= near[step:].copy()
            length += step
        here &= near[:count]
        places, columns = np.nonzero(here)
        for place, column, bits in zip(places.tolist(), columns.tolist(), here[places, columns].tolist(), strict=True):
            key = (column, bits)
            numbers = self._cache.get(key)
            if numbers is None:
                numbers = self._numbers(column, bits)
                if len(self._cache) < 1 << 16:
                    self._cache[key] = numbers
            yield place, numbers

    def _numbers(self, column: int, bits: int) -> tuple[int, ...]:
        found: list[int] = []
        while bits:
            low = bits & -bits
            found.extend(self._of_bit[column * 64 + low.bit_length() - 1])
            bits ^= low
        return tuple(found)

"""Where a pattern could be: the rarest word it cannot do without, with the next rarest near it.

Every way to say a pattern has a rarest word; a table gives, for each symbol, the ways whose rarest word it is. Of the
words that must be near it, each set has a bit; which bits are near each word is worked out for the whole text at once.
What is left is looked at with the pattern itself. An Aho-Corasick automaton over the rarest words alone was tried
first: it is as fast, but leaves ten times as many places to look at, and the looking is what costs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from callscan.lexicon.alphabet import DROP, MAX_SYMBOLS
from callscan.lexicon.pattern import Alt, Fused, Gap, Near, Node, Opt, Said, Shape
from callscan.lexicon.program import Program, span

REACH = 16
"""Words between the rarest and another, at most; others that can be farther away are not looked for."""
OTHERS = 3
MAX_WAYS = 48
_WORDS = 4
_BITS = 64 * _WORDS
_LEVELS = 5
_LOWEST = ord(DROP)

Symbols = frozenset[str]


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of a match, ``least`` to ``most`` words long, that holds one of ``symbols`` (None: anything)."""

    symbols: Symbols | None
    least: int
    most: int


Way = tuple[Part, ...]
"""One way to say a pattern, part after part."""


def ways(node: Node, program: Program) -> list[Way]:
    """The ways to say a pattern; alternatives are kept apart as long as there are not too many."""
    if isinstance(node, Said | Fused | Shape):
        return [(Part(program.symbols(node), 1, 1),)]
    if isinstance(node, Gap | Opt):
        return [(Part(None, *span(node)),)]
    if isinstance(node, Alt):
        singles: set[str] = set()
        found: list[Way] = []
        for option in node.options:
            for way in ways(option, program):
                if len(way) == 1 and way[0].most == 1 and way[0].symbols is not None:
                    singles |= way[0].symbols
                else:
                    found.append(way)
        return [*found, (Part(frozenset(singles), 1, 1),)] if singles else found
    if isinstance(node, Near):
        gap = Part(None, 0, node.words)
        first, second = ways(node.first, program), ways(node.second, program)
        found = [(*one, gap, *other) for one in first for other in second]
        return found if node.ordered else found + [(*other, gap, *one) for one in first for other in second]
    found = [()]
    for part in node.parts:
        inner = ways(part, program)
        if len(found) * len(inner) > MAX_WAYS:
            inner = [(_merged(inner, part, program),)]
        found = [one + other for one in found for other in inner]
    return found


def _merged(inner: Sequence[Way], part: Node, program: Program) -> Part:
    """Many ways as one: a word of the rarest of each is there, and no more is said."""
    rarest: list[Symbols] = []
    for way in inner:
        sets = [p.symbols for p in way if p.symbols is not None]
        if not sets:
            return Part(None, *span(part))
        rarest.append(min(sets, key=program.share))
    return Part(frozenset().union(*rarest), *span(part))


@dataclass(frozen=True, slots=True)
class _Other:
    """Another word that must be there, ``first`` to ``last`` words after the rarest (before it, where negative)."""

    symbols: Symbols
    first: int
    last: int


@dataclass(slots=True)
class _Entry:
    number: int
    anchor: Symbols
    before: int
    """Words from the earliest start of a match to its anchor."""
    ahead: int
    others: tuple[_Other, ...]


def _entry(number: int, way: Way, program: Program) -> _Entry:
    named = [index for index, part in enumerate(way) if part.symbols is not None]
    shares = {index: program.share(way[index].symbols or frozenset()) for index in named}
    anchor = min(named, key=lambda index: (shares[index], index))
    others: list[tuple[float, _Other]] = []
    for index in named:
        if index == anchor:
            continue
        low, high = min(index, anchor), max(index, anchor)
        between = way[low + 1 : high]
        least = 1 + sum(part.least for part in between)
        most = way[low].most + sum(part.most for part in between) + way[high].most - 1
        if most > REACH:
            continue
        first, last = (least, most) if index > anchor else (-most, -least)
        # How often one of them is there by chance: the fewer, the better it tells.
        chance = shares[index] * (most - least + 1)
        others.append((chance, _Other(way[index].symbols or frozenset(), first, last)))
    others.sort(key=lambda other: (other[0], other[1].first))
    symbols = way[anchor].symbols
    assert symbols is not None  # noqa: S101
    before = sum(part.most for part in way[:anchor]) + way[anchor].most - 1
    ahead = sum(part.most for part in way[anchor:])
    return _Entry(number, symbols, before, ahead, tuple(other for _, other in others[:OTHERS]))


def _entries(nodes: Sequence[Node], program: Program) -> list[_Entry]:
    found: dict[tuple[int, Symbols, tuple[_Other, ...]], _Entry] = {}
    for number, node in enumerate(nodes):
        for way in ways(node, program):
            entry = _entry(number, way, program)
            same = found.setdefault((number, entry.anchor, entry.others), entry)
            same.before, same.ahead = max(same.before, entry.before), max(same.ahead, entry.ahead)
    return list(found.values())


class Candidates:
    """Finds the places for a list of patterns, by number."""

    def __init__(self, nodes: Sequence[Node], program: Program) -> None:
        import numpy as np

        self._np = np
        entries = _entries(nodes, program)
        self._entries = [(entry.number, entry.before, entry.ahead) for entry in entries]
        bits = self._bits(entries, program)
        self._near = np.zeros((MAX_SYMBOLS * 2, _WORDS), dtype=np.uint64)
        for symbols, bit in bits.items():
            rows = [ord(s) - _LOWEST for s in symbols]
            self._near[rows, bit // 64] |= np.uint64(1 << (bit % 64))
        # For each of the others: the bit (column and mask) and two places to look at, on the level whose rows hold the
        # bits of as many words as fit. A mask of zero is met everywhere: an entry with fewer others.
        shape = (OTHERS, len(entries))
        self._columns, self._level, self._first, self._last = (np.zeros(shape, dtype=np.int64) for _ in range(4))
        self._masks = np.zeros(shape, dtype=np.uint64)
        for index, entry in enumerate(entries):
            for rank, other in enumerate(entry.others):
                bit = bits[other.symbols]
                level = (other.last - other.first + 1).bit_length() - 1
                self._columns[rank, index], self._masks[rank, index] = bit // 64, np.uint64(1 << (bit % 64))
                self._level[rank, index] = level
                self._first[rank, index] = other.first + REACH
                self._last[rank, index] = other.last - (1 << level) + 1 + REACH
        by_symbol: dict[int, list[int]] = {}
        for index, entry in enumerate(entries):
            for symbol in entry.anchor:
                by_symbol.setdefault(ord(symbol) - _LOWEST, []).append(index)
        self._counts = np.zeros(MAX_SYMBOLS * 2, dtype=np.int64)
        self._starts = np.zeros(MAX_SYMBOLS * 2, dtype=np.int64)
        lists: list[int] = []
        for row in sorted(by_symbol):
            self._counts[row], self._starts[row] = len(by_symbol[row]), len(lists)
            lists.extend(by_symbol[row])
        self._lists = np.array(lists, dtype=np.int64)

    def _bits(self, entries: Sequence[_Entry], program: Program) -> dict[Symbols, int]:
        """A bit for every set: its own for those met often, shared ones for the rare, which do little harm."""
        sets = {other.symbols for entry in entries for other in entry.others}
        ranked = sorted(sets, key=lambda s: (-program.share(s), sorted(s)))
        own = _BITS * 3 // 4
        return {s: rank if rank < own else own + rank % (_BITS - own) for rank, s in enumerate(ranked)}

    def find(self, kept: Any) -> Iterator[tuple[int, int, int, int]]:
        """(place of the rarest word, number of the pattern, words before it, words of the longest match), by place."""
        np = self._np
        rows = kept - np.uint16(_LOWEST)
        counts = self._counts[rows]
        places = np.flatnonzero(counts)
        if not len(places):
            return
        counts = counts[places]
        ends = np.cumsum(counts)
        spread = np.repeat(places, counts)
        within = np.arange(ends[-1]) - np.repeat(ends - counts, counts)
        entries = self._lists[np.repeat(self._starts[rows[places]], counts) + within]
        near = self._nearby(rows)
        for rank in range(OTHERS):
            level, column = self._level[rank][entries], self._columns[rank][entries]
            bits = near[level, spread + self._first[rank][entries], column]
            bits |= near[level, spread + self._last[rank][entries], column]
            mask = self._masks[rank][entries]
            met = np.flatnonzero((bits & mask) == mask)
            spread, entries = spread[met], entries[met]
        table = self._entries
        for place, entry in zip(spread.tolist(), entries.tolist(), strict=True):
            yield (place, *table[entry])

    def _nearby(self, rows: Any) -> Any:
        """(level, row, column): the bits of 2 ** level words from a row on; row 0 is REACH before the first."""
        np = self._np
        count = len(rows)
        near = np.zeros((_LEVELS, count + 2 * REACH + 1, _WORDS), dtype=np.uint64)
        near[0, REACH : REACH + count] = self._near[rows]
        for level in range(1, _LEVELS):
            step = 1 << (level - 1)
            near[level] = near[level - 1]
            near[level, :-step] |= near[level - 1, step:]
        return near

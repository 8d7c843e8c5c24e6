"""Where a pattern could be: two of its words at the right distance, then its other words around them.

Every way to say a pattern has two words that are seldom said so near each other. One table over pairs of words gives
the ways that a pair begins; one look-up a word and distance finds all pairs of a text. What a pair leaves is checked
for the way's other words, rarest first, and only what is left is looked at with the pattern itself. All of it runs over
arrays, however many patterns there are; no way is checked more than once for a place and distance, so the work grows
with the text and no faster. Single words instead of pairs leave ten times as many places, and an Aho-Corasick automaton
over them more still.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, combinations
from typing import Any

from callscan.lexicon.alphabet import DROP, MAX_SYMBOLS
from callscan.lexicon.pattern import Alt, Fused, Gap, Near, Node, Opt, Said, Shape
from callscan.lexicon.program import Program, span

DISTANCE = 6
"""Words from the first of a pair to the second, at most."""
REACH = 16
"""Words between a pair and another word, at most; others that can be farther away are not looked for."""
OTHERS = 5
MAX_WAYS = 48
_LOWEST = ord(DROP)
_ROWS = MAX_SYMBOLS * 2
_SINGLE = 1
"""The class of every word as the second of a pair that is one word only."""

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
class _Word:
    """A word that must be there, ``first`` to ``last`` words after the pair's first (before it, where negative)."""

    symbols: Symbols
    first: int
    last: int


@dataclass(slots=True)
class _Entry:
    number: int
    anchor: Symbols
    second: _Word | None
    """The other of the pair; None where one word is rarer than any pair."""
    others: tuple[_Word, ...]
    before: int
    """Words from the earliest start of a match to its anchor."""
    ahead: int
    """Words from its anchor to the latest end."""


def _entry(number: int, way: Way, program: Program) -> _Entry:
    named = [(index, part.symbols) for index, part in enumerate(way) if part.symbols is not None]
    share = {index: program.share(symbols) for index, symbols in named}
    apart = _Distances(way)
    choices: list[tuple[float, int, int]] = [(share[index], index, 0) for index, _ in named]
    for (low, first), (high, second) in combinations(named, 2):
        least, most = apart.between(low, high)
        if most <= DISTANCE:
            chance = share[low] * share[high] * (most - least + 1)
            if most == 1:
                chance = max(chance, program.pair_share(first, second))
            choices.append((chance, low, high))
    _, anchor, second_of_pair = min(choices)
    words = {index: apart.word(anchor, index, symbols) for index, symbols in named if index != anchor}
    others = [word for index, word in words.items() if index != second_of_pair or not second_of_pair]
    others = [other for other in others if other.first >= -REACH and other.last <= REACH]
    # How often one of them is there by chance: the fewer, the better it tells.
    others.sort(key=lambda other: (program.share(other.symbols) * (other.last - other.first + 1), other.first))
    return _Entry(
        number,
        dict(named)[anchor],
        words[second_of_pair] if second_of_pair else None,
        tuple(others[:OTHERS]),
        before=apart.most[anchor + 1] - 1,
        ahead=apart.most[-1] - apart.most[anchor],
    )


class _Distances:
    """How far apart the words of a way are. ``least`` and ``most`` are how many words stand before each part."""

    def __init__(self, way: Way) -> None:
        self.least = [0, *accumulate(part.least for part in way)]
        self.most = [0, *accumulate(part.most for part in way)]

    def between(self, low: int, high: int) -> tuple[int, int]:
        """Words from one part's to a later one's, at least and at most."""
        return 1 + self.least[high] - self.least[low + 1], self.most[high + 1] - self.most[low] - 1

    def word(self, anchor: int, index: int, symbols: Symbols) -> _Word:
        """Where a part's word is, seen from the anchor's."""
        if index > anchor:
            return _Word(symbols, *self.between(anchor, index))
        least, most = self.between(index, anchor)
        return _Word(symbols, -most, -least)


def _entries(nodes: Sequence[Node], program: Program) -> list[_Entry]:
    found: dict[tuple[int, Symbols, _Word | None, tuple[_Word, ...]], _Entry] = {}
    for number, node in enumerate(nodes):
        for way in ways(node, program):
            entry = _entry(number, way, program)
            same = found.setdefault((number, entry.anchor, entry.second, entry.others), entry)
            same.before, same.ahead = max(same.before, entry.before), max(same.ahead, entry.ahead)
    return list(found.values())


class Candidates:
    """Finds the places for a list of patterns, by number. ``said_by`` tells, for each pattern, in whose words it is
    looked for: a sum of bits that :meth:`find` is given for every word."""

    def __init__(self, nodes: Sequence[Node], said_by: Sequence[int], program: Program) -> None:
        import numpy as np

        self._np = np
        entries = _entries(nodes, program)
        self._entries = [(entry.number, entry.before, entry.ahead) for entry in entries]
        self._said_by = np.array([said_by[entry.number] for entry in entries], dtype=np.uint8)
        self._near = _Pairs(np, entries, range(1, 2))
        self._far = _Pairs(np, entries, range(2, DISTANCE + 1))
        self._single = _Pairs(np, entries, range(1))
        self._first = np.array([e.second.first if e.second else 0 for e in entries], dtype=np.int8)
        self._last = np.array([e.second.last if e.second else 0 for e in entries], dtype=np.int8)
        self._others(entries)

    def _others(self, entries: Sequence[_Entry]) -> None:
        """For each of an entry's other words, by rank: its set's row and the places to look at."""
        np = self._np
        kinds = _Kinds(other.symbols for entry in entries for other in entry.others)
        self._kind = kinds.lookup(np)
        self._kinds = kinds.count
        # Row 0 holds every word: what an entry with fewer others asks for.
        rows = {symbols: row for row, symbols in enumerate(kinds.sets, 1)}
        self._member = np.zeros((len(rows) + 1, kinds.count), dtype=bool)
        self._member[0] = True
        for symbols, row in rows.items():
            self._member[row, self._kind[[ord(s) - _LOWEST for s in symbols]]] = True
        self._member = self._member.ravel()
        shape = (OTHERS, len(entries))
        self._row = np.zeros(shape, dtype=np.int32)
        self._from = np.zeros(shape, dtype=np.int32)
        self._length = np.ones(shape, dtype=np.int32)
        for index, entry in enumerate(entries):
            for rank, other in enumerate(entry.others):
                self._row[rank, index] = rows[other.symbols] * kinds.count
                self._from[rank, index] = other.first + REACH
                self._length[rank, index] = other.last - other.first + 1

    def find(self, kept: Any, said_by: Any) -> Iterator[tuple[int, int, int, int]]:
        """(place of the pair's first word, number of the pattern, words before it, words of the longest match), by
        place. ``kept`` are symbols, ``said_by`` a bit (uint8) for whoever says each."""
        np = self._np
        rows = kept - np.uint16(_LOWEST)
        found = self._pairs(rows)
        places = np.concatenate([at for at, _ in found])
        entries = np.concatenate([which for _, which in found])
        distances = np.repeat(np.arange(DISTANCE + 1, dtype=np.int8), [len(at) for at, _ in found])
        met = (said_by[places] & self._said_by[entries]) != 0
        met &= (self._first[entries] <= distances) & (distances <= self._last[entries])
        places, entries = places[met], entries[met]
        kinds = np.zeros(len(rows) + 2 * REACH + 1, dtype=np.uint16)
        kinds[REACH : REACH + len(rows)] = self._kind[rows]
        for rank in range(OTHERS):
            if not len(places):
                return
            met = self._met(kinds, places, entries, rank)
            places, entries = places[met], entries[met]
        # A pair that is met at two distances is one place.
        for key in np.unique(places * len(self._entries) + entries).tolist():
            place, entry = divmod(key, len(self._entries))
            yield (place, *self._entries[entry])

    def pairs(self, kept: Any) -> int:
        """In how many places a pair's other words are looked for: what the work of :meth:`find` grows with."""
        return sum(len(places) for places, _ in self._pairs(kept - self._np.uint16(_LOWEST)))

    def _pairs(self, rows: Any) -> list[tuple[Any, Any]]:
        """(places, entries) of the pairs at each distance from none to the farthest."""
        return [*self._single.find(rows), *self._near.find(rows), *self._far.find(rows)]

    def _met(self, kinds: Any, places: Any, entries: Any, rank: int) -> Any:
        """Whether the entry's other word of a rank is near each place."""
        np = self._np
        row, length = self._row[rank][entries], self._length[rank][entries]
        at = places + self._from[rank][entries]
        met = self._member[row + kinds[at]]
        step = 1
        open_ = np.flatnonzero(~met & (length > step))
        while len(open_):
            met[open_] = self._member[row[open_] + kinds[at[open_] + step]]
            step += 1
            open_ = open_[~met[open_] & (length[open_] > step)]
        return met


class _Kinds:
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

    def lookup(self, np: Any) -> Any:
        """The kind of every symbol, by its row."""
        table = np.zeros(_ROWS, dtype=np.uint16)
        for one, kind in self.of.items():
            table[ord(one) - _LOWEST] = kind
        return table


class _Pairs:
    """The entries of every pair of words that is met at some of ``distances`` (0: single words)."""

    def __init__(self, np: Any, entries: Sequence[_Entry], distances: range) -> None:
        self._np = np
        self._distances = distances
        held: list[tuple[int, Symbols, Symbols, int]] = []
        for number, entry in enumerate(entries):
            second = entry.second or _Word(frozenset(), 0, 0)
            bits = sum(1 << distance for distance in distances if second.first <= distance <= second.last)
            if bits:
                held.append((number, entry.anchor, second.symbols, bits))
        left, right = _Kinds(first for _, first, _, _ in held), _Kinds(last for _, _, last, _ in held if last)
        self._left, self._right = left.lookup(np), right.lookup(np)
        self._width = max(right.count, _SINGLE + 1)
        lists: dict[int, list[int]] = {}
        # At which distances a pair is met at all: a bit each, and small enough for a core's cache.
        self._met = np.zeros(left.count * self._width, dtype=np.uint8)
        for number, anchor, symbols, bits in held:
            heads = {left.of[one] for one in anchor}
            tails = {right.of[one] for one in symbols} or {_SINGLE}
            pairs = [head * self._width + tail for head in heads for tail in tails]
            self._met[pairs] |= np.uint8(bits)
            for pair in pairs:
                lists.setdefault(pair, []).append(number)
        # Entry lists of all pairs, one after the other; the table gives the number of each pair's list, 0 for none.
        self._table = np.zeros(left.count * self._width, dtype=np.int32)
        self._table[list(lists)] = np.arange(1, len(lists) + 1)
        self._counts = np.array([0, *map(len, lists.values())], dtype=np.int64)
        self._starts = np.cumsum(self._counts) - self._counts
        self._lists = np.array([number for numbers in lists.values() for number in numbers], dtype=np.int32)

    def find(self, rows: Any) -> Iterator[tuple[Any, Any]]:
        """(places of the first words, entries) of the pairs in a text's rows, for each distance in turn."""
        np = self._np
        heads = self._left.take(rows)
        first = np.flatnonzero(heads != 0)
        lines = heads.take(first).astype(np.intp) * self._width
        tails = self._right.take(rows)
        for distance in self._distances:
            # The last words of a text have no other so far behind them.
            count = len(first) if not distance else int(first.searchsorted(len(rows) - distance))
            places = first[:count]
            pairs = lines[:count] + (tails[distance:].take(places) if distance else _SINGLE)
            met = np.flatnonzero(self._met.take(pairs) & np.uint8(1 << distance))
            places, pairs = places[met], self._table.take(pairs[met])
            counts = self._counts[pairs]
            ends = np.cumsum(counts)
            within = np.arange(ends[-1] if len(ends) else 0) - np.repeat(ends - counts, counts)
            yield np.repeat(places, counts), self._lists[np.repeat(self._starts[pairs], counts) + within]

"""Where a pattern could be: two of its words at the right distance, then its other words around them.

Every way to say a pattern has two words that are seldom said so near each other (:mod:`callscan.lexicon.ways`). Of the
places in a text most are ruled out 64 words at a time: every word has one of 64 *colours*, and a place is looked at
only if the word so far behind it has a colour that some way asks for there. A table over pairs of words then gives the
ways that a pair begins, each way's other words are looked for, rarest first, and only what is left is looked at with
the pattern itself. All of it runs over arrays, however many patterns there are; no way is checked more than once for a
place and distance, so the work grows with the text and no faster.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from callscan.lexicon.alphabet import DROP, MAX_SYMBOLS
from callscan.lexicon.pattern import Node
from callscan.lexicon.program import Program
from callscan.lexicon.ways import DISTANCE, OTHERS, REACH, Entry, Symbols, Word, entries

_LOWEST = ord(DROP)
_ROWS = MAX_SYMBOLS * 2
_SPEAKERS = 4
"""Values of ``said_by``: sums of bits."""
_SINGLE = 1
"""The class of every word as the second of a pair that is one word only."""
_NEAR, _FAR = range(1, 2), range(2, DISTANCE + 1)
_TABLES = ((range(1), True), (_NEAR, True), (_FAR, True), (_NEAR, False), (_FAR, False))
"""Which pairs are in one table: how far apart their words are, and whether the first is looked for first."""
_COLOURS, _OWN = 64, 44
"""Colours, and how many of them are each one word's alone: the words said most."""


class Candidates:
    """Finds the places for a list of patterns, by number. ``said_by`` tells, for each pattern, in whose words it is
    looked for: a sum of bits that :meth:`find` is given for every word."""

    def __init__(self, nodes: Sequence[Node], said_by: Sequence[int], program: Program) -> None:
        import numpy as np

        self._np = np
        ways = entries(nodes, program)
        self._number = np.array([way.number for way in ways], dtype=np.int32)
        self._before = np.array([way.before for way in ways], dtype=np.int32)
        self._ahead = np.array([way.ahead for way in ways], dtype=np.int32)
        self._colour = _colours(np, ways, program)
        said = [said_by[way.number] for way in ways]
        lists: list[list[int]] = [[]]
        self._tables = [_Pairs(np, ways, table, said, self._colour, lists, program) for table in _TABLES]
        # Which tables have a word, said by whom, as the one looked for first: a bit each; and said by anyone at all.
        self._heads = np.zeros(_SPEAKERS * _ROWS, dtype=np.uint8)
        for number, pairs in enumerate(self._tables):
            self._heads[pairs.heads != 0] |= np.uint8(1 << number)
        self._is_head = np.any(self._heads.reshape(_SPEAKERS, _ROWS) != 0, axis=0)
        # The lists of ways of all pairs, one after the other.
        self._counts = np.array([len(one) for one in lists], dtype=np.intp)
        self._begins = np.cumsum(self._counts) - self._counts
        self._lists = np.array([number for one in lists for number in one], dtype=np.intp)
        self._when = np.array(list(map(_when, ways, said)), dtype=np.uint32)
        self._others(ways)

    def _others(self, ways: Sequence[Entry]) -> None:
        """For each way's other words, by rank: its set's row and the places to look at."""
        np = self._np
        kinds = _Kinds(other.symbols for way in ways for other in way.others)
        self._kind = kinds.lookup(np)
        # Row 0 holds every word: what a way with fewer others asks for.
        rows = {symbols: row for row, symbols in enumerate(kinds.sets, 1)}
        member = np.zeros((len(rows) + 1, kinds.count), dtype=bool)
        member[0] = True
        for symbols, row in rows.items():
            member[row, self._kind[_rows_of(symbols)]] = True
        self._member = member.ravel()
        shape = (OTHERS, len(ways))
        self._row = np.zeros(shape, dtype=np.intp)
        self._from = np.zeros(shape, dtype=np.intp)
        self._length = np.ones(shape, dtype=np.intp)
        for index, way in enumerate(ways):
            for rank, other in enumerate(way.others):
                self._row[rank, index] = rows[other.symbols] * kinds.count
                self._from[rank, index] = other.first + REACH
                self._length[rank, index] = other.last - other.first + 1

    def find(self, kept: Any, said_by: Any) -> tuple[Any, Any, Any, Any]:
        """By place: places of the pairs' first words, numbers of the patterns, and how many words before and after
        each a match can reach. ``kept`` are symbols, ``said_by`` a sum of bits (uint8) for whoever says each."""
        np = self._np
        places, ways, padded = self._pairs(kept, said_by)
        for rank in range(OTHERS):
            met = self._met(padded, places, ways, rank)
            places, ways = places[met], ways[met]
        # A pair that is met at two distances is one place.
        found = np.sort(places * len(self._number) + ways)
        places, ways = np.divmod(found[np.append(True, found[1:] != found[:-1])[: len(found)]], len(self._number))
        return places, self._number.take(ways), self._before.take(ways), self._ahead.take(ways)

    def pairs(self, kept: Any, said_by: Any) -> int:
        """In how many places a pair's other words are looked for: what the work of :meth:`find` grows with."""
        return len(self._pairs(kept, said_by)[0])

    def _pairs(self, kept: Any, said_by: Any) -> tuple[Any, Any, Any]:
        """Places of the pairs' first words and their ways, of all distances; and the row of every word, with as many
        rows of no word before and after as a way's other words can be away."""
        np = self._np
        padded = np.zeros(len(kept) + 2 * REACH + 1, dtype=np.intp)
        rows = padded[REACH : REACH + len(kept)]
        rows[:] = kept - np.uint16(_LOWEST)
        seen = self._colour.take(rows)
        every = np.flatnonzero(self._is_head.take(rows))
        lines = np.multiply(said_by.take(every), _ROWS, dtype=np.intp)
        lines += rows.take(every)
        heads = self._heads.take(lines)
        found: list[tuple[Any, Any, int]] = []
        for number, table in enumerate(self._tables):
            own = np.flatnonzero((heads & np.uint8(1 << number)) != 0)
            found += table.find(rows, every.take(own), lines.take(own), seen)
        places = np.concatenate([at for at, _, _ in found])
        lists = np.concatenate([of for _, of, _ in found])
        distances = np.repeat([distance for _, _, distance in found], [len(at) for at, _, _ in found])
        bits = np.left_shift(np.uint32(1), _bit(said_by.take(places), distances), dtype=np.uint32, casting="unsafe")
        which, within, _ = spread(self._counts.take(lists))
        ways = self._lists.take(self._begins.take(lists).take(which) + within)
        met = np.flatnonzero((self._when.take(ways) & bits.take(which)) != 0)
        places, ways = places.take(which.take(met)), ways.take(met)
        return places, ways, padded

    def _met(self, padded: Any, places: Any, ways: Any, rank: int) -> Any:
        """Which places have the way's other word of a rank near them."""
        np = self._np
        row, length = self._row[rank].take(ways), self._length[rank].take(ways)
        at = places + self._from[rank].take(ways)
        met = self._member.take(row + self._kind.take(padded.take(at)))
        open_ = np.flatnonzero(~met & (length > 1))
        if len(open_):
            # All words of all stretches that are still open, one after the other.
            which, within, begins = spread(length.take(open_) - 1)
            words = self._kind.take(padded.take((at.take(open_) + 1).take(which) + within))
            met[open_] = np.logical_or.reduceat(self._member.take(row.take(open_).take(which) + words), begins)
        return met


def spread(counts: Any) -> tuple[Any, Any, Any]:
    """So many of each, one after the other: which each is of, its number among those, and where those of each begin."""
    import numpy as np

    begins = np.cumsum(counts)
    begins -= counts
    which = np.repeat(np.arange(len(counts)), counts)
    return which, np.arange(len(which)) - begins.take(which), begins


def _when(way: Entry, said_by: int) -> int:
    """Who may say a way, and how far apart its pair may be: a bit for each of both, as :func:`_bit` has it."""
    second = way.second or Word(frozenset(), 0, 0)
    distances = range(second.first, min(second.last, DISTANCE) + 1)
    return sum(1 << _bit(said, distance) for said in range(1, _SPEAKERS) if said & said_by for distance in distances)


def _bit(said: Any, distance: int) -> Any:
    return said * (DISTANCE + 1) + distance


def _rows_of(symbols: Iterable[str]) -> list[int]:
    return [ord(one) - _LOWEST for one in symbols]


def _colours(np: Any, ways: Sequence[Entry], program: Program) -> Any:
    """The colour of every symbol that can be one of a pair, by row: one bit of 64, none for the others."""
    symbols = {one for way in ways if way.second for one in way.anchor | way.second.symbols}
    colours = np.zeros(_ROWS, dtype=np.uint64)
    for rank, one in enumerate(sorted(symbols, key=lambda one: (-program.share(frozenset([one])), one))):
        bit = rank if rank < _OWN else _OWN + rank % (_COLOURS - _OWN)
        colours[ord(one) - _LOWEST] = np.uint64(1 << bit)
    return colours


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
        table = np.zeros(_ROWS, dtype=np.intp)
        for one, number in self.of.items():
            table[ord(one) - _LOWEST] = number
        return table


class _Pairs:
    """The ways of every pair of words that is met at some distances (0: single words), added to ``lists``: those whose
    first word is the rarer one, or those whose second is. The rarer one is looked for first."""

    def __init__(
        self,
        np: Any,
        ways: Sequence[Entry],
        which: tuple[range, bool],
        said_by: Sequence[int],
        colour: Any,
        lists: list[list[int]],
        program: Program,
    ) -> None:
        self._np = np
        self._distances, self._first_first = distances, first_first = which
        held: list[tuple[int, Symbols, Symbols, int]] = []
        for number, way in enumerate(ways):
            second = way.second or Word(frozenset(), 0, 0)
            bits = sum(1 << distance for distance in distances if second.first <= distance <= second.last)
            rarer_first = not second.symbols or program.share(way.anchor) <= program.share(second.symbols)
            if bits and rarer_first == first_first:
                held.append((number, way.anchor, second.symbols, bits))
        self.heads = self._colours_asked(held, said_by, colour)
        left, right = _Kinds(first for _, first, _, _ in held), _Kinds(last for _, _, last, _ in held if last)
        width = max(right.count, _SINGLE + 1)
        self._left, self._right = left.lookup(np) * width, right.lookup(np)
        # Each pair's list of ways, by number in ``lists``, 0 for none; and at which distances it is met at all: a bit
        # each, and small enough for a core's cache.
        self._table = np.zeros(left.count * width, dtype=np.intp)
        self._met = np.zeros(left.count * width, dtype=np.uint8)
        own: dict[int, list[int]] = {}
        for number, anchor, symbols, bits in held:
            heads = {left.of[one] for one in anchor}
            tails = {right.of[one] for one in symbols} or {_SINGLE}
            pairs = [head * width + tail for head in heads for tail in tails]
            self._met[pairs] |= np.uint8(bits)
            for pair in pairs:
                own.setdefault(pair, []).append(number)
        self._table[list(own)] = np.arange(len(lists), len(lists) + len(own))
        lists += own.values()

    def _colours_asked(
        self, held: Sequence[tuple[int, Symbols, Symbols, int]], said_by: Sequence[int], colour: Any
    ) -> Any:
        """The colours that the other of a pair can have, by whoever says the one looked for first and its row."""
        np = self._np
        asked: dict[tuple[int, Symbols], set[Symbols]] = {}
        for number, first, second, _ in held:
            one, other = (first, second) if self._first_first else (second, first)
            asked.setdefault((said_by[number], one), set()).add(other)
        heads = np.zeros((_SPEAKERS, _ROWS), dtype=np.uint64)
        for (said, one), others in asked.items():
            every = frozenset().union(*others)
            colours = np.bitwise_or.reduce(colour[_rows_of(every)]) if all(others) else ~np.uint64(0)
            rows = _rows_of(one)
            for speaker in range(1, _SPEAKERS):
                if speaker & said:
                    heads[speaker, rows] |= colours
        return heads.ravel()

    def find(self, rows: Any, every: Any, lines: Any, seen: Any) -> Iterator[tuple[Any, Any, int]]:
        """(places of the first words, lists of ways, distance) of the pairs in a text's rows, for each distance in
        turn. ``every`` are the places of the words looked for first, ``lines`` their rows by whoever says them,
        ``seen`` the colours of all words."""
        np = self._np
        asked = self.heads.take(lines)
        for distance in self._distances:
            away = distance if self._first_first else -distance
            # The words at the ends of a text have no other so far before or behind them.
            low, high = every.searchsorted([max(0, -away), len(rows) - max(0, away)])
            places = every[low:high]
            if distance:
                met = np.flatnonzero((asked[low:high] & seen.take(places + away)) != 0)
                places = places.take(met) + min(0, away)
            tails = self._right.take(rows.take(places + distance)) if distance else _SINGLE
            pairs = self._left.take(rows.take(places)) + tails
            met = np.flatnonzero((self._met.take(pairs) & np.uint8(1 << distance)) != 0)
            yield places.take(met), self._table.take(pairs.take(met)), distance

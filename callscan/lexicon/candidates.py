"""Where a pattern could be: two of its words at the right distance, then its other words around them.

Every way to say a pattern has two words that are seldom said so near each other (:mod:`callscan.lexicon.ways`). Of the
places in a text most are ruled out many words at a time, by :mod:`callscan.lexicon.colours`: a place is looked at only
if a word so far from it has a colour that some way asks for there. A table over pairs of words then gives the ways that
a pair begins (:mod:`callscan.lexicon.pairs`), each way's other words are looked for, rarest first, and only what is
left is looked at with the pattern itself. All of it runs over arrays, however many patterns there are; no way is
checked more than once for a place and distance, so the work grows with the text and no faster.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from callscan.lexicon.alphabet import LOWEST
from callscan.lexicon.colours import ANY, ROWS, Colours, rows_of
from callscan.lexicon.pairs import FAR, LINES, NEAR, SPEAKERS, Kinds, Pairs, rarer_word
from callscan.lexicon.pattern import Node
from callscan.lexicon.program import Program
from callscan.lexicon.ways import DISTANCE, OTHERS, REACH, Entry, entries


class Candidates:
    """Finds the places for a list of patterns, by number. ``said_by`` tells, for each pattern, in whose words it is
    looked for: a sum of bits that :meth:`find` is given for every word."""

    def __init__(self, nodes: Sequence[Node], said_by: Sequence[int], program: Program) -> None:
        ways = entries(nodes, program)
        self._number = np.array([way.number for way in ways], dtype=np.int32)
        self._before = np.array([way.before for way in ways], dtype=np.int32)
        self._ahead = np.array([way.ahead for way in ways], dtype=np.int32)
        said = [said_by[way.number] for way in ways]
        lists: list[list[int]] = [[]]
        self._single = _singles(ways, lists)
        # Pairs whose first word is the rarer one, then those whose second is, and the colours of the others.
        by_rarer: list[list[tuple[int, Entry]]] = [[], []]
        for number, way in enumerate(ways):
            if way.second is not None:
                by_rarer[rarer_word(way, program)].append((number, way))
        first, last = by_rarer
        self._colours = [
            Colours([way.second.symbols for _, way in first if way.second is not None], program),
            Colours([way.anchor for _, way in last], program),
        ]
        self._pairs = [
            (rarer, Pairs(own, distances, rarer, said, self._colours[rarer], lists))
            for rarer, own in enumerate(by_rarer)
            for distances in (NEAR, FAR)
        ]
        # Which tables have a word, said by whom, as the one looked for first: a bit each.
        self._heads = np.zeros(LINES, dtype=np.uint8)
        for number, (_, pairs) in enumerate(self._pairs):
            self._heads[pairs.heads != 0] |= np.uint8(1 << number)
        self._heads.reshape(SPEAKERS, ROWS)[:, self._single != 0] |= np.uint8(1 << len(self._pairs))
        # The lists of ways of all pairs, one after the other.
        self._begins = np.cumsum([0, *map(len, lists)], dtype=np.int32)
        self._lists = np.array([number for one in lists for number in one], dtype=np.uint32)
        self._when = np.array(list(map(_when, ways, said)), dtype=np.uint32)
        self._rooms: dict[str, Any] = {}
        self._others(ways, program)

    def _others(self, ways: Sequence[Entry], program: Program) -> None:
        """For each way's other words, by rank: its set's row and the places to look at."""
        kinds = Kinds(other.symbols for way in ways for other in way.others)
        kind = kinds.lookup()
        # Row 0 is what a way with fewer others asks for: nothing.
        rows = {symbols: row for row, symbols in enumerate(kinds.sets, 1)}
        member = np.zeros((len(rows) + 1, kinds.count), dtype=bool)
        for symbols, row in rows.items():
            member[row, kind[rows_of(symbols)]] = True
        # A bit a set and kind: as bytes they were a third of what a matcher takes.
        self._member = np.packbits(member, axis=1, bitorder="little").ravel()
        self._byte, self._bit = kind >> 3, np.left_shift(1, kind & 7).astype(np.uint8)
        width = -(-kinds.count // 8)
        shape = (OTHERS, len(ways))
        self._row = np.zeros(shape, dtype=np.int32)
        self._from = np.zeros(shape, dtype=np.int8)
        self._length = np.ones(shape, dtype=np.int8)
        for index, way in enumerate(ways):
            for rank, other in enumerate(way.others):
                self._row[rank, index] = rows[other.symbols] * width
                self._from[rank, index] = other.first
                self._length[rank, index] = other.last - other.first + 1
        # The colours of the first, and how many words their stretch is made of: one or two powers of two.
        rarest = [way.others[0].symbols if way.others else None for way in ways]
        self._rarest = Colours({symbols for symbols in rarest if symbols is not None}, program)
        asked = {symbols: self._rarest.asked(symbols) for symbols in set(rarest) if symbols is not None}
        self._asked = np.array([np.uint64(ANY) if s is None else asked[s] for s in rarest], dtype=np.uint64)
        self._power = (np.frexp(self._length[0])[1] - 1).astype(np.int8)
        self._rest = (self._length[0] - np.left_shift(1, self._power)).astype(np.int8)
        self._powers = int(self._power.max(initial=0)) + 1

    def find(self, kept: Any, said_by: Any) -> tuple[Any, Any, Any, Any]:
        """By place: places of the pairs' first words, numbers of the patterns, and how many words before and after
        each a match can reach. ``kept`` are symbols, ``said_by`` a sum of bits (uint8) for whoever says each."""
        places, ways, rows = self._begun(kept, said_by)
        near = self._near(rows, places, ways)
        places, ways = places.take(near), ways.take(near)
        for rank in range(OTHERS):
            asking = np.flatnonzero(self._row[rank].take(ways))
            if not len(asking):
                break
            kept = np.ones(len(ways), dtype=bool)
            kept[asking] = self._met(rows, places.take(asking), ways.take(asking), rank)
            places, ways = places[kept], ways[kept]
        # A pair that is met at two distances is one place.
        found = np.sort((places - REACH) * len(self._number) + ways)
        places, ways = np.divmod(found[np.append(True, found[1:] != found[:-1])[: len(found)]], len(self._number))
        return places, self._number.take(ways), self._before.take(ways), self._ahead.take(ways)

    def pairs(self, kept: Any, said_by: Any) -> int:
        """In how many places a pair's other words are looked for: what the work of :meth:`find` grows with."""
        return len(self._begun(kept, said_by)[0])

    def _begun(self, kept: Any, said_by: Any) -> tuple[Any, Any, Any]:
        """Places of the pairs' first words and their ways, of all distances; and the row of every word, with as many
        rows of no word before and after as a way's other words can be away. Places are among these rows."""
        size = len(kept) + 2 * REACH + 1
        rows = self._room("rows", np.intp, size)
        rows[:REACH] = rows[REACH + len(kept) :] = 0
        within = rows[REACH : REACH + len(kept)]
        np.subtract(kept, np.uint16(LOWEST), out=within)
        lines = np.multiply(said_by, ROWS, out=self._room("lines", np.intp, len(kept)), dtype=np.intp)
        lines += within
        heads = _taken(self._heads, lines, self._room("heads", np.uint8, len(kept)))
        at = np.flatnonzero((heads & np.uint8(1 << len(self._pairs))) != 0)
        found = [(at + REACH, self._single.take(within.take(at)), np.zeros(len(at), dtype=np.intp))]
        seen = [_taken(c.of, rows, self._room(f"seen {n}", np.uint64, size)) for n, c in enumerate(self._colours)]
        for number, (rarer, pairs) in enumerate(self._pairs):
            at = np.flatnonzero((heads & np.uint8(1 << number)) != 0)
            found.append(pairs.find(rows, at, lines.take(at), seen[rarer]))
        places, lists, distances = (np.concatenate(parts) for parts in zip(*found, strict=True))
        bits = np.left_shift(np.uint32(1), _bit(said_by.take(places - REACH), distances).astype(np.uint32))
        begins = self._begins.take(lists)
        which, number, _ = spread(self._begins.take(lists + 1) - begins)
        number += begins.take(which)
        ways = self._lists.take(number).astype(np.intp)
        met = np.flatnonzero((self._when.take(ways) & bits.take(which)) != 0)
        return places.take(which.take(met)), ways.take(met), rows

    def _room(self, name: str, kind: Any, size: int) -> Any:
        """Room for an array of some length, the same every time: new memory costs more than what is written into it."""
        room = self._rooms.get(name)
        if room is None or len(room) < size:
            room = self._rooms[name] = np.empty(size + size // 8, dtype=kind)
        return room[:size]

    def _near(self, rows: Any, places: Any, ways: Any) -> Any:
        """Which places can have the way's rarest other word near them, by the colours there."""
        # For each power of two, the colours of so many words from each place on.
        size = len(rows)
        flat = self._room("near", np.uint64, self._powers * size)
        colours = flat.reshape(self._powers, size)
        _taken(self._rarest.of, rows, colours[0])
        for power in range(1, self._powers):
            half = 1 << power - 1
            np.bitwise_or(colours[power - 1, :-half], colours[power - 1, half:], out=colours[power, :-half])
        at = np.multiply(self._power.take(ways), size, dtype=np.intp)
        at += places
        at += self._from[0].take(ways)
        seen = flat.take(at)
        at += self._rest.take(ways)
        seen |= flat.take(at)
        seen &= self._asked.take(ways)
        return np.flatnonzero(seen != 0)

    def _met(self, rows: Any, places: Any, ways: Any, rank: int) -> Any:
        """Which places have the way's other word of a rank near them."""
        row, length = self._row[rank].take(ways), self._length[rank].take(ways)
        at = places + self._from[rank].take(ways)
        met = self._held(row, rows.take(at)) != 0
        open_ = np.flatnonzero(~met & (length > 1))
        if len(open_):
            # All words of all stretches that are still open, one after the other.
            which, within, begins = spread(length.take(open_) - 1)
            within += (at.take(open_) + 1).take(which)
            held = self._held(row.take(open_).take(which), rows.take(within))
            met[open_] = np.bitwise_or.reduceat(held, begins) != 0
        return met

    def _held(self, row: Any, words: Any) -> Any:
        """A bit where a word is in the set of a row, else 0."""
        return self._member.take(row + self._byte.take(words)) & self._bit.take(words)


def _taken(table: Any, rows: Any, out: Any) -> Any:
    """``table`` by rows, which are all in it (any other ``mode`` than the one that need not ask copies once more)."""
    return table.take(rows, out=out, mode="clip")


def spread(counts: Any) -> tuple[Any, Any, Any]:
    """So many of each, one after the other: which each is of, its number among those, and where those of each begin."""
    begins = np.cumsum(counts)
    begins -= counts
    which = np.repeat(np.arange(len(counts)), counts)
    return which, np.arange(len(which)) - begins.take(which), begins


def _singles(ways: Sequence[Entry], lists: list[list[int]]) -> Any:
    """The list of the ways that one word begins, by row, 0 for none; the lists are added to ``lists``."""
    held: dict[int, list[int]] = {}
    for number, way in enumerate(ways):
        if way.second is None:
            for row in rows_of(way.anchor):
                held.setdefault(row, []).append(number)
    table = np.zeros(ROWS, dtype=np.intp)
    table[list(held)] = np.arange(len(lists), len(lists) + len(held))
    lists += held.values()
    return table


def _when(way: Entry, said_by: int) -> int:
    """Who may say a way, and how far apart its pair may be: a bit for each of both, as :func:`_bit` has it."""
    distances = range(way.second.first, min(way.second.last, DISTANCE) + 1) if way.second else range(1)
    return sum(1 << _bit(said, distance) for said in range(1, SPEAKERS) if said & said_by for distance in distances)


def _bit(said: Any, distance: Any) -> Any:
    return said * (DISTANCE + 1) + distance

"""Where a pattern could be: two of its words at the right distance, then its other words around them.

Every way to say a pattern has two words that are seldom said so near each other (:mod:`callscan.lexicon.ways`). Of the
places in a text most are ruled out by :mod:`callscan.lexicon.colours`: a place is looked at only if a word so far from
it has a colour that some way asks for there. A table over pairs of words then gives the ways that a pair begins
(:mod:`callscan.lexicon.pairs`), each way's other words are looked for, rarest first, and only what is left is looked at
with the pattern itself. All of it is one pass over the words (:mod:`callscan.lexicon.kernel`), however many patterns
there are; no way is checked more than once for a place and distance, so the work grows with the text and no faster.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from callscan.lexicon.alphabet import ROWS, rows_of
from callscan.lexicon.colours import Colours
from callscan.lexicon.kernel import DISTANCE, OTHERS, SPEAKERS, TABLES, Tables
from callscan.lexicon.pairs import FAR, NEAR, Kinds, Pairs, rarer_word
from callscan.lexicon.pattern import Node
from callscan.lexicon.program import Program
from callscan.lexicon.ways import Entry, entries


def tables(nodes: Sequence[Node], expressions: Sequence[int], said_by: Sequence[int], program: Program) -> Tables:
    """The tables for a list of patterns: ``expressions`` is the number of each one's, ``said_by`` in whose words it is
    looked for, a sum of bits."""
    ways = entries(nodes, program)
    said = [said_by[way.number] for way in ways]
    lists: list[list[int]] = [[]]
    single = _singles(ways, lists)
    # Pairs whose first word is the rarer one, then those whose second is, and the colours of the others.
    by_rarer: list[list[tuple[int, Entry]]] = [[], []]
    for number, way in enumerate(ways):
        if way.second is not None:
            by_rarer[rarer_word(way, program)].append((number, way))
    first, last = by_rarer
    colours = [
        Colours([way.second.symbols for _, way in first if way.second is not None], program),
        Colours([way.anchor for _, way in last], program),
    ]
    pairs = Pairs(lists)
    for rarer, own in enumerate(by_rarer):
        for distances in (NEAR, FAR):
            pairs.add(own, distances, rarer, said, colours[rarer])
    looked = pairs.looked
    looked.reshape(SPEAKERS, ROWS)[1:, single != 0] |= np.uint8(1 << TABLES)
    kinds = Kinds(other.symbols for way in ways for other in way.others)
    return Tables(
        looked=looked,
        single=single,
        colours=np.stack([one.of for one in colours], axis=1).ravel(),
        **pairs.tables(),
        when=np.array(list(map(_when, ways, said)), dtype=np.int32),
        **_others(ways, kinds),
        numbers=np.array([expressions[way.number] for way in ways], dtype=np.int32),
        before=np.array([way.before for way in ways], dtype=np.int32),
        ahead=np.array([way.ahead for way in ways], dtype=np.int32),
    )


def _others(ways: Sequence[Entry], kinds: Kinds) -> dict[str, Any]:
    """For each way's other words, rarest first: its set's row and the places to look at."""
    kind = kinds.lookup()
    # Row 0 is what a way with fewer others asks for: nothing.
    rows = {symbols: row for row, symbols in enumerate(kinds.sets, 1)}
    member = np.zeros((len(rows) + 1, kinds.count), dtype=bool)
    for symbols, row in rows.items():
        member[row, kind[rows_of(symbols)]] = True
    # A bit a set and kind: as bytes they were a third of what a matcher takes.
    held = np.packbits(member, axis=1, bitorder="little")
    others = np.zeros((len(ways), OTHERS, 3), dtype=np.int32)
    for index, way in enumerate(ways):
        for rank, other in enumerate(way.others):
            others[index, rank] = rows[other.symbols] * held.shape[1], other.first, other.last - other.first + 1
    return {"others": others.ravel(), "kinds": kind, "held": held.ravel()}


def _singles(ways: Sequence[Entry], lists: list[list[int]]) -> Any:
    """The list of the ways that one word begins, by row, 0 for none; the lists are added to ``lists``."""
    own: dict[int, list[int]] = {}
    for number, way in enumerate(ways):
        if way.second is None:
            for row in rows_of(way.anchor):
                own.setdefault(row, []).append(number)
    table = np.zeros(ROWS, dtype=np.int32)
    table[list(own)] = np.arange(len(lists), len(lists) + len(own))
    lists += own.values()
    return table


def _when(way: Entry, said_by: int) -> int:
    """Who may say a way, and how far apart its pair may be: a bit for each of both."""
    distances = range(way.second.first, min(way.second.last, DISTANCE) + 1) if way.second else range(1)
    return sum(
        1 << said * (DISTANCE + 1) + distance for said in range(1, SPEAKERS) if said & said_by for distance in distances
    )

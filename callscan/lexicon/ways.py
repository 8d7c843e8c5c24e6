"""The ways to say a pattern, each with the two of its words that are seldom said so near each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, combinations

from callscan.lexicon.kernel import DISTANCE, OTHERS
from callscan.lexicon.pattern import Alt, Fused, Gap, Near, Node, Opt, Said, Shape
from callscan.lexicon.program import Program, span

REACH = 16
"""Words between a pair and another word, at most; others that can be farther away are not looked for."""
_TOGETHER = {1: 0.1, 2: 0.03}
"""How often the rarer of two words is said with the other so many words away, where a pattern names them so."""
MAX_WAYS = 48

Symbols = frozenset[str]


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of a match, ``least`` to ``most`` words long, that holds one of ``symbols`` (None: anything)."""

    symbols: Symbols | None
    least: int
    most: int


Way = tuple[Part, ...]
"""One way to say a pattern, part after part."""


Known = dict[int, list[Way]]
"""The ways of nodes by identity: a class is one tree in all patterns that name it, and is worked out once."""


def ways(node: Node, program: Program, known: Known) -> list[Way]:
    """The ways to say a pattern; alternatives are kept apart as long as there are not too many."""
    found = known.get(id(node))
    if found is None:
        found = known[id(node)] = _ways(node, program, known)
    return found


def _ways(node: Node, program: Program, known: Known) -> list[Way]:
    if isinstance(node, Said | Fused | Shape):
        return [(Part(program.symbols(node), 1, 1),)]
    if isinstance(node, Gap | Opt):
        return [(Part(None, *span(node)),)]
    if isinstance(node, Alt):
        singles: set[str] = set()
        found: list[Way] = []
        for option in node.options:
            for way in ways(option, program, known):
                if len(way) == 1 and way[0].most == 1 and way[0].symbols is not None:
                    singles |= way[0].symbols
                else:
                    found.append(way)
        return [*found, (Part(frozenset(singles), 1, 1),)] if singles else found
    if isinstance(node, Near):
        gap = Part(None, 0, node.words)
        first, second = ways(node.first, program, known), ways(node.second, program, known)
        found = [(*one, gap, *other) for one in first for other in second]
        return found if node.ordered else found + [(*other, gap, *one) for one in first for other in second]
    found = [()]
    for part in node.parts:
        inner = ways(part, program, known)
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
class Word:
    """A word that must be there, ``first`` to ``last`` words after the pair's first (before it, where negative)."""

    symbols: Symbols
    first: int
    last: int


@dataclass(slots=True)
class Entry:
    """One way of pattern ``number``."""

    number: int
    anchor: Symbols
    second: Word | None
    """The other of the pair; None where one word is rarer than any pair."""
    others: tuple[Word, ...]
    before: int
    """Words from the earliest start of a match to its anchor."""
    ahead: int
    """Words from its anchor to the latest end."""


def _entry(number: int, way: Way, program: Program) -> Entry:
    named = [(index, part.symbols) for index, part in enumerate(way) if part.symbols is not None]
    share = {index: program.share(symbols) for index, symbols in named}
    apart = _Distances(way)
    choices: list[tuple[float, int, int]] = [(share[index], index, 0) for index, _ in named]
    for (low, first), (high, second) in combinations(named, 2):
        least, most = apart.between(low, high)
        if most <= DISTANCE:
            chance = share[low] * share[high] * (most - least + 1)
            # What a pattern names side by side is said together far more often than by chance ("carte grise").
            chance = max(chance, _TOGETHER.get(most, 0) * min(share[low], share[high]))
            if most == 1:
                chance = max(chance, program.pair_share(first, second))
            choices.append((chance, low, high))
    _, anchor, second_of_pair = min(choices)
    words = {index: apart.word(anchor, index, symbols) for index, symbols in named if index != anchor}
    others = [word for index, word in words.items() if index != second_of_pair or not second_of_pair]
    others = [other for other in others if other.first >= -REACH and other.last <= REACH]
    # How often one of them is there by chance: the fewer, the better it tells.
    others.sort(key=lambda other: (program.share(other.symbols) * (other.last - other.first + 1), other.first))
    return Entry(
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

    def word(self, anchor: int, index: int, symbols: Symbols) -> Word:
        """Where a part's word is, seen from the anchor's."""
        if index > anchor:
            return Word(symbols, *self.between(anchor, index))
        least, most = self.between(index, anchor)
        return Word(symbols, -most, -least)


def entries(nodes: Sequence[Node], program: Program) -> list[Entry]:
    """The ways of some patterns, by number; one entry for those that cannot be told apart."""
    found: dict[tuple[int, Symbols, Word | None, tuple[Word, ...]], Entry] = {}
    known: Known = {}
    for number, node in enumerate(nodes):
        for way in ways(node, program, known):
            entry = _entry(number, way, program)
            same = found.setdefault((number, entry.anchor, entry.second, entry.others), entry)
            same.before, same.ahead = max(same.before, entry.before), max(same.ahead, entry.ahead)
    return list(found.values())

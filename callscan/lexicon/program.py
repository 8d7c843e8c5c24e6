"""Patterns made to run: each becomes a regular expression over symbols, and the rare words that must be there.

One character is one word, so an expression over a sentence is short; every part is bounded, so the work per candidate
is bounded, whatever the text: :data:`MAX_WORK` is checked when a pattern is read.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product

from callscan.lexicon.alphabet import BREAK, Alphabet, Feature
from callscan.lexicon.pattern import Alt, Fused, Gap, Near, Node, Opt, Said, Seq, Shape

MAX_WORK = 1_000_000
"""Ways in which one pattern may be tried at one place."""
MAX_NGRAMS = 600


Sets = tuple[frozenset[str], ...]
"""Sets of symbols, one for each word of a sequence."""


@dataclass(frozen=True, slots=True)
class Anchors:
    """Sequences of which one is in every match; ``before`` is the most words from the match's start to it.

    ``cost`` is how often they turn up, as a share of all words; ``size`` how many sequences of symbols they are.
    """

    cost: float
    sequences: tuple[Sets, ...]
    before: int
    size: int

    def ngrams(self) -> Iterator[str]:
        """All sequences, symbol by symbol."""
        for sets in self.sequences:
            for ngram in product(*map(sorted, sets)):
                yield "".join(ngram)


class Program:
    """Reads trees into expressions, for one frozen alphabet."""

    def __init__(self, alphabet: Alphabet) -> None:
        self.alphabet = alphabet
        self._sets: dict[Node, frozenset[str]] = {}
        self._shares: dict[frozenset[str], float] = {}
        # By identity: a class is one tree in all patterns that name it, and is worked out once.
        self._anchors: dict[int, Anchors | None] = {}
        self._expressions: dict[tuple[int, bool], str] = {}
        self._frequencies: dict[str, float] = {}
        for word, symbols in alphabet.words.items():
            share = max(alphabet.language.frequency(word), 0.0)
            if share > self._frequencies.get(symbols, 0.0):
                self._frequencies[symbols] = share

    def symbols(self, node: Said | Fused | Shape) -> frozenset[str]:
        found = self._sets.get(node)
        if found is None:
            found = self._sets[node] = self.alphabet.holders(f for f, _ in features(node, self.alphabet))
        return found

    def expression(self, node: Node, stopped_by: str = "") -> str:
        """The regular expression of a node; gaps do not cross ``stopped_by`` symbols."""
        key = id(node), bool(stopped_by)
        found = self._expressions.get(key)
        if found is None:
            found = self._expressions[key] = self._expression(node, stopped_by)
        return found

    def _expression(self, node: Node, stopped_by: str) -> str:
        if isinstance(node, Said | Fused | Shape):
            return _charset(self.symbols(node))
        if isinstance(node, Gap):
            return _gap(node.most, stopped_by)
        if isinstance(node, Seq):
            return "".join(self.expression(part, stopped_by) for part in node.parts)
        if isinstance(node, Opt):
            return f"(?:{self.expression(node.part, stopped_by)})?"
        if isinstance(node, Alt):
            singles: set[str] = set()
            others: list[str] = []
            for option in node.options:
                if isinstance(option, Said | Fused | Shape):
                    singles |= self.symbols(option)
                else:
                    others.append(self.expression(option, stopped_by))
            if singles:
                others.append(_charset(singles))
            return others[0] if len(others) == 1 else f"(?:{'|'.join(others)})"
        first, second = self.expression(node.first, stopped_by), self.expression(node.second, stopped_by)
        gap = _gap(node.words, stopped_by)
        # The empty groups mark where the gap is, for the check in seconds.
        forward = f"{first}(?P<left>){gap}(?P<right>){second}" if node.seconds is not None else f"{first}{gap}{second}"
        return forward if node.ordered else f"(?:{forward}|{second}{gap}{first})"

    def anchors(self, node: Node) -> Anchors | None:
        """The rarest words that every match holds; None where there are none."""
        key = id(node)
        if key not in self._anchors:
            self._anchors[key] = self._find_anchors(node)
        return self._anchors[key]

    def _find_anchors(self, node: Node) -> Anchors | None:
        if isinstance(node, Said | Fused | Shape):
            return self._ngrams([self.symbols(node)], 0)
        if isinstance(node, Gap | Opt):
            return None
        if isinstance(node, Alt):
            return self._any_of([self.anchors(option) for option in node.options])
        if isinstance(node, Near):
            first, second = self.anchors(node.first), self.anchors(node.second)
            width = max(span(node.first)[1], span(node.second)[1]) + node.words
            sides = [a for a in (first, second) if a is not None]
            best = min(sides, key=lambda a: a.cost, default=None)
            return None if best is None else replace(best, before=best.before + width)
        candidates: list[Anchors] = []
        before = 0
        run: list[tuple[int, frozenset[str]]] = []
        for part in node.parts:
            single = self._single(part)
            if single is not None:
                run.append((before, single))
                for length in range(1, min(3, len(run)) + 1):
                    found = self._ngrams([s for _, s in run[-length:]], run[-length][0])
                    if found is not None:
                        candidates.append(found)
            else:
                run = []
                inner = self.anchors(part)
                if inner is not None:
                    candidates.append(replace(inner, before=inner.before + before))
            before += span(part)[1]
        return min(candidates, key=lambda a: (a.cost, a.before), default=None)

    def _single(self, node: Node) -> frozenset[str] | None:
        """The symbols of a node that is always exactly one word."""
        if isinstance(node, Said | Fused | Shape):
            return self.symbols(node)
        if isinstance(node, Alt):
            sets = [self._single(option) for option in node.options]
            if all(s is not None for s in sets):
                return frozenset().union(*(s for s in sets if s is not None))
        return None

    def _any_of(self, options: list[Anchors | None]) -> Anchors | None:
        found = [option for option in options if option is not None]
        if len(found) < len(options):
            return None
        size = sum(a.size for a in found)
        if size > MAX_NGRAMS:
            return None
        sequences = tuple(sequence for a in found for sequence in a.sequences)
        return Anchors(sum(a.cost for a in found), sequences, max(a.before for a in found), size)

    def _ngrams(self, sets: Sequence[frozenset[str]], before: int) -> Anchors | None:
        size = math.prod(len(s) for s in sets)
        if not 0 < size <= MAX_NGRAMS:
            return None
        return Anchors(math.prod(self._share(s) for s in sets), (tuple(sets),), before, size)

    def _share(self, symbols: frozenset[str]) -> float:
        """The share of all words that are one of the symbols."""
        found = self._shares.get(symbols)
        if found is None:
            found = self._shares[symbols] = sum(self._frequencies.get(s, 2e-5) for s in symbols)
        return found


def features(node: Said | Fused | Shape, alphabet: Alphabet) -> Iterator[tuple[Feature, str]]:
    """What a single word of a pattern asks for, with the spelling it comes from ("" where it has none)."""
    language = alphabet.language
    if isinstance(node, Shape):
        yield ("shape", node.name), ""
    elif isinstance(node, Fused):
        yield ("sound", language.fused(node.first, node.second)), ""
    elif node.exact:
        yield ("exact", node.word), node.word
    elif node.inflected:
        for form, spoken in language.inflections(node.word):
            yield ("sound", language.sound(spoken)), form
    else:
        yield ("sound", language.sound(node.word)), node.word


def leaves(node: Node) -> Iterator[Said | Fused | Shape]:
    """All single words of a tree."""
    if isinstance(node, Said | Fused | Shape):
        yield node
    else:
        for part in _parts(node):
            yield from leaves(part)


def _parts(node: Node) -> Iterable[Node]:
    if isinstance(node, Seq):
        return node.parts
    if isinstance(node, Alt):
        return node.options
    if isinstance(node, Opt):
        return (node.part,)
    if isinstance(node, Near):
        return (node.first, node.second)
    return ()


def span(node: Node) -> tuple[int, int]:
    """The fewest and the most words of a match."""
    if isinstance(node, Said | Fused | Shape):
        return 1, 1
    if isinstance(node, Gap):
        return 0, node.most
    if isinstance(node, Opt):
        return 0, span(node.part)[1]
    inner = [span(part) for part in _parts(node)]
    if isinstance(node, Alt):
        return min(low for low, _ in inner), max(high for _, high in inner)
    extra = node.words if isinstance(node, Near) else 0
    return sum(low for low, _ in inner), sum(high for _, high in inner) + extra


def work(node: Node) -> int:
    """In how many ways a node can be tried at one place, at most."""
    if isinstance(node, Said | Fused | Shape):
        return 1
    if isinstance(node, Gap):
        return node.most + 1
    if isinstance(node, Opt):
        return 1 + work(node.part)
    inner = [work(part) for part in _parts(node)]
    if isinstance(node, Alt):
        # Single words are one look-up, however many.
        singles = sum(isinstance(option, Said | Fused | Shape) for option in node.options)
        return sum(inner) - singles + (1 if singles else 0)
    if isinstance(node, Near):
        return math.prod(inner) * (node.words + 1) * (1 if node.ordered else 2)
    return math.prod(inner)


def has_gap(node: Node) -> bool:
    """Whether a match may hold words that the pattern does not name."""
    return isinstance(node, Gap | Near) or any(has_gap(part) for part in _parts(node))


def _charset(symbols: Iterable[str]) -> str:
    chars = sorted(symbols)
    return chars[0] if len(chars) == 1 else f"[{''.join(chars)}]" if chars else "(?!)"


def _gap(most: int, stopped_by: str) -> str:
    return f"[^{BREAK}{stopped_by}]{{0,{most}}}?" if most else ""


def compiled(expression: str) -> re.Pattern[str]:
    return re.compile(expression)

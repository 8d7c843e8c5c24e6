"""Patterns made to run: each becomes instructions over the words of a text (:mod:`callscan.lexicon.kernel`).

Every part is bounded, and no instruction leads back to one before it, so the work per candidate is bounded, whatever
the text: :data:`MAX_WORK` is checked when a pattern is read.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, chain, groupby
from typing import Any

import numpy as np

from callscan.lexicon.alphabet import BREAK, ROWS, Alphabet, Feature, rows_of
from callscan.lexicon.kernel import CHOICE, CHOOSE, END, JUMP, LEFT, MATCH, RIGHT, SPLIT, WIDTH, WORD, Code
from callscan.lexicon.pattern import Alt, Fused, Gap, Near, Node, Opt, Said, Seq, Shape

MAX_WORK = 1_000_000
"""Ways in which one pattern may be tried at one place."""
Instructions = tuple[int, ...]
"""See :mod:`callscan.lexicon.kernel`."""
Option = tuple[Instructions, frozenset[str] | None]
"""Instructions, and the symbols of the word that they ask for first; None where that may be any, or none."""
MANY = 4
"""Options from which the next word tells which to try: fewer are tried one after the other."""
RARE = 2e-5
"""The share of all words that a word is taken to be which its language does not list."""


class Program:
    """Reads trees into expressions, for one frozen alphabet."""

    def __init__(self, alphabet: Alphabet) -> None:
        self.alphabet = alphabet
        self._holders: dict[Feature, set[str]] = {}
        for held, symbol in alphabet.symbols.items():
            for feature in held:
                self._holders.setdefault(feature, set()).add(symbol)
        self._sets: dict[Node, frozenset[str]] = {}
        self._shares: dict[frozenset[str], float] = {}
        # By identity: a class is one tree in all patterns that name it, and is worked out once.
        self._instructions: dict[tuple[int, frozenset[str]], Instructions] = {}
        self._ranges: dict[frozenset[str], tuple[int, int]] = {}
        self._bounds: list[int] = []
        self._choices: list[int] = []
        self._firsts: dict[int, frozenset[str] | None] = {}
        self._expressions: list[tuple[Instructions, tuple[int, int], Sequence[tuple[int, int]]]] = []
        self._frequencies: dict[str, float] = {}
        for word, share in alphabet.language.frequencies.items():
            symbols = alphabet.encode(word)
            self._frequencies[symbols] = self._frequencies.get(symbols, 0.0) + share
        self._pair_shares: dict[tuple[frozenset[str], frozenset[str]], float] = {}
        self._pairs: dict[tuple[str, str], float] = {}
        for (first, second), share in alphabet.language.pairs.items():
            both = alphabet.encode(first), alphabet.encode(second)
            self._pairs[both] = self._pairs.get(both, 0.0) + share

    def symbols(self, node: Said | Fused | Shape) -> frozenset[str]:
        """The symbols of all words that a single word of a pattern can be."""
        found = self._sets.get(node)
        if found is None:
            held = (self._holders.get(feature, ()) for feature, _ in features(node, self.alphabet))
            found = self._sets[node] = frozenset(chain.from_iterable(held))
        return found

    def add(
        self, *nodes: Node, stopped_by: Iterable[str] = (), at_end: bool = False, unless: Sequence[tuple[int, int]] = ()
    ) -> int:
        """A new expression, by number: any of the nodes, the first that matches. Its gaps do not cross ``stopped_by``
        symbols; ``at_end`` asks for a match up to the end of what is searched; ``unless`` are expressions that must
        not be within so many words of a match."""
        stop = frozenset(stopped_by)
        instructions = self._either([(self._instructions_of(node, stop), self._first(node)) for node in nodes])
        instructions += (END, 0, 0, MATCH, 0, 0) if at_end else (MATCH, 0, 0)
        first = [self._first(node) for node in nodes]
        known = [symbols for symbols in first if symbols is not None]
        head = self._set(frozenset().union(*known)) if len(known) == len(nodes) else (0, 0)
        self._expressions.append((instructions, head, unless))
        return len(self._expressions) - 1

    def code(self) -> Code:
        """All expressions so far, ready to run."""
        parts = [instructions for instructions, _, _ in self._expressions]
        sizes = [len(instructions) for instructions in parts]
        guards = [len(unless) for _, _, unless in self._expressions]
        return Code(
            instructions=_array(chain.from_iterable(parts)),
            ranges=_array(self._bounds),
            choices=_array(self._choices),
            entries=_array(accumulate(sizes[:-1], initial=0)),
            heads=_array(chain.from_iterable(head for _, head, _ in self._expressions)),
            guards=_array(accumulate(guards, initial=0)),
            unless=_array(chain.from_iterable(chain.from_iterable(unless for _, _, unless in self._expressions))),
            # No instruction leads back, so each leaves at most one way to come back to: four numbers.
            stack=np.zeros(4 * max(sizes, default=0) // WIDTH + 4, dtype=np.int64),
            marks=np.zeros(3, dtype=np.int64),
        )

    def _instructions_of(self, node: Node, stop: frozenset[str]) -> Instructions:
        key = id(node), stop
        found = self._instructions.get(key)
        if found is None:
            found = self._instructions[key] = self._made(node, stop)
        return found

    def _made(self, node: Node, stop: frozenset[str]) -> Instructions:
        if isinstance(node, Said | Fused | Shape):
            return WORD, *self._set(self.symbols(node))
        if isinstance(node, Gap):
            return self._gap(node.most, stop)
        if isinstance(node, Seq):
            return tuple(chain.from_iterable(self._instructions_of(part, stop) for part in node.parts))
        if isinstance(node, Opt):
            part = self._instructions_of(node.part, stop)
            return SPLIT, WIDTH, WIDTH + len(part), *part
        if isinstance(node, Alt):
            singles: set[str] = set()
            options: list[Option] = []
            for option in node.options:
                if isinstance(option, Said | Fused | Shape):
                    singles |= self.symbols(option)
                else:
                    options.append((self._instructions_of(option, stop), self._first(option)))
            if singles:
                options.append(((WORD, *self._set(frozenset(singles))), frozenset(singles)))
            return self._either(options)
        first, second = self._instructions_of(node.first, stop), self._instructions_of(node.second, stop)
        between = (LEFT, 0, 0, *self._gap(node.words, stop), RIGHT, 0, 0)
        forward = (*first, *between, *second)
        if node.ordered:
            return forward
        return self._either(
            [(forward, self._first(node.first)), ((*second, *between, *first), self._first(node.second))]
        )

    def _first(self, node: Node) -> frozenset[str] | None:
        """What a node can begin with, as :func:`edge` has it."""
        if id(node) not in self._firsts:
            self._firsts[id(node)] = edge(node, self, last=False)
        return self._firsts[id(node)]

    def _either(self, options: Sequence[Option]) -> Instructions:
        """The first of some options that will do; none where there are none."""
        codes = [instructions for instructions, _ in options]
        if not codes:
            return WORD, 0, 0
        if len(codes) < MANY:
            found = codes[-1]
            for code in reversed(codes[:-1]):
                found = (SPLIT, WIDTH, 2 * WIDTH + len(code), *code, JUMP, WIDTH + len(found), 0, *found)
            return found
        # By the next word, the options that can begin with it; some can begin with any.
        always = tuple(number for number, (_, first) in enumerate(options) if first is None)
        by_row: dict[int, list[int]] = {}
        for number, (_, first) in enumerate(options):
            for row in rows_of(first or ()):
                by_row.setdefault(row, list(always)).append(number)
        choices = {row: tuple(sorted(numbers)) for row, numbers in by_row.items()}
        # First what is tried for each choice, then the options; each leads on to the end.
        lists = [always, *sorted(set(choices.values()) - {always})]
        begins = [*accumulate((WIDTH * len(numbers) or WIDTH for numbers in lists), initial=WIDTH)]
        places = [*accumulate((len(code) + WIDTH for code in codes), initial=begins[-1])]
        body: list[int] = []
        for numbers, begin in zip(lists, begins, strict=False):
            here = begin
            for number in numbers[:-1]:
                body += SPLIT, places[number] - here, WIDTH
                here += WIDTH
            body += (JUMP, places[numbers[-1]] - here, 0) if numbers else (WORD, 0, 0)
        for code, place in zip(codes, places, strict=False):
            body += *code, JUMP, places[-1] - place - len(code), 0
        at = dict(zip(lists, begins, strict=False))
        begin = len(self._choices) // CHOICE
        # Neighbours with one choice have one difference between their row and their place among the sorted ones.
        rows = sorted(choices)
        for _, run in groupby(enumerate(rows), lambda each: (each[1] - each[0], choices[each[1]])):
            own = [row for _, row in run]
            self._choices += own[0], own[-1], at[choices[own[0]]]
        return CHOOSE, begin, len(self._choices) // CHOICE, *body

    def _gap(self, most: int, stop: frozenset[str]) -> Instructions:
        """As few words as will do, up to ``most``."""
        word = WORD, *self._set(stop | {BREAK}, others=True)
        step = WIDTH + len(word)
        return tuple(chain.from_iterable((SPLIT, step * (most - nth), WIDTH, *word) for nth in range(most)))

    def _set(self, symbols: frozenset[str], *, others: bool = False) -> tuple[int, int]:
        """The ranges of some symbols, or of all others: numbers of the first and of the one after the last."""
        key = symbols | {""} if others else symbols
        found = self._ranges.get(key)
        if found is None:
            rows = sorted(rows_of(symbols))
            # Neighbours have one difference between their row and their place among the sorted ones.
            runs = [[row for _, row in run] for _, run in groupby(enumerate(rows), lambda each: each[1] - each[0])]
            bounds = [(run[0], run[-1]) for run in runs]
            if others:
                edges = [-1, *chain.from_iterable(bounds), ROWS]
                bounds = [(low + 1, high - 1) for low, high in zip(edges[::2], edges[1::2], strict=True)]
                bounds = [(low, high) for low, high in bounds if low <= high]
            begin = len(self._bounds) // 2
            self._bounds += chain.from_iterable(bounds)
            found = self._ranges[key] = begin, begin + len(bounds)
        return found

    def share(self, symbols: frozenset[str]) -> float:
        """The share of all words that are one of the symbols."""
        found = self._shares.get(symbols)
        if found is None:
            found = self._shares[symbols] = sum(self._frequencies.get(s, RARE) for s in symbols)
        return found

    def pair_share(self, first: frozenset[str], second: frozenset[str]) -> float:
        """The share of all words that are one of ``first`` with one of ``second`` right after, as far as is known."""
        found = self._pair_shares.get((first, second))
        if found is None:
            pairs = self._pairs.items()
            found = sum(share for (one, other), share in pairs if one in first and other in second)
            self._pair_shares[first, second] = found
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


def leaves(*nodes: Node) -> Iterator[Said | Fused | Shape]:
    """All single words of some trees; a class is one tree in all patterns that name it, and is looked at once."""
    seen: set[int] = set()
    due = [*nodes]
    while due:
        node = due.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, Said | Fused | Shape):
            yield node
        else:
            due += _parts(node)


def together(nodes: Iterable[Node], alphabet: Alphabet) -> Iterator[frozenset[Feature]]:
    """What each set of symbols in the expressions of some trees asks for: single words, and alternatives that are."""
    known: dict[Said | Fused | Shape, frozenset[Feature]] = {}

    def asked(leaf: Said | Fused | Shape) -> frozenset[Feature]:
        if leaf not in known:
            known[leaf] = frozenset(feature for feature, _ in features(leaf, alphabet))
        return known[leaf]

    due = [*nodes]
    while due:
        node = due.pop()
        if isinstance(node, Said | Fused | Shape):
            yield asked(node)
            continue
        parts = _parts(node)
        if isinstance(node, Alt):
            singles = [option for option in parts if isinstance(option, Said | Fused | Shape)]
            yield frozenset[Feature]().union(*map(asked, singles))
            parts = [option for option in parts if not isinstance(option, Said | Fused | Shape)]
        due += parts


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


def edge(node: Node, program: Program, *, last: bool) -> frozenset[str] | None:
    """The symbols that a match can begin (or end) with; None where that may be any, or where it may be empty."""
    if isinstance(node, Said | Fused | Shape):
        return program.symbols(node)
    if isinstance(node, Gap | Opt):
        return None
    if isinstance(node, Alt):
        inner = [edge(option, program, last=last) for option in node.options]
    elif isinstance(node, Near):
        ends = (node.second if last else node.first,) if node.ordered else (node.first, node.second)
        inner = [edge(end, program, last=last) for end in ends]
    else:
        met: frozenset[str] = frozenset()
        for part in reversed(node.parts) if last else node.parts:
            if isinstance(part, Opt):
                within = edge(part.part, program, last=last)
                if within is None:
                    return None
                met |= within
                continue
            found = edge(part, program, last=last)
            return None if found is None else met | found
        return None
    known = [symbols for symbols in inner if symbols is not None]
    return frozenset().union(*known) if len(known) == len(inner) else None


def needed(node: Node, program: Program) -> list[frozenset[str]]:
    """Sets of symbols of which every match holds one each, the rarest first; none where that cannot be said."""
    if isinstance(node, Said | Fused | Shape):
        return [program.symbols(node)]
    if isinstance(node, Gap | Opt):
        return []
    inner = [needed(part, program) for part in _parts(node)]
    if isinstance(node, Alt):
        return [frozenset().union(*(sets[0] for sets in inner))] if all(inner) else []
    return sorted(chain.from_iterable(inner), key=lambda symbols: (program.share(symbols), sorted(symbols)))


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


def _array(numbers: Iterable[int]) -> Any:
    return np.fromiter(numbers, dtype=np.int32)

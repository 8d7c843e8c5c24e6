"""Patterns made to run: each becomes a regular expression over symbols.

One character is one word, so an expression over a sentence is short; every part is bounded, so the work per candidate
is bounded, whatever the text: :data:`MAX_WORK` is checked when a pattern is read.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from itertools import chain, groupby

from callscan.lexicon.alphabet import BREAK, Alphabet, Feature
from callscan.lexicon.pattern import Alt, Fused, Gap, Near, Node, Opt, Said, Seq, Shape

MAX_WORK = 1_000_000
"""Ways in which one pattern may be tried at one place."""
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
        self._expressions: dict[tuple[int, bool], str] = {}
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

    def expression(self, node: Node, stopped_by: str = "") -> str:
        """The regular expression of a node; gaps do not cross ``stopped_by`` symbols."""
        key = id(node), bool(stopped_by)
        found = self._expressions.get(key)
        if found is None:
            found = self._expressions[key] = self._expression(node, stopped_by)
        return found

    def _expression(self, node: Node, stopped_by: str) -> str:
        if isinstance(node, Said | Fused | Shape):
            return charset(self.symbols(node))
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
                others.append(charset(singles))
            return others[0] if len(others) == 1 else f"(?:{'|'.join(others)})"
        first, second = self.expression(node.first, stopped_by), self.expression(node.second, stopped_by)
        gap = _gap(node.words, stopped_by)
        # The empty groups mark where the gap is, for the check in seconds.
        forward = f"{first}(?P<left>){gap}(?P<right>){second}" if node.seconds is not None else f"{first}{gap}{second}"
        return forward if node.ordered else f"(?:{forward}|{second}{gap}{first})"

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
    due = [*nodes]
    while due:
        node = due.pop()
        if isinstance(node, Said | Fused | Shape):
            yield frozenset(feature for feature, _ in features(node, alphabet))
            continue
        parts = _parts(node)
        if isinstance(node, Alt):
            singles = [option for option in parts if isinstance(option, Said | Fused | Shape)]
            yield frozenset(feature for single in singles for feature, _ in features(single, alphabet))
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


def charset(symbols: Iterable[str]) -> str:
    """The expression for one of some symbols."""
    # Neighbours have one difference between their number and their place among the sorted ones.
    runs = [
        [one for _, one in run] for _, run in groupby(enumerate(sorted(symbols)), lambda each: ord(each[1]) - each[0])
    ]
    if len(runs) == 1 and len(runs[0]) == 1:
        return runs[0][0]
    return f"[{''.join(run[0] if len(run) == 1 else f'{run[0]}-{run[-1]}' for run in runs)}]" if runs else "(?!)"


def _gap(most: int, stopped_by: str) -> str:
    return f"[^{BREAK}{stopped_by}]{{0,{most}}}?" if most else ""


def compiled(expression: str) -> re.Pattern[str]:
    """An expression over symbols, ready to run; kept here so that one place knows how they are run."""
    return re.compile(expression)

"""The pattern language: its grammar, and the tree that a pattern is read into.

A tree is made of frozen values and knows nothing of a language's sounds; :mod:`callscan.lexicon.program` turns it
into something that runs. ``keywords/README.md`` describes the language for those who write patterns.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

GRAMMAR = r"""
start: near (NOT near)*
near: alt ((NEAR|BEFORE) alt)?
alt: seq ("|" seq)*
seq: item+
item: atom OPTIONAL?
?atom: WORD -> word
     | EXACT -> exact
     | INFLECTED -> inflected
     | CLASS -> named
     | GAP -> gap
     | "(" alt ")"
OPTIONAL: "?"
NOT: /NOT(\/\d+)?(?![^\s(])/
NEAR: /NEAR\/\d+s?(?![^\s(])/
BEFORE: /BEFORE\/\d+s?(?![^\s(])/
GAP: /\.\.\d*/
CLASS: /<[a-z_]+>/
INFLECTED: /\{[a-zà-ÿœ]+\}/
EXACT: /=[a-zà-ÿœ0-9]+/
WORD: /[a-zà-ÿœ0-9]+(?:['-][a-zà-ÿœ0-9]+)*'?/
%ignore /[ \t]+/
"""
DEFAULT_GAP = 3
DEFAULT_NOT = 5
MAX_GAP = 20


class _Tree:
    """A value that is pickled as its fields alone: what ``dataclass`` does by itself takes three times as long."""

    __slots__: tuple[str, ...] = ()

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), tuple(getattr(self, name) for name in self.__slots__)


@dataclass(frozen=True, slots=True)
class Said(_Tree):
    """One word, by how it sounds; ``exact`` asks for this very spelling, ``inflected`` for any of its forms."""

    word: str
    exact: bool = False
    inflected: bool = False


@dataclass(frozen=True, slots=True)
class Fused(_Tree):
    """An elided pair heard and written as one word: "m'a" as "ma", "c'est" as "ses"."""

    first: str
    second: str


@dataclass(frozen=True, slots=True)
class Shape(_Tree):
    """A word by its shape: ``digits`` ("48") or ``digit_ordinal`` ("3e", "3ème")."""

    name: str


@dataclass(frozen=True, slots=True)
class Gap(_Tree):
    """Up to ``most`` words, whatever they are."""

    most: int


@dataclass(frozen=True, slots=True)
class Seq(_Tree):
    """One after the other."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Alt(_Tree):
    """One of these."""

    options: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Opt(_Tree):
    """This or nothing."""

    part: Node


@dataclass(frozen=True, slots=True)
class Near(_Tree):
    """Both, at most ``words`` words (or ``seconds``) apart; ``ordered`` means the first comes first."""

    first: Node
    second: Node
    words: int
    ordered: bool
    seconds: float | None = None


Node = Said | Fused | Shape | Gap | Seq | Alt | Opt | Near


@dataclass(frozen=True, slots=True)
class Pattern:
    """A parsed pattern: what must be found, and what must not be found within so many words around it."""

    text: str
    node: Node
    unless: tuple[tuple[Node, int], ...] = ()


class PatternError(Exception):
    """What is wrong in a pattern: ``column`` counts from 0 within its text."""

    def __init__(self, message: str, column: int, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.column = column
        self.hint = hint


SHAPES = ("digits", "digit_ordinal")
SILENT = frozenset({"ne", "n"})
_ELISION = re.compile(r"['’-]")


# A lexicon says the same few thousand words a hundred thousand times: each is one value.
@cache
def split_word(text: str, dropped: frozenset[str]) -> Node | None:
    """A written word as the tree of the words that are heard; None where nothing of it counts ("n'")."""
    parts = [part for part in _ELISION.split(text) if part]
    if len(parts) == 2 and "'" in text and not dropped.intersection(parts):
        return Alt((Seq((Said(parts[0]), Said(parts[1]))), Fused(parts[0], parts[1])))
    kept = tuple(Said(part) for part in parts if part not in dropped)
    if not kept:
        return None
    return kept[0] if len(kept) == 1 else Seq(kept)


@cache
def _exact(word: str) -> Said:
    return Said(word, exact=True)


@cache
def _inflected(word: str) -> Said:
    return Said(word, inflected=True)


def parse(text: str, classes: Mapping[str, Node], dropped: frozenset[str] = frozenset()) -> Pattern:
    """Read one pattern. ``classes`` gives the meaning of ``<name>``; words in ``dropped`` are never looked for.

    Raises :class:`PatternError`.
    """
    from lark.exceptions import UnexpectedCharacters, UnexpectedEOF, UnexpectedToken

    try:
        tree = _parser().parse(text)
    except UnexpectedCharacters as error:
        raise _unexpected(text, error.pos_in_stream or 0) from None
    except UnexpectedToken as error:
        at = getattr(error.token, "start_pos", None)
        end = error.token.type == "$END" or at is None
        raise _unexpected(text, len(text) if end else int(at or 0)) from None
    except UnexpectedEOF:
        raise _unexpected(text, len(text)) from None
    return _Builder(text, classes, dropped).pattern(tree)


def _unexpected(text: str, at: int) -> PatternError:
    rest = text[at:]
    opened = _unclosed(text)
    if not text.strip():
        return PatternError("the pattern is empty", 0, "write at least one word, or remove the line")
    if opened is not None and (not rest or rest[0] in "({<"):
        return PatternError(f"'{text[opened]}' is never closed", opened, "add the closing bracket")
    if not rest:
        return PatternError("the pattern ends too early", at, "something must follow here: a word, a group or a class")
    first = rest[0]
    if first in ")}>":
        return PatternError(f"'{first}' closes nothing", at, "remove it, or open a bracket before it")
    if first == "{":
        return PatternError("'{' must hold one word", at, "write {rappeler} for all forms of rappeler")
    if first == "<":
        return PatternError("'<' must hold a class name", at, "write <number>; class names are a-z and _")
    if first.isupper():
        word = rest.split()[0]
        return PatternError(
            f"'{word}' is not an operator", at, "words are written in lower case; operators are NOT, NEAR/5, BEFORE/5"
        )
    if first == "?":
        return PatternError(
            "'?' follows nothing", at, "'?' makes the word or group before it optional: 'tout ?' is 'tout?'"
        )
    if first == "|":
        return PatternError("'|' has nothing on one side", at, "write (a | b)")
    return PatternError(f"'{first}' is not part of the pattern language", at, "see keywords/README.md")


def _unclosed(text: str) -> int | None:
    pairs = {")": "(", "}": "{", ">": "<"}
    stack: list[int] = []
    for at, letter in enumerate(text):
        if letter in "({<":
            stack.append(at)
        elif letter in pairs and stack and text[stack[-1]] == pairs[letter]:
            stack.pop()
    return stack[-1] if stack else None


@lru_cache(maxsize=1)
def _parser() -> Any:
    from lark import Lark

    # Positions of trees cost as much as parsing; those of tokens, which are free, do.
    return Lark(GRAMMAR, parser="lalr")


class _Builder:
    """Turns lark's tree into ours."""

    def __init__(self, text: str, classes: Mapping[str, Node], dropped: frozenset[str]) -> None:
        self.text = text
        self.classes = classes
        self.dropped = dropped
        self.makers: dict[str, Callable[[Any], Node | None]] = {
            "near": self.near,
            "alt": self.alt,
            "seq": self.seq,
            "item": self.item,
            "word": self.word,
            "exact": lambda tree: _exact(str(tree.children[0])[1:]),
            "inflected": lambda tree: _inflected(str(tree.children[0])[1:-1]),
            "named": self.named,
            "gap": self.gap,
        }

    def pattern(self, tree: Any) -> Pattern:
        first, *rest = tree.children
        node = self.need(first)
        unless = []
        for operator, excluded in zip(rest[::2], rest[1::2], strict=True):
            _, _, words = str(operator).partition("/")
            unless.append((self.need(excluded), self.number(words or str(DEFAULT_NOT), operator)))
        return Pattern(self.text, node, tuple(unless))

    def make(self, tree: Any) -> Node | None:
        return self.makers[tree.data](tree)

    def need(self, tree: Any) -> Node:
        node = self.make(tree)
        if node is None or _only_gaps(node):
            raise PatternError(
                "nothing here is ever looked for",
                min(token.start_pos for token in tree.scan_values(lambda value: hasattr(value, "start_pos"))),
                "'ne', hesitations and gaps alone match no word; add one that does",
            )
        return node

    def number(self, digits: str, token: Any) -> int:
        if int(digits) > MAX_GAP:
            raise PatternError(f"{digits} words is too far", token.start_pos, f"the most is {MAX_GAP}")
        return int(digits)

    def near(self, tree: Any) -> Node | None:
        if len(tree.children) == 1:
            return self.make(tree.children[0])
        first, operator, second = tree.children
        name, _, distance = str(operator).partition("/")
        seconds = float(distance[:-1]) if distance.endswith("s") else None
        words = min(MAX_GAP, int(distance[:-1]) * 4) if seconds is not None else self.number(distance, operator)
        return Near(self.need(first), self.need(second), words, name == "BEFORE", seconds)

    def word(self, tree: Any) -> Node | None:
        token = tree.children[0]
        if str(token) in self.dropped - SILENT:
            raise PatternError(
                f"'{token}' is never listened for",
                token.start_pos,
                "hesitations and intensifiers are skipped: leave it out",
            )
        return split_word(str(token), self.dropped)

    def alt(self, tree: Any) -> Node | None:
        if len(tree.children) == 1:
            return self.make(tree.children[0])
        made = [self.make(child) for child in tree.children]
        options = tuple(node for node in made if node is not None)
        if not options:
            return None
        # An option made of words that are never looked for is no option.
        return options[0] if len(options) == 1 else Alt(options)

    def seq(self, tree: Any) -> Node | None:
        parts: list[Node] = []
        for child in tree.children:
            node = self.make(child)
            if isinstance(node, Seq):
                parts.extend(node.parts)
            elif node is not None:
                parts.append(node)
        if not parts:
            return None
        fused = _fuse(parts)
        return fused[0] if len(fused) == 1 else Seq(tuple(fused))

    def item(self, tree: Any) -> Node | None:
        node = self.make(tree.children[0])
        return Opt(node) if node is not None and len(tree.children) == 2 else node

    def named(self, tree: Any) -> Node:
        token = tree.children[0]
        name = str(token)[1:-1]
        if name in SHAPES:
            return Shape(name)
        if name not in self.classes:
            import difflib

            close = difflib.get_close_matches(name, [*self.classes, *SHAPES], n=1)
            hint = (
                f"did you mean <{close[0]}>?"
                if close
                else "known: " + ", ".join(f"<{n}>" for n in sorted(self.classes))
            )
            raise PatternError(f"unknown class <{name}>", token.start_pos, hint)
        return self.classes[name]

    def gap(self, tree: Any) -> Node:
        token = tree.children[0]
        return Gap(self.number(str(token)[2:] or str(DEFAULT_GAP), token))


_FUSIONS = (("m", "a"), ("m", "ont"), ("l", "a"), ("l", "ai"), ("t", "a"), ("s", "est"), ("j", "ai"))
"""Elided pairs that sound like another word ("ma", "mon", "la", "les", "ta", "ses", "gé") and are written as it."""


_FUSING = frozenset(word for pair in _FUSIONS for word in pair)


def _fuse(parts: list[Node]) -> list[Node]:
    """The parts with "(m' | me) (a | ont)" also met by "ma" and "mon"."""
    heads = [_fusing(part) for part in parts]
    fused: list[Node] = []
    place = 0
    while place < len(parts):
        pairs: list[tuple[str, str]] = []
        if place + 1 < len(parts) and heads[place] and heads[place + 1]:
            pairs = [pair for pair in _FUSIONS if pair[0] in heads[place] and pair[1] in heads[place + 1]]
        if pairs:
            both = Seq((parts[place], parts[place + 1]))
            fused.append(Alt((both, *(Fused(first, second) for first, second in pairs))))
            place += 2
        else:
            fused.append(parts[place])
            place += 1
    return fused


def _fusing(node: Node) -> frozenset[str]:
    """Which words of a fusion a part can be, all by itself."""
    if isinstance(node, Said):
        return frozenset() if node.exact or node.inflected or node.word not in _FUSING else frozenset([node.word])
    if isinstance(node, Opt):
        return _fusing(node.part)
    if isinstance(node, Alt):
        return frozenset().union(*map(_fusing, node.options))
    return frozenset()


def _only_gaps(node: Node) -> bool:
    if isinstance(node, Seq):
        return all(_only_gaps(part) for part in node.parts)
    return isinstance(node, Gap | Opt)

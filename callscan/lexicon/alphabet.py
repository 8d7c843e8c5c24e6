"""Words as symbols: every word of a text becomes one character that says which pattern words it can be.

A pattern word asks for *features*: a sound, an exact spelling, a shape. A text's word has the features it meets. All
words with the same features share a symbol, so there are a few thousand symbols however long the text; the words
that no pattern asks for share one. Each distinct word is looked at once and remembered.
"""

from __future__ import annotations

import re
import struct
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import Protocol

from callscan.errors import ConfigError

Feature = tuple[str, str]
"""("sound", key), ("exact", spelling) or ("shape", name)."""

MAX_WORDS = 200_000
"""Distinct words that are remembered; past it the memory starts again from the pattern words."""
MAX_WORD_LENGTH = 64


class Language(Protocol):
    """What the matcher needs to know of a language; all words are lower case."""

    code: str
    dropped: frozenset[str]
    numbers: tuple[str, ...]
    clitics: re.Pattern[str]

    @property
    def frequencies(self) -> Mapping[str, float]:
        """The share of all words (0 to 1) of those said most."""

    @property
    def pairs(self) -> Mapping[tuple[str, str], float]:
        """The share of all words (0 to 1) of the pairs said most, one right after the other."""

    def sound(self, word: str) -> str:
        """A key that words which sound alike share."""

    def fold(self, word: str) -> str:
        """The word without accents."""

    def inflections(self, word: str) -> tuple[tuple[str, str], ...]:
        """All forms of a word, each with the spelling that its sound is taken from."""

    def fused(self, first: str, second: str) -> str:
        """The key of an elided pair heard as one word."""


_PLANE = 0xF0000
"""Symbols are private characters, which no text holds."""
LOWEST, _AFTER_LAST = 0x8000, 0xFFFE
"""Numbers of symbols in arrays (16 bit): their places in the plane."""


def symbol(index: int) -> str:
    """The character of a symbol."""
    return chr(_PLANE + LOWEST + index)


def number_of(symbol: str) -> int:
    """What stands for a symbol in arrays."""
    return ord(symbol) - _PLANE


def numbers_of(symbols: str) -> bytes:
    """What stands for some symbols in arrays: 16 bit each, little-endian."""
    return struct.pack(f"<{len(symbols)}H", *map(number_of, symbols))


def rows_of(symbols: Iterable[str]) -> list[int]:
    """The rows of some symbols."""
    return [number_of(one) - LOWEST for one in symbols]


_RESERVED = 5
DROP, JOIN, SEGMENT, BREAK, OTHER = (symbol(i) for i in range(_RESERVED))
ROWS = _AFTER_LAST - LOWEST
"""Symbols at most, and rows of a table by symbol; row 0 is no word of a text."""
_SEPARATORS = {"\x1d": BREAK, "\x1e": SEGMENT}
_DIGITS = re.compile(r"[0-9]+")
_ORDINAL = re.compile(r"[0-9]+(?:e|er|ère|ere|re|nd|nde|ème|eme|ième|ieme|st|rd|th)")
_MIXED = re.compile(r"([0-9]+)([a-zà-ÿœ]+)([0-9]*)")


class Alphabet:
    """The symbols of one set of patterns in one language."""

    def __init__(self, language: Language) -> None:
        self.language = language
        self._asked: set[Feature] = set()
        self._surfaces: dict[str, set[Feature]] = {}
        self._symbols: dict[frozenset[Feature], str] = {}
        self._words: dict[str, str] = {}

    # -- while patterns are read

    def ask(self, features: Iterable[Feature], surfaces: Iterable[tuple[str, Feature]] = ()) -> None:
        """Some pattern asks for these features; ``surfaces`` are spellings known to have one."""
        self._asked.update(features)
        for spelling, feature in surfaces:
            self._surfaces.setdefault(spelling, set()).add(feature)

    def freeze(self, together: Iterable[frozenset[Feature]] = ()) -> None:
        """All patterns are read: give every set of features that a word can have its symbol.

        Words that patterns ask for ``together`` are neighbours as far as that can be: most of an expression is sets of
        symbols, and whether a word is in one is told sooner where it is a few ranges than where it is many.
        """
        sound, fold = self.language.sound, self.language.fold
        for spelling, features in self._surfaces.items():
            features.add(("sound", sound(spelling)))
        for value, spelled in enumerate(self.language.numbers):
            self._surfaces[str(value)] = {("sound", sound(spelled)), ("exact", spelled), ("shape", "digits")}
        folded: dict[str, set[Feature]] = {}
        for spelling, features in self._surfaces.items():
            plain = fold(spelling)
            if plain not in self._surfaces:
                folded.setdefault(plain, {("sound", sound(plain))}).update(features)
        self._surfaces.update(folded)
        for dropped in self.language.dropped:
            self._words[dropped] = DROP
            if fold(dropped) not in self._surfaces:
                self._words[fold(dropped)] = DROP
        known = {spelling: self._surfaces[spelling] & self._asked for spelling in self._surfaces.keys() - self._words}
        sets = {frozenset(features) for features in known.values()} | {frozenset([one]) for one in self._asked}
        self._assign(sets - {frozenset()}, Counter(together))
        for spelling, features in known.items():
            self._words[spelling] = self._symbols.get(frozenset(features), OTHER)
        self._words.update(_SEPARATORS)
        self._surfaces.clear()

    def _assign(self, sets: Collection[frozenset[Feature]], together: Counter[frozenset[Feature]]) -> None:
        if len(sets) > ROWS - _RESERVED:
            raise ConfigError(
                f"the lexicons ask for more than {ROWS - _RESERVED} different words",
                "take out patterns, or write a few plain forms for rare verbs in braces: each has dozens of forms",
            )
        # What expressions are made of most comes first; words of the same ones are neighbours then.
        ranked = sorted(together, key=lambda asked: (-together[asked] * len(asked), -len(asked), sorted(asked)))
        ranks: dict[Feature, list[int]] = {}
        for rank, asked in enumerate(ranked):
            for feature in asked:
                ranks.setdefault(feature, []).append(rank)
        by_rank = {one: sorted({rank for feature in one for rank in ranks.get(feature, ())}) for one in sets}
        for index, features in enumerate(sorted(sets, key=lambda one: (by_rank[one], sorted(one))), _RESERVED):
            self._symbols[features] = symbol(index)

    # -- afterwards

    @property
    def symbols(self) -> Mapping[frozenset[Feature], str]:
        """The symbol of each set of features that a word can have."""
        return self._symbols

    def encode(self, word: str) -> str:
        """The symbols of one normalised word: one, or several with JOIN between them ("jai" as "j" and "ai")."""
        known = self._words.get(word)
        if known is not None:
            return known
        if len(word) > MAX_WORD_LENGTH:
            return OTHER
        word = word.replace("½", "oe") if "½" in word else word
        if word in self._words:
            return self._words[word]
        if _DIGITS.fullmatch(word):
            return self._get({("shape", "digits")})
        if _ORDINAL.fullmatch(word):
            return self._get({("shape", "digit_ordinal")})
        mixed = _MIXED.fullmatch(word)
        if mixed:
            return JOIN.join(self.encode(part) for part in mixed.groups() if part)
        clitic = self.language.clitics.fullmatch(word)
        if clitic and len(word) > 4 and clitic[2] in self._words:
            return self.encode(clitic[1]) + JOIN + self._words[clitic[2]]
        found = self._get({("sound", self.language.sound(word))})
        if found == OTHER and clitic:
            rest = self.encode(clitic[2])
            if rest != OTHER:
                return self.encode(clitic[1]) + JOIN + rest
        return found

    def _get(self, features: set[Feature]) -> str:
        return self._symbols.get(frozenset(features & self._asked), OTHER)

    @property
    def words(self) -> dict[str, str]:
        """Spellings known before any text was read, with their symbols."""
        return dict(self._words)


class WordMemory(dict[bytes, bytes]):
    """Normalised words (Latin-1 bytes) to the numbers of their symbols, filled as words turn up."""

    def __init__(self, alphabet: Alphabet) -> None:
        super().__init__()
        self._alphabet = alphabet
        self._start = {
            word.encode("latin-1", "replace"): numbers_of(symbols) for word, symbols in alphabet.words.items()
        }
        self.update(self._start)

    def __missing__(self, word: bytes) -> bytes:
        symbols = numbers_of(self._alphabet.encode(word.decode("latin-1")))
        if len(word) <= MAX_WORD_LENGTH:
            if len(self) >= MAX_WORDS:
                self.clear()
                self.update(self._start)
            self[word] = symbols
        return symbols

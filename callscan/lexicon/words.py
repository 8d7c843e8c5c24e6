"""Texts to symbols: tables hold what words were seen before, so that only new ones are looked at one by one.

A word of up to seven letters is known by its bytes, a longer one by 62 bits of hash over them; words over 64 bytes are
never looked up.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import Any

import numpy as np

from callscan.lexicon.alphabet import LOWEST, MAX_WORD_LENGTH, OTHER, WordMemory, number_of
from callscan.lexicon.compiled import looked_up
from callscan.lexicon.tokens import FIRST_BITS, SECOND_BITS, slots

_TYPOGRAPHIC = str.maketrans({"’": "'", "‘": "'", "ʼ": "'", "œ": "½", "Œ": "½", "Ÿ": "ÿ", "…": ".", "–": "-", "—": "-"})
_BLOCK = 1 << 16
_MOST_SEVERAL = 10_000
"""Words of several symbols that the tables hold; their numbers stand there, which are under any symbol's. So many can
be new before it is asked again that no number becomes one: :data:`callscan.lexicon.compiled.NEW`."""


def _table() -> bytes:
    table = bytearray(b" " * 256)
    for code in range(256):
        letter = chr(code)
        if letter.isalpha() and letter not in "ªº":
            lowered = letter.lower()
            table[code] = ord(lowered) if len(lowered) == 1 and ord(lowered) < 256 else code
        elif letter in "0123456789½":
            table[code] = code
    table[0x1D], table[0x1E] = 0x1D, 0x1E
    return bytes(table)


_TABLE = _table()


def normalised(text: str) -> tuple[str, bytes]:
    """The text in NFC, and its lower-case words and spaces, one byte per character: accents stay, punctuation goes."""
    try:
        return text, text.encode("latin-1").translate(_TABLE)
    except UnicodeEncodeError:
        text = unicodedata.normalize("NFC", text)
        return text, text.translate(_TYPOGRAPHIC).encode("latin-1", "replace").translate(_TABLE)


@dataclass(frozen=True, slots=True)
class Words:
    """The words of a text: ``symbols`` (16 bit; a word of several has JOIN between them), where each word starts and
    ends in the text (characters)."""

    symbols: Any
    starts: Any
    ends: Any


class WordTable:
    """Symbols of words by their hash, for one alphabet. Not for use by two threads at once."""

    def __init__(self, memory: WordMemory) -> None:
        self._memory = memory
        self._empty()

    def _empty(self) -> None:
        self._keys = [np.zeros(1 << bits, dtype=np.int64) for bits in (FIRST_BITS, SECOND_BITS)]
        self._values = [np.zeros(1 << bits, dtype=np.uint16) for bits in (FIRST_BITS, SECOND_BITS)]
        self._several: list[Any] = []

    def read(self, data: bytes) -> Words:
        """The words of a normalised text."""
        text = np.frombuffer(data + b" ", dtype=np.uint8)
        parts: list[tuple[Any, Any, Any]] = []
        at = 0
        while at < len(text):
            if len(self._several) > _MOST_SEVERAL:
                self._empty()
            symbols, starts, ends, new, at = looked_up(text, at, *self._keys, *self._values)
            for place, hashed in new:
                symbols[place] = self._symbol(data[starts[place] : ends[place]], hashed)
            several = np.flatnonzero(symbols < LOWEST)
            parts.append((self._spread(symbols, several) if len(several) else symbols, starts, ends))
        return Words(*(parts[0] if len(parts) == 1 else map(np.concatenate, zip(*parts, strict=True))))

    def _symbol(self, word: bytes, hashed: int) -> int:
        """The symbol of a new word, kept for the next time; the number of its symbols where it has several."""
        if len(word) > MAX_WORD_LENGTH:
            return number_of(OTHER)
        table, slot = 0, slots(hashed)[0]
        if self._keys[0][slot] not in (0, hashed):
            # Taken by another word, which is as likely to come again: this one goes to the second table.
            table, slot = 1, slots(hashed)[1]
        if self._keys[table][slot] != hashed:  # or it was new a few words ago
            found = self._memory[word]
            value = int.from_bytes(found, "little")
            if len(found) != 2:
                value = len(self._several)
                self._several.append(np.frombuffer(found, dtype="<u2"))
            self._keys[table][slot], self._values[table][slot] = hashed, value
        return int(self._values[table][slot])

    def _spread(self, symbols: Any, several: Any) -> Any:
        """The symbols with those of each word of several for its number."""
        own = [self._several[number] for number in symbols[several].tolist()]
        more = np.array([len(one) for one in own]) - 1
        spread = np.insert(symbols, np.repeat(several + 1, more), np.concatenate([one[1:] for one in own]))
        spread[several + np.cumsum(more) - more] = [one[0] for one in own]
        return spread

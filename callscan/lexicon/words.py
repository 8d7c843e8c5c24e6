"""Texts to symbols at the speed of memory: all words of a text are hashed and looked up at once.

A Python loop over words costs more than everything else together, so there is none. A word's bytes are read eight at
a time, as one number; two tables hold the symbols of words seen before; only new words are looked at one by one. A word
of up to eight bytes is known by its bytes, a longer one by 64 bits of hash over them; words over 64 bytes are never
looked up.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import Any

import numpy as np

from callscan.lexicon.alphabet import LOWEST, MAX_WORD_LENGTH, OTHER, WordMemory, number_of, numbers_of

_TYPOGRAPHIC = str.maketrans({"’": "'", "‘": "'", "ʼ": "'", "œ": "½", "Œ": "½", "Ÿ": "ÿ", "…": ".", "–": "-", "—": "-"})
_BLOCK = 1 << 16
_STEP = 8
_PRIME = 0x9E3779B97F4A7C15
_MIX = 0xD6E8FEB86659FD93
_FIRST_BITS, _SECOND_BITS = 15, 16
"""The first table holds the words that come first: those said most. It is small enough for a core's cache."""
_MOST_SEVERAL = 10_000
"""Words of several symbols that the tables hold; their numbers stand there, which are under any symbol's. One block
cannot add so many that a number becomes one."""


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
        # The first so many bytes of a number, which are its lowest.
        self._lowest = np.array([(1 << 8 * size) - 1 for size in range(_STEP + 1)], dtype=np.uint64)
        self._prime, self._mix = np.uint64(_PRIME), np.uint64(_MIX)
        self._shifts = [np.uint64(64 - _FIRST_BITS), np.uint64(64 - _FIRST_BITS - _SECOND_BITS)]
        self._mask = np.uint64((1 << _SECOND_BITS) - 1)
        self._empty()

    def _empty(self) -> None:
        self._keys = [np.zeros(1 << bits, dtype=np.uint64) for bits in (_FIRST_BITS, _SECOND_BITS)]
        self._values = [np.zeros(1 << bits, dtype=np.uint16) for bits in (_FIRST_BITS, _SECOND_BITS)]
        self._several: list[Any] = []

    def read(self, data: bytes) -> Words:
        """The words of a normalised text."""
        symbols: list[Any] = []
        edges: list[Any] = []
        start = 0
        while start < len(data):
            end = min(len(data), start + _BLOCK)
            if end < len(data):
                cut = data.rfind(b" ", start, end)
                if cut < 0:
                    # One word longer than a block: it is nothing that a pattern asks for, and counts as one word.
                    cut = data.find(b" ", end)
                    cut = len(data) if cut < 0 else cut
                    symbols.append(np.array([number_of(OTHER)], dtype=np.uint16))
                    edges.append(np.array([start, cut]))
                    start = cut + 1
                    continue
                end = cut
            of_block, edges_of_block = self._read_block(data[start:end])
            edges_of_block += start
            symbols.append(of_block)
            edges.append(edges_of_block)
            start = end + 1
        if not symbols:
            return Words(np.zeros(0, dtype=np.uint16), *np.zeros((2, 0), dtype=np.intp))
        every = np.concatenate(edges)
        return Words(np.concatenate(symbols), every[::2], every[1::2])

    def _read_block(self, data: bytes) -> tuple[Any, Any]:
        """The symbols of a block's words, and where each word starts and ends, in turn."""
        if len(self._several) > _MOST_SEVERAL:
            self._empty()
        padded = b" " + data + b" " * _STEP
        space = np.frombuffer(padded, dtype=np.uint8, count=len(data) + 2) == 32
        edges = np.flatnonzero(space[1:] != space[:-1])
        starts, ends = edges[::2], edges[1::2]
        hashes = self._hashes(padded, starts, ends - starts)
        mixed = hashes * self._mix
        mixed ^= mixed >> np.uint64(29)
        mixed *= self._prime
        slots = (mixed >> self._shifts[0]).view(np.int64)
        symbols = self._values[0].take(slots)
        missing = np.flatnonzero(self._keys[0].take(slots) != hashes)
        if len(missing):
            self._look_up(data, starts, ends, hashes, mixed, symbols, missing)
        several = np.flatnonzero(symbols < LOWEST)
        return self._spread(symbols, several) if len(several) else symbols, edges

    def _hashes(self, padded: bytes, starts: Any, lengths: Any) -> Any:
        """A number for each word: its bytes, if there are no more than eight. A space stands before all of them."""
        eights = np.ndarray(len(padded) - _STEP, dtype="<u8", buffer=padded, offset=1, strides=(1,))
        hashes = eights[starts]
        hashes &= self._lowest.take(lengths, mode="clip")
        longer = np.flatnonzero(lengths > _STEP)
        done = _STEP
        while len(longer) and done < MAX_WORD_LENGTH:
            left = np.minimum(lengths[longer] - done, _STEP)
            bytes_ = eights[starts[longer] + done] & self._lowest[left]
            hashed = (hashes[longer] ^ np.uint64(done)) * self._prime
            hashes[longer] = (hashed ^ (hashed >> np.uint64(32))) + bytes_
            done += _STEP
            longer = longer[lengths[longer] > done]
        # What is longer than any word is none, whatever it begins with.
        hashes[longer] ^= lengths[longer].astype(np.uint64) * self._mix
        return hashes

    def _look_up(
        self, data: bytes, starts: Any, ends: Any, hashes: Any, mixed: Any, symbols: Any, missing: Any
    ) -> None:
        slots = ((mixed[missing] >> self._shifts[1]) & self._mask).view(np.int64)
        symbols[missing] = self._values[1].take(slots)
        for place in missing[self._keys[1].take(slots) != hashes[missing]].tolist():
            word = data[starts[place] : ends[place]]
            found = numbers_of(OTHER) if len(word) > MAX_WORD_LENGTH else self._memory[word]
            value = int.from_bytes(found, "little")
            if len(found) != 2:
                value = len(self._several)
                self._several.append(np.frombuffer(found, dtype="<u2"))
            symbols[place] = value
            if len(word) <= MAX_WORD_LENGTH:
                self._keep(int(hashes[place]), int(mixed[place]), value)

    def _keep(self, hashed: int, mixed: int, value: int) -> None:
        slot = mixed >> int(self._shifts[0])
        table = 0
        if self._keys[0][slot] not in (0, hashed):
            # Taken by another word, which is as likely to come again: this one goes to the second table.
            table, slot = 1, (mixed >> int(self._shifts[1])) & int(self._mask)
        self._keys[table][slot] = hashed
        self._values[table][slot] = value

    def _spread(self, symbols: Any, several: Any) -> Any:
        """The symbols with those of each word of several for its number."""
        own = [self._several[number] for number in symbols[several].tolist()]
        more = np.array([len(one) for one in own]) - 1
        spread = np.insert(symbols, np.repeat(several + 1, more), np.concatenate([one[1:] for one in own]))
        spread[several + np.cumsum(more) - more] = [one[0] for one in own]
        return spread

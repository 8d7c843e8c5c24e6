"""Words as bits: 63 colours for thousands of words, so that one look tells which words are not in a stretch of text."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import accumulate
from typing import Any

import numpy as np

from callscan.lexicon.alphabet import ROWS, rows_of
from callscan.lexicon.program import Program
from callscan.lexicon.ways import Symbols

_COLOURS, _OWN = 63, 24
"""Colours, and how many of them are each one word's alone: the words said most."""


class Colours:
    """The colours of words that are looked for in ``sets``, by row: one bit of 63.

    Words of the same sets share a colour rather than others, so that a set has few colours, and those that share are
    together said about as often as any others that do.
    """

    def __init__(self, sets: Iterable[Symbols], program: Program) -> None:
        held: dict[str, list[int]] = {}
        for number, symbols in enumerate(sorted(set(sets), key=lambda s: (len(s), sorted(s)))):
            for one in symbols:
                held.setdefault(one, []).append(number)
        share = {one: program.share(frozenset([one])) for one in held}
        often = sorted(held, key=lambda one: (-share[one], one))
        # The largest set that a word is in comes first: it is the one that would have the most colours.
        others = sorted(often[_OWN:], key=lambda one: (held[one][::-1], one))
        bits = {one: rank for rank, one in enumerate(often[:_OWN])}
        said = [*accumulate(share[one] for one in others)]
        for one, so_far in zip(others, said, strict=True):
            bits[one] = _OWN + min(int(so_far / said[-1] * (_COLOURS - _OWN)), _COLOURS - _OWN - 1)
        self.of = np.zeros(ROWS, dtype=np.uint64)
        for one, bit in bits.items():
            self.of[rows_of(one)] |= np.uint64(1 << bit)

    def asked(self, symbols: Symbols) -> Any:
        """The colours of a set."""
        return np.bitwise_or.reduce(self.of[rows_of(symbols)])

"""The kernel as it is for a few sentences, and as machine code once a process has read enough for that to pay.

Both are the same functions (:mod:`callscan.lexicon.tokens`, :mod:`callscan.lexicon.kernel`). numba takes most of a
second to start, and several to compile what nobody has compiled on the machine before; Python finds the patterns of a
sentence in less.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from types import FunctionType
from typing import Any

import numpy as np

from callscan.lexicon import kernel, tokens
from callscan.lexicon.cache import code_digest
from callscan.lexicon.kernel import DISTANCE, FOUND, Code, Met, Room, Tables

WORTH = 50_000
"""Words that a process looks at before it takes to machine code: Python needs as long for them as numba to start."""
NEW = 4096
"""Words of a text that may be new before they are looked at."""
_FUNCTIONS = (
    "among",
    "further",
    "run",
    "search",
    "ruled_out",
    "bits_of",
    "slots",
    "looked_up",
    "said",
    "counted",
    "spelled",
    "once",
    "heads",
    "neighbours",
    "members",
    "listed",
    "pairs",
    "sort",
    "check",
)
"""Each after those that it calls."""
_PLAIN: dict[str, Any] = {**vars(tokens), **vars(kernel)}
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Parameters of glibc: bytes that stay with the process, and from which on an array is a mapping of its own."""
_ROOM = 1024
"""Pairs in a text that there is room for at first, beside one for every other word."""


@cache
def _machine_code() -> dict[str, Any]:
    from numba import njit

    _leave_scipy()
    _keep_memory()
    space = dict(_PLAIN)
    for name in _FUNCTIONS:
        # The same code, but what it calls is compiled, too. numba keeps it under its name as long as its own file is
        # the same; what it takes from other files is part of it as well.
        function = FunctionType(space[name].__code__, space, name)
        function.__qualname__ = f"{name}_{code_digest().hex()[:16]}"
        try:
            space[name] = njit(cache=True)(function)
        except RuntimeError:  # nowhere to keep what is compiled
            space[name] = njit(function)
    return space


def _leave_scipy() -> None:
    """Let numba start without scipy, which takes a fifth of a second and 40 MB. It looks for it then for one thing, the
    inner products of convolutions; whatever needs it later still finds it."""
    with suppress(ImportError, AttributeError):  # where numba is made otherwise, it starts as it wants
        from numba.np import linalg

        found = linalg.ensure_blas
        linalg.ensure_blas = _no_scipy
        try:
            from numba.np import arraymath  # noqa: F401
        finally:
            linalg.ensure_blas = found


def _no_scipy() -> None:
    raise ImportError


def _keep_memory() -> None:
    """Keep what a text's arrays take for the next text's: asking the system for it anew costs a tenth of the time."""
    with suppress(AttributeError, OSError, TypeError):  # where the C library is not glibc
        mallopt = ctypes.CDLL(None).mallopt
        for parameter, size in ((_TRIM_THRESHOLD, 256 << 20), (_MMAP_THRESHOLD, 32 << 20)):
            mallopt(parameter, size)


def looked_up(text: Any, at: int, *tables: Any) -> tuple[Any, Any, Any, list[tuple[int, int]], int]:
    """Symbols of a text's words, their starts and ends, which words are new with their hash, and where to go on: see
    :func:`callscan.lexicon.tokens.looked_up`."""
    most = (len(text) - at) // 2
    symbols, starts, ends = np.empty(most, np.uint16), np.empty(most, np.int32), np.empty(most, np.int32)
    new = np.empty(2 * NEW, np.int64)
    count, unknown, at = _call("looked_up", text, at, *tables, symbols, starts, ends, new)
    _Read.words += count
    places = new[: 2 * unknown].tolist()
    return symbols[:count], starts[:count], ends[:count], [*zip(places[::2], places[1::2], strict=True)], at


def counted(symbols: Any, marks: int) -> tuple[Any, Any, Any]:
    """The symbols of a text's words that count, without what is said twice in a row, and their places; and the places
    of so many marks: see :func:`callscan.lexicon.tokens.counted`."""
    kept, places = np.empty(len(symbols), np.uint16), np.empty(len(symbols), np.int32)
    marked = np.empty(marks, np.int32)
    count = _call("counted", symbols, kept, places, marked)
    return *_once(kept[:count], places[:count]), marked


def spelled(words: Any, table: Any, width: int) -> tuple[Any, Any]:
    """The symbols of words by number, without what is said twice in a row, and their places: see
    :func:`callscan.lexicon.tokens.spelled`."""
    _Read.words += len(words)
    kept, places = (np.empty(len(words) * width, dtype=kind) for kind in (np.uint16, np.int32))
    count = _call("spelled", words, table, width, kept, places)
    return _once(kept[:count], places[:count])


def _once(kept: Any, places: Any) -> tuple[Any, Any]:
    count = _call("once", kept, places)
    return kept[:count], places[:count]


class _Read:
    """What this process has looked at so far."""

    words = 0


class Kernel:
    """Runs over the words of one alphabet: ``code`` are its expressions. Not for use by two threads at once."""

    def __init__(self, code: Code) -> None:
        self._code = code

    def search(self, rows: Any, number: int, low: int, high: int) -> tuple[int, int] | None:
        """Start and end of the first match of an expression between two places."""
        start = int(_call("search", self._code, rows, number, low, high))
        return (start, int(self._code.marks[0])) if start >= 0 else None

    @property
    def around(self) -> tuple[int, int]:
        """Of the last match that was found, the places of the words around its distance; -1 where it has none."""
        return int(self._code.marks[1]), int(self._code.marks[2])

    def match(self, rows: Any, number: int, low: int, high: int) -> bool:
        """Whether an expression matches from a place on, up to before another at most."""
        return bool(_call("run", self._code, rows, number, low, high))

    def ruled_out(self, rows: Any, number: int, span: tuple[int, int], run: tuple[int, int]) -> bool:
        """Whether something that must not be around a match of an expression is there, in what is said in a run."""
        return bool(_call("ruled_out", self._code, rows, number, *span, *run))

    def look(self, tables: Tables, rows: Any, said_by: Any, runs: Any) -> tuple[Any, int]:
        """What is found of the ways of ``tables``, some of it more than once: rows of
        :data:`callscan.lexicon.kernel.FOUND` numbers. And at how many places a way's other words were looked for."""
        count = _ROOM + len(rows) // 2
        longest = int((runs[:, 1] - runs[:, 0]).max(initial=0))
        # Of a word that is looked for first, any of so many on both sides may be the other.
        sizes = longest, longest, 2 * DISTANCE * longest, 2 * DISTANCE * longest
        colours = (np.zeros(longest + 2 * DISTANCE, dtype=np.uint64) for _ in range(2))
        room = Room(*colours, *(np.empty(size + 1, dtype=np.uint32) for size in sizes))
        size = 0
        while count > size:
            size = count
            met = Met(*(np.empty(size, dtype=np.uint32) for _ in Met._fields))
            count = _call("pairs", tables, rows, said_by, runs.reshape(-1), room, met)
        met = Met(*(part[:count] for part in met))
        if count > len(tables.when):
            # What is read of the tables for a way is read once.
            begins, by_way = np.zeros(len(tables.when) + 1, np.uint32), Met(*map(np.empty_like, met))
            _call("sort", met, begins, by_way)
            met = by_way
        found = np.empty((count, FOUND), dtype=np.int64)
        return found[: _call("check", tables, self._code, rows, runs.reshape(-1), met, found.reshape(-1))], count


def _call(name: str, *given: Any) -> Any:
    """Call a function of the kernel with what it is given as it wants that."""
    if _Read.words > WORTH:
        return _machine_code()[name](*given)
    return _PLAIN[name](*map(_viewed, given))


def _viewed(one: Any) -> Any:
    """Arrays as views, whose items are Python's own numbers."""
    if isinstance(one, np.ndarray):
        return memoryview(one)  # type: ignore[arg-type] # numpy's own stubs call it no buffer before Python 3.12
    return type(one)(*map(_viewed, one)) if isinstance(one, Sequence) else one

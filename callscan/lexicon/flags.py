"""What stands around a match and makes it count for nothing: "pas de problème", "si je résilie", "c'est réglé"."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from callscan.lexicon.alphabet import number_of
from callscan.lexicon.compiled import Kernel
from callscan.lexicon.pattern import Node, Pattern
from callscan.lexicon.program import Program, edge, leaves, needed, span
from callscan.lexicon.rules import Context, IssueRules
from callscan.lexicon.stream import AnyStream
from callscan.records import Speaker

CONTEXT_REACH = 14
"""Words before and after a match in which exceptions and flags are looked for."""


@dataclass(frozen=True, slots=True)
class _Context:
    """A flag, and the numbers of the expressions for what is beside a match."""

    flag: str
    before: int
    after: int
    except_before: int
    except_after: int
    except_starting: int


class _Side:
    """The words that patterns of flags ask for on one side of a match: one right beside it, and its two rarest within
    reach of it. ``patterns`` are given with their flag's bit."""

    def __init__(self, patterns: Sequence[tuple[int, Pattern]], program: Program, *, before: bool) -> None:
        # By symbol, what patterns ask for it: a bit each. Where there are more, some share one, which asks for less.
        self._beside, self._rarest, self._next = (np.zeros(1 << 16, dtype=np.uint64) for _ in range(3))
        self._reach = np.zeros(CONTEXT_REACH, dtype=np.uint64)
        self._asking: dict[int, Any] = {}
        for number, (flag, pattern) in enumerate(patterns):
            bit = np.uint64(1 << number % 64)
            self._asking[flag] = self._asking.get(flag, np.uint64(0)) | bit
            self._reach[: span(pattern.node)[1]] |= bit
            sets = [edge(pattern.node, program, last=before), *needed(pattern.node, program)[:2], None, None]
            for table, symbols in zip((self._beside, self._rarest, self._next), sets, strict=False):
                table[... if symbols is None else [number_of(one) for one in symbols]] |= bit

    def met(self, words: Any) -> Any:
        """The flags' bits that are possible, for each row of words from beside a match outwards."""
        bits = self._beside.take(words[:, 0])
        for table in (self._rarest, self._next):
            bits &= np.bitwise_or.reduce(table.take(words) & self._reach, axis=1)
        found = np.zeros(len(words), dtype=np.uint8)
        for flag, asking in self._asking.items():
            found[(bits & asking) != 0] |= flag
        return found


class Flags:
    """The flags of one language's matches: which can apply is told for all matches together, by the words beside them;
    which do, for each of those."""

    def __init__(self, contexts: Sequence[Context], issues: Mapping[str, IssueRules], program: Program) -> None:
        self._contexts = [
            _Context(
                context.flag,
                before=program.add(*_nodes(context.before), at_end=True),
                after=program.add(*_nodes(context.after)),
                except_before=program.add(*_nodes(context.except_before), at_end=True),
                except_after=program.add(*_nodes(context.except_after)),
                except_starting=program.add(*_nodes(context.except_starting)),
            )
            for context in contexts
        ]
        self.negations = frozenset().union(*[_inside(c, program) for c in contexts if c.flag == "negated"])
        """The symbols that negate a match which steps over them."""
        self._bits = {flag: 1 << number for number, flag in enumerate(sorted({c.flag for c in contexts}))}
        self._allowed = {name: sum(self._bits.get(f, 0) for f in issue.flags) for name, issue in issues.items()}
        before = [(self._bits[c.flag], pattern) for c in contexts for pattern in c.before]
        after = [(self._bits[c.flag], pattern) for c in contexts for pattern in c.after]
        self._before, self._after = _Side(before, program, before=True), _Side(after, program, before=False)

    def possible(self, stream: AnyStream, issues: Sequence[str], starts: Any, ends: Any) -> list[tuple[int, int]]:
        """Which flags each match can have by what is before it, and which by what is after it, a bit each: its issue
        has them, and words that they ask for are there."""
        kept = np.zeros(len(stream) + 2 * CONTEXT_REACH, dtype=np.uint16)
        kept[CONTEXT_REACH : CONTEXT_REACH + len(stream)] = stream.kept
        reach = np.arange(CONTEXT_REACH)
        # From the word beside the match to those farther away.
        sooner = kept.take(starts[:, None] + reach[::-1])
        later = kept.take(ends[:, None] + (CONTEXT_REACH + reach))
        may = np.array([self._allowed[issue] for issue in issues], dtype=np.uint8)
        found = (self._before.met(sooner) & may, self._after.met(later) & may)
        return [*zip(*(bits.tolist() for bits in found), strict=True)]

    def of(
        self,
        stream: AnyStream,
        kernel: Kernel,
        issue: str,
        span: tuple[int, int],
        known: frozenset[str],
        speaker: Speaker,
        possible: tuple[int, int],
        *,
        asked: bool,
    ) -> tuple[str, ...]:
        """The flags of a match of an issue, with those already known; ``asked`` says that it is in a question, and
        ``possible`` is what :meth:`possible` says of it."""
        allowed = self._allowed[issue]
        before, after = possible
        flags: list[str] = []
        for context in self._contexts:
            bit = self._bits[context.flag]
            if context.flag in known:
                flags.append(context.flag)
            elif allowed & bit and not (context.flag == "question" and speaker == "customer"):
                question = asked and context.flag == "question"
                if (
                    question
                    or (before & bit and _said_before(context, stream, kernel, *span))
                    or (after & bit and _said_after(context, stream, kernel, span[1]))
                ):
                    flags.append(context.flag)
        return tuple(flags)


def _said_before(context: _Context, stream: AnyStream, kernel: Kernel, start: int, end: int) -> bool:
    rows, low = stream.rows, max(0, start - CONTEXT_REACH)
    found = kernel.search(rows, context.before, low, start)
    return (
        found is not None
        and not kernel.match(rows, context.except_starting, start, end)
        and not kernel.search(rows, context.except_before, low, start)
        and not stream.cut(found[0], start)
    )


def _said_after(context: _Context, stream: AnyStream, kernel: Kernel, end: int) -> bool:
    rows, high = stream.rows, min(len(stream), end + CONTEXT_REACH)
    return kernel.match(rows, context.after, end, high) and not kernel.match(rows, context.except_after, end, high)


def _nodes(patterns: Sequence[Pattern]) -> list[Node]:
    return [pattern.node for pattern in patterns]


def _inside(context: Context, program: Program) -> frozenset[str]:
    """The symbols of all words that a context asks for inside a match."""
    return frozenset().union(*[program.symbols(leaf) for leaf in leaves(*(pattern.node for pattern in context.inside))])

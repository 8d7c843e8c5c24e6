"""Finding patterns: candidates for all patterns at once, then each pattern where it could be.

The steps are those of every transcript: words to symbols (:mod:`words`), hesitations and repeated words out
(:mod:`stream`), the places where a pattern's rarest words are near each other (:mod:`candidates`), and that pattern's
expression around each. What was found is merged per issue, checked against the issue's exceptions and given its
linguistic flags. All work per candidate is bounded, so the whole is linear in the text.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from itertools import compress
from operator import attrgetter
from typing import Any

import numpy as np

from callscan.lexicon.alphabet import ROWS, Alphabet, Language, WordMemory, rows_of
from callscan.lexicon.cache import collector_paused
from callscan.lexicon.candidates import tables
from callscan.lexicon.columns import Vocabulary, spread
from callscan.lexicon.compiled import Kernel
from callscan.lexicon.flags import CONTEXT_REACH, Flags
from callscan.lexicon.kernel import Tables
from callscan.lexicon.pattern import Near, Pattern
from callscan.lexicon.program import Program, features, has_gap, leaves, together
from callscan.lexicon.rules import Context, IssueRules, Rule
from callscan.lexicon.stream import SAID_BY, AnyStream, Stream
from callscan.lexicon.words import WordTable
from callscan.records import Hit, Transcript

ANYONE = SAID_BY["unknown"]
_BY_TIME = attrgetter("start", "issue", "end")
_BY_START = attrgetter("start")


class _Compiled:
    """A rule and the numbers of its expressions; its pattern's tree is not kept."""

    __slots__ = (
        "bounded",
        "expression",
        "first",
        "flag",
        "gaps",
        "issue",
        "last",
        "lexicon",
        "near_seconds",
        "speaker",
        "strict",
        "text",
    )

    def __init__(self, rule: Rule, program: Program, stop: frozenset[str]) -> None:
        node = rule.pattern.node
        self.issue, self.lexicon, self.text, self.speaker = rule.issue, rule.lexicon, rule.pattern.text, rule.speaker
        self.first, self.last, self.flag = rule.first, rule.last, rule.flag
        self.near_seconds = node.seconds if isinstance(node, Near) else None
        self.bounded = self.near_seconds is not None or rule.first is not None or rule.last is not None
        self.gaps = has_gap(node)
        self.expression = _added(rule.pattern, program)
        self.strict = program.add(node, stopped_by=stop) if self.gaps and stop else None
        """The expression whose gaps do not step over a negation, where that matters."""


def _added(pattern: Pattern, program: Program) -> int:
    """The number of a pattern's expression."""
    return program.add(pattern.node, unless=[(program.add(node), reach) for node, reach in pattern.unless])


class _Found:
    """A match of a rule. ``gap`` are the words on both sides of a distance in seconds; ``excepted`` says that an
    exception of its issue holds one of its words, ``rejected`` that it is none after all, though it may still tell what
    others are."""

    flags: frozenset[str] = frozenset()
    gap: tuple[int, int] | None = None
    excepted = rejected = False

    def __init__(self, compiled: _Compiled, start: int, end: int) -> None:
        self.compiled, self.start, self.end = compiled, start, end


class Matcher:
    """All rules of one language, ready to run over transcripts. Not for use by two threads at once."""

    def __init__(
        self,
        language: Language,
        rules: Sequence[Rule],
        issues: Mapping[str, IssueRules],
        contexts: Sequence[Context],
    ) -> None:
        self.alphabet = Alphabet(language)
        patterns = [rule.pattern for rule in rules]
        patterns += [pattern for issue in issues.values() for pattern in issue.exceptions]
        patterns += [p for context in contexts for p in context.patterns]
        nodes = [node for p in patterns for node in (p.node, *(node for node, _ in p.unless))]
        for leaf in {*leaves(*nodes)}:
            asked = list(features(leaf, self.alphabet))
            self.alphabet.ask((f for f, _ in asked), ((s, f) for f, s in asked if s))
        self.alphabet.freeze(together(nodes, self.alphabet))
        program = Program(self.alphabet)
        self.flags = Flags(contexts, issues, program)
        memory = WordMemory(self.alphabet)
        self.table = WordTable(memory)
        self.vocabulary = Vocabulary(memory)
        stop = self.flags.negations
        self._stop = frozenset(rows_of(stop))
        self._negates = np.zeros(ROWS, dtype=bool)
        self._negates[[*self._stop]] = True
        compiled = [
            _Compiled(rule, program, stop if "negated" in issues[rule.issue].flags else frozenset()) for rule in rules
        ]
        self._rules = {rule.expression: rule for rule in compiled}
        # Exceptions are looked for around what was found, and whoever says them.
        excepting = [(name, pattern) for name, issue in issues.items() for pattern in issue.exceptions]
        self._excepted = {name: number for number, name in enumerate(dict(excepting))}
        expressions = [_added(pattern, program) for _, pattern in excepting]
        self._exceptions = {
            expression: (self._excepted[name], has_gap(pattern.node))
            for expression, (name, pattern) in zip(expressions, excepting, strict=True)
        }
        self._tables = tables(
            [rule.pattern.node for rule in rules],
            [rule.expression for rule in self._rules.values()],
            [SAID_BY[rule.speaker or "unknown"] for rule in rules],
            program,
        )
        self._around = tables(
            [pattern.node for _, pattern in excepting], expressions, [ANYONE] * len(excepting), program
        )
        self._kernel = Kernel(program.code())

    # -- running

    def match(self, transcripts: Sequence[Transcript]) -> dict[int, tuple[Hit, ...]]:
        """All hits of each call that has any, by start time; some calls together cost less than each by itself."""
        with collector_paused():
            return self._match(Stream(self.table, transcripts))

    def match_stream(self, stream: AnyStream) -> dict[int, tuple[Hit, ...]]:
        """The hits of each call of a stream that has any, by start time."""
        with collector_paused():
            return self._match(stream)

    def _match(self, stream: AnyStream) -> dict[int, tuple[Hit, ...]]:
        found = self._search(stream) if len(stream) else []
        if not found:
            return {}
        self._reject(stream, found)
        by_issue: dict[tuple[int, str], list[_Found]] = {}
        for call, one in zip(stream.calls([one.start for one in found]).tolist(), found, strict=True):
            by_issue.setdefault((call, one.compiled.issue), []).append(one)
        calls: list[int] = []
        kept: list[_Found] = []
        for (call, _), ones in by_issue.items():
            left = self._kept(stream, ones)
            kept += left
            calls += [call] * len(left)
        if not kept:
            return {}
        hits: dict[int, list[Hit]] = {}
        for call, hit in zip(calls, self._hits(stream, kept), strict=True):
            hits.setdefault(call, []).append(hit)
        return {call: tuple(sorted(ones, key=_BY_TIME)) for call, ones in hits.items()}

    def work(self, stream: AnyStream) -> int:
        """At how many places in a stream a way's words are looked for: what the time that it takes grows with."""
        return self._kernel.look(self._tables, stream.rows, stream.said_by, stream.runs)[1]

    def _search(self, stream: AnyStream) -> list[_Found]:
        found = self._found(stream, self._matches(stream, self._tables, stream.said_by, stream.runs))
        found += self._in_one_sentence(stream, found)
        self._except(stream, [one for one in found if one.compiled.issue in self._excepted])
        return found

    def _matches(self, stream: AnyStream, ways: Tables, said_by: Any, runs: Any) -> list[list[int]]:
        """What is found, each once and by place: expression, start, end, and the words around a distance."""
        found = self._kernel.look(ways, stream.rows, said_by, runs)[0]
        found = found[np.lexsort((found[:, 1], found[:, 0])), 2:]
        expressions, starts, lengths = found[:, 0], found[:, 1], found[:, 2] - found[:, 1]
        _, first = np.unique((expressions * (len(stream) + 1) + starts) * (lengths.max(initial=0) + 1) + lengths, True)
        return [*found[np.sort(first)].tolist()]

    def _found(self, stream: AnyStream, matches: Sequence[Sequence[int]]) -> list[_Found]:
        """Matches, with the flags that their own words tell."""
        found: list[_Found] = []
        gapped: list[_Found] = []
        for number, start, end, left, right in matches:
            rule = self._rules[number]
            one = _Found(rule, start, end)
            found.append(one)
            if rule.flag:
                one.flags = frozenset([rule.flag])
            if rule.near_seconds is not None:
                one.gap = left - 1, right
            if rule.strict is not None:
                gapped.append(one)
        # Whether one steps over a negation that its pattern does not name.
        starts, ends = np.array([one.start for one in gapped], int), np.array([one.end for one in gapped], int)
        which, within, _ = spread(ends - starts)
        stepped = which[self._negates.take(stream.rows.take(starts.take(which) + within))]
        for at in np.unique(stepped).tolist():
            one = gapped[at]
            if not self._kernel.match(stream.rows, one.compiled.strict, one.start, one.end):
                one.flags |= {"negated"}
        return found

    def _in_one_sentence(self, stream: AnyStream, found: list[_Found]) -> list[_Found]:
        """Reject the matches that reach over the end of a sentence; the ones within those that do not."""
        gapped = [one for one in found if one.compiled.gaps]
        if not gapped:
            return []
        held: list[list[int]] = []
        kernel, rows = self._kernel, stream.rows
        for one in compress(gapped, stream.stopped([one.start for one in gapped], [one.end for one in gapped])):
            one.rejected = True
            start, expression = one.start, one.compiled.expression
            while hit := kernel.search(rows, expression, start + 1, one.end):
                start, end = hit
                if not stream.stopped([start], [end])[0]:
                    if not kernel.ruled_out(rows, expression, hit, stream.run(start)):
                        held.append([expression, start, end, *kernel.around])
                    break
        return self._found(stream, held)

    def _reject(self, stream: AnyStream, found: list[_Found]) -> None:
        """Say which matches are none: too far apart, or outside their rule's window."""
        for one in found:
            rule = one.compiled
            if not rule.bounded:
                continue
            if one.gap is not None and rule.near_seconds is not None:
                left, right = (stream.time(position) for position in one.gap)
                one.rejected |= right[0] - left[1] > rule.near_seconds
            if rule.first is not None or rule.last is not None:
                start = stream.evidence([one.start], [one.end])[0].start
                one.rejected |= not _in_window(rule, start, stream.length(one.start))

    def _except(self, stream: AnyStream, found: Sequence[_Found]) -> None:
        """Say which of the matches of issues with exceptions share a word with one."""
        if not found:
            return
        size = len(stream)
        starts, ends = np.array([one.start for one in found]), np.array([one.end for one in found])
        low, high = np.maximum(starts - CONTEXT_REACH, 0), np.minimum(ends + CONTEXT_REACH, size)
        # Around all of them, and nowhere else.
        which, within, _ = spread(high - low)
        said = np.zeros(size, dtype=np.uint8)
        said[low.take(which) + within] = ANYONE
        runs = np.unique(stream.runs[:, 1].searchsorted(starts, side="right"))
        matches = self._matches(stream, self._around, said, stream.runs[runs])
        known = [self._exceptions[expression] for expression, *_ in matches]
        exceptions = np.array(
            [(issue, start, end) for (issue, _), (_, start, end, *_) in zip(known, matches, strict=True)], dtype=np.intp
        ).reshape(-1, 3)
        # As with the matches themselves: words left open are of one sentence.
        gapped = np.flatnonzero([gaps for _, gaps in known])
        over = stream.stopped(exceptions[gapped, 1], exceptions[gapped, 2])
        exceptions = np.delete(exceptions, gapped[over], axis=0)
        # Issue after issue on one line, each as long as the text and one word: what is of another is never reached.
        line = exceptions[:, 0] * (size + 1)
        order = np.argsort(line + exceptions[:, 1])
        begun = (line + exceptions[:, 1]).take(order)
        last_end = np.append(0, np.maximum.accumulate((line + exceptions[:, 2]).take(order)))
        own = np.array([self._excepted[one.compiled.issue] for one in found]) * (size + 1)
        for at in np.flatnonzero(last_end.take(begun.searchsorted(own + ends)) > own + starts).tolist():
            found[at].excepted = True

    def _kept(self, stream: AnyStream, ones: list[_Found]) -> list[_Found]:
        """What is left of the matches of an issue in a call, where they say the same or are excepted."""
        if len(ones) == 1:
            return [] if ones[0].rejected or ones[0].excepted else ones
        if flagged := [one for one in ones if one.flags]:
            ones = self._unexplained(stream, ones)
            flagged = [one for one in ones if one.flags]
        kept: list[_Found] = []
        said: set[int] = set()
        flagging = _Spans(flagged) if flagged else None
        # The longest of overlapping matches stands for them all; of equals, the one whose pattern stands first.
        ones.sort(key=_by_length)
        for one in ones:
            words = range(one.start, one.end)
            if one.excepted or not said.isdisjoint(words):
                continue
            if flagging is not None:
                # A negation that one of them steps over negates what they all say.
                one.flags = one.flags.union(*[other.flags for other in flagging.over(one)])
            if not one.rejected:
                kept.append(one)
                said.update(words)
        return kept

    def _unexplained(self, stream: AnyStream, ones: list[_Found]) -> list[_Found]:
        """Without the matches that are negated only by words that another match names itself ("toujours pas reçu")."""
        plain = [one for one in ones if not one.flags]
        if not plain or len(plain) == len(ones):
            return ones
        kept: list[_Found] = []
        naming = _Spans(plain)
        for one in ones:
            if "negated" in one.flags and not one.compiled.flag:
                words = stream.rows[one.start : one.end].tolist()
                negations = [at for at, row in enumerate(words, one.start) if row in self._stop]
                if any(p.start <= negations[0] and negations[-1] < p.end for p in naming.over(one)):
                    continue
            kept.append(one)
        return kept

    def _hits(self, stream: AnyStream, found: list[_Found]) -> Iterator[Hit]:
        """Matches with their evidence and flags."""
        starts, ends = np.array([one.start for one in found]), np.array([one.end for one in found])
        rules = [one.compiled for one in found]
        possible = self.flags.possible(stream, [rule.issue for rule in rules], starts, ends)
        told = stream.evidence(starts, ends)
        # A customer's question is none that says something else.
        others = [at for at, evidence in enumerate(told) if evidence.speaker != "customer"]
        asked = set(compress(others, stream.asked(ends[others]))) if others else set()
        for at, (one, rule, evidence) in enumerate(zip(found, rules, told, strict=True)):
            from_, to, quote, segment, speaker, probability = evidence
            flags: tuple[str, ...] = ()
            if any(possible[at]) or one.flags or at in asked:
                flags = self.flags.of(
                    stream,
                    self._kernel,
                    rule.issue,
                    (one.start, one.end),
                    one.flags,
                    speaker,
                    possible[at],
                    asked=at in asked,
                )
            yield Hit(
                rule.issue,
                rule.text,
                rule.lexicon,
                speaker,
                from_,
                to,
                quote,
                segment,
                probability,
                rule.speaker is None or speaker != "unknown",
                flags,
            )


class _Spans:
    """Matches by place: which of them overlap another, without a look at all of them."""

    def __init__(self, found: Sequence[_Found]) -> None:
        self._found = sorted(found, key=_BY_START)
        self._starts = [one.start for one in self._found]
        self._longest = max([one.end - one.start for one in found], default=0)

    def over(self, one: _Found) -> list[_Found]:
        low = bisect_right(self._starts, one.start - self._longest)
        return [other for other in self._found[low : bisect_left(self._starts, one.end)] if other.end > one.start]


def _by_length(one: _Found) -> tuple[int, int, bool, int]:
    return one.start - one.end, one.start, not one.flags, one.compiled.expression


def _in_window(rule: _Compiled, start: float, end: float) -> bool:
    if rule.first is not None and start > (rule.first * end if rule.first < 1 else rule.first):
        return False
    return rule.last is None or start >= end - (rule.last * end if rule.last < 1 else rule.last)

"""Finding patterns: candidates for all patterns at once, then each pattern where it could be.

The steps are those of every transcript: words to symbols (:mod:`words`), hesitations and repeated words out
(:mod:`stream`), the places where a pattern's rarest words are near each other (:mod:`candidates`), and that pattern's
expression around each. What was found is merged per issue, checked against the issue's exceptions and given its
linguistic flags. All work per candidate is bounded, so the whole is linear in the text.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import compress
from operator import attrgetter
from typing import Any

import numpy as np

from callscan.lexicon.alphabet import Alphabet, Language, WordMemory
from callscan.lexicon.candidates import Candidates, spread
from callscan.lexicon.columns import Vocabulary
from callscan.lexicon.flags import CONTEXT_REACH, Flags, one_of
from callscan.lexicon.pattern import Near
from callscan.lexicon.program import Program, charset, compiled, edge, features, has_gap, leaves
from callscan.lexicon.rules import Context, IssueRules, Rule
from callscan.lexicon.stream import SAID_BY, AnyStream, Stream
from callscan.lexicon.words import WordTable
from callscan.records import Hit, Transcript

_BY_TIME = attrgetter("start", "issue", "end")
_NO_FLAGS: frozenset[str] = frozenset()
_FEW = 24
"""Up to so many matches, looking for exceptions around each takes less than asking where they can be."""


class _Compiled:
    """A rule and its expressions, which are made when some text first calls for them."""

    __slots__ = (
        *("_program", "_stop", "_strict"),
        *("bounded", "gaps", "marked", "near_seconds", "rule", "search", "unless"),
    )

    def __init__(self, rule: Rule, program: Program, stop: frozenset[str]) -> None:
        node = rule.pattern.node
        self.rule = rule
        self.gaps = has_gap(node)
        self.near_seconds = node.seconds if isinstance(node, Near) else None
        self.bounded = self.near_seconds is not None or rule.first is not None or rule.last is not None
        self._program = program
        self._stop = stop if self.gaps else frozenset()
        self.marked = bool(rule.flag or self._stop) or self.near_seconds is not None
        self._strict: Any = None
        self.search: Any = self._first_search
        self.unless: list[tuple[Any, int]] = []

    def _first_search(self, text: str, low: int, high: int) -> Any:
        expression = self._program.expression
        pattern = self.rule.pattern
        self.unless = [(compiled(expression(node)).search, reach) for node, reach in pattern.unless]
        # Where a match cannot begin is told by one look at what it can begin with.
        first = edge(pattern.node, self._program, last=False)
        ahead = f"(?={charset(first)})" if first else ""
        self.search = compiled(ahead + expression(pattern.node)).search
        return self.search(text, low, high)

    def negated(self, text: str, start: int, end: int) -> bool:
        """Whether a match steps over a negation that its pattern does not name."""
        if self._stop.isdisjoint(text[start:end]):
            return False
        if self._strict is None:
            stop = "".join(sorted(self._stop))
            self._strict = compiled(self._program.expression(self.rule.pattern.node, stop)).match
        return self._strict(text, start, end) is None


class _Found:
    """A match of rule ``number``. ``gap`` are the words on both sides of a distance in seconds; ``near_exception`` says
    that an exception of its issue may be around it, ``rejected`` that it is none after all, though it may still tell
    what others are."""

    __slots__ = ("compiled", "end", "flags", "gap", "near_exception", "number", "rejected", "start")

    def __init__(self, compiled: _Compiled, number: int, start: int, end: int) -> None:
        self.compiled, self.number, self.start, self.end = compiled, number, start, end
        self.flags = _NO_FLAGS
        self.gap: tuple[int, int] | None = None
        self.near_exception = self.rejected = False


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
        self.alphabet.freeze()
        self.program = Program(self.alphabet)
        self.flags = Flags(contexts, issues, self.program)
        self._exceptions = {
            name: one_of(issue.exceptions, self.program) for name, issue in issues.items() if issue.exceptions
        }
        self._excepted = {name: number for number, name in enumerate(self._exceptions)}
        memory = WordMemory(self.alphabet)
        self.table = WordTable(memory)
        self.vocabulary = Vocabulary(memory)
        stop = self.flags.negations
        self._rules = [
            _Compiled(rule, self.program, stop if "negated" in issues[rule.issue].flags else frozenset())
            for rule in rules
        ]
        said_by = [SAID_BY[rule.speaker or "unknown"] for rule in rules]
        self.candidates = Candidates([rule.pattern.node for rule in rules], said_by, self.program)
        # Exceptions are looked for around what was found, and whoever says them.
        excepting = [(name, p.node) for name, issue in issues.items() for p in issue.exceptions]
        self._around = Candidates([node for _, node in excepting], [SAID_BY["unknown"]] * len(excepting), self.program)
        self._excepting = np.array([self._excepted[name] for name, _ in excepting], dtype=np.intp)

    # -- running

    def match(self, transcripts: Sequence[Transcript]) -> dict[int, tuple[Hit, ...]]:
        """All hits of each call that has any, by start time; some calls together cost less than each by itself."""
        return self.match_stream(Stream(self.table, transcripts))

    def match_stream(self, stream: AnyStream) -> dict[int, tuple[Hit, ...]]:
        """The hits of each call of a stream that has any, by start time."""
        found = self._search(stream) if len(stream) else []
        if not found:
            return {}
        self._reject(stream, found)
        by_issue: dict[tuple[int, str], list[_Found]] = {}
        for call, one in zip(stream.calls([one.start for one in found]).tolist(), found, strict=True):
            by_issue.setdefault((call, one.compiled.rule.issue), []).append(one)
        calls: list[int] = []
        kept: list[_Found] = []
        for (call, issue), ones in by_issue.items():
            left = self._kept(stream, issue, ones)
            kept += left
            calls += [call] * len(left)
        if not kept:
            return {}
        hits: dict[int, list[Hit]] = {}
        for call, hit in zip(calls, self._hits(stream, kept), strict=True):
            hits.setdefault(call, []).append(hit)
        return {call: tuple(sorted(ones, key=_BY_TIME)) for call, ones in hits.items()}

    def _search(self, stream: AnyStream) -> list[_Found]:
        places, numbers, before, ahead = self.candidates.find(stream.kept, stream.said_by)
        found: dict[tuple[int, int, int], _Found] = {}
        text, rules = stream.text, self._rules
        # Never into what another speaker says before or after: that may be the very same words.
        run = stream.runs.searchsorted(places, side="right")
        low = np.maximum(places - before, np.append(0, stream.runs)[run])
        high = np.minimum(places + ahead, stream.runs[run])
        for number, begin, end in zip(numbers.tolist(), low.tolist(), high.tolist(), strict=True):
            one = rules[number]
            hit = one.search(text, begin, end)
            if hit is None:
                continue
            start, end = hit.span()
            key = (number, start, end)
            if key not in found and not (one.unless and _ruled_out(one, text, start, end)):
                match = found[key] = _Found(one, number, start, end)
                if one.marked:
                    _mark(match, text, hit)
        ones = list(found.values())
        self._look_around(stream, [one for one in ones if one.compiled.rule.issue in self._exceptions])
        return ones

    def _reject(self, stream: AnyStream, found: list[_Found]) -> None:
        """Say which matches are none: over the end of a sentence, too far apart, outside their rule's window."""
        gapped = [one for one in found if one.compiled.gaps]
        if gapped:
            stopped = stream.stopped([one.start for one in gapped], [one.end for one in gapped])
            for one in compress(gapped, stopped):
                one.rejected = True
        for one in found:
            if not one.compiled.bounded:
                continue
            rule = one.compiled.rule
            if one.gap is not None and one.compiled.near_seconds is not None:
                left, right = (stream.time(position) for position in one.gap)
                one.rejected |= right[0] - left[1] > one.compiled.near_seconds
            if rule.first is not None or rule.last is not None:
                start = stream.evidence([one.start], [one.end])[0].start
                one.rejected |= not _in_window(rule, start, stream.length(one.start))

    def _look_around(self, stream: AnyStream, found: list[_Found]) -> None:
        """Say which of the matches of issues with exceptions may have one around them."""
        if len(found) <= _FEW:
            for one in found:
                one.near_exception = True
            return
        size = len(stream)
        low = np.maximum(np.array([one.start for one in found]) - CONTEXT_REACH, 0)
        high = np.minimum(np.array([one.end for one in found]) + CONTEXT_REACH, size)
        # The words around all of them, one stretch after the other; a seam may look like an exception, and is none.
        which, within, _ = spread(high - low)
        said = np.zeros(size, dtype=bool)
        said[low.take(which) + within] = True
        near = np.flatnonzero(said)
        anyone = np.full(len(near), SAID_BY["unknown"], dtype=np.uint8)
        places, numbers, _, _ = self._around.find(stream.kept.take(near), anyone)
        # One number for an issue and a place: the exceptions of an issue are between two of them.
        around = np.sort(self._excepting.take(numbers) * (size + 1) + near.take(places))
        line = np.array([self._excepted[one.compiled.rule.issue] for one in found]) * (size + 1)
        for at in np.flatnonzero(around.searchsorted(line + low) < around.searchsorted(line + high)).tolist():
            found[at].near_exception = True

    def _kept(self, stream: AnyStream, issue: str, ones: list[_Found]) -> list[_Found]:
        """What is left of the matches of an issue in a call, where they say the same or are excepted."""
        if len(ones) == 1 and not ones[0].near_exception:
            return [] if ones[0].rejected else ones
        flagged = any(one.flags for one in ones)
        if flagged:
            ones = self._unexplained(stream.text, ones)
        excluded = self._excluded(issue, stream.text, ones)
        kept: list[_Found] = []
        # The longest of overlapping matches stands for them all; of equals, the one whose pattern stands first.
        ones.sort(key=_by_length)
        for one in ones:
            start, end = one.start, one.end
            for other in kept:
                if start < other.end and other.start < end:
                    break
            else:
                if excluded and any(start < after and before < end for before, after in excluded):
                    continue
                if flagged:
                    # A negation that one of them steps over negates what they all say.
                    one.flags = one.flags.union(*[o.flags for o in ones if o.start < end and start < o.end])
                if not one.rejected:
                    kept.append(one)
        return kept

    def _unexplained(self, text: str, ones: list[_Found]) -> list[_Found]:
        """Without the matches that are negated only by words that another match names itself ("toujours pas reçu")."""
        plain = [one for one in ones if not one.flags]
        if not plain or len(plain) == len(ones):
            return ones
        kept: list[_Found] = []
        for one in ones:
            if "negated" in one.flags and not one.compiled.rule.flag:
                negations = [at for at in range(one.start, one.end) if text[at] in self.flags.negations]
                if any(all(p.start <= at < p.end for at in negations) for p in plain):
                    continue
            kept.append(one)
        return kept

    def _excluded(self, issue: str, text: str, ones: list[_Found]) -> list[tuple[int, int]]:
        spans: set[tuple[int, int]] = set()
        for one in ones:
            if one.near_exception:
                # A text's end is where a search ends anyway; its beginning is not where a slice begins.
                low, high = max(0, one.start - CONTEXT_REACH), one.end + CONTEXT_REACH
                spans.update([e.span() for e in self._exceptions[issue].finditer(text, low, high)])
        return list(spans)

    def _hits(self, stream: AnyStream, found: list[_Found]) -> Iterator[Hit]:
        """Matches with their evidence and flags."""
        starts, ends = np.array([one.start for one in found]), np.array([one.end for one in found])
        rules = [one.compiled.rule for one in found]
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
                    stream, rule.issue, (one.start, one.end), one.flags, speaker, possible[at], asked=at in asked
                )
            yield Hit(
                rule.issue,
                rule.pattern.text,
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


def _by_length(one: _Found) -> tuple[int, int, bool, int]:
    return one.start - one.end, one.start, not one.flags, one.number


def _ruled_out(one: _Compiled, text: str, start: int, end: int) -> bool:
    return any(search(text, max(0, start - reach), end + reach) is not None for search, reach in one.unless)


def _mark(found: _Found, text: str, hit: Any) -> None:
    """Give a match the flags that its own words tell, and the words on both sides of a distance in seconds."""
    one = found.compiled
    if one.rule.flag:
        found.flags = frozenset([one.rule.flag])
    if one.negated(text, found.start, found.end):
        found.flags |= {"negated"}
    if one.near_seconds is not None:
        found.gap = hit.start("left") - 1, hit.start("right")


def _in_window(rule: Rule, start: float, end: float) -> bool:
    if rule.first is not None and start > (rule.first * end if rule.first < 1 else rule.first):
        return False
    return rule.last is None or start >= end - (rule.last * end if rule.last < 1 else rule.last)

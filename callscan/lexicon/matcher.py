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
from callscan.lexicon.cache import collector_paused
from callscan.lexicon.candidates import Candidates, spread
from callscan.lexicon.columns import Vocabulary
from callscan.lexicon.flags import CONTEXT_REACH, Flags
from callscan.lexicon.pattern import Near, Pattern
from callscan.lexicon.program import Program, charset, compiled, edge, features, has_gap, leaves, together
from callscan.lexicon.rules import Context, IssueRules, Rule
from callscan.lexicon.stream import SAID_BY, AnyStream, Stream
from callscan.lexicon.words import WordTable
from callscan.records import Hit, Transcript

_BY_TIME = attrgetter("start", "issue", "end")


class _Expression:
    """A pattern's expressions, which are compiled when some text first calls for them: ``search`` looks for the first
    match in a stretch of text; ``unless`` says what must not be within so many words around one. The pattern's tree is
    not kept: all of them are two hundred thousand objects, which the cycle collector would look at again and again."""

    __slots__ = ("_searches", "_written", "gaps", "search", "unless")

    def __init__(self, pattern: Pattern, program: Program) -> None:
        self.gaps = has_gap(pattern.node)
        # Where a match cannot begin is told by one look at what it can begin with.
        first, whole = edge(pattern.node, program, last=False), program.expression(pattern.node)
        ahead = charset(first) if first else ""
        self._written = whole if whole.startswith(ahead) else f"(?={ahead}){whole}"
        self.unless = tuple((program.expression(other), reach) for other, reach in pattern.unless)
        self.search: Any = self._first_search
        self._searches: tuple[tuple[Any, int], ...] | None = None

    def _first_search(self, text: str, low: int, high: int) -> Any:
        self.search = compiled(self._written).search
        return self.search(text, low, high)

    def ruled_out(self, stream: AnyStream, start: int, end: int) -> bool:
        """Whether something that must not be around a match is there, in what the same speaker says in turn."""
        if not self.unless:
            return False
        if self._searches is None:
            self._searches = tuple((compiled(other).search, reach) for other, reach in self.unless)
        first, last = stream.run(start)
        return any(
            search(stream.text, max(first, start - reach), min(end + reach, last)) is not None
            for search, reach in self._searches
        )


class _Compiled(_Expression):
    """A rule and its expressions."""

    __slots__ = (
        "_stop",
        "_strict",
        "bounded",
        "first",
        "flag",
        "issue",
        "last",
        "lexicon",
        "marked",
        "near_seconds",
        "speaker",
        "text",
    )

    def __init__(self, rule: Rule, program: Program, stop: frozenset[str]) -> None:
        super().__init__(rule.pattern, program)
        node = rule.pattern.node
        self.issue, self.lexicon, self.text, self.speaker = rule.issue, rule.lexicon, rule.pattern.text, rule.speaker
        self.first, self.last, self.flag = rule.first, rule.last, rule.flag
        self.near_seconds = node.seconds if isinstance(node, Near) else None
        self.bounded = self.near_seconds is not None or rule.first is not None or rule.last is not None
        self._stop = stop if self.gaps else frozenset()
        self._strict: Any = program.expression(node, "".join(sorted(stop))) if self._stop else ""
        self.marked = bool(rule.flag or self._stop) or self.near_seconds is not None

    def negated(self, text: str, start: int, end: int) -> bool:
        """Whether a match steps over a negation that its pattern does not name."""
        if self._stop.isdisjoint(text[start:end]):
            return False
        if isinstance(self._strict, str):
            self._strict = compiled(self._strict).match
        return self._strict(text, start, end) is None


class _Found:
    """A match of rule ``number``. ``gap`` are the words on both sides of a distance in seconds; ``excepted`` says that
    an exception of its issue holds one of its words, ``rejected`` that it is none after all, though it may still tell
    what others are."""

    flags: frozenset[str] = frozenset()
    gap: tuple[int, int] | None = None
    excepted = rejected = False

    def __init__(self, compiled: _Compiled, number: int, start: int, end: int) -> None:
        self.compiled, self.number, self.start, self.end = compiled, number, start, end


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
        self._rules = [
            _Compiled(rule, program, stop if "negated" in issues[rule.issue].flags else frozenset()) for rule in rules
        ]
        said_by = [SAID_BY[rule.speaker or "unknown"] for rule in rules]
        self.candidates = Candidates([rule.pattern.node for rule in rules], said_by, program)
        # Exceptions are looked for around what was found, and whoever says them.
        excepting = [(name, pattern) for name, issue in issues.items() for pattern in issue.exceptions]
        self._exceptions = [_Expression(pattern, program) for _, pattern in excepting]
        self._around = Candidates(
            [pattern.node for _, pattern in excepting], [SAID_BY["unknown"]] * len(excepting), program
        )
        self._excepted = {name: number for number, name in enumerate(dict(excepting))}
        self._excepting = np.array([self._excepted[name] for name, _ in excepting], dtype=np.intp)

    # -- running

    def match(self, transcripts: Sequence[Transcript]) -> dict[int, tuple[Hit, ...]]:
        """All hits of each call that has any, by start time; some calls together cost less than each by itself."""
        return self.match_stream(Stream(self.table, transcripts))

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
        found: list[_Found] = []
        text, rules = stream.text, self._rules
        for number, hit in _matches(stream, rules, *self.candidates.find(stream.kept, stream.said_by)):
            found.append(_found(rules[number], number, text, hit))
        found += self._in_one_sentence(stream, found)
        self._except(stream, [one for one in found if one.compiled.issue in self._excepted])
        return found

    def _in_one_sentence(self, stream: AnyStream, found: list[_Found]) -> list[_Found]:
        """Reject the matches that reach over the end of a sentence; the ones within those that do not."""
        gapped = [one for one in found if one.compiled.gaps]
        if not gapped:
            return []
        held: list[_Found] = []
        for one in compress(gapped, stream.stopped([one.start for one in gapped], [one.end for one in gapped])):
            one.rejected = True
            start = one.start
            while hit := one.compiled.search(stream.text, start + 1, one.end):
                start, end = hit.span()
                if not stream.stopped([start], [end])[0]:
                    if not one.compiled.ruled_out(stream, start, end):
                        held.append(_found(one.compiled, one.number, stream.text, hit))
                    break
        return held

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
        # The words around all of them, one stretch after the other; over a seam nothing is found in the text itself.
        which, within, _ = spread(high - low)
        said = np.zeros(size, dtype=bool)
        said[low.take(which) + within] = True
        near = np.flatnonzero(said)
        anyone = np.full(len(near), SAID_BY["unknown"], dtype=np.uint8)
        places, *others = self._around.find(stream.kept.take(near), anyone)
        exceptions = np.array(
            [(number, *hit.span()) for number, hit in _matches(stream, self._exceptions, near.take(places), *others)],
            dtype=np.intp,
        ).reshape(-1, 3)
        # As with the matches themselves: words left open are of one sentence.
        gapped = np.flatnonzero([self._exceptions[number].gaps for number in exceptions[:, 0].tolist()])
        over = stream.stopped(exceptions[gapped, 1], exceptions[gapped, 2])
        exceptions = np.delete(exceptions, gapped[over], axis=0)
        # Issue after issue on one line, each as long as the text and one word: what is of another is never reached.
        line = self._excepting.take(exceptions[:, 0]) * (size + 1)
        order = np.argsort(line + exceptions[:, 1])
        begun = (line + exceptions[:, 1]).take(order)
        last_end = np.append(0, np.maximum.accumulate((line + exceptions[:, 2]).take(order)))
        own = np.array([self._excepted[one.compiled.issue] for one in found]) * (size + 1)
        for at in np.flatnonzero(last_end.take(begun.searchsorted(own + ends)) > own + starts).tolist():
            found[at].excepted = True

    def _kept(self, stream: AnyStream, issue: str, ones: list[_Found]) -> list[_Found]:
        """What is left of the matches of an issue in a call, where they say the same or are excepted."""
        if len(ones) == 1:
            return [] if ones[0].rejected or ones[0].excepted else ones
        flagged = any(one.flags for one in ones)
        if flagged:
            ones = self._unexplained(stream.text, ones)
        kept: list[_Found] = []
        # The longest of overlapping matches stands for them all; of equals, the one whose pattern stands first.
        ones.sort(key=_by_length)
        for one in ones:
            start, end = one.start, one.end
            for other in kept:
                if start < other.end and other.start < end:
                    break
            else:
                if one.excepted:
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
            if "negated" in one.flags and not one.compiled.flag:
                negations = [at for at in range(one.start, one.end) if text[at] in self.flags.negations]
                if any(all(p.start <= at < p.end for at in negations) for p in plain):
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
                    stream, rule.issue, (one.start, one.end), one.flags, speaker, possible[at], asked=at in asked
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


def _matches(
    stream: AnyStream, expressions: Sequence[_Expression], places: Any, numbers: Any, before: Any, ahead: Any
) -> Iterator[tuple[int, Any]]:
    """What is found at candidates (:meth:`Candidates.find`), each once: number of the expression and the match."""
    # Never into what another speaker says before or after: that may be the very same words.
    run = stream.runs.searchsorted(places, side="right")
    low = np.maximum(places - before, np.append(0, stream.runs)[run])
    high = np.minimum(places + ahead, stream.runs[run])
    text, seen = stream.text, set[tuple[int, int, int]]()
    for number, begin, end in zip(numbers.tolist(), low.tolist(), high.tolist(), strict=True):
        one = expressions[number]
        hit = one.search(text, begin, end)
        if hit is None:
            continue
        key = (number, *hit.span())
        if key not in seen:
            seen.add(key)
            if not one.ruled_out(stream, key[1], key[2]):
                yield number, hit


def _by_length(one: _Found) -> tuple[int, int, bool, int]:
    return one.start - one.end, one.start, not one.flags, one.number


def _found(one: _Compiled, number: int, text: str, hit: Any) -> _Found:
    """A match, with the flags that its own words tell, and the words on both sides of a distance in seconds."""
    found = _Found(one, number, *hit.span())
    if one.marked:
        if one.flag:
            found.flags = frozenset([one.flag])
        if one.negated(text, found.start, found.end):
            found.flags |= {"negated"}
        if one.near_seconds is not None:
            found.gap = hit.start("left") - 1, hit.start("right")
    return found


def _in_window(rule: _Compiled, start: float, end: float) -> bool:
    if rule.first is not None and start > (rule.first * end if rule.first < 1 else rule.first):
        return False
    return rule.last is None or start >= end - (rule.last * end if rule.last < 1 else rule.last)

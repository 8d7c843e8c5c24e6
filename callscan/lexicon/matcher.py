"""Finding patterns: candidates for all patterns at once, then each pattern where it could be.

The steps are those of every transcript: words to symbols (:mod:`words`), hesitations and repeated words out
(:mod:`stream`), the places where a pattern's rarest words are near each other (:mod:`candidates`), and that pattern's
expression around each. What was found is merged per issue, checked against the issue's exceptions and given its
linguistic flags. All work per candidate is bounded, so the whole is linear in the text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import compress
from operator import attrgetter
from typing import Any

from callscan.lexicon.alphabet import Alphabet, Language, WordMemory
from callscan.lexicon.candidates import Candidates, spread
from callscan.lexicon.columns import Vocabulary
from callscan.lexicon.pattern import Near, Node, Pattern
from callscan.lexicon.program import Program, charset, compiled, edge, features, has_gap, leaves
from callscan.lexicon.rules import Context, IssueRules, Rule
from callscan.lexicon.stream import SAID_BY, AnyStream, Stream
from callscan.lexicon.words import WordTable
from callscan.records import Hit, Speaker, Transcript

_SymbolsOf = Callable[[Node, Program], frozenset[str] | None]

_BY_TIME = attrgetter("start", "issue", "end")
_ANYONE = 1
CONTEXT_REACH = 14
"""Words before and after a match in which exceptions and flags are looked for."""


class _Compiled:
    """A rule and its expressions, which are made when some text first calls for them."""

    __slots__ = ("_program", "_stop", "gaps", "near_seconds", "rule", "search", "speaker", "strict", "unless")

    def __init__(self, rule: Rule, program: Program, stop: str) -> None:
        node = rule.pattern.node
        self.rule = rule
        self.speaker = rule.speaker
        self.gaps = has_gap(node)
        self.near_seconds = node.seconds if isinstance(node, Near) else None
        self._program = program
        self._stop = stop
        self.search: Any = self._first_search
        self.strict: Any = None
        self.unless: list[tuple[Any, int]] = []

    def _first_search(self, text: str, low: int, high: int) -> Any:
        expression = self._program.expression
        pattern = self.rule.pattern
        if self.gaps and self._stop:
            self.strict = compiled(expression(pattern.node, self._stop)).match
        self.unless = [(compiled(expression(node)).search, reach) for node, reach in pattern.unless]
        # Where a match cannot begin is told by one look at what it can begin with.
        first = edge(pattern.node, self._program, last=False)
        ahead = f"(?={charset(first)})" if first else ""
        self.search = compiled(ahead + expression(pattern.node)).search
        return self.search(text, low, high)


@dataclass(frozen=True, slots=True)
class _Context:
    flag: str
    before: Any
    after: Any
    except_before: Any
    except_after: Any
    except_starting: Any
    before_last: frozenset[str] | None
    """The symbols that ``before`` can end with; None where it may be any."""
    after_first: frozenset[str] | None


@dataclass(slots=True)
class _Found:
    compiled: _Compiled
    number: int
    start: int
    end: int
    flags: set[str]
    gap: tuple[int, int] | None = None
    """The words on both sides of a distance in seconds."""
    near_exception: bool = False
    """An exception of its issue may be around it."""
    rejected: bool = False
    """It is none after all, though it may still tell what others are."""


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
        for leaf in {leaf for node in nodes for leaf in leaves(node)}:
            asked = list(features(leaf, self.alphabet))
            self.alphabet.ask((f for f, _ in asked), ((s, f) for f, s in asked if s))
        self.alphabet.freeze()
        self.program = Program(self.alphabet)
        self._issues = issues
        inside = {c.flag: self._inside(c) for c in contexts}
        self._stop = inside.get("negated", "")
        self._exceptions = {name: self._one_of(issue.exceptions) for name, issue in issues.items() if issue.exceptions}
        self._contexts = [
            _Context(
                context.flag,
                before=self._one_of(context.before, r"\Z"),
                after=self._one_of(context.after),
                except_before=self._one_of(context.except_before, r"\Z"),
                except_after=self._one_of(context.except_after),
                except_starting=self._one_of(context.except_starting),
                before_last=self._any_of(partial(edge, last=True), context.before),
                after_first=self._any_of(partial(edge, last=False), context.after),
            )
            for context in contexts
        ]
        self._before = _any_symbol([context.before_last for context in self._contexts])
        self._after = _any_symbol([context.after_first for context in self._contexts])
        memory = WordMemory(self.alphabet)
        self.table = WordTable(memory)
        self.vocabulary = Vocabulary(memory)
        self._rules = [
            _Compiled(rule, self.program, self._stop if "negated" in issues[rule.issue].flags else "") for rule in rules
        ]
        said_by = [SAID_BY[rule.speaker or "unknown"] for rule in rules]
        self.candidates = Candidates([rule.pattern.node for rule in rules], said_by, self.program)
        self._numbers = {name: number for number, name in enumerate(issues)}
        excepting = [(self._numbers[name], p.node) for name, issue in issues.items() for p in issue.exceptions]
        self._excepted = [number for number, _ in excepting]
        self._excepting = Candidates([node for _, node in excepting], [_ANYONE] * len(excepting), self.program)

    def _inside(self, context: Context) -> str:
        symbols: set[str] = set()
        for pattern in context.inside:
            for leaf in leaves(pattern.node):
                symbols |= self.program.symbols(leaf)
        return "".join(sorted(symbols))

    def _one_of(self, patterns: Sequence[Pattern], tail: str = "") -> Any:
        """One expression for any of the patterns; it finds nothing where there are none."""
        if not patterns:
            return compiled(r"(?!)")
        return compiled(f"(?:{'|'.join(self.program.expression(p.node) for p in patterns)}){tail}")

    def _any_of(self, symbols_of: _SymbolsOf, patterns: Sequence[Pattern]) -> frozenset[str] | None:
        """What ``symbols_of`` says of all patterns together: nothing, as soon as it says nothing of one."""
        found = [symbols_of(pattern.node, self.program) for pattern in patterns]
        known = [symbols for symbols in found if symbols is not None]
        return frozenset().union(*known) if len(known) == len(found) else None

    # -- running

    def match(self, transcripts: Sequence[Transcript]) -> dict[int, tuple[Hit, ...]]:
        """All hits of each call that has any, by start time; some calls together cost less than each by itself."""
        return self.match_stream(Stream(self.table, transcripts))

    def match_stream(self, stream: AnyStream) -> dict[int, tuple[Hit, ...]]:
        """The hits of each call of a stream that has any, by start time."""
        found = self._search(stream) if len(stream) else []
        self._reject(stream, found)
        self._look_around(stream, found)
        by_issue: dict[tuple[int, str], list[_Found]] = {}
        calls = stream.calls([one.start for one in found]).tolist() if found else []
        for call, one in zip(calls, found, strict=True):
            by_issue.setdefault((call, one.compiled.rule.issue), []).append(one)
        kept = [(call, one) for (call, issue), ones in by_issue.items() for one in self._kept(stream, issue, ones)]
        hits: dict[int, list[Hit]] = {}
        for (call, _), hit in zip(kept, self._hits(stream, [one for _, one in kept]), strict=True):
            hits.setdefault(call, []).append(hit)
        return {call: tuple(sorted(ones, key=_BY_TIME)) for call, ones in hits.items()}

    def _search(self, stream: AnyStream) -> list[_Found]:
        places, numbers, before, ahead = self.candidates.find(stream.kept, stream.said_by)
        if not len(places):
            return []
        import numpy as np

        found: dict[tuple[int, int, int], _Found] = {}
        text, rules = stream.text, self._rules
        # Never into what another speaker says before or after: that may be the very same words.
        run = stream.runs.searchsorted(places, side="right")
        low = np.maximum(places - before, np.append(0, stream.runs)[run])
        high = np.minimum(places + ahead, stream.runs[run])
        for number, begin, end in zip(numbers.tolist(), low.tolist(), high.tolist(), strict=True):
            one = rules[number]
            hit = one.search(text, begin, end)
            if hit is not None:
                start, end = hit.span()
                key = (number, start, end)
                if key not in found and not (one.unless and _ruled_out(one, text, start, end)):
                    found[key] = _as_found(one, number, text, hit)
        return list(found.values())

    def _reject(self, stream: AnyStream, found: list[_Found]) -> None:
        """Say which matches are none: over the end of a sentence, too far apart, outside their rule's window."""
        gapped = [one for one in found if one.compiled.gaps]
        if gapped:
            stopped = stream.stopped([one.start for one in gapped], [one.end for one in gapped])
            for one, rejected in zip(gapped, stopped.tolist(), strict=True):
                one.rejected = rejected
        for one in found:
            rule = one.compiled.rule
            if one.gap is not None and one.compiled.near_seconds is not None:
                left, right = (stream.time(position) for position in one.gap)
                one.rejected |= right[0] - left[1] > one.compiled.near_seconds
            if rule.first is not None or rule.last is not None:
                start = stream.evidence([one.start], [one.end])[0].start
                one.rejected |= not _in_window(rule, start, stream.length(one.start))

    def _look_around(self, stream: AnyStream, found: list[_Found]) -> None:
        """Say which matches have an exception around them, as far as :class:`Candidates` can tell."""
        if not found or not self._excepted:
            return
        import numpy as np

        low = np.maximum(np.array([one.start for one in found]) - CONTEXT_REACH, 0)
        high = np.minimum(np.array([one.end for one in found]) + CONTEXT_REACH, len(stream))
        which, within, _ = spread(high - low)
        kept = stream.kept.take(low.take(which) + within)
        places, numbers, _, _ = self._excepting.find(kept, np.full(len(kept), _ANYONE, dtype=np.uint8))
        around = which.take(places)
        issues = np.array([self._numbers[one.compiled.rule.issue] for one in found])
        for at in around[np.array(self._excepted).take(numbers) == issues.take(around)].tolist():
            found[at].near_exception = True

    def _kept(self, stream: AnyStream, issue: str, ones: list[_Found]) -> list[_Found]:
        """What is left of the matches of an issue in a call, where they say the same or are excepted."""
        ones = self._unexplained(stream.text, ones)
        excluded = self._excluded(issue, stream.text, ones)
        if len(ones) == 1 and not excluded:
            return [] if ones[0].rejected else ones
        kept: list[_Found] = []
        # The longest of overlapping matches stands for them all; of equals, the one whose pattern stands first.
        ones.sort(key=lambda f: (f.start - f.end, f.start, not f.flags, f.number))
        for one in ones:
            if any(one.start < other.end and other.start < one.end for other in kept):
                continue
            if excluded and any(one.start < end and start < one.end for start, end in excluded):
                continue
            # A negation that one of them steps over negates what they all say.
            one.flags.update(*[o.flags for o in ones if o.start < one.end and one.start < o.end])
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
                negations = [at for at in range(one.start, one.end) if text[at] in self._stop]
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

    def _hits(self, stream: AnyStream, found: list[_Found]) -> list[Hit]:
        """Matches with their evidence and flags."""
        if not found:
            return []
        starts, ends = [one.start for one in found], [one.end for one in found]
        flaggable = self._flaggable(stream, starts, ends)
        told = stream.evidence(starts, ends)
        # A customer's question is none that says something else.
        others = [at for at, evidence in enumerate(told) if evidence.speaker != "customer"]
        asked = set(compress(others, stream.asked([ends[at] for at in others]).tolist())) if others else set()
        hits: list[Hit] = []
        for at, (one, evidence) in enumerate(zip(found, told, strict=True)):
            rule, speaker = one.compiled.rule, evidence.speaker
            hits.append(
                Hit(
                    rule.issue,
                    rule.pattern.text,
                    rule.lexicon,
                    speaker,
                    evidence.start,
                    evidence.end,
                    evidence.quote,
                    evidence.segment,
                    evidence.probability,
                    rule.speaker is None or speaker != "unknown",
                    self._flags(stream, one, speaker, at in asked) if one.flags or at in asked or flaggable[at] else (),
                )
            )
        return hits

    def _flaggable(self, stream: AnyStream, starts: list[int], ends: list[int]) -> list[bool]:
        """Whether the word before or after a match is one that some flag asks for."""
        import numpy as np

        kept = np.append(stream.kept, np.uint16(0)).astype(np.intp)
        begins = np.array(starts)
        after = self._after[kept[ends]]
        found: list[bool] = (after | (self._before[kept[begins - 1]] & (begins > 0))).tolist()
        return found

    def _flags(self, stream: AnyStream, one: _Found, speaker: Speaker, question: bool) -> tuple[str, ...]:
        allowed = self._issues[one.compiled.rule.issue].flags
        flags: list[str] = []
        for context in self._contexts:
            if context.flag in one.flags:
                flags.append(context.flag)
            elif context.flag in allowed and not (context.flag == "question" and speaker == "customer"):
                asked = question and context.flag == "question"
                if asked or self._applies(context, stream, one):
                    flags.append(context.flag)
        return tuple(flags)

    def _applies(self, context: _Context, stream: AnyStream, one: _Found) -> bool:
        text = stream.text
        low, high = max(0, one.start - CONTEXT_REACH), min(len(text), one.end + CONTEXT_REACH)
        if (
            one.start
            and (context.before_last is None or text[one.start - 1] in context.before_last)
            and not context.except_starting.match(text, one.start, one.end)
        ):
            before = context.before.search(text, low, one.start)
            if (
                before is not None
                and not context.except_before.search(text, low, one.start)
                and not stream.cut(before.start(), one.start)
            ):
                return True
        return (
            one.end < len(text)
            and (context.after_first is None or text[one.end] in context.after_first)
            and context.after.match(text, one.end, high) is not None
            and context.except_after.match(text, one.end, high) is None
        )


def _any_symbol(sets: Sequence[frozenset[str] | None]) -> Any:
    """Which symbols are in any of the sets, by their number; all of them where one set is of any."""
    import numpy as np

    found = np.zeros(1 << 16, dtype=bool)
    for symbols in sets:
        found[[ord(one) for one in symbols] if symbols is not None else slice(None)] = True
    return found


def _ruled_out(one: _Compiled, text: str, start: int, end: int) -> bool:
    return any(search(text, max(0, start - reach), end + reach) is not None for search, reach in one.unless)


def _as_found(one: _Compiled, number: int, text: str, hit: Any) -> _Found:
    start, end = hit.span()
    flags = {one.rule.flag} if one.rule.flag else set()
    if one.strict is not None and one.strict(text, start, end) is None:
        flags.add("negated")
    gap = (hit.start("left") - 1, hit.start("right")) if one.near_seconds is not None else None
    return _Found(one, number, start, end, flags, gap)


def _in_window(rule: Rule, start: float, end: float) -> bool:
    if rule.first is not None and start > (rule.first * end if rule.first < 1 else rule.first):
        return False
    return rule.last is None or start >= end - (rule.last * end if rule.last < 1 else rule.last)

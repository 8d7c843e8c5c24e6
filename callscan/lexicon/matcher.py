"""Finding patterns: one automaton over the rare words of all patterns, then the pattern itself where they stand.

The steps are those of every transcript: words to symbols (:mod:`alphabet`), hesitations and repeated words out, one
pass of an Aho-Corasick automaton over the symbols for sequences that some pattern cannot do without, and that
pattern's expression around each of them. What was found is merged per issue, checked against the issue's exceptions and
given its linguistic flags. All work per candidate is bounded, so the whole is linear in the text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from callscan.lexicon.alphabet import BREAK, JOIN, OTHER, SEGMENT, Alphabet, Language, WordMemory
from callscan.lexicon.pattern import Near, Pattern
from callscan.lexicon.program import Program, compiled, features, has_gap, leaves, span
from callscan.lexicon.stream import Locator, Place, lay_out, normalised
from callscan.records import Hit, Speaker, Transcript

CONTEXT_REACH = 14
"""Words before and after a match in which exceptions and flags are looked for."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One pattern of one issue, as the matcher wants it. ``first`` and ``last`` bound where in the call it counts:
    seconds, or a share of the call where below 1."""

    issue: str
    lexicon: str
    speaker: Speaker | None
    pattern: Pattern
    first: float | None = None
    last: float | None = None
    flag: str = ""
    """A flag that every match of this pattern carries: "pas de problème" is there to be seen, not to be counted."""


@dataclass(frozen=True, slots=True)
class Context:
    """When a match carries a flag: what stands right before it, right after it, or in its gaps."""

    flag: str
    before: tuple[Pattern, ...] = ()
    after: tuple[Pattern, ...] = ()
    inside: tuple[Pattern, ...] = ()
    except_before: tuple[Pattern, ...] = ()
    except_after: tuple[Pattern, ...] = ()
    except_starting: tuple[Pattern, ...] = ()

    @property
    def patterns(self) -> tuple[Pattern, ...]:
        """All patterns, whatever their part."""
        return (
            *self.before,
            *self.after,
            *self.inside,
            *self.except_before,
            *self.except_after,
            *self.except_starting,
        )


@dataclass(frozen=True, slots=True)
class IssueRules:
    """What holds for all patterns of an issue: exceptions, and the flags that can apply."""

    exceptions: tuple[Pattern, ...]
    flags: frozenset[str]


class _Compiled:
    """A rule and its expressions, which are made when some text first calls for them."""

    __slots__ = ("_program", "_stop", "before", "gaps", "near_seconds", "rule", "search", "strict", "unless", "width")

    def __init__(self, rule: Rule, program: Program, before: int, stop: str) -> None:
        node = rule.pattern.node
        self.rule = rule
        self.before = before
        self.width = span(node)[1]
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
        self.search = compiled(expression(pattern.node)).search
        return self.search(text, low, high)


@dataclass(frozen=True, slots=True)
class _Context:
    flag: str
    before: Any
    after: Any
    except_before: Any
    except_after: Any
    except_starting: Any


@dataclass(slots=True)
class _Found:
    compiled: _Compiled
    start: int
    end: int
    flags: set[str]
    gap: tuple[int, int] | None = None
    """The words on both sides of a distance in seconds."""


class Matcher:
    """All rules of one language, ready to run over transcripts. Not for use by two threads at once."""

    def __init__(
        self,
        language: Language,
        rules: Sequence[Rule],
        issues: Mapping[str, IssueRules],
        contexts: Sequence[Context],
    ) -> None:
        import ahocorasick_rs

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
            )
            for context in contexts
        ]
        self._memory = WordMemory(self.alphabet)
        self._triggers: list[tuple[_Compiled, ...]] = []
        triggers: dict[str, list[_Compiled]] = {}
        self.costs: list[tuple[float, Rule]] = []
        for rule in rules:
            anchors = self.program.anchors(rule.pattern.node)
            assert anchors is not None  # noqa: S101  the loader refuses patterns without
            self.costs.append((anchors.cost, rule))
            stop = self._stop if "negated" in issues[rule.issue].flags else ""
            one = _Compiled(rule, self.program, anchors.before, stop)
            for ngram in anchors.ngrams():
                triggers.setdefault(ngram, []).append(one)
        self._triggers = [tuple(ones) for ones in triggers.values()]
        self._automaton = ahocorasick_rs.BytesAhoCorasick(
            [ngram.encode("utf-16-le") for ngram in triggers], implementation=ahocorasick_rs.Implementation.DFA
        )

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

    # -- running

    def match(self, transcript: Transcript) -> tuple[Hit, ...]:
        """All hits in one transcript, by start time."""
        text, places = lay_out(transcript)
        if not places:
            return ()
        stream = _Stream(self._memory, text, places)
        found = self._search(stream)
        if not found:
            return ()
        return tuple(sorted(self._hits(transcript, stream, found), key=lambda hit: (hit.start, hit.issue, hit.end)))

    def _search(self, stream: _Stream) -> list[_Found]:
        candidates = self._automaton.find_matches_as_indexes(stream.data, overlapping=True)
        if not candidates:
            return []
        text = stream.text
        length = len(text)
        runs = stream.runs()
        run = 0
        speaker, run_end = runs[0]
        found: dict[tuple[int, int, int], _Found] = {}
        triggers = self._triggers
        for trigger, first, _ in candidates:
            place = first >> 1
            while place >= run_end:
                run += 1
                speaker, run_end = runs[run]
            for one in triggers[trigger]:
                wanted = one.rule.speaker
                if wanted is not None and wanted != speaker and speaker != "unknown":
                    continue
                low = place - one.before
                hit = one.search(text, low if low > 0 else 0, min(place + one.width, length))
                if hit is None:
                    continue
                start, end = hit.span()
                key = (id(one), start, end)
                if key in found:
                    continue
                if any(
                    search(text, max(0, start - reach), min(length, end + reach)) is not None
                    for search, reach in one.unless
                ):
                    continue
                flags = {one.rule.flag} if one.rule.flag else set()
                if one.strict is not None and one.strict(text, start, end) is None:
                    flags.add("negated")
                gap = (hit.start("left") - 1, hit.start("right")) if one.near_seconds is not None else None
                found[key] = _Found(one, start, end, flags, gap)
        return list(found.values())

    def _hits(self, transcript: Transcript, stream: _Stream, found: list[_Found]) -> list[Hit]:
        locator = Locator(transcript)
        by_issue: dict[str, list[_Found]] = {}
        for one in found:
            by_issue.setdefault(one.compiled.rule.issue, []).append(one)
        hits: list[Hit] = []
        for issue, ones in by_issue.items():
            ones = self._unexplained(stream.text, ones)
            excluded = self._excluded(issue, stream.text, ones)
            kept: list[tuple[int, int]] = []
            # The longest of overlapping matches stands for them all; of equals, the first.
            for one in sorted(ones, key=lambda f: (f.start - f.end, f.start, not f.flags)):
                if any(one.start < end and start < one.end for start, end in kept):
                    continue
                if any(one.start < end and start < one.end for start, end in excluded):
                    continue
                # A negation that one of them steps over negates what they all say.
                one.flags.update(*(o.flags for o in ones if o.start < one.end and one.start < o.end))
                hit = self._hit(transcript, stream, locator, one)
                if hit is not None:
                    kept.append((one.start, one.end))
                    hits.append(hit)
        return hits

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
        exceptions = self._exceptions.get(issue)
        if exceptions is None:
            return []
        spans: list[tuple[int, int]] = []
        for one in ones:
            low, high = max(0, one.start - CONTEXT_REACH), min(len(text), one.end + CONTEXT_REACH)
            spans.extend(e.span() for e in exceptions.finditer(text, low, high))
        return spans

    def _hit(self, transcript: Transcript, stream: _Stream, locator: Locator, one: _Found) -> Hit | None:
        rule = one.compiled.rule
        evidence = locator.evidence(stream.pieces(one.start, one.end))
        if evidence.cut and one.compiled.gaps:
            return None
        if one.gap is not None and one.compiled.near_seconds is not None:
            left, right = (locator.time(*stream.word(position)) for position in one.gap)
            if right[0] - left[1] > one.compiled.near_seconds:
                return None
        if not _in_window(rule, evidence.start, transcript):
            return None
        segment = stream.segment(one.start)
        speaker = stream.place(one.start).speaker
        return Hit(
            issue=rule.issue,
            pattern=rule.pattern.text,
            lexicon=rule.lexicon,
            speaker=speaker,
            start=evidence.start,
            end=evidence.end,
            quote=evidence.quote,
            segment=segment,
            probability=evidence.probability,
            speaker_known=rule.speaker is None or speaker != "unknown",
            flags=self._flags(stream, locator, one, evidence.asked, speaker),
        )

    def _flags(self, stream: _Stream, locator: Locator, one: _Found, asked: bool, speaker: Speaker) -> tuple[str, ...]:
        allowed = self._issues[one.compiled.rule.issue].flags
        text = stream.text
        flags: list[str] = []
        for context in self._contexts:
            if context.flag in one.flags:
                flags.append(context.flag)
                continue
            if context.flag not in allowed:
                continue
            if context.flag == "question":
                if speaker == "customer":
                    continue
                if asked:
                    flags.append("question")
                    continue
            if self._applies(context, stream, locator, one):
                flags.append(context.flag)
        return tuple(flags)

    def _applies(self, context: _Context, stream: _Stream, locator: Locator, one: _Found) -> bool:
        text = stream.text
        low, high = max(0, one.start - CONTEXT_REACH), min(len(text), one.end + CONTEXT_REACH)
        if not context.except_starting.match(text, one.start, one.end):
            before = context.before.search(text, low, one.start)
            if (
                before is not None
                and not context.except_before.search(text, low, one.start)
                and not stream.cut(locator, before.start(), one.start)
            ):
                return True
        return (
            context.after.match(text, one.end, high) is not None
            and context.except_after.match(text, one.end, high) is None
        )


def _in_window(rule: Rule, start: float, transcript: Transcript) -> bool:
    if rule.first is None and rule.last is None:
        return True
    end = max(segment.end for segment in transcript.segments)
    if rule.first is not None and start > (rule.first * end if rule.first < 1 else rule.first):
        return False
    return rule.last is None or start >= end - (rule.last * end if rule.last < 1 else rule.last)


class _Stream:
    """One transcript's words as symbols, with the way back."""

    def __init__(self, memory: WordMemory, text: str, places: Sequence[Place]) -> None:
        import numpy as np

        self._places = places
        words = normalised(text).split()
        raw = np.frombuffer(b"".join(map(memory.__getitem__, words)), dtype="<u2")
        self._joins = np.flatnonzero(raw == ord(JOIN))
        marks = np.flatnonzero((raw == ord(SEGMENT)) | (raw == ord(BREAK)))
        self._marks = marks
        index = np.flatnonzero(raw > ord(SEGMENT))
        kept = raw[index]
        for length in (1, 2, 3):
            again = _repeats(np, kept, length)
            if again is not None:
                kept, index = kept[again], index[again]
        self._index = index
        self.data: bytes = kept.tobytes()
        self._text: str | None = None

    @property
    def text(self) -> str:
        """One character per word that counts."""
        if self._text is None:
            self._text = self.data.decode("utf-16-le")
        return self._text

    def runs(self) -> list[tuple[Speaker, int]]:
        """Each speaker in turn, with the end of what they say in :attr:`text`."""
        runs: list[tuple[Speaker, int]] = []
        for number, place in enumerate(self._places):
            last = number == len(self._places) - 1
            if last or self._places[number + 1].speaker != place.speaker:
                bound = len(self._index) + 1 if last else int(self._index.searchsorted(self._marks[number]))
                runs.append((place.speaker, bound))
        return runs

    def _number(self, position: int) -> int:
        """Which segment of the stream a word of :attr:`text` is in."""
        return int(self._marks.searchsorted(self._index[position]))

    def place(self, position: int) -> Place:
        return self._places[self._number(position)]

    def segment(self, position: int) -> int:
        return self.place(position).segment

    def word(self, position: int) -> tuple[int, int]:
        """The segment and the word in it of a word of :attr:`text`."""
        raw = int(self._index[position])
        number = int(self._marks.searchsorted(raw))
        start = int(self._marks[number - 1]) + 1 if number else 0
        joins = int(self._joins.searchsorted(raw) - self._joins.searchsorted(start))
        return self._places[number].segment, raw - start - 2 * joins

    def pieces(self, start: int, end: int) -> list[tuple[int, int, int]]:
        """A match as (segment, first word, last word), one for each segment it touches."""
        pieces: list[tuple[int, int, int]] = []
        for position in range(start, end):
            segment, word = self.word(position)
            if pieces and pieces[-1][0] == segment:
                pieces[-1] = (segment, pieces[-1][1], word)
            else:
                pieces.append((segment, word, word))
        return pieces

    def cut(self, locator: Locator, start: int, end: int) -> bool:
        """Whether a sentence ends between two words of :attr:`text`."""
        return locator.broken(self.word(start), self.word(end))


def _repeats(np: Any, kept: Any, length: int) -> Any:
    """Which words stay when "la deuxième la deuxième" is heard as said once; None where nothing is repeated."""
    if len(kept) < 2 * length:
        return None
    same = (kept[:-length] == kept[length:]) & (kept[:-length] > ord(OTHER))
    run = same
    for shift in range(1, length):
        run = run[:-1] & same[shift:]
    starts = np.flatnonzero(run)
    if not len(starts):
        return None
    stays = np.ones(len(kept), dtype=bool)
    for shift in range(length):
        stays[starts + shift] = False
    return stays

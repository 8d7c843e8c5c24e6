"""What lexicon files say, read and checked: patterns with what holds for each, and the words that flag a match."""

from __future__ import annotations

from dataclasses import dataclass

from callscan.lexicon.pattern import Pattern
from callscan.records import Speaker


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

"""Which voice is the agent: by what each of them says, who speaks first, and what the metadata know.

The evidence is a sum of log-odds (``roles.toml``); the confidence is their logistic function, and where it stays below
nine in ten, nobody is named. The same evidence tells when the channels of a stereo recording look swapped.
"""

from __future__ import annotations

import math
import re
import tomllib
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from callscan.records import Segment, Speaker

_TEMPER = 2.0
"""Cues repeat each other, so their sum overstates: a call that says two things is not twice as sure as it seems."""
_SURE = _TEMPER * math.log(9)
"""Difference of two voices from which roles are given: nine in ten."""
_SWAPPED = _TEMPER * math.log(99)
_FIRST = 1.2
"""For who says the first words: the agent answers the telephone. Of an outbound call it is the other way round."""
_NAMED = 4.0
"""For who says the agent's name in their first words."""
_FIRST_WORDS = 12
_OUTBOUND = ("outbound", "sortant", "out")


@dataclass(frozen=True, slots=True)
class Said:
    """A segment by one voice; ``label`` is the diariser's."""

    segment: Segment
    label: str


@dataclass(frozen=True, slots=True)
class Roles:
    """The role of each label, and how sure that is (0.5 to 1)."""

    speakers: Mapping[str, Speaker]
    confidence: float

    def of(self, label: str) -> Speaker:
        """The role of a label; ``unknown`` for one that said nothing."""
        return self.speakers.get(label, "unknown")


@dataclass(frozen=True, slots=True)
class _Cue:
    weight: float
    pattern: re.Pattern[str]
    most: int


def roles(said: Sequence[Said], language: str, metadata: Mapping[str, str] | None = None) -> Roles:
    """Name the voices of one call ``agent`` or ``customer``, all ``unknown`` where the evidence does not suffice.

    With more than two voices each takes the role of the end of the scale it stands nearer to, if it stands clear
    of the other one. ``metadata`` is the call's row: ``agent`` and ``direction`` are read.
    """
    labels = sorted({one.label for one in said})
    scores = {label: _score(said, label, language, metadata or {}) for label in labels}
    # A voice alone in its recording is measured against nobody.
    scale = [*scores.values()] if len(labels) > 1 else [*scores.values(), 0.0]
    low, high = min(scale), max(scale)
    named: dict[str, Speaker] = dict.fromkeys(labels, "unknown")
    for label, score in scores.items():
        if score - low >= _SURE and score - low >= high - score:
            named[label] = "agent"
        elif high - score >= _SURE and high - score > score - low:
            named[label] = "customer"
    return Roles(named, 1 / (1 + math.exp((low - high) / _TEMPER)))


def swapped(said: Sequence[Said], agent: str, customer: str, language: str) -> bool:
    """Whether the channel that should be the agent's sounds like the customer's, and the other way round."""
    scores = {label: _score(said, label, language, {}) for label in (agent, customer)}
    return scores[customer] - scores[agent] >= _SWAPPED


def _score(said: Sequence[Said], label: str, language: str, metadata: Mapping[str, str]) -> float:
    """Log-odds that a voice is the agent's, in no more than what it says itself."""
    own = [_plain(one.segment.text) for one in said if one.label == label and not one.segment.flags]
    text = " \n ".join(own)
    total = 0.0
    for cue in _cues(language):
        found = sum(1 for _ in cue.pattern.finditer(text))
        total += cue.weight * min(found, cue.most)
    opening = next((one for one in said if one.segment.text.strip()), None)
    if opening is not None and opening.label == label:
        outbound = metadata.get("direction", "").strip().lower() in _OUTBOUND
        total += -_FIRST if outbound else _FIRST
    names = {name for name in _plain(metadata.get("agent", "")).split() if len(name) > 2 and name.isalpha()} - {"agent"}
    if names & set(" ".join(own).split()[:_FIRST_WORDS]):
        total += _NAMED
    return total


def _plain(text: str) -> str:
    """Lower case, no accents, no punctuation, single spaces."""
    letters = unicodedata.normalize("NFD", text.lower().replace("œ", "oe"))
    return " ".join(re.sub(r"[^a-z0-9]+", " ", "".join(c for c in letters if not unicodedata.combining(c))).split())


@cache
def _cues(language: str) -> tuple[_Cue, ...]:
    table = tomllib.loads((Path(__file__).parent / "roles.toml").read_text("utf-8"))
    return tuple(
        _Cue(group["weight"], re.compile(pattern), group.get("each", 1))
        for group in table.get(language, [])
        for pattern in group["any"]
    )

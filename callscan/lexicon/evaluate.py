"""How well a lexicon finds what people labelled: precision, recall and F1, each issue and all together."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from callscan.errors import ConfigError
from callscan.lexicon.lexicon import DEFAULT_LANGUAGE, Lexicon
from callscan.records import SPEAKERS, Speaker

_HINT = '{"speaker": "customer", "must": ["waiting"], "may": [], "text": "..."}'


@dataclass(frozen=True, slots=True)
class Utterance:
    """A labelled sentence: issues that must be found, issues that may be; any other is a false alarm."""

    text: str
    speaker: Speaker
    must: frozenset[str]
    may: frozenset[str]
    line: int


@dataclass(frozen=True, slots=True)
class Score:
    """Counts of one issue, or of all."""

    found: int = 0
    missed: int = 0
    false: int = 0

    def __add__(self, other: Score) -> Score:
        return Score(self.found + other.found, self.missed + other.missed, self.false + other.false)

    @property
    def precision(self) -> float | None:
        """The share of what was found that is right; None where nothing was found."""
        return self.found / (self.found + self.false) if self.found + self.false else None

    @property
    def recall(self) -> float | None:
        """The share of what is there that was found; None where nothing is there."""
        return self.found / (self.found + self.missed) if self.found + self.missed else None

    @property
    def f1(self) -> float | None:
        """The harmonic mean of both; None where nothing is there and nothing was found."""
        counted = 2 * self.found + self.missed + self.false
        return 2 * self.found / counted if counted else None


def wilson(successes: int, trials: int) -> tuple[float, float] | None:
    """The 95 % Wilson interval of a share; None where there were no trials."""
    if not trials:
        return None
    z = 1.959963984540054
    share, square = successes / trials, z * z / trials
    middle = (share + square / 2) / (1 + square)
    half = z * math.sqrt(share * (1 - share) / trials + square / (4 * trials)) / (1 + square)
    return max(0.0, middle - half), min(1.0, middle + half)


def read_labelled(path: Path) -> list[Utterance]:
    """Read labelled utterances, one JSON object a line; raises ConfigError with the line."""
    utterances: list[Utterance] = []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError("cannot be read as UTF-8 text", str(error), where=str(path)) from None
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        where = f"{path}:{number}:1"
        try:
            entry = json.loads(line)
        except json.JSONDecodeError as error:
            raise ConfigError(f"is not JSON: {error.msg}", _HINT, where=f"{path}:{number}:{error.colno}") from None
        if not isinstance(entry, dict) or not isinstance(entry.get("text"), str):
            raise ConfigError("a line needs a text", _HINT, where=where)
        speaker = entry.get("speaker", "unknown")
        if speaker not in SPEAKERS:
            raise ConfigError(f"unknown speaker '{speaker}'", "one of " + ", ".join(SPEAKERS), where=where)
        must, may = (frozenset(entry.get(key, [])) for key in ("must", "may"))
        utterances.append(Utterance(entry["text"], speaker, must, may, number))
    return utterances


def evaluate(lexicon: Lexicon, utterances: Sequence[Utterance], language: str = DEFAULT_LANGUAGE) -> dict[str, Any]:
    """``micro``, ``issues`` by id, and ``errors``: the utterances where something was missed or falsely found.

    Rates are None where nothing was there to be found; intervals are 95 % (Wilson).
    """
    known = {issue.id for issue in lexicon.issues}
    scores: dict[str, Score] = {}
    errors: list[dict[str, Any]] = []
    for utterance in utterances:
        unknown = sorted((utterance.must | utterance.may) - known)
        if unknown:
            raise ConfigError(
                f"line {utterance.line}: unknown issue '{unknown[0]}'", "`callscan keywords list` shows the issues"
            )
        hits = lexicon.match_text(utterance.text, utterance.speaker, language)
        found = {hit.issue for hit in hits if hit.counted}
        missed = utterance.must - found
        false = found - utterance.must - utterance.may
        for issue in utterance.must | false:
            score = Score(issue in utterance.must & found, issue in missed, issue in false)
            scores[issue] = scores.get(issue, Score()) + score
        if missed or false:
            errors.append(
                {
                    "line": utterance.line,
                    "speaker": utterance.speaker,
                    "text": utterance.text,
                    "missed": sorted(missed),
                    "false": sorted(false),
                    "because": sorted(
                        f"{hit.issue}: {hit.quote}" + (f" ({', '.join(hit.flags)})" if hit.flags else "")
                        for hit in hits
                        if hit.issue in false or hit.issue in missed
                    ),
                }
            )
    total = sum(scores.values(), Score())
    return {
        "micro": _row(total),
        "issues": {issue: _row(scores[issue]) for issue in sorted(scores)},
        "errors": errors,
        "utterances": len(utterances),
    }


def _row(score: Score) -> dict[str, Any]:
    return {
        "precision": score.precision,
        "precision_95": wilson(score.found, score.found + score.false),
        "recall": score.recall,
        "recall_95": wilson(score.found, score.found + score.missed),
        "f1": score.f1,
        "support": score.found + score.missed,
    }

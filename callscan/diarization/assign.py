"""Words to turns: who said each word of a mono recording.

Every word is scored for every voice by the share of its time that the voice speaks, and one pass finds the best
sequence when a change of voice in the middle of a phrase costs more than one after a pause. That is the smoothing: a
word across a boundary goes where it fits, and a stray turn of a few frames does not tear a sentence apart.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from callscan.records import Segment, Turn, Word

_PAUSE = 0.25
"""Seconds between two words at which somebody else may well begin."""
_CHANGE = 0.55
"""What a change of voice costs inside a phrase, in words that the other voice covers whole."""
_CHANGE_AFTER_PAUSE = 0.12
_NEAR = 0.3
"""What a voice scores for a word just outside its turns; it falls with the distance."""


@dataclass(frozen=True, slots=True)
class Said:
    """A segment by one voice; ``label`` is the diariser's, None where it found no voice at all."""

    segment: Segment
    label: str | None


def assign(segments: Iterable[Segment], turns: Sequence[Turn]) -> tuple[Said, ...]:
    """Every segment under the voice that said it, split where the voice changes; by start time.

    ``segments`` are those of one channel. No word is lost, added or moved; words outside all turns go to the
    nearest voice that their phrase allows. A segment without words is taken as one.
    """
    ordered = sorted(segments, key=lambda segment: (segment.start, segment.end))
    if not turns:
        return tuple(Said(segment, None) for segment in ordered)
    words = [word for segment in ordered for word in segment.words or (Word("", segment.start, segment.end),)]
    labels = iter(_best(words, turns))
    said: list[Said] = []
    for segment in ordered:
        said += _split(segment, [next(labels) for _ in segment.words or (None,)])
    return tuple(said)


def _best(words: Sequence[Word], turns: Sequence[Turn]) -> list[str]:
    """The label of each word: the sequence with the highest score."""
    voices = [_Voice(label, turns) for label in sorted({turn.label for turn in turns})]
    score = [0.0] * len(voices)
    back: list[list[int]] = []
    for number, word in enumerate(words):
        if number:
            last = words[number - 1]
            paused = word.start - last.end >= _PAUSE or last.text.rstrip().endswith((".", "?", "!"))
            change = _CHANGE_AFTER_PAUSE if paused else _CHANGE
            leader = max(range(len(voices)), key=score.__getitem__)
            before = [i if score[i] >= score[leader] - change else leader for i in range(len(voices))]
            back.append(before)
            score = [score[j] - (change if j != i else 0.0) for i, j in enumerate(before)]
        score = [total + voice.share(word) for total, voice in zip(score, voices, strict=True)]
    if not words:
        return []
    path = [max(range(len(voices)), key=score.__getitem__)]
    for before in reversed(back):
        path.append(before[path[-1]])
    return [voices[i].label for i in reversed(path)]


class _Voice:
    """When one label speaks, by time."""

    def __init__(self, label: str, turns: Sequence[Turn]) -> None:
        self.label = label
        own = sorted((turn.start, turn.end) for turn in turns if turn.label == label)
        self._starts = [start for start, _ in own]
        self._ends = [end for _, end in own]

    def share(self, word: Word) -> float:
        """The share of the word's time inside the turns; outside of all of them less than :data:`_NEAR`."""
        length = max(word.end - word.start, 0.02)
        end = word.start + length
        first, last = bisect_right(self._ends, word.start), bisect_left(self._starts, end)
        if first < last:
            spans = zip(self._starts[first:last], self._ends[first:last], strict=True)
            return sum(min(end, after) - max(word.start, before) for before, after in spans) / length
        gaps = [word.start - self._ends[first - 1]] if first else []
        gaps += [self._starts[last] - end] if last < len(self._starts) else []
        return _NEAR / (1.0 + min(gaps))


def _split(segment: Segment, labels: Sequence[str]) -> list[Said]:
    """A segment cut where the label changes; its parts keep its figures and flags."""
    if len(set(labels)) == 1:
        return [Said(segment, labels[0])]
    parts: list[tuple[str, list[Word]]] = []
    for word, label in zip(segment.words, labels, strict=True):
        if not parts or parts[-1][0] != label:
            parts.append((label, []))
        parts[-1][1].append(word)
    said = []
    for number, (label, words) in enumerate(parts):
        start = segment.start if number == 0 else words[0].start
        end = segment.end if number == len(parts) - 1 else words[-1].end
        text = " ".join(word.text.strip() for word in words)
        said.append(Said(replace(segment, start=start, end=max(start, end), text=text, words=tuple(words)), label))
    return said

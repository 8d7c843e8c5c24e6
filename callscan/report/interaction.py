"""Interaction measures, vectorised over many calls: talk, silence and overtalk from who speaks when."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

ROLES = ("customer", "agent")
"""Who has a talk time of their own; index = the number that stands for the role in :class:`Voices`."""

OTHER = len(ROLES)
"""Stands for every other speaker: announcements, and voices nobody could name."""


@dataclass(frozen=True, slots=True)
class Voices:
    """Who speaks when, in many calls: arrays of one length.

    ``call`` is the index of the call, ``role`` an index into :data:`ROLES` or :data:`OTHER`, ``start`` and ``end``
    seconds in the call. Spans of one voice do not overlap each other.
    """

    call: Ints
    role: Ints
    start: Floats
    end: Floats


@dataclass(frozen=True, slots=True)
class Interaction:
    """Seconds a call, arrays of one value a call.

    ``speech``: somebody speaks. ``silence``: nobody does, from the first second of the recording to its last.
    ``overtalk``: two voices at once, counted once per further voice.
    """

    speech: Floats
    talk: tuple[Floats, Floats]
    silence: Floats
    longest_silence: Floats
    overtalk: Floats


def measure(voices: Voices, duration: Floats) -> Interaction:
    """Measure every call at once. ``duration`` is seconds, shape (calls,); spans are cut at it."""
    import numpy as np

    calls = len(duration)
    start = np.clip(voices.start, 0.0, duration[voices.call])
    end = np.maximum(np.clip(voices.end, 0.0, duration[voices.call]), start)
    length = end - start
    total = _sums(voices.call, length, calls)
    talk = [_sums(voices.call, np.where(voices.role == role, length, 0.0), calls) for role in range(len(ROLES))]
    # A span of no length ends no silence. A stretch that begins and ends each call closes its first and last silence,
    # and keeps calls apart below.
    index = np.arange(calls)
    spoken = length > 0
    call = np.concatenate([voices.call[spoken], index, index])
    start = np.concatenate([start[spoken], np.zeros(calls), duration])
    end = np.concatenate([end[spoken], np.zeros(calls), duration])
    order = np.lexsort((end, start, call))
    call, start, end = call[order], start[order], end[order]
    # Calls are laid end to end on one line, so that one running maximum serves them all.
    offset = call * (float(duration.max(initial=0.0)) + 1.0)
    reached = np.maximum.accumulate(end + offset)
    gap = np.zeros(len(call))
    gap[1:] = np.where(call[1:] == call[:-1], np.maximum(start[1:] + offset[1:] - reached[:-1], 0.0), 0.0)
    silence = _sums(call, gap, calls)
    longest = np.zeros(calls)
    np.maximum.at(longest, call, gap)
    speech = np.maximum(duration - silence, 0.0)
    return Interaction(
        speech=speech.round(3),
        talk=(talk[0].round(3), talk[1].round(3)),
        silence=silence.round(3),
        longest_silence=longest.round(3),
        overtalk=np.maximum(total - speech, 0.0).round(3),
    )


def _sums(call: Ints, values: Floats, calls: int) -> Floats:
    """The sum of the values of each call."""
    import numpy as np

    return np.bincount(call, weights=values, minlength=calls).astype(np.float64)

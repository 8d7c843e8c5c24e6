"""Interaction measures of many calls at once: talk, silence, overtalk, interruptions, hold, from who speaks when."""

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

HOLD_PHRASE = (
    r"(?i)ne quitte[zr]? pas|\bpatientez\b|\b(de|vous|bien|faire) patienter|mets? en attente"
    r"|\bun (petit |court )?instant\b|\bune (petite )?(minute|seconde)\b"
    r"|\bhold (on|the line|please)|\b(please|can you) hold\b|bear with me|on hold\b"
    r"|\b(one|just a) (moment|second|minute)\b"
)
"""What an agent says before a hold, as RE2 finds it in a segment."""

_INTERRUPTS = 0.3
"""Seconds that the other one still speaks: less is the haste of a conversation."""
_KEEPS_ON = 1.0
"""Seconds of an interruption; a shorter "oui, d'accord" is none."""
_HOLD = 5.0
"""Seconds of the shortest hold."""
_HOLD_SPEECH = 0.2
"""Share of a hold in which the customer may speak."""


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
    ``overtalk``: two voices at once, counted once per further voice. ``interruptions``, by who interrupts: beginning
    while the other side speaks, and speaking on when it has fallen silent.
    """

    speech: Floats
    talk: tuple[Floats, Floats]
    silence: Floats
    longest_silence: Floats
    overtalk: Floats
    interruptions: tuple[Ints, Ints]


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
        interruptions=(_interruptions(voices, 0, calls), _interruptions(voices, 1, calls)),
    )


def holds(voices: Voices, duration: Floats, call: Ints, asked: Floats, role: Ints) -> Floats:
    """Seconds on hold of each call, shape (calls,): after a hold phrase, its speaker away, hardly anybody speaking.

    Phrases are in ``call``, end at ``asked`` seconds, and were said by ``role``: the agent or, where nobody is known,
    :data:`OTHER`, who is back when anybody speaks.
    """
    import numpy as np

    total = np.zeros(len(duration))
    order = np.lexsort((voices.start, voices.call))
    first = np.searchsorted(voices.call[order], np.arange(len(duration) + 1))
    back_at: set[tuple[int, float]] = set()
    for number, moment, who in zip(call.tolist(), asked.tolist(), role.tolist(), strict=True):
        own = order[first[number] : first[number + 1]]
        start, end = voices.start[own], np.minimum(voices.end[own], duration[number])
        away = (voices.role[own] == who) if who != OTHER else np.ones(len(own), bool)
        still = away & (start <= moment) & (end > moment)
        gone = float(end[still].max(initial=moment))
        back = float(start[away & (start > gone)].min(initial=duration[number]))
        spoken = np.maximum(np.minimum(end, back) - np.maximum(start, gone), 0.0).sum()
        if back - gone >= _HOLD and spoken <= _HOLD_SPEECH * (back - gone) and (number, back) not in back_at:
            back_at.add((number, back))
            total[number] += back - gone
    return np.asarray(total.round(3))


def _interruptions(voices: Voices, role: int, calls: int) -> Ints:
    """How often a side interrupts the other one, by call."""
    import numpy as np

    # Calls are laid end to end on one line, as above; spans of one voice do not overlap, so that the last one of the
    # other side that began before is the only one that can still go on.
    line = voices.call * (float(voices.end.max(initial=0.0)) + 1.0)
    own, other = voices.role == role, voices.role == 1 - role
    start, end, call = (voices.start + line)[own], (voices.end + line)[own], voices.call[own]
    order = np.argsort((voices.start + line)[other])
    starts, ends = (voices.start + line)[other][order], (voices.end + line)[other][order]
    last = np.searchsorted(starts, start) - 1
    running = np.where(last >= 0, ends[last] if len(ends) else 0.0, 0.0)
    cut = (last >= 0) & (running - start >= _INTERRUPTS) & (end > running) & (end - start >= _KEEPS_ON)
    return np.bincount(call[cut], minlength=calls)


def _sums(call: Ints, values: Floats, calls: int) -> Floats:
    """The sum of the values of each call."""
    import numpy as np

    return np.bincount(call, weights=values, minlength=calls).astype(np.float64)

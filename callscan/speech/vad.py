"""Where somebody speaks: Silero VAD on ONNX Runtime, without torch.

Silence costs nothing: frames far below the channel's own loudness (the other side's turns, comfort noise, digital
zero) never reach the model. Silero's is a recurrent network, so its state is carried from one loud stretch to the next.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from callscan.records import Span
from callscan.speech.api import SAMPLE_RATE, CallAudio
from callscan.speech.silero import session

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FRAME = 512
"""Samples that get one probability: 32 ms."""
FRAME_SECONDS = FRAME / SAMPLE_RATE
_CONTEXT = 64
_BLOCK = 512  # frames read at a time, 16 s: what lies between two layers stays in the cache
_MARGIN = 10  # frames kept on either side of a loud one: 0.32 s
_FLOOR = 4 / 32768  # quieter than this is digital silence whatever the rest is like
_BELOW_LOUD = 0.01  # 40 dB below the channel's loud frames nobody speaks

SPEECH, SILENCE = 0.5, 0.35  # a span begins above the one and ends below the other, as Silero recommends
MIN_SPEECH = 0.1
MIN_SILENCE = 0.4
PADDING = 0.2
"""Seconds kept on both sides of a span: the recogniser wants to hear a word begin and end."""


def speech_probabilities(call: CallAudio, channel: int) -> NDArray[np.float32]:
    """The probability of speech in each frame of 32 ms, shape (frames,); silent frames have 0."""
    import numpy as np

    frames = int(np.ceil(call.duration / FRAME_SECONDS))
    peaks = np.zeros(frames, np.float32)
    for at in range(0, frames, _BLOCK):
        block = _framed(call, channel, at, min(at + _BLOCK, frames))
        peaks[at : at + len(block)] = np.abs(block).max(1)
    if not frames:
        return peaks
    loud = peaks > max(_FLOOR, _BELOW_LOUD * float(np.quantile(peaks, 0.995)))
    wanted = np.convolve(loud, np.ones(2 * _MARGIN + 1), "same") > 0
    found = np.zeros(frames, np.float32)
    hidden = cell = np.zeros((1, 1, 128), np.float32)
    for at in range(0, frames, _BLOCK):
        last = min(at + _BLOCK, frames)
        here = np.flatnonzero(wanted[at:last])
        if not len(here):
            continue
        # One frame more in front: the model wants the last samples before each frame.
        block = _framed(call, channel, at - 1, last)
        given = np.concatenate([block[:-1, -_CONTEXT:], block[1:]], 1)[here]
        out, hidden, cell = session().run(None, {"input": given, "h": hidden, "c": cell})
        found[at + here] = out.reshape(-1)
    return found


def _framed(call: CallAudio, channel: int, first: int, last: int) -> NDArray[np.float32]:
    """Samples of frames ``first`` to ``last``, (last - first, 512), zeros where the call has none."""
    import numpy as np

    samples = call.read(channel, max(first, 0) * FRAME_SECONDS, last * FRAME_SECONDS)
    out = np.zeros((last - first) * FRAME, np.float32)
    skip = max(-first, 0) * FRAME
    out[skip : skip + len(samples)] = samples[: len(out) - skip]
    return out.reshape(-1, FRAME)


def spans_of(probabilities: NDArray[np.float32], duration: float, longest: float) -> list[Span]:
    """Speech spans in order and apart, none longer than ``longest`` seconds once it is padded.

    Longer speech is cut where it is least likely to be speech in the second half of what fits.
    """
    import numpy as np

    known = np.where(probabilities >= SPEECH, 1, np.where(probabilities < SILENCE, 0, -1))
    last_known = np.maximum.accumulate(np.where(known >= 0, np.arange(len(known)), 0))
    speaks = np.where(known[last_known] == 1, 1, 0) if len(known) else known
    edges = np.flatnonzero(np.diff(np.concatenate([[0], speaks, [0]])))
    runs: list[list[int]] = []
    for begin, end in edges.reshape(-1, 2).tolist():
        if runs and (begin - runs[-1][1]) * FRAME_SECONDS < MIN_SILENCE:
            runs[-1][1] = end
        else:
            runs.append([begin, end])
    spans: list[Span] = []
    fits = int((longest - 2 * PADDING) / FRAME_SECONDS)
    for begin, end in runs:
        if (end - begin) * FRAME_SECONDS < MIN_SPEECH:
            continue
        while end - begin > fits:
            middle = begin + fits // 2
            cut = middle + int(np.argmin(probabilities[middle : begin + fits]))
            spans.append(_span(begin, cut, duration))
            begin = cut
        spans.append(_span(begin, end, duration))
    return spans


def padded(spans: list[Span], duration: float) -> list[Span]:
    """The spans with :data:`PADDING` on both sides, as far as the call and their neighbours leave room."""
    wide: list[Span] = []
    for number, span in enumerate(spans):
        before = wide[-1].end if wide else 0.0
        after = (span.end + spans[number + 1].start) / 2 if number + 1 < len(spans) else duration
        wide.append(Span(max(span.start - PADDING, before), min(span.end + PADDING, max(after, span.end))))
    return wide


def _span(begin: int, end: int, duration: float) -> Span:
    return Span(round(begin * FRAME_SECONDS, 3), round(min(end * FRAME_SECONDS, duration), 3))

"""A diariser without a model, for tests of everything around it: after every pause somebody else speaks."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from callscan.diarization.api import SAMPLE_RATE
from callscan.records import Turn

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_FRAME = 0.03
_LOUD = 0.01
_PAUSE = 0.3


class FakeDiariser:
    """Deterministic turns from the loudness of the samples. Implements :class:`~callscan.diarization.api.Diariser`."""

    fingerprint = hashlib.sha256(b"callscan.diarization.fake 1").hexdigest()

    def turns(self, samples: NDArray[np.float32]) -> tuple[Turn, ...]:
        """A turn for each stretch of sound, of voices A and B by turns."""
        import numpy as np

        width = int(_FRAME * SAMPLE_RATE)
        frames = len(samples) // width
        loud = np.abs(samples[: frames * width]).reshape(frames, width).mean(axis=1) > _LOUD
        edges = np.flatnonzero(np.diff(np.concatenate(([False], loud, [False])).astype(np.int8))) * _FRAME
        spans: list[list[float]] = []
        for start, end in edges.reshape(-1, 2).tolist():
            if spans and start - spans[-1][1] < _PAUSE:
                spans[-1][1] = end
            else:
                spans.append([start, end])
        return tuple(Turn(round(start, 3), round(end, 3), "AB"[i % 2]) for i, (start, end) in enumerate(spans))

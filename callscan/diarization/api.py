"""What a diariser takes and gives: the seam between the worker and whoever tells voices apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from callscan.records import Turn

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SAMPLE_RATE = 16_000
"""Samples a second of everything a diariser reads."""


class Diariser(Protocol):
    """Tells who speaks when on one channel that holds several voices."""

    @property
    def fingerprint(self) -> str:
        """Hex digest of everything that can change the turns: weights, options, versions."""
        ...

    def turns(self, samples: NDArray[np.float32]) -> tuple[Turn, ...]:
        """The turns in mono samples in [-1, 1] at 16 kHz, shape (n,), by start time.

        Turns of two labels may overlap, those of one do not; every ``speaker`` is ``unknown``.
        """
        ...

"""Frames of whatever form in, samples at 16 kHz out, each at its own time.

A stretch of audio without a gap is resampled as one. A gap, or a change of rate or layout, ends the stretch; the
silence that stands for a gap takes no room in the spool. The first stretch says how many channels the recording has.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from av.audio.fifo import AudioFifo
from av.audio.resampler import AudioResampler

from callscan.audio.limits import SAMPLE_BYTES, SAMPLE_RATE
from callscan.audio.packets import Damage
from callscan.audio.spool import Spool

_BATCH = 32_768
"""Samples that are gathered before they are resampled: fewer calls, and still small."""

_JITTER = 0.25
"""Seconds by which time stamps may differ from the samples before a gap is believed."""

_PRECISE = 0.01
"""The same, behind a damaged place and in containers that never leave a gap on purpose."""

_LONGEST_GAP = 3600.0
"""Seconds; a longer jump in the time stamps is a wrong time stamp and no gap."""

_PAUSE = 1.0
"""Seconds; recorders that write nothing in pauses (Opus DTX) leave gaps up to this long. Longer ones are lost audio."""


class Timeline:
    """Keeps the time of one recording while it goes into the spool. All times in seconds."""

    def __init__(self, spool: Spool, allowed: Callable[[int, int], None], *, timed: bool, gapless: bool) -> None:
        """``allowed`` raises at a rate and number of channels that cannot be. ``timed``: the container has time stamps;
        ``gapless``: its format never leaves a gap on purpose.
        """
        self._spool = spool
        self._allowed = allowed
        self._timed = timed
        self._gapless = gapless
        self._resampler: AudioResampler | None = None
        self._fifo = AudioFifo()
        self._rate = self._channels = 0
        self._clock = 0.0  # handed on so far, silence included
        self._zero: float | None = None  # the time stamp at which the clock started
        self.lead = 0.0
        self.decoded = 0.0
        self.lost = 0.0
        self.paused = 0.0
        self.channels_change = False

    def begin_at(self, lead: float) -> None:
        """Let the recording begin with ``lead`` seconds before its audio; call it before any frame is added.

        Raises:
            TooLong: the spool is full.
        """
        samples = round(lead * SAMPLE_RATE)
        self._clock = self.lead = samples / SAMPLE_RATE
        self._spool.silence(samples)

    def add(self, frame: Any, damage: Damage | None) -> None:
        """Take the next frame, with the damage in front of it.

        Raises:
            TooLong: the spool is full.
        """
        rate, samples, channels = frame.sample_rate, frame.samples, frame.layout.nb_channels
        if rate != self._rate or channels != self._channels:  # the queue would take it for granted
            self._allowed(rate, channels)
            self.finish()
            self._rate, self._channels = rate, channels
        if damage is not None or self._timed:
            gap = self._gap(frame.time, damage or Damage())
            if gap > 0:
                self._leave_out(gap, lost=damage is not None or self._gapless or gap > _PAUSE)
        lasts = samples / rate
        self._clock += lasts
        self.decoded += lasts
        frame.pts = None
        try:
            self._fifo.write(frame)
        except ValueError:  # samples of another type than those that wait
            self.finish()
            self._fifo.write(frame)
        if self._fifo.samples >= _BATCH:
            self._resample(self._fifo.read())

    def finish(self) -> None:
        """Hand on all that waits, and end the stretch."""
        if self._fifo.samples:
            self._resample(self._fifo.read())
        self._resample(None)
        self._resampler = None
        self._fifo = AudioFifo()

    def _gap(self, time: float | None, damage: Damage) -> float:
        """Seconds that are missing in front of a frame with the time stamp ``time``."""
        if not self._timed or time is None:
            return damage.seconds
        if self._zero is None:
            self._zero = time - self._clock - damage.seconds
        gap = time - self._zero - self._clock
        if gap < -_JITTER or gap > _LONGEST_GAP:  # time stamps that start anew
            self._zero = time - self._clock
            return 0.0
        return gap if gap > (_PRECISE if damage.places or self._gapless else _JITTER) else 0.0

    def _leave_out(self, gap: float, *, lost: bool) -> None:
        self.finish()
        self._clock += gap
        self._spool.silence(max(0, round(self._clock * SAMPLE_RATE) - self._spool.samples))
        if lost:
            self.lost += gap
        else:
            self.paused += gap

    def _resample(self, frame: Any) -> None:
        if self._resampler is None:
            if frame is None:
                return
            self._resampler = AudioResampler("s16", frame.layout, SAMPLE_RATE)
        for done in self._resampler.resample(frame):
            channels = done.layout.nb_channels
            data = memoryview(done.planes[0])[: done.samples * channels * SAMPLE_BYTES]
            self._spool.write(data if channels == self._spool.channels else self._fitted(data, channels))

    def _fitted(self, data: memoryview, channels: int) -> memoryview:
        """The same samples in as many channels as the recording began with: mono goes to all of them, and surplus
        channels are mixed into those there are, so that nobody's words are lost.
        """
        self.channels_change = True
        values = np.frombuffer(data, np.int16).reshape(-1, channels)
        fitted = np.zeros((len(values), self._spool.channels), np.int16)
        for place in range(min(channels, self._spool.channels)):
            fitted[:, place] = _mixed(values[:, place :: self._spool.channels])
        if channels == 1:
            fitted[:] = values
        return memoryview(fitted.tobytes())


def _mixed(values: npt.NDArray[np.int16]) -> npt.NDArray[np.int16]:
    """The mean of channels, shape (n, channels) to (n,). One that is opposite to the first is turned, for the two would
    cancel each other.
    """
    parts = values.T.astype(np.float32)
    products = parts @ parts[0]
    energies = (parts * parts).sum(axis=1)
    parts[products < -np.sqrt(energies * energies[0]) / 2] *= -1
    mean: npt.NDArray[np.float32] = parts.mean(axis=0)
    return mean.round().astype(np.int16)

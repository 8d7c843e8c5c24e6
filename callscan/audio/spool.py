"""The file of samples between the decoding process and the program: written once, then read anywhere.

Samples are interleaved 16-bit integers at 16 kHz. On the way in, the products of every two channels are summed,
which tells identical and opposite channels apart, and the mean square of the loudest stretch is kept, which tells dead
ones.
"""

from __future__ import annotations

import os

import numpy as np

from callscan.audio.limits import SAMPLE_BYTES


class TooLong(Exception):  # noqa: N818 - a limit, not a fault
    """The recording holds more samples than its limit allows."""


class Spool:
    """Writes samples to a descriptor. ``limit`` is the most samples per channel."""

    def __init__(self, descriptor: int, channels: int, limit: int) -> None:
        self._descriptor = descriptor
        self.limit = limit
        self.channels = channels
        self.samples = 0
        self.products = np.zeros((channels, channels))
        self.loudest = np.zeros(channels)  # of what was written at once: a few seconds

    def write(self, data: memoryview) -> None:
        """Append interleaved samples.

        Raises:
            TooLong: the limit is reached.
        """
        values = np.frombuffer(data, np.int16).reshape(-1, self.channels)
        self._advance(len(values))
        columns = values.T.astype(np.float32, order="C")
        products = columns @ columns.T
        self.products += products
        self.loudest = np.maximum(self.loudest, products.diagonal() / max(1, len(values)))
        if not products.any():  # digital silence becomes a hole in the file and takes no room on the disk
            os.lseek(self._descriptor, len(data), os.SEEK_CUR)
            return
        while data:
            data = data[os.write(self._descriptor, data) :]

    def silence(self, samples: int) -> None:
        """Append silence, in samples per channel, where audio is missing."""
        self._advance(samples)
        os.lseek(self._descriptor, samples * self.channels * SAMPLE_BYTES, os.SEEK_CUR)

    def close(self) -> None:
        """Give the file its length, which a hole at its end does not."""
        os.ftruncate(self._descriptor, self.samples * self.channels * SAMPLE_BYTES)

    def _advance(self, samples: int) -> None:
        if self.samples + samples > self.limit:
            raise TooLong
        self.samples += samples

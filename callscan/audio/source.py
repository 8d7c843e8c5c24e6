"""The open file that a demuxer reads, and nothing but that file."""

from __future__ import annotations

import os


class Source:
    """``size`` bytes of a descriptor from ``start`` on, as a file object for PyAV.

    Bytes that are appended while it is read are left out, so that one decoding sees one file.
    """

    def __init__(self, descriptor: int, size: int, start: int = 0) -> None:
        self._descriptor = descriptor
        self._start = start
        self._position = 0
        self.size = size

    def read_at(self, offset: int, length: int) -> bytes:
        """At most ``length`` bytes from ``offset``."""
        length = min(length, self.size - offset)
        return os.pread(self._descriptor, length, self._start + offset) if length > 0 else b""

    def behind(self, offset: int) -> Source:
        """The rest of these bytes, from ``offset`` on."""
        return Source(self._descriptor, self.size - offset, self._start + offset)

    def read(self, length: int) -> bytes:
        """At most ``length`` bytes from the current position."""
        data = self.read_at(self._position, length)
        self._position += len(data)
        return data

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move the current position; negative targets are an error."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self.size}[whence]
        if base + offset < 0:
            raise ValueError("seek before the start of the file")
        self._position = base + offset
        return self._position

    def tell(self) -> int:
        """The current position."""
        return self._position

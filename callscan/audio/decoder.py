"""Decoding recordings: each in a process of its own, into a spool that can be read anywhere."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import numpy as np
import numpy.typing as npt

from callscan.audio import channels, files
from callscan.audio.facts import Facts
from callscan.audio.limits import SAMPLE_BYTES, SAMPLE_RATE, DecodeLimits
from callscan.audio.sandbox import Sandbox
from callscan.errors import RecordingError
from callscan.records import AudioInfo, Recording

_BLOCK = 1 << 20
"""Samples that are read from a spool at once, so that its other channels need little memory."""


class Decoded:
    """A decoded call: read any channel at any time. Close it, or use it in ``with``, to free its spool.

    Channels are those of the call, numbered from 0: of channels that carry one signal only the first is kept.
    """

    def __init__(self, facts: Facts, spool: BinaryIO) -> None:
        self._spool = spool
        self._samples = facts.samples
        self._file_channels = facts.channels
        self._kept, remarks = channels.judge(facts.products, facts.loudest)
        self.info = AudioInfo(
            container=facts.container,
            codec=facts.codec,
            channels=facts.channels,
            sample_rate=facts.sample_rate,
            declared=round(facts.declared, 3),
            decoded=round(facts.decoded, 3),
            lost=round(facts.lost, 3),
        )
        self.channels = len(self._kept)
        self.duration = facts.samples / SAMPLE_RATE
        self.problems: tuple[tuple[str, str], ...] = tuple(facts.problems)
        """(reason, detail) pairs; any of them makes the call ``degraded``."""
        self.warnings: tuple[str, ...] = (*facts.warnings, *remarks)
        """Remarks that make nothing worse: ``identical_channels``, ``antiphase``, ``dead_channel:N``,
        ``header_too_small``, ``gaps:SECONDS``, ``channels_change``."""

    def read(self, channel: int, start: float, end: float) -> npt.NDArray[np.float32]:
        """Samples of one channel from ``start`` to ``end`` seconds: shape (n,), 16 kHz, -1 to 1.

        Times outside the recording are cut to it, so the answer may be shorter than asked, or empty.

        Raises:
            RecordingError: the spool holds less than was decoded.
        """
        place = self._kept[channel]
        first = min(max(round(start * SAMPLE_RATE), 0), self._samples)
        last = min(max(round(end * SAMPLE_RATE), first), self._samples)
        samples = np.empty(last - first, np.float32)
        for done in range(0, len(samples), _BLOCK):
            part = samples[done : done + _BLOCK]
            part[:] = self._frames(first + done, len(part))[:, place]
        samples *= np.float32(1 / 32768)
        return samples

    def _frames(self, first: int, count: int) -> npt.NDArray[np.int16]:
        """``count`` samples of every channel of the file, from sample ``first`` on: shape (count, channels)."""
        frame = self._file_channels * SAMPLE_BYTES
        samples = np.empty((count, self._file_channels), np.int16)
        rest, offset = samples.data.cast("B"), first * frame
        while rest:  # a read may stop early: where a signal comes, and at 2 GiB
            found = os.preadv(self._spool.fileno(), [rest], offset)
            if not found:
                end, whole = offset / frame / SAMPLE_RATE, self._samples / SAMPLE_RATE
                detail = f"the decoded audio ends at {end:.1f} s of {whole:.1f} s"
                raise RecordingError("unreadable", detail, "Something cut the temporary file: scan the call again.")
            rest, offset = rest[found:], offset + found
        return samples

    def close(self) -> None:
        """Free the spool; nothing can be read afterwards."""
        self._spool.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


_CLOSED = "the decoder is closed"


class Decoder:
    """Decodes recordings in killable processes, one for each thread that decodes at the same time.

    ``spool_dir`` is where decoded audio waits, 32 kB per second and channel; the system's temporary folder by default.
    """

    def __init__(self, limits: DecodeLimits | None = None, *, spool_dir: str | Path | None = None) -> None:
        self._limits = limits or DecodeLimits()
        self._spool_dir = spool_dir
        self._idle: list[Sandbox] = []
        self._busy: set[Sandbox] = set()
        self._lock = threading.Lock()
        self._closed = threading.Event()

    def decode(self, recording: str | Path | Recording | BinaryIO) -> Decoded:
        """Decode a path, a URL, a discovered recording, or an open file.

        Raises:
            RecordingError: nothing could be recovered; ``reason`` says why.
            RuntimeError: the decoder is closed, or was closed meanwhile.
        """
        if isinstance(recording, (str, Path, Recording)):
            uri = recording.uri if isinstance(recording, Recording) else str(recording)
            with files.open_recording(uri) as file:
                return self._decode_file(file, uri)
        name = getattr(recording, "name", "")
        return self._decode_file(recording, name if isinstance(name, str) else "")

    def _decode_file(self, file: BinaryIO, name: str) -> Decoded:
        try:
            return self._spooled(file, name)
        except OSError as error:
            if files.is_full(error):
                raise files.no_room(str(self._spool_dir or tempfile.gettempdir())) from error
            raise

    def _spooled(self, file: BinaryIO, name: str) -> Decoded:
        with _with_descriptor(file) as real:
            spool = tempfile.TemporaryFile(prefix="callscan-", dir=self._spool_dir)  # noqa: SIM115 - kept by Decoded
            try:
                before = os.fstat(real.fileno())
                facts = self._run(real.fileno(), spool.fileno(), Path(name).suffix[1:])
                after = os.fstat(real.fileno())
                if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
                    grown = f"{before.st_size} bytes became {after.st_size} while it was read"
                    raise RecordingError("changing", grown, "Scan it again when the recorder is done with it.")
                return Decoded(facts, spool)
            except BaseException:
                spool.close()
                raise

    def _run(self, recording: int, spool: int, suffix: str) -> Facts:
        sandbox = self._taken()
        try:
            facts = sandbox.decode(recording, spool, suffix)
        except (RecordingError, OSError) as error:
            if not self._put_back(sandbox):
                raise RuntimeError(_CLOSED) from error
            raise
        except BaseException:
            with self._lock:
                self._busy.discard(sandbox)
            sandbox.kill()
            raise
        self._put_back(sandbox)
        return facts

    def _taken(self) -> Sandbox:
        """A process for the next recording: one that waits, or a new one."""
        with self._lock:
            if self._closed.is_set():
                raise RuntimeError(_CLOSED)
            sandbox = self._idle.pop() if self._idle else None
        if sandbox is None or not sandbox.usable:
            if sandbox is not None:
                sandbox.kill()
            sandbox = Sandbox.start(self._limits)
        with self._lock:
            if not self._closed.is_set():
                self._busy.add(sandbox)
                return sandbox
        sandbox.kill()
        raise RuntimeError(_CLOSED)

    def _put_back(self, sandbox: Sandbox) -> bool:
        """Take a process back that has answered or died; whether the decoder is still open."""
        with self._lock:
            self._busy.discard(sandbox)
            is_open = not self._closed.is_set()
            if sandbox.usable and is_open:
                self._idle.append(sandbox)
                return True
        sandbox.kill()
        return is_open

    @property
    def filtered(self) -> bool:
        """Whether the decoding processes filter their system calls, as far as any has been started."""
        with self._lock:
            return any(sandbox.filtered for sandbox in (*self._idle, *self._busy))

    def close(self) -> None:
        """End the decoding processes, those too that decode: their threads get a RuntimeError. Calls that were decoded
        can still be read.
        """
        with self._lock:
            self._closed.set()
            idle, self._idle = self._idle, []
            for sandbox in self._busy:
                sandbox.stop()
        for sandbox in idle:
            sandbox.kill()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Borrowed:
    """An open file that stays open when the ``with`` ends."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def __enter__(self) -> BinaryIO:
        return self._file

    def __exit__(self, *_: object) -> None:
        return None


def _with_descriptor(file: BinaryIO) -> _Borrowed | BinaryIO:
    try:
        file.fileno()
    except (AttributeError, OSError):
        copy = tempfile.TemporaryFile(prefix="callscan-")  # noqa: SIM115 - closed by the caller's with
        shutil.copyfileobj(file, copy)
        copy.flush()
        return copy
    return _Borrowed(file)

"""The decoding processes, seen from the program: started, handed files, and killed when they take too long."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import signal
import socket
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

from callscan.audio import child
from callscan.audio.facts import Facts
from callscan.audio.limits import DecodeLimits
from callscan.errors import REASONS, CallscanError, RecordingError

_LENGTH_BYTES = 4
_LONGEST_ANSWER = 1 << 16
_LONGEST_SUFFIX = 16  # characters; those that tell a format have five, and longer ones may not fit into a message
_START_SECONDS = 60.0
_STARTS = 2
_MOST_JOBS = 1_000
"""Recordings per process, so that what a library leaks stays small."""

_BOOT = """\
import sys
sys.path[:] = {path!r}
from callscan.audio import child, limits
child.main(limits.DecodeLimits(**{limits!r}))
"""


class Sandbox:
    """One decoding process; :meth:`start` makes one. Not for several threads at once."""

    @classmethod
    def start(cls, limits: DecodeLimits) -> Self:
        """A process that waits for recordings. One that dies as it starts, as it may where memory is short, is started
        once more.

        Raises:
            CallscanError: it does not start here.
        """
        for _ in range(_STARTS):
            sandbox = cls(limits)
            if sandbox._await_start():
                return sandbox
        raise CallscanError("the decoding process does not start", "Run: callscan doctor")

    def __init__(self, limits: DecodeLimits) -> None:
        self._limits = limits
        self._jobs = 0
        self.filtered = False
        """Whether its system calls are filtered."""
        self._link, theirs = socket.socketpair()
        path = [str(Path(entry).absolute()) for entry in sys.path]
        environment = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "LC_ALL": "C.UTF-8"}
        if "LD_LIBRARY_PATH" in os.environ:
            environment["LD_LIBRARY_PATH"] = os.environ["LD_LIBRARY_PATH"]
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-c", _BOOT.format(path=path, limits=asdict(limits))],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=environment,
                cwd="/",
                start_new_session=True,
            )

    @property
    def usable(self) -> bool:
        """Whether it may be given another recording."""
        return self._process.poll() is None and self._jobs < _MOST_JOBS

    @property
    def pid(self) -> int:
        """Process id of the decoding process."""
        return self._process.pid

    def decode(self, recording: int, spool: int, suffix: str) -> Facts:
        """Have the file behind ``recording`` decoded into the file behind ``spool``.

        Raises:
            RecordingError: it failed, with the reason. The process may be gone afterwards: see ``usable``.
            OSError: ``ENOSPC``, there is no room for the spool.
        """
        self._jobs += 1
        try:
            self._link.settimeout(self._limits.seconds)
            job = json.dumps({"suffix": suffix[:_LONGEST_SUFFIX]}).encode()
            socket.send_fds(self._link, [job], [recording, spool])
            length = int.from_bytes(self._read(_LENGTH_BYTES))
            if length > _LONGEST_ANSWER:
                raise ValueError("the answer is too long")
            answer = json.loads(self._read(length))
            if "facts" in answer:
                return _checked(answer["facts"], spool)
            full = answer.get("full", False)
            reason, detail, hint = answer["reason"], answer["detail"], answer["hint"]
        except TimeoutError:
            self.kill()
            raise RecordingError("limit_time", f"decoding took longer than {self._limits.seconds:.0f} s") from None
        except (OSError, EOFError):
            raise self._death() from None
        except (ValueError, KeyError, TypeError):
            self.kill()
            raise RecordingError("decoder_crash", "the decoder gave an answer that makes no sense") from None
        if full:
            raise OSError(errno.ENOSPC, str(detail))
        raise RecordingError(reason if reason in REASONS else "corrupt", str(detail), str(hint))

    def _await_start(self) -> bool:
        self._link.settimeout(_START_SECONDS)
        try:
            ready = self._link.recv(1)
        except OSError:
            ready = b""
        self.filtered = ready == child.READY_FILTERED
        if not ready:
            self.kill()
        return bool(ready)

    def _read(self, length: int) -> bytes:
        data = b""
        while len(data) < length:
            part = self._link.recv(length - len(data))
            if not part:
                raise EOFError
            data += part
        return data

    def _death(self) -> RecordingError:
        self.kill(after=1.0)
        code = self._process.returncode
        if code == -signal.SIGXCPU:
            return RecordingError("limit_time", f"decoding took more than {self._limits.seconds:.0f} s of CPU time")
        if code == -signal.SIGKILL:
            return RecordingError(
                "decoder_crash", "the decoder was killed, perhaps because the machine has no memory left"
            )
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return RecordingError("decoder_crash", f"the decoder died on this file ({how})")

    def stop(self) -> None:
        """End the process under a thread that waits for its answer; the thread gets an error, and cleans up."""
        self._process.kill()

    def kill(self, after: float = 0.0) -> None:
        """End the process, leaving it ``after`` seconds to end by itself."""
        self._link.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(after)
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()


def _checked(data: dict[str, Any], spool: int) -> Facts:
    """The facts, if they fit what stands in the spool; a decoder that was taken over may say anything."""
    facts = Facts(**data)
    facts.problems[:] = [(str(reason), str(detail)) for reason, detail in facts.problems]
    frame = facts.channels * 2
    square = len(facts.products) == facts.channels and all(len(row) == facts.channels for row in facts.products)
    square = square and len(facts.loudest) == facts.channels
    known = all(reason in REASONS for reason, _ in facts.problems)
    if not (square and known and facts.samples > 0 and facts.samples * frame <= os.fstat(spool).st_size):
        raise ValueError("the facts do not fit the samples")
    return facts

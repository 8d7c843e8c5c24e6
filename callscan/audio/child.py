"""The decoding process: takes open files one after the other, decodes them, and can do nothing else.

It is handed two descriptors per recording, the file (read) and the spool (write), and they fill its table of open
files: it can open no file and no socket, whatever a recording makes a decoder do. Memory, CPU time and the size of
what it writes are limited by the kernel, and so are its system calls. It ends when the socket to its parent closes.
"""

from __future__ import annotations

import codecs
import gc
import importlib
import json
import math
import os
import pkgutil
import resource
import socket
from dataclasses import asdict
from types import ModuleType
from typing import Any

from callscan.audio import seccomp
from callscan.audio.files import is_full
from callscan.audio.limits import SAMPLE_BYTES, SAMPLE_RATE, DecodeLimits
from callscan.audio.source import Source
from callscan.errors import RecordingError

READY, READY_FILTERED = b"-", b"+"
"""What the process says once, when it can take recordings: whether its system calls are filtered."""

_LENGTH_BYTES = 4
_OWN_FILES = 3  # the socket as standard input, and two times /dev/null
_FILES_PER_JOB = 2


def main(limits: DecodeLimits) -> None:
    """Serve decoding jobs that arrive on standard input, a Unix socket, until it closes."""
    import av
    import av.logging

    from callscan.audio.unfold import unfold

    _load_all(av)
    av.logging.set_level(None)
    link = socket.socket(fileno=0)
    filtered = lock_down(limits)
    gc.freeze()
    link.sendall(READY_FILTERED if filtered else READY)
    while True:
        job = _receive(link)
        if job is None:
            return
        suffix, recording, spool = job
        _allow_cpu(limits.seconds)
        try:
            answer: dict[str, Any] = {
                "facts": asdict(unfold(Source(recording, _size(recording)), spool, suffix, limits))
            }
        except RecordingError as error:
            answer = {"reason": error.reason, "detail": error.message, "hint": error.hint}
        except MemoryError:
            answer = {"reason": "limit_memory", "detail": "decoding needed more memory than it may have", "hint": ""}
        except OSError as error:
            detail, full = error.strerror or str(error), is_full(error)
            answer = {"reason": "unreadable", "detail": detail, "hint": "", "full": full}
        except Exception as error:  # noqa: BLE001 - the file is hostile until proven otherwise
            answer = {"reason": "corrupt", "detail": f"{type(error).__name__}: {error}"[:500], "hint": ""}
        finally:
            os.close(recording)
            os.close(spool)
        gc.collect()  # FFmpeg's filter graphs sit in reference cycles
        data = json.dumps(answer).encode()
        link.sendall(len(data).to_bytes(_LENGTH_BYTES) + data)


def _load_all(package: ModuleType) -> None:
    """Import every module of a package: PyAV loads some when it meets a stream, and then it is too late."""
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)


def _size(descriptor: int) -> int:
    return os.fstat(descriptor).st_size


def _receive(link: socket.socket) -> tuple[str, int, int] | None:
    message, descriptors, _, _ = socket.recv_fds(link, 256, _FILES_PER_JOB)
    if not message:
        return None
    recording, spool = descriptors
    return json.loads(message)["suffix"], recording, spool


def lock_down(limits: DecodeLimits) -> bool:
    """Give up, for good, everything that decoding does not need; whether system calls are filtered too."""
    for encoding in ("utf-8", "utf-16-le", "utf-16-be", "latin-1"):
        codecs.lookup(encoding)  # loads it while files can still be opened
    largest = int(limits.duration * SAMPLE_RATE) * SAMPLE_BYTES * limits.channels
    for what, value in (
        (resource.RLIMIT_AS, limits.memory),
        (resource.RLIMIT_FSIZE, largest),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, _OWN_FILES + _FILES_PER_JOB),
    ):
        resource.setrlimit(what, (value, value))
    return seccomp.restrict()


def _allow_cpu(seconds: float) -> None:
    """Let this job use ``seconds`` more of CPU time; the limit counts from the start of the process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    soft = math.ceil(used.ru_utime + used.ru_stime + seconds)
    resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.getrlimit(resource.RLIMIT_CPU)[1]))

"""Lexicons as they were last built: that takes seconds, and their files seldom change.

They are pickles in the user's cache folder, and only taken from where nobody else can write. What cannot be read or
written is built again.
"""

from __future__ import annotations

import atexit
import gc
import hashlib
import os
import pickle
import stat
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import filelock
import numpy as np

_T = TypeVar("_T")
_WORTH = 50_000
"""Bytes of lexicons from which they are kept: few patterns are built as fast as they are read."""
_KEPT = 8
_PATIENCE = 60.0
"""Seconds to wait for another process that makes the same."""


def kept(name: str, given: Iterable[bytes], make: Callable[[], _T]) -> _T:
    """What ``make`` makes of ``given``, or made of it before with this very code; ``name`` says what that is."""
    sha = hashlib.sha256(code_digest())
    size = 0
    for part in given:
        sha.update(hashlib.sha256(part).digest())
        size += len(part)
    folder = _folder() if size >= _WORTH else None
    path = folder / f"{name}-{sha.hexdigest()[:32]}.pickle" if folder else None
    with collector_paused(), _alone(path):
        made = _read_or_made(path, make)
        if folder is not None:
            # It lives as long as the process, so the cycle collector need not look at it again and again: until the
            # end, when what else was frozen with it is to be taken down in good order.
            gc.freeze()
            atexit.register(gc.unfreeze)
    return made


@contextmanager
def _alone(path: Path | None) -> Iterator[None]:
    """Of several processes that want the same, one makes it, and the others read it."""
    lock = None
    with suppress(OSError, filelock.Timeout):
        if path is not None and not path.exists():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = filelock.FileLock(path.with_name("lock"), timeout=_PATIENCE)
            lock.acquire()
    try:
        yield
    finally:
        if lock is not None:
            lock.release()


def _read_or_made(path: Path | None, make: Callable[[], _T]) -> _T:
    if path is not None:
        try:
            found: _T = _read(path)
            return found
        except Exception:  # noqa: BLE001, S110 - missing, cut short, of another version: it is built again
            pass
    made = make()
    if path is not None:
        with suppress(OSError):
            _write(path, made)
    return made


def _folder() -> Path | None:
    with suppress(RuntimeError):  # nobody's home
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "callscan" / "lexicons"
    return None


@cache
def code_digest() -> bytes:
    """SHA-256 of what else decides what is built and found: this package, Python and numpy."""
    sha = hashlib.sha256(f"{sys.version} {np.__version__}".encode())
    for file in sorted(Path(__file__).parent.glob("*.py")):
        sha.update(hashlib.sha256(file.read_bytes()).digest())
    return sha.digest()


def _read(path: Path) -> Any:
    with path.open("rb") as file:
        for status in (os.fstat(file.fileno()), path.parent.stat()):
            if status.st_uid != os.getuid() or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
                raise PermissionError(f"{path} is not only this user's")
        found = pickle.load(file)  # noqa: S301 - nobody but this user can have written it
    with suppress(OSError):
        path.touch()  # used last
    return found


def _write(path: Path, made: object) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        try:
            pickle.dump(made, file, protocol=5)
            file.flush()
            Path(file.name).replace(path)
        except BaseException:
            Path(file.name).unlink()
            raise
    newest = sorted(path.parent.glob("*.pickle"), key=lambda one: one.stat().st_mtime, reverse=True)
    for old in newest[_KEPT:]:
        old.unlink()


@contextmanager
def collector_paused() -> Iterator[None]:
    """Without the cycle collector: it finds nothing in half a million new objects that hold no cycle, and takes up to a
    third of the time."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()

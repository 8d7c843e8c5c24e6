"""One writer at a time: a lock that the operating system frees when its holder dies, however it dies."""

from __future__ import annotations

import getpass
import hashlib
import json
import os
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from callscan.errors import ArchiveError


@contextmanager
def lock(url: str) -> Iterator[None]:
    """Hold an archive's writer lock; an ArchiveError says who holds it.

    For an archive in an object store the lock stands on this machine and keeps out its processes only. Writers on
    two machines are told apart by the inventory: the second one to plan a run finds it there and stops.
    """
    import filelock

    path = _lock_file(url)
    path.parent.mkdir(parents=True, exist_ok=True)
    held = filelock.FileLock(path, timeout=0)
    try:
        held.acquire()
        _holder_file(path).write_text(json.dumps(_me()), encoding="utf-8")
    except filelock.Timeout:
        raise ArchiveError(
            f"{url} is being written by another run{_named(holder(url))}", "wait for it to end, or stop it"
        ) from None
    except OSError as error:
        held.release()
        raise ArchiveError(
            f"cannot lock {url}: {error.strerror or error}", "check permissions and free space"
        ) from error
    try:
        yield
    finally:
        _holder_file(path).unlink(missing_ok=True)
        held.release()


def is_locked(url: str) -> bool:
    """Whether a run is writing to an archive now, as far as this machine can tell."""
    import filelock

    path = _lock_file(url)
    if not path.exists():
        return False
    try:
        with filelock.FileLock(path, timeout=0):
            return False
    except (filelock.Timeout, OSError):
        return True


def holder(url: str) -> dict[str, str | int]:
    """Who wrote last that it holds the lock: ``host, pid, user, since``; empty where nobody does."""
    try:
        return dict(json.loads(_holder_file(_lock_file(url)).read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}


def _lock_file(url: str) -> Path:
    if "://" not in url:
        return Path(url) / ".lock"
    name = hashlib.sha256(url.encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"callscan-{os.getuid()}-{name}.lock"


def _holder_file(lock_file: Path) -> Path:
    # Not the lock file itself: opening that one to try the lock empties it.
    return lock_file.with_name(f"{lock_file.name}-holder.json")


def _me() -> dict[str, str | int]:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return {"host": socket.gethostname(), "pid": os.getpid(), "user": user, "since": since}


def _named(who: dict[str, str | int]) -> str:
    if not who:
        return ""
    return f" (process {who.get('pid')} of {who.get('user')} on {who.get('host')}, since {who.get('since')})"

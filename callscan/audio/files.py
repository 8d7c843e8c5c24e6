"""Opening recordings without being led astray, and telling their bytes apart."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import re
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast
from urllib.parse import unquote_to_bytes, urlsplit

from callscan.errors import RecordingError
from callscan.records import Recording

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_BLOCK = 1 << 20

LARGEST = 64 << 30
"""Bytes; twelve hours of eight channels take less in any format. A sparse file may claim a million times more."""


def is_url(uri: str) -> bool:
    """Whether ``uri`` is an fsspec URL (``s3://bucket/key``) and not the name of a local file."""
    return _URL.match(uri) is not None


def local_path(uri: str) -> bytes | None:
    """The file-system path that ``uri`` names, None where it is a remote URL.

    ``file://`` URLs stand for names that are not valid UTF-8 and so could not be written into a report.
    """
    if uri.startswith("file://"):
        return unquote_to_bytes(urlsplit(uri).path)
    return None if is_url(uri) else os.fsencode(uri)


def path_uri(path: str) -> str:
    """How a local path is written down: itself, or a percent-encoded ``file://`` URL if it is not valid Unicode."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return Path(path).absolute().as_uri()
    return path


def is_full(error: BaseException) -> bool:
    """Whether ``error`` says that a disk, or a user's share of it, is full."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


def no_room(folder: str) -> RecordingError:
    """What to say where the disk of ``folder`` is full: no fault of the recording, so a later run tries it again."""
    detail = f"the disk is full: there is no room in {folder}, where recordings are unpacked"
    hint = f"Free some space in {folder}, or let TMPDIR name a folder with more, and scan again."
    return RecordingError("unreadable", detail, hint)


def open_recording(uri: str) -> BinaryIO:
    """Open a recording for reading, as a file with a file descriptor.

    A remote recording is copied into an unlinked temporary file first. Only regular files are opened: opening a
    pipe would wait for ever and opening a device may do something.

    Raises:
        RecordingError: ``not_a_file``, ``unreadable``, or ``implausible`` where it is larger than :data:`LARGEST`.
    """
    path = local_path(uri)
    return _fetch(uri) if path is None else _open_local(path)


def _open_local(path: bytes) -> BinaryIO:
    try:
        _demand_regular(os.stat(path))  # noqa: PTH116 - the path is bytes
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        try:
            status = os.fstat(descriptor)
            _demand_regular(status)
            _demand_small(status.st_size)
            return os.fdopen(descriptor, "rb", buffering=0)
        except BaseException:
            os.close(descriptor)
            raise
    except OSError as error:
        raise RecordingError(
            "unreadable", error.strerror or str(error), "Check the path and its permissions."
        ) from error


def _demand_regular(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise RecordingError("not_a_file", f"this is {kind_of(status.st_mode)}, not a file")


def _demand_small(size: int) -> None:
    if size > LARGEST:
        raise RecordingError("implausible", f"the file has {size >> 30} GiB", "No recording is that large.")


def kind_of(mode: int) -> str:
    """What a file mode describes, in words."""
    kinds = {
        stat.S_IFDIR: "a folder",
        stat.S_IFIFO: "a pipe",
        stat.S_IFSOCK: "a socket",
        stat.S_IFCHR: "a device",
        stat.S_IFBLK: "a device",
        stat.S_IFLNK: "a symbolic link",
    }
    return kinds.get(stat.S_IFMT(mode), "no regular file")


def _fetch(url: str) -> BinaryIO:
    copy = cast(BinaryIO, tempfile.TemporaryFile(prefix="callscan-"))  # noqa: SIM115 - handed to the caller
    try:
        _download(url, copy)
        copy.seek(0)
    except BaseException:
        _discard(copy)
        raise
    return copy


@contextmanager
def local_copy(recording: Recording) -> Iterator[str]:
    """A path to the recording's bytes: its own, or for a remote one that of a temporary copy with the same suffix.

    Raises:
        RecordingError: ``unreadable``, or ``implausible`` where it is larger than :data:`LARGEST`.
    """
    if local_path(recording.uri) is not None:
        yield recording.uri
        return
    suffix = PurePosixPath(recording.uri).suffix
    copy = cast(BinaryIO, tempfile.NamedTemporaryFile(prefix="callscan-", suffix=suffix))  # noqa: SIM115 - see finally
    try:
        _download(recording.uri, copy)
        yield copy.name
    finally:
        _discard(copy)


def _download(url: str, copy: BinaryIO) -> None:
    import fsspec

    try:
        with fsspec.open(url, "rb") as remote:
            while block := remote.read(_BLOCK):
                _demand_small(copy.tell() + len(block))
                copy.write(block)
        copy.flush()
    except RecordingError:
        raise
    except Exception as error:  # each fsspec file system raises its own client's errors
        if is_full(error):
            raise no_room(tempfile.gettempdir()) from error
        detail = f"{type(error).__name__}: {error}"
        raise RecordingError("unreadable", detail, "Check the address and the access rights.") from error


def _discard(copy: BinaryIO) -> None:
    with suppress(OSError):  # what it could not write, it tries to write again
        copy.close()


def demand_unchanged(recording: Recording, path: str) -> None:
    """The bytes that were planned are the bytes at ``path``: no recorder is still writing to them.

    Raises:
        RecordingError: ``changing``, or ``unreadable``.
    """
    try:
        now = os.stat(local_path(path) or path)  # noqa: PTH116 - a name that is not Unicode is bytes
    except OSError as error:
        raise RecordingError("unreadable", error.strerror or str(error)) from error
    moved = path == recording.uri and recording.modified != now.st_mtime_ns
    if now.st_size != recording.size or moved:
        raise RecordingError("changing", f"planned with {recording.size} bytes, now {now.st_size}")


def hash_file(uri: str) -> str:
    """SHA-256 of a recording's bytes, as hex: what tells one call from another, whatever their names.

    Raises:
        RecordingError: the recording could not be read.
    """
    with open_recording(uri) as file:
        return hash_open_file(file)


def hash_open_file(file: BinaryIO) -> str:
    """SHA-256 of an open file's bytes, as hex; its position is left at the end."""
    try:
        file.seek(0)
        return hashlib.file_digest(cast(io.BufferedReader, file), "sha256").hexdigest()
    except OSError as error:
        raise RecordingError("unreadable", error.strerror or str(error)) from error

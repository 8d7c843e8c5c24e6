"""Where an archive's bytes live: a local folder, or an object store through fsspec.

Both write whole files or nothing. On a local disk that takes a temporary name, fsync of the file, a rename, and fsync
of the folder (https://lwn.net/Articles/457667/); on an object store one put is atomic already.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
from pathlib import Path
from typing import Any, Protocol

from callscan.errors import ArchiveError

_PARTIAL = ".partial-"


class Store(Protocol):
    """Files under one root, named by relative POSIX paths. Failures are :class:`ArchiveError`."""

    url: str

    @property
    def filesystem(self) -> Any:
        """The fsspec file system behind it, None for a local folder."""
        ...

    def read(self, name: str) -> bytes:
        """The bytes of a file; FileNotFoundError where there is none."""
        ...

    def write(self, name: str, data: bytes) -> None:
        """Write a file whole or not at all, replacing what was there; durable when it returns."""
        ...

    def create(self, name: str, data: bytes) -> bool:
        """As :meth:`write`, but False and no change where the file exists already."""
        ...

    def names(self, folder: str) -> list[str]:
        """Sorted names of the files directly in a folder, without those half written; [] where it is missing."""
        ...

    def delete(self, name: str) -> None:
        """Remove a file if it is there."""
        ...

    def path(self, name: str) -> str:
        """A file's full path, as DuckDB's read_parquet takes it."""
        ...

    def sweep(self, folder: str) -> None:
        """Remove what a killed writer left half written in a folder."""
        ...


def open_store(url: str) -> Store:
    """The store behind a local path, a ``file://`` URL or any URL that fsspec knows."""
    if "://" not in url or url.startswith("file://"):
        return _Local(url.removeprefix("file://"))
    return _Remote(url)


class _Local:
    """A folder on a local or mounted file system."""

    filesystem = None

    def __init__(self, root: str) -> None:
        self.root = Path(root).expanduser().absolute()
        self.url = str(self.root)

    def read(self, name: str) -> bytes:
        try:
            return (self.root / name).read_bytes()
        except FileNotFoundError:
            raise
        except OSError as error:
            raise _failure("read", self.path(name), error) from error

    def write(self, name: str, data: bytes) -> None:
        target = self.root / name
        partial = target.with_name(f"{_PARTIAL}{target.name}-{os.getpid()}-{secrets.token_hex(4)}")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                with open(partial, "xb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                partial.replace(target)
            except BaseException:
                partial.unlink(missing_ok=True)
                raise
            _sync_folder(target.parent)
        except OSError as error:
            raise _failure("write", str(target), error) from error

    def create(self, name: str, data: bytes) -> bool:
        # The archive's lock keeps a second writer out of a local folder: looking first is enough.
        try:
            if (self.root / name).exists():
                return False
        except OSError as error:
            raise _failure("read", self.path(name), error) from error
        self.write(name, data)
        return True

    def names(self, folder: str) -> list[str]:
        try:
            with os.scandir(self.root / folder) as entries:
                return sorted(e.name for e in entries if e.is_file() and not e.name.startswith(_PARTIAL))
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise _failure("list", self.path(folder), error) from error

    def delete(self, name: str) -> None:
        try:
            (self.root / name).unlink(missing_ok=True)
        except OSError as error:
            raise _failure("delete", self.path(name), error) from error

    def path(self, name: str) -> str:
        return str(self.root / name)

    def sweep(self, folder: str) -> None:
        for partial in (self.root / folder).glob(f"{_PARTIAL}*"):
            with contextlib.suppress(OSError):
                partial.unlink()


class _Remote:
    """A prefix of an object store (``s3://bucket/prefix``) or any other fsspec file system."""

    def __init__(self, url: str) -> None:
        import fsspec

        self.url = url.rstrip("/")
        try:
            # No listing cache: another process may have written a moment ago.
            self.filesystem: Any = fsspec.filesystem(self.url.split("://", 1)[0], use_listings_cache=False)
        except ImportError as error:
            raise ArchiveError(f"cannot open {self.url}: {error}", "pip install 'callscan[s3]'") from error
        except ValueError as error:
            raise ArchiveError(f"cannot open {self.url}: {error}", "a folder or an s3:// URL is needed") from error

    def read(self, name: str) -> bytes:
        try:
            return bytes(self.filesystem.cat_file(self.path(name)))
        except FileNotFoundError:
            raise
        except Exception as error:  # each fsspec file system raises its own client's errors
            raise _failure("read", self.path(name), error) from error

    def write(self, name: str, data: bytes) -> None:
        try:
            self.filesystem.pipe_file(self.path(name), data)
        except Exception as error:
            raise _failure("write", self.path(name), error) from error

    def create(self, name: str, data: bytes) -> bool:
        try:
            self.filesystem.pipe_file(self.path(name), data, mode="create")
        except FileExistsError:
            return False
        except Exception as error:
            raise _failure("write", self.path(name), error) from error
        return True

    def names(self, folder: str) -> list[str]:
        try:
            entries = self.filesystem.ls(self.path(folder), detail=True)
        except FileNotFoundError:
            return []
        except Exception as error:
            raise _failure("list", self.path(folder), error) from error
        return sorted(entry["name"].rsplit("/", 1)[-1] for entry in entries if entry["type"] == "file")

    def delete(self, name: str) -> None:
        try:
            self.filesystem.rm_file(self.path(name))
        except FileNotFoundError:
            return
        except Exception as error:
            raise _failure("delete", self.path(name), error) from error

    def path(self, name: str) -> str:
        return f"{self.url}/{name}"

    def sweep(self, folder: str) -> None:
        """Nothing to do: an object store shows no object before it is whole."""


def unglobbed(path: str) -> str:
    """A path that DuckDB, which expands wildcards in whatever it reads, takes as it stands."""
    return re.sub(r"[*?\[]", r"[\g<0>]", path)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _failure(verb: str, path: str, error: Exception) -> ArchiveError:
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    hint = {
        "write": "check free space, permissions and quota; then run the same command again, it continues",
        "delete": "check permissions",
    }.get(verb, "check that it exists and that you may read it")
    return ArchiveError(f"cannot {verb} {path}: {reason}", hint)

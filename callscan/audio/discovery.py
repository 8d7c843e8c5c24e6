"""Finding recordings: files, folders, patterns and stores, listed in a fixed order and never held in memory at once."""

# Paths are strings here, not Path objects: there may be a million of them.
# ruff: noqa: PTH100, PTH112, PTH116, PTH118, PTH122, PTH207
from __future__ import annotations

import glob
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from callscan.audio import files, sniff
from callscan.errors import UsageError
from callscan.records import Recording

_AUDIO = """
    3gp aac aif aifc aiff al alaw amr asf au avi awb caf flac g722 gsm m4a m4b mka mkv mov mp3 mp4 nmf oga ogg opus pcma
    pcmu rf64 sln sln16 snd spx ul ulaw voc vox w64 wav wave weba webm wma wv
"""
AUDIO = frozenset(_AUDIO.split())
"""Extensions that make a file in a folder a recording, whatever it holds."""

_BESIDE = """
    avro bak bz2 cfg conf css csv db doc docx eml gif gz html ini jpeg jpg js json jsonl lock log md md5 msg ndjson
    orc parquet pdf png py rtf sha1 sha256 sh sql sqlite srt svg tar tmp toml tsv txt vtt xls xlsx xml yaml yml zip zst
"""
BESIDE = frozenset(_BESIDE.split())
"""Extensions of what lies beside recordings: not looked into. Files with any other extension, or none, are."""

_PATTERN = frozenset("*?[")


@dataclass(frozen=True, slots=True)
class Reject:
    """Something that was found where recordings are and cannot be one.

    ``reason`` is a key of :data:`callscan.errors.REASONS`, ``detail`` says it in words.
    """

    uri: str
    reason: str
    detail: str


Found = Recording | Reject


def discover(paths: Sequence[str], *, follow_links: bool = False) -> Iterator[Found]:
    """List the recordings under ``paths``: files, folders (with all below them), glob patterns, fsspec URLs.

    A file that is named is always listed. In a folder, a file is listed by its extension, or by its content where its
    extension says nothing; names that begin with a dot are skipped. Local paths come out absolute. The order is that
    of ``paths`` and of the names in each folder, and the same on every run. ``follow_links`` lets symbolic
    links lead out of the folder that is listed; without it they are rejects.

    Raises:
        UsageError: a path does not exist, a store cannot be reached, or (at the end) nothing was found.
    """
    if not paths:
        raise UsageError("no recordings were named", "Give a folder: callscan scan recordings/")
    return _listed([root for path in dict.fromkeys(paths) for root in _roots(path)], follow_links)


def _roots(path: str) -> list[str]:
    """The files, folders and URLs that one argument stands for."""
    if files.is_url(path) and files.local_path(path) is None:
        return [path]
    local = os.path.abspath(os.fsdecode(files.local_path(path) or path))
    if os.path.lexists(local):
        return [local]
    if _PATTERN.intersection(path):
        matches = sorted(glob.iglob(local, recursive=True))
        if matches:
            return matches
        raise UsageError(f"no file matches {path!r}", "Check the pattern; ** stands for any number of folders.")
    raise UsageError(f"{path!r} does not exist", "Check the path.")


def _listed(roots: list[str], follow_links: bool) -> Iterator[Found]:
    named = {root for root in roots if not files.is_url(root) and not os.path.isdir(root)}
    folders: list[str] = []
    found = False
    for root in dict.fromkeys(roots):
        if files.is_url(root):
            items = _store(root)
        elif root in named:
            items = iter([_named(root)])
        elif any(_inside(root, folder) for folder in folders):
            continue
        else:
            folders.append(root)
            items = _Folder(root, named, follow_links).walk()
        for item in items:
            found = True
            yield item
    if not found:
        raise UsageError(
            f"no recordings in {', '.join(map(repr, roots[:3]))}",
            f"Looked for {', '.join(sorted(AUDIO)[:6])} and others, and into files of unknown kind. Check the folder.",
        )


def _inside(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


def _named(path: str) -> Found:
    try:
        return _examined(path, os.stat(path))
    except OSError as error:
        return Reject(files.path_uri(path), "unreadable", error.strerror or str(error))


def _examined(path: str, status: os.stat_result) -> Found:
    uri = files.path_uri(path)
    if not stat.S_ISREG(status.st_mode):
        return Reject(uri, "not_a_file", f"this is {files.kind_of(status.st_mode)}, not a file")
    return Recording(uri, status.st_size, status.st_mtime_ns)


class _Folder:
    """One folder and all below it, in the order of names."""

    def __init__(self, root: str, named: set[str], follow_links: bool) -> None:
        self._root = os.path.realpath(root)
        self._start = root
        self._named = named
        self._follow = follow_links
        self._visited: set[tuple[int, int]] = set()

    def walk(self) -> Iterator[Found]:
        """Depth first, one folder's names in memory at a time per level."""
        waiting = [self._start]
        while waiting:
            folder = waiting.pop()
            try:
                status = os.stat(folder)
                if (status.st_dev, status.st_ino) in self._visited:
                    continue
                self._visited.add((status.st_dev, status.st_ino))
                with os.scandir(folder) as entries:
                    names = sorted(entry.name for entry in entries if not entry.name.startswith("."))
            except OSError as error:
                yield Reject(files.path_uri(folder), "unreadable", error.strerror or str(error))
                continue
            below = []
            for name in names:
                path = os.path.join(folder, name)
                if path in self._named:
                    continue
                item = self._look(path, name)
                if isinstance(item, str):
                    below.append(item)
                elif item is not None:
                    yield item
            waiting += reversed(below)

    def _look(self, path: str, name: str) -> Found | str | None:
        """What ``path`` is: a recording, a reject, a folder to walk (its path), or nothing of interest (None)."""
        try:
            status = os.lstat(path)
            if stat.S_ISLNK(status.st_mode):
                target = os.path.realpath(path)
                if not self._follow and not _inside(target, self._root):
                    if not _interesting(name) and not os.path.isdir(target):
                        return None
                    detail = "a symbolic link that leads out of the folder"
                    return Reject(files.path_uri(path), "outside", detail)
                status = os.stat(path)
                if stat.S_ISDIR(status.st_mode) and not self._follow:
                    return None  # it stands elsewhere in this folder and is listed there
            if stat.S_ISDIR(status.st_mode):
                return path
            if _extension(name) in AUDIO:
                return _examined(path, status)
            if _extension(name) in BESIDE or not stat.S_ISREG(status.st_mode) or not _sounds(path):
                return None
            return _examined(path, status)
        except OSError as error:
            return (
                Reject(files.path_uri(path), "unreadable", error.strerror or str(error)) if _interesting(name) else None
            )


def _extension(name: str) -> str:
    return os.path.splitext(name)[1][1:].lower()


def _interesting(name: str) -> bool:
    return _extension(name) in AUDIO


def _sounds(path: str) -> bool:
    """Whether a file of unknown kind holds audio, told from its first bytes."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        return bool(sniff.identify(file.read(sniff.HEAD)).demuxer)


def _store(url: str) -> Iterator[Found]:
    """Recordings of a remote store, by extension; ``url`` names an object, a folder or a pattern."""
    import fsspec

    try:
        system, path = fsspec.core.url_to_fs(url)
        if _PATTERN.intersection(path):
            entries = iter(sorted(system.glob(path, detail=True).items()))
        elif system.isfile(path):
            entries = iter([(path, system.info(path))])
        elif system.exists(path):
            entries = _below(system, path)
        else:
            raise UsageError(f"{url!r} does not exist", "Check the address and the access rights.")
        for name, facts in entries:
            if facts.get("type") == "file" and (name == path or _interesting(Path(name).name)):
                yield Recording(system.unstrip_protocol(name), int(facts.get("size") or 0), _modified(facts))
    except UsageError:
        raise
    except ImportError as error:
        protocol = url.split("://")[0]
        raise UsageError(
            f"{protocol} addresses need a package that is missing: {error}", f'pip install "callscan[{protocol}]"'
        ) from error
    except Exception as error:
        raise UsageError(f"{url!r} cannot be listed: {error}", "Check the address and the access rights.") from error


def _below(system: object, path: str) -> Iterator[tuple[str, dict[str, object]]]:
    for _, _, entries in system.walk(path, detail=True):  # type: ignore[attr-defined]
        yield from sorted((facts["name"], facts) for facts in entries.values())


def _modified(facts: dict[str, object]) -> int:
    moment = facts.get("LastModified") or facts.get("mtime") or facts.get("last_modified") or facts.get("created")
    if hasattr(moment, "timestamp"):
        return int(moment.timestamp() * 1_000_000_000)
    return int(moment * 1_000_000_000) if isinstance(moment, (int, float)) else 0

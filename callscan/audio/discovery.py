"""Finding recordings: files, folders, patterns and stores, listed in a fixed order and never held in memory at once."""

# Paths are strings here, not Path objects: there may be a million of them.
# ruff: noqa: PTH100, PTH112, PTH116, PTH118, PTH122, PTH207
from __future__ import annotations

import glob
import os
import re
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import Any

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

_Entry = tuple[str, dict[str, Any]]
"""Name and facts of what a store holds, as its ``info`` gives them."""


@dataclass(frozen=True, slots=True)
class Reject:
    """Something that was found where recordings are and cannot be one.

    ``reason`` is a key of :data:`callscan.errors.REASONS`, ``detail`` says it in words.
    """

    uri: str
    reason: str
    detail: str


Found = Recording | Reject


class NothingFoundError(UsageError):
    """The places that were named are there, and no recording is in them."""


def discover(paths: Sequence[str], *, follow_links: bool = False) -> Iterator[Found]:
    """List the recordings under ``paths``: files, folders (with all below them), glob patterns, fsspec URLs.

    A file that is named is always listed. In a folder, a file is listed by its extension, or by its content where its
    extension says nothing; names that begin with a dot are skipped. Local paths come out absolute. The order is that
    of ``paths`` and of the names in each folder, and the same on every run. ``follow_links`` lets symbolic
    links lead out of the folder that is listed; without it they are rejects.

    Raises:
        UsageError: a path does not exist, a store cannot be listed, or (at the end, :class:`NothingFoundError`) there
            is no recording.
    """
    if not paths:
        raise UsageError("no recordings were named", "Give a folder: callscan scan recordings/")
    return _listed([root for path in dict.fromkeys(paths) for root in _roots(path)], follow_links)


def _roots(path: str) -> list[str]:
    """The files, folders and URLs that one argument stands for."""
    if not path:
        raise UsageError("a path is empty", "Name a folder; . is the one you are in.")
    if files.is_url(path) and files.local_path(path) is None:
        return [path]
    local = os.path.abspath(os.fsdecode(files.local_path(path) or path))
    if os.path.lexists(local):
        return [local]
    if _PATTERN.intersection(path):
        matches = sorted(glob.iglob(_escaped(local), recursive=True))
        if matches:
            return matches
        raise UsageError(f"no file matches {path!r}", "Check the pattern; ** stands for any number of folders.")
    raise UsageError(f"{path!r} does not exist", "Check the path.")


def _escaped(pattern: str) -> str:
    """An absolute pattern in which what exists as it is written stands for itself: brackets in a folder's name, say."""
    folder, below = os.path.split(pattern)
    while not os.path.lexists(folder):
        folder, name = os.path.split(folder)
        below = os.path.join(name, below)
    return os.path.join(glob.escape(folder), below)


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
        raise NothingFoundError(
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
            # What cannot be opened may be a recording; a name with nothing behind it is one by its extension only.
            unlikely = _extension(name) in BESIDE or isinstance(error, FileNotFoundError)
            if unlikely and not _interesting(name):
                return None
            return Reject(files.path_uri(path), "unreadable", error.strerror or str(error))


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
        for name, facts in _entries(system, path, url):
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


def _entries(system: Any, path: str, url: str) -> Iterator[_Entry]:
    """What ``path`` stands for: an object, all below a folder, or what matches it where nothing has that very name."""
    pattern = bool(_PATTERN.intersection(path))
    facts = None
    try:
        facts = system.info(path)
    except FileNotFoundError as error:
        if not pattern:
            raise UsageError(f"{url!r} does not exist", "Check the address and the access rights.") from error
    except Exception:
        if not pattern:  # whose folder's listing tells what is wrong
            raise
    if facts is None:
        yield from _matching(system, path)
    else:
        yield from [(path, facts)] if facts.get("type") == "file" else _below(system, path)


def _matching(system: Any, pattern: str) -> Iterator[_Entry]:
    """What matches a pattern, looked for in no folder that cannot hold any of it."""
    from fsspec.utils import glob_translate

    parts = pattern.split("/")

    def enter(folder: str) -> bool:
        above = parts[: folder.count("/") + 1]
        return "**" in above or (
            len(above) < len(parts) and re.match(glob_translate("/".join(above)), folder) is not None
        )

    fixed = next(number for number, part in enumerate(parts) if _PATTERN.intersection(part))
    wanted = re.compile(glob_translate(pattern))
    for name, facts in _below(system, "/".join(parts[:fixed]), enter):
        if wanted.match(name):
            yield name, facts


def _below(system: Any, top: str, enter: Callable[[str], bool] = lambda folder: True) -> Iterator[_Entry]:
    """All below a folder of a store, in the order of names, without the folders that ``enter`` refuses.

    Not by fsspec's own walk, which leaves out a folder that cannot be listed and says nothing.
    """
    waiting = [top]
    while waiting:
        folder = waiting.pop()
        try:
            listed = system.ls(folder, detail=True)
        except FileNotFoundError:
            continue  # an object store's folder is gone with the last object in it
        # A folder may be an object too, which is then listed in itself.
        entries = sorted(((facts["name"].rstrip("/"), facts) for facts in listed), key=itemgetter(0))
        below = [name for name, facts in entries if facts["type"] == "directory" and name != folder.rstrip("/")]
        yield from ((name, facts) for name, facts in entries if facts["type"] != "directory")
        waiting += filter(enter, reversed(below))


def _modified(facts: dict[str, object]) -> int:
    moment = facts.get("LastModified") or facts.get("mtime") or facts.get("last_modified") or facts.get("created")
    if hasattr(moment, "timestamp"):
        return int(moment.timestamp() * 1_000_000_000)
    return int(moment * 1_000_000_000) if isinstance(moment, (int, float)) else 0

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import fsspec
import pytest

from callscan.archive import store as module
from callscan.archive.lock import holder, is_locked, lock
from callscan.archive.store import Store, open_store
from callscan.errors import ArchiveError


@pytest.fixture(params=["local", "file", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "memory":
        fsspec.filesystem("memory").store.clear()
        return open_store("memory://bucket/archive")
    return open_store(f"file://{tmp_path}/x" if request.param == "file" else f"{tmp_path}/x")


def test_files_come_back_and_are_listed(store: Store) -> None:
    assert store.names("calls") == []
    store.write("calls/b", b"2")
    store.write("calls/a", b"1")
    store.write("calls/a", b"3")
    assert store.names("calls") == ["a", "b"]
    assert store.read("calls/a") == b"3"
    store.delete("calls/a")
    store.delete("calls/a")
    assert store.names("calls") == ["b"]
    with pytest.raises(FileNotFoundError):
        store.read("calls/a")


def test_create_does_not_replace(store: Store) -> None:
    assert store.create("format.json", b"1")
    assert not store.create("format.json", b"2")
    assert store.read("format.json") == b"1"


@pytest.mark.parametrize("step", ["write", "fsync", "replace"])
def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path, step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_store(str(tmp_path))
    store.write("a", b"before")

    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    if step == "write":
        monkeypatch.setattr(module, "open", fail, raising=False)
    elif step == "fsync":
        monkeypatch.setattr(module.os, "fsync", fail)
    else:
        monkeypatch.setattr(module.Path, "replace", fail)
    with pytest.raises(ArchiveError, match="No space left on device"):
        store.write("a", b"after")
    monkeypatch.undo()
    assert store.read("a") == b"before"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_what_a_killed_writer_left_is_not_listed_and_swept(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    store.write("calls/a", b"1")
    (tmp_path / "calls" / ".partial-b-1-00").write_bytes(b"half")
    assert store.names("calls") == ["a"]
    store.sweep("calls")
    assert [path.name for path in (tmp_path / "calls").iterdir()] == ["a"]


def test_an_unknown_kind_of_url_is_an_error() -> None:
    with pytest.raises(ArchiveError, match="nonsense"):
        open_store("nonsense://x").read("a")


def test_a_missing_package_is_told_with_its_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object, **__: object) -> None:
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr(fsspec, "filesystem", missing)
    with pytest.raises(ArchiveError, match="cannot open s3://bucket/archive") as caught:
        open_store("s3://bucket/archive").create("format.json", b"")
    assert caught.value.hint == "pip install 'callscan[s3]'"


def test_a_folder_that_cannot_be_looked_into_is_told(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match="File name too long"):
        open_store(str(tmp_path / ("x" * 300))).create("format.json", b"")


def test_the_second_writer_is_told_who_the_first_is(tmp_path: Path) -> None:
    url = str(tmp_path)
    with lock(url):
        assert is_locked(url)
        assert holder(url)["pid"] == os.getpid()
        code = f"from callscan.archive.lock import lock\nwith lock({url!r}): pass"
        second = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert second.returncode != 0
        assert f"process {os.getpid()} of" in second.stderr
    assert not is_locked(url)
    assert holder(url) == {}
    with lock(url):
        pass


def test_a_lock_ends_with_the_process_that_held_it(tmp_path: Path) -> None:
    code = f"import os\nfrom callscan.archive.lock import lock\nwith lock({str(tmp_path)!r}): os.kill(os.getpid(), 9)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    with lock(str(tmp_path)):
        assert holder(str(tmp_path))["pid"] == os.getpid()


def test_an_object_store_is_locked_on_this_machine() -> None:
    with lock("s3://bucket/archive"):
        assert is_locked("s3://bucket/archive")
        assert not is_locked("s3://bucket/other")

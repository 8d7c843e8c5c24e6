"""What is a recording and what is not, in folders as they are."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import audio_makers as makers
import fsspec
import pytest
from audio_cases import NAMES

from callscan.audio import Reject, discover, hash_file
from callscan.audio.files import local_path
from callscan.errors import REASONS, RecordingError, UsageError
from callscan.records import Recording

WAV = makers.wav(makers.chatter(0.1))


def _names(folder: Path, *, follow_links: bool = False) -> list[str]:
    return [Path(item.uri).name for item in discover([str(folder)], follow_links=follow_links)]


def test_a_folder_is_listed_in_the_order_of_its_names(tmp_path: Path) -> None:
    for name in ("b.wav", "a.mp3", "z/deep/c.opus", "m/d.WAV", "m/e.flac"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(WAV)
    found = list(discover([str(tmp_path)]))
    expected = ["a.mp3", "b.wav", "m/d.WAV", "m/e.flac", "z/deep/c.opus"]
    assert [item.uri for item in found] == [str(tmp_path / name) for name in expected]
    status = (tmp_path / "b.wav").stat()
    assert found[1] == Recording(str(tmp_path / "b.wav"), status.st_size, status.st_mtime_ns)


def test_what_lies_beside_recordings_is_left_alone(tmp_path: Path) -> None:
    for name in ("a.json", "a.wav.md5", "notes.txt", ".hidden.wav", "._a.wav", ".cache/b.wav", "random.dat"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"not a recording")
    (tmp_path / "a.wav").write_bytes(WAV)
    assert _names(tmp_path) == ["a.wav"]


def test_the_content_tells_where_the_name_does_not(tmp_path: Path) -> None:
    (tmp_path / "0001").write_bytes(WAV)
    (tmp_path / "call.2024-11-05").write_bytes(WAV)
    (tmp_path / "0002").write_bytes(b"no sound at all")
    assert _names(tmp_path) == ["0001", "call.2024-11-05"]


def test_broken_recordings_are_listed(tmp_path: Path) -> None:
    (tmp_path / "empty.wav").touch()
    (tmp_path / "page.mp3").write_bytes(b"<html>")
    assert _names(tmp_path) == ["empty.wav", "page.mp3"]


def test_a_named_file_is_a_recording_whatever_it_is_called(tmp_path: Path) -> None:
    path = makers.write(tmp_path / "notes.txt", b"text")
    assert [item.uri for item in discover([str(path)])] == [str(path)]


def test_a_file_is_listed_once(tmp_path: Path) -> None:
    path = makers.write(tmp_path / "a.wav", WAV)
    below = tmp_path / "below"
    below.mkdir()
    makers.write(below / "b.wav", WAV)
    found = list(discover([str(path), str(tmp_path), str(tmp_path), str(below), str(path)]))
    assert [item.uri for item in found] == [str(path), str(below / "b.wav")]


def test_patterns(tmp_path: Path) -> None:
    for name in ("a.wav", "b.wav", "c.mp3", "[12].wav"):
        makers.write(tmp_path / name, WAV)
    assert [Path(item.uri).name for item in discover([str(tmp_path / "[ab].wav")])] == ["a.wav", "b.wav"]
    assert [Path(item.uri).name for item in discover([str(tmp_path / "[12].wav")])] == ["[12].wav"]
    with pytest.raises(UsageError, match="no file matches"):
        discover([str(tmp_path / "*.ogg")])


def test_brackets_in_the_name_of_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "calls [2026]"
    (folder / "below").mkdir(parents=True)
    makers.write(folder / "below" / "a.wav", WAV)
    monkeypatch.chdir(folder)
    for pattern in ("*/*.wav", "**/*.wav", "../calls */below/a.*", f"{folder}/*/a.wav"):
        assert [item.uri for item in discover([pattern])] == [str(folder / "below" / "a.wav")]


def test_an_empty_path_is_not_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    makers.write(tmp_path / "a.wav", WAV)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="empty"):
        discover([""])


def test_relative_paths_come_out_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    makers.write(tmp_path / "-x.wav", WAV)
    monkeypatch.chdir(tmp_path)
    assert [item.uri for item in discover(["-x.wav"])] == [str(tmp_path / "-x.wav")]


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_odd_names(name: str, tmp_path: Path) -> None:
    makers.write(tmp_path / name, WAV)
    (item,) = discover([str(tmp_path)])
    assert item.uri == str(tmp_path / name)
    assert len(hash_file(item.uri)) == 64


def test_a_name_that_is_no_unicode_can_be_written_into_a_report(tmp_path: Path) -> None:
    raw = os.fsencode(tmp_path) + b"/\xe9\x80.wav"
    with open(raw, "wb") as file:
        file.write(WAV)
    (item,) = discover([str(tmp_path)])
    assert item.uri.encode() == b"file://" + os.fsencode(tmp_path) + b"/%E9%80.wav"
    assert local_path(item.uri) == raw
    assert hash_file(item.uri) == hash_file(os.fsdecode(raw))


def test_what_is_no_file_is_rejected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe.wav")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket.wav")
    (tmp_path / "broken.wav").symlink_to("nowhere.wav")
    found = {Path(item.uri).name: item for item in discover([str(tmp_path)])}
    assert {name: item.reason for name, item in found.items() if isinstance(item, Reject)} == {
        "pipe.wav": "not_a_file",
        "socket.wav": "not_a_file",
        "broken.wav": "unreadable",
    }
    assert all(isinstance(item, Reject) and item.reason in REASONS and item.detail for item in found.values())
    with pytest.raises(RecordingError):
        hash_file(str(tmp_path / "pipe.wav"))


def test_what_cannot_be_opened_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("0001", "0002.rec", "notes.txt", "a.wav"):
        makers.write(tmp_path / name, WAV)
    (tmp_path / "latest").symlink_to("nothing")

    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("callscan.audio.discovery.os.open", refuse)
    found = [(Path(item.uri).name, getattr(item, "reason", "")) for item in discover([str(tmp_path)])]
    assert found == [("0001", "unreadable"), ("0002.rec", "unreadable"), ("a.wav", "")]


def test_a_folder_named_like_a_recording_is_a_folder(tmp_path: Path) -> None:
    (tmp_path / "calls.wav").mkdir()
    makers.write(tmp_path / "calls.wav" / "a.wav", WAV)
    assert _names(tmp_path) == ["a.wav"]


def test_links(tmp_path: Path) -> None:
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    inside.mkdir()
    outside.mkdir()
    makers.write(inside / "a.wav", WAV)
    makers.write(outside / "b.wav", WAV)
    (inside / "link-in.wav").symlink_to(inside / "a.wav")
    (inside / "link-out.wav").symlink_to(outside / "b.wav")
    (inside / "folder-out").symlink_to(outside)
    (inside / "round").symlink_to(inside)
    (inside / "passwd").symlink_to("/etc/passwd")
    found = list(discover([str(inside)]))
    reasons = [(Path(item.uri).name, getattr(item, "reason", "")) for item in found]
    assert reasons == [("a.wav", ""), ("folder-out", "outside"), ("link-in.wav", ""), ("link-out.wav", "outside")]
    assert _names(inside, follow_links=True) == ["a.wav", "link-in.wav", "link-out.wav", "b.wav"]


def test_a_link_that_is_named_is_followed(tmp_path: Path) -> None:
    makers.write(tmp_path / "a.wav", WAV)
    (tmp_path / "b.wav").symlink_to(tmp_path / "a.wav")
    (item,) = discover([str(tmp_path / "b.wav")])
    assert isinstance(item, Recording)
    assert item.size == len(WAV)


@pytest.mark.parametrize("paths", [[], ["/no/such/folder"]])
def test_unknown_paths_are_told_at_once(paths: list[str]) -> None:
    with pytest.raises(UsageError) as caught:
        discover(paths)
    assert caught.value.hint


def test_an_empty_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no recordings in"):
        list(discover([str(tmp_path)]))


def test_the_inventory_streams(tmp_path: Path) -> None:
    for number in range(20):
        folder = tmp_path / f"{number:02}"
        folder.mkdir()
        makers.write(folder / "a.wav", WAV)
    found = discover([str(tmp_path)])
    next(found)
    makers.write(tmp_path / "19" / "b.wav", WAV)  # a folder that was not read yet
    assert sum(1 for _ in found) == 20


def test_stores() -> None:
    store = fsspec.filesystem("memory")
    for name in ("/calls/b.wav", "/calls/a/c.mp3", "/calls/readme.txt", "/calls/x.dat"):
        store.pipe(name, WAV)
    try:
        found = list(discover(["memory://calls"]))
        assert [item.uri for item in found] == ["memory:///calls/b.wav", "memory:///calls/a/c.mp3"]
        assert all(isinstance(item, Recording) and item.size == len(WAV) and item.modified for item in found)
        assert [item.uri for item in discover(["memory://calls/x.dat"])] == ["memory:///calls/x.dat"]
        assert [item.uri for item in discover(["memory://calls/*.wav"])] == ["memory:///calls/b.wav"]
        with pytest.raises(UsageError, match="does not exist"):
            list(discover(["memory://nothing"]))
        with pytest.raises(UsageError):
            list(discover(["nosuchprotocol://x"]))
    finally:
        store.rm("/calls", recursive=True)


STORED = ("/calls/b.wav", "/calls/feb/a.wav", "/calls/feb/deep/a.mp3", "/calls/feb/x.txt", "/calls/jan/a.wav")


@pytest.fixture
def store() -> Iterator[Any]:
    store = fsspec.filesystem("memory")
    for name in STORED:
        store.pipe(name, WAV)
    yield store
    store.rm("/calls", recursive=True)


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("calls/*", ["/calls/b.wav"]),
        ("calls/*.mp3", []),
        ("calls/*/a.wav", ["/calls/feb/a.wav", "/calls/jan/a.wav"]),
        ("calls/[fm]*/?.wav", ["/calls/feb/a.wav"]),
        ("calls/**", ["/calls/b.wav", "/calls/feb/a.wav", "/calls/feb/deep/a.mp3", "/calls/jan/a.wav"]),
        ("calls/**/a.*", ["/calls/feb/a.wav", "/calls/feb/deep/a.mp3", "/calls/jan/a.wav"]),
        ("calls/feb/*/a.mp3", ["/calls/feb/deep/a.mp3"]),
        ("nothing/*/a.wav", []),
    ],
)
def test_patterns_of_stores(store: Any, pattern: str, names: list[str]) -> None:
    if not names:
        with pytest.raises(UsageError, match="no recordings"):
            list(discover([f"memory://{pattern}"]))
        return
    assert [item.uri.removeprefix("memory://") for item in discover([f"memory://{pattern}"])] == names


def test_a_pattern_that_is_the_name_of_an_object(store: Any) -> None:
    store.pipe("/calls/[ab].wav", WAV)
    store.pipe("/calls/a.wav", WAV)
    assert [item.uri for item in discover(["memory://calls/[ab].wav"])] == ["memory:///calls/[ab].wav"]


@pytest.mark.parametrize("url", ["calls", "calls/**", "calls/*/*.wav", "calls/feb"])
@pytest.mark.parametrize(
    "error", [PermissionError(13, "Access Denied"), OSError("SlowDown"), TimeoutError("timed out")]
)
def test_a_folder_that_a_store_does_not_list_is_told(
    store: Any, monkeypatch: pytest.MonkeyPatch, url: str, error: OSError
) -> None:
    listed = type(store).ls

    def ls(self: Any, path: str, detail: bool = True, **options: Any) -> Any:
        if path.endswith("feb"):
            raise error
        return listed(self, path, detail=detail, **options)

    monkeypatch.setattr(type(store), "ls", ls)
    with pytest.raises(UsageError, match="cannot be listed"):
        list(discover([f"memory://{url}"]))
    assert [item.uri for item in discover(["memory://calls/ja*/*.wav"])] == ["memory:///calls/jan/a.wav"]


def test_a_folder_of_a_store_that_is_an_object_too(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = type(store).ls

    def ls(self: Any, path: str, detail: bool = True, **options: Any) -> Any:
        marker = {"name": f"{path}/", "size": 0, "type": "directory"}
        return [marker, *listed(self, path, detail=detail, **options)]

    monkeypatch.setattr(type(store), "ls", ls)
    assert len(list(discover(["memory://calls"]))) == 4

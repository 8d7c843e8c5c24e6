from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from callscan.archive import Archive
from callscan.archive.ledger import coverage
from callscan.archive.verify import verify
from callscan.errors import ArchiveError, RecordingError
from callscan.records import AudioInfo, CallRecord, Transcript

KEY = {name: f"{name}" * 64 for name in "abcdef"}


def record(uri: str, key: str = "a", status: str = "scanned", reason: str = "") -> CallRecord:
    heard = status in ("scanned", "degraded", "no_speech")
    return CallRecord(
        call_id=uri.removeprefix("/"),
        uri=uri,
        key=KEY.get(key, ""),
        status=status,  # type: ignore[arg-type]
        reason=reason,
        size=1,
        audio=AudioInfo("wav", "pcm_s16le", 2, 8000, 1.0, 1.0) if heard else None,
        transcript=Transcript("fr", 1.0, ()) if heard else None,
    )


def outcomes(archive: Archive) -> dict[str, tuple[str, str]]:
    return {row["uri"]: (row["status"], row["reason"]) for row in archive.ledger().to_pylist()}


def test_a_new_archive_is_empty(archive: Archive) -> None:
    assert set(archive.coverage().values()) == {0}
    assert list(archive.records()) == []
    assert archive.shards() == []


def test_records_are_read_as_they_were_written(archive: Archive) -> None:
    written = [record("/a", "a"), record("/b", "b", "degraded", "truncated"), record("/c", "", "quarantined", "empty")]
    archive.append(written)
    assert sorted(archive.records(), key=lambda r: r.uri) == written
    assert archive.coverage() == {
        "discovered": 3,
        "scanned": 1,
        "no_speech": 0,
        "degraded": 1,
        "quarantined": 1,
        "duplicate": 0,
        "deferred": 0,
    }


def test_same_bytes_under_two_names_are_one_call(archive: Archive) -> None:
    archive.append([record("/b"), record("/c", status="duplicate", reason="same_bytes")])
    archive.append([record("/a")])
    assert outcomes(archive) == {
        "/a": ("duplicate", "same_bytes"),
        "/b": ("scanned", ""),
        "/c": ("duplicate", "same_bytes"),
    }
    assert sum(r.transcript is not None for r in archive.records()) == 1


def test_the_first_to_be_discovered_is_the_call_whichever_twin_was_transcribed(archive: Archive) -> None:
    archive.append([record("/a", status="duplicate", reason="same_bytes"), record("/b")])
    assert outcomes(archive) == {"/a": ("scanned", ""), "/b": ("duplicate", "same_bytes")}
    (call,) = [r for r in archive.records() if r.transcript is not None]
    assert (call.uri, call.call_id) == ("/a", "a")


def test_a_twin_outlives_the_recording_that_it_was_a_duplicate_of(archive: Archive) -> None:
    archive.append([record("/a")])
    archive.append([record("/b", status="duplicate", reason="same_bytes")])
    archive.append([record("/a", "c")])
    assert outcomes(archive) == {"/a": ("scanned", ""), "/b": ("scanned", "")}
    assert {r.uri: r.key for r in archive.records() if r.transcript is not None} == {"/a": KEY["c"], "/b": KEY["a"]}


def test_the_newest_record_speaks_for_a_recording(archive: Archive) -> None:
    archive.append([record("/a", "", "deferred", "changing")])
    archive.append([record("/a", "a")])
    assert outcomes(archive) == {"/a": ("scanned", "")}


def test_a_success_counts_before_a_failure_of_the_same_bytes(archive: Archive) -> None:
    archive.append([record("/a", "a", "quarantined", "engine"), record("/b")])
    assert outcomes(archive) == {"/a": ("scanned", ""), "/b": ("duplicate", "same_bytes")}


def test_what_was_planned_and_not_done_is_deferred(archive: Archive) -> None:
    archive.append([record("/a")])
    Path(archive.shards()[0]).unlink()
    assert outcomes(archive) == {"/a": ("deferred", "interrupted")}
    assert [r.status for r in archive.records()] == ["deferred"]


def test_a_status_that_nobody_knows_is_an_error(archive: Archive) -> None:
    archive.append([record("/a", "", "lost")])
    with pytest.raises(ArchiveError, match="lost"):
        coverage(archive.ledger())


def test_duckdb_reads_the_shards_whatever_the_folder_is_called(tmp_path: Path) -> None:
    archive = Archive.create(str(tmp_path / "a [1] * été"))
    archive.append([record("/a")])
    [(uri, shard)] = duckdb.execute("SELECT uri, shard FROM read_parquet($1)", [archive.shards()]).fetchall()
    assert (uri, shard) == ("/a", archive.shard_ids()[0])
    assert archive.coverage()["scanned"] == 1


def test_a_newer_format_is_refused(archive: Archive) -> None:
    path = Path(archive.url, "format.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 2}))
    with pytest.raises(ArchiveError, match="newer callscan: format 2"):
        Archive(archive.url)
    with pytest.raises(ArchiveError, match="newer"):
        Archive.create(archive.url)


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match="no archive"):
        Archive(str(tmp_path))
    Path(tmp_path, "format.json").write_text('{"kind": "parcel", "format": 1}')
    with pytest.raises(ArchiveError, match="parcel"):
        Archive(str(tmp_path))
    for damaged in ("{", "[]", '{"kind": "callscan archive", "format": "2"}'):
        Path(tmp_path, "format.json").write_text(damaged)
        with pytest.raises(ArchiveError, match="damaged"):
            Archive(str(tmp_path))


def test_find_by_id_path_and_key(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    archive.append([record("/a"), record("/b", "b")])
    monkeypatch.chdir("/")
    assert [r.uri for r in archive.find("./b")] == ["/b"]
    assert [r.uri for r in archive.find("a")] == ["/a"]
    assert [r.uri for r in archive.find("/b")] == ["/b"]
    assert [r.uri for r in archive.find("bbbbbbb")] == ["/b"]
    with pytest.raises(ArchiveError, match="no call 'c'"):
        archive.find("c")


def same_bytes(uri: str) -> str:
    if uri == "/gone":
        raise RecordingError("unreadable", "no such file")
    return KEY[uri.removeprefix("/")]


def test_verify_finds_a_sound_archive_sound(archive: Archive) -> None:
    archive.append([record("/a"), record("/b", "b"), record("/gone", "c")])
    verdict = verify(archive, same_bytes)
    assert verdict.problems == ()
    assert (verdict.shards, verdict.records, verdict.rehashed, verdict.gone) == (1, 3, 2, 1)


def test_verify_finds_other_bytes(archive: Archive) -> None:
    archive.append([record("/a", "b")])
    assert ["not those that were scanned" in problem for problem in verify(archive, same_bytes).problems] == [True]


def test_verify_finds_every_flipped_bit_that_changes_something(archive: Archive) -> None:
    archive.append([record("/a"), record("/b", "b")])
    path = Path(archive.shards()[0])
    before = list(archive.records())
    whole = path.read_bytes()
    found = 0
    for at in range(0, len(whole), max(1, len(whole) // 25)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x10]) + whole[at + 1 :])
        if verify(archive, same_bytes).problems:
            found += 1
        else:
            assert list(archive.records()) == before
    assert found > 10


def test_verify_finds_a_shard_cut_short(archive: Archive) -> None:
    archive.append([record("/a")])
    path = Path(archive.shards()[0])
    path.write_bytes(path.read_bytes()[:-20])
    assert verify(archive, same_bytes).problems
    with pytest.raises(ArchiveError, match="damaged"):
        list(archive.records())


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        ([record("/a"), record("/a")], "twice"),
        ([record("/a"), record("/z", "b")], "not planned"),
        ([record("/a")], "missing"),
        ([record("/a"), replace(record("/b", "b"), reason="nonsense", status="degraded")], "unknown reason"),
        ([record("/a"), replace(record("/b", "b"), transcript=None)], "without a transcript"),
        ([record("/a"), replace(record("/b", "b"), key="xyz")], "no SHA-256"),
        ([record("/a"), record("/b", "b", "scanned", "corrupt")], "with reason"),
    ],
)
def test_verify_finds_a_broken_invariant(archive: Archive, wrong: list[CallRecord], problem: str) -> None:
    archive.append([record("/a"), record("/b", "b")])
    archive.commit(archive.shard_ids()[0], wrong, fingerprint="")
    assert problem in " ".join(verify(archive, same_bytes).problems)


def test_verify_finds_a_shard_that_nobody_planned(archive: Archive) -> None:
    archive.commit("000001-000000", [record("/a")], fingerprint="")
    assert "no inventory" in " ".join(verify(archive, same_bytes).problems)

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callscan.archive import Archive
from callscan.archive.inventory import Task
from callscan.audio import Reject
from callscan.config import Shards
from callscan.records import AudioInfo, CallRecord, Recording
from callscan.runners.plan import Plan, gather, make_plan


def plan(
    archive: Archive,
    found: Sequence[Recording | Reject],
    fingerprint: str = "f",
    shards: Shards | None = None,
    metadata: pa.Table | None = None,
) -> Plan:
    return make_plan(archive, gather(found), fingerprint, shards or Shards(seconds=1e9, calls=2), metadata)


def commit(archive: Archive, task: Task, fingerprint: str = "f", reason: str = "", channels: int = 0) -> None:
    records = [
        CallRecord(
            item.call_id,
            item.recording.uri,
            f"key of {item.recording.uri}",
            "quarantined" if reason or item.reason else "scanned",
            reason or item.reason,
            size=item.recording.size,
            audio=AudioInfo("wav", "pcm_s16le", channels, 8000, 1.0, 1.0) if channels else None,
        )
        for item in task.calls
    ]
    archive.commit(task.shard, records, fingerprint=fingerprint)


def calls(size: int) -> list[Recording]:
    return [Recording(f"/r/{i:03d}.wav", 1000 + i, 5) for i in range(size)]


def uris(tasks: Sequence[Task]) -> list[str]:
    return [item.recording.uri for task in tasks for item in task.calls]


def table(**values: dict[str, str]) -> pa.Table:
    return pa.table(
        {
            "id": pa.array([name.replace("_", "/") for name in values], pa.string()),
            "metadata": pa.array([list(v.items()) for v in values.values()], pa.map_(pa.string(), pa.string())),
        }
    )


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return Archive.create(str(tmp_path / "archive"))


def test_every_recording_is_due_once_in_full_shards(archive: Archive) -> None:
    made = plan(archive, calls(5))
    tasks = list(made.tasks())
    assert sorted(uris(tasks)) == [call.uri for call in calls(5)]
    assert [len(task.calls) for task in tasks] == [2, 2, 1]
    assert (made.discovered, made.due) == (5, 5)
    assert archive.coverage() | {"discovered": 5, "deferred": 5} == archive.coverage()


def test_a_recording_that_is_found_twice_is_one(archive: Archive) -> None:
    assert plan(archive, calls(2) + calls(2)).discovered == 2


def test_shards_are_packed_to_equal_audio_seconds(archive: Archive) -> None:
    found = [Recording(f"/r/{i}.wav", 16_000 * 10, 1) for i in range(12)]
    found += [Recording(f"/r/{i}.mp3", 2_500 * 10, 1) for i in range(12)]
    tasks = list(plan(archive, found, shards=Shards(seconds=40, calls=100)).tasks())
    assert [len(task.calls) for task in tasks] == [4] * 6


def test_what_is_done_is_not_due_again_and_the_rest_keeps_its_shards(archive: Archive) -> None:
    first = list(plan(archive, calls(6)).tasks())
    commit(archive, first[1])
    again = plan(archive, calls(6))
    assert list(again.tasks()) == [first[0], first[2]]
    assert archive.runs() == [1]


def test_new_recordings_are_a_run_of_their_own(archive: Archive) -> None:
    for task in plan(archive, calls(3)).tasks():
        commit(archive, task)
    tasks = list(plan(archive, calls(4)).tasks())
    assert uris(tasks) == ["/r/003.wav"]
    assert tasks[0].shard.startswith("000002-")


@pytest.mark.parametrize("change", [{"size": 7}, {"modified": 7}])
def test_a_recording_that_changed_is_due_again(archive: Archive, change: dict[str, int]) -> None:
    for task in plan(archive, calls(2)).tasks():
        commit(archive, task)
    changed = Recording(**({"uri": "/r/000.wav", "size": 1000, "modified": 5} | change))
    assert uris(list(plan(archive, [changed, calls(2)[1]]).tasks())) == ["/r/000.wav"]
    assert archive.coverage()["discovered"] == 2


def test_another_engine_hears_everything_again(archive: Archive) -> None:
    for task in plan(archive, calls(2)).tasks():
        commit(archive, task)
    assert len(uris(list(plan(archive, calls(2), fingerprint="g").tasks()))) == 2


@pytest.mark.parametrize(("channels", "due"), [(1, 2), (2, 0)])
def test_another_diariser_hears_one_channel_again(archive: Archive, channels: int, due: int) -> None:
    for task in plan(archive, calls(2), "f-none").tasks():
        commit(archive, task, "f-none", channels=channels)
    assert plan(archive, calls(2), "f-other").due == due


def test_an_interrupted_scan_is_continued_with_another_diariser(archive: Archive) -> None:
    first, *_ = plan(archive, calls(5), "f-none").tasks()
    commit(archive, first, "f-none", channels=2)
    for fingerprint, due in (("f-other", 3), ("f-other", 0), ("f-none", 0)):
        made = plan(archive, calls(5), fingerprint)
        assert made.due == due
        for task in made.tasks():
            commit(archive, task, fingerprint, channels=2)
    assert archive.coverage() | {"discovered": 5, "scanned": 5, "deferred": 0} == archive.coverage()


def test_new_metadata_of_failed_calls_is_kept_with_another_diariser(archive: Archive) -> None:
    for task in plan(archive, calls(2), "f-none").tasks():
        commit(archive, task, "f-none", reason="corrupt")
    assert plan(archive, calls(2), "f-other", metadata=table(**{"001": {"queue": "late"}})).due == 0
    held = {row["call_id"]: dict(row["metadata"]) for row in archive.ledger().to_pylist()}
    assert held == {"000": {}, "001": {"queue": "late"}}


def test_a_large_archive_is_planned_again(archive: Archive) -> None:
    """DuckDB's joins of so many rows do not all spill: they need the memory that a ledger is made in."""
    rows, folder = 250_000, Path(archive.url)
    for name in ("inventory", "calls"):
        (folder / name).mkdir()
    with duckdb.connect() as connection:
        connection.execute(
            f"""COPY (
                SELECT '/srv/recordings/2026/11/queue-' || (i % 7) || '/20261101-' || i || '-a-longer-name.wav' AS uri,
                    'call ' || i AS call_id, 1000 + i AS size, 5::BIGINT AS modified, '' AS reason, '' AS detail,
                    MAP {{'queue': 'q' || (i % 7)}} AS metadata, repeat('f', 64) || '-none' AS fingerprint,
                    1::INTEGER AS run, '000001-' || lpad((i // 64)::VARCHAR, 6, '0') AS shard
                FROM range({rows}) AS numbers(i)
            ) TO '{folder}/inventory/000001.parquet'"""
        )
        connection.execute(
            f"""COPY (
                SELECT uri, sha256(uri) AS key, 'scanned' AS status, reason, detail, shard, {{'channels': 2}} AS audio
                FROM '{folder}/inventory/000001.parquet'
            ) TO '{folder}/calls/000001-000000.parquet'"""
        )
        found = connection.sql(
            f"SELECT uri, call_id, size, modified, reason, detail FROM '{folder}/inventory/000001.parquet'"
        ).to_arrow_reader(50_000)
        made = make_plan(archive, found, "f" * 64 + "-none", Shards())
    assert (made.discovered, made.due) == (rows, 0)


@pytest.mark.parametrize(("reason", "due"), [("unreadable", 2), ("engine", 2), ("corrupt", 0), ("worker_crash", 0)])
def test_failures_that_may_be_gone_are_tried_again(archive: Archive, reason: str, due: int) -> None:
    for task in plan(archive, calls(2)).tasks():
        commit(archive, task, reason=reason)
    assert plan(archive, calls(2)).due == due


def test_a_reject_is_recorded_once_and_becomes_a_recording_when_it_is_mended(archive: Archive) -> None:
    for task in plan(archive, [Reject("/r/x.wav", "not_a_file", "a pipe")]).tasks():
        commit(archive, task)
    assert plan(archive, [Reject("/r/x.wav", "not_a_file", "a pipe")]).due == 0
    assert plan(archive, [Recording("/r/x.wav", 9, 9)]).due == 1


def test_a_file_that_still_grows_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "call.wav"
    path.write_bytes(b"1234")
    still = tmp_path / "still.wav"
    still.write_bytes(b"1234")
    before = Recording(str(path), 2, path.stat().st_mtime_ns)
    quiet = Recording(str(still), 4, still.stat().st_mtime_ns)
    old = tmp_path / "old.wav"
    old.write_bytes(b"")
    os.utime(old, (1, 1))
    (batch,) = gather([before, quiet, Recording(str(old), 99, 10**9)], settle=0.01)
    assert dict(zip(batch["uri"].to_pylist(), batch["reason"].to_pylist(), strict=True)) == {
        str(path): "changing",
        str(still): "",
        str(old): "",
    }


def test_keys_of_the_same_size_go_with_the_shard(archive: Archive) -> None:
    for task in plan(archive, calls(2)).tasks():
        commit(archive, task)
    copies = [Recording("/copy/000.wav", 1000, 5), Recording("/copy/other.wav", 5, 5)]
    (task,) = plan(archive, [*calls(2), *copies]).tasks()
    assert task.known == {"key of /r/000.wav"}
    assert next(iter(plan(archive, copies, fingerprint="g").tasks())).known == frozenset()


def test_metadata_is_joined_by_call_id_file_name_and_path(archive: Archive) -> None:
    given_ = table(**{"000": {"queue": "a"}, "001.wav": {"queue": "b"}, "_r_002.wav": {"queue": "c"}, "none": {}})
    made = plan(archive, calls(4), metadata=given_)
    queues = {item.call_id: dict(item.metadata).get("queue") for task in made.tasks() for item in task.calls}
    assert queues == {"000": "a", "001": "b", "002": "c", "003": None}
    assert made.unmatched == 1


def test_new_metadata_of_old_calls_needs_no_audio(archive: Archive) -> None:
    for task in plan(archive, calls(2)).tasks():
        commit(archive, task)
    made = plan(archive, calls(2), metadata=table(**{"001": {"queue": "late"}}))
    assert list(made.tasks()) == []
    held = {record.call_id: dict(record.metadata) for record in archive.records()}
    assert held == {"000": {}, "001": {"queue": "late"}}
    assert plan(archive, calls(2)).due == 0
    assert {record.call_id: dict(record.metadata) for record in archive.records()} == held


@settings(max_examples=25, deadline=None)
@given(
    sizes=st.lists(st.integers(0, 100_000), min_size=1, max_size=40),
    limit=st.integers(1, 7),
    data=st.data(),
)
def test_a_run_that_is_continued_has_the_shards_of_one_that_is_not(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], limit: int, data: st.DataObject
) -> None:
    archive = Archive.create(str(tmp_path_factory.mktemp("archive")))
    found = [Recording(f"/r/{i}.wav", size, 1) for i, size in enumerate(sizes)]
    whole = list(plan(archive, found, shards=Shards(seconds=5, calls=limit)).tasks())
    done = data.draw(st.sets(st.sampled_from(whole)))
    for task in done:
        commit(archive, task)
    assert list(plan(archive, found[::-1], shards=Shards(seconds=5, calls=limit)).tasks()) == [
        task for task in whole if task not in done
    ]


@given(size=st.integers(1, 33), data=st.data())
def test_what_a_bisected_shard_misses_is_what_was_not_committed(size: int, data: st.DataObject) -> None:
    from callscan.archive.inventory import planned

    rows = [
        {"uri": str(i), "call_id": "", "size": 0, "modified": 0, "reason": "", "detail": "", "metadata": []}
        for i in range(size)
    ]
    shard = Task("000001-000000", planned(rows))
    committed: set[str] = set()
    done: list[str] = []
    waiting = [shard]
    while waiting:
        task = waiting.pop()
        what = data.draw(st.sampled_from(["commit", "split", "leave"]))
        if what == "commit":
            committed.add(task.shard)
            done += uris([task])
        elif what == "split" and len(task.calls) > 1:
            waiting += task.halves
    missing = shard.missing(sorted(committed))
    assert sorted(done + uris(missing)) == sorted(uris([shard]))
    assert not committed & {task.shard for task in missing}

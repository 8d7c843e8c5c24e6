"""The operational table: joined by call id or file name, what does not fit counted, caller numbers nowhere."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from report_world import PhraseLexicon, call, failed, key_of, make_archive

from callscan.archive import Archive
from callscan.errors import UsageError
from callscan.records import CallRecord
from callscan.report import Report
from callscan.report.callers import KEY_VARIABLE, caller_key, normalised, pseudonym
from callscan.report.metadata import join, read
from callscan.rescan.recount import count

KEY = bytes(16)


def ledger(*names: str, status: str = "scanned") -> pa.Table:
    rows = [
        {
            "uri": f"/calls/{name}.wav",
            "call_id": name.split("/")[-1],
            "key": key_of(name),
            "status": status,
            "metadata": [],
        }
        for name in names
    ]
    texts = [(name, pa.string()) for name in ("uri", "call_id", "key", "status")]
    kind = pa.schema([*texts, ("metadata", pa.map_(pa.string(), pa.string()))])
    return pa.Table.from_pylist(rows, schema=kind)


def joined(tmp_path: Path, text: str, *names: str) -> tuple[dict[str, dict[str, str]], tuple[int, int, int, int]]:
    path = tmp_path / "calls.csv"
    path.write_text(text, encoding="utf-8")
    table, told = join(ledger(*names), read(path, KEY), tmp_path)
    rows = {row["uri"]: dict(row["metadata"]) for row in table.to_pylist()}
    return rows, (told.rows, told.rows_without_call, told.calls_without_row, told.ambiguous)


def test_by_call_id(tmp_path: Path) -> None:
    rows, told = joined(tmp_path, "call_id,Queue,wait_seconds\na,facturation,12\nz,livraison,5\n", "a", "b")
    assert rows == {"/calls/a.wav": {"queue": "facturation", "wait_seconds": "12"}, "/calls/b.wav": {}}
    assert told == (2, 1, 1, 0)


def test_by_file_name_and_pattern(tmp_path: Path) -> None:
    text = "file;queue\na.wav;un\n2026-*-77_*.wav;deux\n?.wav;trois\n"
    rows, told = joined(tmp_path, text, "a", "2026-09-77_x", "b")
    assert rows["/calls/2026-09-77_x.wav"] == {"queue": "deux"}
    # "?.wav" fits a and b: it is joined to neither, and does not stand in the way of the row that names a.
    assert rows["/calls/a.wav"] == {"queue": "un"}
    assert rows["/calls/b.wav"] == {}
    assert told == (3, 0, 1, 1)


def test_two_rows_for_one_call(tmp_path: Path) -> None:
    rows, told = joined(tmp_path, "call_id,queue\na,un\na,deux\nb,trois\n", "a", "b")
    assert rows == {"/calls/a.wav": {}, "/calls/b.wav": {"queue": "trois"}}
    assert told == (3, 0, 1, 2)


def test_one_id_in_two_folders(tmp_path: Path) -> None:
    rows, told = joined(tmp_path, "call_id,queue\na,un\n", "nord/a", "sud/a")
    assert rows == {"/calls/nord/a.wav": {}, "/calls/sud/a.wav": {}}
    assert told == (1, 0, 2, 1)


def test_copies_of_one_recording_are_one_call(tmp_path: Path) -> None:
    first = ledger("nord/a")
    copy = ledger("sud/a", status="duplicate").set_column(2, "key", first["key"])
    path = tmp_path / "calls.csv"
    path.write_text("call_id,queue\na,un\n")
    table, told = join(pa.concat_tables([first, copy]), read(path, KEY), tmp_path)
    assert [dict(row["metadata"]) for row in table.to_pylist()] == [{"queue": "un"}] * 2
    assert (told.calls_without_row, told.ambiguous) == (0, 0)


def test_a_row_may_name_any_copy(tmp_path: Path) -> None:
    first = ledger("a")
    copy = ledger("b", status="duplicate").set_column(2, "key", first["key"])
    path = tmp_path / "calls.csv"
    path.write_text("call_id,queue\nb,un\n")
    table, told = join(pa.concat_tables([first, copy]), read(path, KEY), tmp_path)
    assert [dict(row["metadata"]) for row in table.to_pylist()] == [{"queue": "un"}] * 2
    assert (told.rows_without_call, told.calls_without_row) == (0, 0)
    path.write_text("call_id,queue\nb,un\na,deux\n")
    table, _ = join(pa.concat_tables([first, copy]), read(path, KEY), tmp_path)
    assert [dict(row["metadata"]) for row in table.to_pylist()] == [{"queue": "deux"}, {"queue": "un"}]


def test_latin_1_and_empty_cells(tmp_path: Path) -> None:
    path = tmp_path / "calls.csv"
    path.write_bytes("call_id;queue;agent\na;réclamation;\nb;  ;x\n".encode("latin-1"))
    rows = {row["call_id"]: dict(row["metadata"]) for row in read(path, KEY).to_pylist()}
    assert rows == {"a": {"queue": "réclamation"}, "b": {"agent": "x"}}


def test_parquet(tmp_path: Path) -> None:
    path = tmp_path / "calls.parquet"
    pq.write_table(pa.table({"call_id": ["a"], "wait_seconds": [12.5], "caller_number": ["0612345678"]}), path)
    (row,) = read(path, KEY).to_pylist()
    assert dict(row["metadata"]) == {"wait_seconds": "12.5", "caller": pseudonym("+33612345678", KEY)}


def test_times_in_parquet_are_those_of_their_own_zone(tmp_path: Path) -> None:
    path = tmp_path / "calls[1].parquet"
    moment = pa.array([datetime(2026, 5, 12, 10)], pa.timestamp("us", tz="Europe/Paris"))
    pq.write_table(pa.table({"Call_ID": ["a"], "start_time": moment}), path)
    (row,) = read(path, KEY).to_pylist()
    assert dict(row["metadata"]) == {"start_time": "2026-05-12 12:00:00"}


def test_columns_without_a_name_or_with_the_same(tmp_path: Path) -> None:
    path = tmp_path / "calls.csv"
    path.write_text('call_id;queue;queue;\na;"un\nou deux";x;y\n\n')
    (row,) = read(path, KEY).to_pylist()
    assert dict(row["metadata"]) == {"queue": "un\nou deux", "queue_1": "x", "column_4": "y"}


def test_a_name_beside_the_number_is_no_pseudonym(tmp_path: Path) -> None:
    path = tmp_path / "calls.csv"
    path.write_text("call_id,caller,caller_number\na,Jean,0612345678\nb,Anne,\n")
    rows = [dict(row["metadata"]) for row in read(path, KEY).to_pylist()]
    assert rows == [{"caller": pseudonym("0612345678", KEY)}, {}]


@pytest.mark.parametrize("wrong", ["Total: 3", "d,un,deux", "call_id,queue,agent"])
def test_a_row_that_is_not_like_the_first_is_named(tmp_path: Path, wrong: str) -> None:
    path = tmp_path / "calls.csv"
    path.write_text(f"call_id,queue\na,un\nb,deux\n{wrong}\nc,trois\n")
    with pytest.raises(UsageError, match=r"calls.csv, row 4: \d cells, the first row has 2"):
        read(path, KEY)


DATES = {
    "2026-05-12T14:30:00+02:00": "2026-05-12 14:30:00",
    "2026-05-12 14:30:00+02": "2026-05-12 14:30:00",
    "2026-05-12 14:30:00.5Z": "2026-05-12 14:30:00.500000",
    "2026-05-12": "2026-05-12 00:00:00",
    "12/05/2026 14:30": "2026-05-12 14:30:00",
    "12.5.2026": "2026-05-12 00:00:00",
    "12/05/26 14:30": None,
    "2026-05-12 02:30:00 PM": None,
    "13/13/2026": None,
    "infinity": None,
    "hier": None,
}


def test_what_is_a_date_and_what_is_a_number(tmp_path: Path) -> None:
    waits = ["12,5", "nan", "inf", "-infinity", "x", "3", "4", "5"]
    records = [
        call(f"c{n:02d}", [("customer", "oui")], start_time=written, wait_seconds=waits[n % len(waits)])
        for n, written in enumerate(DATES)
    ]
    report = count(make_archive(tmp_path / "archive", records), PhraseLexicon())
    calls = pq.read_table(tmp_path / "archive" / "report" / "calls.parquet").to_pylist()
    assert [row["start_time"] and str(row["start_time"]) for row in calls] == list(DATES.values())
    assert [row["wait_seconds"] for row in calls[:8]] == [12.5, None, None, None, None, 3, 4, 5]
    assert (report.cut.undated, report.first_day, report.last_day) == (5, "2026-05-12", "2026-05-12")


@pytest.mark.parametrize("days", [16, 28])
def test_first_contact_resolution_does_not_depend_on_how_far_the_archive_reaches(tmp_path: Path, days: int) -> None:
    first, records = datetime(2026, 1, 1, 9), []
    for number in range(days * 12):
        start = first + timedelta(days=number // 12, minutes=number)
        # One caller in four calls again three days later, if the archive goes on for so long.
        for again in (start, start + timedelta(days=3))[: 1 + (number % 4 == 0)]:
            if again < first + timedelta(days=days):
                who = {"start_time": again.isoformat(), "caller_number": f"06{number:08d}"}
                records.append(call(f"{again:%m%d}-{number}", [("customer", "oui")], **who))
    contact = count(make_archive(tmp_path / "archive", records), PhraseLexicon()).repeat_contact
    assert contact is not None
    assert contact.resolved.calls_per_100 == 75.0
    assert contact.undecided > 0


@pytest.mark.parametrize("text", ["queue\nx\n", ""])
def test_what_cannot_be_read_is_one_clear_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "calls.csv"
    path.write_text(text)
    with pytest.raises(UsageError) as caught:
        read(path, KEY)
    assert str(path) in caught.value.message
    assert "\n" not in caught.value.message
    assert caught.value.hint


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no metadata file"):
        read(tmp_path / "nothing.csv", KEY)


def test_caller_numbers_have_one_spelling() -> None:
    same = ["06 12 34 56 78", "+33612345678", "0033612345678", "sip:+33612345678@example.com", "tel:+33-6-12-34-56-78"]
    assert {normalised(number) for number in same} == {"33612345678"}
    assert {normalised(number) for number in ("", "anonymous", "Masqué", "sip:anonymous@anonymous.invalid")} == {""}
    assert pseudonym("anonymous", KEY) is None
    assert pseudonym("0612345678", KEY) != pseudonym("0612345678", bytes([1] * 16))
    assert pseudonym("0612345678", KEY) != pseudonym("0612345679", KEY)


def test_the_key_stays_out_of_the_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(KEY_VARIABLE)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    key = caller_key()
    assert key == caller_key()
    assert len(key) == 32
    assert (tmp_path / "callscan" / "caller.key").stat().st_mode & 0o077 == 0
    for wrong in ("xyz", "00ff"):
        monkeypatch.setenv(KEY_VARIABLE, wrong)
        with pytest.raises(UsageError):
            caller_key()


def history() -> list[CallRecord]:
    """Four weeks of callers; each line: name, day, caller, what the customer says."""
    lines = (
        ("old", 1, "01", "oui"),
        ("first", 10, "02", "oui"),
        ("second", 12, "02", "j'ai déjà appelé hier"),
        ("third", 25, "02", "oui"),
        ("lone", 11, "03", "j'ai déjà appelé ailleurs"),
        ("after-failure", 14, "04", "oui"),
        ("late", 27, "05", "oui"),
        ("hidden", 15, "anonymous", "j'ai déjà appelé"),
        ("early", 3, "06", "oui"),
        ("last", 28, "07", "oui"),
    )
    records = [
        call(
            name,
            [("customer", text)],
            start_time=f"2026-09-{day:02d}T10:00:00",
            caller_number=f"06000000{who}" if who.isdigit() else who,
        )
        for name, day, who, text in lines
    ]
    failure = failed(
        "failure", "quarantined", "not_audio", start_time="2026-09-13T09:00:00", caller_number="0600000004"
    )
    return [*records, failure]


def test_repeat_contact_and_first_contact_resolution(tmp_path: Path) -> None:
    report = count(make_archive(tmp_path / "archive", history()), PhraseLexicon())
    contact = report.repeat_contact
    assert contact is not None
    # Judged from day 8 on: first, second, third, lone, after-failure, late, last; repeats: second and after-failure.
    assert (contact.days, contact.calls, contact.repeats_seen) == (7, 9, 2)
    assert (contact.repeat.calls, contact.repeat.of) == (2, 7)
    # First calls: first (called again), lone (resolved), and third, late, last, which are too recent to know.
    assert (contact.resolved.calls, contact.resolved.of, contact.undecided) == (1, 2, 3)
    table = contact.table
    assert (table.both, table.spoken_only, table.number_only, table.neither) == (1, 1, 1, 4)
    assert table.unknown == 3
    assert table.both + table.spoken_only + table.number_only + table.neither + table.unknown == report.calls


def test_a_longer_span_of_repeat_contact(tmp_path: Path) -> None:
    report = count(make_archive(tmp_path / "archive", history()), PhraseLexicon(), contact_days=14)
    assert report.repeat_contact is not None
    assert (report.repeat_contact.repeat.calls, report.repeat_contact.repeat.of) == (1, 3)


def test_without_numbers_there_is_no_repeat_contact(tmp_path: Path) -> None:
    report = count(make_archive(tmp_path / "archive", [call("a", [("agent", "oui")])]), PhraseLexicon())
    assert report.repeat_contact is None
    assert report.operations == []


def with_waits(tmp_path: Path) -> Report:
    records = [
        call(
            f"c{number:02d}",
            [("customer", "vingt minutes d'attente" if number >= 30 else "oui")],
            wait_seconds=str(number * 10).replace("90", "90,5"),
            transfers="0" if number < 30 else "2",
        )
        for number in range(40)
    ]
    return count(make_archive(tmp_path / "archive", records), PhraseLexicon())


def test_issues_by_quarter_of_the_wait(tmp_path: Path) -> None:
    wait, transfers = with_waits(tmp_path).operations
    assert (wait.column, wait.calls) == ("wait_seconds", 40)
    assert [(q.quartile, q.of) for q in wait.quartiles] == [(1, 10), (2, 10), (3, 10), (4, 10)]
    assert [q.issues["waiting"].calls for q in wait.quartiles] == [0, 0, 0, 10]
    assert wait.quartiles[0].high == 90.5
    # Equal values stay in one quarter.
    assert [(q.low, q.high, q.of, q.issues["waiting"].calls) for q in transfers.quartiles] == [
        (0, 0, 30, 0),
        (2, 2, 10, 10),
    ]


def test_the_table_is_kept_for_the_next_count(tmp_path: Path) -> None:
    archive = make_archive(
        tmp_path / "archive", [call("a", [("customer", "oui")], queue="vieux"), call("b", [("agent", "oui")])]
    )
    path = tmp_path / "calls.csv"
    path.write_text("call_id,queue,start_time,caller_number\na,neuf,2026-09-01T10:00:00+02:00,0612345678\nx,y,,\n")
    first = count(archive, PhraseLexicon(), metadata=path)
    assert first.metadata is not None
    assert (first.metadata.rows, first.metadata.rows_without_call, first.metadata.calls_without_row) == (2, 1, 1)
    assert [(s.value, s.of) for s in first.slices["queue"]] == [("neuf", 1), (None, 1)]
    assert first.slices["hour"][0].value == "10"
    path.unlink()
    assert count(Archive(str(tmp_path / "archive")), PhraseLexicon()) == first
    stored = b"".join(p.read_bytes() for p in (tmp_path / "archive" / "report").iterdir())
    assert b"612345678" not in stored

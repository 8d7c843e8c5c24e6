"""Counting again: the difference, cuts, and the commands that print them."""

from __future__ import annotations

import csv
import http.server
import io
import json
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from report_world import PHRASES, PhraseLexicon, call, failed, make_archive, make_world
from rich.console import Console

from callscan.archive import Archive
from callscan.cli import report as commands
from callscan.cli.archive import _interaction as interaction
from callscan.errors import ArchiveError, UsageError
from callscan.report import Report, Selection
from callscan.report.alerts import at_least
from callscan.report.contract import Work
from callscan.report.schema import schema
from callscan.report.webhook import PAUSES, event, send
from callscan.report.write import cell_text, issues_by_day, to_json
from callscan.rescan.recount import count, cut, hits_by_call, last_report, recount

WORLD = make_world(80, seed=9)


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return make_archive(tmp_path / "archive", WORLD.records)


def test_the_difference_between_two_lexicons(archive: Archive) -> None:
    narrow = PhraseLexicon({**PHRASES, "billing": ("customer", ("prélevé deux fois",))})
    first = recount(archive, narrow)
    assert first.changes == ()
    second = recount(archive, PhraseLexicon())
    gained = {name for name, found in WORLD.planted.items() if any(i == "billing" and c for i, _, _, c in found)}
    before = {n for n, f in WORLD.planted.items() if any(p == "prélevé deux fois" and c for _, p, _, c in f)}
    (change,) = [change for change in second.changes if change.gained or change.lost]
    assert (change.issue, change.before, change.after) == ("billing", len(before), len(gained))
    assert (change.gained, change.lost) == (len(gained - before), 0)
    assert {example.call_id for example in change.gained_examples} <= gained - before
    assert {example.quote for example in change.gained_examples} == {"erreur sur ma facture"}
    back = recount(archive, narrow)
    (change,) = [change for change in back.changes if change.gained or change.lost]
    assert (change.gained, change.lost) == (0, len(gained - before))
    assert len(change.lost_examples) == min(3, len(gained - before))
    assert not [change for change in recount(archive, narrow).changes if change.gained or change.lost]


def test_what_the_shards_took_is_summed(archive: Archive) -> None:
    first = {"audio_s": 90.0, "wall_s": 2.0, "stages": {"vad": 0.5, "encode": 1.0}, "windows": 3, "places": 4}
    second = {"audio_s": 30.0, "wall_s": 1.0, "stages": {"encode": 0.25}, "frames": 1000, "padding": 250}
    for number, cost in enumerate((first, second)):
        archive.commit(f"900000-00000{number}", [], fingerprint="", cost=lambda cost=cost: cost)
    report = count(archive, PhraseLexicon())
    assert report.cost.work == Work(
        audio_seconds=120.0,
        worker_seconds=3.0,
        realtime_factor=40.0,
        stages={"encode": 1.25, "vad": 0.5},
        windows=3,
        padding_share=0.25,
        batch_fill=0.75,
    )
    assert cut(archive, Selection())[0].cost.work == report.cost.work
    assert to_json(count(archive, PhraseLexicon())) == to_json(report)


def test_a_cut_is_the_count_of_those_calls_alone(archive: Archive, tmp_path: Path) -> None:
    """A cut by days and column equals a count of an archive that holds just these calls."""
    full = count(archive, PhraseLexicon(), by=("produit",))
    since, until = date(2026, 9, 5), date(2026, 9, 20)
    selection = Selection(since, until, {"queue": "livraison"}, ("produit",))
    report, page = cut(archive, selection)
    chosen = [
        record
        for record in WORLD.records
        if "start_time" in record.metadata
        and since <= datetime.fromisoformat(record.metadata["start_time"]).date() <= until
        and record.metadata.get("queue") == "livraison"
    ]
    assert 5 < len(chosen) < len(WORLD.records)
    alone = count(make_archive(tmp_path / "alone", chosen), PhraseLexicon(), by=("produit",))
    assert report.coverage == alone.coverage
    assert [replace_cut(issue) for issue in report.issues] == [replace_cut(issue) for issue in alone.issues]
    assert report.interaction == alone.interaction
    assert report.cut.undated == sum("start_time" not in record.metadata for record in WORLD.records)
    assert report.calls < full.calls
    assert page.startswith("<!doctype html>")
    assert last_report(archive) == full, "a cut writes nothing"
    jsonschema.Draft202012Validator(schema()).validate(json.loads(to_json(report)))


def replace_cut(issue: Any) -> Any:
    """An issue without the breakdown by queue, which an archive of one queue may lack."""
    from msgspec.structs import replace as replaced

    return replaced(issue, by={name: cells for name, cells in issue.by.items() if name != "queue"})


@pytest.mark.parametrize("selection", [Selection(by=("colour",)), Selection(where={"colour": "red"})])
def test_a_column_that_is_not_there(archive: Archive, selection: Selection) -> None:
    count(archive, PhraseLexicon())
    with pytest.raises(UsageError, match="colour") as caught:
        cut(archive, selection)
    assert "produit" in caught.value.hint


def test_where_is_a_value_and_never_sql(archive: Archive) -> None:
    count(archive, PhraseLexicon())
    report, _ = cut(archive, Selection(where={"queue": "' OR true --"}))
    assert report.coverage.discovered == 0
    with pytest.raises(UsageError):
        cut(archive, Selection(by=("queue'] OR true --",)))


def test_a_column_of_the_metadata_that_is_named_as_one_of_ours(tmp_path: Path) -> None:
    records = [call(f"c{n}", [("customer", "oui")], reason="panne" if n < 3 else "") for n in range(5)]
    archive = make_archive(tmp_path / "archive", records)
    count(archive, PhraseLexicon())
    with pytest.raises(UsageError, match="'reason'") as caught:
        cut(archive, Selection(by=("reason",)))
    assert "metadata.reason" in caught.value.hint
    report, _ = cut(archive, Selection(by=("metadata.reason",), where={"metadata.reason": "panne"}))
    assert (report.calls, [(s.value, s.of) for s in report.slices["metadata.reason"]]) == (3, [("panne", 3)])
    assert cut(archive, Selection(where={"metadata.reason": ""}))[0].calls == 2


def test_tables_that_are_missing(archive: Archive) -> None:
    count(archive, PhraseLexicon())
    (Path(archive.url) / "report" / "calls.parquet").unlink()
    with pytest.raises(ArchiveError, match=r"calls.parquet is missing"):
        cut(archive, Selection())


def damage(archive: Archive, name: str) -> None:
    path = Path(archive.url) / "report" / name
    path.write_bytes(path.read_bytes()[:-20])


@pytest.mark.parametrize("name", ["calls.parquet", "hits.parquet"])
def test_tables_that_are_damaged_are_told_and_made_again(archive: Archive, name: str) -> None:
    whole = count(archive, PhraseLexicon())
    damage(archive, name)
    readers = [lambda: cut(archive, Selection())]
    readers.append(
        (lambda: hits_by_call(archive)) if name == "hits.parquet" else (lambda: interaction(archive, "/calls/none.wav"))
    )
    for read in readers:
        with pytest.raises(ArchiveError, match="parquet cannot be read") as caught:
            read()
        assert caught.value.hint == "callscan rescan makes the tables again"
        assert "\n" not in caught.value.message
    again = recount(archive, PhraseLexicon())
    assert (again.report, bool(again.changes)) == (whole, name != "hits.parquet")
    assert cut(archive, Selection())[0].coverage == whole.coverage


def test_a_damaged_operational_table_is_told_and_given_again(archive: Archive, tmp_path: Path) -> None:
    path = tmp_path / "calls.csv"
    path.write_text("call_id,queue\nnone,x\n")
    count(archive, PhraseLexicon(), metadata=path)
    damage(archive, "metadata.parquet")
    with pytest.raises(ArchiveError, match="is damaged") as caught:
        count(archive, PhraseLexicon())
    assert "--metadata" in caught.value.hint
    count(archive, PhraseLexicon(), metadata=path)
    count(archive, PhraseLexicon())


def test_before_the_first_count(archive: Archive) -> None:
    with pytest.raises(ArchiveError, match="no report"):
        cut(archive, Selection())
    archive.store.write("report/report.json", b'{"schema_version": "9.0"}')
    with pytest.raises(ArchiveError, match="cannot be read"):
        last_report(archive)


def leak_world() -> list[Any]:
    """Eight weeks of 40 calls a day; deliveries go wrong in one queue in the last four days."""
    records = []
    for day in range(56):
        for number in range(40):
            queue = "nord" if number % 2 else "sud"
            leak = day >= 52 and queue == "nord" and number % 4 == 1
            hit = leak or (day * 40 + number) % 37 == 0
            start = datetime(2026, 9, 1, 9) + timedelta(days=day, minutes=number)
            text = "alors colis jamais arrivé" if hit else "oui"
            records.append(
                call(f"{day:02d}-{number:02d}", [("customer", text)], start_time=start.isoformat(), queue=queue)
            )
    return records


def test_a_planted_leak_is_in_the_report(tmp_path: Path) -> None:
    report = count(make_archive(tmp_path / "archive", leak_world(), shard_size=500), PhraseLexicon())
    found = {(alert.issue, alert.column, alert.value) for alert in report.alerts}
    assert ("delivery", "", "") in found
    assert ("delivery", "queue", "nord") in found
    assert not [alert for alert in report.alerts if alert.value == "sud" or alert.issue != "delivery"]
    for alert in report.alerts:
        assert alert.day == "2026-10-26"
        assert alert.since >= "2026-10-20"
        days = next(issue for issue in report.issues if issue.id == "delivery").by["day"]
        if not alert.column:
            window = [cell for cell in days if cell.value is not None and cell.value >= alert.since]
            assert (alert.calls, alert.of) == (sum(c.calls for c in window), sum(c.of for c in window))
        assert alert.ratio == pytest.approx(alert.calls / alert.expected, abs=0.01)
        assert alert.q_value <= 0.05
        assert alert.p_value <= alert.q_value
        assert len(alert.examples) == 3
        assert {example.quote for example in alert.examples} == {"colis jamais arrivé"}
        assert all(example.call_id >= "49" for example in alert.examples)
    delivery = next(issue for issue in report.issues if issue.id == "delivery")
    assert delivery.alerted
    assert min(delivery.alerted) >= "2026-10-23"
    assert report.alert_series > 0
    assert at_least(report.alerts, "watch") == report.alerts
    assert {alert.level for alert in at_least(report.alerts, "alarm")} <= {"alarm"}
    with pytest.raises(UsageError):
        at_least(report.alerts, "panic")


def test_one_misdated_call_does_not_stretch_the_series(tmp_path: Path) -> None:
    records = leak_world()
    stray = call("stray", [("customer", "alors colis jamais arrivé")], start_time="1970-01-01T00:00:00", queue="nord")
    first = count(make_archive(tmp_path / "first", records, shard_size=500), PhraseLexicon())
    second = count(make_archive(tmp_path / "second", [*records, stray], shard_size=500), PhraseLexicon())
    assert second.first_day == "1970-01-01"
    assert [without_examples(alert) for alert in second.alerts] == [without_examples(alert) for alert in first.alerts]


def without_examples(alert: Any) -> Any:
    from msgspec.structs import replace as replaced

    return replaced(alert, examples=[])


class Hook:
    """A web server that answers as told and keeps what it was sent."""

    def __init__(self, answers: list[int]) -> None:
        self.got: list[tuple[str, bytes]] = []
        hook = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                hook.got.append((self.headers["Content-Type"], self.rfile.read(int(self.headers["Content-Length"]))))
                code = answers[min(len(hook.got), len(answers)) - 1]
                self.send_response(code)
                if code == 302:
                    self.send_header("Location", "/elsewhere")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def hooks() -> Iterator[Any]:
    made: list[Hook] = []

    def make(*answers: int) -> Hook:
        made.append(Hook(list(answers)))
        return made[-1]

    yield make
    for hook in made:
        hook.server.shutdown()
        hook.server.server_close()


def test_webhook(archive: Archive, hooks: Any) -> None:
    report = count(archive, PhraseLexicon())
    waited: list[float] = []
    hook = hooks(204)
    assert send(hook.url, report, report.alerts, waited.append) is None
    kind, body = hook.got[0]
    assert kind.startswith("application/cloudevents+json")
    envelope = json.loads(body)
    # The attributes that CloudEvents 1.0 requires, and those of it that are used.
    assert set(envelope) == {"specversion", "id", "source", "type", "subject", "datacontenttype", "dataschema", "data"}
    assert envelope["specversion"] == "1.0"
    assert envelope["data"]["coverage"]["discovered"] == report.coverage.discovered
    assert event(report, report.alerts) == body, "the same alerts are the same event"

    hook = hooks(500, 503, 200)
    waited.clear()
    assert send(hook.url, report, report.alerts, waited.append) is None
    assert len(hook.got) == 3
    assert waited == [0.0, *PAUSES[:2]]

    hook = hooks(500)
    assert "500" in str(send(hook.url, report, report.alerts, waited.append))
    assert len(hook.got) == 1 + len(PAUSES)

    for refusal in (404, 302):
        hook = hooks(refusal)
        assert str(refusal) in str(send(hook.url, report, report.alerts, waited.append))
        assert len(hook.got) == 1

    assert send("http://127.0.0.1:1/", report, report.alerts, waited.append)
    with pytest.raises(UsageError):
        send("file:///etc/passwd", report, report.alerts, waited.append)


def shown(report: Report) -> str:
    console = Console(width=120, file=io.StringIO(), record=True)
    commands.show(report, console)
    return console.export_text()


def test_the_terminal_says_completeness_first(archive: Archive) -> None:
    report = count(archive, PhraseLexicon())
    lines = shown(report).splitlines()
    assert lines[0].startswith(f"{report.coverage.discovered} recordings = {report.coverage.scanned} scanned + ")
    text = "\n".join(lines)
    for issue in report.issues:
        assert issue.label.en in text
    assert "quarantined" in text


def test_markup_in_what_was_said_is_text(tmp_path: Path) -> None:
    lexicon = PhraseLexicon({"[red]x": ("customer", ("[bold]colis[/bold] jamais",))})
    record = call("a", [("customer", "oui [bold]colis[/bold] jamais")])
    text = shown(count(make_archive(tmp_path / "archive", [record]), lexicon))
    assert "« oui [bold]colis[/bold] jamais »" in text
    assert "[red]x" in text


def test_the_words_that_count_are_shown_in_their_sentence(tmp_path: Path) -> None:
    before = "Bonjour. Alors écoutez voilà je vous appelle parce que mon"
    record = call("a", [("customer", f"{before} colis n'est jamais arrivé chez moi. Merci.")])
    lexicon = PhraseLexicon({"delivery": ("customer", ("colis n'est jamais",))})
    report = count(make_archive(tmp_path / "archive", [record]), lexicon)
    assert "« … appelle parce que mon colis n'est jamais arrivé chez moi. »" in shown(report)
    narrow = Console(width=60, file=io.StringIO(), record=True)
    commands.show(report, narrow)
    assert "…\n" in narrow.export_text()


def test_changes_on_the_terminal(archive: Archive) -> None:
    count(archive, PhraseLexicon({**PHRASES, "billing": ("customer", ("prélevé deux fois",))}))
    done = recount(archive, PhraseLexicon())
    console = Console(width=120, file=io.StringIO(), record=True)
    commands.show_changes(done.changes, console)
    text = console.export_text()
    assert "billing: " in text
    assert "+ « erreur sur ma facture »" in text
    commands.show_changes(recount(archive, PhraseLexicon()).changes, console)
    assert "those of the last time" in console.export_text()


@pytest.mark.parametrize("text", ["=cmd()", "+1", "-1", "@sum", "\tx", "\r=1"])
def test_no_cell_is_a_formula(text: str) -> None:
    assert str(cell_text(text))[0] in "' "


def test_hostile_text_in_csv_and_json_lines(tmp_path: Path) -> None:
    day = {"start_time": "2026-09-01T10:00:00"}
    hostile = call("=cmd()", [("customer", "=cmd()|'x' colis jamais arrivé \x1b[31m\x00")], queue="=1+1", **day)
    broken = replace(failed("b", "quarantined", "not_audio"), detail="</script>\u2028=x\x00")
    lexicon = PhraseLexicon({"=evil()": ("customer", ("colis jamais arrivé",))})
    report = count(make_archive(tmp_path / "archive", [hostile, broken]), lexicon)
    rows = list(csv.reader(io.StringIO(issues_by_day(report))))
    assert rows[1][1] == "'=evil()"
    assert not [cell for row in rows for cell in row if cell[:1] in ("=", "+", "@")]
    lines = (tmp_path / "archive" / "report" / "hits.jsonl").read_text().splitlines()
    assert Counter(json.loads(line)["issue"] for line in lines) == {"=evil()": 1}
    assert json.loads(lines[0])["context"].endswith("\x1b[31m\x00")

"""Every number of a report, counted again by hand from what was planted."""

from __future__ import annotations

import csv
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from report_world import PHRASES, PhraseLexicon, World, call, failed, make_archive, make_world

from callscan.archive import Archive
from callscan.records import CallRecord
from callscan.report import Report
from callscan.rescan.recount import count

WORLD = make_world(180, seed=7)


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Archive, Report]:
    archive = make_archive(tmp_path_factory.mktemp("world") / "archive", WORLD.records)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CALLSCAN_CALLER_KEY", "00112233445566778899aabbccddeeff")
        return archive, count(archive, PhraseLexicon(), by=("produit",))


def scanned(world: World) -> list[CallRecord]:
    return [record for record in world.records if record.transcript is not None]


def score_interval(calls: int, of: int) -> tuple[float, float]:
    """The Wilson interval the long way: the shares whose z-test just keeps them (bisection)."""

    def edge(inside: float, outside: float) -> float:
        for _ in range(200):
            middle = (inside + outside) / 2
            variance = middle * (1 - middle) / of
            kept = abs(calls / of - middle) <= 1.959963984540054 * variance**0.5
            inside, outside = (middle, outside) if kept else (inside, middle)
        return inside

    low = edge(calls / of, 0.0) if calls else 0.0
    high = edge(calls / of, 1.0) if calls < of else 1.0
    return low, high


def tally(world: World, wanted: Callable[[CallRecord], bool] = lambda record: True) -> dict[str, tuple[int, int, int]]:
    """Issue → calls, of, hits, from what was planted."""
    calls: Counter[str] = Counter()
    hits: Counter[str] = Counter()
    of = 0
    for record in scanned(world):
        if wanted(record):
            of += 1
            found = [issue for issue, _, _, counts in world.planted[record.call_id] if counts]
            calls.update(set(found))
            hits.update(found)
    return {issue: (calls[issue], of, hits[issue]) for issue in PHRASES}


def test_coverage_counts_every_recording(counted: tuple[Archive, Report]) -> None:
    coverage = counted[1].coverage
    statuses = Counter(record.status for record in WORLD.records)
    assert {name: getattr(coverage, name) for name in statuses} == dict(statuses)
    parts = ("scanned", "no_speech", "degraded", "quarantined", "duplicate", "deferred")
    assert coverage.discovered == len(WORLD.records) == sum(getattr(coverage, part) for part in parts)
    assert len(counted[1].failures) == sum(statuses[s] for s in ("degraded", "quarantined", "deferred"))
    assert not counted[1].complete


def test_issue_totals(counted: tuple[Archive, Report]) -> None:
    report = counted[1]
    truth = tally(WORLD)
    assert sum(hits for _, _, hits in truth.values()) > 60, "the world must hold something to count"
    assert {issue.id: (issue.calls, issue.of, issue.hits) for issue in report.issues} == truth
    assert report.calls == len(scanned(WORLD))
    for issue in report.issues:
        low, high = score_interval(issue.calls, issue.of)
        assert issue.interval is not None
        assert issue.calls_per_100 == pytest.approx(100 * issue.calls / issue.of, abs=1e-4)
        assert issue.interval.low == pytest.approx(100 * low, abs=1e-3)
        assert issue.interval.high == pytest.approx(100 * high, abs=1e-3)
    assert [issue.calls for issue in report.issues] == sorted((issue.calls for issue in report.issues), reverse=True)


COLUMNS: dict[str, Callable[[CallRecord], str | None]] = {
    "day": lambda record: record.metadata.get("start_time", "")[:10] or None,
    "hour": lambda record: record.metadata.get("start_time", "")[11:13] or None,
    "weekday": lambda record: _weekday(record.metadata.get("start_time")),
    "queue": lambda record: record.metadata.get("queue"),
    "agent": lambda record: record.metadata.get("agent"),
    "produit": lambda record: record.metadata.get("produit"),
}


def _weekday(start: str | None) -> str | None:
    return str(datetime.fromisoformat(start).isoweekday()) if start else None


@pytest.mark.parametrize("column", COLUMNS)
def test_cells(counted: tuple[Archive, Report], column: str) -> None:
    report = counted[1]
    value_of = COLUMNS[column]
    values = {value_of(record) for record in scanned(WORLD)}
    for issue in report.issues:
        truth = {value: tally(WORLD, lambda record, v=value: value_of(record) == v)[issue.id] for value in values}
        assert {cell.value: (cell.calls, cell.of, cell.hits) for cell in issue.by[column]} == truth
    assert {s.value: s.of for s in report.slices[column]} == Counter(value_of(record) for record in scanned(WORLD))
    assert set(report.slices) == set(COLUMNS)


def test_parts_of_an_issue(counted: tuple[Archive, Report]) -> None:
    durations = {record.call_id: record.audio.decoded for record in scanned(WORLD) if record.audio}
    hits: dict[str, list[tuple[str, str, float]]] = defaultdict(list)
    flagged: Counter[str] = Counter()
    for name, planted in WORLD.planted.items():
        for issue, phrase, start, counts in planted:
            if counts:
                hits[issue].append((name, phrase, start))
            else:
                flagged[issue] += 1
    assert sum(flagged.values()) > 0
    for issue in counted[1].issues:
        found = hits[issue.id]
        thirds = Counter(min(2, int(3 * start / durations[name])) for name, _, start in found)
        assert (issue.arc.start, issue.arc.middle, issue.arc.end) == (thirds[0], thirds[1], thirds[2])
        assert issue.flagged == ({"negated": flagged[issue.id]} if flagged[issue.id] else {})
        by_phrase = defaultdict(list)
        for name, phrase, _ in found:
            by_phrase[phrase].append(name)
        assert {p.pattern: (p.calls, p.hits) for p in issue.patterns} == {
            phrase: (len(set(names)), len(names)) for phrase, names in by_phrase.items()
        }
        speaker = PHRASES[issue.id][0]
        assert [(s.speaker, s.calls, s.hits) for s in issue.speakers] == (
            [(speaker, issue.calls, issue.hits)] if found else []
        )


def test_examples_are_evidence(counted: tuple[Archive, Report]) -> None:
    shown = 0
    for issue in counted[1].issues:
        assert len(issue.examples) == min(5, issue.calls)
        assert len({example.call_id for example in issue.examples}) == len(issue.examples)
        for example in issue.examples:
            assert (issue.id, example.pattern, example.start, True) in WORLD.planted[example.call_id]
            assert example.quote == example.pattern
            assert example.lexicon == PhraseLexicon().digest
            shown += 1
    assert shown > 10


def test_trend(counted: tuple[Archive, Report]) -> None:
    report = counted[1]
    days = sorted({record.metadata["start_time"][:10] for record in scanned(WORLD) if "start_time" in record.metadata})
    last = datetime.fromisoformat(days[-1])

    def age(record: CallRecord) -> int | None:
        start = record.metadata.get("start_time")
        return (last - datetime.fromisoformat(start[:10])).days if start else None

    def recent(record: CallRecord) -> bool:
        days = age(record)
        return days is not None and days <= 6

    def before(record: CallRecord) -> bool:
        days = age(record)
        return days is not None and 7 <= days <= 34

    for issue in report.issues:
        if issue.trend is None:
            assert issue.calls == 0
            continue
        now, then = issue.trend.recent, issue.trend.before
        assert (now.calls, now.of, now.hits) == tally(WORLD, recent)[issue.id]
        assert (then.calls, then.of, then.hits) == tally(WORLD, before)[issue.id]


def test_interaction_and_cost(counted: tuple[Archive, Report]) -> None:
    report = counted[1]
    talk: dict[str, list[float]] = {"customer": [], "agent": []}
    silence, words = [], 0
    for record in scanned(WORLD):
        assert record.transcript is not None
        assert record.audio is not None
        seconds = dict.fromkeys(talk, 0.0)
        for segment in record.transcript.segments:
            seconds[segment.speaker] += segment.end - segment.start
            words += len(segment.words)
        total = sum(seconds.values())
        for role, values in talk.items():
            values.append(seconds[role] / total)
        silence.append(1 - total / record.audio.decoded)
    measures = {measure.name: measure for measure in report.interaction}
    for role, values in talk.items():
        assert measures[f"talk_share_{role}"].mean == pytest.approx(sum(values) / len(values), abs=1e-3)
    assert measures["silence_share"].mean == pytest.approx(sum(silence) / len(silence), abs=1e-3)
    assert measures["overtalk_share"].mean == 0
    assert report.cost.words == words
    assert report.cost.audio_seconds == pytest.approx(sum(r.audio.decoded for r in scanned(WORLD) if r.audio), abs=0.01)
    assert report.cost.work is None


def test_tables_beside_the_report(counted: tuple[Archive, Report]) -> None:
    archive, report = counted
    folder = Path(archive.url) / "report"
    assert json.loads((folder / "report.json").read_text())["calls"] == report.calls
    hits = pq.read_table(folder / "hits.parquet").to_pylist()
    planted = sum(len(found) for found in WORLD.planted.values())
    assert len(hits) == planted
    assert sum(hit["counted"] for hit in hits) == sum(issue.hits for issue in report.issues)
    lines = [json.loads(line) for line in (folder / "hits.jsonl").read_text().splitlines()]
    assert lines == hits
    calls = pq.read_table(folder / "calls.parquet").to_pylist()
    assert len(calls) == len(WORLD.records)
    assert sum(row["counted"] for row in calls) == report.calls
    with (folder / "issues_by_day.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    dated = {
        issue: sum(
            1
            for record in scanned(WORLD)
            if "start_time" in record.metadata
            and issue in {i for i, _, _, counts in WORLD.planted[record.call_id] if counts}
        )
        for issue in PHRASES
    }
    sums: Counter[str] = Counter()
    for row in rows:
        if row["day"]:
            sums[row["issue"]] += int(row["calls"])
    assert {issue: sums[issue] for issue in PHRASES} == dated


def test_caller_numbers_are_nowhere(counted: tuple[Archive, Report]) -> None:
    folder = Path(counted[0].url) / "report"
    numbers = {record.metadata["caller_number"] for record in scanned(WORLD) if "caller_number" in record.metadata}
    assert len(numbers) > 20
    calls = pq.read_table(folder / "calls.parquet").to_pylist()
    text = json.dumps(calls, default=str) + "".join(path.read_text() for path in folder.glob("*.json*"))
    assert not [number for number in numbers if number in text or number[1:] in text]
    callers = {row["caller"] for row in calls if row["caller"]}
    assert len(callers) == len(numbers)


def written(archive: Archive) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (Path(archive.url) / "report").iterdir()}


def test_same_bytes_again(tmp_path: Path) -> None:
    """Whatever the shards, the processes and the run: the same records give the same bytes."""
    records = WORLD.records[:90]
    first = make_archive(tmp_path / "first", records)
    count(first, PhraseLexicon(), processes=1)
    before = written(first)
    count(first, PhraseLexicon(), processes=1)
    assert written(first) == before
    second = make_archive(tmp_path / "second", records, shard_size=11)
    count(second, PhraseLexicon(), processes=2)
    assert written(second) == before
    assert set(before) >= {"report.json", "calls.parquet", "hits.parquet", "hits.jsonl", "issues_by_day.csv"}


def degraded(record: CallRecord) -> CallRecord:
    return replace(record, status="degraded", reason="truncated")


CASES: dict[str, tuple[Iterable[CallRecord], tuple[int, int]]] = {
    "a degraded call with a transcript is in the denominator": (
        [degraded(call("a", [("customer", "oui colis jamais arrivé")]))],
        (1, 1),
    ),
    "a degraded call without one is not": ([failed("a", "degraded", "coverage")], (0, 0)),
    "a call without speech is not": (
        [failed("a", "no_speech", "no_speech"), call("b", [("customer", "colis jamais arrivé")])],
        (1, 1),
    ),
    "a duplicate is not": (
        [
            call("a", [("customer", "colis jamais arrivé")]),
            CallRecord("b", "calls/b.wav", call("a", [("agent", "oui")]).key, "duplicate", "same_bytes"),
        ],
        (1, 1),
    ),
    "what the agent says is not the customer's": ([call("a", [("agent", "colis jamais arrivé")])], (0, 1)),
}


@pytest.mark.parametrize("case", CASES)
def test_denominator(tmp_path: Path, case: str) -> None:
    records, (calls, of) = CASES[case]
    report = count(make_archive(tmp_path / "archive", records), PhraseLexicon())
    issue = next(issue for issue in report.issues if issue.id == "delivery")
    assert (issue.calls, issue.of) == (calls, of)
    assert issue.calls_per_100 == (100 * calls / of if of else None)


def test_overtalk_is_of_the_calls_in_which_voices_are_told_apart(tmp_path: Path) -> None:
    both: Any = call("both", [("agent", "un deux trois quatre"), ("customer", "oui oui")])
    agent, customer = both.transcript.speech
    over = (agent, tuple(replace(span, start=agent[0].start, end=agent[0].end) for span in customer))
    told = replace(both, transcript=replace(both.transcript, speech=over))
    mono = replace(told, call_id="mono", uri="calls/mono.wav", key="0" * 64, audio=replace(told.audio, channels=1))
    alone = replace(mono.transcript, speech=(agent,), segments=mono.transcript.segments[:1])
    mono = replace(mono, transcript=replace(alone, segments=(replace(alone.segments[0], speaker="unknown"),)))
    report = count(make_archive(tmp_path / "archive", [told, mono]), PhraseLexicon())
    (overtalk,) = [measure for measure in report.interaction if measure.name == "overtalk_share"]
    assert overtalk.calls == 1
    assert overtalk.mean == overtalk.median is not None
    assert overtalk.mean > 0.4


def test_speaker_that_nobody_knows(tmp_path: Path) -> None:
    record: Any = call("a", [("unknown", "oui colis jamais arrivé")])
    report = count(make_archive(tmp_path / "archive", [record]), PhraseLexicon())
    issue = next(issue for issue in report.issues if issue.id == "delivery")
    assert (issue.calls, issue.speaker_unknown) == (1, 1)
    assert [speaker.speaker for speaker in issue.speakers] == ["unknown"]
    assert not issue.examples[0].speaker_known


def test_the_same_words_in_the_same_second_of_many_calls_are_a_machine_s(tmp_path: Path) -> None:
    said = "nos conseillers sont tous en ligne comptez vingt minutes d'attente environ"
    opening = [call(f"announced-{n}", [("customer", said), ("agent", "bonjour")]) for n in range(6)]
    later = [call(f"said-{n}", [("agent", "bonjour " * (3 + 5 * n)), ("customer", f"{said} voilà")]) for n in range(6)]
    few = [call(f"few-{n}", [("customer", f"bon {said}")]) for n in range(4)]
    report = count(make_archive(tmp_path / "archive", [*opening, *later, *few]), PhraseLexicon())
    (waiting,) = [issue for issue in report.issues if issue.id == "waiting"]
    assert waiting.calls == len(later) + len(few)

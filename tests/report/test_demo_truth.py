"""The report on what was truly said in the sample calls, every number counted again from truth.json and calls.csv."""

from __future__ import annotations

import csv
import json
from collections import Counter, defaultdict
from collections.abc import Callable
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from report_world import failed, key_of, make_archive

import callscan.demo
from callscan.lexicon import Lexicon
from callscan.records import AudioInfo, CallRecord, Segment, Span, Transcript, Word
from callscan.rescan.recount import count

CALLS = Path(callscan.demo.__file__).parent / "calls"
TRUTH: dict[str, Any] = json.loads((CALLS / "truth.json").read_text("utf-8"))
with (CALLS / "calls.csv").open(newline="", encoding="utf-8") as _file:
    ROWS = {row["call_id"]: row for row in csv.DictReader(_file)}
SPOKEN = {name: call for name, call in TRUTH.items() if call["turns"]}


def record(name: str, call: dict[str, Any]) -> CallRecord:
    """The call as a perfect recogniser would hear it."""
    if not call["turns"]:
        return failed(name, "no_speech", "no_speech")
    segments, speech = [], [[] for _ in range(call["channels"])]
    for turn in sorted(call["turns"], key=lambda t: t["start"]):
        starts = [start for _, start in turn["words"]]
        ends = [*starts[1:], turn["end"]]
        words = tuple(Word(text, start, end) for (text, start), end in zip(turn["words"], ends, strict=True))
        channel = 1 if call["channels"] == 2 and turn["speaker"] == "customer" else 0
        speaker = turn["speaker"] if call["channels"] == 2 else "unknown"
        segments.append(Segment(turn["start"], turn["end"], turn["text"], channel, speaker, words))
        speech[channel].append(Span(turn["start"], turn["end"]))
    return CallRecord(
        call_id=name,
        uri=f"calls/{call['file']}",
        key=key_of(name),
        status="scanned",
        size=1000,
        audio=AudioInfo("wav", "pcm_s16le", call["channels"], 8000, call["seconds"], call["seconds"]),
        transcript=Transcript("fr", 1.0, tuple(segments), tuple(tuple(spans) for spans in speech)),
        metadata=MappingProxyType({k: v for k, v in ROWS[name].items() if k != "call_id" and v}),
    )


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """report.json, and the hits that count."""
    archive = make_archive(tmp_path_factory.mktemp("truth") / "a", [record(*item) for item in TRUTH.items()])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CALLSCAN_CALLER_KEY", "00112233445566778899aabbccddeeff")
        count(archive, Lexicon.load(), by=("transfers",))
    folder = Path(archive.url) / "report"
    hits = [json.loads(line) for line in (folder / "hits.jsonl").read_text("utf-8").splitlines()]
    return json.loads((folder / "report.json").read_text("utf-8")), [hit for hit in hits if hit["counted"]]


@pytest.fixture(scope="module")
def found(counted: tuple[dict[str, Any], list[dict[str, Any]]]) -> dict[str, set[str]]:
    by_call: dict[str, set[str]] = defaultdict(set)
    for hit in counted[1]:
        by_call[hit["call_id"]].add(hit["issue"])
    return by_call


def test_the_issues_of_every_call_are_those_of_the_truth(found: dict[str, set[str]]) -> None:
    wrong = {
        name: (set(call["issues"]) - found[name], found[name] - set(call["issues"]) - set(call["may"]))
        for name, call in TRUTH.items()
        if not set(call["issues"]) <= found[name] <= set(call["issues"]) | set(call["may"])
    }
    assert not wrong


def test_every_hit_is_said_there(counted: tuple[dict[str, Any], list[dict[str, Any]]]) -> None:
    assert len(counted[1]) > 60
    for hit in counted[1]:
        words = [
            (text, start, turn["speaker"]) for turn in TRUTH[hit["call_id"]]["turns"] for text, start in turn["words"]
        ]
        said = [(text, speaker) for text, start, speaker in words if hit["start"] <= start < hit["end"]]
        heard = " ".join(text for text, _ in said)
        for word in hit["quote"].split():
            assert word.strip(".,?") in heard
        if hit["speaker_known"]:
            assert hit["speaker"] in {speaker for _, speaker in said}


def wilson(calls: int, of: int) -> tuple[float, float]:
    z = 1.959963984540054
    middle, half = calls / of + z * z / (2 * of), z * (calls / of * (1 - calls / of) / of + (z / (2 * of)) ** 2) ** 0.5
    return 100 * (middle - half) / (1 + z * z / of), 100 * (middle + half) / (1 + z * z / of)


def cell(found: dict[str, set[str]], hits: list[dict[str, Any]], issue: str, names: set[str]) -> tuple[int, int, int]:
    """Calls, of, hits of an issue among the calls named."""
    return (
        sum(issue in found[name] for name in names),
        len(names),
        sum(hit["issue"] == issue and hit["call_id"] in names for hit in hits),
    )


COLUMNS: dict[str, Callable[[dict[str, str]], str]] = {
    "day": lambda row: row["start_time"][:10],
    "hour": lambda row: row["start_time"][11:13],
    "weekday": lambda row: str(datetime.fromisoformat(row["start_time"]).isoweekday()),
    "queue": lambda row: row["queue"],
    "agent": lambda row: row["agent"],
    "transfers": lambda row: row["transfers"],
}


def test_coverage_and_cut(counted: tuple[dict[str, Any], list[dict[str, Any]]]) -> None:
    report = counted[0]
    silent = len(TRUTH) - len(SPOKEN)
    nothing = dict.fromkeys(("degraded", "quarantined", "duplicate", "deferred"), 0)
    assert report["coverage"] == {"discovered": 30, "scanned": len(SPOKEN), "no_speech": silent, **nothing}
    assert (report["calls"], report["complete"], report["failures"]) == (len(SPOKEN), True, [])
    days = sorted(ROWS[name]["start_time"][:10] for name in SPOKEN)
    assert (report["first_day"], report["last_day"]) == (days[0], days[-1])


def test_issues(counted: tuple[dict[str, Any], list[dict[str, Any]]], found: dict[str, set[str]]) -> None:
    report, hits = counted
    everyone = set(SPOKEN)
    assert {issue["id"] for issue in report["issues"]} >= {i for call in TRUTH.values() for i in call["issues"]}
    for issue in report["issues"]:
        name = issue["id"]
        mine = [hit for hit in hits if hit["issue"] == name]
        calls, of, said = cell(found, hits, name, everyone)
        assert (issue["calls"], issue["of"], issue["hits"]) == (calls, of, said)
        assert issue["calls_per_100"] == pytest.approx(100 * calls / of, abs=1e-4)
        low, high = wilson(calls, of)
        assert (issue["interval"]["low"], issue["interval"]["high"]) == pytest.approx((low, high), abs=1e-3)
        thirds = Counter(min(2, int(3 * hit["start"] / TRUTH[hit["call_id"]]["seconds"])) for hit in mine)
        assert issue["arc"] == {"start": thirds[0], "middle": thirds[1], "end": thirds[2]}
        assert issue["speaker_unknown"] == sum(TRUTH[hit["call_id"]]["channels"] == 1 for hit in mine)
        speakers = {s["speaker"]: (s["calls"], s["hits"]) for s in issue["speakers"]}
        assert speakers == {
            who: (len({h["call_id"] for h in mine if h["speaker"] == who}), sum(h["speaker"] == who for h in mine))
            for who in {hit["speaker"] for hit in mine}
        }
        patterns = {p["pattern"]: (p["calls"], p["hits"]) for p in issue["patterns"]}
        for pattern, counts in patterns.items():
            own = [hit for hit in mine if hit["pattern"] == pattern]
            assert counts == (len({hit["call_id"] for hit in own}), len(own))
        assert sum(n for _, n in patterns.values()) == said


@pytest.mark.parametrize("column", COLUMNS)
def test_cells(counted: tuple[dict[str, Any], list[dict[str, Any]]], found: dict[str, set[str]], column: str) -> None:
    report, hits = counted
    groups: dict[str, set[str]] = defaultdict(set)
    for name in SPOKEN:
        groups[COLUMNS[column](ROWS[name])].add(name)
    assert {s["value"]: s["of"] for s in report["slices"][column]} == {v: len(names) for v, names in groups.items()}
    for issue in report["issues"]:
        cells = {c["value"]: (c["calls"], c["of"], c["hits"]) for c in issue["by"][column]}
        assert cells == {value: cell(found, hits, issue["id"], names) for value, names in groups.items()}


def test_operations(counted: tuple[dict[str, Any], list[dict[str, Any]]], found: dict[str, set[str]]) -> None:
    report, hits = counted
    assert "wait_seconds" in {operation["column"] for operation in report["operations"]}
    for operation in report["operations"]:
        values = {name: float(ROWS[name][operation["column"]]) for name in SPOKEN if ROWS[name][operation["column"]]}
        assert operation["calls"] == len(values)
        assert sum(quartile["of"] for quartile in operation["quartiles"]) == len(values)
        for quartile in operation["quartiles"]:
            names = {name for name, value in values.items() if quartile["low"] <= value <= quartile["high"]}
            assert quartile["of"] == len(names)
            for issue, got in quartile["issues"].items():
                assert (got["calls"], got["of"], got["hits"]) == cell(found, hits, issue, names)


def test_repeat_contact(counted: tuple[dict[str, Any], list[dict[str, Any]]], found: dict[str, set[str]]) -> None:
    contact = counted[0]["repeat_contact"]
    contacts: dict[str, list[tuple[datetime, str]]] = defaultdict(list)
    for name in SPOKEN:
        if ROWS[name]["caller_number"] and ROWS[name]["start_time"]:
            contacts[ROWS[name]["caller_number"]].append((datetime.fromisoformat(ROWS[name]["start_time"]), name))
    again = 0
    for calls in contacts.values():
        calls.sort()
        again += sum((b - a).total_seconds() <= contact["days"] * 86400 for (a, _), (b, _) in pairwise(calls))
    assert contact["calls"] == sum(map(len, contacts.values()))
    assert contact["repeats_seen"] == again
    assert contact["issue"] == "repeat_contact"


def test_interaction_and_cost(counted: tuple[dict[str, Any], list[dict[str, Any]]]) -> None:
    report = counted[0]
    measures = {measure["name"]: measure for measure in report["interaction"]}
    stereo = {name: call for name, call in SPOKEN.items() if call["channels"] == 2}

    def covered(spans: list[tuple[float, float]]) -> float:
        total, until = 0.0, 0.0
        for start, end in sorted(spans):
            total += max(0.0, end - max(start, until))
            until = max(until, end)
        return total

    shares: dict[str, list[float]] = {"customer": [], "agent": []}
    for call in stereo.values():  # an announcement is heard on the agent's channel
        spans = {
            who: covered(
                [(t["start"], t["end"]) for t in call["turns"] if (t["speaker"] == "customer") == (who == "customer")]
            )
            for who in shares
        }
        for who, values in shares.items():
            values.append(spans[who] / sum(spans.values()))
    for who, values in shares.items():
        assert measures[f"talk_share_{who}"]["calls"] == len(stereo)
        assert measures[f"talk_share_{who}"]["mean"] == pytest.approx(sum(values) / len(values), abs=1e-3)
    silence = [
        1 - covered([(t["start"], t["end"]) for t in call["turns"]]) / call["seconds"] for call in SPOKEN.values()
    ]
    assert measures["silence_share"]["mean"] == pytest.approx(sum(silence) / len(silence), abs=1e-3)
    durations = [call["seconds"] for call in SPOKEN.values()]
    assert measures["duration"]["mean"] == pytest.approx(sum(durations) / len(durations), abs=1e-3)
    assert report["cost"]["audio_seconds"] == pytest.approx(sum(durations), abs=0.01)
    assert report["cost"]["words"] == sum(len(t["words"]) for call in SPOKEN.values() for t in call["turns"])

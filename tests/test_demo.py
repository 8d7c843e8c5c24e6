"""The demo: the sample calls on the embedded model, through the command line, against their truth."""

import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import callscan.demo
from callscan.archive import Archive

CALLS = Path(callscan.demo.__file__).parent / "calls"
TRUTH: dict[str, Any] = json.loads((CALLS / "truth.json").read_text("utf-8"))
AGREE = 28
"""Calls of 30 whose issues must be those of the truth; MODEL_CARD.md tells how many are."""


def run(*arguments: str) -> str:
    code = "from callscan.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    return done.stdout


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, dict[str, Any]]]:
    folder = tmp_path_factory.mktemp("demo") / "archive"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CALLSCAN_CALLER_KEY", "00112233445566778899aabbccddeeff")
        yield folder, json.loads(run("demo", "--archive", str(folder), "--json"))


def test_every_sample_call_is_accounted_for(demo: tuple[Path, dict[str, Any]]) -> None:
    coverage = demo[1]["coverage"]
    assert coverage["discovered"] == len(TRUTH) == 30
    assert coverage["no_speech"] == 1
    assert coverage["quarantined"] == coverage["duplicate"] == coverage["deferred"] == 0
    assert coverage["scanned"] + coverage["degraded"] == 29


def test_the_issues_of_most_calls_are_those_of_the_truth(demo: tuple[Path, dict[str, Any]]) -> None:
    found: dict[str, set[str]] = defaultdict(set)
    for line in (demo[0] / "report" / "hits.jsonl").read_text("utf-8").splitlines():
        hit = json.loads(line)
        if not hit["flags"]:
            found[hit["call_id"]].add(hit["issue"])
    wrong = {
        name: (sorted(set(call["issues"]) - found[name]), sorted(found[name] - set(call["issues"]) - set(call["may"])))
        for name, call in TRUTH.items()
        if not set(call["issues"]) <= found[name] <= set(call["issues"]) | set(call["may"])
    }
    assert len(TRUTH) - len(wrong) >= AGREE, wrong


def test_counts_in_the_report_are_those_of_the_hits(demo: tuple[Path, dict[str, Any]]) -> None:
    hits = [json.loads(line) for line in (demo[0] / "report" / "hits.jsonl").read_text("utf-8").splitlines()]
    for issue in demo[1]["issues"]:
        counted = [hit for hit in hits if hit["issue"] == issue["id"] and not hit["flags"]]
        assert issue["hits"] == len(counted)
        assert issue["calls"] == len({hit["call_id"] for hit in counted})


def test_every_hit_leads_to_its_words_in_the_transcript(demo: tuple[Path, dict[str, Any]]) -> None:
    records = {record.call_id: record for record in Archive(str(demo[0])).records()}
    for line in (demo[0] / "report" / "hits.jsonl").read_text("utf-8").splitlines():
        hit = json.loads(line)
        transcript = records[hit["call_id"]].transcript
        assert transcript is not None
        words = [w for s in transcript.segments for w in s.words if hit["start"] <= w.start <= hit["end"] + 1e-6]
        assert any(hit["quote"].split()[0] in word.text for word in words)


def test_a_second_run_listens_to_nothing_and_writes_the_same_report(demo: tuple[Path, dict[str, Any]]) -> None:
    before = {path.name: path.read_bytes() for path in (demo[0] / "calls").iterdir()}
    again = json.loads(run("demo", "--archive", str(demo[0]), "--json"))
    assert {path.name: path.read_bytes() for path in (demo[0] / "calls").iterdir()} == before
    assert again["issues"] == demo[1]["issues"]
    assert again["coverage"] == demo[1]["coverage"]

"""How it is known who speaks: counted by call, and shown."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from report_world import PhraseLexicon, call, make_archive
from rich.console import Console
from typer.testing import CliRunner

from callscan.cli import app
from callscan.cli.report import show
from callscan.records import CallRecord, Turn
from callscan.report.exports.nist import rttm
from callscan.report.measures import MEASURES
from callscan.rescan.recount import count

LINES = (("agent", "bonjour"), ("customer", "bonjour"))
TURNS = (Turn(0.0, 2.0, "S0"), Turn(1.5, 4.0, "S1"))


def mono(name: str, turns: tuple[Turn, ...]) -> CallRecord:
    record = call(name, LINES)
    assert record.audio is not None
    assert record.transcript is not None
    return replace(record, audio=replace(record.audio, channels=1), transcript=replace(record.transcript, turns=turns))


def test_every_call_counts_by_how_its_speakers_are_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALLSCAN_CALLER_KEY", "00112233445566778899aabbccddeeff")
    named = tuple(replace(turn, speaker=who) for turn, who in zip(TURNS, ("agent", "customer"), strict=True))
    records = [
        call("stereo", LINES),
        replace(call("swapped", LINES), notes=("channels_swapped: of course",)),
        mono("diarised", named),
        mono("unnamed", TURNS),
        mono("unknown", ()),
    ]
    archive = make_archive(tmp_path / "archive", records)
    found = count(archive, PhraseLexicon()).speakers
    assert (found.channels, found.diarised, found.unnamed, found.unknown, found.swapped) == (2, 1, 1, 1, 1)
    rows = pq.read_table(tmp_path / "archive" / "report" / "calls.parquet").to_pylist()
    assert {row["call_id"]: row["speakers"] for row in rows} == {
        record.call_id: "channels" if record.call_id in ("stereo", "swapped") else record.call_id for record in records
    }
    assert [row["call_id"] for row in rows if row["swapped"]] == ["swapped"]
    shown = io.StringIO()
    show(count(archive, PhraseLexicon()), Console(file=shown, width=120))
    for line in ("1 call  one channel, speakers unknown", "1 call  channels look swapped"):
        assert line in shown.getvalue()


def test_rttm_names_voices_by_role_and_by_label_where_a_role_does_not_tell_them_apart() -> None:
    def names(*speakers: str) -> list[str]:
        turns = tuple(Turn(i, i + 1, f"S{i}", who) for i, who in enumerate(speakers))  # type: ignore[arg-type]
        record = mono("call", turns)
        assert record.transcript is not None
        return [line.split()[7] for line in rttm(record, record.transcript, ()).splitlines()]

    assert names("agent", "customer") == ["agent", "customer"]
    assert names("unknown", "unknown") == ["S0", "S1"]
    assert names("agent", "customer", "agent") == ["S0", "customer", "S2"]


def test_show_tells_how_the_sides_of_a_call_talked_to_each_other(tmp_path: Path) -> None:
    def shown(name: str, *options: str) -> str:
        return CliRunner().invoke(app, ["show", archive.url, name, *options]).stdout

    named = tuple(replace(turn, speaker=who) for turn, who in zip(TURNS, ("agent", "customer"), strict=True))
    archive = make_archive(tmp_path / "archive", [mono("named", named), mono("unnamed", TURNS)])
    assert json.loads(shown("named", "--format", "json"))["interaction"] is None
    assert "talk share" not in shown("named")

    report = count(archive, PhraseLexicon())
    (of_one, of_other) = (json.loads(shown(n, "--format", "json"))["interaction"] for n in ("named", "unnamed"))
    assert list(of_one) == sorted(name for name, _, _ in MEASURES)
    assert (of_one["talk_share_agent"], of_one["talk_share_customer"]) == (0.4444, 0.5556)
    assert of_one["interruptions_customer"] == 1
    assert (of_other["talk_share_agent"], of_other["interruptions_agent"]) == (None, None)
    for measure in report.interaction:
        values = [one[measure.name] for one in (of_one, of_other) if one[measure.name] is not None]
        assert measure.calls == len(values)
        assert measure.mean == (pytest.approx(sum(values) / len(values), abs=2e-4) if values else None)
    lines = shown("named").splitlines()
    assert "talk share agent: 44%" in lines
    assert "interruptions customer: 1" in lines
    assert not [line for line in shown("unnamed").splitlines() if line.startswith("talk share")]

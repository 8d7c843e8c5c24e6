"""Measure the embedded diarisation through callscan itself: ``python scripts/evaluate_demo_diarization.py --work DIR``.

Speaks held-out sentences in held-out voices, each call once in stereo and once mixed into one channel, scans both with
the ``callscan`` command, and prints the diarisation error rate (pyannote.metrics, collar 0.25 s, overlap scored), whose
words and roles are right, how many calls have the counts of their stereo twins, whether the exported RTTM scores the
same, and what it all costs. ``--card`` writes the figures into the model card. Needs the extra ``pyannote``.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from callscan.archive import Archive
from callscan.diarization.pyannote import libraries
from callscan.diarization.roles import Said
from callscan.diarization.speakers import named
from callscan.lexicon import Lexicon
from callscan.records import CallRecord, Segment, Transcript, Turn, Word
from demo.diarization_calls import HELD_OUT, Call, agreeing, make, truth_words

libraries()  # pyannote's packages without telemetry, whoever imports them next

from pyannote.core import Annotation  # noqa: E402
from pyannote.core import Segment as Stretch  # noqa: E402
from pyannote.database.util import load_rttm  # noqa: E402
from pyannote.metrics.diarization import DiarizationErrorRate  # noqa: E402

CARD = Path(__file__).parents[1] / "callscan" / "demo" / "diarization" / "MODEL_CARD.md"
CALLS = 40
_CALLSCAN = [sys.executable, "-c", "from callscan.cli import main; main()"]


def scan(recordings: Path, archive: Path, model: str, diarization: str) -> tuple[dict[str, CallRecord], Any]:
    """Run the ``callscan`` command; what it stored by call id, and the report."""
    options = ["--archive", str(archive), "--model", model, "--device", "cpu", "--diarization", diarization, "--json"]
    done = subprocess.run([*_CALLSCAN, "scan", str(recordings), *options], check=True, stdout=subprocess.PIPE)
    return {record.call_id: record for record in Archive(str(archive)).records()}, json.loads(done.stdout)


def annotation(turns: Sequence[tuple[float, float, str]]) -> Annotation:
    """Turns as pyannote.metrics compares them."""
    out = Annotation()
    for number, (start, end, who) in enumerate(turns):
        out[Stretch(start, end), number] = who
    return out


def counts(archive: Path) -> dict[str, Counter[str]]:
    """Counted hits by issue, by call id."""
    found: dict[str, Counter[str]] = {}
    for line in (archive / "report" / "hits.jsonl").read_text("utf-8").splitlines():
        hit = json.loads(line)
        if not hit["flags"]:
            found.setdefault(hit["call_id"], Counter())[hit["issue"]] += 1
    return found


def true_segments(call: Call) -> list[Segment]:
    """The words as they were said, each line a segment; nobody's yet."""
    segments = []
    for turn in call.turns:
        one = Call(call.name, call.seconds, (turn,))
        words = tuple(Word(text, start, end) for text, start, end, _ in truth_words(one))
        segments.append(Segment(turn.start, turn.end, turn.text, 0, "unknown", words))
    return segments


def by_turns(segments: Sequence[Segment], turns: Sequence[Turn]) -> list[Said]:
    """Each line under the voice whose turns cover most of it."""
    return [
        Said(line, max(turns, key=lambda turn: min(line.end, turn.end) - max(line.start, turn.start)).label)
        for line in segments
    ]


def counted(lexicon: Lexicon, segments: Sequence[Segment]) -> Counter[str]:
    """Counted hits by issue."""
    ordered = tuple(sorted(segments, key=lambda segment: segment.start))
    return Counter(hit.issue for hit in lexicon.match(Transcript("fr", 1.0, ordered)) if hit.counted)


def roles_right(call: Call, turns: Sequence[Turn]) -> bool:
    """Whether each side's time is covered most by turns of its own role."""
    for side in ("agent", "customer"):
        shared: Counter[str] = Counter()
        for said in (turn for turn in call.turns if turn.speaker == side):
            for turn in turns:
                shared[turn.speaker] += max(0.0, min(said.end, turn.end) - max(said.start, turn.start))  # type: ignore[assignment]
        if not shared or shared.most_common(1)[0][0] != side:
            return False
    return True


def main() -> None:
    """Make the calls, scan them twice, score, print, and write the card."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="folder for the calls and their archives")
    parser.add_argument("--model", default="demo", help="recogniser, as callscan scan takes it")
    parser.add_argument("--diarization", default="demo", help="pipeline, as callscan scan takes it")
    parser.add_argument("--card", action="store_true", help="write the figures into the model card")
    parser.add_argument("--seed", default=HELD_OUT, help="draws the calls; any other than the default for development")
    options = parser.parse_args()
    calls = make(options.work, CALLS, options.seed)
    stereo, _ = scan(options.work / "stereo", options.work / "stereo.archive", options.model, "off")
    mono, report = scan(options.work / "mono", options.work / "mono.archive", options.model, options.diarization)
    rttm = options.work / "rttm"
    shutil.rmtree(rttm, ignore_errors=True)
    export = [*_CALLSCAN, "export", str(options.work / "mono.archive"), "--format", "rttm", "--out", str(rttm)]
    subprocess.run(export, check=True, stderr=subprocess.DEVNULL)
    errors, exported = (DiarizationErrorRate(collar=0.25, skip_overlap=False) for _ in range(2))
    lexicon = Lexicon.load()
    counts_stereo, counts_mono = counts(options.work / "stereo.archive"), counts(options.work / "mono.archive")
    words, words_knowing, twins, true_words, right, right_knowing, wrong = [], [], 0, 0, 0, 0, []
    for call in calls:
        transcript = mono[call.name].transcript
        assert transcript is not None
        reference = annotation([(t.start, t.end, t.speaker) for t in call.turns])
        extent = annotation([(0.0, call.seconds, "call")]).get_timeline()
        own = errors(reference, annotation([(t.start, t.end, t.label) for t in transcript.turns]), uem=extent)
        exported(reference, load_rttm(rttm / f"{call.name}.rttm")[call.name], uem=extent)
        heard = sorted((w.start, w.text, s.speaker) for s in transcript.segments for w in s.words)
        pairs = agreeing(truth_words(call), [(text, start, speaker) for start, text, speaker in heard])
        words.append(pairs)
        good = roles_right(call, transcript.turns)
        right += good
        same = counts_stereo.get(call.name, Counter()) == counts_mono.get(call.name, Counter())
        twins += same
        segments = true_segments(call)
        knowing = [replace(s, speaker=t.speaker) for t, s in zip(call.turns, segments, strict=True)]  # type: ignore[arg-type]
        knew = named(by_turns(segments, transcript.turns), transcript.turns, "fr", {})
        right_knowing += roles_right(call, knew.turns)
        given: list[tuple[str, float, str]] = [(w.text, w.start, s.speaker) for s in knew.segments for w in s.words]
        words_knowing.append(agreeing(truth_words(call), given))
        same_words = counted(lexicon, knew.segments) == counted(lexicon, knowing)
        true_words += same_words
        share = float((pairs[:, 0] == pairs[:, 1]).mean()) if len(pairs) else 0.0
        if not (good and same_words) or own > 0.12:
            wrong.append(f"{call.name}: DER {own:.1%}, words {share:.1%}, roles {good}, counts {same}/{same_words}")
    every, knowing_words = np.concatenate(words), np.concatenate(words_knowing)
    work = report["cost"]["work"]
    hours = work["audio_seconds"] / 3600
    diarize = work["stages"].get("diarize", 0.0) / hours
    rest = sum(seconds for name, seconds in work["stages"].items() if name != "diarize") / hours
    stereo_words = [
        agreeing(truth_words(c), [(w.text, w.start, s.speaker) for s in t.segments for w in s.words])
        for c in calls
        if (t := stereo[c.name].transcript) is not None
    ]
    said = np.concatenate(stereo_words)
    figures = (
        f"| diarisation error rate (collar 0.25 s, overlap scored) | {abs(errors):.1%} | ≤ 12 % |\n"
        f"| the same, read back from the exported RTTM | {abs(exported):.1%} | the same |\n"
        f"| recognised words given to who said them | {(every[:, 0] == every[:, 1]).mean():.1%} | ≥ 95 % |\n"
        f"| the same with the words as they were said | {(knowing_words[:, 0] == knowing_words[:, 1]).mean():.1%} | |\n"
        f"| the same in the stereo twins | {(said[:, 0] == said[:, 1]).mean():.1%} | |\n"
        f"| calls with both roles right | {right} of {CALLS} | ≥ 38 |\n"
        f"| the same with the words as they were said | {right_knowing} of {CALLS} | |\n"
        f"| calls with the counts of their stereo twins | {twins} of {CALLS} | ≥ 36 |\n"
        f"| the same with the words as they were said | {true_words} of {CALLS} | ≥ 36 |\n"
        f"| seconds an audio hour: diarisation | {diarize:.0f} | |\n"
        f"| seconds an audio hour: everything else, embedded recogniser | {rest:.0f} | |\n"
    )
    print(figures + "\n".join(wrong))
    if options.card:
        begin, end = "<!-- figures -->\n", "<!-- /figures -->"
        head, _, tail = CARD.read_text("utf-8").partition(begin)
        table = "| what | result | goal |\n|---|---|---|\n" + figures
        CARD.write_text(head + begin + table + end + tail.partition(end)[2], "utf-8")


if __name__ == "__main__":
    main()

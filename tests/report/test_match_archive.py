"""The pass by column against the obvious one: record by record, every word made, nothing skipped."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from report_world import PhraseLexicon, call, failed, make_archive, make_world

from callscan.archive import Archive
from callscan.errors import ArchiveError
from callscan.lexicon import Lexicon
from callscan.lexicon.columns import Spoken
from callscan.records import CallRecord, Hit, Span, Speaker, Turn, Word
from callscan.report.interaction import OTHER, ROLES, Voices, measure
from callscan.report.voices import voices
from callscan.rescan.index import load, save
from callscan.rescan.matching import matching
from callscan.rescan.shard import index_of


def odd_calls(lexicon: Lexicon, seed: int) -> list[CallRecord]:
    """Calls of the lexicon's own examples with everything that a transcript can have: mono calls with turns, segments
    without words, phantoms, announcements, pauses, voices that overlap, three channels, words whose text is not the
    segment's."""
    chance = random.Random(seed)
    examples = [example for language, example in lexicon.examples if language == "fr"]
    records = []
    for number in range(40):
        lines: list[tuple[Speaker, str]] = []
        for _ in range(chance.randint(1, 6)):
            example = chance.choice(examples)
            speaker: Speaker = chance.choice((example.speaker or "customer", "customer", "agent", "unknown", "ivr"))
            words = example.text.split()
            cut = chance.randint(0, len(words))
            lines += [(speaker, " ".join(part)) for part in (words[:cut], words[cut:]) if part]
        record = call(f"odd-{number}", lines)
        transcript = record.transcript
        assert transcript is not None
        segments = []
        shift = 0.0
        for segment in transcript.segments:
            shift = max(shift + chance.choice((0.0, 0.0, 0.0, 9.0, -1.4, -2.5)), -segment.start)
            changes: dict[str, Any] = {"start": segment.start + shift, "end": segment.end + shift}
            changes["words"] = tuple(
                Word(word.text, word.start + shift, word.end + shift, chance.random()) for word in segment.words
            )
            kind = chance.randrange(8)
            if kind == 0:
                changes["words"] = ()
            elif kind == 1:
                changes["flags"] = ("phantom",)
            elif kind == 2:
                changes["text"] = segment.text.upper() + " !"
            elif kind == 3:
                changes["channel"] = 2
            segments.append(replace(segment, **changes))
        turns = ()
        speech = transcript.speech
        if number % 4 == 0:
            speech = ((Span(0.0, 5.0), Span(7.0, 9.0)),)
            segments = [replace(segment, channel=0) for segment in segments]
            turns = tuple(Turn(s.start, s.end, s.speaker, s.speaker) for s in segments)
        records.append(
            replace(record, transcript=replace(transcript, segments=tuple(segments), speech=speech, turns=turns))
        )
    records.append(failed("broken", "quarantined", "not_audio"))
    return records


def obvious_hits(records: Sequence[CallRecord], lexicon: Any) -> list[dict[str, Any]]:
    rows = []
    for record in records:
        if record.transcript is None:
            continue
        for hit in lexicon.match(record.transcript):
            rows.append(
                {
                    "key": record.key,
                    "issue": hit.issue,
                    "pattern": hit.pattern,
                    "lexicon": hit.lexicon,
                    "speaker": hit.speaker,
                    "quote": hit.quote,
                    "context": record.transcript.segments[hit.segment].text.strip(),
                    "start": round(hit.start, 3),
                    "end": round(hit.end, 3),
                    "probability": round(hit.probability, 4),
                    "segment": hit.segment,
                    "speaker_known": hit.speaker_known,
                    "flags": list(hit.flags),
                    "counted": hit.counted,
                }
            )
    return rows


def match_archive(
    archive: Archive, lexicon: Any, due: dict[str, list[str]], folder: Path, processes: int
) -> list[Path]:
    with matching(archive, lexicon, folder, processes) as match:
        return match(due)


def matched(archive: Archive, lexicon: Any, folder: Path, processes: int = 1) -> tuple[list[Any], list[Any]]:
    folder.mkdir()
    due: dict[str, list[str]] = {}
    for row in archive.ledger().to_pylist():
        if row["shard"] and row["key"]:
            due.setdefault(row["shard"], []).append(row["source"])
    parts = match_archive(archive, lexicon, due, folder, processes)
    found = [row for part in parts for row in pq.read_table(part / "found.parquet").to_pylist()]
    measures = [row for part in parts for row in pq.read_table(part / "measures.parquet").to_pylist()]
    return found, measures


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_hit_is_the_obvious_one(tmp_path: Path, seed: int) -> None:
    lexicon = Lexicon.load()
    records = odd_calls(lexicon, seed)
    found, _ = matched(make_archive(tmp_path / "archive", records), lexicon, tmp_path / "scratch")
    obvious = obvious_hits(records, lexicon)
    assert len(obvious) > 30
    assert {row["speaker"] for row in obvious} >= {"customer", "agent", "unknown"}
    assert sorted(found, key=repr) == sorted(obvious, key=repr)


def test_every_measure_is_the_obvious_one(tmp_path: Path) -> None:
    records = odd_calls(Lexicon.load(), 3)
    _, measures = matched(make_archive(tmp_path / "archive", records), PhraseLexicon(), tmp_path / "scratch")
    rows = {row["key"]: row for row in measures}
    assert set(rows) == {record.key for record in records}
    for record in records:
        row = rows[record.key]
        if record.transcript is None:
            assert {value for name, value in row.items() if name != "key"} == {None}
            continue
        assert record.audio is not None
        spoken = voices(record.transcript)
        got = measure(
            Voices(
                np.zeros(len(spoken), np.int64),
                np.array([ROLES.index(v.speaker) if v.speaker in ROLES else OTHER for v in spoken], np.int64),
                np.array([v.start for v in spoken]),
                np.array([v.end for v in spoken]),
            ),
            np.array([record.audio.decoded]),
        )
        for name in ("speech", "silence", "longest_silence", "overtalk"):
            assert row[name] == pytest.approx(getattr(got, name)[0], abs=1e-6), name
        assert (row["talk_customer"], row["talk_agent"]) == pytest.approx((got.talk[0][0], got.talk[1][0]), abs=1e-6)
        counts = {"words": 0, "words_customer": 0, "words_agent": 0}
        for segment in record.transcript.segments:
            said = len(segment.words) or len(segment.text.split())
            counts["words"] += said
            if segment.speaker in ROLES:
                counts[f"words_{segment.speaker}"] += said
        assert {name: row[name] for name in counts} == counts
        assert (row["language"], row["channels"], row["duration"]) == ("fr", 2, record.audio.decoded)


def test_only_the_calls_that_count(tmp_path: Path) -> None:
    world = make_world(30)
    archive = make_archive(tmp_path / "archive", world.records, shard_size=40)
    chosen = [record for record in world.records if record.transcript][::3]
    folder = tmp_path / "scratch"
    folder.mkdir()
    (shard,) = archive.shard_ids()
    (part,) = match_archive(archive, PhraseLexicon(), {shard: [record.uri for record in chosen]}, folder, 1)
    assert pq.read_table(part / "measures.parquet")["key"].to_pylist() == [record.key for record in chosen]
    rows = pq.read_table(part / "found.parquet").to_pylist()
    assert sorted(rows, key=repr) == sorted(obvious_hits(chosen, PhraseLexicon()), key=repr)


def test_a_transcript_without_segments(tmp_path: Path) -> None:
    record = call("a", [("agent", "oui")])
    assert record.transcript is not None
    empty = replace(record, transcript=replace(record.transcript, segments=(), speech=()))
    found, (row,) = matched(make_archive(tmp_path / "archive", [empty]), PhraseLexicon(), tmp_path / "scratch")
    assert found == []
    assert (row["words"], row["speech"], row["silence"]) == (0, 0.0, row["duration"])


def index_files(archive: Archive) -> dict[str, bytes]:
    folder = Path(archive.url) / "index"
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_the_index_is_made_once_and_finds_the_same(tmp_path: Path) -> None:
    lexicon = Lexicon.load()
    archive = make_archive(tmp_path / "archive", odd_calls(lexicon, 5), shard_size=20)
    first = matched(archive, lexicon, tmp_path / "first")
    made = index_files(archive)
    assert len(made) == 3 * len(archive.shard_ids())
    assert matched(archive, lexicon, tmp_path / "second") == first
    assert index_files(archive) == made


def test_only_what_is_new_to_a_lexicon_is_matched(tmp_path: Path) -> None:
    class Counting(PhraseLexicon):
        shards = 0

        def match_spoken(
            self, spoken: Spoken, languages: Sequence[str], wanted: Sequence[bool]
        ) -> Iterator[tuple[int, Hit, str]]:
            self.shards += 1
            yield from super().match_spoken(spoken, languages, wanted)

    archive = make_archive(tmp_path / "archive", make_world(30).records, shard_size=10)
    lexicon, shards = Counting(), len(archive.shard_ids())
    first = matched(archive, lexicon, tmp_path / "first")
    assert lexicon.shards == shards
    assert matched(archive, lexicon, tmp_path / "again") == first
    assert lexicon.shards == shards
    lexicon.digest = "another"
    found, measures = matched(archive, lexicon, tmp_path / "another")
    assert lexicon.shards == 2 * shards
    assert [{**hit, "lexicon": "another"} for hit in first[0]] == found
    assert measures == first[1]


@pytest.mark.parametrize("which", ["words", "measures", "hits"])
def test_an_index_that_is_damaged_or_another_shard_s_is_made_again(tmp_path: Path, which: str) -> None:
    lexicon = Lexicon.load()
    archive = make_archive(tmp_path / "archive", odd_calls(lexicon, 6), shard_size=25)
    first = matched(archive, lexicon, tmp_path / "first")
    made = index_files(archive)
    one, other = (tmp_path / "archive" / "index" / f"{shard}.{which}.parquet" for shard in archive.shard_ids())
    if which == "words":  # which nobody reads while there are hits
        for shard in archive.shard_ids():
            (tmp_path / "archive" / "index" / f"{shard}.hits.parquet").unlink()
    one.write_bytes(other.read_bytes())
    data = bytearray(other.read_bytes())
    data[len(data) // 3] ^= 0xFF
    other.write_bytes(bytes(data))
    assert matched(archive, lexicon, tmp_path / "second") == first
    assert index_files(archive) == made


def test_times_that_are_no_whole_milliseconds_are_kept_as_they_are(tmp_path: Path) -> None:
    chance = random.Random(8)
    record = call("a", [("customer", "personne ne m'a rappelé hier")])
    transcript = record.transcript
    assert transcript is not None
    (segment,) = transcript.segments
    words = tuple(Word(w.text, w.start + chance.random() / 1e6, w.end, chance.random()) for w in segment.words)
    record = replace(record, transcript=replace(transcript, segments=(replace(segment, words=words),)))
    archive = make_archive(tmp_path / "archive", [record])
    (shard,) = archive.shard_ids()
    index = index_of(archive, shard)
    save(archive, shard, archive.digest(shard), index)
    kept = load(archive, shard, archive.digest(shard))
    assert kept is not None
    for name in ("words", "starts", "ends", "probabilities", "calls", "indices", "speakers", "runs", "lengths"):
        assert np.array_equal(getattr(kept.spoken, name), getattr(index.spoken, name)), name
    assert kept.spoken.starts[1:].tolist() == [word.start for word in words]
    assert kept.spoken.probabilities[1:].tolist() == [word.probability for word in words]


def test_each_call_is_matched_in_its_language(tmp_path: Path) -> None:
    lexicon = Lexicon.load()
    said = {"fr": "personne ne m'a rappelé", "en": "nobody called me back", "de": "personne ne m'a rappelé"}
    records = []
    for number, language in enumerate(["fr", "en", "en", "fr", "de", "fr", "en"]):
        record = call(f"call-{number}", [("agent", "bonjour"), ("customer", said[language])])
        assert record.transcript is not None
        records.append(replace(record, transcript=replace(record.transcript, language=language)))
    found, _ = matched(make_archive(tmp_path / "archive", records), lexicon, tmp_path / "scratch")
    obvious = obvious_hits(records, lexicon)
    assert len(obvious) >= len(records)
    assert sorted(found, key=repr) == sorted(obvious, key=repr)


def test_side_by_side_finds_the_same(tmp_path: Path) -> None:
    records = odd_calls(Lexicon.load(), 4)
    archive = make_archive(tmp_path / "archive", records, shard_size=5)
    lexicon = Lexicon.load()
    one, two = (matched(archive, lexicon, tmp_path / f"by-{processes}", processes) for processes in (1, 2))
    # Who takes which shard is up to chance.
    assert [sorted(rows, key=repr) for rows in one] == [sorted(rows, key=repr) for rows in two]


@pytest.mark.parametrize("processes", [1, 2])
def test_damage_is_an_error_and_never_a_number(tmp_path: Path, processes: int) -> None:
    archive = make_archive(tmp_path / "archive", make_world(40).records, shard_size=5)
    shard = tmp_path / "archive" / "calls" / f"{archive.shard_ids()[3]}.parquet"
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 0xFF
    shard.write_bytes(bytes(data))
    due = {name: [record.uri for record in make_world(40).records] for name in archive.shard_ids()}
    (tmp_path / "scratch").mkdir()
    with pytest.raises(ArchiveError, match="damaged"):
        match_archive(archive, PhraseLexicon(), due, tmp_path / "scratch", processes)


class Deadly(PhraseLexicon):
    """Ends the process that it is sent to."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os._exit, (3,)


def test_a_process_that_dies_is_an_error(tmp_path: Path) -> None:
    archive = make_archive(tmp_path / "archive", make_world(40).records, shard_size=5)
    due = {name: [record.uri for record in make_world(40).records] for name in archive.shard_ids()}
    (tmp_path / "scratch").mkdir()
    with pytest.raises(ArchiveError, match=r"died \(exit code 3\)"):
        match_archive(archive, Deadly(), due, tmp_path / "scratch", 2)


def test_a_script_without_a_main_guard_is_not_run_again(tmp_path: Path) -> None:
    make_archive(tmp_path / "archive", make_world(40).records, shard_size=5)
    script = tmp_path / "script.py"
    script.write_text(
        "from callscan.archive import Archive\nfrom callscan.lexicon import Lexicon\n"
        "from callscan.rescan.recount import count\n"
        "print('run')\n"
        f"print(count(Archive({str(tmp_path / 'archive')!r}), Lexicon.load(), processes=2).calls)\n"
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True)
    assert done.stdout == "run\n40\n"

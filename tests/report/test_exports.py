"""Transcripts for other tools: their formats' own rules, with text that tries to break them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from uuid import UUID

import jsonschema
import pytest
from report_world import PhraseLexicon, call, make_archive, make_world

from callscan.errors import ArchiveError, UsageError
from callscan.records import CallRecord, Hit, Segment, Transcript, Turn, Word
from callscan.report.exports import FORMATS, export_calls
from callscan.rescan.recount import count, hits_by_call

HOSTILE = "--> </v><script>alert(1)</script> & 00:00:01.000 --> 00:00:02.000\n\nNOTE =cmd() \x00\x1b[31m"


def hostile() -> CallRecord:
    record = call("../../étrange call;name", [("customer", "colis jamais arrivé"), ("agent", "oui voilà")])
    assert record.transcript is not None
    words = (Word(" a b", 9.0, 9.2, 0.5), Word(";;commentaire", 9.3, 9.4, 0.5), Word("fin", 9.5, 9.5, 0.5))
    evil = Segment(9.0, 9.5, HOSTILE, 1, "customer", words)
    ghost = Segment(9.6, 9.9, "Sous-titres", 1, "customer", (Word("Sous-titres", 9.6, 9.9),), flags=("phantom",))
    transcript = Transcript("fr", 0.9, (*record.transcript.segments, evil, ghost), record.transcript.speech)
    from dataclasses import replace

    return replace(record, transcript=transcript)


def exported(tmp_path: Path, name: str, record: CallRecord, hits: tuple[Hit, ...] = ()) -> str:
    written = export_calls([record], {record.key: hits}, name, tmp_path / "out")
    files = list((tmp_path / "out").iterdir())
    assert written == len(files) == 1
    assert files[0].name.endswith(FORMATS[name][1])
    return files[0].read_text(encoding="utf-8")


def test_webvtt(tmp_path: Path) -> None:
    text = exported(tmp_path, "vtt", hostile())
    blocks = text.split("\n\n")
    assert blocks[0] == "WEBVTT"
    assert len(blocks) == 4
    starts = []
    for block in blocks[1:]:
        timing, cue = block.strip().split("\n")
        match = re.fullmatch(r"(\d\d):(\d\d):(\d\d\.\d{3}) --> (\d\d):(\d\d):(\d\d\.\d{3})", timing)
        assert match
        start, end = (int(match[i]) * 3600 + int(match[i + 1]) * 60 + float(match[i + 2]) for i in (1, 4))
        assert start < end
        starts.append(start)
        voice = re.fullmatch(r"<v (customer|agent)>([^<>]*)</v>", cue)
        assert voice, cue
        assert "-->" not in voice[2]
    assert starts == sorted(starts)
    assert "Sous-titres" not in text


def test_subrip(tmp_path: Path) -> None:
    blocks = exported(tmp_path, "srt", hostile()).strip().split("\n\n")
    assert [block.split("\n")[0] for block in blocks] == ["1", "2", "3"]
    for block in blocks:
        _, timing, cue = block.split("\n")
        assert re.fullmatch(r"\d\d:\d\d:\d\d,\d{3} --> \d\d:\d\d:\d\d,\d{3}", timing)
        assert "-->" not in cue


def test_rttm(tmp_path: Path) -> None:
    record = hostile()
    lines = exported(tmp_path, "rttm", record).splitlines()
    assert record.transcript is not None
    spans = [span for channel in record.transcript.speech for span in channel]
    assert len(lines) == len(spans)
    fields = [line.split(" ") for line in lines]
    assert {len(row) for row in fields} == {10}
    assert {(row[0], row[2], row[7]) for row in fields} == {("SPEAKER", "1", "agent"), ("SPEAKER", "2", "customer")}
    assert {(float(row[3]), round(float(row[3]) + float(row[4]), 3)) for row in fields} == {
        (span.start, span.end) for span in spans
    }


def test_rttm_of_a_diarised_call(tmp_path: Path) -> None:
    transcript = Transcript("fr", 1.0, (), (), (Turn(0.0, 1.5, "A", "agent"), Turn(1.0, 3.0, "B", "customer")))
    record = CallRecord("mono", "mono.wav", "ab" * 32, "scanned", transcript=transcript)
    assert exported(tmp_path, "rttm", record) == (
        "SPEAKER mono 1 0.000 1.500 <NA> <NA> agent <NA> <NA>\n"
        "SPEAKER mono 1 1.000 2.000 <NA> <NA> customer <NA> <NA>\n"
    )


def test_ctm(tmp_path: Path) -> None:
    record = hostile()
    rows = [line.split(" ") for line in exported(tmp_path, "ctm", record).splitlines()]
    assert {len(row) for row in rows} == {6}
    assert record.transcript is not None
    assert len(rows) == sum(len(s.words) for s in record.transcript.segments if not s.flags)
    assert not [row for row in rows if row[4].startswith(";;")]
    assert [(row[1], float(row[2])) for row in rows] == sorted((row[1], float(row[2])) for row in rows)


VCON_FIELDS = {"vcon", "uuid", "created_at", "subject", "parties", "dialog", "analysis"}
PARTY_FIELDS = {"name", "type", "uuid", "dept", "org", "tel", "sip", "mailto", "stir", "did", "validation"}
DIALOG_FIELDS = {"type", "start", "duration", "parties", "originator", "mediatype", "filename", "url", "content_hash"}
ANALYSIS_FIELDS = {"type", "dialog", "mediatype", "filename", "vendor", "product", "schema", "encoding", "body"}
VCON_SCHEMA = {
    # Field lists and rules of draft-ietf-vcon-vcon-core-04, sections 4.1 to 4.5, for the parts that are written.
    "type": "object",
    "required": ["uuid", "created_at"],
    "additionalProperties": False,
    "properties": {
        "vcon": {"const": "0.4.0"},
        "uuid": {"type": "string"},
        "created_at": {"type": "string", "format": "date-time"},
        "subject": {"type": "string"},
        "parties": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "properties": {field: {"type": "string"} for field in PARTY_FIELDS},
            },
        },
        "dialog": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["type"],
                "additionalProperties": False,
                "properties": {
                    **dict.fromkeys(DIALOG_FIELDS, True),
                    "type": {"enum": ["recording", "text", "transfer", "incomplete", "recording-set"]},
                    "start": {"type": "string", "format": "date-time"},
                    "duration": {"type": "number", "minimum": 0},
                    "content_hash": {"type": "string", "pattern": "^sha(256|512)-[A-Za-z0-9_-]+$"},
                },
            },
        },
        "analysis": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["type", "vendor", "encoding", "mediatype"],
                "additionalProperties": False,
                "properties": {
                    **dict.fromkeys(ANALYSIS_FIELDS, True),
                    "encoding": {"enum": ["base64url", "json", "none"]},
                },
            },
        },
    },
}


def test_vcon(tmp_path: Path) -> None:
    record = call(
        "appel",
        [("customer", "colis jamais arrivé"), ("agent", "oui")],
        start_time="2026-09-01T10:00:00+02:00",
        agent="7",
    )
    assert record.transcript is not None
    hits = PhraseLexicon().match(record.transcript)
    vcon = json.loads(exported(tmp_path, "vcon", record, hits))
    jsonschema.Draft202012Validator(VCON_SCHEMA, format_checker=jsonschema.FormatChecker()).validate(vcon)
    assert UUID(vcon["uuid"]).version == 8
    assert vcon["dialog"][0]["start"] == "2026-09-01T10:00:00+02:00"
    assert vcon["dialog"][0]["parties"] == [1, 0]
    transcript, report = (analysis["body"] for analysis in vcon["analysis"])
    names = [party["name"] for party in vcon["parties"]]
    assert [(names[turn["party"]], turn["text"]) for turn in transcript] == [
        ("customer", "colis jamais arrivé"),
        ("agent", "oui"),
    ]
    assert [(hit["issue"], hit["start"], hit["counted"]) for hit in report] == [("delivery", 1.0, True)]


def test_vcon_does_not_make_up_a_time_zone(tmp_path: Path) -> None:
    record = call("appel", [("agent", "oui")], start_time="2026-09-01T10:00:00")
    assert "start" not in json.loads(exported(tmp_path, "vcon", record))["dialog"][0]


MILLIS = {"type": "integer", "minimum": 0}
STRETCH = {
    "type": "object",
    "additionalProperties": False,
    "required": ["BeginOffsetMillis", "EndOffsetMillis", "DurationMillis"],
    "properties": dict.fromkeys(("BeginOffsetMillis", "EndOffsetMillis", "DurationMillis"), MILLIS),
}
CONTACT_LENS_SCHEMA: dict[str, Any] = {
    # The fields of the published example of a Contact Lens output file for a call, version 1.1.0.
    "type": "object",
    "required": [
        "Version",
        "AccountId",
        "Channel",
        "ContentMetadata",
        "JobStatus",
        "LanguageCode",
        "Participants",
        "Categories",
        "ConversationCharacteristics",
        "CustomModels",
        "Transcript",
    ],
    "additionalProperties": False,
    "properties": {
        "Version": {"const": "1.1.0"},
        "AccountId": {"type": "string"},
        "Channel": {"const": "VOICE"},
        "ContentMetadata": {"type": "object", "properties": {"Output": {"enum": ["Raw", "Redacted"]}}},
        "JobStatus": {"enum": ["COMPLETED", "FAILED"]},
        "LanguageCode": {"type": "string", "pattern": "^[a-z]{2}(-[A-Z]{2})?$"},
        "Participants": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["ParticipantId"],
                "properties": {"ParticipantRole": {"enum": ["CUSTOMER", "AGENT", "SYSTEM"]}},
            },
        },
        "Categories": {
            "type": "object",
            "required": ["MatchedCategories", "MatchedDetails"],
            "properties": {
                "MatchedCategories": {"type": "array", "items": {"type": "string"}},
                "MatchedDetails": {
                    "additionalProperties": {
                        "required": ["PointsOfInterest"],
                        "properties": {
                            "PointsOfInterest": {
                                "type": "array",
                                "items": {
                                    "required": ["BeginOffsetMillis", "EndOffsetMillis"],
                                    "additionalProperties": False,
                                    "properties": {"BeginOffsetMillis": MILLIS, "EndOffsetMillis": MILLIS},
                                },
                            }
                        },
                    }
                },
            },
        },
        "ConversationCharacteristics": {
            "type": "object",
            "required": ["TotalConversationDurationMillis"],
            "additionalProperties": False,
            "properties": {
                "TotalConversationDurationMillis": MILLIS,
                "NonTalkTime": {"properties": {"TotalTimeMillis": MILLIS, "Instances": {"items": STRETCH}}},
                "TalkSpeed": {
                    "properties": {
                        "DetailsByParticipant": {
                            "additionalProperties": {"properties": {"AverageWordsPerMinute": MILLIS}}
                        }
                    }
                },
                "TalkTime": {
                    "properties": {
                        "TotalTimeMillis": MILLIS,
                        "DetailsByParticipant": {"additionalProperties": {"properties": {"TotalTimeMillis": MILLIS}}},
                    }
                },
            },
        },
        "CustomModels": {"type": "array"},
        "Transcript": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["Id", "ParticipantId", "Content", "BeginOffsetMillis", "EndOffsetMillis"],
                "additionalProperties": False,
                "properties": {
                    "Id": {"type": "string"},
                    "ParticipantId": {"type": "string"},
                    "Content": {"type": "string"},
                    "BeginOffsetMillis": MILLIS,
                    "EndOffsetMillis": MILLIS,
                },
            },
        },
    },
}


def test_contact_lens(tmp_path: Path) -> None:
    record = call(
        "appel", [("customer", "colis jamais arrivé"), ("agent", "oui voilà"), ("customer", "pas colis jamais arrivé")]
    )
    assert record.transcript is not None
    hits = PhraseLexicon().match(record.transcript)
    assert [hit.counted for hit in hits] == [True, False]
    lens = json.loads(exported(tmp_path, "contact-lens", record, hits))
    jsonschema.Draft202012Validator(CONTACT_LENS_SCHEMA).validate(lens)
    assert lens["Categories"]["MatchedCategories"] == ["delivery"]
    assert lens["Categories"]["MatchedDetails"]["delivery"]["PointsOfInterest"] == [
        {"BeginOffsetMillis": 1000, "EndOffsetMillis": 2400}
    ]
    known = {participant["ParticipantId"] for participant in lens["Participants"]}
    assert {turn["ParticipantId"] for turn in lens["Transcript"]} <= known
    talk = lens["ConversationCharacteristics"]["TalkTime"]
    assert talk["TotalTimeMillis"] == sum(one["TotalTimeMillis"] for one in talk["DetailsByParticipant"].values())
    assert "Sentiment" not in json.dumps(lens), "what is not measured is not made up"


def test_silence_is_non_talk_time(tmp_path: Path) -> None:
    from dataclasses import replace

    from callscan.records import AudioInfo, Span

    transcript = Transcript("fr", 1.0, (), ((Span(2.0, 4.0),), (Span(3.0, 5.0), Span(9.5, 10.0))))
    record = replace(call("a", [("agent", "x")]), transcript=transcript, audio=AudioInfo("wav", "pcm", 2, 8000, 14, 14))
    lens = json.loads(exported(tmp_path, "contact-lens", record))
    jsonschema.Draft202012Validator(CONTACT_LENS_SCHEMA).validate(lens)
    assert lens["ConversationCharacteristics"]["NonTalkTime"] == {
        "TotalTimeMillis": 8500,
        "Instances": [
            {"BeginOffsetMillis": 5000, "EndOffsetMillis": 9500, "DurationMillis": 4500},
            {"BeginOffsetMillis": 10000, "EndOffsetMillis": 14000, "DurationMillis": 4000},
        ],
    }


def test_jsonl_holds_everything(tmp_path: Path) -> None:
    record = hostile()
    text = exported(tmp_path, "jsonl", record)
    assert text.count("\n") == 1
    plain = json.loads(text)
    assert plain["call_id"] == record.call_id
    assert len(plain["transcript"]["segments"]) == 4
    assert plain["transcript"]["segments"][2]["text"] == HOSTILE


def test_names_stay_in_the_folder_and_apart(tmp_path: Path) -> None:
    first, second = hostile(), call("../../étrange call;name", [("agent", "oui non")])
    from dataclasses import replace

    records = [first, replace(second, key="cd" * 32), replace(second, call_id="...", key="ef" * 32)]
    assert export_calls(records, {}, "vtt", tmp_path / "deep" / "out") == 3
    names = sorted(path.name for path in (tmp_path / "deep" / "out").iterdir())
    assert len(names) == 3
    assert list(tmp_path.iterdir()) == [tmp_path / "deep"]
    assert all(re.fullmatch(r"[\w.+-]+", name) for name in names)


def test_export_of_an_archive(tmp_path: Path) -> None:
    world = make_world(12)
    archive = make_archive(tmp_path / "archive", world.records)
    with pytest.raises(ArchiveError):
        hits_by_call(archive)
    count(archive, PhraseLexicon())
    hits = hits_by_call(archive)
    assert sum(len(found) for found in hits.values()) == sum(len(found) for found in world.planted.values()) > 0
    assert export_calls(archive.records(), hits, "jsonl", tmp_path / "out") == 12
    lines = [json.loads(path.read_text()) for path in (tmp_path / "out").iterdir()]
    assert {line["call_id"]: len(line["hits"]) for line in lines} == {n: len(f) for n, f in world.planted.items()}
    assert export_calls(archive.records(), hits, "srt", tmp_path / "one", only=frozenset({"call-00003"})) == 1
    with pytest.raises(UsageError):
        export_calls(archive.records(), hits, "srt", tmp_path / "one", only=frozenset({"nobody"}))
    with pytest.raises(UsageError):
        export_calls([], {}, "docx", tmp_path / "one")

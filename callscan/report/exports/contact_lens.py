"""The post-call analysis file of Amazon Connect Contact Lens, version 1.1.0: what dashboards built for it can read.

Issues are its categories. What callscan does not measure (sentiment, loudness, summaries) is left out: an absent
field says so, a neutral one would be made up.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from callscan.records import CallRecord, Hit, Speaker, Transcript
from callscan.report.voices import UNHEARD, Voice, voices

ROLE: dict[Speaker, str] = {"customer": "CUSTOMER", "agent": "AGENT", "ivr": "SYSTEM", "unknown": "UNKNOWN"}
"""Participant ids; where the speaker is not known the participant has an id and no role."""

NON_TALK = 3.0
"""Seconds without speech from which Contact Lens speaks of non-talk time."""

LANGUAGES = {"fr": "fr-FR", "en": "en-US", "de": "de-DE", "es": "es-ES", "it": "it-IT", "pt": "pt-PT", "nl": "nl-NL"}


def contact_lens(record: CallRecord, transcript: Transcript, hits: Sequence[Hit]) -> str:
    """The analysis file of one call. Times are milliseconds."""
    spoken = sorted(voices(transcript), key=lambda voice: (voice.start, voice.end))
    duration = record.audio.decoded if record.audio else max((voice.end for voice in spoken), default=0.0)
    segments = [s for s in transcript.segments if s.text.strip() and not UNHEARD & set(s.flags)]
    speakers = sorted({segment.speaker for segment in segments} | {voice.speaker for voice in spoken})
    counted = [hit for hit in hits if hit.counted]
    document = {
        "Version": "1.1.0",
        "AccountId": "callscan",
        "Channel": "VOICE",
        "ContentMetadata": {"Output": "Raw"},
        "JobStatus": "COMPLETED",
        "LanguageCode": LANGUAGES.get(transcript.language, transcript.language),
        "Participants": [
            {"ParticipantId": ROLE[speaker]} | ({} if speaker == "unknown" else {"ParticipantRole": ROLE[speaker]})
            for speaker in speakers
        ],
        "Categories": _categories(counted),
        "ConversationCharacteristics": {
            "TotalConversationDurationMillis": _millis(duration),
            "NonTalkTime": _non_talk(spoken, duration),
            "TalkSpeed": {"DetailsByParticipant": _speed(transcript, spoken)},
            "TalkTime": _talk(spoken),
        },
        "CustomModels": [],
        "Transcript": [
            {
                "Id": f"{record.key[:16]}-{number}",
                "ParticipantId": ROLE[segment.speaker],
                "BeginOffsetMillis": _millis(segment.start),
                "EndOffsetMillis": _millis(segment.end),
                "Content": segment.text.strip(),
            }
            for number, segment in enumerate(segments)
        ],
    }
    return json.dumps(document, ensure_ascii=False, indent=2, sort_keys=True) + "\n"


def _millis(seconds: float) -> int:
    return round(seconds * 1000)


def _categories(hits: Sequence[Hit]) -> dict[str, Any]:
    issues = sorted({hit.issue for hit in hits})
    return {
        "MatchedCategories": issues,
        "MatchedDetails": {
            issue: {
                "PointsOfInterest": [
                    {"BeginOffsetMillis": _millis(hit.start), "EndOffsetMillis": _millis(hit.end)}
                    for hit in hits
                    if hit.issue == issue
                ]
            }
            for issue in issues
        },
    }


def _non_talk(spoken: Sequence[Voice], duration: float) -> dict[str, Any]:
    """The stretches in which nobody speaks for three seconds or more."""
    instances, reached = [], 0.0
    for start, end in [*((voice.start, voice.end) for voice in spoken), (duration, duration)]:
        if start - reached >= NON_TALK:
            begin, until = _millis(reached), _millis(start)
            instances.append({"BeginOffsetMillis": begin, "EndOffsetMillis": until, "DurationMillis": until - begin})
        reached = max(reached, end)
    return {"TotalTimeMillis": sum(one["DurationMillis"] for one in instances), "Instances": instances}


def _seconds(spoken: Sequence[Voice]) -> dict[Speaker, float]:
    seconds: dict[Speaker, float] = {}
    for voice in spoken:
        seconds[voice.speaker] = seconds.get(voice.speaker, 0.0) + voice.end - voice.start
    return seconds


def _speed(transcript: Transcript, spoken: Sequence[Voice]) -> dict[str, Any]:
    words: dict[Speaker, int] = {}
    for segment in transcript.segments:
        words[segment.speaker] = words.get(segment.speaker, 0) + len(segment.text.split())
    return {
        ROLE[speaker]: {"AverageWordsPerMinute": round(words[speaker] * 60 / seconds)}
        for speaker, seconds in sorted(_seconds(spoken).items())
        if seconds > 0 and speaker in words and speaker != "unknown"
    }


def _talk(spoken: Sequence[Voice]) -> dict[str, Any]:
    seconds = {s: _millis(value) for s, value in sorted(_seconds(spoken).items()) if s != "unknown"}
    return {
        "TotalTimeMillis": sum(seconds.values()),
        "DetailsByParticipant": {ROLE[speaker]: {"TotalTimeMillis": value} for speaker, value in seconds.items()},
    }

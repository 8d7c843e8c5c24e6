"""WebVTT (https://www.w3.org/TR/webvtt1/) and SubRip captions."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence

from callscan.records import CallRecord, Hit, Segment, Transcript
from callscan.report.voices import UNHEARD

SHORTEST = 0.001
"""Seconds a cue lasts at least: players drop one that ends when it starts."""


def vtt(record: CallRecord, transcript: Transcript, hits: Sequence[Hit]) -> str:
    """WebVTT with a voice tag a cue. The text is escaped: nothing that was said becomes a tag or an arrow."""
    cues = [
        f"{_time(start, '.')} --> {_time(end, '.')}\n<v {segment.speaker}>{html.escape(text, quote=False)}</v>\n"
        for segment, start, end, text in _cues(transcript)
    ]
    return "\n".join(["WEBVTT\n", *cues])


def srt(record: CallRecord, transcript: Transcript, hits: Sequence[Hit]) -> str:
    """SubRip, the speaker before the text."""
    cues = [
        f"{number}\n{_time(start, ',')} --> {_time(end, ',')}\n{segment.speaker}: {text.replace('-->', '->')}\n"
        for number, (segment, start, end, text) in enumerate(_cues(transcript), 1)
    ]
    return "\n".join(cues)


def _cues(transcript: Transcript) -> Iterator[tuple[Segment, float, float, str]]:
    """Segments that were heard, by start; white space and control characters folded, so that a cue is one line."""
    for segment in sorted(transcript.segments, key=lambda s: (s.start, s.end, s.channel)):
        text = re.sub(r"[\s\x00-\x1f\x7f]+", " ", segment.text).strip()
        if text and not UNHEARD & set(segment.flags):
            yield segment, segment.start, max(segment.end, segment.start + SHORTEST), text


def _time(seconds: float, point: str) -> str:
    millis = round(seconds * 1000)
    return f"{millis // 3_600_000:02d}:{millis // 60_000 % 60:02d}:{millis // 1000 % 60:02d}{point}{millis % 1000:03d}"

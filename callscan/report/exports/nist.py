"""The formats of NIST's evaluations: RTTM (who speaks when) and CTM (words with times)."""

from __future__ import annotations

import re
from collections.abc import Sequence

from callscan.records import CallRecord, Hit, Transcript
from callscan.report.voices import UNHEARD, voices


def rttm(record: CallRecord, transcript: Transcript, hits: Sequence[Hit]) -> str:
    """Ten fields a line, ``SPEAKER file channel start duration <NA> <NA> name <NA> <NA>``; channels count from 1.

    The name is the role; of diarised voices that share one, or have none, it is the diariser's.
    """
    lines = [
        f"SPEAKER {_field(record.call_id)} {v.channel + 1} {v.start:.3f} {v.end - v.start:.3f} "
        f"<NA> <NA> {_field(v.name)} <NA> <NA>\n"
        for v in sorted(voices(transcript), key=lambda v: (v.start, v.channel, v.end))
        if v.end > v.start
    ]
    return "".join(lines)


def ctm(record: CallRecord, transcript: Transcript, hits: Sequence[Hit]) -> str:
    """Six fields a line, ``file channel start duration word confidence``, by channel and time, channels from 1."""
    words = sorted(
        (
            (segment.channel, word.start, word.end, word.text, word.probability)
            for segment in transcript.segments
            if not UNHEARD & set(segment.flags)
            for word in segment.words
        ),
        key=lambda row: row[:3],
    )
    name = _field(record.call_id)
    return "".join(
        f"{name} {channel + 1} {start:.3f} {max(end - start, 0.0):.3f} {_field(text)} {probability:.3f}\n"
        for channel, start, end, text, probability in words
        if text.strip()
    )


def _field(text: str) -> str:
    """One field: no white space in it, and not the mark of a comment (``;;``) before it."""
    return re.sub(r"[\s\x00-\x1f\x7f]+", "_", text.strip()).lstrip(";") or "_"

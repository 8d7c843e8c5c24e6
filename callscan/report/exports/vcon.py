"""vCon, the IETF's container for conversations: draft-ietf-vcon-vcon-core-04, unsigned form.

The recording is named, not embedded: file name, length and start. Transcript and hits are analyses.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any
from uuid import UUID

from callscan.records import CallRecord, Hit, Speaker, Transcript
from callscan.report.voices import UNHEARD, voices

ROLES: tuple[Speaker, ...] = ("customer", "agent")


def vcon(record: CallRecord, transcript: Transcript, hits: Sequence[Hit]) -> str:
    """A vCon of one call. Its UUID (version 8) comes from the recording's digest: the same call has the same one."""
    dialog: dict[str, Any] = {
        "type": "recording",
        "parties": _channels(transcript),
        "filename": PurePosixPath(record.uri).name,
    }
    if record.audio:
        dialog["duration"] = round(record.audio.decoded, 3)
    if record.key:
        digest = base64.urlsafe_b64encode(bytes.fromhex(record.key)).decode().rstrip("=")
        dialog["content_hash"] = f"sha256-{digest}"
    start = _instant(record.metadata.get("start_time", ""))
    if start:
        dialog["start"] = start
    document = {
        "vcon": "0.4.0",
        "uuid": str(_uuid(record.key)),
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "subject": record.call_id,
        "parties": _parties(record),
        "dialog": [dialog],
        "analysis": [
            _analysis("transcript", _transcript(transcript)),
            _analysis("report", [_hit(hit) for hit in hits]),
        ],
    }
    return json.dumps(document, ensure_ascii=False, indent=2, sort_keys=True) + "\n"


def _uuid(key: str) -> UUID:
    """122 bits of the digest, marked as a UUID of version 8 (RFC 9562)."""
    value = int(key[:32] or "0", 16)
    value = value & ~(0xF << 76) | (8 << 76)
    return UUID(int=value & ~(0x3 << 62) | (0x2 << 62))


def _parties(record: CallRecord) -> list[dict[str, str]]:
    """The customer, the agent, and an announcement: index = the position in ROLES, then 2. Nobody's number."""
    customer, agent, machine = {"name": "customer"}, {"name": "agent", "type": "person"}, {"name": "ivr", "type": "bot"}
    if record.metadata.get("agent"):
        agent["uuid"] = record.metadata["agent"]
    if record.metadata.get("queue"):
        agent["dept"] = record.metadata["queue"]
    return [customer, agent, machine]


def _party(speaker: Speaker) -> int | None:
    return ROLES.index(speaker) if speaker in ROLES else len(ROLES) if speaker == "ivr" else None


def _channels(transcript: Transcript) -> list[Any]:
    """The party of each channel; both where one channel holds both."""
    found: dict[int, set[Speaker]] = {}
    for voice in voices(transcript):
        found.setdefault(voice.channel, set()).add(voice.speaker)
    channels: list[Any] = []
    for channel in range(max(found, default=-1) + 1):
        parties = sorted(p for p in map(_party, found.get(channel, set())) if p is not None)
        channels.append(parties[0] if len(parties) == 1 else parties or None)
    return channels or [0, 1]


def _analysis(kind: str, body: Any) -> dict[str, Any]:
    return {
        "type": kind,
        "dialog": 0,
        "vendor": "callscan",
        "product": "callscan",
        "schema": f"callscan {kind} 1",
        "mediatype": "application/json",
        "encoding": "json",
        "body": body,
    }


def _transcript(transcript: Transcript) -> list[dict[str, Any]]:
    """Segments that were heard; ``party`` is the index in ``parties``, null where nobody knows who spoke. Seconds."""
    return [
        {
            "start": round(segment.start, 3),
            "end": round(segment.end, 3),
            "party": _party(segment.speaker),
            "text": segment.text.strip(),
            "words": [
                {"start": round(word.start, 3), "end": round(word.end, 3), "text": word.text.strip()}
                for word in segment.words
            ],
        }
        for segment in transcript.segments
        if not UNHEARD & set(segment.flags)
    ]


def _hit(hit: Hit) -> dict[str, Any]:
    return {
        "issue": hit.issue,
        "pattern": hit.pattern,
        "lexicon": hit.lexicon,
        "party": _party(hit.speaker),
        "start": round(hit.start, 3),
        "end": round(hit.end, 3),
        "quote": hit.quote,
        "counted": hit.counted,
        "flags": list(hit.flags),
    }


def _instant(text: str) -> str | None:
    """An RFC 3339 instant; None where the metadata does not say in which time zone it is."""
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    return moment.isoformat() if moment.tzinfo else None

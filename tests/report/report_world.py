"""A small contact centre made from a seed: call records whose every issue is known, and an archive that holds them."""

from __future__ import annotations

import hashlib
import io
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from callscan.archive import Archive
from callscan.archive.inventory import INVENTORY
from callscan.lexicon.columns import FIRST_WORD, Spoken
from callscan.records import AudioInfo, CallRecord, Hit, Segment, Span, Speaker, Transcript, Word

PHRASES: dict[str, tuple[Speaker, tuple[str, ...]]] = {
    "repeat_contact": ("customer", ("troisième fois que j'appelle", "j'ai déjà appelé")),
    "waiting": ("customer", ("vingt minutes d'attente",)),
    "billing": ("customer", ("erreur sur ma facture", "prélevé deux fois")),
    "agent_apology": ("agent", ("je vous prie de nous excuser",)),
    "delivery": ("customer", ("colis jamais arrivé",)),
    "escalation": ("customer", ("parler à un responsable",)),
}
"""Phrases nobody in the small talk says. ``escalation`` is never planted: an issue that nobody mentions."""

SMALL_TALK = [
    "bonjour",
    "merci",
    "alors",
    "voilà",
    "donc",
    "oui",
    "non",
    "très",
    "bien",
    "je",
    "regarde",
    "votre",
    "dossier",
    "un",
    "instant",
    "s'il",
    "vous",
    "plaît",
]


@dataclass(frozen=True)
class PhraseIssue:
    id: str
    speaker: Speaker
    severity: int = 2

    @property
    def label(self) -> dict[str, str]:
        return {"fr": f"{self.id} (fr)", "en": f"{self.id} (en)"}


class PhraseLexicon:
    """Plain phrases, found word by word: slow, obvious, and nothing of the real lexicon's code."""

    def __init__(self, phrases: dict[str, tuple[Speaker, tuple[str, ...]]] | None = None) -> None:
        self.phrases = PHRASES if phrases is None else phrases
        self.issues = tuple(PhraseIssue(issue, speaker) for issue, (speaker, _) in self.phrases.items())
        self.digest = hashlib.sha256(repr(sorted(self.phrases.items())).encode()).hexdigest()

    def prepare(self) -> None:
        pass

    def match_spoken(
        self, spoken: Spoken, languages: Sequence[str], wanted: Sequence[bool]
    ) -> Iterator[tuple[int, Hit, str]]:
        marks = [*np.flatnonzero(spoken.words < FIRST_WORD).tolist(), len(spoken.words)]
        for call in [call for call, asked in enumerate(wanted) if asked]:
            segments = {-1: Segment(0.0, 0.0, "", 0, "ivr")}
            for number in np.flatnonzero(spoken.calls == call).tolist():
                words = tuple(
                    Word(
                        spoken.vocabulary[spoken.words[at] - FIRST_WORD],
                        *(at_word[0] for at_word in spoken.times(np.array([at]))),
                        float(spoken.probabilities[at] / spoken.certain),
                    )
                    for at in range(marks[number] + 1, marks[number + 1])
                )
                speaker: Speaker = {1: "customer", 2: "agent", 3: "unknown"}[int(spoken.speakers[number])]  # type: ignore[assignment]
                text = spoken.texts.get(number, " ".join(word.text for word in words))
                segments[int(spoken.indices[number])] = Segment(words[0].start, words[-1].end, text, 0, speaker, words)
            said = tuple(segments.get(index, segments[-1]) for index in range(max(segments) + 1))
            for hit in self.match(Transcript(languages[call], 1.0, said)):
                yield call, hit, said[hit.segment].text

    def match(self, transcript: Transcript) -> tuple[Hit, ...]:
        hits = []
        for index, segment in enumerate(transcript.segments):
            spoken = segment.words or tuple(Word(text, segment.start, segment.end) for text in segment.text.split())
            texts = [word.text for word in spoken]
            for issue, (speaker, phrases) in self.phrases.items():
                if segment.speaker not in (speaker, "unknown"):
                    continue
                for phrase in phrases:
                    wanted = phrase.split()
                    for at in range(len(texts) - len(wanted) + 1):
                        if texts[at : at + len(wanted)] == wanted:
                            words = spoken[at : at + len(wanted)]
                            negated = at > 0 and texts[at - 1] == "pas"
                            hits.append(
                                Hit(
                                    issue=issue,
                                    pattern=phrase,
                                    lexicon=self.digest,
                                    speaker=segment.speaker,
                                    start=words[0].start,
                                    end=words[-1].end,
                                    quote=" ".join(word.text for word in words),
                                    segment=index,
                                    probability=min(word.probability for word in words),
                                    speaker_known=segment.speaker != "unknown",
                                    flags=("negated",) if negated else (),
                                )
                            )
        return tuple(hits)


@dataclass
class World:
    """Call records, and what was planted in each: (issue, phrase, start, counted)."""

    records: list[CallRecord] = field(default_factory=list)
    planted: dict[str, list[tuple[str, str, float, bool]]] = field(default_factory=dict)


def key_of(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def call(name: str, lines: Sequence[tuple[Speaker, str]], **metadata: str) -> CallRecord:
    """A stereo call: one line after the other, half a second a word, a second between lines."""
    segments: list[Segment] = []
    speech: tuple[list[Span], list[Span]] = ([], [])
    clock = 1.0
    for speaker, text in lines:
        channel = 0 if speaker in ("agent", "ivr") else 1
        words = []
        for word in text.split():
            words.append(Word(word, round(clock, 2), round(clock + 0.4, 2), 0.9))
            clock += 0.5
        segments.append(Segment(words[0].start, words[-1].end, text, channel, speaker, tuple(words)))
        speech[channel].append(Span(words[0].start, words[-1].end))
        clock += 1.0
    duration = round(clock, 2)
    return CallRecord(
        call_id=name,
        uri=f"calls/{name}.wav",
        key=key_of(name),
        status="scanned",
        size=1000,
        audio=AudioInfo("wav", "pcm_mulaw", 2, 8000, duration, duration),
        transcript=Transcript("fr", 0.99, tuple(segments), tuple(tuple(spans) for spans in speech)),
        metadata=MappingProxyType({name: value for name, value in metadata.items() if value}),
    )


def failed(name: str, status: str, reason: str, **metadata: str) -> CallRecord:
    return CallRecord(
        call_id=name,
        uri=f"calls/{name}.wav",
        key="" if reason in ("unreadable", "changing") else key_of(name),
        status=status,  # type: ignore[arg-type]
        reason=reason,
        detail=f"{name}: {reason}",
        metadata=MappingProxyType(metadata),
    )


def make_world(calls: int, seed: int = 1) -> World:
    """``calls`` transcribed calls over five weeks, and one failed recording for every ten of them."""
    chance = random.Random(seed)
    world = World()
    first = datetime(2026, 9, 1, 8, 0)
    for number in range(calls):
        name = f"call-{number:05d}"
        lines: list[tuple[Speaker, str]] = []
        plan: list[tuple[int, str, str, bool]] = []
        for line in range(chance.randint(3, 8)):
            speaker: Speaker = chance.choice(("agent", "customer"))
            words = chance.choices(SMALL_TALK, k=chance.randint(3, 10))
            issue = chance.choice((*PHRASES, None, None, None, None))
            if issue is not None and issue != "escalation" and PHRASES[issue][0] == speaker:
                phrase = chance.choice(PHRASES[issue][1])
                negated = chance.random() < 0.1
                at = chance.randint(1, len(words))
                words[at:at] = (["pas"] if negated else []) + phrase.split()
                plan.append((line, issue, phrase, not negated))
            lines.append((speaker, " ".join(words)))
        start = first + timedelta(days=chance.randrange(35), minutes=chance.randrange(600))
        record = call(
            name,
            lines,
            start_time=start.isoformat() if number % 17 else "",
            queue=chance.choice(("facturation", "livraison", "")),
            agent=f"agent-{chance.randrange(4)}",
            wait_seconds=str(chance.randrange(600)),
            transfers=str(chance.randrange(3)),
            caller_number=f"06{chance.randrange(calls // 2 + 1):08d}" if number % 5 else "",
            produit=chance.choice(("fibre", "mobile")),
        )
        assert record.transcript is not None
        world.planted[name] = []
        for line, issue, phrase, counted in plan:
            segment = record.transcript.segments[line]
            texts = segment.text.split()
            wanted = phrase.split()
            at = next(i for i in range(len(texts)) if texts[i : i + len(wanted)] == wanted)
            world.planted[name].append((issue, phrase, segment.words[at].start, counted))
        world.records.append(record)
        if number % 10 == 0:
            status, reason = chance.choice(
                (
                    ("quarantined", "not_audio"),
                    ("no_speech", "no_speech"),
                    ("deferred", "changing"),
                    ("degraded", "coverage"),
                )
            )
            world.records.append(failed(f"failed-{number:05d}", status, reason))
    return world


def make_archive(folder: Path, records: Iterable[CallRecord], shard_size: int = 25) -> Archive:
    """An archive of one run that holds the records, as the scan would have written it."""
    archive = Archive.create(str(folder))
    records = list(records)
    inventory = []
    for begin in range(0, len(records), shard_size):
        shard = f"000001-{begin // shard_size + 1:06d}"
        chunk = records[begin : begin + shard_size]
        archive.commit(shard, chunk, fingerprint="test")
        inventory += [
            {
                "uri": record.uri,
                "call_id": record.call_id,
                "size": record.size,
                "modified": 0,
                "reason": "",
                "detail": "",
                "metadata": sorted(record.metadata.items()),
                "run": 1,
                "shard": shard,
            }
            for record in chunk
        ]
    if inventory:
        sink = io.BytesIO()
        pq.write_table(pa.Table.from_pylist(inventory, schema=INVENTORY), sink)
        archive.store.write("inventory/000001.parquet", sink.getvalue())
    return archive

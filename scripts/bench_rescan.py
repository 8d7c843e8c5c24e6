"""Rescan of a large simulated archive: seconds, peak memory, calls and megabytes of text a second.

Usage: python scripts/bench_rescan.py [--calls 1000000] [--folder DIR] [--processes N] [--json]

A scan counts at its end, and that count makes the archive's index; what is measured is a rescan with a lexicon that the
archive was never counted with, and then one with the same again. The time of the first count is printed too; memory is
that of all processes together.

The archive holds simulated stereo calls with words, times, metadata and speech spans, as a scan writes them. The talk
is everyday French of a call centre; one segment in a hundred is a sentence of the lexicons' own examples, those that
must not match included. The audio is never needed: there is none.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import io
import json
import multiprocessing
import os
import resource
import shutil
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from callscan.archive import SCHEMA, Archive
from callscan.archive.inventory import INVENTORY
from callscan.lexicon import Lexicon
from callscan.rescan.index import FOLDER as INDEX
from callscan.rescan.index import load
from callscan.rescan.recount import recount

SHARD = 1000
SEGMENTS = 42
"""Segments of a call on average; a segment has about 16 words."""
POOL = 40_000
EXAMPLES = 100
"""One segment in so many is an example sentence."""

TALK = """bonjour service clients {name} à votre écoute|bonjour madame {name} c'est monsieur {name} à l'appareil
je vous appelle au sujet de mon contrat|pouvez-vous me donner votre numéro de client s'il vous plaît
alors c'est le {number}|d'accord je l'ouvre|votre adresse est bien le {number} rue de {town}
oui c'est bien ça|très bien merci|je vois que vous êtes chez nous depuis {number} ans
est-ce que vous avez la fibre à {town}|oui depuis {day} dernier|je voudrais changer d'offre
on a une formule à {number} euros par mois|elle comprend les appels vers les mobiles|et pour la télévision
c'est compris dans le prix|il faut compter {number} jours|le technicien passera {day} matin
entre {number} heures et midi|ça me convient tout à fait|je note votre adresse mail
c'est {name} arobase exemple point fr|vous recevrez un message de confirmation|est-ce qu'il y a autre chose
non ce sera tout pour aujourd'hui|je vous souhaite une bonne journée|merci à vous aussi|au revoir madame
au revoir monsieur {name}|je suis à {town} en ce moment|ma fille habite à {town}|elle voudrait ouvrir une ligne
c'est possible dès {day}|il me faudrait une copie de sa pièce d'identité
vous pouvez l'envoyer depuis l'application|je le ferai ce soir|votre agence de {town} est ouverte le {day}
jusqu'à {number} heures|parfait j'irai {day}|je vous écoute|mon écran s'affiche
voilà j'ai trouvé|la date est le {number}|le montant est de {number} euros|vous payez par carte ou par virement
par carte c'est plus simple|je vous envoie le lien|je l'ai bien reçu|c'est noté dans votre espace client
mon mari s'en occupe d'habitude|il rentre {day}|vous pouvez en parler ensemble
la garantie court jusqu'à l'an prochain|elle couvre les pièces|nous avons plusieurs modèles
le plus petit fait {number} litres|quelle couleur souhaitez-vous|plutôt le gris|il est disponible à {town}
je vous le réserve jusqu'à {day}|combien de personnes vivent chez vous|nous sommes {number}
le relevé du compteur indique {number}|je l'enregistre|vous êtes bien le titulaire|oui c'est à mon nom
{name} avec deux l|et la date de naissance|le {number} mars""".replace("\n", "|").split("|")
NAMES = ("martin", "bernard", "petit", "robert", "richard", "durand", "moreau", "laurent", "simon", "michel", "garcia")
TOWNS = ("paris", "lyon", "lille", "nantes", "rennes", "toulouse", "bordeaux", "dijon", "metz", "nice", "brest")
DAYS = ("lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi")
NUMBERS = (
    "deux",
    "cinq",
    "douze",
    "vingt",
    "trente-quatre",
    "quarante",
    "soixante",
    "cent vingt",
    "mille",
    "12",
    "340",
)


def sentences(rng: np.random.Generator) -> list[str]:
    """Segment texts to draw from: everyday talk, and at the end the lexicons' examples."""
    lists = {"name": NAMES, "town": TOWNS, "day": DAYS, "number": NUMBERS}
    talk = []
    for _ in range(POOL):
        parts = [TALK[k] for k in rng.integers(0, len(TALK), 1 + rng.integers(1, 4))]
        slots = {name: values[rng.integers(0, len(values))] for name, values in lists.items()}
        talk.append(" ".join(parts).format(**slots))
    return talk + [example.text for language, example in Lexicon.load().examples if language == "fr"]


class Maker:
    """Makes shards of simulated calls, column by column."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        texts = sentences(np.random.default_rng(seed))
        self.examples = len(texts) - POOL
        self.texts = pa.array(texts)
        split = [text.split() for text in texts]
        self.words = pa.array(split, pa.list_(pa.string()))
        self.counts = np.array([len(words) for words in split])

    def shard(self, number: int, calls: int) -> tuple[str, pa.Table, list[dict[str, Any]]]:
        """A shard's id, its rows, and its rows of the inventory."""
        rng = self.rng = np.random.default_rng([number, 7])
        per_call = np.maximum(rng.poisson(SEGMENTS, calls), 2)
        total = int(per_call.sum())
        pick = np.where(
            rng.random(total) < 1 / EXAMPLES,
            POOL + rng.integers(0, self.examples, total),
            rng.integers(0, POOL, total),
        )
        count = self.counts[pick]
        begin = np.concatenate([[0], np.cumsum(per_call)])
        pause = rng.uniform(0.2, 1.5, total)
        length = count * 0.36
        clock = np.cumsum(pause + length)
        before = np.concatenate([[0.0], clock])[begin[:-1]]
        end = np.round(clock - np.repeat(before, per_call), 2)
        start = np.round(end - length, 2)
        speaker = (np.arange(total) - np.repeat(begin[:-1], per_call)) % 2
        segments = self._segments(pick, count, start, end, speaker)
        duration = end[begin[1:] - 1] + 1.0
        transcripts = pa.StructArray.from_arrays(
            [
                pa.array(["fr"] * calls),
                pa.array(np.full(calls, 0.99)),
                pa.ListArray.from_arrays(pa.array(begin, pa.int32()), segments),
                _speech(begin, start, end, speaker),
                pa.array([[]] * calls, SCHEMA.field("transcript").type.field("turns").type),
                pa.array(np.ones(calls)),
            ],
            fields=list(SCHEMA.field("transcript").type),
        )
        audio = pa.StructArray.from_arrays(
            [
                pa.array(["wav"] * calls),
                pa.array(["pcm_alaw"] * calls),
                pa.array(np.full(calls, 2), pa.int32()),
                pa.array(np.full(calls, 8000), pa.int32()),
                pa.array(duration),
                pa.array(duration),
                pa.array(np.zeros(calls)),
            ],
            fields=list(SCHEMA.field("audio").type),
        )
        shard = f"000001-{number + 1:06d}"
        names = [f"call-{number * SHARD + index:07d}" for index in range(calls)]
        uris = [f"/recordings/{name}.wav" for name in names]
        metadata = self._metadata(rng, calls)
        rows = {
            "call_id": pa.array(names),
            "uri": pa.array(uris),
            "key": pa.array([hashlib.sha256(name.encode()).hexdigest() for name in names]),
            "status": pa.array(["scanned"] * calls),
            "reason": pa.array([""] * calls),
            "detail": pa.array([""] * calls),
            "size": pa.array((duration * 16_000).astype(np.int64)),
            "audio": audio,
            "transcript": transcripts,
            "metadata": pa.array(metadata, SCHEMA.field("metadata").type),
            "notes": pa.array([[]] * calls, pa.list_(pa.string())),
            "fingerprint": pa.array(["simulated"] * calls),
            "shard": pa.array([shard] * calls),
        }
        table = pa.table([rows[field.name] for field in SCHEMA], schema=SCHEMA)
        inventory = [
            {"uri": uri, "call_id": name, "size": 1, "modified": 0, "reason": "", "detail": "", "metadata": meta}
            | {"run": 1, "shard": shard}
            for uri, name, meta in zip(uris, names, metadata, strict=True)
        ]
        return shard, table, inventory

    def _segments(
        self,
        pick: NDArray[np.int64],
        count: NDArray[np.int64],
        start: NDArray[np.float64],
        end: NDArray[np.float64],
        speaker: NDArray[np.int64],
    ) -> pa.StructArray:
        total = len(pick)
        texts = self.words.take(pa.array(pick)).flatten()
        place = np.arange(len(texts)) - np.repeat(np.concatenate([[0], np.cumsum(count)[:-1]]), count)
        word_start = np.round(np.repeat(start, count) + 0.36 * place, 2)
        kind = SCHEMA.field("transcript").type.field("segments").type.value_type
        words = pa.StructArray.from_arrays(
            [
                texts,
                pa.array(word_start),
                pa.array(np.round(word_start + 0.3, 2)),
                pa.array(np.round(0.7 + 0.3 * self.rng.random(len(texts)), 3)),
            ],
            fields=list(kind.field("words").type.value_type),
        )
        offsets = pa.array(np.concatenate([[0], np.cumsum(count)]), pa.int32())
        return pa.StructArray.from_arrays(
            [
                pa.array(start),
                pa.array(end),
                self.texts.take(pa.array(pick)),
                pa.array(speaker, pa.int32()),
                pa.array(["agent", "customer"]).take(pa.array(speaker)),
                pa.ListArray.from_arrays(offsets, words),
                pa.array(np.full(total, -0.2)),
                pa.array(np.full(total, 1.3)),
                pa.array(np.zeros(total)),
                pa.array([[]] * total, pa.list_(pa.string())),
            ],
            fields=list(kind),
        )

    def _metadata(self, rng: np.random.Generator, calls: int) -> list[list[tuple[str, str]]]:
        day = rng.integers(0, 90, calls)
        minute = rng.integers(480, 1140, calls)
        starts = np.datetime64("2026-08-01T00:00") + day.astype("timedelta64[D]") + minute.astype("timedelta64[m]")
        columns = {
            "start_time": [f"{moment}:00" for moment in starts.astype(str)],
            "queue": [f"queue-{value}" for value in rng.integers(0, 8, calls)],
            "agent": [f"agent-{value:03d}" for value in rng.integers(0, 120, calls)],
            "wait_seconds": [str(value) for value in rng.exponential(90, calls).astype(int)],
            "caller": [f"{value:032x}" for value in rng.integers(0, 400_000, calls)],
        }
        return [list(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def _speech(
    begin: NDArray[np.int64], start: NDArray[np.float64], end: NDArray[np.float64], speaker: NDArray[np.int64]
) -> pa.ListArray:
    """Speech spans by call and channel: those of the segments."""
    calls = len(begin) - 1
    call = np.repeat(np.arange(calls), np.diff(begin))
    channel = call * 2 + speaker
    order = np.argsort(channel, kind="stable")
    span = SCHEMA.field("transcript").type.field("speech").type.value_type.value_type
    spans = pa.StructArray.from_arrays([pa.array(start[order]), pa.array(end[order])], fields=list(span))
    offsets = np.concatenate([[0], np.cumsum(np.bincount(channel, minlength=2 * calls))])
    channels = pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), spans)
    return pa.ListArray.from_arrays(pa.array(np.arange(0, 2 * calls + 1, 2), pa.int32()), channels)


def make(folder: Path, calls: int, numbers: Sequence[int]) -> list[dict[str, Any]]:
    """Write shards; the inventory of all of them."""
    archive, maker, inventory = Archive.create(str(folder)), Maker(1), []
    for number in numbers:
        shard, table, rows = maker.shard(number, min(SHARD, calls - number * SHARD))
        sink = io.BytesIO()
        # Not the digest that a scan writes, which takes longer than all the rest, but one that stands for the shard.
        digest = hashlib.sha256(f"simulated {number} {table.num_rows}".encode()).hexdigest()
        table = table.replace_schema_metadata({**(SCHEMA.metadata or {}), b"callscan.digest": digest})
        with pq.ParquetWriter(sink, table.schema, compression="zstd", write_page_checksum=True) as writer:
            for batch in table.to_batches(max_chunksize=250):
                writer.write_batch(batch)
        archive.store.write(f"calls/{shard}.parquet", sink.getvalue())
        inventory += rows
    return inventory


def build(folder: Path, calls: int, processes: int) -> None:
    """Write the archive, unless the folder has it already."""
    done = folder / f"made-{calls}"
    if done.exists():
        return
    shutil.rmtree(folder, ignore_errors=True)
    Archive.create(str(folder))
    numbers = range((calls + SHARD - 1) // SHARD)
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        parts = pool.starmap(make, [(folder, calls, numbers[index::processes]) for index in range(processes)])
    rows = sorted((row for part in parts for row in part), key=lambda row: row["uri"])
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema=INVENTORY), sink, compression="zstd")
    Archive(str(folder)).store.write("inventory/000001.parquet", sink.getvalue())
    done.touch()


class Memory(threading.Thread):
    """Looks a few times a second at what this process and all its children hold together, and keeps the most (MB):
    pages that several of them share count once."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.most = 0

    def run(self) -> None:
        """Look until the script ends."""
        while True:
            held, due = 0, [os.getpid()]
            while due:
                process = Path("/proc") / str(due.pop())
                # A process may be gone at any time.
                with contextlib.suppress(OSError):
                    rollup = (process / "smaps_rollup").read_text()
                    held += int(rollup.split("\nPss:")[1].split()[0]) // 1024
                    for children in process.glob("task/*/children"):
                        due += map(int, children.read_text().split())
            self.most = max(self.most, held)
            time.sleep(0.3)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path, default=Path("bench-rescan"))
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--index-only", action="store_true", help="stop after the first count")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    began = time.monotonic()
    build(options.folder, options.calls, options.processes)
    print(f"archive ready after {time.monotonic() - began:.0f} s", file=sys.stderr)
    archive = Archive(str(options.folder))
    # An index of another version is none: the count that makes it again is not what is measured.
    if any(load(archive, shard, archive.digest(shard)) is None for shard in archive.shard_ids()):
        began = time.monotonic()
        recount(archive, Lexicon.load(), processes=options.processes)
        print(f"first count, which makes the index: {time.monotonic() - began:.0f} s", file=sys.stderr)
        if options.index_only:
            return
    # As it is for a lexicon that these calls were never matched with.
    for kept in (options.folder / INDEX).glob("*.hits.parquet"):
        kept.unlink()
    memory = Memory()
    memory.start()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began, spent = time.monotonic(), time.process_time()
    report = recount(archive, Lexicon.load(), processes=options.processes).report
    seconds = time.monotonic() - began
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = time.process_time() - spent + (children.ru_utime + children.ru_stime) - (before.ru_utime + before.ru_stime)
    began = time.monotonic()
    recount(archive, Lexicon.load(), processes=options.processes)
    result = {
        "calls": report.calls,
        "hits": sum(issue.hits for issue in report.issues),
        "hits_per_call": round(sum(issue.hits for issue in report.issues) / report.calls, 3),
        "words": report.cost.words,
        "seconds": round(seconds, 1),
        "cpu_seconds": round(cpu, 1),
        "same_lexicon_again_seconds": round(time.monotonic() - began, 1),
        "calls_per_second": round(report.calls / seconds),
        "peak_memory_mb": memory.most,
        "processes": options.processes,
    }
    if options.json:
        print(json.dumps(result, indent=2))
    else:
        for name, value in result.items():
            print(f"{name:26} {value}")


if __name__ == "__main__":
    main()

"""The inventory: what a run discovered that was new or changed, and the shard that each recording is due in.

It holds a million recordings as Arrow columns, not as objects; only the shard at hand becomes a :class:`Task`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from callscan.records import Recording

_REPEATED = pa.dictionary(pa.int32(), pa.string())

INVENTORY = pa.schema(
    [
        ("uri", pa.string()),
        ("call_id", pa.string()),
        ("size", pa.int64()),
        ("modified", pa.int64()),
        ("reason", _REPEATED),
        ("detail", _REPEATED),
        ("metadata", pa.map_(pa.string(), pa.string())),
        ("fingerprint", _REPEATED),
        ("run", pa.int32()),
        ("shard", _REPEATED),
    ],
    metadata={"callscan.format": "1"},
)
"""One row is one recording. ``reason`` and ``detail`` say why it was refused when it was discovered, empty if it was
not; ``fingerprint`` is that of the speech engine it is due with, ``shard`` the id of the shard it is due in, ``run``
the number of the run that planned it."""


@dataclass(frozen=True, slots=True)
class Planned:
    """One recording as it was planned; ``reason`` is set where it was refused when it was discovered."""

    recording: Recording
    call_id: str
    reason: str = ""
    detail: str = ""
    metadata: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Task:
    """The work of one worker at a time: recordings in, one file of the archive out.

    ``shard`` is that file's id. ``known`` holds keys that the archive has the content of already: a recording with one
    of these keys is recorded as a duplicate and not transcribed again.
    """

    shard: str
    calls: tuple[Planned, ...]
    known: frozenset[str] = frozenset()

    @property
    def halves(self) -> tuple[Task, Task]:
        """The same work in two files, whose ids say which half they are; at least two recordings are needed."""
        middle = len(self.calls) // 2
        stem = self.shard if self.shard.count("-") == 2 else f"{self.shard}-"
        return (
            Task(f"{stem}0", self.calls[:middle], self.known),
            Task(f"{stem}1", self.calls[middle:], self.known),
        )

    def missing(self, committed: Iterable[str]) -> tuple[Task, ...]:
        """What is left to do, in the same pieces in which it was begun, given the ids of the shards that are there."""
        begun = [shard for shard in committed if shard.startswith(self.shard)]
        if self.shard in begun:
            return ()
        if not begun:
            return (self,)
        first, second = self.halves
        return first.missing(begun) + second.missing(begun)


def planned(rows: Iterable[dict[str, Any]]) -> tuple[Planned, ...]:
    """Inventory rows as values."""
    return tuple(
        Planned(
            Recording(row["uri"], row["size"], row["modified"]),
            row["call_id"],
            row["reason"],
            row["detail"],
            tuple(row["metadata"]),
        )
        for row in rows
    )

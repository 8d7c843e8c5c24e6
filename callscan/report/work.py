"""What listening took, from what each shard of the archive says of itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from callscan.report.contract import Work


def work(costs: Iterable[Mapping[str, Any]]) -> Work | None:
    """The sum of what the shards took, as their workers wrote it (``callscan.worker``); None where none says."""
    shards = sorted(costs, key=repr)  # sums of floats depend on their order
    if not shards:
        return None
    stages: Counter[str] = Counter()
    counts: Counter[str] = Counter()
    audio = wall = 0.0
    for shard in shards:
        audio += shard["audio_s"]
        wall += shard["wall_s"]
        for name, seconds in shard["stages"].items():
            stages[name] += seconds
        counts.update({name: shard.get(name, 0) for name in ("windows", "places", "frames", "padding")})
    return Work(
        audio_seconds=round(audio, 3),
        worker_seconds=round(wall, 3),
        realtime_factor=_ratio(audio, wall, 2),
        stages={name: round(seconds, 3) for name, seconds in sorted(stages.items())},
        windows=counts["windows"],
        padding_share=_ratio(counts["padding"], counts["frames"], 4),
        batch_fill=_ratio(counts["windows"], counts["places"], 4),
    )


def _ratio(part: float, whole: float, digits: int) -> float | None:
    return round(part / whole, digits) if whole else None

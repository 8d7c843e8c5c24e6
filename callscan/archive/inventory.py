"""The inventory: what a run discovered that was new or changed, and the shard that each recording is due in.

It holds a million recordings as Arrow columns, not as objects. The packing depends on the recordings alone, never on
the number of workers, so that any runner plans, and therefore writes, the same shards.
"""

from __future__ import annotations

import pyarrow as pa

INVENTORY = pa.schema(
    [
        ("uri", pa.string()),
        ("call_id", pa.string()),
        ("size", pa.int64()),
        ("modified", pa.int64()),
        ("reason", pa.string()),
        ("detail", pa.string()),
        ("metadata", pa.map_(pa.string(), pa.string())),
        ("run", pa.int32()),
        ("shard", pa.string()),
    ],
    metadata={"callscan.format": "1"},
)
"""One row is one recording. ``reason`` and ``detail`` say why it was refused when it was discovered, empty if it was
not; ``shard`` is the id of the shard it is due in, ``run`` the run that planned it."""

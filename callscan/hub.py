"""The Hugging Face hub: its client, imported late and without telemetry, and what was fetched through it before."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any


def client() -> Any:
    """The module ``huggingface_hub``."""
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    import huggingface_hub
    import huggingface_hub.errors

    return huggingface_hub


def cached(repository: str, **which: Any) -> Path | None:
    """The folder of a repository that was fetched before, or None. Asks no network.

    ``which`` tells revision and files as ``snapshot_download`` takes them.
    """
    hub = client()
    try:
        return Path(hub.snapshot_download(repository, local_files_only=True, **which))
    except (hub.errors.LocalEntryNotFoundError, OSError):
        return None


def cause(error: Exception) -> str:
    """The first line of what went wrong: the hub's HTTP client, and so its errors, change with its versions."""
    return str(error).strip().partition("\n")[0] or type(error).__name__

"""Speech models by name: what there is, what is on this machine, and how to fetch one."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from callscan import hub
from callscan.errors import ModelError

_log = logging.getLogger(__name__)

DEMO = Path(__file__).parents[1] / "demo" / "model"
"""The embedded model. It understands only the synthetic voice of the sample calls."""


@dataclass(frozen=True, slots=True)
class Known:
    """A model that can be fetched by name: its repository on the Hugging Face hub, and its size in MB."""

    name: str
    repository: str
    megabytes: int


KNOWN = {
    model.name: model
    for model in (
        Known("tiny", "Systran/faster-whisper-tiny", 75),
        Known("base", "Systran/faster-whisper-base", 145),
        Known("small", "Systran/faster-whisper-small", 484),
        Known("medium", "Systran/faster-whisper-medium", 1528),
        Known("large-v2", "Systran/faster-whisper-large-v2", 3087),
        Known("large-v3", "Systran/faster-whisper-large-v3", 3087),
        Known("large-v3-turbo", "mobiuslabsgmbh/faster-whisper-large-v3-turbo", 1618),
    )
}
"""Multilingual models by the names that faster-whisper gives them."""
CONVERT = (
    "convert a Whisper model with 'ct2-transformers-converter --copy_files tokenizer.json preprocessor_config.json'"
)
"""What to do about a folder that lacks a file."""
_FILES = ("config.json", "preprocessor_config.json", "model.bin", "tokenizer.json", "vocabulary.*")
_NEEDED = ("model.bin", "tokenizer.json")  # without the latter faster-whisper asks the hub for another model's


def resolve(name: str, device: str) -> Path:
    """The folder of a model: ``demo``, a folder, a name from :data:`KNOWN`, or ``auto`` for ``device`` (cpu or cuda).

    A named model that is not on this machine is fetched. Raises ModelError with what to do where that fails.
    """
    if name == "demo":
        return DEMO
    if name == "auto":
        name = "large-v3-turbo" if device == "cuda" else "small"
    if name in KNOWN:
        return cached(name) or fetch(name)
    folder = Path(name).expanduser()
    if not folder.is_dir():
        raise ModelError(
            f"no model {name!r}: neither a folder nor one of demo, auto, {', '.join(KNOWN)}",
            "'callscan models list' shows the names",
        )
    if missing := _missing(folder):
        raise ModelError(f"{folder} holds no {missing}", CONVERT)
    return folder


def cached(name: str) -> Path | None:
    """The folder of a known model that was fetched before, all of it, or None. Asks no network."""
    folder = hub.cached(KNOWN[name].repository, allow_patterns=list(_FILES))
    return None if folder is None or _missing(folder) else folder


def fetch(name: str, revision: str | None = None) -> Path:
    """Download a known model into the hub's cache; logs what, how large and which revision before it starts."""
    if name not in KNOWN:
        raise ModelError(f"no model {name!r} to fetch", f"one of: {', '.join(KNOWN)}")
    model, client = KNOWN[name], hub.client()
    try:
        info = client.HfApi().model_info(model.repository, revision=revision, files_metadata=True)
        size = sum(file.size or 0 for file in info.siblings or () if file.rfilename != "README.md")
        _log.info("fetching %s: %s, revision %s, %d MB", name, model.repository, info.sha, size // 1_000_000)
        return Path(client.snapshot_download(model.repository, revision=info.sha, allow_patterns=list(_FILES)))
    except Exception as error:
        raise ModelError(
            f"cannot fetch {name} ({model.repository}, about {model.megabytes} MB): {hub.cause(error)}",
            f"run 'callscan models fetch {name}' where the hub can be reached, or give --model a folder",
        ) from error


def _missing(folder: Path) -> str:
    """The first file that a model folder lacks, empty if none."""
    return next((name for name in _NEEDED if not (folder / name).exists()), "")

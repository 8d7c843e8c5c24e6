"""Diarisation pipelines by name: which there are, which is on this machine, and how to fetch one."""

from __future__ import annotations

import logging
from importlib.util import find_spec
from pathlib import Path

from callscan import hub
from callscan.errors import ModelError

_log = logging.getLogger(__name__)

DEMO = Path(__file__).parents[1] / "demo" / "diarization"
"""The embedded pipeline. It tells only the synthetic voices of the sample calls apart."""

COMMUNITY = "community-1"
REPOSITORY = "pyannote/speaker-diarization-community-1"
REVISION = "3533c8cf8e369892e6b79ff1bf80f7b0286a54ee"
MEGABYTES = 32

_STEPS = (
    f"1. sign in and accept the conditions on https://huggingface.co/{REPOSITORY} "
    "2. make a read token on https://huggingface.co/settings/tokens "
    f"3. HF_TOKEN=hf_... callscan models fetch {COMMUNITY}"
)


def installed() -> bool:
    """Whether the extra ``pyannote`` is installed; imports nothing of it."""
    return find_spec("pyannote") is not None and find_spec("pyannote.audio") is not None


def locate(name: str) -> Path | None:
    """The folder of a pipeline: ``off``, ``auto``, ``demo``, ``community-1`` or a folder; None where there is none.

    ``auto`` is community-1 where it can be used as things stand: the extra is installed and its weights are on
    this machine. What was asked for by name and cannot be had is a ModelError, with the steps that lead there.
    """
    if name == "off":
        return None
    if name == "auto":
        return cached() if installed() else None
    if not installed():
        raise ModelError(
            f"diarization {name!r} needs pyannote.audio, which is not installed",
            'pip install "callscan[pyannote]", or leave mono calls without speakers: --diarization off',
        )
    if name == "demo":
        return DEMO
    if name == COMMUNITY:
        return cached() or fetch()
    folder = Path(name).expanduser()
    if not (folder / "config.yaml").is_file():
        raise ModelError(
            f"no diarization pipeline {name!r}: neither a folder with a config.yaml nor one of "
            f"auto, off, demo, {COMMUNITY}"
        )
    return folder


def why_not(name: str) -> str:
    """Why :func:`locate` gives no folder for ``name``, and what to do about it."""
    if name == "off":
        return "diarization is switched off"
    if not installed():
        return 'pyannote.audio is not installed: pip install "callscan[pyannote]"'
    return f"the weights are not on this machine: callscan models fetch {COMMUNITY}"


def cached() -> Path | None:
    """The folder of community-1 if it was fetched before, or None. Asks no network."""
    return hub.cached(REPOSITORY, revision=REVISION)


def fetch() -> Path:
    """Download community-1 at its pinned revision into the hub's cache; logs what and how large before it starts."""
    client = hub.client()
    _log.info("fetching %s: %s, revision %s, %d MB", COMMUNITY, REPOSITORY, REVISION, MEGABYTES)
    try:
        return Path(client.snapshot_download(REPOSITORY, revision=REVISION))
    except client.errors.RepositoryNotFoundError as error:
        # The hub says so of a gated repository, too, to whom it does not know.
        raise ModelError(f"the hub gives {REPOSITORY} only to those who accepted its conditions", _STEPS) from error
    except Exception as error:
        raise ModelError(
            f"cannot fetch {COMMUNITY} ({REPOSITORY}, {MEGABYTES} MB): {hub.cause(error)}",
            f"{_STEPS}; where the hub cannot be reached, give --diarization the folder of a copy",
        ) from error

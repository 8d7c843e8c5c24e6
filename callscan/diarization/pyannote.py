"""pyannote.audio, and with it torch: nothing else in callscan imports either.

Their import takes seconds and stands in functions, so that a scan of stereo calls never pays for it.
"""

from __future__ import annotations

import hashlib
import io
import os
import sys
import warnings
from contextlib import redirect_stdout
from functools import cached_property
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from callscan.config import Device
from callscan.diarization.api import SAMPLE_RATE
from callscan.errors import ModelError
from callscan.records import Turn

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_SHORTEST = 0.1
"""Seconds below which a recording has no turns: pyannote's embedding cannot be taken of it."""

_BATCH = {"cuda": 32, "cpu": 16}


class PyannoteDiariser:
    """A :class:`~callscan.diarization.api.Diariser` on a pipeline directory, loaded when the first mono call comes.

    ``speakers`` is the least and the most voices to find, or None to let the pipeline find out; ``threads`` are
    those of the CPU, 0 for as many as there are cores. ModelError where the pipeline cannot be loaded.
    """

    def __init__(self, folder: Path, *, speakers: tuple[int, int] | None, device: Device, threads: int) -> None:
        self._folder = folder
        self._speakers = speakers
        self._device = device
        self._threads = threads

    @cached_property
    def fingerprint(self) -> str:
        """Hex digest of the pipeline's files, the number of speakers and pyannote.audio's version."""
        digest = hashlib.sha256(f"{version('pyannote.audio')} {self._speakers}".encode())
        for file in sorted(path for path in self._folder.rglob("*") if path.suffix in (".yaml", ".bin", ".npz")):
            digest.update(hashlib.sha256(file.read_bytes()).digest())
        return digest.hexdigest()

    def turns(self, samples: NDArray[np.float32]) -> tuple[Turn, ...]:
        """The turns that the pipeline finds, overlaps included; see :class:`~callscan.diarization.api.Diariser`."""
        duration = len(samples) / SAMPLE_RATE
        if duration < _SHORTEST:
            return ()
        pipeline = self._pipeline
        import torch

        low, high = self._speakers or (None, None)
        waveform = torch.from_numpy(samples)[None]
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()):  # its clustering prints where it stands
            warnings.simplefilter("ignore")  # of statistics over one frame, and of fewer voices than asked for
            found = pipeline(
                {"waveform": waveform, "sample_rate": SAMPLE_RATE, "uri": "call"}, min_speakers=low, max_speakers=high
            )
        turns = [
            Turn(round(max(0.0, segment.start), 3), round(min(duration, segment.end), 3), str(label))
            for segment, _, label in found.speaker_diarization.itertracks(yield_label=True)
        ]
        return tuple(sorted((t for t in turns if t.end > t.start), key=lambda t: (t.start, t.end, t.label)))

    @cached_property
    def _pipeline(self) -> Any:
        audio = libraries()
        import torch

        if self._threads:
            torch.set_num_threads(self._threads)
        device = "cuda" if self._device != "cpu" and torch.cuda.is_available() else "cpu"
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                pipeline = audio.Pipeline.from_pretrained(self._folder).to(torch.device(device))
        except Exception as error:  # whatever a broken config.yaml or checkpoint makes of itself
            raise ModelError(f"{self._folder} is no pipeline that pyannote.audio can load: {error}") from error
        pipeline.segmentation_batch_size = pipeline.embedding_batch_size = _BATCH[device]
        return pipeline


def libraries() -> Any:
    """Import ``pyannote.audio`` with its telemetry off, and give the module.

    pyannote.audio reports what it does to its makers unless ``PYANNOTE_METRICS_ENABLED`` forbids it; the
    variable is set here whatever it was, before the import that reads it.
    """
    os.environ["PYANNOTE_METRICS_ENABLED"] = "0"
    _torchaudio()
    with warnings.catch_warnings():
        # That torchcodec cannot decode files does not matter: samples come from callscan's own decoder.
        warnings.filterwarnings("ignore", message=r"\s*torchcodec is not installed correctly")
        import pyannote.audio
    return pyannote.audio


def _torchaudio() -> None:
    """Import torchaudio, without its native part where that part was built for another torch.

    torchaudio's wheels on PyPI need the CUDA build of one torch version, and ``import torchaudio`` fails beside any
    other, such as the CPU build that is seven times smaller. pyannote.audio uses what is Python in it.
    """
    try:
        import_module("torchaudio")
    except (OSError, RuntimeError):
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchaudio"]:
            del sys.modules[name]
        extension = ModuleType("torchaudio._extension")
        extension.__dict__.update(
            _IS_TORCHAUDIO_EXT_AVAILABLE=False, _IS_ALIGN_AVAILABLE=False, fail_if_no_align=lambda function: function
        )
        sys.modules[extension.__name__] = extension
        import_module("torchaudio")

"""The speech engine: windows of many calls decoded together, prepared while the model works.

A call's text depends on the call alone. Windows are cut from one channel, padded to a length of their own, and only
windows of one length and language share a batch, so the calls beside it change nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

from callscan.config import Speech
from callscan.errors import ModelError
from callscan.speech.api import CallAudio, CallSpeech
from callscan.speech.meter import Meter
from callscan.speech.models import resolve
from callscan.speech.pipeline import Pipeline
from callscan.speech.stages import Stages
from callscan.speech.whisper import Whisper, cuda_devices

VERSION = 2
"""Grows when the same audio and model give another text."""


class WhisperEngine(Stages):
    """A :class:`~callscan.speech.api.SpeechEngine` on a loaded :class:`~callscan.speech.whisper.Whisper`."""

    @property
    def fingerprint(self) -> str:
        """Hex digest of the model and of this engine's version; the batch size changes no text."""
        return hashlib.sha256(f"{VERSION} {self.efforts} {self.model.digest}".encode()).hexdigest()

    @property
    def meter(self) -> Meter:
        """Seconds of ``vad``, ``features``, ``encode``, ``generate``, ``align``; counts of :meth:`hear`."""
        return self.model.meter

    def transcribe(self, calls: Iterable[CallAudio]) -> Iterator[CallSpeech]:
        """One result a call, in the order given; see :mod:`callscan.speech.api`."""
        with Pipeline(self) as pipeline:
            yield from pipeline.run(calls)


def load(options: Speech) -> WhisperEngine:
    """The engine that the settings ask for; a model whose name is known and that is not here is fetched."""
    device = options.device
    if device == "auto":
        device = "cuda" if cuda_devices() else "cpu"
    model = Whisper(resolve(options.model, device), device=device, threads=options.threads)
    if options.language != "auto" and not model.knows(options.language):
        raise ModelError(
            f"the model {options.model} does not know the language {options.language!r}",
            "give --language what it knows, or --model one that knows it",
        )
    return WhisperEngine(model, beam_size=options.beam_size)

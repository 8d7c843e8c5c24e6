"""espeak-ng through its library, which tells when each word begins; the command line does not.

See ``espeak-ng/speak_lib.h`` for the types and numbers used here.
"""

from __future__ import annotations

import ctypes
import ctypes.util
from functools import cache
from pathlib import Path

import numpy as np
import soxr

from demo.voices import RATE, Samples

_SYNCHRONOUS, _CHARACTERS_UTF8, _POSITION_CHARACTER = 2, 1, 1
_EVENT_END, _EVENT_WORD = 0, 1
_RATE, _PITCH = 1, 3


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("name", ctypes.c_char * 8),
    )


_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


@cache
def _library(data: Path | None) -> tuple[ctypes.CDLL, int]:
    library = ctypes.CDLL(ctypes.util.find_library("espeak-ng") or "libespeak-ng.so.1")
    rate = library.espeak_Initialize(_SYNCHRONOUS, 0, bytes(data) if data else None, 0)
    if rate <= 0:
        raise RuntimeError("espeak-ng does not start; install Debian's espeak-ng package")
    return library, rate


def speak_timed(
    text: str, voice: str, *, speed: int, pitch: int, data: Path | None = None
) -> tuple[Samples, list[tuple[str, float]]]:
    """``text`` as in :func:`demo.voices.speak`, and each of its words (split at spaces) with its start in seconds.

    ``data`` is the folder of espeak-ng's data, the installed one if left out; one process can use one.
    """
    library, rate = _library(data)
    chunks: list[bytes] = []
    starts: list[tuple[int, float]] = []

    def receive(samples: ctypes._Pointer[ctypes.c_short], count: int, events: ctypes._Pointer[_Event]) -> int:
        if samples and count:
            chunks.append(ctypes.string_at(samples, 2 * count))
        at = 0
        while events[at].type != _EVENT_END:
            if events[at].type == _EVENT_WORD:
                starts.append((events[at].text_position - 1, events[at].audio_position / 1000))
            at += 1
        return 0

    callback = _CALLBACK(receive)
    library.espeak_SetSynthCallback(callback)
    if library.espeak_SetVoiceByName(voice.replace("fr-fr", "fr").encode()):
        raise RuntimeError(f"espeak-ng has no voice {voice}")
    library.espeak_SetParameter(_RATE, speed, 0)
    library.espeak_SetParameter(_PITCH, pitch, 0)
    encoded = text.encode()
    library.espeak_Synth(encoded, len(encoded) + 1, 0, _POSITION_CHARACTER, 0, _CHARACTERS_UTF8, None, None)
    library.espeak_Synchronize()
    raw = np.frombuffer(b"".join(chunks), "<i2").astype(np.float32) / 32768
    loud = np.flatnonzero(np.abs(raw) > 0.005)
    first, last = (int(loud[0]), int(loud[-1]) + 1) if len(loud) else (0, 0)
    samples = soxr.resample(raw[first:last], rate, RATE).astype(np.float32)
    words, at = [], 0
    for word in text.split():
        here = [start for position, start in starts if at <= position < at + len(word)]
        if here:
            words.append((word, max(0.0, min(here) - first / rate)))
        elif any(c.isalnum() for c in word):
            words.append((word, words[-1][1] if words else 0.0))
        at += len(word) + 1
    return samples, words

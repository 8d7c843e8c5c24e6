"""The exceptions callscan raises, and the reasons a call can fail with.

::

    CallscanError             one clear line and a hint; the command line exits with code 2
    ├── UsageError            what was asked for cannot be done: paths, options, settings
    ├── ConfigError           a settings or lexicon file is wrong; names file, line and column
    ├── ModelError            a model cannot be found, fetched or loaded
    ├── ArchiveError          the archive cannot be read or written (newer format, locked, damaged)
    └── RecordingError        one recording failed: carries a reason code, becomes a status, never stops a run
"""

from __future__ import annotations

from typing import Final

REASONS: Final[dict[str, str]] = {
    "unreadable": "the file could not be opened or read",
    "not_a_file": "a folder, device, socket or pipe, not a regular file",
    "outside": "a symbolic link that leads out of the folder that is scanned",
    "empty": "the file holds no bytes",
    "no_audio": "the file holds no audio stream or no samples",
    "not_audio": "the content is not audio: a web page, an archive, encrypted bytes or a vendor's format",
    "playlist": "the content is a playlist or manifest that would read other files",
    "unsupported": "the container or codec is not supported",
    "corrupt": "nothing could be decoded",
    "truncated": "the file ends before its header says it does",
    "lost_audio": "part of the audio could not be decoded",
    "implausible": "the sample rate, channel count or length is outside what a recording can have",
    "limit_time": "decoding took longer than its limit",
    "limit_memory": "decoding needed more memory than its limit",
    "decoder_crash": "the decoder died on this file",
    "worker_crash": "the worker died twice on this call",
    "no_speech": "nobody speaks",
    "coverage": "too little of the speech became words",
    "engine": "the speech model failed on this call",
    "changing": "the file was still being written",
    "interrupted": "the run that discovered it was stopped before its turn",
    "same_bytes": "the same bytes were already counted under another name",
    "internal": "an unexpected error in callscan",
}
"""Every reason code that a report can hold, with what it means."""


class CallscanError(Exception):
    """Something a person can mend: ``message`` says what is wrong, ``hint`` what to do next."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(CallscanError):
    """What was asked for cannot be done."""


class ConfigError(CallscanError):
    """A settings or lexicon file is wrong.

    ``where`` is ``file:line:column`` as far as it is known.
    """

    def __init__(self, message: str, hint: str = "", *, where: str = "") -> None:
        super().__init__(f"{where}: {message}" if where else message, hint)
        self.where = where


class ModelError(CallscanError):
    """A model cannot be found, fetched or loaded."""


class ArchiveError(CallscanError):
    """The archive cannot be read or written."""


class RecordingError(CallscanError):
    """One recording failed; ``reason`` is a key of :data:`REASONS`."""

    def __init__(self, reason: str, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.reason = reason

"""What became of a recording: its record, whatever happened. Here, and only here, an exception becomes a status."""

from __future__ import annotations

from types import MappingProxyType

from callscan.archive.inventory import Planned
from callscan.errors import CallscanError, RecordingError
from callscan.records import CallRecord, Status


def record(planned: Planned, status: Status, key: str, reason: str = "", detail: str = "") -> CallRecord:
    """The record of a planned recording, without what was heard in it."""
    return CallRecord(
        call_id=planned.call_id,
        uri=planned.recording.uri,
        key=key,
        status=status,
        reason=reason,
        detail=detail,
        size=planned.recording.size,
        metadata=MappingProxyType(dict(planned.metadata)),
    )


def duplicate(planned: Planned, key: str) -> CallRecord:
    """The record of a recording whose bytes are those of another one."""
    return record(planned, "duplicate", key, "same_bytes")


def failed(planned: Planned, key: str, error: Exception) -> CallRecord:
    """The record of a recording that ``error`` befell; raises it again where it has to stop the run."""
    reraise_fatal(error)
    reason = error.reason if isinstance(error, RecordingError) else "internal"
    if reason == "changing":
        return record(planned, "deferred", "", reason, message(error))
    return record(planned, "quarantined", key, reason, message(error))


def reraise_fatal(error: Exception) -> None:
    """What is wrong with the archive, the model or the settings is not wrong with a call."""
    if isinstance(error, CallscanError) and not isinstance(error, RecordingError):
        raise error


def message(error: Exception) -> str:
    """An error in one line."""
    return error.message if isinstance(error, CallscanError) else f"{type(error).__name__}: {error}"

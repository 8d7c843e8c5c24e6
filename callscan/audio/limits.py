"""What one recording may cost before it is given up."""

from __future__ import annotations

from dataclasses import dataclass

SAMPLE_RATE = 16_000
"""Samples per second of every decoded channel: what Whisper and Silero were trained on."""

SAMPLE_BYTES = 2
"""Decoded samples are signed 16-bit integers, native byte order."""

MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class DecodeLimits:
    """Limits of one decoding process. The defaults let every call through that a telephone can make.

    ``expansion`` guards against a small file that unfolds to hours: beyond ``free_bytes`` of decoded audio
    (one hour of stereo), the decoded audio may be at most that many times the size of the file. The thriftiest
    telephone codec (AMR at 4.75 kbit/s) unfolds 54 times.
    """

    seconds: float = 300.0
    """Wall-clock seconds, and as many CPU seconds, for one recording."""
    memory: int = 1024 * MIB
    """Address space of the decoding process in bytes; about 250 MiB of it are the libraries."""
    duration: float = 12 * 3600.0
    """Longest recording in seconds."""
    channels: int = 8
    """Most channels in one recording."""
    lowest_rate: int = 4_000
    """Lowest sample rate in the file, Hz."""
    highest_rate: int = 384_000
    """Highest sample rate in the file, Hz."""
    expansion: float = 100.0
    """Most decoded bytes per byte of the file, beyond ``free_bytes``."""
    free_bytes: int = 256 * MIB
    """Decoded bytes that are always allowed."""

"""What the decoding process says about a recording: plain data, checked by the reader."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Facts:
    """The outcome of decoding one recording. Seconds; ``samples`` per channel at 16 kHz.

    ``products`` holds the summed products of every two channels' samples, row by row, and ``loudest`` the mean square
    of each channel's loudest stretch.
    ``problems`` are (reason, detail) pairs that make the recording degraded, ``warnings`` do not.
    """

    container: str
    codec: str
    channels: int
    sample_rate: int
    samples: int
    declared: float
    decoded: float
    lost: float
    products: list[list[float]]
    loudest: list[float]
    problems: list[tuple[str, str]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

"""Decoding one recording into a spool. Runs in the decoding process alone.

An own loop over packets: a bad packet is left out, counted, and what follows it is still heard, at its own time.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import av
import av.error
from av.audio.fifo import AudioFifo
from av.audio.resampler import AudioResampler

from callscan.audio import bounds, riff, sniff
from callscan.audio.facts import Facts
from callscan.audio.limits import SAMPLE_BYTES, SAMPLE_RATE, DecodeLimits
from callscan.audio.source import Source
from callscan.audio.spool import Spool, TooLong
from callscan.errors import RecordingError

_CODECS = """
    pcm_s8 pcm_u8 pcm_s16le pcm_s16be pcm_s24le pcm_s24be pcm_s32le pcm_s32be pcm_s64le pcm_f32le pcm_f32be pcm_f64le
    pcm_f64be pcm_alaw pcm_mulaw pcm_s16le_planar adpcm_ms adpcm_ima_wav adpcm_ima_qt adpcm_ima_oki adpcm_yamaha
    g722 g726 g726le gsm gsm_ms truespeech g723_1 g729 ilbc mp3 mp3float mp2 mp2float mp1 mp1float
    aac aac_latm opus libopus vorbis speex flac alac amrnb amrwb wmav1 wmav2 wmapro wmavoice ac3 eac3 wavpack nellymoser
    qcelp evrc
"""
CODECS = frozenset(_CODECS.split())
"""Decoders that may run: what telephones, recorders and their exports use."""

_TIMELESS = frozenset({"mp3", "aac", "amr", "gsm", "g722"})
"""Formats without time stamps: how much a damaged stretch took is told from its bytes."""

_BATCH = 32_768
"""Samples that are gathered before they are resampled: fewer calls, and still small."""

_SHORT = 0.25
"""Seconds by which time stamps may jitter before a gap is believed."""

_LONGEST_GAP = 600.0
"""Seconds; a longer jump in the time stamps is a wrong time stamp, not a gap."""

_MOST_FAILURES = 1_000
"""The demuxer may fail this often before the rest of the file is given up."""


def unfold(source: Source, spool_descriptor: int, suffix: str, limits: DecodeLimits) -> Facts:
    """Decode ``source`` into the spool and say what it was.

    Raises:
        RecordingError: nothing could be recovered, with the reason.
    """
    if source.size == 0:
        raise RecordingError("empty", "the file holds no bytes", "The recorder made the file and wrote nothing.")
    kind = sniff.identify(source.read_at(0, sniff.HEAD), suffix)
    if not kind.demuxer:
        raise RecordingError(kind.reason, kind.detail, kind.hint)
    shape = bounds.measure(source, kind.demuxer)
    _plausible(shape.riff, limits)
    return _Unfolding(source, spool_descriptor, kind, shape, limits).run()


def _plausible(header: riff.Riff | None, limits: DecodeLimits) -> None:
    if header is not None:
        _demand(header.rate, header.channels, limits)


def _demand(rate: int, channels: int, limits: DecodeLimits) -> None:
    if not limits.lowest_rate <= rate <= limits.highest_rate:
        raise RecordingError("implausible", f"the header says {rate} samples per second", "The header is damaged.")
    if not 1 <= channels <= limits.channels:
        raise RecordingError("implausible", f"the header says {channels} channels", "The header is damaged.")


class _Unfolding:
    """One recording on its way into the spool."""

    def __init__(
        self, source: Source, descriptor: int, kind: sniff.Kind, shape: bounds.Bounds, limits: DecodeLimits
    ) -> None:
        self._source = source
        self._kind = kind
        self._shape = shape
        self._limits = limits
        self._spool = Spool(descriptor, 0)
        self._descriptor = descriptor
        self._resampler: AudioResampler | None = None
        self._fifo = AudioFifo()
        self._form: tuple[str, str, int] | None = None
        self._clock = 0.0  # seconds handed on so far, silence included
        self._base: float | None = None  # time stamp of the clock's zero
        self._hurt = 0  # damaged places since the last good frame
        self._owed = 0.0  # seconds of silence to put in before the next frame
        self._damaged = 0
        self._decoded = 0.0
        self._gaps = 0.0
        self._absent = 0.0
        self._warnings: list[str] = []

    def run(self) -> Facts:
        options = {
            "protocol_whitelist": "none",
            "format_whitelist": av.ContainerFormat(self._kind.demuxer, "r").name,
            "codec_whitelist": ",".join(sorted(CODECS)),
            **dict(self._kind.options),
            **self._shape.options,
        }
        try:
            container = av.open(
                self._source, format=self._kind.demuxer, options=options, buffer_size=1 << 16, metadata_errors="ignore"
            )
        except av.error.MemoryError as error:
            raise MemoryError from error
        except (av.error.FFmpegError, ValueError) as error:
            raise self._unopened(error) from error
        with container:
            return self._through(container)

    def _unopened(self, error: Exception) -> RecordingError:
        if self._shape.cut:
            return RecordingError("truncated", self._shape.cut, "The part that says how to decode it is lost.")
        return RecordingError("corrupt", f"the {self._kind.demuxer} header cannot be read: {_plain(error)}")

    def _through(self, container: Any) -> Facts:
        if not container.streams.audio:
            raise RecordingError("no_audio", "the file holds no audio stream")
        stream = container.streams.audio[0]
        if len(container.streams.audio) > 1:
            self._warnings.append(f"more_streams:{len(container.streams.audio)}")
        context = stream.codec_context
        if context is None or context.name not in CODECS:
            name = f"tag 0x{self._shape.riff.tag:04x}" if self._shape.riff else getattr(context, "name", "unknown")
            hint = "Export the recording as PCM, G.711, GSM, MP3, AAC, Opus or FLAC."
            raise RecordingError("unsupported", f"the codec ({name}) is not supported", hint)
        context.thread_count = 1
        rate, channels = context.sample_rate or 0, context.layout.nb_channels
        _demand(rate, channels, self._limits)
        self._spool = Spool(self._descriptor, self._most(channels))
        self._spool.open(channels)
        try:
            for frame in self._frames(container, stream):
                self._take(frame)
            self._end_section()
        except TooLong:
            raise self._too_long() from None
        self._spool.close()
        if not self._spool.samples:
            raise self._nothing()
        return self._facts(container, stream, rate)

    def _most(self, channels: int) -> int:
        room = max(self._limits.free_bytes, int(self._source.size * self._limits.expansion))
        return min(int(self._limits.duration * SAMPLE_RATE), room // (channels * SAMPLE_BYTES))

    def _too_long(self) -> RecordingError:
        hours = self._spool.samples / SAMPLE_RATE / 3600
        mebibytes = self._source.size / (1 << 20)
        if hours > self._limits.duration / 3600 - 0.1:
            return RecordingError("implausible", f"the recording is longer than {hours:.1f} hours", "Split the file.")
        detail = f"{mebibytes:.1f} MiB unfold to more than {hours:.1f} hours, beyond any telephone codec"
        return RecordingError("implausible", detail, "Look where the file comes from: it may be made to do harm.")

    def _nothing(self) -> RecordingError:
        if self._damaged:
            return RecordingError("corrupt", f"none of {self._damaged} packets could be decoded")
        return RecordingError("no_audio", "the file holds no samples", "The recorder wrote a header and nothing else.")

    def _frames(self, container: Any, stream: Any) -> Iterator[Any]:
        """Every frame that can be decoded; what cannot be is noted on the way."""
        timeless = self._kind.demuxer in _TIMELESS
        expected, first, failures = None, None, 0
        packets = container.demux(stream)
        while True:
            try:
                packet = next(packets, None)
            except av.error.MemoryError as error:
                raise MemoryError from error
            except (av.error.FFmpegError, ValueError):
                failures += 1
                self._wound()
                if failures >= _MOST_FAILURES:
                    return
                packets = container.demux(stream)
                continue
            if packet is None:
                return
            if timeless and packet.size and packet.pos is not None:
                first = packet.pos if first is None else first
                if expected is not None and packet.pos > expected and expected > first:
                    self._wound((packet.pos - expected) * (self._clock + self._owed) / (expected - first))
                expected = packet.pos + packet.size
            if packet.is_corrupt:
                self._wound()
            try:
                yield from packet.decode()
            except av.error.EOFError:
                return
            except av.error.MemoryError as error:
                raise MemoryError from error
            except (av.error.FFmpegError, ValueError):
                lasted = float(packet.duration * packet.time_base) if packet.duration and packet.time_base else 0.0
                self._wound(lasted if timeless else 0.0)

    def _wound(self, seconds: float = 0.0) -> None:
        """Note a damaged place; ``seconds`` are owed where no time stamp will tell."""
        self._damaged += 1
        self._hurt += 1
        self._owed += min(seconds, _LONGEST_GAP)

    def _take(self, frame: Any) -> None:
        if not frame.samples or not frame.sample_rate:
            return
        form = (frame.format.name, frame.layout.name, frame.sample_rate)
        if form != self._form:
            self._end_section()
            _demand(frame.sample_rate, frame.layout.nb_channels, self._limits)
            self._form = form
        self._keep_time(frame)
        self._clock += frame.samples / frame.sample_rate
        self._decoded += frame.samples / frame.sample_rate
        frame.pts = None
        self._fifo.write(frame)
        if self._fifo.samples >= _BATCH:
            self._resample(self._fifo.read())

    def _keep_time(self, frame: Any) -> None:
        """Put silence where audio is missing, so that what follows keeps its time."""
        gap = self._owed
        if self._kind.demuxer not in _TIMELESS and frame.time is not None:
            if self._base is None:
                self._base = frame.time - self._clock
            gap = frame.time - self._base - self._clock
            believable = 0.005 if self._hurt else _SHORT
            if gap < -_SHORT or gap > _LONGEST_GAP:
                self._base = frame.time - self._clock
            if not believable < gap <= _LONGEST_GAP:
                gap = 0.0
        if gap > 0:
            self._end_section()
            self._clock += gap
            self._spool.silence(max(0, round(self._clock * SAMPLE_RATE) - self._spool.samples))
            if self._hurt or self._kind.demuxer in ("ogg", "flac"):
                self._gaps += gap
            else:
                self._absent += gap
        self._hurt, self._owed = 0, 0.0

    def _resample(self, frame: Any) -> None:
        if self._resampler is None:
            if frame is None:
                return
            self._resampler = AudioResampler("s16", frame.layout, SAMPLE_RATE)
        for done in self._resampler.resample(frame):
            size = done.samples * done.layout.nb_channels * SAMPLE_BYTES
            self._write(memoryview(done.planes[0])[:size], done.layout.nb_channels)

    def _write(self, data: memoryview, channels: int) -> None:
        if channels != self._spool.channels:
            import numpy as np

            if "channels_change" not in self._warnings:
                self._warnings.append("channels_change")
            values = np.frombuffer(data, np.int16).reshape(-1, channels)
            fitted = np.zeros((len(values), self._spool.channels), np.int16)
            if channels == 1:
                fitted[:] = values
            else:
                shared = min(channels, self._spool.channels)
                fitted[:, :shared] = values[:, :shared]
            data = memoryview(fitted.tobytes())
        self._spool.write(data)

    def _end_section(self) -> None:
        """Hand on all that waits in the queue and in the resampler's filter."""
        if self._fifo.samples:
            self._resample(self._fifo.read())
        self._resample(None)
        self._resampler = None
        self._fifo = AudioFifo()

    def _facts(self, container: Any, stream: Any, rate: int) -> Facts:
        heard = self._spool.samples / SAMPLE_RATE
        declared = self._shape.declared(container, stream, heard)
        ending = max(0.0, declared - heard)
        if ending < max(0.15, 0.0005 * heard) and not self._shape.cut:
            ending = 0.0
        problems: list[tuple[str, str]] = []
        if ending or self._shape.cut:
            said = f"declared {declared:.1f} s, found {heard:.1f} s" if ending else self._shape.cut
            problems.append(("truncated", said))
        if self._damaged or self._gaps:
            places = f"{self._damaged} damaged places" if self._damaged else "a gap in the stream"
            problems.append(("lost_audio", f"{places}, {self._gaps:.2f} s could not be decoded"))
        if self._absent:
            self._warnings.append(f"gaps:{self._absent:.1f}")
        return Facts(
            container=self._kind.demuxer,
            codec=stream.codec_context.name.removesuffix("float"),
            channels=self._spool.channels,
            sample_rate=rate,
            samples=self._spool.samples,
            declared=max(declared, heard) if declared == 0 else declared,
            decoded=self._decoded,
            lost=ending + self._gaps,
            products=self._spool.products.tolist(),
            problems=problems,
            warnings=self._warnings + list(self._shape.warnings),
        )


def _plain(error: Exception) -> str:
    """FFmpeg's words for an error, without the file's name and the number."""
    return getattr(error, "strerror", None) or str(error)

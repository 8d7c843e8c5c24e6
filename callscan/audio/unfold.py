"""Decoding one recording into a spool. Runs in the decoding process alone."""

from __future__ import annotations

import functools
from contextlib import ExitStack
from typing import Any

import av
import av.error

from callscan.audio import bounds, sniff
from callscan.audio.facts import Facts
from callscan.audio.limits import SAMPLE_BYTES, SAMPLE_RATE, DecodeLimits
from callscan.audio.packets import Packets
from callscan.audio.source import Source
from callscan.audio.spool import Spool, TooLong
from callscan.audio.timeline import Timeline
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

_BLOCKWISE = ("adpcm_", "gsm", "pcm_")
"""Codecs of which each block in a WAVE file can be decoded by itself."""

_GAPLESS = frozenset({"ogg", "flac", "mp4"})
"""Containers whose time stamps leave no gap unless something is lost."""

_PADDING = 0.15
"""Seconds that may miss at the end of a whole file: encoders pad their last frame, and decoders cut it."""


def unfold(source: Source, spool: int, suffix: str, limits: DecodeLimits) -> Facts:
    """Decode ``source`` into the descriptor ``spool`` and say what it was.

    Raises:
        RecordingError: nothing could be recovered, with the reason.
    """
    if source.size == 0:
        raise RecordingError("empty", "the file holds no bytes", "The recorder made the file and wrote nothing.")
    kind = sniff.identify(source.read_at(0, sniff.HEAD), suffix)
    if not kind.demuxer:
        raise RecordingError(kind.reason, kind.detail, kind.hint)
    shape = bounds.measure(source, kind.demuxer)
    if shape.unusable:  # FFmpeg would believe its sizes and ask for gigabytes
        raise RecordingError("truncated", shape.cut, "The recorder died before it could write the header.")
    if shape.riff is not None:
        _demand(limits, shape.riff.rate, shape.riff.channels)
    with ExitStack() as opened:
        container = opened.enter_context(_opened(source, kind, shape))
        stream = _stream(container, shape)

        def reopen(rest: Source) -> tuple[Any, Any] | None:
            try:
                link = opened.enter_context(_opened(rest, kind, shape))
                return link, _stream(link, shape)
            except RecordingError:
                return None

        block = shape.riff.block if shape.riff and stream.codec_context.name.startswith(_BLOCKWISE) else 0
        packets = Packets(container, stream, kind.demuxer, source, block, reopen)
        return _decoded(container, stream, packets, source, spool, kind, shape, limits)


def _demand(limits: DecodeLimits, rate: int, channels: int) -> None:
    hint = "The header is damaged, or the file is made to do harm."
    if not limits.lowest_rate <= rate <= limits.highest_rate:
        raise RecordingError("implausible", f"the header says {rate} samples per second", hint)
    if not 1 <= channels <= limits.channels:
        raise RecordingError("implausible", f"the header says {channels} channels", hint)


def _opened(source: Source, kind: sniff.Kind, shape: bounds.Bounds) -> Any:
    options = {
        "protocol_whitelist": "none",
        "format_whitelist": av.ContainerFormat(kind.demuxer, "r").name,
        "codec_whitelist": ",".join(sorted(CODECS)),
        **dict(kind.options),
        **shape.options,
    }
    try:
        return av.open(source, format=kind.demuxer, options=options, buffer_size=1 << 16, metadata_errors="ignore")
    except av.error.MemoryError as error:
        raise MemoryError from error
    except (av.error.FFmpegError, ValueError) as error:
        if shape.cut:
            hint = "The part that says how to decode it is lost; the recorder's own repair tool may rebuild it."
            raise RecordingError("truncated", shape.cut, hint) from error
        words = getattr(error, "strerror", None) or str(error)
        raise RecordingError("corrupt", f"the {kind.demuxer} header cannot be read: {words}") from error


def _stream(container: Any, shape: bounds.Bounds) -> Any:
    """The stream that is heard.

    Raises:
        RecordingError: there is none that can be decoded.
    """
    if not container.streams.audio:
        raise RecordingError("no_audio", "the file holds no audio stream", "It may be a video or a screen recording.")
    stream = container.streams.audio[0]
    context = stream.codec_context
    if context is None or context.name not in CODECS:
        name = f"WAVE format 0x{shape.riff.tag:04x}" if shape.riff else getattr(context, "name", "unknown")
        hint = "Export the recording as PCM, G.711, GSM, MP3, AAC, Opus or FLAC."
        raise RecordingError("unsupported", f"the codec ({name}) is not supported", hint)
    context.thread_count = 1
    return stream


def _decoded(
    container: Any,
    stream: Any,
    packets: Packets,
    source: Source,
    descriptor: int,
    kind: sniff.Kind,
    shape: bounds.Bounds,
    limits: DecodeLimits,
) -> Facts:
    context = stream.codec_context
    channels = context.layout.nb_channels
    _demand(limits, context.sample_rate or 0, channels)
    room = max(limits.free_bytes, int(source.size * limits.expansion)) // (channels * SAMPLE_BYTES)
    spool = Spool(descriptor, channels, min(int(limits.duration * SAMPLE_RATE), room))
    allowed = functools.partial(_demand, limits)
    timeline = Timeline(spool, allowed, timed=packets.timed, gapless=kind.demuxer in _GAPLESS)
    try:
        if packets.timed:
            timeline.begin_at(bounds.lead(container, stream))
        for frame, damage in packets.frames():
            timeline.add(frame, damage)
        timeline.finish()
    except TooLong:
        raise _too_long(source, spool, limits) from None
    spool.close()
    heard = spool.samples / SAMPLE_RATE - timeline.lead
    if round(heard * SAMPLE_RATE) < 1:
        raise _nothing(packets, shape, timeline.decoded)
    declared = shape.declared(container, stream, heard, limits.duration)
    return _facts(container, stream, kind, shape, spool, packets, timeline, heard, declared)


def _too_long(source: Source, spool: Spool, limits: DecodeLimits) -> RecordingError:
    if spool.limit >= int(limits.duration * SAMPLE_RATE):
        detail = f"the recording is longer than {limits.duration / 3600:.1f} hours"
        return RecordingError("implausible", detail, "Split it, or look whether its header is damaged.")
    hours, mebibytes = spool.limit / SAMPLE_RATE / 3600, source.size / (1 << 20)
    detail = f"{mebibytes:.2f} MiB unfold to more than {hours:.1f} hours, which no telephone codec can"
    return RecordingError("implausible", detail, "Look where the file comes from: it may be made to do harm.")


def _nothing(packets: Packets, shape: bounds.Bounds, decoded: float) -> RecordingError:
    if decoded:  # too few samples for one at the rate of the spool
        detail = f"the file holds {decoded * 1000:.3f} ms of audio, too little to be a sound"
        if shape.cut:
            return RecordingError("truncated", f"{shape.cut}: {detail}", "The recorder died as soon as it had begun.")
        return RecordingError("no_audio", detail, "The recorder stopped as soon as it had begun.")
    if packets.places:
        return RecordingError("corrupt", f"none of {packets.places} packets could be decoded")
    if shape.cut:
        return RecordingError("truncated", shape.cut, "No samples are left.")
    return RecordingError("no_audio", "the file holds no samples", "The recorder wrote a header and nothing else.")


def _facts(
    container: Any,
    stream: Any,
    kind: sniff.Kind,
    shape: bounds.Bounds,
    spool: Spool,
    packets: Packets,
    timeline: Timeline,
    heard: float,
    declared: float,
) -> Facts:
    missing = max(0.0, declared - heard)
    behind = packets.pending.places if packets.pending else 0  # packets behind the last good frame
    cut = shape.cut or ("the file ends inside a packet" if packets.cut and not shape.measured else "")
    problems: list[tuple[str, str]] = []
    lost = timeline.lost
    places = packets.places
    if missing > max(_PADDING, 0.0005 * heard):
        lost += missing
        said = f"declared {declared:.1f} s, found {heard:.1f} s"
        if behind > 1:
            problems.append(("lost_audio", f"{said}: the last {behind} packets cannot be decoded"))
            places -= behind
        elif packets.timed or not places - behind:
            problems.append(("truncated", said))
            places -= behind
    elif cut or behind:
        problems.append(("truncated", cut or "the last packet cannot be decoded"))
        places -= behind
    if places or timeline.lost:
        what = f"{places} damaged place{'s' * (places != 1)}" if places else "a gap in the stream"
        problems.append(("lost_audio", f"{what}, {lost if not problems else timeline.lost:.2f} s lost"))
    streams = len(container.streams.audio)
    if streams > 1:
        problems.append(("lost_audio", f"the file holds {streams} audio streams, of which one is heard"))
    warnings = list(shape.warnings)
    if timeline.paused:
        warnings.append(f"gaps:{timeline.paused:.1f}")
    if timeline.channels_change:
        warnings.append("channels_change")
    return Facts(
        container=kind.demuxer,
        codec=stream.codec_context.name.removesuffix("float"),
        channels=spool.channels,
        sample_rate=stream.codec_context.sample_rate,
        samples=spool.samples,
        declared=declared,
        decoded=timeline.decoded,
        lost=lost,
        products=spool.products.tolist(),
        loudest=spool.loudest.tolist(),
        problems=problems,
        warnings=warnings,
    )

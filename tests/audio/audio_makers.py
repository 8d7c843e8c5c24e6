"""Makes recordings for the tests: sounds, files in the formats of recorders, and damage to them."""

from __future__ import annotations

import random
import struct
import tempfile
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
from av.audio.resampler import AudioResampler

Samples = npt.NDArray[np.int16]
"""Shape (n, channels), 16 bits."""


def chatter(seconds: float, rate: int = 8000, seed: int = 0, level: float = 0.3) -> Samples:
    """One channel of syllable-like bursts of tones, never the same twice, so that a place in it can be found again."""
    rng = np.random.default_rng(seed)
    n = round(seconds * rate)
    time = np.arange(n) / rate
    values = np.zeros(n)
    for start in np.arange(0, seconds, 0.25):
        part = slice(round(start * rate), min(n, round((start + 0.2) * rate)))
        at = time[part] - start
        pitch = rng.uniform(100, 300)
        for harmonic in range(1, 8):
            values[part] += rng.uniform(0.2, 1) * np.sin(2 * np.pi * pitch * harmonic * at) / harmonic
        values[part] *= np.hanning(max(1, values[part].size))
    peak = np.abs(values).max(initial=1e-9)
    return (values / peak * level * 32767).astype(np.int16).reshape(-1, 1)


def stereo(seconds: float, rate: int = 8000) -> Samples:
    """Two channels with different voices."""
    return channels(2, seconds, rate)


def channels(count: int, seconds: float, rate: int = 8000) -> Samples:
    """``count`` channels, each with a voice of its own."""
    return np.hstack([chatter(seconds, rate, seed) for seed in range(count)])


def tone(seconds: float, *hertz: float, rate: int = 8000, level: float = 0.3) -> Samples:
    """One channel with a sum of sine waves."""
    time = np.arange(round(seconds * rate)) / rate
    values = sum(np.sin(2 * np.pi * frequency * time) for frequency in hertz) / max(1, len(hertz))
    return (np.asarray(values) * level * 32767).astype(np.int16).reshape(-1, 1)


def noise(seconds: float, rate: int = 8000, level: float = 0.1, seed: int = 0) -> Samples:
    """One channel of white noise."""
    values = np.random.default_rng(seed).normal(0, level / 3, round(seconds * rate))
    return (values.clip(-1, 1) * 32767).astype(np.int16).reshape(-1, 1)


def silence(seconds: float, rate: int = 8000, count: int = 1) -> Samples:
    """Digital silence."""
    return np.zeros((round(seconds * rate), count), np.int16)


def encoded(
    samples: Samples, rate: int, codec: str, container: str, *, bit_rate: int = 0, options: dict[str, str] | None = None
) -> bytes:
    """A file in any format that PyAV writes."""
    count = samples.shape[1]
    layout = {1: "mono", 2: "stereo", 3: "2.1", 4: "4.0", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}[count]
    with (
        tempfile.NamedTemporaryFile() as file,
        av.open(file.name, "w", format=container, options=options or {}) as output,
    ):
        stream = output.add_stream(codec, rate=rate, layout=layout, options={"strict": "experimental"})
        if bit_rate:
            stream.bit_rate = bit_rate
        resampler = AudioResampler(stream.codec_context.format, layout, rate)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples).reshape(1, -1), "s16", layout)
        frame.sample_rate = rate
        frame.time_base = Fraction(1, rate)
        frame.pts = 0
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            for packet in stream.encode(part):
                output.mux(packet)
        for packet in stream.encode(None):
            output.mux(packet)
        output.close()
        return Path(file.name).read_bytes()


def filmed(
    samples: Samples, rate: int, container: str, *, codec: str = "pcm_s16le", late: float = 0.0, film: float = 0.0
) -> bytes:
    """A file whose audio begins at ``late`` seconds, beside ``film`` seconds of video (none if 0)."""
    layout = "mono" if samples.shape[1] == 1 else "stereo"
    with tempfile.NamedTemporaryFile() as file, av.open(file.name, "w", format=container) as output:
        video = output.add_stream("mpeg4", rate=5, width=64, height=64, pix_fmt="yuv420p") if film else None
        audio = output.add_stream(codec, rate=rate, layout=layout)
        packets = []
        resampler = AudioResampler(audio.codec_context.format, layout, rate)
        for start in range(0, len(samples), rate // 50):
            part = np.ascontiguousarray(samples[start : start + rate // 50]).reshape(1, -1)
            frame = av.AudioFrame.from_ndarray(part, "s16", layout)
            frame.sample_rate = rate
            (frame,) = resampler.resample(frame)
            frame.pts, frame.time_base = start + round(late * rate), Fraction(1, rate)
            packets += audio.encode(frame)
        packets += audio.encode(None)
        for number in range(int(film * 5)):
            picture = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), "rgb24")
            picture.pts, picture.time_base = number, Fraction(1, 5)
            packets += video.encode(picture)
        packets += video.encode(None) if video else []
        for packet in sorted(packets, key=lambda packet: (packet.dts or 0) * packet.time_base):
            output.mux(packet)
        output.close()
        return Path(file.name).read_bytes()


def chunk(name: bytes, body: bytes, size: int | None = None) -> bytes:
    """A RIFF chunk; ``size`` declares another size than the true one."""
    return name + struct.pack("<I", len(body) if size is None else size) + body + b"\0" * (len(body) & 1)


def riff(
    data: bytes,
    *,
    tag: int = 1,
    count: int = 1,
    rate: int = 8000,
    bits: int = 16,
    block: int | None = None,
    extra: bytes = b"",
    size: int | None = None,
    before: bytes = b"",
    after: bytes = b"",
) -> bytes:
    """A WAVE file around ``data``; ``size`` is what its data chunk declares."""
    block = count * bits // 8 if block is None else block
    form = (
        struct.pack("<HHIIHH", tag, count, rate & 0xFFFFFFFF, rate * block & 0xFFFFFFFF, block & 0xFFFF, bits) + extra
    )
    body = b"WAVE" + before + chunk(b"fmt ", form) + chunk(b"data", data, size) + after
    return b"RIFF" + struct.pack("<I", len(body)) + body


def wav(
    samples: Samples, rate: int = 8000, *, size: int | None = None, after: bytes = b"", before: bytes = b""
) -> bytes:
    """A 16-bit PCM WAVE file."""
    return riff(
        samples.astype("<i2").tobytes(), count=samples.shape[1], rate=rate, size=size, after=after, before=before
    )


def gsm_frames(seconds: float, seed: int = 0) -> list[list[tuple[int, int]]]:
    """Frames of GSM 06.10 as (value, bits) pairs: a buzz whose loudness and pitch change."""
    rng, frames = random.Random(seed), []
    for _ in range(round(seconds * 50)):
        fields = [
            (rng.randrange(20, 44), 6),
            (rng.randrange(20, 44), 6),
            (16, 5),
            (16, 5),
            (8, 4),
            (8, 4),
            (4, 3),
            (4, 3),
        ]
        loud = rng.randrange(20, 50)
        for _ in range(4):
            fields += [(40 + rng.randrange(40), 7), (2, 2), (rng.randrange(4), 2), (loud, 6)]
            fields += [(rng.randrange(8), 3) for _ in range(13)]
        frames.append(fields)
    return frames


def gsm(seconds: float, seed: int = 0) -> bytes:
    """A raw GSM 06.10 file: frames of 33 bytes that begin with 0xD."""
    output = bytearray()
    for fields in gsm_frames(seconds, seed):
        number, bits = 0xD, 4
        for value, width in fields:
            number, bits = number << width | value, bits + width
        output += number.to_bytes(bits // 8, "big")
    return bytes(output)


def gsm_wav(seconds: float, seed: int = 0) -> bytes:
    """GSM 06.10 in a WAVE file: two frames in 65 bytes, least significant bit first."""
    output, frames = bytearray(), gsm_frames(seconds, seed)
    for pair in zip(frames[::2], frames[1::2], strict=False):
        number, bits = 0, 0
        for value, width in [field for fields in pair for field in fields]:
            number, bits = number | value << bits, bits + width
        output += number.to_bytes(bits // 8, "little")
    return riff(bytes(output), tag=0x31, bits=0, block=65, extra=struct.pack("<HH", 2, 320))


def flac(seconds: float, rate_code: int = 5, rate: int = 16000, padding: int = 0) -> bytes:
    """A stereo FLAC file of one constant value: 20 bytes for every four seconds; ``padding`` bytes of nothing."""
    block, value = 65_535, 100
    count = round(seconds * rate / block)
    total = count * block
    form = (
        struct.pack(">HH6x", block, block)
        + ((rate << 44) | (1 << 41) | (15 << 36) | total).to_bytes(8, "big")
        + bytes(16)
    )
    output = [
        b"fLaC",
        b"\x00" + len(form).to_bytes(3, "big") + form,
        b"\x81" + padding.to_bytes(3, "big") + bytes(padding),
    ]
    for number in range(count):
        head = b"\xff\xf8" + bytes([0x70 | rate_code, 0x18]) + chr(number).encode("utf-8", "surrogatepass")
        head += struct.pack(">H", block - 1)
        frame = head + bytes([_crc(head, 8, 0x07)]) + 2 * struct.pack(">Bh", 0, value)
        output.append(frame + _crc(frame, 16, 0x8005).to_bytes(2, "big"))
    return b"".join(output)


def _crc(data: bytes, width: int, polynomial: int) -> int:
    value, top = 0, 1 << (width - 1)
    for byte in data:
        value ^= byte << (width - 8)
        for _ in range(8):
            value = (value << 1 ^ (polynomial if value & top else 0)) & ((1 << width) - 1)
    return value


def zeroed(data: bytes, start: float, share: float) -> bytes:
    """``share`` of a file, from ``start`` (0 to 1) on, overwritten with zeros."""
    first, length = int(len(data) * start), int(len(data) * share)
    return data[:first] + bytes(length) + data[first + length :]


def scrambled(data: bytes, start: float, share: float, seed: int = 0) -> bytes:
    """``share`` of a file, from ``start`` (0 to 1) on, overwritten with random bytes."""
    first, length = int(len(data) * start), int(len(data) * share)
    return data[:first] + random.Random(seed).randbytes(length) + data[first + length :]


def cut(data: bytes, share: float) -> bytes:
    """The first ``share`` of a file."""
    return data[: int(len(data) * share)]


def write(path: Path, data: bytes | Sequence[int]) -> Path:
    """Write a file and say where."""
    path.write_bytes(bytes(data))
    return path

"""What a file claims of its length, when its audio begins, and how much of it is lost: true, or not said."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import audio_makers as makers
import numpy as np
import pytest

from callscan.audio import Decoder
from callscan.errors import RecordingError

RATE = 16_000


@pytest.fixture(scope="module")
def decoder() -> Iterator[Decoder]:
    with Decoder() as decoder:
        yield decoder


@pytest.mark.parametrize(
    ("container", "late", "film"),
    [
        ("matroska", 3, 0),
        ("matroska", 1_000_000, 0),
        ("matroska", 0, 9),
        ("matroska", 3, 12),
        ("avi", 0, 9),
    ],
)
def test_only_the_audio_counts_as_its_length(
    container: str, late: float, film: float, decoder: Decoder, tmp_path: Path
) -> None:
    data = makers.filmed(makers.stereo(6, RATE), RATE, container, late=late, film=film)
    with decoder.decode(makers.write(tmp_path / "a", data)) as call:
        assert (call.problems, call.warnings) == ((), ())
        assert (call.info.declared, call.info.decoded, call.info.lost) == (6, 6, 0)


def test_webm_that_begins_late_is_whole(decoder: Decoder, tmp_path: Path) -> None:
    data = makers.filmed(makers.stereo(6, 48_000), 48_000, "webm", codec="libopus", late=3)
    with decoder.decode(makers.write(tmp_path / "a.webm", data)) as call:
        assert (call.problems, call.info.lost) == ((), 0)
        assert call.info.declared == pytest.approx(6, abs=0.02)


@pytest.mark.parametrize(("container", "codec"), [("matroska", "pcm_s16le"), ("mp4", "aac")])
def test_audio_that_begins_after_the_video_stands_where_a_player_has_it(
    container: str, codec: str, decoder: Decoder, tmp_path: Path
) -> None:
    samples = makers.chatter(6, RATE)
    data = makers.filmed(samples, RATE, container, codec=codec, late=3, film=9)
    with decoder.decode(makers.write(tmp_path / "a", data)) as call:
        assert (call.problems, call.info.lost) == ((), 0)
        assert call.info.decoded == pytest.approx(6, abs=0.1)
        assert call.duration == pytest.approx(9, abs=0.1)
        assert not call.read(0, 0, 2.9).any()
        heard, expected = call.read(0, 2.9, 4.9), samples[:RATE, 0].astype(np.float32)
        likeness = [heard[shift : shift + RATE] @ expected for shift in range(0, RATE, 16)]
        assert np.argmax(likeness) * 16 / RATE == pytest.approx(0.1, abs=0.01)


@pytest.mark.parametrize(("container", "chunk"), [("matroska", b"\xa3"), ("avi", b"wb")])
@pytest.mark.parametrize("film", [0, 6])
def test_a_cut_between_two_packets_is_told(
    container: str, chunk: bytes, film: float, decoder: Decoder, tmp_path: Path
) -> None:
    data = makers.filmed(makers.stereo(6, RATE), RATE, container, film=film)
    data = data.replace(b"DURATION", b"COMMENT.")  # not every program writes how long each stream is
    at = data.rindex(chunk, 0, len(data) * 6 // 10) - (2 if container == "avi" else 0)
    with decoder.decode(makers.write(tmp_path / "a", data[:at])) as call:
        assert [reason for reason, _ in call.problems] == ["truncated"]
        assert call.info.decoded == pytest.approx(3.6, abs=0.3)


_ID3V1 = b"TAG" + bytes(125)
_PICTURE = b"ID3\x04\0\0\0\0\x3f\x76" + random.Random(1).randbytes(0x3F << 7 | 0x76)
_APE_SIZES = (2000).to_bytes(4, "little") + (40).to_bytes(4, "little") + bytes(4)
_APE = b"".join(
    [b"APETAGEX", _APE_SIZES, b"\0\0\0\xa0", bytes(8), bytes(8), b"APETAGEX", _APE_SIZES, b"\0\0\0\x80", bytes(8)]
)


@pytest.mark.parametrize("between", [b"", _ID3V1, _APE, _APE + _ID3V1, _PICTURE])
@pytest.mark.parametrize("options", [{}, {"write_xing": "0"}, {"id3v2_version": "0"}])
@pytest.mark.parametrize("bit_rate", [0, 32_000])
def test_joined_mp3s_are_whole(
    between: bytes, options: dict[str, str], bit_rate: int, decoder: Decoder, tmp_path: Path
) -> None:
    voices = [makers.chatter(seconds, 8000, seed) for seed, seconds in enumerate((4, 12, 6))]
    parts = [makers.encoded(voice, 8000, "libmp3lame", "mp3", bit_rate=bit_rate, options=options) for voice in voices]
    with decoder.decode(makers.write(tmp_path / "a.mp3", between.join(parts) + between)) as call:
        assert (call.problems, call.warnings) == ((), ())
        assert call.info.lost == 0
        assert call.info.decoded == pytest.approx(22, abs=0.7)  # each part is padded by its encoder
        assert call.info.declared == pytest.approx(call.info.decoded, abs=0.2)


@pytest.mark.parametrize("after", [b"", _ID3V1, _APE, _APE + _ID3V1])
@pytest.mark.parametrize("before", [b"", _PICTURE])
def test_an_mp3_says_how_much_of_it_is_cut(before: bytes, after: bytes, decoder: Decoder, tmp_path: Path) -> None:
    data = makers.encoded(makers.chatter(20, 8000), 8000, "libmp3lame", "mp3")
    with decoder.decode(makers.write(tmp_path / "whole.mp3", before + data + after)) as call:
        assert call.problems == ()
        assert call.info.declared == pytest.approx(20, abs=0.1)
    with decoder.decode(makers.write(tmp_path / "cut.mp3", before + makers.cut(data, 0.5))) as call:
        assert [reason for reason, _ in call.problems] == ["truncated"]
        assert call.info.declared == pytest.approx(20, abs=0.1)
        assert call.info.lost == pytest.approx(10, abs=0.5)


@pytest.mark.parametrize("after", [b"", _APE[-32:], _APE[-32:-4]])
def test_an_mp3_cut_in_its_first_frame_has_no_sound(after: bytes, decoder: Decoder, tmp_path: Path) -> None:
    data = makers.encoded(makers.chatter(1, 8000), 8000, "libmp3lame", "mp3", bit_rate=32_000)[:83]
    with pytest.raises(RecordingError) as caught:
        decoder.decode(makers.write(tmp_path / "a.mp3", data + after))
    assert caught.value.reason in ("corrupt", "no_audio")


def test_sound_behind_a_tag_of_a_wrong_size_is_heard(decoder: Decoder, tmp_path: Path) -> None:
    parts = [makers.encoded(makers.chatter(4, 8000, seed), 8000, "libmp3lame", "mp3") for seed in range(2)]
    with decoder.decode(makers.write(tmp_path / "a.mp3", (b"ID3\x04\0\0\x7f\x7f\x7f\x7f").join(parts))) as call:
        assert call.info.decoded == pytest.approx(8, abs=0.4)

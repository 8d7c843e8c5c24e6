"""Decoded calls: the right samples, at the right time, on the right channel."""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import audio_makers as makers
import fsspec
import numpy as np
import numpy.typing as npt
import pytest
from audio_cases import whole

from callscan.audio import Decoder, files, hash_file
from callscan.errors import RecordingError
from callscan.records import Recording

RATE = 16_000
Audio = npt.NDArray[np.float32]


@pytest.fixture(scope="module")
def decoder() -> Iterator[Decoder]:
    with Decoder() as decoder:
        yield decoder


def _likeness(one: Audio, other: Audio) -> float:
    n = min(len(one), len(other))
    one, other = one[:n], other[:n]
    return float(one @ other / np.sqrt((one @ one) * (other @ other) + 1e-12))


def _offset(part: Audio, where: Audio) -> int:
    """Where in ``where`` the samples of ``part`` stand."""
    size = 1 << (len(part) + len(where)).bit_length()
    found = np.fft.irfft(np.fft.rfft(where, size) * np.conj(np.fft.rfft(part, size)), size)
    return int(found[: len(where) - len(part)].argmax())


def test_samples_at_16_khz_are_unchanged(decoder: Decoder, tmp_path: Path) -> None:
    samples = makers.stereo(3, RATE)
    with decoder.decode(makers.write(tmp_path / "a.wav", makers.wav(samples, RATE))) as call:
        for channel in range(2):
            heard = call.read(channel, 0, 3)
            assert heard.dtype == np.float32
            np.testing.assert_array_equal(heard, samples[:, channel].astype(np.float32) / 32768)


@pytest.mark.parametrize("count", range(1, 9))
def test_channels_stay_apart_and_in_order(count: int, decoder: Decoder, tmp_path: Path) -> None:
    path = makers.write(tmp_path / "a.wav", makers.wav(makers.channels(count, 3)))
    with decoder.decode(path) as call:
        heard = [call.read(channel, 0, 3) for channel in range(call.channels)]
        for channel in range(count):
            alone = makers.wav(makers.chatter(3, seed=channel))
            with decoder.decode(makers.write(tmp_path / "b.wav", alone)) as mono:
                expected = mono.read(0, 0, 3)
            assert [_likeness(expected, other) > 0.999 for other in heard] == [n == channel for n in range(count)]


def test_any_part_can_be_read(decoder: Decoder, tmp_path: Path) -> None:
    with decoder.decode(makers.write(tmp_path / "a.wav", makers.wav(makers.stereo(3)))) as call:
        everything = call.read(1, 0, 3)
        np.testing.assert_array_equal(call.read(1, 1, 2), everything[RATE : 2 * RATE])
        np.testing.assert_array_equal(call.read(1, 2.5, 99), everything[40_000:])
        assert len(call.read(1, -1, 0)) == len(call.read(1, 5, 9)) == len(call.read(1, 2, 1)) == 0
        with pytest.raises(IndexError):
            call.read(2, 0, 1)


def test_a_kept_channel_is_read_where_it_stands_in_the_file(decoder: Decoder, tmp_path: Path) -> None:
    one, two = makers.chatter(3, RATE, 0), makers.chatter(3, RATE, 1)
    path = makers.write(tmp_path / "a.wav", makers.wav(np.hstack([one, one, two]), RATE))
    with decoder.decode(path) as call:
        assert (call.channels, call.info.channels) == (2, 3)
        np.testing.assert_array_equal(call.read(1, 0, 3), two[:, 0].astype(np.float32) / 32768)


@pytest.mark.parametrize("rate", [8000, 11_025, 22_050, 44_100, 48_000])
def test_resampling_keeps_pitch_and_level(rate: int, decoder: Decoder, tmp_path: Path) -> None:
    path = makers.write(tmp_path / "a.wav", makers.wav(makers.tone(2, 1000, rate=rate, level=0.5), rate))
    with decoder.decode(path) as call:
        assert call.duration == pytest.approx(2, abs=0.01)
        spectrum = np.abs(np.fft.rfft(call.read(0, 0.5, 1.5)))
        assert spectrum.argmax() == 1000
        assert spectrum[1000] / (RATE / 2) == pytest.approx(0.5, rel=0.02)


_STAMPED = ("opus", "vorbis", "mp4", "flac", "webm", "ima", "ms")
_UNSTAMPED = ("mp3", "mp3 without length", "adts")


# What follows the damage stands where it stood if there are time stamps, and less than a syllable away if the time is
# told from the bytes. AMR is not here: frames of silence are shorter than others, and zeros are such frames.
@pytest.mark.parametrize(
    ("kind", "tolerance"),
    [*((kind, 0.02) for kind in _STAMPED), *((kind, 0.15) for kind in _UNSTAMPED)],
)
@pytest.mark.parametrize("spoil", [makers.scrambled, makers.zeroed])
def test_what_follows_damage_keeps_its_time(
    kind: str, tolerance: float, spoil: object, decoder: Decoder, tmp_path: Path
) -> None:
    assert callable(spoil)
    data = whole(kind)
    with decoder.decode(makers.write(tmp_path / "whole", data)) as call:
        expected = call.read(0, 4.5, 5.5)
    with decoder.decode(makers.write(tmp_path / "spoilt", spoil(data, 0.4, 0.05))) as call:
        heard = call.read(0, 3.5, 6)
    offset = _offset(expected, heard)
    assert _likeness(expected, heard[offset : offset + RATE]) > 0.95
    assert offset / RATE == pytest.approx(1, abs=tolerance)


def test_lost_seconds_are_counted(decoder: Decoder, tmp_path: Path) -> None:
    data = makers.cut(makers.wav(makers.stereo(60)), 41.2 / 60)
    with decoder.decode(makers.write(tmp_path / "a.wav", data)) as call:
        assert call.problems == (("truncated", "declared 60.0 s, found 41.2 s"),)
        assert call.info.declared == pytest.approx(60, abs=0.01)
        assert call.info.decoded == pytest.approx(41.2, abs=0.01)
        assert call.info.lost == pytest.approx(18.8, abs=0.01)


def test_samples_behind_too_small_a_header_are_heard(decoder: Decoder, tmp_path: Path) -> None:
    with decoder.decode(makers.write(tmp_path / "a.wav", makers.wav(makers.stereo(3), size=100))) as call:
        assert (call.duration, call.problems, call.warnings) == (3, (), ("header_too_small",))


def test_trailing_chunks_are_not_heard(decoder: Decoder, tmp_path: Path) -> None:
    after = makers.chunk(b"LIST", bytes(3001))
    with decoder.decode(makers.write(tmp_path / "a.wav", makers.wav(makers.stereo(3), after=after))) as call:
        assert (call.duration, call.problems, call.warnings) == (3, (), ())


def test_open_files_and_discovered_recordings(decoder: Decoder, tmp_path: Path) -> None:
    data = makers.wav(makers.stereo(2))
    path = makers.write(tmp_path / "a.wav", data)
    for source in (str(path), path, Recording(str(path), len(data)), io.BytesIO(data)):
        with decoder.decode(source) as call:
            assert call.duration == 2
    with open(path, "rb") as file:
        decoder.decode(file).close()
        assert not file.closed


def test_remote_recordings_are_copied(decoder: Decoder) -> None:
    data = makers.wav(makers.stereo(2))
    store = fsspec.filesystem("memory")
    store.pipe("/x/a.wav", data)
    try:
        with decoder.decode("memory://x/a.wav") as call:
            assert call.duration == 2
        assert hash_file("memory://x/a.wav") == __import__("hashlib").sha256(data).hexdigest()
        with pytest.raises(RecordingError) as caught:
            decoder.decode("memory://x/none.wav")
        assert caught.value.reason == "unreadable"
    finally:
        store.rm("/x", recursive=True)


def test_a_file_that_grows_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = makers.write(tmp_path / "a.wav", makers.wav(makers.stereo(2)))
    with Decoder() as decoder:
        run = decoder._run

        def growing(*arguments: object) -> object:
            with open(path, "ab") as file:
                file.write(bytes(100))
            return run(*arguments)  # type: ignore[arg-type]

        monkeypatch.setattr(decoder, "_run", growing)
        with pytest.raises(RecordingError) as caught:
            decoder.decode(path)
    assert caught.value.reason == "changing"


def test_unreadable_files_are_told(decoder: Decoder, tmp_path: Path) -> None:
    with pytest.raises(RecordingError) as caught:
        decoder.decode(tmp_path / "none.wav")
    assert caught.value.reason == "unreadable"


def test_silence_takes_no_room(decoder: Decoder, tmp_path: Path) -> None:
    path = makers.write(tmp_path / "a.wav", makers.wav(makers.silence(600)))
    with decoder.decode(path) as call:
        status = os.fstat(call._spool.fileno())
        assert status.st_size == 600 * RATE * 2
        assert status.st_blocks * 512 < status.st_size / 10
        assert not call.read(0, 299, 301).any()


@pytest.mark.parametrize("most", [1, 1000])
def test_reads_that_stop_early_are_continued(
    most: int, decoder: Decoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As every read does at 2 GiB, which is 40 minutes of a call with eight channels."""
    path = makers.write(tmp_path / "a.wav", makers.wav(makers.stereo(0.5, RATE), RATE))
    with decoder.decode(path) as call:
        expected = call.read(1, 0, 0.5)
        preadv = os.preadv
        monkeypatch.setattr(os, "preadv", lambda file, buffers, offset: preadv(file, [buffers[0][:most]], offset))
        monkeypatch.setattr("callscan.audio.decoder._BLOCK", 3000)
        heard = call.read(1, 0, 0.5)
    assert heard.dtype == np.float32
    np.testing.assert_array_equal(heard, expected)


def test_a_spool_that_ends_early_is_an_error(decoder: Decoder, tmp_path: Path) -> None:
    path = makers.write(tmp_path / "a.wav", makers.wav(makers.stereo(2, RATE), RATE))
    with decoder.decode(path) as call:
        os.ftruncate(call._spool.fileno(), 1 * RATE * 4)
        assert len(call.read(0, 0, 1)) == RATE
        with pytest.raises(RecordingError, match=r"ends at 1\.0 s of 2\.0 s"):
            call.read(0, 0.5, 2)


def _full(*_: object, **__: object) -> BinaryIO:
    return open("/dev/full", "r+b")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="nothing here is always full")
def test_a_full_disk_is_no_fault_of_the_recording(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = makers.write(tmp_path / "a.wav", makers.wav(makers.stereo(2)))
    store = fsspec.filesystem("memory")
    store.pipe("/x/a.wav", path.read_bytes())
    remote = Recording("memory://x/a.wav", path.stat().st_size)
    with Decoder() as elsewhere, Decoder(spool_dir=tmp_path) as decoder:
        monkeypatch.setattr("tempfile.TemporaryFile", _full)
        monkeypatch.setattr("tempfile.NamedTemporaryFile", _full)
        for folder, attempt in (
            (str(tmp_path), lambda: decoder.decode(path)),
            (tempfile.gettempdir(), lambda: elsewhere.decode(path)),
            (tempfile.gettempdir(), lambda: elsewhere.decode(remote)),
            (tempfile.gettempdir(), lambda: files.local_copy(remote).__enter__()),
        ):
            with pytest.raises(RecordingError) as caught:
                attempt()
            assert caught.value.reason == "unreadable"
            assert "disk is full" in caught.value.message
            assert folder in caught.value.message
            assert folder in caught.value.hint
    store.rm("/x", recursive=True)


@pytest.mark.parametrize("suffix", ["é" * 60, "\N{TELEPHONE RECEIVER}" * 60, "e" * 200])
def test_any_suffix_may_be_had(suffix: str, decoder: Decoder) -> None:
    recording = io.BytesIO(makers.wav(makers.stereo(2)))
    recording.name = f"call.{suffix}"
    with decoder.decode(recording) as call:
        assert call.duration == 2


@pytest.mark.parametrize(("count", "rate"), [(1, 8000), (16, 8000), (48, 48_000)])
def test_a_file_of_a_few_samples_is_told_from_an_empty_one(
    count: int, rate: int, decoder: Decoder, tmp_path: Path
) -> None:
    samples = makers.chatter(1, rate)[:count]
    with pytest.raises(RecordingError) as caught:
        decoder.decode(makers.write(tmp_path / "a.wav", makers.wav(samples, rate)))
    assert caught.value.reason == "no_audio"
    assert f"holds {count / rate * 1000:.3f} ms of audio" in caught.value.message
    assert "nothing else" not in caught.value.hint


def test_importing_the_package_loads_nothing_heavy() -> None:
    import subprocess
    import sys

    program = "import sys, callscan.audio; print({'av', 'numpy', 'fsspec'} & set(sys.modules))"
    output = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert output.strip() == "set()"

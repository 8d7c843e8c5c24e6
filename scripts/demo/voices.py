"""Sentences spoken by espeak-ng, and the sounds of a telephone line that are no speech.

Samples are float32 in [-1, 1], shape (n,), at 16 kHz.
"""

from __future__ import annotations

import io
import random
import shutil
import subprocess
import wave
from pathlib import Path

import numpy as np
import soxr
from numpy.typing import NDArray

Samples = NDArray[np.float32]
RATE = 16_000
LANGUAGES = ("fr-fr", "fr-fr", "fr-fr", "fr-be", "fr-ch")
INVENTED = 240
TEST_VARIANTS = ("f3", "m6", "linda", "michel", "steph2", "quincy", "Alicia", "paul", "edward2", "victor")
"""Voice variants that only the test speaks with."""
ODD = (
    "whisper",
    "whisperf",
    "Demonic",
    "UniRobot",
    "robosoft",
    "croak",
    "zac",
    "fast",
    "anikaRobot",
    "Mr serious",
    "AnxiousAndy",
)
"""Variants that hardly sound like a person; trained on, but seldom."""


def _data() -> Path:
    """Where espeak-ng keeps its voices."""
    for line in subprocess.run(
        ["espeak-ng", "--version"], capture_output=True, text=True, check=True
    ).stdout.splitlines():
        if "Data at:" in line:
            return Path(line.split("Data at:")[1].strip())
    raise RuntimeError("espeak-ng does not say where its data is; install Debian's espeak-ng package")


def variants() -> list[str]:
    """The names of all voice variants that espeak-ng has, sorted."""
    return sorted(path.name for path in (_data() / "voices" / "!v").iterdir())


def _invent(rng: random.Random) -> str:
    """A voice variant that nobody has: the lines of an espeak-ng voice file."""
    low, tract = rng.uniform(50, 240), rng.uniform(88, 136)
    lines = ["language variant", f"pitch {low:.0f} {low * rng.uniform(1.15, 1.7):.0f}"]
    if rng.random() < 0.15:
        lines.append(f"klatt {rng.randint(1, 6)}")
    spread = rng.choice((0.06, 0.1, 0.16))
    for formant in range(9):
        fade = 1 if formant < 4 else rng.uniform(0.2, 1.1)
        frequency, width = tract * rng.uniform(1 - spread, 1 + spread), rng.uniform(60, 180)
        lines.append(f"formant {formant} {frequency:.0f} {rng.uniform(60, 150) * fade:.0f} {width:.0f}")
    settings = {
        f"roughness {rng.randint(0, 5)}": 0.5,
        f"flutter {rng.randint(0, 15)}": 0.5,
        f"voicing {rng.randint(25, 255)}": 0.5,
        f"consonants {rng.randint(40, 140)} {rng.randint(15, 120)}": 0.5,
        f"echo {rng.randint(20, 130)} {rng.randint(5, 50)}": 0.25,
        "breath " + " ".join(str(rng.randint(0, 13)) for _ in range(8)): 0.25,
        "tone " + " ".join(f"{hertz} {rng.randint(20, 255)}" for hertz in (400, 1300, 4000)): 0.4,
        "stressAmp " + " ".join(str(rng.randint(12, 28)) for _ in range(8)): 0.5,
        "stressAdd " + " ".join(str(rng.randint(-20, 120)) for _ in range(8)): 0.3,
        f"intonation {rng.randint(1, 4)}": 0.3,
    }
    return "\n".join(lines + [line for line, share in settings.items() if rng.random() < share]) + "\n"


def invented(folder: Path, seed: int) -> tuple[Path, list[str]]:
    """A copy of espeak-ng's data in ``folder`` with invented voices beside its own: its path and all variants' names.

    Who is to understand voices never heard has to hear many: the real variants alone gave 4 % of errors on themselves
    and up to 44 % on the test's.
    """
    data = folder / "espeak-ng-data"
    shutil.copytree(_data(), data, dirs_exist_ok=True)
    # espeak-ng knows 350 voices at most: those of other languages leave room.
    shutil.rmtree(data / "voices" / "mb", ignore_errors=True)
    for file in [path for path in (data / "lang").rglob("*") if path.is_file() and not path.name.startswith("fr")]:
        file.unlink()
    for number in range(INVENTED):
        text = _invent(random.Random(f"{seed}/voice/{number}"))
        (data / "voices" / "!v" / f"invented{number:03d}").write_text(text)
    return folder, sorted(path.name for path in (data / "voices" / "!v").iterdir())


def training_voice(rng: random.Random, names: list[str]) -> str:
    """A voice for the training, e.g. ``fr-be+f2``."""
    while True:
        name = rng.choice(names)
        if name not in TEST_VARIANTS and (not name.startswith(ODD) or rng.random() < 0.3):
            return f"{rng.choice(LANGUAGES)}+{name}"


def test_voice(rng: random.Random) -> str:
    """A voice that the training never heard."""
    return f"{rng.choice(LANGUAGES)}+{rng.choice(TEST_VARIANTS)}"


def speak(text: str, voice: str, *, speed: int, pitch: int, data: Path) -> Samples:
    """``text`` in ``voice``, silence at both ends cut; ``speed`` in words a minute, ``pitch`` from 0 to 99.

    ``data`` is a folder with espeak-ng's data (:func:`invented`).
    """
    command = ["espeak-ng", f"--path={data}", "-v", voice, "-s", str(speed), "-p", str(pitch), "--stdout", text]
    with wave.open(io.BytesIO(subprocess.run(command, capture_output=True, check=True).stdout)) as spoken:
        raw = np.frombuffer(spoken.readframes(10**9), "<i2").astype(np.float32) / 32768
        samples = np.asarray(soxr.resample(raw, spoken.getframerate(), RATE), np.float32)
    loud = np.flatnonzero(np.abs(samples) > 0.005)
    return samples[loud[0] : loud[-1] + 1] if len(loud) else samples[:0]


def coded(samples: Samples, codec: str) -> Samples:
    """Through a codec of sox (``gsm``: GSM 6.10, ``ima``: ADPCM) at 8 kHz and back."""
    raw = ["-t", "raw", "-r", "8000", "-e", "signed", "-b", "16", "-c", "1"]
    narrow = soxr.resample(samples, RATE, 8000)
    pcm = (np.clip(narrow, -1, 1) * 32767).astype("<i2").tobytes()
    packed = subprocess.run(["sox", *raw, "-", "-t", codec, "-"], input=pcm, capture_output=True, check=True).stdout
    plain = subprocess.run(
        ["sox", "-t", codec, "-r", "8000", "-", *raw, "-"], input=packed, capture_output=True, check=True
    ).stdout
    wide = soxr.resample(np.frombuffer(plain, "<i2").astype(np.float32) / 32768, 8000, RATE)
    return np.asarray(wide[: len(samples)], np.float32)


def noise(n: int, rng: random.Random) -> Samples:
    """``n`` samples of white, pink or humming noise at unit power."""
    white = np.random.default_rng(rng.getrandbits(32)).standard_normal(n).astype(np.float32)
    kind = rng.random()
    if kind < 0.5:
        return white
    spectrum = np.fft.rfft(white)
    hertz = np.fft.rfftfreq(n, 1 / RATE)
    shaped = np.fft.irfft(spectrum / np.sqrt(np.maximum(hertz, 40)), n)
    if kind > 0.8:
        shaped = shaped / shaped.std() + np.sin(2 * np.pi * rng.choice((50, 60, 100)) * np.arange(n) / RATE)
    return np.asarray(shaped / shaped.std(), np.float32)


def _tone(n: int, *hertz: float) -> Samples:
    t = np.arange(n) / RATE
    return np.asarray(sum(np.sin(2 * np.pi * f * t) for f in hertz) / len(hertz), np.float32)


def tones(n: int, rng: random.Random) -> Samples:
    """``n`` samples of ringback, busy tone, DTMF, a beep or a swept tone."""
    kind = rng.choice(("ringback", "busy", "dtmf", "beep", "steady", "sweep"))
    if kind == "sweep":
        f0, f1 = rng.uniform(200, 800), rng.uniform(800, 3400)
        phase = 2 * np.pi * np.cumsum(np.linspace(f0, f1, n)) / RATE
        return np.sin(phase).astype(np.float32)
    if kind == "steady":
        return _tone(n, rng.uniform(150, 3000))
    out = np.zeros(n, np.float32)
    on, off = {"ringback": (1.5, 3.5), "busy": (0.5, 0.5), "dtmf": (0.1, 0.12), "beep": (0.3, 2.0)}[kind]
    at, f = 0, rng.uniform(400, 1200)
    while at < n:
        size = min(int(on * RATE), n - at)
        pair = (rng.choice((697, 770, 852, 941)), rng.choice((1209, 1336, 1477))) if kind == "dtmf" else (440,)
        out[at : at + size] = _tone(size, *(pair if kind != "beep" else (f,)))
        at += int((on + off) * RATE)
    return out


def music(n: int, rng: random.Random) -> Samples:
    """``n`` samples of hold music: chords and a melody of plucked or held notes."""
    out = np.zeros(n, np.float32)
    beat = int(RATE * rng.uniform(0.22, 0.5))
    root = rng.uniform(110, 260)
    chords = [rng.choice(((0, 4, 7), (5, 9, 12), (7, 11, 14), (9, 12, 16), (2, 5, 9))) for _ in range(4)]
    partials = [rng.uniform(0.1, 1) / (k + 1) for k in range(5)]
    decay = rng.uniform(0.3, 3.0)
    for bar, at in enumerate(range(0, n, 4 * beat)):
        chord = chords[bar % 4]
        notes = [(at, 4 * beat, step, 0.3) for step in chord]
        notes += [
            (at + k * beat, beat * rng.choice((1, 2)), rng.choice(chord) + 12, 0.5)
            for k in range(4)
            if rng.random() < 0.8
        ]
        for start, size, step, level in notes:
            size = min(size, n - start)
            if size > 0:
                t = np.arange(size) / RATE
                f = root * 2 ** (step / 12)
                wavef = sum(p * np.sin(2 * np.pi * f * (k + 1) * t) for k, p in enumerate(partials))
                out[start : start + size] += (level * wavef * np.exp(-decay * t) * np.minimum(1, 50 * t)).astype(
                    np.float32
                )
    return np.asarray(out / max(float(np.abs(out).max()), 1e-6), np.float32)

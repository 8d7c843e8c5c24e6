"""``callscan doctor``: explains one recording, or checks the installation."""

from __future__ import annotations

import json as json_
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from callscan.errors import REASONS

_MARKS = {"ok": "ok", "note": "--", "missing": "!!"}
_PACKAGES = ("av", "ctranslate2", "faster-whisper", "onnxruntime", "duckdb", "pyarrow", "ray")
_EXTRAS = {"pyannote": "pyannote.audio", "s3": "s3fs"}


def doctor(
    file: Annotated[
        str | None, typer.Argument(metavar="FILE", help="A recording; without one, the installation.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON on stdout, and nothing else there.")] = False,
) -> None:
    """Explain one recording, or check the installation.

    Of a recording: container, codec, channels, rate, declared and true
    duration, speech per channel, and what a scan makes of it. Exit code 1 if
    it would be quarantined, or if something that a scan needs is missing.
    """
    if file is not None:
        facts = explain(file)
        _print_json(facts) if json else _print_recording(facts)
        raise typer.Exit(facts["status"] == "quarantined")
    checks = installation()
    _print_json([asdict(check) for check in checks]) if json else _print_checks(checks)
    raise typer.Exit(any(check.state == "missing" for check in checks))


doctor.__doc__ = "\n".join(
    [f"{doctor.__doc__}\n    Why a recording can fail, in every report:\n\n    \b"]
    + [f"    {reason:<15} {meaning}" for reason, meaning in REASONS.items()]
)


def explain(uri: str) -> dict[str, Any]:
    """All that can be told of one recording without recognising its words, as plain data."""
    from callscan.audio import Decoder, discover, hash_file
    from callscan.errors import RecordingError, UsageError

    if Path(uri).is_dir():
        raise UsageError(f"{uri!r} is a folder", "Name one recording.")
    found = next(discover([uri]))
    facts: dict[str, Any] = {"uri": found.uri, "status": "quarantined"}
    try:
        facts["sha256"] = hash_file(found.uri)
        with Decoder() as decoder, decoder.decode(found.uri) as call:
            info = asdict(call.info)
            levels = [_channel(call, channel) for channel in range(call.channels)]
            problems = [{"reason": reason, "detail": detail} for reason, detail in call.problems]
            speaks = any(level["speech"] > 0 for level in levels)
            status = "degraded" if problems else "scanned" if speaks else "no_speech"
            facts |= {"status": status, "duration": round(call.duration, 3), "audio": info, "channels": levels}
            facts |= {"problems": problems, "warnings": list(call.warnings)}
    except RecordingError as error:
        facts |= {"reason": error.reason, "meaning": REASONS[error.reason], "detail": error.message, "hint": error.hint}
        if error.reason == "changing":
            facts["status"] = "deferred"
    return facts


def _channel(call: Any, channel: int) -> dict[str, float]:
    """Seconds of speech, level (RMS) and peak (dBFS) of one channel."""
    import numpy as np

    from callscan.speech.api import CallAudio
    from callscan.speech.vad import spans_of, speech_probabilities

    audio = CallAudio("", call.duration, call.channels, call.read)
    spans = spans_of(speech_probabilities(audio, channel), call.duration, longest=30.0)
    energy, peak, count = 0.0, 0.0, 0
    for start in range(0, int(call.duration) + 1, 60):
        samples = call.read(channel, start, start + 60)
        energy += float(np.square(samples, dtype=np.float64).sum())
        peak = max(peak, float(np.abs(samples).max(initial=0)))
        count += len(samples)

    def decibels(value: float) -> float:
        return round(20 * float(np.log10(max(value, 1e-6))), 1)

    return {
        "speech": round(sum(span.duration for span in spans), 2),
        "level_dbfs": decibels((energy / max(count, 1)) ** 0.5),
        "peak_dbfs": decibels(peak),
    }


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at: ``missing`` stops scans, a ``note`` does not."""

    name: str
    state: Literal["ok", "note", "missing"]
    detail: str
    hint: str = ""


def installation() -> list[Check]:
    """What this installation can do, and what is missing."""
    return [
        _python(),
        *map(_package, _PACKAGES),
        _decoder(),
        *_accelerator(),
        _room(),
        *_models(),
        *map(_extra, _EXTRAS),
        _diarization(),
    ]


def _python() -> Check:
    version = ".".join(map(str, sys.version_info[:3]))
    return Check("python", "ok", f"{version}, {sys.executable}")


def _version(package: str) -> str | None:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _package(name: str) -> Check:
    version = _version(name)
    return Check(name, "ok", version) if version else Check(name, "missing", "not installed", "pip install callscan")


def _decoder() -> Check:
    """Decode a second of silence, in a decoding process as scans use them."""
    import io
    import wave

    from callscan.audio import Decoder
    from callscan.errors import CallscanError

    file = io.BytesIO()
    with wave.open(file, "wb") as output:
        output.setparams((1, 2, 8000, 0, "NONE", ""))
        output.writeframes(bytes(16_000))
    file.seek(0)
    try:
        with Decoder() as decoder:
            decoder.decode(file).close()
            filtered = decoder.filtered
    except CallscanError as error:
        return Check("decoder", "missing", error.message, "Reinstall av: pip install --force-reinstall av")
    if filtered:
        return Check("decoder", "ok", "decodes in a process without files, sockets and other system calls")
    return Check("decoder", "note", "decodes in a process without files and sockets; no filter on system calls here")


def _accelerator() -> list[Check]:
    """CUDA devices, and the library that CTranslate2 opens on them at run time."""
    try:
        from callscan.speech.whisper import cuda_devices
    except ImportError as error:
        return [
            Check(
                "cuda", "missing", f"ctranslate2 cannot be loaded: {error}", "pip install --force-reinstall ctranslate2"
            )
        ]
    count = cuda_devices()
    if not count:
        present = Path("/proc/driver/nvidia/version").exists()
        detail = (
            "an NVIDIA driver, but no device that CTranslate2 can use"
            if present
            else "no CUDA device; scans run on the CPU"
        )
        return [Check("cuda", "note", detail, "Check nvidia-smi and CUDA_VISIBLE_DEVICES." if present else "")]
    return [Check("cuda", "ok", f"{count} device{'s' * (count > 1)}"), _cublas()]


def _cublas() -> Check:
    import ctypes
    from importlib.util import find_spec

    name, hint = "libcublas.so.12", 'pip install "callscan[cuda]"'
    try:
        ctypes.CDLL(name)
    except OSError:
        pass
    else:
        return Check("cublas", "ok", name)
    spec = find_spec("nvidia.cublas") if find_spec("nvidia") else None
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder) / "lib" / name
        if path.exists():
            return Check("cublas", "ok", str(path))
    return Check("cublas", "missing", f"{name} is not found; CTranslate2 needs CUDA 12's cuBLAS on a GPU", hint)


def _room() -> Check:
    import shutil
    import tempfile

    folder = tempfile.gettempdir()
    free = shutil.disk_usage(folder).free / 1e9
    detail = f"{free:.1f} GB free in {folder}, where decoded audio waits (0.12 GB per hour and channel)"
    return Check(
        "room", "ok" if free > 5 else "note", detail, "" if free > 5 else "Set TMPDIR to a folder with more room."
    )


def _models() -> list[Check]:
    try:
        from callscan.speech.models import DEMO, KNOWN, cached

        here = [name for name in KNOWN if cached(name)]
    except ImportError as error:
        return [
            Check("models", "missing", f"cannot be looked up: {error}", "pip install --force-reinstall faster-whisper")
        ]
    demo = (DEMO / "model.bin").exists()
    detail = ", ".join((["demo"] if demo else []) + here) or "none on this machine"
    hint = "" if here else "A scan fetches its model; where there is no network: callscan models fetch NAME elsewhere."
    return [Check("models", "ok" if here else "note", detail, hint)]


def _extra(name: str) -> Check:
    package = _EXTRAS[name]
    version = _version(package)
    if version:
        return Check(f"extra {name}", "ok", f"{package} {version}")
    return Check(f"extra {name}", "note", "not installed", f'pip install "callscan[{name}]"')


def _diarization() -> Check:
    """Whether a scan tells the speakers of mono calls apart as things stand."""
    from callscan.diarization.models import COMMUNITY, locate, why_not

    if folder := locate("auto"):
        return Check("mono calls", "ok", f"speakers told apart by {COMMUNITY}, {folder}")
    return Check("mono calls", "note", "transcribed and counted without speakers", why_not("auto"))


def _print_json(data: object) -> None:
    json_.dump(data, sys.stdout, indent=1, ensure_ascii=False)
    print()


def _print_checks(checks: list[Check]) -> None:
    for check in checks:
        print(f"{_MARKS[check.state]}  {check.name:16} {check.detail}")
        if check.hint:
            print(f"    {'':16} {check.hint}")


def _print_recording(facts: dict[str, Any]) -> None:
    print(ascii(facts["uri"])[1:-1] if not facts["uri"].isprintable() else facts["uri"])
    if "reason" in facts:
        print(f"  {facts['status']}: {facts['reason']} - {facts['meaning']}")
        print(f"  {facts['detail']}")
        if facts["hint"]:
            print(f"  hint: {facts['hint']}")
        return
    audio = facts["audio"]
    print(f"  {audio['container']}, {audio['codec']}, {audio['channels']} channel(s), {audio['sample_rate']} Hz")
    print(f"  declared {audio['declared']:.2f} s, decoded {audio['decoded']:.2f} s, lost {audio['lost']:.2f} s")
    for number, channel in enumerate(facts["channels"]):
        print(
            f"  channel {number}: {channel['speech']:.1f} s of speech, "
            f"level {channel['level_dbfs']:.0f} dBFS, peak {channel['peak_dbfs']:.0f} dBFS"
        )
    for problem in facts["problems"]:
        print(f"  {problem['reason']}: {problem['detail']}")
    for warning in facts["warnings"]:
        print(f"  note: {warning}")
    print(f"  a scan makes it: {facts['status']}")

"""The decoding process can be killed, can use up no machine, and can reach nothing but its recording."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

import audio_makers as makers
import pytest

from callscan.audio import DecodeLimits, Decoder
from callscan.audio.sandbox import Sandbox
from callscan.errors import CallscanError, RecordingError


@pytest.fixture
def call(tmp_path: Path) -> Path:
    return makers.write(tmp_path / "call.wav", makers.wav(makers.stereo(2)))


@pytest.fixture(scope="module")
def endless(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten hours, which take seconds to decode."""
    return makers.write(tmp_path_factory.mktemp("endless") / "endless.flac", makers.flac(36_000))


UNBOUNDED = DecodeLimits(expansion=1e9, duration=1e6)


def _process(decoder: Decoder) -> Sandbox:
    (sandbox,) = decoder._idle
    return sandbox


def _while_decoding(decoder: Decoder, path: Path, number: int) -> RecordingError:
    """What comes of a decoding whose process gets the signal ``number`` in the middle."""
    decoder.decode(makers.write(path.parent / "first.wav", makers.wav(makers.chatter(1)))).close()
    pid = _process(decoder).pid

    def strike() -> None:
        deadline = time.monotonic() + 30
        while decoder._idle and time.monotonic() < deadline:
            time.sleep(0.001)
        os.kill(pid, number)

    thread = threading.Thread(target=strike)
    thread.start()
    with pytest.raises(RecordingError) as caught:
        decoder.decode(path)
    thread.join()
    return caught.value


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_a_process_that_dies_is_replaced(number: int, endless: Path, call: Path) -> None:
    with Decoder(UNBOUNDED) as decoder:
        assert _while_decoding(decoder, endless, number).reason == "decoder_crash"
        with decoder.decode(call) as decoded:
            assert decoded.duration == 2


def test_a_process_killed_as_it_starts_is_started_again(call: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Sandbox] = []
    begin = Sandbox.__init__

    def killed_at_first(sandbox: Sandbox, limits: DecodeLimits) -> None:
        begin(sandbox, limits)
        made.append(sandbox)
        if len(made) == 1:
            os.kill(sandbox.pid, signal.SIGKILL)

    monkeypatch.setattr(Sandbox, "__init__", killed_at_first)
    with Decoder() as decoder, decoder.decode(call) as decoded:
        assert decoded.duration == 2
    assert len(made) == 2


def test_a_process_that_hangs_is_killed(endless: Path, call: Path) -> None:
    with Decoder(DecodeLimits(seconds=3, expansion=1e9, duration=1e6)) as decoder:
        assert _while_decoding(decoder, endless, signal.SIGSTOP).reason == "limit_time"
        with decoder.decode(call) as decoded:
            assert decoded.duration == 2


def test_memory_is_limited(call: Path) -> None:
    with Decoder(DecodeLimits(memory=1 << 20)) as decoder, pytest.raises(RecordingError) as caught:
        decoder.decode(call)
    assert caught.value.reason == "limit_memory"


def test_length_is_limited(call: Path) -> None:
    with Decoder(DecodeLimits(duration=1)) as decoder, pytest.raises(RecordingError) as caught:
        decoder.decode(call)
    assert caught.value.reason == "implausible"


def test_a_process_that_cannot_start_is_no_fault_of_the_recording(call: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with Decoder() as decoder, pytest.raises(CallscanError) as caught:
        decoder.decode(call)
    assert not isinstance(caught.value, RecordingError)


_ATTEMPTS = {
    "a file": "open('/etc/passwd')",
    "a socket": "socket.socket()",
    "a pipe": "os.pipe()",
    "a file in memory": "os.memfd_create('x')",
}
_MORE_ATTEMPTS = {
    "a program": "os.execv('/bin/true', ['true'])",
    "a process": "os.fork() or os._exit(0)",
    "a removal": "os.remove('/tmp/callscan-none')",
    "a signal": "os.kill(os.getppid(), 0)",
}


def _locked_down(attempt: str, before: str = "") -> str:
    """What the decoding process says to an attempt once it has locked itself down: the error's name."""
    program = f"""
import errno, os, socket, sys
sys.path[:] = {sys.path!r}
from callscan.audio import child, limits, seccomp
os.dup(0), os.dup(0)  # where the recording and the spool go
{before}
child.lock_down(limits.DecodeLimits(**{asdict(DecodeLimits())!r}))
try:
    {attempt}
except OSError as error:
    print(errno.errorcode[error.errno])
"""
    command = [sys.executable, "-I", "-c", program]
    return subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, check=True
    ).stdout.strip()


@pytest.mark.parametrize("attempt", _ATTEMPTS.values(), ids=_ATTEMPTS)
def test_nothing_can_be_opened_even_without_the_filter(attempt: str) -> None:
    assert _locked_down(attempt, before="seccomp.restrict = lambda: False") == "EMFILE"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux filters system calls")
@pytest.mark.parametrize("attempt", (_ATTEMPTS | _MORE_ATTEMPTS).values(), ids=_ATTEMPTS | _MORE_ATTEMPTS)
def test_the_filter_refuses(attempt: str) -> None:
    assert _locked_down(attempt) == "EPERM"


def test_the_environment_is_empty(call: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    with Decoder() as decoder:
        decoder.decode(call).close()
        environment = Path(f"/proc/{_process(decoder).pid}/environ").read_bytes()
    assert b"secret" not in environment


def test_threads_decode_side_by_side(tmp_path: Path) -> None:
    paths = [makers.write(tmp_path / f"{n}.wav", makers.wav(makers.chatter(1 + n / 4))) for n in range(12)]
    with Decoder() as decoder, ThreadPoolExecutor(4) as threads:
        lengths = list(threads.map(lambda path: decoder.decode(path).duration, paths))
    assert lengths == [1 + n / 4 for n in range(12)]


def test_closing_ends_what_is_being_decoded(endless: Path) -> None:
    decoder = Decoder(UNBOUNDED)
    with ThreadPoolExecutor(1) as threads:
        outcome = threads.submit(decoder.decode, endless)
        deadline = time.monotonic() + 30
        while not decoder._busy and time.monotonic() < deadline:
            time.sleep(0.001)
        (sandbox,) = decoder._busy
        decoder.close()
        with pytest.raises(RuntimeError, match="closed"):
            outcome.result()
    assert not Path(f"/proc/{sandbox.pid}").exists()


def test_closing_ends_the_processes(call: Path) -> None:
    decoder = Decoder()
    decoded = decoder.decode(call)
    pid = _process(decoder).pid
    decoder.close()
    assert not Path(f"/proc/{pid}").exists()
    assert decoded.read(1, 0, 1).shape == (16_000,)
    with pytest.raises(RuntimeError):
        decoder.decode(call)

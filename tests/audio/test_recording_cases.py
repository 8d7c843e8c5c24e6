"""Each kind of recording, whole or broken, becomes what the list says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from audio_cases import Case, cases

from callscan.audio import Decoder
from callscan.errors import REASONS, RecordingError


@pytest.fixture(scope="module")
def decoder() -> Iterator[Decoder]:
    with Decoder() as decoder:
        yield decoder


@pytest.mark.parametrize("case", [pytest.param(case, id=f"{case.group}: {case.name}") for case in cases()])
def test_outcome(case: Case, decoder: Decoder, tmp_path: Path) -> None:
    path = case.make(tmp_path)
    if case.status == "quarantined":
        with pytest.raises(RecordingError) as caught:
            decoder.decode(path)
        assert caught.value.reason == case.reason
        assert caught.value.message
        return
    with decoder.decode(path) as call:
        reasons = [reason for reason, _ in call.problems]
        assert reasons[:1] == ([case.reason] if case.status == "degraded" else [])
        assert set(reasons) <= set(REASONS)
        if case.seconds is not None:
            tolerance = 0.7 if case.group == "truncated" else 0.2  # a page may be cut in two, and encoders pad
            assert call.info.decoded == pytest.approx(case.seconds, abs=tolerance)
        if case.channels is not None:
            assert call.channels == case.channels
        assert case.warning in ("", *call.warnings)
        assert len(call.read(0, 0, call.duration)) == round(call.duration * 16000)
        if case.status == "decoded":
            assert call.info.lost == 0
            assert call.info.declared == pytest.approx(call.info.decoded, abs=0.2)

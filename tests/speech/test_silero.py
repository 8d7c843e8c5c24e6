"""Silero's network laid out in rows gives what the network gives as it is shipped."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

import callscan.demo
from callscan.audio import Decoder
from callscan.speech.silero import in_rows, session, shipped
from callscan.speech.vad import FRAME

CALLS = Path(callscan.demo.__file__).parent / "calls"
STATE = np.zeros((1, 1, 128), np.float32)


@pytest.fixture(scope="module")
def frames() -> np.ndarray:
    """Frames of a sample call's agent, with the 64 samples before each."""
    with Decoder() as decoder, decoder.decode(str(CALLS / "01-facture.wav")) as call:
        sound = np.array(call.read(0, 0.0, call.duration))
    rows = sound[: len(sound) // FRAME * FRAME].reshape(-1, FRAME)
    return np.concatenate([rows[:-1, -64:], rows[1:]], 1)


def test_the_same_probabilities_and_states(frames: np.ndarray) -> None:
    plain = onnxruntime.InferenceSession(str(shipped()), providers=["CPUExecutionProvider"])
    given = {"input": frames, "h": STATE, "c": STATE}
    expected, found = plain.run(None, given), session().run(None, given)
    assert expected[0].max() > 0.9  # somebody speaks
    assert expected[0].min() < 0.1
    np.testing.assert_allclose(found[0], expected[0], atol=1e-5)
    for state, before in zip(found[1:], expected[1:], strict=True):
        np.testing.assert_allclose(state, before, rtol=1e-3, atol=1e-3)


def test_every_convolution_has_the_frames_in_its_image() -> None:
    model = onnx.load(shipped())
    before = [node for node in model.graph.node if node.op_type == "Conv"]
    in_rows(model.graph)
    onnx.checker.check_model(model)
    weights = {tensor.name: tensor.dims for tensor in model.graph.initializer}
    after = [weights[node.input[1]] for node in model.graph.node if node.op_type == "Conv"]
    assert len(after) == len(before) > 4
    assert all(len(dims) == 4 for dims in after)

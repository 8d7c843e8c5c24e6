"""The trained network as a model directory that an unmodified ``faster_whisper.WhisperModel`` loads.

The directory holds model.bin and config.json (CTranslate2, int8), vocabulary.json, tokenizer.json (ids equal to
Whisper's multilingual tokenizer) and preprocessor_config.json.
"""

from __future__ import annotations

import base64
import itertools
import json
from pathlib import Path
from typing import Any

import ctranslate2
import numpy as np
import whisper
from ctranslate2.specs import whisper_spec
from numpy.typing import NDArray
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from torch import Tensor

from demo.batches import TOKENIZER, Tokens
from demo.network import DECODER_LAYERS, ENCODER_LAYERS, HEADS, WIDTH

VOCABULARY = 51_865  # with fewer, CTranslate2 takes a model for English-only
IMPOSSIBLE = -60.0
SPACE = 220  # the token " ", which Whisper never starts with


def _printable() -> dict[int, str]:
    """GPT-2's reversible map from bytes to printable characters."""
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [b for b in range(256) if b not in shown]
    return {**{b: chr(b) for b in shown}, **{b: chr(256 + i) for i, b in enumerate(hidden)}}


def _merge(token: bytes, ranks: dict[bytes, int]) -> tuple[bytes, bytes]:
    """The two parts that byte-pair encoding joined last to make ``token``."""
    parts = [bytes([b]) for b in token]
    while len(parts) > 2:
        joined = [ranks.get(a + b, VOCABULARY) for a, b in itertools.pairwise(parts)]
        at = min(range(len(joined)), key=joined.__getitem__)
        parts[at : at + 2] = [parts[at] + parts[at + 1]]
    return parts[0], parts[1]


def tokenizer() -> Tokenizer:
    """Whisper's multilingual tokenizer in the format of the ``tokenizers`` library."""
    file = Path(whisper.__file__).parent / "assets" / "multilingual.tiktoken"
    lines = (line.split() for line in file.read_bytes().splitlines() if line)
    ranks = {base64.b64decode(token): int(rank) for token, rank in lines}
    shown = _printable()

    def text(token: bytes) -> str:
        return "".join(shown[b] for b in token)

    joined = (_merge(token, ranks) for token in sorted(ranks, key=ranks.__getitem__) if len(token) > 1)
    merges = [(text(first), text(second)) for first, second in joined]
    made = Tokenizer(models.BPE(vocab={text(token): rank for token, rank in ranks.items()}, merges=merges))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    special = sorted(TOKENIZER.special_tokens.items(), key=lambda item: item[1])
    made.add_special_tokens([AddedToken(name, special=True, normalized=False) for name, _ in special])
    return made


def _array(x: Tensor) -> NDArray[np.float32]:
    return np.array(x.detach().float().numpy())


def _norm(spec: Any, net: dict[str, Tensor], name: str) -> None:
    spec.gamma, spec.beta = _array(net[f"{name}.weight"]), _array(net[f"{name}.bias"])


def _linear(spec: Any, net: dict[str, Tensor], *names: str) -> None:
    """One linear layer, or several stacked into one as CTranslate2 wants them."""
    spec.weight = np.concatenate([_array(net[f"{name}.weight"]) for name in names])
    spec.bias = np.concatenate([_array(net[f"{name}.bias"]) for name in names])


def _attention(spec: Any, net: dict[str, Tensor], layer: str, part: str, norm: str, *, cross: bool) -> None:
    _norm(spec.layer_norm, net, f"{layer}.{norm}")
    inputs = [[f"{layer}.{part}.q"], [f"{layer}.{part}.kv"]] if cross else [[f"{layer}.{part}.q", f"{layer}.{part}.kv"]]
    for linear, names in zip(spec.linear, [*inputs, [f"{layer}.{part}.o"]], strict=True):
        _linear(linear, net, *names)


def _feed_forward(spec: Any, net: dict[str, Tensor], layer: str) -> None:
    _norm(spec.layer_norm, net, f"{layer}.n3")
    _linear(spec.linear_0, net, f"{layer}.f1")
    _linear(spec.linear_1, net, f"{layer}.f2")


def export(net: dict[str, Tensor], tokens: Tokens, folder: Path, heads: list[tuple[int, int]]) -> None:
    """Write ``net`` (a state dict) into ``folder``; ``heads`` are the (layer, head) pairs word times come from."""
    spec = whisper_spec.WhisperSpec(ENCODER_LAYERS, HEADS, DECODER_LAYERS, HEADS)
    encoder, decoder = spec.encoder, spec.decoder
    _linear(encoder.conv1, net, "conv1")
    _linear(encoder.conv2, net, "conv2")
    encoder.position_encodings.encodings = _array(net["positions"])
    _norm(encoder.layer_norm, net, "encoder_norm")
    for i, layer in enumerate(encoder.layer):
        _attention(layer.self_attention, net, f"encoder.{i}", "a", "n1", cross=False)
        _feed_forward(layer.ffn, net, f"encoder.{i}")
    # Tokens that were never trained must never be written, and faster-whisper passes a suppression list of its own. The
    # decoder's last norm gives 1 in dimension 0, trained tokens have 0 there; all others a weight that rules them out.
    table = np.zeros((VOCABULARY, WIDTH), np.float32)
    table[:, 0] = IMPOSSIBLE
    table[np.array(tokens.all)] = _array(net["embedding.weight"])
    decoder.embeddings.weight, decoder.projection.weight = table, table.copy()
    decoder.position_encodings.encodings = _array(net["text_positions"])
    _norm(decoder.layer_norm, net, "decoder_norm")
    for i, layer in enumerate(decoder.layer):
        _attention(layer.self_attention, net, f"decoder.{i}", "a", "n1", cross=False)
        _attention(layer.attention, net, f"decoder.{i}", "c", "n2", cross=True)
        _feed_forward(layer.ffn, net, f"decoder.{i}")
    made = tokenizer()
    spec.register_vocabulary([made.id_to_token(i) for i in range(VOCABULARY)])
    spec.config.suppress_ids = []
    spec.config.suppress_ids_begin = [SPACE, TOKENIZER.eot]
    spec.config.alignment_heads = heads
    spec.config.lang_ids = [TOKENIZER.to_language_token(code) for code in TOKENIZER.all_language_codes]
    spec.validate()
    spec.optimize(quantization="int8")
    folder.mkdir(parents=True, exist_ok=True)
    spec.save(str(folder))
    made.save(str(folder / "tokenizer.json"), pretty=False)
    features = {"feature_size": 80, "chunk_length": 30, "hop_length": 160, "n_fft": 400, "sampling_rate": 16000}
    (folder / "preprocessor_config.json").write_text(json.dumps(features) + "\n")
    # It was trained on short windows too, and on most of these: callscan pads no further.
    (folder / "callscan.json").write_text(json.dumps({"lengths": [5, 10]}) + "\n")
    if not ctranslate2.contains_model(str(folder)):
        raise RuntimeError(f"{folder} is not a model")

"""A CTranslate2 Whisper model as openai-whisper's own, with the very same weights: for ``scripts/bench_peers.py``.

CTranslate2's file is a list of named arrays (its ``model_spec.py`` writes them): strings with their length before them,
numbers little-endian. Eight-bit weights have a scale a row, and are divided by it here.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

_KINDS = ("<f4", "i1", "<i2", "<i4", "<f2")
"""Types of arrays by their number in the file."""

_SIDES = ("encoder", "decoder")


def arrays(file: BinaryIO) -> dict[str, Any]:
    """The arrays of a ``model.bin`` by name, as float32 where they are weights. ValueError where it is of another
    format."""

    def number(size: int) -> int:
        return int.from_bytes(file.read(size), "little")

    def text() -> str:
        return file.read(number(2)).rstrip(b"\0").decode()

    version, spec, _ = number(4), text(), number(4)
    if version != 6 or spec != "WhisperSpec":
        raise ValueError(f"{spec} of format {version} is no Whisper model of format 6")
    found = {}
    for _ in range(number(4)):
        name, shape = text(), [number(4) for _ in range(number(1))]
        kind = _KINDS[number(1)]
        found[name] = np.frombuffer(file.read(number(4)), kind).reshape(shape)
    for _ in range(number(4)):
        name, same = text(), text()
        found[name] = found[same]
    for name, values in found.items():
        if f"{name}_scale" in found:
            found[name] = (values.T / found[f"{name}_scale"]).T.astype(np.float32)
    return found


def _blocks(held: dict[str, Any], side: str, layer: int, width: int) -> dict[str, Any]:
    """The weights of one layer."""
    old, new = f"{side}/layer_{layer}", f"{side}.blocks.{layer}"
    out = {}

    def pair(name: str, first: Any, second: Any) -> None:
        out[f"{new}.{name}.weight"], out[f"{new}.{name}.bias"] = first, second

    for part, attention in (("self_attention", "attn"), ("attention", "cross_attn")):
        if f"{old}/{part}/layer_norm/gamma" not in held:
            continue
        linear = [held[name] for n in range(3) if (name := f"{old}/{part}/linear_{n}/weight") in held]
        bias = [held[f"{old}/{part}/linear_{n}/bias"] for n in range(len(linear))]
        # Query, key and value are one array, or query is one and the others another.
        query, key, value = np.split(np.concatenate(linear[:-1]), 3)
        of_query, _, of_value = np.split(np.concatenate(bias[:-1]), [width, 2 * width])
        pair(f"{attention}.query", query, of_query)
        out[f"{new}.{attention}.key.weight"] = key  # its bias changes nothing, and Whisper has none
        pair(f"{attention}.value", value, of_value)
        pair(f"{attention}.out", linear[-1], bias[-1])
        pair(f"{attention}_ln", *(held[f"{old}/{part}/layer_norm/{end}"] for end in ("gamma", "beta")))
    for own, name in (("linear_0", "mlp.0"), ("linear_1", "mlp.2")):
        pair(name, held[f"{old}/ffn/{own}/weight"], held[f"{old}/ffn/{own}/bias"])
    pair("mlp_ln", *(held[f"{old}/ffn/layer_norm/{end}"] for end in ("gamma", "beta")))
    return out


def load(folder: Path, device: str) -> Any:
    """The model in ``folder`` as a ``whisper.model.Whisper``, ready to transcribe."""
    import torch
    from whisper.model import ModelDimensions, Whisper

    with (folder / "model.bin").open("rb") as file:
        held = arrays(file)
    channels = json.loads((folder / "preprocessor_config.json").read_text())["feature_size"]
    table, sound = held["decoder/embeddings/weight"], held["encoder/position_encodings/encodings"]
    said = held["decoder/position_encodings/encodings"]
    layers = {side: sum(f"{side}/layer_{n}/ffn/linear_0/weight" in held for n in range(len(held))) for side in _SIDES}
    heads = {side: int(held[f"{side}/num_heads"]) for side in _SIDES}
    width = table.shape[1]
    weights = {
        "encoder.conv1.weight": held["encoder/conv1/weight"],
        "encoder.conv1.bias": held["encoder/conv1/bias"],
        "encoder.conv2.weight": held["encoder/conv2/weight"],
        "encoder.conv2.bias": held["encoder/conv2/bias"],
        "encoder.positional_embedding": sound,
        "encoder.ln_post.weight": held["encoder/layer_norm/gamma"],
        "encoder.ln_post.bias": held["encoder/layer_norm/beta"],
        "decoder.token_embedding.weight": table,
        "decoder.positional_embedding": said,
        "decoder.ln.weight": held["decoder/layer_norm/gamma"],
        "decoder.ln.bias": held["decoder/layer_norm/beta"],
    }
    for side, count in layers.items():
        for layer in range(count):
            weights |= _blocks(held, side, layer, width)
    dims = ModelDimensions(
        n_mels=channels,
        n_audio_ctx=len(sound),
        n_audio_state=width,
        n_audio_head=heads["encoder"],
        n_audio_layer=layers["encoder"],
        n_vocab=len(table),
        n_text_ctx=len(said),
        n_text_state=width,
        n_text_head=heads["decoder"],
        n_text_layer=layers["decoder"],
    )
    made = Whisper(dims)
    made.load_state_dict({name: torch.from_numpy(np.array(v, np.float32)) for name, v in weights.items()})
    return made.to(device)

"""A Whisper model of a real one's shape with random weights, for measuring speed where no weights can be had.

    python scripts/random_model.py small FOLDER

Whatever it hears, it writes one word until it may write no more: a benchmark gives it a number of tokens.
"""

from __future__ import annotations

import argparse
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ctranslate2.specs import whisper_spec

DEMO = Path(__file__).parents[1] / "callscan" / "demo" / "model"
WORD, END = 2221, 50257  # a token with a space before its letters, and the one that ends a text
LOUD = 30.0


@dataclass(frozen=True)
class Shape:
    """What sets the work that a model does; the vocabulary is Whisper's multilingual one."""

    width: int
    heads: int
    encoder_layers: int
    decoder_layers: int
    bands: int = 80


SHAPES = {
    "least": Shape(64, 2, 1, 1),
    "small": Shape(768, 12, 12, 12),
    "large-v3-turbo": Shape(1280, 20, 32, 4, bands=128),
}


def make_model(shape: Shape, folder: Path, quantization: str) -> None:
    """Write a model into ``folder``; ``quantization`` as CTranslate2 names it (int8, float16, ...)."""
    rng = np.random.default_rng(0)
    width = shape.width

    def random(*size: int) -> Any:
        return rng.standard_normal(size, np.float32) * np.float32(0.02)

    def linear(spec: Any, outputs: int, inputs: int) -> None:
        spec.weight, spec.bias = random(outputs, inputs), random(outputs)

    def norm(spec: Any) -> None:
        spec.gamma, spec.beta = np.ones(width, np.float32), np.zeros(width, np.float32)

    def attention(spec: Any, *, cross: bool) -> None:
        norm(spec.layer_norm)
        for layer, outputs in zip(spec.linear, (1, 2, 1) if cross else (3, 1), strict=True):
            linear(layer, outputs * width, width)

    def feed_forward(spec: Any) -> None:
        norm(spec.layer_norm)
        linear(spec.linear_0, 4 * width, width)
        linear(spec.linear_1, width, 4 * width)

    spec = whisper_spec.WhisperSpec(shape.encoder_layers, shape.heads, shape.decoder_layers, shape.heads)
    encoder, decoder = spec.encoder, spec.decoder
    encoder.conv1.weight, encoder.conv1.bias = random(width, shape.bands, 3), random(width)
    encoder.conv2.weight, encoder.conv2.bias = random(width, width, 3), random(width)
    encoder.position_encodings.encodings = random(1500, width)
    norm(encoder.layer_norm)
    for layer in encoder.layer:
        attention(layer.self_attention, cross=False)
        feed_forward(layer.ffn)
    vocabulary = json.loads((DEMO / "vocabulary.json").read_text("utf-8"))
    # The last norm gives 1 in dimension 0 and 0 elsewhere, whatever goes in: scores are the table's first column.
    table = random(len(vocabulary), width)
    table[:, 0] = 0.0
    table[WORD, 0], table[END, 0] = LOUD, -LOUD
    decoder.embeddings.weight, decoder.projection.weight = table, table.copy()
    decoder.position_encodings.encodings = random(448, width)
    decoder.layer_norm.gamma = np.zeros(width, np.float32)
    decoder.layer_norm.beta = np.eye(1, width, dtype=np.float32)[0]
    for layer in decoder.layer:
        attention(layer.self_attention, cross=False)
        attention(layer.attention, cross=True)
        feed_forward(layer.ffn)
    config = json.loads((DEMO / "config.json").read_text("utf-8"))
    spec.register_vocabulary(vocabulary)
    spec.config.suppress_ids, spec.config.suppress_ids_begin = [], config["suppress_ids_begin"]
    spec.config.alignment_heads = [[shape.decoder_layers - 1, head] for head in range(min(6, shape.heads))]
    spec.config.lang_ids = config["lang_ids"]
    spec.validate()
    spec.optimize(quantization=quantization)
    folder.mkdir(parents=True, exist_ok=True)
    spec.save(str(folder))
    shutil.copy(DEMO / "tokenizer.json", folder)
    features = json.loads((DEMO / "preprocessor_config.json").read_text("utf-8"))
    (folder / "preprocessor_config.json").write_text(json.dumps(features | {"feature_size": shape.bands}) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shape", choices=SHAPES)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--quantization", default="int8")
    options = parser.parse_args()
    make_model(SHAPES[options.shape], options.folder, options.quantization)

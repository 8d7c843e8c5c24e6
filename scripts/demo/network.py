"""A Whisper-shaped network, small enough to train on a CPU, and its log-mel front end.

Shapes: B windows, T mel frames (100 a second), T/2 encoder positions, L tokens, D width, V trained tokens.
Architecture after Radford et al., "Robust Speech Recognition via Large-Scale Weak Supervision" (2022).
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - its name everywhere
import whisper
from torch import Tensor, nn

WIDTH, HEADS, ENCODER_LAYERS, DECODER_LAYERS = 128, 2, 12, 2
POSITIONS = 1500
TEXT_POSITIONS = 448


class Attention(nn.Module):
    """Multi-head attention. Keys have a bias that Whisper's have not: the softmax makes it vanish."""

    def __init__(self) -> None:
        super().__init__()
        self.q, self.kv, self.o = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, 2 * WIDTH), nn.Linear(WIDTH, WIDTH)

    def forward(self, x: Tensor, memory: Tensor, *, causal: bool = False) -> Tensor:
        """(B, L, D) attending to (B, M, D): (B, L, D)."""

        def heads(y: Tensor) -> Tensor:
            return y.view(len(y), -1, HEADS, WIDTH // HEADS).transpose(1, 2)

        keys, values = self.kv(memory).chunk(2, -1)
        queries, keys, values = heads(self.q(x)), heads(keys), heads(values)
        if x.is_cuda:
            mixed = F.scaled_dot_product_attention(queries, keys, values, is_causal=causal)
        else:  # written out, because PyTorch's fused attention is several times slower backwards on a CPU
            scores = (queries / math.sqrt(WIDTH // HEADS)) @ keys.transpose(2, 3)
            if causal:
                hidden = torch.ones(scores.shape[2:], dtype=torch.bool).triu(1)
                scores = scores.masked_fill(hidden, float("-inf"))
            mixed = scores.softmax(-1) @ values
        return self.o(mixed.transpose(1, 2).reshape(x.shape))


class Block(nn.Module):
    """One layer, norm first; a decoder layer also attends to the encoder."""

    def __init__(self, *, decoder: bool) -> None:
        super().__init__()
        self.n1, self.a, self.n3 = nn.LayerNorm(WIDTH), Attention(), nn.LayerNorm(WIDTH)
        self.f1, self.f2 = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)
        self.decoder = decoder
        if decoder:
            self.n2, self.c = nn.LayerNorm(WIDTH), Attention()

    def forward(self, x: Tensor, memory: Tensor | None = None) -> Tensor:
        """(B, L, D) → (B, L, D)."""
        y = self.n1(x)
        x = x + self.a(y, y, causal=self.decoder)
        if memory is not None:
            x = x + self.c(self.n2(x), memory)
        return x + self.f2(F.gelu(self.f1(self.n3(x))))


def sinusoids(length: int, width: int) -> Tensor:
    """Whisper's fixed encoder positions, (length, width)."""
    rates = torch.exp(-math.log(10_000) / (width // 2 - 1) * torch.arange(width // 2))
    angles = torch.arange(length)[:, None] * rates[None]
    return torch.cat([angles.sin(), angles.cos()], 1)


class Whisperling(nn.Module):
    """Encoder, decoder over the ``tokens`` trained, and a CTC head that only the training uses."""

    positions: Tensor

    def __init__(self, tokens: int, ctc_tokens: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(80, WIDTH, 3, padding=1)
        self.conv2 = nn.Conv1d(WIDTH, WIDTH, 3, stride=2, padding=1)
        self.register_buffer("positions", sinusoids(POSITIONS, WIDTH))
        self.encoder = nn.ModuleList(Block(decoder=False) for _ in range(ENCODER_LAYERS))
        self.encoder_norm = nn.LayerNorm(WIDTH)
        self.embedding = nn.Embedding(tokens, WIDTH)
        nn.init.normal_(self.embedding.weight, std=WIDTH**-0.5)
        self.text_positions = nn.Parameter(torch.randn(TEXT_POSITIONS, WIDTH) * 0.01)
        self.decoder = nn.ModuleList(Block(decoder=True) for _ in range(DECODER_LAYERS))
        self.decoder_norm = nn.LayerNorm(WIDTH)
        self.ctc = nn.Linear(WIDTH, ctc_tokens)
        # As initialised, the sound would be a tenth as loud as its positions, and learning starts ten times later.
        with torch.no_grad():
            self.conv1.weight *= 2
            self.conv2.weight *= 8
        self.reserve()

    @torch.no_grad()  # type: ignore[untyped-decorator, unused-ignore]  # only where PyTorch is not installed
    def reserve(self) -> None:
        """Keep dimension 0 for the export: always 1 before the projection, 0 in every trained token (see export.py)."""
        self.embedding.weight[:, 0] = 0
        self.decoder_norm.weight[0] = 0
        self.decoder_norm.bias[0] = 1

    def encode(self, mel: Tensor) -> Tensor:
        """(B, 80, T) → (B, T/2, D)."""
        x = F.gelu(self.conv2(F.gelu(self.conv1(mel)))).transpose(1, 2)
        x = x + self.positions[: x.shape[1]]
        for block in self.encoder:
            x = block(x)
        return self.encoder_norm(x)

    def decode(self, tokens: Tensor, memory: Tensor) -> Tensor:
        """(B, L) token indexes → (B, L, V) logits."""
        x = self.embedding(tokens) + self.text_positions[: tokens.shape[1]]
        for block in self.decoder:
            x = block(x, memory)
        return self.decoder_norm(x) @ self.embedding.weight.T


_FILTERS = torch.tensor(np.load(Path(whisper.__file__).parent / "assets" / "mel_filters.npz")["mel_80"])
_HANN = torch.hann_window(400)


def log_mel(audio: Tensor) -> Tensor:
    """(B, n) samples at 16 kHz → (B, 80, n/160), scaled as Whisper does."""
    power = torch.stft(audio, 400, 160, window=_HANN.to(audio.device), return_complex=True)[..., :-1].abs() ** 2
    log = torch.clamp(_FILTERS.to(audio.device) @ power, min=1e-10).log10()
    return (torch.maximum(log, log.amax((-2, -1), keepdim=True) - 8) + 4) / 4

"""The sound of a training batch: pieces of the corpus put in their places, the telephone line, the log-mel spectrum.

Whole batches as tensors, so that a GPU makes in milliseconds what would keep many cores busy.
"""

from __future__ import annotations

import torch
from torch import Tensor

from demo.batches import Batch
from demo.network import log_mel
from demo.voices import RATE


def mixed(batch: Batch, pcm: Tensor) -> Tensor:
    """Every piece at its place: (B, n) in [-1, 1]; ``pcm`` is the corpus, int16, (samples,)."""
    audio = torch.zeros(len(batch.noise) * batch.samples, device=pcm.device)
    piece = torch.repeat_interleave(torch.arange(len(batch.row), device=pcm.device), batch.length)
    within = torch.arange(len(piece), device=pcm.device) - (batch.length.cumsum(0) - batch.length)[piece]
    exact = within * batch.speed[piece]
    whole = exact.long()
    after = exact - whole
    index = batch.start[piece] + whole
    here, there = pcm[index].float(), pcm[index + 1].float()
    value = (here + (there - here) * after) * (batch.gain[piece] / 32768)
    audio.index_add_(0, (batch.row * batch.samples + batch.at)[piece] + within, value)
    return audio.view(-1, batch.samples)


def noise(batch: Batch, random: torch.Generator) -> Tensor:
    """White or pink noise and hum, (B, n) at unit power."""
    white = torch.randn(len(batch.noise), batch.samples, device=batch.noise.device, generator=random)
    hertz = torch.fft.rfftfreq(batch.samples, 1 / RATE, device=white.device)
    pink = torch.fft.irfft(torch.fft.rfft(white) / hertz.clamp(min=40).sqrt(), batch.samples)
    out = torch.where(batch.pink[:, None], pink / pink.std(1, keepdim=True), white)
    time = torch.arange(batch.samples, device=white.device) / RATE
    return out + torch.sin(2 * torch.pi * batch.hum[:, None] * time)


def companded(samples: Tensor, law: Tensor) -> Tensor:
    """Through 8-bit µ-law where ``law`` (B,) is 1, A-law where it is 2, else 16 bits."""
    size = samples.abs().clamp(max=1)
    mu = torch.expm1((torch.log1p(255 * size) * (127 / 5.545177)).round() * (5.545177 / 127)) / 255
    top = 1 + torch.log(torch.tensor(87.6))
    code = torch.where(size < 1 / 87.6, 87.6 * size / top, (1 + torch.log((87.6 * size).clamp(min=1e-9))) / top)
    code = (code * 127).round() / 127
    a = torch.where(code < 1 / top, code * top / 87.6, torch.exp(code * top - 1) / 87.6)
    kind = law[:, None]
    return torch.where(kind == 1, mu, torch.where(kind == 2, a, size)) * samples.sign()


def through(batch: Batch, audio: Tensor) -> Tensor:
    """(B, n) as the line lets it through: bass cut, tilted, most windows narrow band and companded."""
    n = batch.samples
    hertz = torch.fft.rfftfreq(n, 1 / RATE, device=audio.device)
    tilt = 10 ** (batch.tilt[:, None] / 20 * torch.log2(hertz.clamp(min=100) / 1000))
    cut = 1 / (1 + (batch.bass[:, None] / hertz.clamp(min=1)) ** 6).sqrt()
    spectrum = torch.fft.rfft(audio) * tilt * cut
    wide = torch.fft.irfft(spectrum, n).clamp(-1, 1)
    band = torch.sigmoid((3750 - hertz[: n // 4 + 1]) / 40)
    low = companded((torch.fft.irfft(spectrum[:, : n // 4 + 1] * band, n // 2) / 2).clamp(-1, 1), batch.law)
    narrow = torch.fft.irfft(torch.fft.rfft(low) * 2, n)
    return torch.where(batch.narrow[:, None], narrow, wide)


def masked(mel: Tensor, random: torch.Generator) -> Tensor:
    """SpecAugment, light: up to 12 bands once, up to 0.2 s every five seconds; (B, 80, T)."""

    def hidden(size: int, most: int) -> Tensor:
        width = torch.randint(0, most + 1, (len(mel), 1), device=mel.device, generator=random)
        first = torch.rand(len(mel), 1, device=mel.device, generator=random) * (size - width)
        where = torch.arange(size, device=mel.device)
        return (where >= first) & (where < first + width)

    mask = hidden(80, 12)[:, :, None]
    for _ in range(max(1, mel.shape[2] // 500)):
        mask = mask | hidden(mel.shape[2], 20)[:, None, :]
    return mel.masked_fill(mask, 0)


@torch.no_grad()  # type: ignore[untyped-decorator, unused-ignore]  # only where PyTorch is not installed
def heard(batch: Batch, pcm: Tensor) -> Tensor:
    """The log-mel spectrum of a batch, (B, 80, T); the batch and the corpus on the same device."""
    random = torch.Generator(pcm.device).manual_seed(batch.seed)
    audio = mixed(batch, pcm) + noise(batch, random) * batch.noise[:, None]
    return masked(log_mel(through(batch, audio)), random)

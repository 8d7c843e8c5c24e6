"""The two networks of the embedded diarisation pipeline, their losses, and the files that pyannote.audio loads.

Both are pyannote.audio's own classes with smaller layers: what is trained here loads in an unmodified
``Pipeline.from_pretrained(directory)``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - its name everywhere
from numpy.typing import NDArray
from pyannote.audio import __version__
from pyannote.audio.core.task import Problem, Resolution, Specifications
from pyannote.audio.models.embedding import XVectorMFCC
from pyannote.audio.models.segmentation import PyanNet
from scipy.linalg import eigh
from torch import Tensor

SECONDS = 3.0
"""Length of a window of the pipeline."""
DIMENSION = 128
LDA = 64
_SETS = ((0, 0), (1, 0), (0, 1), (1, 1))
"""The powerset of two speakers, in pyannote's order."""


def segmentation() -> PyanNet:
    """SincNet, a small LSTM, a class for nobody, either speaker, or both: (B, 1, n) → log P (B, frames, 4)."""
    net = PyanNet(
        sincnet={"stride": 20},
        lstm={"hidden_size": 96, "num_layers": 2},
        linear={"hidden_size": 64, "num_layers": 1},
    )
    net.specifications = Specifications(
        problem=Problem.MONO_LABEL_CLASSIFICATION,
        resolution=Resolution.FRAME,
        duration=SECONDS,
        classes=["speaker#1", "speaker#2"],
        powerset_max_classes=2,
        permutation_invariant=True,
    )
    net.build()
    return net


def embedding() -> XVectorMFCC:
    """A time-delay network at 33 frames a second: (B, 1, n) and weights (B, S, frames) → (B, S, DIMENSION)."""
    net = XVectorMFCC(mfcc={"melkwargs": {"n_fft": 512, "hop_length": 480, "n_mels": 64}}, dimension=DIMENSION)
    net.specifications = Specifications(
        problem=Problem.REPRESENTATION, resolution=Resolution.CHUNK, duration=SECONDS, permutation_invariant=False
    )
    return net


def log_probabilities(net: PyanNet, audio: Tensor) -> Tensor:
    """As ``net(audio)``, its convolutions in bfloat16."""
    with torch.autocast(audio.device.type, torch.bfloat16):
        features = net.sincnet(audio)
    out, _ = net.lstm(features.float().transpose(1, 2))
    for linear in net.linear:
        out = F.leaky_relu(linear(out))
    return net.classifier(out).log_softmax(-1)


def embeddings(net: XVectorMFCC, audio: Tensor, rows: Tensor, weights: Tensor) -> Tensor:
    """As ``net(audio[rows], weights=weights)``, its convolutions in bfloat16; (B, 1, n), (R,), (R, frames) → (R, D).

    Only what is asked for is pooled: the deviation of silence is zero, and would spoil the gradient of all others.
    """
    out = net.mfcc(audio).squeeze(1)
    with torch.autocast(audio.device.type, torch.bfloat16):
        for block in net.tdnns:
            out = block(out)
    return net.embedding(net.stats_pool(out[rows].float(), weights=weights))


def powerset_loss(scores: Tensor, masks: Tensor) -> Tensor:
    """Cross-entropy of the better of both orders of the speakers; log P (B, frames, 4), masks (B, 2, frames)."""
    sets = torch.tensor(_SETS, device=scores.device)
    losses = []
    for order in ((0, 1), (1, 0)):
        both = masks[:, order].transpose(1, 2).long()
        target = (both.unsqueeze(2) == sets).all(-1).long().argmax(-1)
        losses.append(F.nll_loss(scores.transpose(1, 2), target, reduction="none").mean(1))
    return torch.minimum(*losses).mean()


def contrast(vectors: Tensor, speakers: Tensor) -> tuple[Tensor, Tensor]:
    """Supervised contrastive loss: each embedding has to find the others of its speaker among all of the batch.

    Vectors (n, DIMENSION), speakers (n,); with the loss comes the share whose nearest other one is of their speaker.
    """
    unit = F.normalize(vectors)
    itself = torch.eye(len(unit), dtype=torch.bool, device=unit.device)
    likeness = (20 * unit @ unit.T).masked_fill(itself, -torch.inf)
    same = (speakers[:, None] == speakers) & ~itself
    paired = same.any(1)
    chances = likeness.log_softmax(1).masked_fill(~same, 0)
    loss = -(chances.sum(1)[paired] / same.sum(1)[paired]).mean()
    return loss, (speakers[likeness.argmax(1)] == speakers)[paired].float().mean()


Floats = NDArray[np.float64]


def plda(vectors: Floats, speakers: NDArray[np.int64]) -> tuple[dict[str, Floats], dict[str, Floats]]:
    """What VBx clusters in, from embeddings (n, DIMENSION) and who each is of: the two files of a PLDA directory.

    First a projection that tells speakers apart (LDA between two normalisations of length), then the two-covariance
    model in its own basis, as ``pyannote.audio.utils.vbx.vbx_setup`` reads them.
    """
    mean1 = vectors.mean(0)
    unit = _unit(vectors - mean1)
    within, between = _covariances(unit, speakers)
    # Largest ratio of between to within first.
    _, basis = eigh(between, within)
    lda = basis[:, ::-1][:, :LDA]
    projected = unit @ lda
    mean2 = projected.mean(0)
    final = _unit(projected - mean2)
    within, between = _covariances(final, speakers)
    psi, basis = eigh(between, within)
    order = slice(None, None, -1)
    transform = {"mean1": mean1, "mean2": mean2, "lda": lda}
    return transform, {"mu": final.mean(0), "tr": basis.T[order], "psi": np.maximum(psi[order], 1e-6)}


def _unit(vectors: Floats) -> Floats:
    """Vectors at the length that VBx gives them: the root of their dimension."""
    return np.asarray(np.sqrt(vectors.shape[1]) * vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


def _covariances(vectors: Floats, speakers: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Covariance within and between speakers."""
    centred = vectors - vectors.mean(0)
    _, index = np.unique(speakers, return_inverse=True)
    counts = np.bincount(index)
    means = np.zeros((len(counts), vectors.shape[1]))
    np.add.at(means, index, centred)
    means /= counts[:, None]
    rest = centred - means[index]
    within = rest.T @ rest / (len(vectors) - len(counts))
    between = means.T @ (means * counts[:, None]) / len(vectors) - within / counts.mean()
    ridge = 1e-4 * np.trace(within) / len(within) * np.eye(len(within))
    return within + ridge, between


def save(net: Any, file: Path) -> None:
    """Write a network as pyannote.audio's ``Model.from_pretrained`` reads it, weights in half precision."""
    state = {
        name: value.half() if value.is_floating_point() and "running" not in name else value
        for name, value in net.cpu().state_dict().items()
    }
    checkpoint: dict[str, Any] = {
        "state_dict": state,
        "hyper_parameters": dict(net.hparams),
        "pytorch-lightning_version": "2.5.0",
    }
    net.on_save_checkpoint(checkpoint)
    checkpoint["pyannote.audio"]["versions"]["pyannote.audio"] = __version__
    file.parent.mkdir(parents=True, exist_ok=True)
    torch.save(checkpoint, file)

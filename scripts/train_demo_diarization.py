"""Train the embedded diarisation pipeline from nothing: ``python scripts/train_demo_diarization.py --work DIR``.

Makes two-speaker telephone calls with espeak-ng, trains a segmentation and an embedding network on them, estimates the
PLDA, and writes a directory that ``pyannote.audio.Pipeline.from_pretrained`` loads: ``callscan/demo/diarization``; then
``scripts/evaluate_demo_diarization.py --card`` measures it. Interrupted, the same command goes on from its last
checkpoint. On the GPU where there is one. Needs Debian's espeak-ng and sox, and callscan with its extra ``pyannote``.
"""

from __future__ import annotations

import argparse
import math
import os
import random
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from callscan.diarization.pyannote import libraries

libraries()  # pyannote.audio without its telemetry, before anything else imports it

import torch  # noqa: E402

from demo import diarization_models as models  # noqa: E402
from demo import diarization_windows as windows  # noqa: E402
from demo.voices import RATE  # noqa: E402

SPEAKERS, UTTERANCES = 2000, 8
FRAME = 0.02
"""Seconds of one frame of the masks that embeddings are trained with."""
PLDA_STEPS = 20
CONFIG = """\
dependencies:
  pyannote.audio: 4.0.0

pipeline:
  name: pyannote.audio.pipelines.SpeakerDiarization
  params:
    clustering: VBxClustering
    segmentation: $model/segmentation
    segmentation_step: 0.1
    segmentation_batch_size: 16
    embedding: $model/embedding
    embedding_batch_size: 16
    embedding_exclude_overlap: true
    plda: $model/plda

params:
  clustering:
    threshold: 0.4
    Fa: 0.3
    Fb: 0.8
  segmentation:
    min_duration_off: 0.0
"""
"""As community-1, but for smaller batches and a finer first clustering: short windows scatter more."""


@dataclass(frozen=True)
class Stage:
    """One network's training: ``batch`` windows of ``seconds`` a step, the rate falling from ``rate`` by a cosine.

    The windows of a step are of ``among`` speakers, 0 for all of them.
    """

    name: str
    steps: int
    batch: int
    seconds: float
    rate: float
    among: int = 0


SEGMENTATION = (
    Stage("segmentation", 2500, 16, 10.0, 3e-3),
    Stage("segmentation-short", 600, 32, models.SECONDS, 1.5e-3),
    Stage("segmentation-more", 900, 32, models.SECONDS, 1.5e-3),
)
"""Long windows first, then those of the pipeline: in 10 s a network of this size takes two voices for one too often."""
EMBEDDING = (
    Stage("embedding", 350, 32, 5.0, 2e-3, among=14),
    Stage("embedding-more", 1200, 32, 5.0, 2e-3, among=14),
    Stage("embedding-last", 1000, 32, 5.0, 2e-3, among=20),
)

Batch = tuple[NDArray[np.float32], list[windows.Window]]
_speakers: windows.Speakers | None = None


def _open(folder: Path) -> None:
    global _speakers
    _speakers = windows.Speakers(folder)


def _batch(stage: Stage, seed: int, step: int) -> Batch:
    """The windows of one step; samples (batch, 1, n)."""
    assert _speakers is not None
    name = f"{seed}/{stage.name}/{step}"
    among = random.Random(name).sample(range(len(_speakers)), stage.among)
    draws = (random.Random(f"{name}/{number}") for number in range(stage.batch))
    made = [windows.window(_speakers, stage.seconds, rng, among) for rng in draws]
    return np.stack([one.samples for one in made])[:, None], made


def batches(pool: ProcessPoolExecutor, stage: Stage, seed: int, first: int, last: int) -> Iterator[Batch]:
    """The batches of steps ``first`` to ``last``, made ahead by the pool."""
    coming = deque(pool.submit(_batch, stage, seed, step) for step in range(first, last)[:8])
    for step in range(first, last):
        ready = coming.popleft().result()
        if step + 8 < last:
            coming.append(pool.submit(_batch, stage, seed, step + 8))
        yield ready


def train(
    stage: Stage,
    modules: list[torch.nn.Module],
    loss_of: Callable[[Batch, int], tuple[torch.Tensor, str]],
    pool: ProcessPoolExecutor,
    seed: int,
    checkpoint: Path,
) -> None:
    """Run one stage, from its checkpoint where there is one."""
    parameters = [p for module in modules for p in module.parameters()]
    optimiser = torch.optim.AdamW(parameters, lr=stage.rate, weight_decay=0.01)
    first = 0
    if checkpoint.exists():
        saved = torch.load(checkpoint)
        for module, state in zip(modules, saved["modules"], strict=True):
            module.load_state_dict(state)
        optimiser.load_state_dict(saved["optimiser"])
        first = saved["step"]
    began, total = time.monotonic(), 0.0
    for step, batch in enumerate(batches(pool, stage, seed, first, stage.steps), first):
        share = min(1.0, (step + 1) / 50) * (0.5 + 0.49 * math.cos(math.pi * step / stage.steps))
        optimiser.param_groups[0]["lr"] = stage.rate * share
        loss, told = loss_of(batch, step)
        optimiser.zero_grad()
        loss.backward()
        # A window without any variation, such as digital silence, has no gradient of its deviation.
        if torch.isfinite(torch.nn.utils.clip_grad_norm_(parameters, 1.0)):
            optimiser.step()
        total += loss.item()
        if (step + 1) % 25 == 0:
            pace = (time.monotonic() - began) / (step + 1 - first)
            print(f"{stage.name} {step + 1}/{stage.steps} loss {total / 25:.3f} {told}, {pace:.2f} s each", flush=True)
            total = 0.0
        if (step + 1) % 100 == 0 or step + 1 == stage.steps:
            temporary = checkpoint.with_suffix(".tmp")
            states = [module.state_dict() for module in modules]
            torch.save({"modules": states, "optimiser": optimiser.state_dict(), "step": step + 1}, temporary)
            temporary.replace(checkpoint)


def masks_of(batch: Batch, rng: random.Random) -> NDArray[np.float32]:
    """Where each speaker speaks alone, edges off by up to a tenth of a second as a segmentation has them: (B, 2, f)."""
    samples, made = batch
    centres = np.asarray((np.arange(int(samples.shape[-1] / RATE / FRAME)) + 0.5) * FRAME, np.float64)
    masks = []
    for one in made:
        spoken = tuple((w, s + rng.uniform(-0.1, 0.1), e + rng.uniform(-0.1, 0.1)) for w, s, e in one.spoken)
        both = windows.Window(one.samples, spoken, one.speakers).mask(centres)
        masks.append(both * (both.sum(0) < 2))
    return np.stack(masks)


def spoken_enough(batch: Batch, masks: NDArray[np.float32]) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Which of the masks (B, 2, f) hold 0.8 s of speech, and who speaks there."""
    chosen = masks.sum(-1) * FRAME >= 0.8
    return chosen, np.array([one.speakers for one in batch[1]])[chosen]


def main() -> None:
    """Speakers, both networks, PLDA, pipeline directory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="folder for the speakers and the checkpoints")
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "callscan" / "demo" / "diarization")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes that make windows")
    options = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.set_flush_denormal(True)
    torch.manual_seed(options.seed)
    speakers = windows.make(options.work / "speakers", SPEAKERS, UTTERANCES, options.seed, options.workers)
    print(f"{len(speakers)} speakers, {sum(map(sum, speakers.sizes)) / RATE / 3600:.1f} hours, on {device}", flush=True)
    segmentation, embedding = models.segmentation().to(device), models.embedding().to(device)
    field = segmentation.receptive_field

    def segmentation_loss(batch: Batch, step: int) -> tuple[torch.Tensor, str]:
        frames = np.arange(segmentation.num_frames(batch[0].shape[-1]), dtype=np.float64)
        centres: NDArray[np.float64] = field.start + field.duration / 2 + field.step * frames
        scores = models.log_probabilities(segmentation, torch.from_numpy(batch[0]).to(device))
        masks = torch.from_numpy(np.stack([one.mask(centres) for one in batch[1]])).to(device)
        return models.powerset_loss(scores, masks), ""

    def embedding_loss(batch: Batch, step: int) -> tuple[torch.Tensor, str]:
        masks = masks_of(batch, random.Random(f"{options.seed}/masks/{step}"))
        chosen, who = spoken_enough(batch, masks)
        audio, weights = torch.from_numpy(batch[0]).to(device), torch.from_numpy(masks[chosen]).to(device)
        vectors = models.embeddings(embedding, audio, torch.from_numpy(chosen.nonzero()[0]).to(device), weights)
        loss, right = models.contrast(vectors, torch.from_numpy(who).to(device))
        return loss, f"{right.item():.0%} right"

    with ProcessPoolExecutor(options.workers, initializer=_open, initargs=(options.work / "speakers",)) as pool:
        segmentation.train()
        for stage in SEGMENTATION:
            train(stage, [segmentation], segmentation_loss, pool, options.seed, options.work / f"{stage.name}.pt")
        embedding.train()
        for stage in EMBEDDING:
            train(stage, [embedding], embedding_loss, pool, options.seed, options.work / f"{stage.name}.pt")
        embedding.eval()
        vectors, who = [], []
        unseen = Stage("plda", PLDA_STEPS, 40, 6.0, 0.0)
        with torch.inference_mode():
            for step, batch in enumerate(batches(pool, unseen, options.seed, 0, PLDA_STEPS)):
                masks = masks_of(batch, random.Random(f"{options.seed}/plda/{step}"))
                chosen, names = spoken_enough(batch, masks)
                audio, weights = torch.from_numpy(batch[0]).to(device), torch.from_numpy(masks).to(device)
                vectors.append(embedding(audio, weights=weights).cpu().numpy()[chosen])
                who.append(names)
    transform, plda = models.plda(np.concatenate(vectors).astype(np.float64), np.concatenate(who))
    models.save(segmentation, options.out / "segmentation" / "pytorch_model.bin")
    models.save(embedding, options.out / "embedding" / "pytorch_model.bin")
    (options.out / "plda").mkdir(parents=True, exist_ok=True)
    np.savez_compressed(options.out / "plda" / "xvec_transform.npz", allow_pickle=False, **transform)
    np.savez_compressed(options.out / "plda" / "plda.npz", allow_pickle=False, **plda)
    (options.out / "config.yaml").write_text(CONFIG, "utf-8")
    size = sum(file.stat().st_size for file in options.out.rglob("*") if file.is_file())
    print(f"{options.out}: {size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()

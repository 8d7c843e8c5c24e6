"""Train the embedded speech model from nothing: ``python scripts/train_demo_model.py --work DIR``.

Makes the corpus with espeak-ng, trains in stages and exports to ``callscan/demo/model``; then
``scripts/evaluate_demo_model.py --card`` measures it. Interrupted, the same command goes on from its last checkpoint.
A GPU is used where there is one; without, it takes about fourteen hours on one core.
Needs Debian's espeak-ng and sox, and from PyPI ``torch openai-whisper tokenizers soxr`` beside callscan itself.
"""

from __future__ import annotations

import argparse
import math
import os
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import torch
import torch.nn.functional as F  # noqa: N812 - its name everywhere
from torch import Tensor
from torch.utils.data import DataLoader

from demo import corpus
from demo.batches import Batch, Batches, Stage, Tokens
from demo.line import heard
from demo.network import DECODER_LAYERS, HEADS, Whisperling

AGAIN = Stage(
    "again", 4600, lengths=(5, 10, 5, 10, 3, 10, 5, 30), audio=120, single=False, rate=1.6e-3, silent=0.06, ctc=0.3
)
STAGES = (
    Stage("sounds", 1400, lengths=(3.6,), audio=80, single=True, rate=3e-3, silent=0.0, ctc=1.0),
    Stage("pairs", 3000, lengths=(8,), audio=112, single=False, rate=3e-3, silent=0.05, ctc=0.5),
    Stage("calls", 2600, lengths=(5, 10, 15, 10, 15, 30), audio=120, single=False, rate=1.6e-3, silent=0.1, ctc=0.3),
    Stage("voices", 5000, lengths=(5, 10, 10, 5, 10, 30), audio=120, single=False, rate=1.6e-3, silent=0.08, ctc=0.3),
    Stage(
        "lengths",
        900,
        lengths=(2, 4, 3, 10, 5, 2, 6, 3, 8, 30),
        audio=120,
        single=False,
        rate=9e-4,
        silent=0.08,
        ctc=0.3,
    ),
    AGAIN,
    replace(AGAIN, name="fine", steps=1600, rate=1e-3),
    replace(AGAIN, name="mixed", steps=4200, overlap=0.25),
    replace(AGAIN, name="deep", steps=2900, overlap=0.1, beside=0.35),
    replace(AGAIN, name="last", steps=3000, rate=1.2e-3, overlap=0.15, beside=0.25),
    replace(AGAIN, name="polish", steps=2600, rate=1.2e-3, overlap=0.15, beside=0.25),
)
AVERAGED = 2
"""Stages whose weights are averaged: held-out token loss 0.112 against 0.122 and 0.119 after each of the two."""
WARMUP = 100
UTTERANCES, TEST_UTTERANCES = 46_000, 2_000


def loss_of(net: Whisperling, batch: Batch, pcm: Tensor, ctc_weight: float) -> tuple[Tensor, Tensor]:
    """Cross-entropy of the tokens and CTC loss of the encoder (0 where it has no weight)."""
    mel = heard(batch, pcm)
    with torch.autocast(pcm.device.type, torch.bfloat16):
        memory = net.encode(mel)
        logits = net.decode(batch.given, memory)
        ctc_logits = net.ctc(memory) if ctc_weight else None
    tokens = F.cross_entropy(logits.float().transpose(1, 2), batch.answer, ignore_index=-100)
    if ctc_logits is None:
        return tokens, torch.zeros((), device=pcm.device)
    log_probs = ctc_logits.float().log_softmax(-1).transpose(0, 1)
    sizes = torch.full((len(mel),), log_probs.shape[0], device=pcm.device)
    return tokens, F.ctc_loss(log_probs, batch.ctc, sizes, batch.ctc_sizes, zero_infinity=True)


def optimisers(net: Whisperling, rate: float) -> list[torch.optim.Optimizer]:
    """Muon for the matrices of the layers, AdamW for the rest.

    After 300 steps of the first stage Muon stood at a token loss of 1.93 where AdamW alone stood at 2.97.
    """
    layers = [p for name, p in net.named_parameters() if p.ndim == 2 and name.startswith(("encoder.", "decoder."))]
    known = {id(p) for p in layers}
    rest = [p for p in net.parameters() if id(p) not in known]
    return [
        torch.optim.Muon(layers, lr=rate, weight_decay=0.01, momentum=0.95, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(rest, lr=rate * 0.375, weight_decay=0.01, betas=(0.9, 0.98), fused=True),
    ]


def batches(data: corpus.Corpus, tokens: Tokens, stage: Stage, seed: int, steps: Iterable[int]) -> DataLoader[Batch]:
    """Batches drawn ahead by other processes."""
    workers = min(8, max(1, (os.cpu_count() or 1) - 1))
    return DataLoader(
        Batches(data, tokens, stage, seed), batch_size=None, sampler=steps, num_workers=workers, prefetch_factor=8
    )


@torch.no_grad()  # type: ignore[untyped-decorator, unused-ignore]  # only where PyTorch is not installed
def held_out(net: Whisperling, data: corpus.Corpus, tokens: Tokens, stage: Stage, device: torch.device) -> float:
    """Cross-entropy on voices and sentences that are not trained on."""
    pcm = torch.from_numpy(data.pcm).to(device)
    made = Batches(data, tokens, replace(stage, name="held out", lengths=(10,)), 0)
    return float(sum(loss_of(net, made[step].to(device), pcm, 0)[0].item() for step in range(4)) / 4)


def train(
    stage: Stage,
    net: Whisperling,
    data: corpus.Corpus,
    test: corpus.Corpus,
    tokens: Tokens,
    seed: int,
    checkpoint: Path,
) -> None:
    """Run one stage, from its checkpoint where there is one."""
    device = net.positions.device
    both = optimisers(net, stage.rate)
    peaks = [optimiser.param_groups[0]["lr"] for optimiser in both]
    first = 0
    if checkpoint.exists():
        saved = torch.load(checkpoint, map_location=device)
        net.load_state_dict(saved["net"])
        first = saved["step"]
        if first == stage.steps:
            return
        for optimiser, state in zip(both, saved["optimisers"], strict=True):
            optimiser.load_state_dict(state)
    pcm = torch.from_numpy(data.pcm).to(device)
    began, sums = time.monotonic(), torch.zeros(2, device=device)
    coming = batches(data, tokens, stage, seed, range(first, stage.steps))
    for step, batch in enumerate(coming, first):
        share = min(1, step / WARMUP + 0.02) * (0.495 * (1 + math.cos(math.pi * step / stage.steps)) + 0.01)
        ce, ctc = loss_of(net, batch.to(device), pcm, stage.ctc)
        for optimiser, peak in zip(both, peaks, strict=True):
            optimiser.param_groups[0]["lr"] = peak * share
            optimiser.zero_grad()
        (ce + stage.ctc * ctc).backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        for optimiser in both:
            optimiser.step()
        net.reserve()
        sums += torch.stack([ce.detach(), ctc.detach()])
        done = step + 1
        if done % 100 == 0:
            pace = (time.monotonic() - began) / (done - first)
            means = "tokens {:.3f} ctc {:.3f}".format(*(sums / 100).tolist())
            print(f"{stage.name} {done}/{stage.steps} {means}, {1000 * pace:.0f} ms each", flush=True)
            sums.zero_()
        if done % 500 == 0 or done == stage.steps:
            print(f"held out {held_out(net, test, tokens, stage, device):.3f}", flush=True)
            temporary = checkpoint.with_suffix(".tmp")
            state = {"net": net.state_dict(), "step": done}
            if done < stage.steps:
                state["optimisers"] = [o.state_dict() for o in both]
            torch.save(state, temporary)
            temporary.replace(checkpoint)


def main() -> None:
    """Corpus, stages, export."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="folder for the corpus and the checkpoints")
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "callscan" / "demo" / "model")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    torch.set_flush_denormal(True)
    torch.manual_seed(options.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    data = corpus.make(options.work / "train", UTTERANCES, options.seed)
    test = corpus.make(options.work / "test", TEST_UTTERANCES, options.seed, test=True)
    tokens = Tokens(data.texts + test.texts)
    net = Whisperling(len(tokens.all), len(tokens.letters) + 1).to(device)
    size = sum(p.numel() for p in net.parameters())
    print(f"{data.utterances} utterances, {len(tokens.words)} word tokens, {size} parameters, {device}", flush=True)
    for stage in STAGES:
        train(stage, net, data, test, tokens, options.seed, options.work / f"{stage.name}.pt")
    # What follows needs CTranslate2, which the machine that trains may lack: there, take the checkpoints elsewhere.
    from demo.export import export
    from demo.heads import choose_heads

    ends = [torch.load(options.work / f"{stage.name}.pt", map_location="cpu")["net"] for stage in STAGES[-AVERAGED:]]
    weights = {name: torch.stack([end[name] for end in ends]).mean(0) for name in ends[0]}
    every = [(layer, head) for layer in range(DECODER_LAYERS) for head in range(HEADS)]
    export(weights, tokens, options.out, every)
    print("word times from heads {}, off by {:.3f} s in the median".format(*choose_heads(options.out, options.seed)))


if __name__ == "__main__":
    main()

"""Train the embedded speech model from nothing: ``python scripts/train_demo_model.py --work DIR``.

Makes the corpus with espeak-ng, trains in stages on the CPU and exports to ``callscan/demo/model``; then
``scripts/evaluate_demo_model.py --card`` measures it. Interrupted, the same command goes on from its last checkpoint.
Needs Debian's espeak-ng and sox, and from PyPI ``torch openai-whisper tokenizers soxr`` beside callscan itself.
"""

from __future__ import annotations

import argparse
import math
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
import torch.nn.functional as F  # noqa: N812 - its name everywhere

from demo import batches, corpus
from demo.batches import Stage
from demo.export import export, export_openai
from demo.heads import choose_heads
from demo.network import DECODER_LAYERS, HEADS, Whisperling

STAGES = (
    Stage("sounds", 1400, 1400, lengths=(3.6,), audio=80, single=True, rate=3e-3, silent=0.0, placed=0.0, ctc=1.0),
    Stage("places", 3000, 3000, lengths=(8.0,), audio=112, single=False, rate=3e-3, silent=0.05, placed=0.9, ctc=0.5),
    Stage(
        "windows",
        1000,
        2600,
        lengths=(30, 5, 30, 10, 30, 15, 30, 20, 25),
        audio=120,
        single=False,
        rate=2e-3,
        silent=0.12,
        placed=0.0,
        ctc=0.0,
    ),
    Stage(
        "calls",
        2600,
        2600,
        lengths=(5, 10, 15, 10, 15, 30),
        audio=120,
        single=False,
        rate=1.6e-3,
        silent=0.1,
        placed=0.0,
        ctc=0.3,
    ),
    Stage(
        "polish",
        1600,
        1600,
        lengths=(5, 10, 15),
        audio=120,
        single=False,
        rate=1.2e-3,
        silent=0.1,
        placed=0.0,
        ctc=0.3,
    ),
)
WARMUP = 100
UTTERANCES = 24_000


def loss_of(net: Whisperling, data: batches.Batch, ctc_weight: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Cross-entropy of the tokens and CTC loss of the encoder (0 where it has no weight)."""
    with torch.autocast("cpu", torch.bfloat16):
        memory = net.encode(data.mel, data.offsets)
        logits = net.decode(data.given, memory)
        ctc_logits = net.ctc(memory) if ctc_weight else None
    tokens = F.cross_entropy(logits.float().transpose(1, 2), data.answer, ignore_index=-100)
    if ctc_logits is None:
        return tokens, torch.zeros(())
    log_probs = ctc_logits.float().log_softmax(-1).transpose(0, 1)
    sizes = torch.full((len(data.mel),), log_probs.shape[0])
    return tokens, F.ctc_loss(log_probs, data.ctc, sizes, data.ctc_sizes, zero_infinity=True)


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


def train(
    stage: Stage, net: Whisperling, data: corpus.Corpus, tokens: batches.Tokens, seed: int, checkpoint: Path
) -> None:
    """Run one stage, from its checkpoint where there is one."""
    both = optimisers(net, stage.rate)
    peaks = [optimiser.param_groups[0]["lr"] for optimiser in both]
    first = 0
    if checkpoint.exists():
        saved = torch.load(checkpoint)
        net.load_state_dict(saved["net"])
        for optimiser, state in zip(both, saved["optimisers"], strict=True):
            optimiser.load_state_dict(state)
        first = saved["step"]
    began, sums = time.monotonic(), [0.0, 0.0]
    with ThreadPoolExecutor(1) as ahead:
        coming = ahead.submit(batches.batch, data, tokens, stage, seed, first)
        for step in range(first, stage.steps):
            ready, coming = coming.result(), ahead.submit(batches.batch, data, tokens, stage, seed, step + 1)
            share = min(1, step / WARMUP + 0.02) * (0.49 * (1 + math.cos(math.pi * step / stage.decay)) + 0.02)
            ce, ctc = loss_of(net, ready, stage.ctc)
            for optimiser, peak in zip(both, peaks, strict=True):
                optimiser.param_groups[0]["lr"] = peak * share
                optimiser.zero_grad()
            (ce + stage.ctc * ctc).backward()
            torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            for optimiser in both:
                optimiser.step()
            net.reserve()
            sums = [sums[0] + ce.item(), sums[1] + ctc.item()]
            if (step + 1) % 50 == 0:
                pace = (time.monotonic() - began) / (step + 1 - first)
                means = f"tokens {sums[0] / 50:.3f} ctc {sums[1] / 50:.3f}"
                print(f"{stage.name} {step + 1}/{stage.steps} {means}, {pace:.2f} s each", flush=True)
                sums = [0.0, 0.0]
            if (step + 1) % 200 == 0 or step + 1 == stage.steps:
                temporary = checkpoint.with_suffix(".tmp")
                state = {"net": net.state_dict(), "optimisers": [o.state_dict() for o in both], "step": step + 1}
                torch.save(state, temporary)
                temporary.replace(checkpoint)


def main() -> None:
    """Corpus, stages, export, test."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="folder for the corpus and the checkpoints")
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "callscan" / "demo" / "model")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    torch.set_flush_denormal(True)
    torch.manual_seed(options.seed)
    data = corpus.make(options.work / "train", UTTERANCES, options.seed)
    tokens = batches.Tokens(data.texts)
    net = Whisperling(len(tokens.all), len(tokens.letters) + 1)
    size = sum(p.numel() for p in net.parameters())
    print(f"{len(data)} utterances, {len(tokens.words)} word tokens, {size} parameters", flush=True)
    for stage in STAGES:
        train(stage, net, data, tokens, options.seed, options.work / f"{stage.name}.pt")
    every = [(layer, head) for layer in range(DECODER_LAYERS) for head in range(HEADS)]
    export(net.state_dict(), tokens, options.out, every)
    export_openai(net.state_dict(), tokens, options.work / "openai.pt")  # for scripts/bench_peers.py
    print("word times from heads {}, off by {:.3f} s in the median".format(*choose_heads(options.out, options.seed)))


if __name__ == "__main__":
    main()

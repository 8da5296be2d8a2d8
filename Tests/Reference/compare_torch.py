"""Acceptance: `swiftlet train` on N ranks against torch, step by step, from the same weights and the same tokens.

    python Tests/Reference/compare_torch.py --model DIR --data 'data/train_*.bin' --ranks 1 2 [--steps 50]

Torch runs once, in one process, with the global batch that the ranks share; the order is that of --no-shuffle:
sequence i covers tokens [i·T, i·T + T]. Prints losses, rates and gradient norms side by side for each N; exit code 1
when a loss differs by more than --limit (relative). Needs what make_gpt2_goldens.py pins.
"""

import argparse
import glob
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from gpt2_reference import (
    PREFIX, adamw, deterministic, forward, learning_rate, load_config, read_shard, shapes, token_losses)
from safetensors.torch import load_file

ROOT = Path(__file__).parents[2]


def parse():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--model", required=True, help="Hugging Face GPT-2 directory: config.json and model.safetensors")
    p.add_argument("--data", required=True, help="pattern of llm.c shards")
    p.add_argument("--swiftlet", default=str(ROOT / ".build/release/swiftlet"))
    p.add_argument("--ranks", type=int, nargs="+", default=[1, 2])
    p.add_argument("--steps", type=int, default=50)
    p.add_argument("--schedule-steps", type=int, help="the schedule's --steps, when longer than the run")
    p.add_argument("--warmup-steps", type=int, default=10)
    p.add_argument("--learning-rate", type=float, default=3e-4)
    p.add_argument("--micro-batch", type=int, default=1)
    p.add_argument("--global-batch", type=int, default=4)
    p.add_argument("--weight-decay", type=float, default=0.1)
    p.add_argument("--grad-clip", type=float, default=1.0)
    p.add_argument("--precision", default="fp32")
    p.add_argument("--limit", type=float, default=1e-4)
    return p.parse_args()


def torch_curve(a):
    """(loss, rate as the log shows it, gradient norm) of each step."""
    settings = load_config(a.model)
    T, total = settings["n_positions"], a.schedule_steps or a.steps
    stored = load_file(Path(a.model) / "model.safetensors")
    weights = {n: stored.get(n, stored.get(n.removeprefix(PREFIX))).float().clone().requires_grad_()
               for n in shapes(settings)}
    tokens = torch.from_numpy(np.concatenate([read_shard(path) for path in sorted(glob.glob(a.data))]))
    available, needed = (len(tokens) - 1) // T, a.steps * a.global_batch
    if needed > available:
        sys.exit(f"{needed} sequences of {T} are needed for one pass, the data has {available}: use fewer --steps")
    optimizer = adamw(list(weights.values()), a.learning_rate, decay=a.weight_decay)
    curve = []
    for k in range(a.steps):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(k, a.learning_rate, a.warmup_steps, total)
        optimizer.zero_grad(set_to_none=True)
        loss = 0.0
        for b in range(a.global_batch):  # one sequence at a time keeps a large model in memory
            start = (k * a.global_batch + b) * T
            window = tokens[start:start + T + 1][None]
            part = token_losses(forward(weights, settings, window[:, :-1]), window[:, 1:]).mean() / a.global_batch
            part.backward()
            loss += part.item()
        limit = a.grad_clip if a.grad_clip > 0 else float("inf")
        norm = torch.nn.utils.clip_grad_norm_(weights.values(), limit).item()
        optimizer.step()
        curve.append((loss, learning_rate(k + 1, a.learning_rate, a.warmup_steps, total), norm))
    return curve


def swiftlet_curve(a, ranks, directory):
    """The same of `swiftlet train` on `ranks` ranks, from its metrics.jsonl."""
    run = Path(directory) / f"run-{ranks}"
    command = [
        str(ROOT / "launch/local"), "-n", str(ranks), "-t", "1", "train", "--init-from", a.model,
        "--train-data", a.data, "--run-dir", str(run), "--no-shuffle", "--precision", a.precision,
        "--micro-batch", str(a.micro_batch), "--global-batch", str(a.global_batch),
        "--steps", str(a.schedule_steps or a.steps), "--warmup-steps", str(a.warmup_steps),
        "--learning-rate", str(a.learning_rate), "--weight-decay", str(a.weight_decay),
        "--grad-clip", str(a.grad_clip), "--checkpoint-interval", "1000000",
    ]
    if a.schedule_steps and a.schedule_steps > a.steps:
        command += ["--stop-after", str(a.steps)]
    result = subprocess.run(command, env=os.environ | {"SWIFTLET": a.swiftlet}, stdout=subprocess.PIPE, text=True)
    if result.returncode not in (0, 75):
        sys.exit(f"swiftlet on {ranks} ranks ended with {result.returncode}\n{result.stdout}")
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [(r["train_loss"], r["lr"], r["grad_norm"]) for r in rows]


def main():
    a = parse()
    deterministic()
    torch.set_num_threads(os.cpu_count())
    expected = torch_curve(a)
    failed = False
    with tempfile.TemporaryDirectory() as directory:
        for ranks in a.ranks:
            found = swiftlet_curve(a, ranks, directory)
            if len(found) != len(expected):
                sys.exit(f"{ranks} ranks: metrics.jsonl has {len(found)} steps, expected {len(expected)}")
            difference = lambda i: [abs(f[i] - e[i]) / max(abs(e[i]), 1e-30) if e[i] or f[i] else 0.0
                                    for f, e in zip(found, expected)]
            losses, rates, norms = difference(0), difference(1), difference(2)
            for k in sorted({0, 1, 2, len(found) // 2, len(found) - 1}):
                print(f"ranks {ranks}  step {k + 1:4d}  loss {found[k][0]:.6f} torch {expected[k][0]:.6f}  "
                      f"lr {found[k][1]:.9f} torch {expected[k][1]:.9f}  norm {found[k][2]:.6f} torch {expected[k][2]:.6f}")
            worst = max(range(len(losses)), key=losses.__getitem__)
            verdict = "ok" if losses[worst] <= a.limit else "TOO FAR"
            failed |= verdict != "ok"
            print(f"ranks {ranks}  largest relative difference: loss {losses[worst]:.1e} (step {worst + 1}), "
                  f"lr {max(rates):.1e}, norm {max(norms):.1e}; limit {a.limit:.0e}: {verdict}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()

"""Writes the metrics.jsonl of a run that never was, line by line as `swiftlet train` writes them:

    make_long_run.py runs/long 1000000

What `swiftlet report` and `swiftlet plot` need to read a run of a million steps was measured on three of them.
"""

import json
import math
import pathlib
import random
import sys


def line(step: int, steps: int, noise: random.Random) -> str:
    loss = 1.9 + 7 * math.exp(-step / (0.05 * steps)) + 0.05 * noise.gauss(0, 1)
    milliseconds = 160 * (1 + abs(noise.gauss(0, 0.05))) * (5 if step % 5000 == 0 else 1)
    members = {
        "step": step,
        "epoch": 1 + step // 50_000,
        "lr": 1e-3 * min(1, step / 1000) * (0.5 + 0.5 * math.cos(math.pi * step / steps)),
        "train_loss": loss + (6 if step == steps // 3 else 0),
        "grad_norm": 0.5 + abs(noise.gauss(0, 0.1)),
        "tokens": 2048 * step,
        "tokens_per_second": 2048e3 / milliseconds,
        "step_ms": round(milliseconds, 6),
        "muon_lr": 0.02 * (1 - step / steps),
        "ceiling_share": round(120 / milliseconds, 6),
    }
    if step % 100 == 0:
        members |= {"val_loss": loss + 0.1, "val_ppl": math.exp(loss + 0.1), "val_bpb": 0.33 * (loss + 0.1)}
    return json.dumps(members, separators=(",", ":")) + "\n"


def main(folder: str, steps: str) -> None:
    path = pathlib.Path(folder)
    path.mkdir(parents=True, exist_ok=True)
    noise = random.Random(folder)
    with (path / "metrics.jsonl").open("w") as file:
        file.writelines(line(step, int(steps), noise) for step in range(1, int(steps) + 1))


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Makes Tests/OptimizationTests/LearningRateScheduleGoldens.swift: learning rates as PyTorch's LambdaLR gives them.

Run with torch==2.15.0 and no other package:

    python Tests/Reference/make_schedule_goldens.py > Tests/OptimizationTests/LearningRateScheduleGoldens.swift

The factor is written here as the project's documentation defines it; LambdaLR multiplies it by the base rate. Rates are
printed as the bits of the double, so a comparison is exact.
"""

import math
import struct

import torch

assert torch.__version__.startswith("2.15.0"), torch.__version__

CASES = [  # kind, base, W, S, D, shape of the decay
    ("cosine", 3e-4, 100, 10000, 0, "sqrt"),
    ("cosine", 6e-4, 0, 50, 0, "sqrt"),
    ("cosine", 1e-3, 7, 41, 0, "sqrt"),
    ("cosine", 1e-3, 12, 12, 0, "sqrt"),
    ("cosine", 1e-3, 20, 12, 0, "sqrt"),
    ("linear", 3e-4, 10, 77, 0, "sqrt"),
    ("constant", 2.5e-4, 10, 30, 0, "sqrt"),
    ("wsd", 6e-4, 5, 60, 24, "sqrt"),
    ("wsd", 6e-4, 5, 60, 24, "linear"),
    ("wsd", 0.01, 0, 120, 72, "linear"),
    ("wsd", 1e-3, 10, 40, 30, "linear"),
]


def factor(kind, warmup, total, decay, shape):
    def at(k):
        k = min(k, total)
        if k < warmup:
            return (k + 1) / max(1, warmup)
        if kind == "cosine":
            return 0.5 * (1 + math.cos(math.pi * (k - warmup) / max(1, total - warmup)))
        if kind == "linear":
            return (total - k) / (total - warmup)
        if kind == "wsd" and k > total - decay:
            return 1 - math.sqrt((k - (total - decay)) / decay) if shape == "sqrt" else (total - k) / decay
        return 1.0

    return at


def rates(kind, base, warmup, total, decay, shape, steps):
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.AdamW([parameter], lr=base)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, factor(kind, warmup, total, decay, shape))
    wanted, result = set(steps), {}
    for step in range(max(steps) + 1):
        if step in wanted:
            result[step] = scheduler.get_last_lr()[0]
        optimizer.step()
        scheduler.step()
    return result


print("// Made by Tests/Reference/make_schedule_goldens.py; do not edit.\n")
print("/// One schedule and its rates, as bits, by update number.")
print("struct ScheduleGolden {")
print("    let kind: String")
print("    let base: Double")
print("    let warmup: Int")
print("    let total: Int")
print("    /// Of wsd.")
print("    let decay: Int")
print("    let shape: String")
print("    let rates: [(step: Int, bits: UInt64)]")
print("}\n")
print("let scheduleGoldens: [ScheduleGolden] = [")
for kind, base, warmup, total, decay, shape in CASES:
    edges = [0, 1, warmup - 1, warmup, warmup + 1, total // 3, total // 2, total - 1, total, total + 1]
    edges += [total - decay - 1, total - decay, total - decay + 1]
    edges += range(0, total, max(1, total // 23))
    steps = sorted({s for s in edges if s >= 0})
    print("    ScheduleGolden(")
    print(f'        kind: "{kind}", base: {base!r}, warmup: {warmup}, total: {total}, decay: {decay}, shape: "{shape}",')
    print("        rates: [")
    for step, rate in sorted(rates(kind, base, warmup, total, decay, shape, steps).items()):
        bits = struct.unpack("<Q", struct.pack("<d", rate))[0]
        print(f"            ({step}, 0x{bits:016X}),")
    print("        ]),")
print("]")

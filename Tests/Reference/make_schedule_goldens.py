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

CASES = [  # kind, base, W, S
    ("cosine", 3e-4, 100, 10000),
    ("cosine", 6e-4, 0, 50),
    ("cosine", 1e-3, 7, 41),
    ("cosine", 1e-3, 12, 12),
    ("cosine", 1e-3, 20, 12),
    ("linear", 3e-4, 10, 77),
    ("constant", 2.5e-4, 10, 30),
]


def factor(kind, warmup, total):
    def at(k):
        k = min(k, total)
        if k < warmup:
            return (k + 1) / max(1, warmup)
        if kind == "cosine":
            return 0.5 * (1 + math.cos(math.pi * (k - warmup) / max(1, total - warmup)))
        if kind == "linear":
            return (total - k) / (total - warmup)
        return 1.0

    return at


def rates(kind, base, warmup, total, steps):
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.AdamW([parameter], lr=base)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, factor(kind, warmup, total))
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
print("    let rates: [(step: Int, bits: UInt64)]")
print("}\n")
print("let scheduleGoldens: [ScheduleGolden] = [")
for kind, base, warmup, total in CASES:
    edges = [0, 1, warmup - 1, warmup, warmup + 1, total // 3, total // 2, total - 1, total, total + 1]
    edges += range(0, total, max(1, total // 23))
    steps = sorted({s for s in edges if s >= 0})
    print("    ScheduleGolden(")
    print(f'        kind: "{kind}", base: {base!r}, warmup: {warmup}, total: {total},')
    print("        rates: [")
    for step, rate in sorted(rates(kind, base, warmup, total, steps).items()):
        bits = struct.unpack("<Q", struct.pack("<d", rate))[0]
        print(f"            ({step}, 0x{bits:016X}),")
    print("        ]),")
print("]")

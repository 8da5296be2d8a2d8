"""Makes Tests/CheckpointingTests/SafetensorsGolden.swift: a file as the reference writer of the format writes it.

Run with safetensors==0.8.0 and torch==2.15.0, then format it:

    python Tests/Reference/make_safetensors_golden.py > Tests/CheckpointingTests/SafetensorsGolden.swift
    swift format -i Tests/CheckpointingTests/SafetensorsGolden.swift
"""

import safetensors.torch
import torch

tensors = {
    "i": torch.tensor([-2], dtype=torch.int64),
    "z": torch.tensor([1.5, -0.25], dtype=torch.float32),
    "a": torch.tensor([1.0, -2.0, 3.140625], dtype=torch.bfloat16),
    "h": torch.tensor([0.5], dtype=torch.float16),
    "u": torch.tensor([200], dtype=torch.uint8),
    "b": torch.tensor([True]),
    "matrix": torch.arange(6, dtype=torch.float32).reshape(2, 3),
    "scalar": torch.tensor(7.0),
    "empty": torch.zeros((0, 4)),
}
data = safetensors.torch.save(tensors, metadata={"format": "pt"})
print("// Made by Tests/Reference/make_safetensors_golden.py; do not edit.\n")
print("/// A file with nine tensors, as the reference writer of the format writes it.")
print("let safetensorsGolden: [UInt8] = [")
for start in range(0, len(data), 16):
    print("    " + " ".join(f"0x{byte:02X}," for byte in data[start : start + 16]))
print("]")

"""A GPT-2 in plain torch operations, for reference numbers: no dropout, no fused attention, any dtype.

The weights are a dictionary in Hugging Face's names and layout (matmul weights [in, out], prefix `transformer.`),
so what a test reads from a file and what is computed here have one name and one shape.
Letters: B sequences, T positions, C width, H heads, V vocabulary.
"""

import json
import math
import struct
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

PREFIX = "transformer."


def deterministic():
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)


def shapes(config):
    """Every tensor's name and shape, in forward order."""
    V, T, C, L = (config[k] for k in ("vocab_size", "n_positions", "n_embd", "n_layer"))
    table = {"wte.weight": (V, C), "wpe.weight": (T, C)}
    for i in range(L):
        table |= {
            f"h.{i}.ln_1.weight": (C,), f"h.{i}.ln_1.bias": (C,),
            f"h.{i}.attn.c_attn.weight": (C, 3 * C), f"h.{i}.attn.c_attn.bias": (3 * C,),
            f"h.{i}.attn.c_proj.weight": (C, C), f"h.{i}.attn.c_proj.bias": (C,),
            f"h.{i}.ln_2.weight": (C,), f"h.{i}.ln_2.bias": (C,),
            f"h.{i}.mlp.c_fc.weight": (C, 4 * C), f"h.{i}.mlp.c_fc.bias": (4 * C,),
            f"h.{i}.mlp.c_proj.weight": (4 * C, C), f"h.{i}.mlp.c_proj.bias": (C,),
        }
    table |= {"ln_f.weight": (C,), "ln_f.bias": (C,)}
    return {PREFIX + name: shape for name, shape in table.items()}


def forward(weights, config, tokens):
    """Logits [B, T, V] of tokens [B, T]."""
    w = lambda name: weights[PREFIX + name]
    B, T = tokens.shape
    C, H = config["n_embd"], config["n_head"]
    eps = config["layer_norm_epsilon"]
    causal = torch.ones(T, T, dtype=torch.bool).tril()
    norm = lambda x, name: F.layer_norm(x, (C,), w(name + ".weight"), w(name + ".bias"), eps)
    dense = lambda x, name: x @ w(name + ".weight") + w(name + ".bias")

    x = w("wte.weight")[tokens] + w("wpe.weight")[:T]
    for i in range(config["n_layer"]):
        q, k, v = dense(norm(x, f"h.{i}.ln_1"), f"h.{i}.attn.c_attn").split(C, dim=2)
        q, k, v = (t.view(B, T, H, C // H).transpose(1, 2) for t in (q, k, v))
        scores = (q @ k.transpose(2, 3)) / math.sqrt(C // H)
        attention = scores.masked_fill(~causal, -math.inf).softmax(dim=3)
        x = x + dense((attention @ v).transpose(1, 2).reshape(B, T, C), f"h.{i}.attn.c_proj")
        hidden = F.gelu(dense(norm(x, f"h.{i}.ln_2"), f"h.{i}.mlp.c_fc"), approximate="tanh")
        x = x + dense(hidden, f"h.{i}.mlp.c_proj")
    return norm(x, "ln_f") @ w("wte.weight").T


def token_losses(logits, targets):
    """Cross-entropy of each token, [B, T]."""
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none").view(targets.shape)


def learning_rate(k, base, warmup, steps, minimum=0.0):
    """The rate of update number k, from 0: linear warm-up, then cosine decay."""
    if k < warmup:
        return base * (k + 1) / max(1, warmup)
    return minimum + (base - minimum) * 0.5 * (1 + math.cos(math.pi * (k - warmup) / max(1, steps - warmup)))


def adamw(weights, base, decay=0.1, betas=(0.9, 0.95), eps=1e-8):
    """AdamW in torch's plain single-tensor form; tensors of two or more dimensions decay, the others do not."""
    groups = [
        {"params": [w for w in weights if w.dim() >= 2], "weight_decay": decay},
        {"params": [w for w in weights if w.dim() < 2], "weight_decay": 0.0},
    ]
    groups = [g for g in groups if g["params"]]
    return torch.optim.AdamW(groups, lr=base, betas=betas, eps=eps, foreach=False, fused=False)


def write_shard(path, tokens):
    """llm.c's shard: 256 int32 (magic, version, count), then uint16 tokens."""
    header = np.zeros(256, dtype="<i4")
    header[:3] = 20240520, 1, len(tokens)
    Path(path).write_bytes(header.tobytes() + np.asarray(tokens, dtype="<u2").tobytes())


def read_shard(path):
    """The tokens of an llm.c shard, uint16 or uint32 by its magic, as int64."""
    data = Path(path).read_bytes()
    magic, version, count = struct.unpack_from("<iii", data)
    dtype = {(20240520, 1): "<u2", (20240801, 7): "<u4"}.get((magic, version))
    if dtype is None:
        raise SystemExit(f"{path}: magic {magic} version {version} is no llm.c shard")
    return np.frombuffer(data, dtype=dtype, offset=1024, count=count).astype(np.int64)


def load_config(directory):
    return json.loads((Path(directory) / "config.json").read_text())


def config(layers, heads, width, vocabulary, context):
    return {
        "model_type": "gpt2", "architectures": ["GPT2LMHeadModel"],
        "vocab_size": vocabulary, "n_positions": context, "n_ctx": context,
        "n_embd": width, "n_layer": layers, "n_head": heads, "n_inner": None,
        "activation_function": "gelu_new", "layer_norm_epsilon": 1e-5,
        "attn_pdrop": 0.0, "embd_pdrop": 0.0, "resid_pdrop": 0.0, "initializer_range": 0.02,
        "bos_token_id": 0, "eos_token_id": 0, "tie_word_embeddings": True,
        "scale_attn_weights": True, "use_cache": True, "torch_dtype": "float32",
    }

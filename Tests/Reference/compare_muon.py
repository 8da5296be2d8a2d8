"""Acceptance: `swiftlet train --optimizer muon` against torch.optim.Muon, with torch's AdamW for all that it is not for.

    pip install torch==2.15.0 numpy==2.4.6 safetensors==0.8.0 transformers==5.23.0
    python Tests/Reference/compare_muon.py --text TEXT [--only NAME...] [--steps 50]

Tiny models from given weights, in fp32 with --muon-precision fp32, on 1 and 2 ranks: losses step by step (limit 1e-4,
relative), gradient norms (1e-3), and the same bits on both. Llama and GPT-2 are transformers' own; the family `modern`,
which no other program computes, is written down here. torch's Muon computes its Newton-Schulz iterations in bf16 always:
they are replaced here by the same lines in fp32. GPT-2's matrices lie the other way round in torch's Muon as in
Swiftlet's files: the factor of the rate goes by the layer, so they are turned over for the optimizer.
Exit code 1 when something differs by more than its limit.
"""

import argparse
import hashlib
import json
import sys
import tempfile
from pathlib import Path

import torch
import torch.nn.functional as F
from compare_families import CONTEXT, gpt2, llama, mean_loss, swiftlet, windows
from gpt2_reference import adamw, learning_rate, read_shard
from safetensors.torch import load_file, save_file
from torch.optim import _muon
from transformers import AutoModelForCausalLM, logging

ROOT = Path(__file__).parents[2]
RATE, MUON_RATE, MOMENTUM, DECAY = 1e-3, 0.02, 0.9, 0.05
# Large enough for the ranks to share the matrices.
SIZES = dict(hidden_size=96, intermediate_size=256)


def newton_schulz(gradient, coefficients, steps, eps):
    """torch's _zeropower_via_newtonschulz without its rounding to bf16."""
    a, b, c = coefficients
    x = gradient.clone()
    if gradient.size(0) > gradient.size(1):
        x = x.T
    x = x / x.norm().clamp(min=eps)
    for _ in range(steps):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.T if gradient.size(0) > gradient.size(1) else x


def norm(x):
    return F.rms_norm(x, (x.size(-1),))  # with the smallest epsilon, as in the family's config.json


class Modern(torch.nn.Module):
    """The family `modern`: rotary positions, RMSNorm without weights (after the embedding too), norms on queries and keys,
    ReLU squared, no biases, a tied head. Tensors under the names of the checkpoint."""

    def __init__(self, config, tensors):
        super().__init__()
        self.config = config
        self.names = list(tensors)
        self.weights = torch.nn.ParameterList(tensors.values())
        self.place = {name: index for index, name in enumerate(self.names)}

    def w(self, name):
        return self.weights[self.place[f"model.{name}.weight"]]

    def forward(self, tokens):
        c = self.config
        B, T = tokens.shape
        H, D = c["num_attention_heads"], c["hidden_size"] // c["num_attention_heads"]
        pairs = torch.arange(0, D // 2, dtype=torch.float32) * 2 / D
        angles = torch.outer(torch.arange(T, dtype=torch.float32), 10000.0 ** -pairs)
        cos, sin = angles.cos(), angles.sin()

        def turn(x):
            a, b = x[..., :D // 2], x[..., D // 2:]
            return torch.cat((a * cos - b * sin, b * cos + a * sin), -1)

        x = norm(F.embedding(tokens, self.w("embed_tokens")))
        for layer in range(c["num_hidden_layers"]):
            w = lambda name: self.w(f"layers.{layer}.{name}")
            h = norm(x)
            q, k, v = (F.linear(h, w(f"self_attn.{p}_proj")).view(B, T, H, D).transpose(1, 2) for p in "qkv")
            y = F.scaled_dot_product_attention(turn(norm(q)), turn(norm(k)), v, is_causal=True)
            x = x + F.linear(y.transpose(1, 2).reshape(B, T, H * D), w("self_attn.o_proj"))
            x = x + F.linear(F.relu(F.linear(norm(x), w("mlp.up_proj"))).square(), w("mlp.down_proj"))
        logits = F.linear(norm(x), self.w("embed_tokens"))
        return type("Output", (), {"logits": logits})


def options(place):
    return [
        "--train-data", place / "train_*.bin", "--no-shuffle", "--precision", "fp32", "--micro-batch", 1,
        "--global-batch", 4]


def modern(a, place, directory):
    """A new model of Swiftlet's own, with all matrices drawn: the projections of a new one are zero."""
    run = directory / "modern-new"
    swiftlet(
        a, 1, "train", *options(place), "--run-dir", run, "--architecture", "modern", "--layers", 3, "--heads", 4,
        "--embedding-size", 96, "--context-length", CONTEXT, "--steps", 1, "--warmup-steps", 0, "--learning-rate", 0)
    path = directory / "modern"
    path.mkdir()
    found = run / "checkpoints/step-00000001"
    for name in ("config.json", "tokenizer.json"):
        (path / name).write_bytes((found / name).read_bytes())
    tensors = load_file(found / "model.safetensors")
    generator = torch.Generator().manual_seed(1)
    for name in sorted(tensors):
        if "_proj" in name:
            tensors[name] = 0.1 * torch.randn(tensors[name].shape, generator=generator)
    save_file(tensors, path / "model.safetensors")
    return Modern(json.loads((path / "config.json").read_text()), tensors), path


def transformers_model(config, name):
    def make(a, place, directory):
        torch.manual_seed(len(name))
        model = AutoModelForCausalLM.from_config(config, attn_implementation="eager").eval()
        path = directory / name
        model.save_pretrained(path)
        (path / "tokenizer.json").write_bytes((place / "tokenizer.json").read_bytes())
        return model, path

    return make


MODELS = {
    "gpt2": transformers_model(gpt2(n_embd=96), "gpt2"),
    "llama": transformers_model(llama(**SIZES), "llama"),
    "llama-grouped": transformers_model(
        llama(num_key_value_heads=2, tie_word_embeddings=True, **SIZES), "llama-grouped"),
    "modern": modern,
}


def curve(a, model, tokens):
    named = list(model.named_parameters()) if not isinstance(model, Modern) else list(
        zip(model.names, model.weights))
    is_matrix = lambda name, w: w.dim() == 2 and ("layers." in name or ".h." in name)
    matrices = [w for name, w in named if is_matrix(name, w)]
    others = adamw([w for name, w in named if not is_matrix(name, w)], RATE)
    turned = any(".h." in name for name, _ in named)
    # Turned over for the optimizer where they are stored [in, out]: the same memory, seen as [out, in].
    seen = [torch.nn.Parameter(w.data.T if turned else w.data) for w in matrices]
    muon = torch.optim.Muon(seen, lr=MUON_RATE, weight_decay=DECAY, momentum=MOMENTUM)
    result = []
    for k in range(a.steps):
        rate = learning_rate(k, RATE, 5, a.steps)
        for group in others.param_groups:
            group["lr"] = rate
        muon.param_groups[0]["lr"] = MUON_RATE * (rate / RATE)
        model.zero_grad(set_to_none=True)
        loss = mean_loss(model, windows(tokens, 4 * k, 4))
        loss.backward()
        length = torch.nn.utils.clip_grad_norm_([w for _, w in named], 1.0)
        for w, own in zip(matrices, seen):
            own.grad = w.grad.T if turned else w.grad
        others.step()
        muon.step()
        result.append((loss.item(), length.item()))
    return result


def train(a, ranks, path, place, run):
    swiftlet(
        a, ranks, "train", *options(place), "--init-from", path, "--run-dir", run, "--optimizer", "muon",
        "--muon-learning-rate", MUON_RATE, "--muon-momentum", MOMENTUM, "--muon-weight-decay", DECAY,
        "--muon-precision", "fp32", "--steps", a.steps, "--warmup-steps", 5, "--learning-rate", RATE, "--weight-decay", 0.1,
        "--checkpoint-interval", 1000000)
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    checkpoint = run / f"checkpoints/step-{a.steps:08d}"
    digest = hashlib.sha256((checkpoint / "model.safetensors").read_bytes()).hexdigest()
    return [(r["train_loss"], r["grad_norm"]) for r in rows], digest


def check(a, name, place, directory):
    model, path = MODELS[name](a, place, directory)
    expected = curve(a, model, read_shard(str(next(place.glob("train_*.bin")))))
    results, digests = [], set()
    for ranks in (1, 2):
        found, digest = train(a, ranks, path, place, directory / f"{name}-{ranks}")
        digests.add(digest)
        for index, what in enumerate(["loss", "norm"]):
            worst = max(abs(f[index] - e[index]) / abs(e[index]) for f, e in zip(found, expected, strict=True))
            results.append((f"{what} on {ranks}", worst, 1e-4 if what == "loss" else 1e-3))
    results.append(("same bits", float(len(digests) != 1), 0.5))
    good = all(value <= limit for _, value, limit in results)
    print(f"{name:14s} {'ok ' if good else 'BAD'}  {expected[0][0]:.4f} -> {expected[-1][0]:.4f}  "
          + "  ".join(f"{what} {value:.0e}" for what, value, _ in results), flush=True)
    return good


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--text", required=True, help="a text of some 200 KB or more")
    p.add_argument("--swiftlet", default=str(ROOT / ".build/release/swiftlet"))
    p.add_argument("--only", nargs="+", default=list(MODELS))
    p.add_argument("--steps", type=int, default=50)
    a = p.parse_args()
    torch.set_num_threads(1)
    logging.disable_progress_bar()
    _muon._zeropower_via_newtonschulz = newton_schulz
    with tempfile.TemporaryDirectory() as directory:
        directory = Path(directory)
        place = directory / "data"
        swiftlet(a, 1, "tokenize", "--input", a.text, "--output", place, "--vocab-size", 512)
        good = [check(a, name, place, directory) for name in a.only]
    sys.exit(0 if all(good) else 1)


if __name__ == "__main__":
    main()

"""How many seconds of training a recipe needs to a validation loss in PyTorch, compiled: the peer of race.py.

    python Tests/Reference/time_to_loss.py 'corpus/swift-tokens/train_*.bin' 'corpus/swift-tokens/val_*.bin' \
        [--recipe gpt2|modern] [--steps 120] [--rate 4e-3] [...]

gpt2: learned positions, LayerNorm, GELU, biases, tied head; AdamW, cosine after a warm-up of a third of the run. Its
rate and warm-up were tuned at 120 steps of 4,096 tokens. modern: rotary, RMSNorm without weights, norms on queries,
keys and embedding, ReLU squared, projections that start at zero; Muon on the matrices, AdamW on the tied embedding,
constant and then linear to zero, short sequences first. Outside the clock: start, compilation, evaluation. Evaluations
take every sequence of the validation shards.
"""

import argparse
import dataclasses
import glob
import json
import math
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

from gpt2_reference import read_shard

# Letters: B sequences, T tokens of one, C width, H heads, D half of a head's width.
NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
EVALUATION_BATCH = 8


@dataclass
class Recipe:
    """The shape, the run and the optimizer; every field is an option."""
    # the shape
    architecture: str = "gpt2"
    layers: int = 4
    width: int = 192
    heads: int = 3
    context: int = 256
    vocabulary: int = 8192
    soft_cap: float = 0.0  # 0: the logits as they are
    # the run
    tokens: int = 4096  # of a step
    micro_batch: int = 4
    steps: int = 120
    seed: int = 1
    threads: int = 2
    compile: int = 1
    bf16: int = 1  # products, by autocast
    eval_every: int = 10
    # AdamW, of all tensors or of those that Muon does not take
    optimizer: str = "adamw"
    rate: float = 4e-3
    weight_decay: float = 0.1
    beta1: float = 0.9
    beta2: float = 0.95
    clip: float = 1.0  # 0: none
    # Muon, of the layers' matrices
    muon_rate: float = 0.04
    muon_decay: float = 0.01
    momentum: float = 0.85
    # the schedule
    schedule: str = "cosine"  # or linear: constant, then to zero over the last `decay_share`
    warmup_share: float = 1 / 3
    decay_share: float = 0.6
    sequence_warmup: float = 0.0  # the share with a quarter of the context, then half of it, each half of the share

    @property
    def warmup(self):
        return round(self.warmup_share * self.steps)

    def factor(self, step):
        """Of every rate, in step `step` from 0."""
        done = step / self.steps
        if self.schedule == "cosine":
            start = self.warmup / self.steps
            curve = 0.5 * (1 + math.cos(math.pi * max(0, done - start) / (1 - start)))
        else:
            curve = min(1.0, (1 - done) / self.decay_share)
        return curve * (min(1.0, (step + 1) / self.warmup) if self.warmup else 1.0)

    def sequence_length(self, step):
        done = step / self.steps
        if done >= self.sequence_warmup:
            return self.context
        return self.context // 4 if done < self.sequence_warmup / 2 else self.context // 2


RECIPES = {
    "gpt2": Recipe(),
    "modern": Recipe(architecture="modern", optimizer="muon", rate=1e-2, weight_decay=0.0, clip=0.0, schedule="linear",
                     warmup_share=0.0, sequence_warmup=0.5),
}


def rms_norm(x):
    return F.rms_norm(x, (x.size(-1),))


def rotate(x, cos, sin):
    D = x.size(-1) // 2
    first, second = x[..., :D], x[..., D:]
    return torch.cat((first * cos - second * sin, first * sin + second * cos), -1)


class Block(nn.Module):
    def __init__(self, recipe):
        super().__init__()
        self.heads, self.is_modern = recipe.heads, recipe.architecture == "modern"
        C, bias = recipe.width, not self.is_modern
        self.qkv, self.output = nn.Linear(C, 3 * C, bias), nn.Linear(C, C, bias)
        self.up, self.down = nn.Linear(C, 4 * C, bias), nn.Linear(4 * C, C, bias)
        self.norm1, self.norm2 = (rms_norm, rms_norm) if self.is_modern else (nn.LayerNorm(C), nn.LayerNorm(C))

    def forward(self, x, cos, sin):
        B, T, C = x.shape
        q, k, v = (z.view(B, T, self.heads, -1) for z in self.qkv(self.norm1(x)).split(C, 2))
        if self.is_modern:
            q, k = (rotate(rms_norm(z), cos[:, :T], sin[:, :T]) for z in (q, k))
        q, k, v = (z.transpose(1, 2) for z in (q, k, v.to(q.dtype)))
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.output(mixed.transpose(1, 2).reshape(B, T, C))
        inner = self.up(self.norm2(x))
        return x + self.down(F.relu(inner).square() if self.is_modern else F.gelu(inner, approximate="tanh"))


class Decoder(nn.Module):
    def __init__(self, recipe):
        super().__init__()
        self.recipe, self.is_modern = recipe, recipe.architecture == "modern"
        C = recipe.width
        self.embedding = nn.Embedding(recipe.vocabulary, C)
        self.blocks = nn.ModuleList(Block(recipe) for _ in range(recipe.layers))
        if not self.is_modern:
            self.positions = nn.Embedding(recipe.context, C)
            nn.init.normal_(self.positions.weight, std=0.02)
        self.norm = rms_norm if self.is_modern else nn.LayerNorm(C)
        nn.init.normal_(self.embedding.weight, std=0.02)
        for block in self.blocks:
            self.start(block)
        D = C // recipe.heads // 2
        angles = torch.outer(torch.arange(recipe.context), 10000 ** (-torch.arange(0, D) / D))
        self.cos, self.sin = angles.cos()[None, :, None], angles.sin()[None, :, None]

    def start(self, block):
        deviation = self.recipe.width ** -0.5 if self.is_modern else 0.02
        for layer in (block.qkv, block.up, block.output, block.down):
            nn.init.normal_(layer.weight, std=deviation)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        for layer in (block.output, block.down):
            if self.is_modern:
                nn.init.zeros_(layer.weight)
            else:
                nn.init.normal_(layer.weight, std=deviation / math.sqrt(2 * self.recipe.layers))

    def forward(self, inputs, targets):
        x = self.embedding(inputs)
        x = rms_norm(x) if self.is_modern else x + self.positions.weight[:inputs.size(1)]
        for block in self.blocks:
            x = block(x, self.cos, self.sin)
        logits = self.norm(x) @ self.embedding.weight.T
        if self.recipe.soft_cap:
            logits = self.recipe.soft_cap * torch.tanh(logits / self.recipe.soft_cap)
        return F.cross_entropy(logits.view(-1, logits.size(-1)).float(), targets.reshape(-1))

    def matrices(self):
        return [layer.weight for block in self.blocks for layer in (block.qkv, block.output, block.up, block.down)]


def orthogonalised(update):
    a, b, c = NEWTON_SCHULZ
    x = update.bfloat16()
    x = x / (x.norm() + 1e-7)
    is_tall = x.size(0) > x.size(1)
    x = x.T if is_tall else x
    for _ in range(5):
        square = x @ x.T
        x = a * x + (b * square + c * square @ square) @ x
    return (x.T if is_tall else x).float()


class Optimizer:
    """AdamW on all, or Muon on the layers' matrices and AdamW on the rest; both follow the recipe's one schedule."""

    def __init__(self, recipe, model):
        self.recipe, self.parameters = recipe, list(model.parameters())
        self.matrices = model.matrices() if recipe.optimizer == "muon" else []
        self.moments = [torch.zeros_like(w) for w in self.matrices]
        taken = {id(w) for w in self.matrices}
        rest = [w for w in self.parameters if id(w) not in taken]
        groups = [{"params": [w for w in rest if w.dim() == 2], "weight_decay": recipe.weight_decay},
                  {"params": [w for w in rest if w.dim() < 2], "weight_decay": 0.0}]
        self.adamw = torch.optim.AdamW([group for group in groups if group["params"]], lr=recipe.rate,
                                       betas=(recipe.beta1, recipe.beta2), eps=1e-8, fused=True)

    def step(self, factor):
        if self.recipe.clip:
            nn.utils.clip_grad_norm_(self.parameters, self.recipe.clip)
        self.muon(self.recipe.muon_rate * factor)
        for group in self.adamw.param_groups:
            group["lr"] = self.recipe.rate * factor
        self.adamw.step()
        for w in self.parameters:
            w.grad = None

    @torch.no_grad()
    def muon(self, rate):
        for w, moment in zip(self.matrices, self.moments):
            moment.lerp_(w.grad, 1 - self.recipe.momentum)
            update = orthogonalised(w.grad.lerp(moment, self.recipe.momentum))
            scale = max(1, w.size(0) / w.size(1)) ** 0.5
            w.mul_(1 - rate * self.recipe.muon_decay).add_(update, alpha=-rate * scale)


class Sequences:
    """Shards as sequences of `length` tokens, inputs and targets shifted by one, as `swiftlet train` cuts them."""

    def __init__(self, pattern, length):
        paths = sorted(glob.glob(pattern))
        if not paths:
            raise SystemExit(f"no shard matches {pattern}")
        self.tokens = torch.from_numpy(np.concatenate([read_shard(path) for path in paths]))
        self.length = length
        self.count = (len(self.tokens) - 1) // length

    def take(self, indices):
        def cut(shift):
            starts = [i * self.length + shift for i in indices]
            return torch.stack([self.tokens[start:start + self.length] for start in starts])
        return cut(0), cut(1)


def precision(recipe):
    return torch.autocast("cpu", torch.bfloat16, enabled=bool(recipe.bf16))


@torch.no_grad()
def evaluate(model, sequences):
    """The mean loss a token over all sequences."""
    model.eval()
    total = 0.0
    for first in range(0, sequences.count, EVALUATION_BATCH):
        indices = range(first, min(first + EVALUATION_BATCH, sequences.count))
        with precision(model.recipe):
            total += model(*sequences.take(indices)).item() * len(indices)
    return total / sequences.count


def gradients(recipe, net, inputs, targets, rows):
    for first in range(0, len(inputs), rows):
        with precision(recipe):
            loss = net(inputs[first:first + rows], targets[first:first + rows])
        (loss * (rows / len(inputs))).backward()


def train(recipe, training, validation):
    """Trains, and says what it took: `curve` has step, seconds so far and loss of every evaluation."""
    torch.manual_seed(recipe.seed)
    model = Decoder(recipe)
    optimizer = Optimizer(recipe, model)
    net = torch.compile(model, dynamic=False) if recipe.compile else model
    torch.set_num_threads(recipe.threads)
    generator = torch.Generator().manual_seed(recipe.seed)
    batch = recipe.tokens // recipe.context
    if recipe.tokens % (recipe.context * recipe.micro_batch) or batch > training.count:
        raise SystemExit(f"a step of {recipe.tokens} tokens is not whole micro-batches, or more than the data")

    for length in {recipe.sequence_length(step) for step in range(recipe.steps)}:
        x = training.take(range(recipe.micro_batch))[0].view(-1, length)
        gradients(recipe, net, x, x, len(x))
    model.zero_grad(set_to_none=True)

    order, times, curve = [], [], []
    for step in range(recipe.steps):
        start = time.perf_counter()
        if len(order) < batch:
            order = torch.randperm(training.count, generator=generator).tolist()
        length = recipe.sequence_length(step)
        inputs, targets = (z.view(-1, length) for z in training.take([order.pop() for _ in range(batch)]))
        model.train()
        gradients(recipe, net, inputs, targets, recipe.micro_batch * recipe.context // length)
        optimizer.step(recipe.factor(step))
        times.append(time.perf_counter() - start)
        if (step + 1) % recipe.eval_every == 0 or step + 1 == recipe.steps:
            curve.append((step + 1, sum(times), evaluate(model, validation)))
            print(f"step {step + 1}  val loss {curve[-1][2]:.4f}  {curve[-1][1]:.1f} s", flush=True)
    return {"steps": recipe.steps, "tokens": recipe.steps * recipe.tokens, "seconds": sum(times), "loss": curve[-1][2],
            "step_ms": 1000 * statistics.median(times), "parameters": sum(w.numel() for w in model.parameters()),
            "curve": curve, "recipe": dataclasses.asdict(recipe)}


def parse():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("train", help="token shards: a path or a pattern in quotes")
    p.add_argument("validation")
    p.add_argument("--recipe", choices=list(RECIPES), default="gpt2")
    p.add_argument("--report", help="a file for all numbers, as JSON")
    for field in dataclasses.fields(Recipe):
        p.add_argument("--" + field.name.replace("_", "-"), type=type(field.default), metavar="X")
    return p.parse_args()


def main():
    a = parse()
    given = {field.name: getattr(a, field.name) for field in dataclasses.fields(Recipe)}
    recipe = dataclasses.replace(RECIPES[a.recipe], **{name: x for name, x in given.items() if x is not None})
    result = train(recipe, Sequences(a.train, recipe.context), Sequences(a.validation, recipe.context))
    print(f"final {result['loss']:.4f} in {result['seconds']:.1f} s of training, {result['step_ms']:.1f} ms a step "
          f"(median), {result['steps']} steps, {result['parameters']} parameters")
    if a.report:
        Path(a.report).write_text(json.dumps(result))


if __name__ == "__main__":
    main()

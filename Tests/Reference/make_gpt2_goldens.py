"""Makes the reference numbers of the model, the optimizer and a training curve with PyTorch.

    pip install torch==2.15.0 numpy==2.4.6 safetensors==0.8.0
    python Tests/Reference/make_gpt2_goldens.py [OUTPUT]      (default: Tests/TransformerTests/Fixtures)

Prints, for every tensor, how far torch's own float32 is from its float64: the scale of honest rounding, from which
the tests' tolerances come (README.md here holds the printed table).
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
from gpt2_reference import (
    PREFIX, adamw, config, deterministic, forward, learning_rate, shapes, token_losses, write_shard)
from safetensors.torch import save_file

OUTPUT = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[1] / "TransformerTests" / "Fixtures"


def random_weights(settings, seed, scale):
    """Random weights in which nothing is zero or one, so that every gradient matters and a swapped pair shows."""
    rng = np.random.Generator(np.random.PCG64(seed))
    weights = {}
    for name, shape in shapes(settings).items():
        values = scale * rng.standard_normal(shape)
        if ".ln_" in name and name.endswith(".weight"):
            values = 1 + values
        weights[name] = torch.from_numpy(values.astype(np.float32))
    return weights


def save_model(directory, settings, weights):
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "config.json").write_text(json.dumps(settings, indent=2) + "\n")
    save_file(weights, directory / "model.safetensors", metadata={"format": "pt"})


def gradients_of_sum(weights, settings, inputs, targets, dtype):
    leaves = {n: w.to(dtype).clone().requires_grad_() for n, w in weights.items()}
    logits = forward(leaves, settings, inputs)
    losses = token_losses(logits, targets)
    losses.sum().backward()
    return logits.detach(), losses.detach(), {n: w.grad for n, w in leaves.items()}


def relative(a, b):
    """Frobenius norm of a - b over that of b, in float64."""
    return ((a.double() - b.double()).norm() / b.double().norm()).item()


def gpt2_tiny():
    """One batch through a small model of awkward sizes: logits, losses, and every gradient of the SUM of losses."""
    settings = config(layers=2, heads=3, width=30, vocabulary=97, context=23)
    weights = random_weights(settings, seed=1, scale=0.2)
    save_model(OUTPUT / "gpt2-tiny", settings, weights)
    rng = np.random.Generator(np.random.PCG64(2))
    tokens = torch.from_numpy(rng.integers(0, 97, (3, 24)))
    inputs, targets = tokens[:, :-1].contiguous(), tokens[:, 1:].contiguous()
    logits, losses, gradients = gradients_of_sum(weights, settings, inputs, targets, torch.float64)
    logits32, losses32, gradients32 = gradients_of_sum(weights, settings, inputs, targets, torch.float32)
    save_file(
        {
            "inputs": inputs.int(), "targets": targets.int(),
            "logits": logits.float(), "losses": losses.float(),
            "loss_sum": losses32.sum().view(1), "loss_sum_f64": losses.sum().view(1),
            **{name: g.float() for name, g in gradients.items()},
        },
        OUTPUT / "gpt2-tiny-batch.safetensors")

    print(f"gpt2-tiny: loss sum {losses.sum():.9f}")
    print("\n| tensor | relative error of torch float32 (Frobenius) | largest error / largest value |\n|---|---|---|")
    rows = {"logits": (logits32, logits), "losses": (losses32, losses)}
    rows |= {n.removeprefix(PREFIX): (gradients32[n], g) for n, g in gradients.items()}
    for name, (a, b) in rows.items():
        largest = ((a.double() - b).abs().max() / b.abs().max()).item()
        print(f"| {name} | {relative(a, b):.1e} | {largest:.1e} |")


def markov_text(count, vocabulary, seed):
    """Structured random tokens: each has a likely, a possible and a rare successor."""
    rng = np.random.Generator(np.random.PCG64(seed))
    successors = rng.integers(0, vocabulary, (vocabulary, 3))
    choice = rng.choice(3, count, p=[0.7, 0.2, 0.1])
    tokens = np.zeros(count, dtype=np.int64)
    for i in range(1, count):
        tokens[i] = successors[tokens[i - 1], choice[i]]
    return tokens


def train(weights, settings, tokens, dtype, steps=50, batch=4, base=3e-3, warmup=10, clip=1.0):
    """The plain training loop: file order, mean loss, clip, AdamW, warm-up and cosine."""
    T = settings["n_positions"]
    leaves = {n: w.to(dtype).clone().requires_grad_() for n, w in weights.items()}
    optimizer = adamw(list(leaves.values()), base)
    loss_curve, rates, norms = [], [], []
    for k in range(steps):
        starts = [(k * batch + b) * T for b in range(batch)]
        windows = torch.stack([tokens[s:s + T + 1] for s in starts])
        rate = learning_rate(k, base, warmup, steps)
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.zero_grad(set_to_none=True)
        loss = token_losses(forward(leaves, settings, windows[:, :-1]), windows[:, 1:]).mean()
        loss.backward()
        norms.append(torch.nn.utils.clip_grad_norm_(leaves.values(), clip).item())
        optimizer.step()
        loss_curve.append(loss.item())
        rates.append(rate)
    return [torch.tensor(c, dtype=torch.float64) for c in (loss_curve, rates, norms)], leaves


def gpt2_curve():
    """Fifty steps of training from given weights and tokens; N ranks and micro-batches of it must agree."""
    settings = config(layers=2, heads=2, width=32, vocabulary=64, context=16)
    weights = random_weights(settings, seed=3, scale=0.05)
    save_model(OUTPUT / "gpt2-curve", settings, weights)
    tokens = markov_text(4097, 64, seed=4)
    write_shard(OUTPUT / "gpt2-curve-tokens.bin", tokens)
    tokens = torch.from_numpy(tokens)
    (losses, rates, norms), leaves = train(weights, settings, tokens, torch.float32)
    (losses64, _, norms64), leaves64 = train(weights, settings, tokens, torch.float64)
    names = list(leaves)
    leaves, leaves64 = ({n: w.detach() for n, w in table.items()} for table in (leaves, leaves64))
    final = torch.tensor([[w.double().sum(), w.double().norm()] for w in leaves.values()], dtype=torch.float64)
    save_file(
        {
            "loss": losses, "learning_rate": rates, "grad_norm": norms, "loss_f64": losses64, "grad_norm_f64": norms64,
            **{f"final.{name}": final[i].clone() for i, name in enumerate(names)},
        },
        OUTPUT / "gpt2-curve.safetensors",
        metadata={"final": "sum and Euclidean norm of the tensor after the last step"})

    drift = lambda a, b: ((a - b).abs() / b.abs()).max().item()
    print(f"\ngpt2-curve: loss {losses[0]:.6f} -> {losses[-1]:.6f}; norms {norms.min():.3f} to {norms.max():.3f}")
    print(f"float32 against float64: loss {drift(losses, losses64):.1e}, gradient norm {drift(norms, norms64):.1e}")
    print("final weights: " + ", ".join(
        f"{name.removeprefix(PREFIX)} {error:.1e}"
        for error, name in sorted(((relative(leaves[n], leaves64[n]), n) for n in names), reverse=True)[:4]))


def adamw_steps():
    """Five AdamW steps on 37 numbers, with decay 0.1 and without; tiny and large gradients among them."""
    rng = np.random.Generator(np.random.PCG64(5))
    initial = torch.from_numpy(rng.standard_normal(37).astype(np.float32))
    gradients = torch.from_numpy((rng.standard_normal((5, 37)) * 10.0 ** rng.uniform(-6, 1, 37)).astype(np.float32))
    gradients[:, 0] = 0
    rates = [3e-4, 6e-4, 9e-4, 1e-3, 5e-4]
    golden = {"initial": initial, "gradients": gradients, "learning_rate": torch.tensor(rates, dtype=torch.float64)}
    worst = 0.0
    for name, decay in (("decay", 0.1), ("plain", 0.0)):
        history = {}
        for dtype in (torch.float32, torch.float64):
            weight = initial.to(dtype).clone().requires_grad_()
            optimizer = torch.optim.AdamW([weight], betas=(0.9, 0.95), eps=1e-8, weight_decay=decay,
                                          foreach=False, fused=False)
            rows = []
            for k, rate in enumerate(rates):
                optimizer.param_groups[0]["lr"] = rate
                weight.grad = gradients[k].to(dtype)
                optimizer.step()
                state = optimizer.state[weight]
                rows.append([weight.detach().clone(), state["exp_avg"].clone(), state["exp_avg_sq"].clone()])
            history[dtype] = [torch.stack(column) for column in zip(*rows)]
        for column, f32, f64 in zip(("weights", "exp_avg", "exp_avg_sq"), *history.values()):
            golden[f"{name}.{column}"] = f64.float()
            worst = max(worst, relative(f32, f64))
    save_file(golden, OUTPUT / "adamw.safetensors", metadata={"settings": "betas 0.9 0.95, eps 1e-8, decay 0.1 or 0"})
    print(f"\nadamw: float32 against float64, worst relative error {worst:.1e}")


if __name__ == "__main__":
    deterministic()
    OUTPUT.mkdir(parents=True, exist_ok=True)
    gpt2_tiny()
    gpt2_curve()
    adamw_steps()

"""Acceptance: random tiny models of every kind that Swiftlet reads, made by transformers, agree with it.

    pip install torch==2.15.0 numpy==2.4.6 safetensors==0.8.0 transformers==5.23.0
    python Tests/Reference/compare_families.py --text TEXT [--only NAME...] [--steps 50]

For each model: the loss of `swiftlet evaluate`; every tensor's gradient against PyTorch in fp64; --steps training steps
from the same weights on 1 and 2 ranks against torch's AdamW, losses and gradient norms step by step, and the same bits
on both; the trained checkpoint loaded back by transformers: its loss, its logits, and greedy text of 200 tokens. fp32,
eager attention.
Exit code 1 when something differs by more than its limit.
"""

import argparse
import copy
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from gpt2_reference import adamw, learning_rate, read_shard
from safetensors.torch import load_file
from transformers import (
    AutoModelForCausalLM,
    GPT2Config,
    GPTNeoXConfig,
    LlamaConfig,
    MistralConfig,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen3Config,
    logging,
)

ROOT = Path(__file__).parents[2]
CONTEXT = 208


def gpt2(**changes):
    return GPT2Config(**dict(
        vocab_size=512, n_positions=CONTEXT, n_embd=48, n_layer=3, n_head=4, resid_pdrop=0, embd_pdrop=0, attn_pdrop=0,
        bos_token_id=0, eos_token_id=0, initializer_range=0.15) | changes)


SIZES = dict(
    vocab_size=512, hidden_size=48, intermediate_size=128, num_hidden_layers=3, num_attention_heads=4,
    max_position_embeddings=CONTEXT, bos_token_id=0, eos_token_id=0, initializer_range=0.15)


def rotary(theta=10000.0, kind="default", **more):
    return dict(rope_parameters=dict(rope_theta=theta, rope_type=kind, **more))


def llama(**changes):
    return LlamaConfig(**SIZES | rotary() | changes)


def mistral(**changes):
    return MistralConfig(**SIZES | rotary() | dict(num_key_value_heads=2, sliding_window=None) | changes)


def qwen2(**changes):
    return Qwen2Config(**SIZES | rotary(1e6) | dict(num_key_value_heads=2) | changes)


def qwen3(**changes):
    return Qwen3Config(**SIZES | rotary(1e6) | dict(num_key_value_heads=2, head_dim=16) | changes)


def gpt_neox(**changes):  # three heads of 16, of which a quarter is an even number
    return GPTNeoXConfig(**SIZES | rotary(partial_rotary_factor=0.25) | dict(num_attention_heads=3) | changes)


# The six pairs of a head of 12 turn once in 6, 18, 50, 141, 396 and 1115 positions with theta 500. The bounds 40 / 4 and
# 40 / 1 leave the first as it is, scale the last four and blend the second.
LLAMA3 = rotary(
    500.0, "llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=40)

MODELS = {
    "gpt2": gpt2(),
    "gpt2-gelu": gpt2(activation_function="gelu"),
    "gpt2-gelu-tanh": gpt2(activation_function="gelu_pytorch_tanh"),
    "gpt2-gelu-fast": gpt2(activation_function="gelu_fast"),
    "gpt2-relu": gpt2(activation_function="relu"),
    "gpt2-inner-narrow": gpt2(n_inner=40),
    "gpt2-inner-wide": gpt2(n_inner=333, activation_function="gelu"),
    "gpt2-epsilon": gpt2(layer_norm_epsilon=1e-2),
    "gpt2-unscaled": gpt2(scale_attn_weights=False, initializer_range=0.08),
    "gpt2-by-layer": gpt2(scale_attn_by_inverse_layer_idx=True, reorder_and_upcast_attn=True),
    "gpt2-untied": gpt2(tie_word_embeddings=False),
    "gpt2-all": gpt2(n_inner=100, activation_function="relu", layer_norm_epsilon=1e-4, tie_word_embeddings=False,
                     scale_attn_by_inverse_layer_idx=True, n_head=3),
    "llama": llama(),
    "llama-grouped": llama(num_key_value_heads=2, tie_word_embeddings=True),
    "llama-head-size": llama(num_key_value_heads=1, head_dim=20),
    "llama-attention-bias": llama(attention_bias=True),
    "llama-mlp-bias": llama(mlp_bias=True, num_key_value_heads=2, hidden_act="gelu"),
    "llama-theta": llama(**rotary(500.0)),
    "llama-linear": llama(**rotary(kind="linear", factor=2.5)),
    "llama-3": llama(num_key_value_heads=2, tie_word_embeddings=True, rms_norm_eps=1e-5, **LLAMA3),
    "mistral": mistral(),
    "mistral-window": mistral(sliding_window=CONTEXT, head_dim=16, tie_word_embeddings=True, rms_norm_eps=1e-3),
    "qwen2": qwen2(),
    "qwen2-tied": qwen2(tie_word_embeddings=True, num_key_value_heads=1),
    "qwen3": qwen3(),
    "qwen3-one-head": qwen3(num_key_value_heads=1, head_dim=24, tie_word_embeddings=True),
    "qwen3-bias": qwen3(attention_bias=True, rms_norm_eps=1e-3),
    "gpt-neox": gpt_neox(),
    "gpt-neox-serial": gpt_neox(use_parallel_residual=False, tie_word_embeddings=True),
    "gpt-neox-rotary": gpt_neox(hidden_act="gelu_fast", num_attention_heads=4, **rotary(partial_rotary_factor=1.0)),
    "gpt-neox-no-bias": gpt_neox(attention_bias=False, layer_norm_eps=1e-3,
                                 **rotary(500.0, "linear", factor=2.0, partial_rotary_factor=0.5)),
}


def parse():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--text", required=True, help="a text of some 100 KB or more")
    p.add_argument("--swiftlet", default=str(ROOT / ".build/release/swiftlet"))
    p.add_argument("--only", nargs="+", default=list(MODELS))
    p.add_argument("--steps", type=int, default=50)
    return p.parse_args()


def swiftlet(a, ranks, *words):
    command = [str(ROOT / "launch/local"), "-n", str(ranks), "-t", "1", *map(str, words)]
    result = subprocess.run(
        command, env=os.environ | {"SWIFTLET": a.swiftlet}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        errors="replace")
    if result.returncode:
        sys.exit(f"{' '.join(command)} ended with {result.returncode}\n{result.stdout}{result.stderr}")
    return result.stdout


def windows(tokens, first, count):
    return torch.from_numpy(np.stack([tokens[s * CONTEXT:(s + 1) * CONTEXT + 1] for s in range(first, first + count)]))


def mean_loss(model, rows):
    logits = model(rows[:, :-1]).logits.flatten(0, 1)
    return torch.nn.functional.cross_entropy(logits, rows[:, 1:].flatten())


def evaluation(a, path, model, place, tokens):
    count = (len(tokens) - 1) // CONTEXT
    with torch.no_grad():
        expected = mean_loss(model, windows(tokens, 0, count)).item()
    line = swiftlet(a, 1, "evaluate", "--checkpoint", path, "--data", place / "val_*.bin").strip().splitlines()[-1]
    return abs(float(re.match(r"loss ([\d.]+)", line)[1]) - expected) / expected


def curve(a, model, tokens):
    optimizer = adamw(list(model.parameters()), 1e-3)
    losses = []
    for k in range(a.steps):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(k, 1e-3, 5, a.steps)
        optimizer.zero_grad(set_to_none=True)
        loss = mean_loss(model, windows(tokens, 4 * k, 4))
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append((loss.item(), norm.item()))
    return losses


def train(a, ranks, path, place, run):
    swiftlet(
        a, ranks, "train", "--init-from", path, "--train-data", place / "train_*.bin", "--run-dir", run, "--no-shuffle",
        "--precision", "fp32", "--micro-batch", 1, "--global-batch", 4, "--steps", a.steps, "--warmup-steps", 5,
        "--learning-rate", 1e-3, "--weight-decay", 0.1, "--checkpoint-interval", 1000000)
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    checkpoint = run / f"checkpoints/step-{a.steps:08d}"
    digest = hashlib.sha256((checkpoint / "model.safetensors").read_bytes()).hexdigest()
    return [(r["train_loss"], r["grad_norm"]) for r in rows], checkpoint, digest


def gradient_error(a, model, tokens, path, place, run):
    """The worst tensor's |ours - theirs| / |theirs|, theirs in fp64: after one step with beta1 = 0 and no clipping the
    first moment is the gradient."""
    swiftlet(
        a, 2, "train", "--init-from", path, "--train-data", place / "train_*.bin", "--run-dir", run, "--no-shuffle",
        "--precision", "fp32", "--micro-batch", 1, "--global-batch", 4, "--steps", 1, "--warmup-steps", 0, "--beta1", 0,
        "--grad-clip", 0)
    found = load_file(run / "checkpoints/step-00000001/optimizer.safetensors")
    config = copy.deepcopy(model.config)
    config.reorder_and_upcast_attn = False  # which is fp32 and changes nothing else
    double = AutoModelForCausalLM.from_config(config, attn_implementation="eager").double()
    double.load_state_dict(model.state_dict())
    mean_loss(double, windows(tokens, 0, 4)).backward()
    worst = ("", 0.0)
    for name, parameter in double.named_parameters():
        if name == "lm_head.weight" and model.config.model_type == "gpt_neox":
            name = "embed_out.weight"  # as it is saved
        ours = found["exp_avg." + name].double()
        error = ((ours - parameter.grad).norm() / parameter.grad.norm()).item()
        worst = max(worst, (name, error), key=lambda pair: pair[1])
    return worst


def same_text(a, path):
    model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32, attn_implementation="eager").eval()
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(path / "tokenizer.json"))
    prompt = "The "
    ids = torch.tensor([tokenizer.encode(prompt)])
    new = min(200, CONTEXT - ids.shape[1])  # learned positions end there, and so does what others are trained on
    output = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=new, do_sample=False)
    expected = tokenizer.decode(output[0], skip_special_tokens=True)
    found = swiftlet(
        a, 1, "generate", "--checkpoint", path, "--prompt", prompt, "--max-tokens", new, "--temperature", 0)
    return model, expected.strip() == found.strip()


def check(a, name, place, directory):
    torch.manual_seed(len(name))
    path = directory / name
    model = AutoModelForCausalLM.from_config(MODELS[name], attn_implementation="eager").eval()
    with torch.no_grad():  # norms and biases start at one and zero, where a mistake would not show
        for parameter in model.parameters():
            if parameter.dim() == 1:
                parameter += 0.1 * torch.randn_like(parameter)
    model.save_pretrained(path)
    (path / "tokenizer.json").write_bytes((place / "tokenizer.json").read_bytes())
    training = read_shard(str(next(place.glob("train_*.bin"))))
    validation = read_shard(str(next(place.glob("val_*.bin"))))
    results = [("evaluate", evaluation(a, path, model, place, validation), 1e-5)]
    name_of_worst, worst = gradient_error(a, model, training, path, place, directory / f"{name}-gradient")
    results.append((f"gradient of {name_of_worst}", worst, 1e-5))
    expected = curve(a, model, training)
    digests = set()
    for ranks in (1, 2):
        found, checkpoint, digest = train(a, ranks, path, place, directory / f"{name}-{ranks}")
        digests.add(digest)
        for index, what in enumerate(["loss", "norm"]):
            worst = max(abs(f[index] - e[index]) / abs(e[index]) for f, e in zip(found, expected, strict=True))
            results.append((f"{what} on {ranks}", worst, 1e-4 if what == "loss" else 1e-3))
    results.append(("same bits", float(len(digests) != 1), 0.5))
    back, same = same_text(a, checkpoint)
    results.append(("greedy text", float(not same), 0.5))
    rows = windows(validation, 0, 4)[:, :-1]
    with torch.no_grad():  # of the two trained models, one by torch and one by swiftlet
        difference = (back(rows).logits - model(rows).logits).abs().max().item() / model(rows).logits.abs().max().item()
    results.append(("logits after training", difference, 1e-3))
    results.append(("loaded back", evaluation(a, checkpoint, back, place, validation), 1e-5))
    good = all(value <= limit for _, value, limit in results)
    print(f"{name:20s} {'ok ' if good else 'BAD'}  " + "  ".join(f"{what} {value:.0e}" for what, value, _ in results),
          flush=True)
    return good


def main():
    a = parse()
    torch.set_num_threads(1)
    logging.disable_progress_bar()
    with tempfile.TemporaryDirectory() as directory:
        directory = Path(directory)
        place = directory / "data"
        swiftlet(a, 1, "tokenize", "--input", a.text, "--output", place, "--vocab-size", 512)
        good = [check(a, name, place, directory) for name in a.only]
    sys.exit(0 if all(good) else 1)


if __name__ == "__main__":
    main()

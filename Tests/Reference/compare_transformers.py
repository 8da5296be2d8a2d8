"""Acceptance: Hugging Face transformers loads a checkpoint directory as it is, and agrees with swiftlet about it.

    pip install transformers==5.23.0      (beside what make_gpt2_goldens.py pins)
    python Tests/Reference/compare_transformers.py --checkpoint runs/mine/checkpoints/step-00000600 --data 'val_*.bin'

Compares the loss with `swiftlet evaluate` (data in order, in windows of the context length); where the directory has
a tokenizer, also the ids of whole documents; and greedy continuation with `swiftlet generate --temperature 0`.
Exit code 1 when something differs by more than --limit.
"""

import argparse
import glob
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch
from gpt2_reference import read_shard
from transformers import AutoModelForCausalLM, AutoTokenizer

ROOT = Path(__file__).parents[2]


def parse():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--checkpoint", required=True)
    p.add_argument("--data", required=True, help="pattern of llm.c shards")
    p.add_argument("--swiftlet", default=str(ROOT / ".build/release/swiftlet"))
    p.add_argument("--prompt", default="public func")
    p.add_argument("--limit", type=float, default=1e-5)
    return p.parse_args()


def run(*command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def same_loss(a, model, tokens):
    T = model.config.n_positions
    windows = (len(tokens) - 1) // T
    total = 0.0
    with torch.no_grad():
        for first in range(0, windows, 8):
            starts = range(first * T, min(first + 8, windows) * T, T)
            rows = torch.from_numpy(np.stack([tokens[s:s + T + 1] for s in starts]))
            logits = model(rows[:, :-1]).logits.flatten(0, 1)
            total += torch.nn.functional.cross_entropy(logits.float(), rows[:, 1:].flatten(), reduction="sum").item()
    expected = total / (windows * T)
    line = run(a.swiftlet, "evaluate", "--checkpoint", a.checkpoint, "--data", a.data).strip().splitlines()[-1]
    found = re.fullmatch(r"loss ([\d.]+)  ppl ([\d.]+)  tokens (\d+)", line)
    if not found:
        sys.exit(f"evaluate printed '{line}', expected 'loss …  ppl …  tokens …'")
    difference = abs(float(found[1]) - expected) / expected
    good = difference <= a.limit and int(found[3]) == windows * T
    print(f"loss: transformers {expected:.6f}, swiftlet {found[1]}, difference {difference:.1e}; "
          f"tokens {windows * T} and {found[3]}: {'ok' if good else 'DIFFERENT'}")
    return good


def same_ids(tokenizer, tokens):
    """Documents of the shard, decoded and encoded by transformers, give their ids back."""
    ends = np.flatnonzero(tokens == tokenizer.eos_token_id)
    documents = [tokens[s + 1:e] for s, e in zip(ends[:-1], ends[1:])][:50]
    wrong = sum(tokenizer.encode(tokenizer.decode(d, clean_up_tokenization_spaces=False)) != d.tolist()
                for d in documents)
    print(f"tokenizer: {len(documents)} documents, {wrong} with other ids: {'DIFFERENT' if wrong else 'ok'}")
    return not wrong


def same_text(a, model, tokenizer):
    ids = torch.tensor([tokenizer.encode(a.prompt)])
    output = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=40, do_sample=False)
    expected = tokenizer.decode(output[0], skip_special_tokens=True)
    found = run(a.swiftlet, "generate", "--checkpoint", a.checkpoint, "--prompt", a.prompt,
                "--max-tokens", "40", "--temperature", "0")
    good = expected.strip() in found or found.strip() in expected
    print(f"greedy text: {'ok' if good else 'DIFFERENT'}")
    if not good:
        print(f"transformers: {expected!r}\nswiftlet:     {found!r}")
    return good


def main():
    a = parse()
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_pretrained(a.checkpoint, dtype=torch.float32, attn_implementation="eager").eval()
    tokens = np.concatenate([read_shard(path) for path in sorted(glob.glob(a.data))])
    good = same_loss(a, model, tokens)
    if (Path(a.checkpoint) / "tokenizer.json").exists():
        tokenizer = AutoTokenizer.from_pretrained(a.checkpoint)
        good &= same_ids(tokenizer, tokens) & same_text(a, model, tokenizer)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()

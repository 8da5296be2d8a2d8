"""The race: seconds of training that Swiftlet needs to the loss of tuned, compiled PyTorch, on the same text and cores.

    make race [STEPS=120 | SECONDS=60] [SEEDS=3] [TEXT=path] [PICTURE=docs/race.svg]

What it runs, for each seed in turns, on the same shards and the same validation sequences, all of them:

  peer        PyTorch: time_to_loss.py, GPT-2 with AdamW, tuned rate and warm-up
  gpt2        Swiftlet with the peer's recipe, for as many steps
  modern      Swiftlet with its own: runs of 30, 40, 50, … steps (for a peer of 120), each with a schedule of that
              length, until the fewest are found whose final loss is the peer's or lower
  equal       the same recipe for as long as the peer took

The seconds are the sum of the steps' times. Outside the clock of both: start, compilation, evaluation, checkpoints. A
winner is named where the losses of `peer` and `equal`, which took equal seconds, do not overlap over the seeds. All
runs are in race.json of the working directory.

--options and --gpt2-options hold options of `swiftlet train`; a word such as 33% is that share of the run's steps.
--peer holds options of time_to_loss.py: --peer="--tokens 2048 --steps 480" races the peer of more and smaller steps.
"""

import argparse
import dataclasses
import glob
import json
import math
import os
import re
import shutil
import statistics
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from gpt2_reference import read_shard
from race_picture import picture

ROOT = Path(__file__).parents[2]


@dataclass
class Run:
    """A run and what it took; `curve` has seconds and validation loss of every evaluation."""
    contestant: str
    seed: int
    steps: int
    tokens: int
    seconds: float
    step_ms: float  # the median
    loss: float  # of all validation sequences, at the end
    curve: list = field(repr=False)


def parse():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--text", nargs="+", required=True, help="files or folders")
    p.add_argument("--work", type=Path, required=True, help="the working directory: tokens, runs, race.json")
    p.add_argument("--picture", type=Path, help="write the curves there, as SVG")
    p.add_argument("--swiftlet", type=os.path.abspath, default=str(ROOT / ".build/release/swiftlet"))
    p.add_argument("--seeds", type=int, default=3)
    length = p.add_mutually_exclusive_group()
    length.add_argument("--steps", type=int, default=120, help="of the peer")
    length.add_argument("--seconds", type=float, help="of the peer's training, in place of its steps")
    p.add_argument("--cores", type=int, default=2, help="the peer's threads and Swiftlet's ranks")
    for name, value in dict(vocabulary=8192, layers=4, width=192, heads=3, context=256, tokens=4096).items():
        p.add_argument(f"--{name}", type=int, default=value, help="of a step" if name == "tokens" else None)
    p.add_argument("--micro-batch", type=int, default=8, help="Swiftlet's sequences of a rank at once, or fewer")
    p.add_argument("--options", type=str.split, default=["--recipe", "modern"], metavar="WORDS")
    p.add_argument("--gpt2-options", type=str.split, default=["--recipe", "gpt2"], metavar="WORDS")
    p.add_argument("--peer", type=str.split, default=[], metavar="WORDS")
    a = p.parse_args()
    if a.tokens % (a.context * a.cores):
        p.error("--tokens must be a multiple of the context times the cores")
    a.micro_batch = math.gcd(a.micro_batch, a.tokens // a.context // a.cores)
    return a


def run(command):
    command = [str(word) for word in command]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)} ended with {done.returncode}\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return done.stdout


def stay_on_cores(count):
    """Leaves this program, and all that it starts, one CPU of each of `count` cores."""
    cores = {}
    for cpu in sorted(os.sched_getaffinity(0)):
        siblings = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")
        cores.setdefault(siblings.read_text() if siblings.exists() else cpu, cpu)
    if len(cores) < count:
        sys.exit(f"{len(cores)} cores are allowed and the race wants {count}: give fewer with --cores")
    cpus = sorted(cores.values())[:count]
    os.sched_setaffinity(0, cpus)
    return cpus


class Text:
    """The shards, and how many bytes of text their validation sequences stand for."""

    def __init__(self, a):
        self.directory = a.work / "tokens"
        run([a.swiftlet, "tokenize", "--input", *a.text, "--output", self.directory, "--vocab-size", a.vocabulary])
        self.training, self.validation = (f"{self.directory}/{part}_*.bin" for part in ("train", "val"))
        tokenizer = json.loads((self.directory / "tokenizer.json").read_text())
        # A token of byte-level BPE has a character for each byte. A mark between documents stands for no text.
        lengths = {number: len(token) for token, number in tokenizer["model"]["vocab"].items()}
        lengths.update({added["id"]: 0 for added in tokenizer["added_tokens"]})
        self.vocabulary = len(lengths)
        tokens = np.concatenate([read_shard(path) for path in sorted(glob.glob(self.validation))])
        self.sequences = (len(tokens) - 1) // a.context
        targets = tokens[1:self.sequences * a.context + 1]
        self.bytes_per_token = sum(lengths[int(token)] for token in targets) / len(targets)

    def bits_per_byte(self, loss):
        return loss / math.log(2) / self.bytes_per_token


def run_peer(a, text, seed, steps, curve=True):
    report = a.work / "peer.json"
    has_bf16 = re.search("avx512_bf16|amx_bf16", Path("/proc/cpuinfo").read_text()) is not None
    words = dict(steps=steps, seed=seed, tokens=a.tokens, layers=a.layers, width=a.width, heads=a.heads,
                 context=a.context, vocabulary=text.vocabulary, threads=a.cores, bf16=int(has_bf16),
                 eval_every=max(1, steps // 12) if curve else steps)
    options = [word for name, x in words.items() for word in ("--" + name.replace("_", "-"), x)]
    run([sys.executable, Path(__file__).with_name("time_to_loss.py"), text.training, text.validation, *options, *a.peer,
         "--report", report])
    found = json.loads(report.read_text())
    return Run("peer", seed, found["steps"], found["tokens"], found["seconds"], found["step_ms"], found["loss"],
               [(seconds, loss) for _, seconds, loss in found["curve"]])


def with_steps(words, steps):
    """The options with every share, such as 33%, as that share of the steps."""
    share = r"(\d+(?:\.\d+)?)%"
    matches = ((word, re.fullmatch(share, word)) for word in words)
    return [str(round(float(match[1]) / 100 * steps)) if match else word for word, match in matches]


def run_swiftlet(a, text, contestant, options, seed, steps):
    directory = a.work / "run"
    shutil.rmtree(directory, ignore_errors=True)
    run([ROOT / "launch/local", "-n", a.cores, "-t", 1, "train", "--run-dir", directory,
         "--train-data", text.training, "--val-data", text.validation,
         "--layers", a.layers, "--heads", a.heads, "--embedding-size", a.width, "--context-length", a.context,
         "--global-batch", a.tokens // a.context, "--micro-batch", a.micro_batch, "--steps", steps, "--seed", seed,
         "--eval-interval", max(1, steps // 12), "--eval-sequences", "all", "--checkpoint-interval", steps,
         *with_steps(options, steps)])
    return read_metrics(directory / "metrics.jsonl", contestant, seed)


def read_metrics(path, contestant, seed):
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    seconds = np.cumsum([line["step_ms"] / 1000 for line in lines]).tolist()
    curve = [(s, line["val_loss"]) for s, line in zip(seconds, lines) if "val_loss" in line]
    return Run(contestant, seed, lines[-1]["step"], lines[-1]["tokens"], seconds[-1],
               statistics.median(line["step_ms"] for line in lines), lines[-1]["val_loss"], curve)


def fewest_steps(train, target, start, grid, limit):
    """The run with the fewest steps, of multiples of `grid`, whose final loss is at most `target` (None where `limit`
    steps are not enough), and all runs that were made to find it.

    From the start down as long as runs reach it, or up until one does. Each run has a schedule of its own length.
    """
    best, made, steps = None, [], start
    while grid <= steps <= limit:
        made.append(train(steps))
        if made[-1].loss <= target:
            best = made[-1]
            if len(made) > 1 and made[-2].loss > target:
                break
            steps -= grid
        elif best:
            break
        else:
            steps += grid
    return best, made


def race(a, text):
    """All runs, in the order in which they were made; those that reached the peer's loss are `modern`."""
    runs, start = [], None

    def told(result, note=""):
        runs.append(result)
        print(f"seed {result.seed}  {result.contestant:7} {result.steps:6} steps  {result.seconds:8.1f} s  "
              f"{result.step_ms:7.1f} ms a step  loss {result.loss:.4f}  "
              f"{text.bits_per_byte(result.loss):.4f} bits a byte{note}", flush=True)
        return result

    steps = a.steps
    if a.seconds:
        probe = run_peer(a, text, 1, 12, curve=False)
        steps = max(12, round(1000 * a.seconds / probe.step_ms))
    for seed in range(1, a.seeds + 1):
        peer = told(run_peer(a, text, seed, steps))
        if not math.isfinite(peer.loss):
            sys.exit('the peer diverged, and is no peer: give it a lower rate, such as --peer="--rate 1e-3"')
        told(run_swiftlet(a, text, "gpt2", a.gpt2_options, seed, round(peer.tokens / a.tokens)))

        def attempt(steps):
            result = run_swiftlet(a, text, "attempt", a.options, seed, steps)
            return told(result, "  reaches the peer's" if result.loss <= peer.loss else "")

        grid = max(1, round(peer.tokens / a.tokens / 12))
        best, made = fewest_steps(attempt, peer.loss, start or 3 * grid, grid, 24 * grid)
        if best:
            best.contestant, start = "modern", best.steps
        seconds_a_step = sum(result.seconds for result in made) / sum(result.steps for result in made)
        told(run_swiftlet(a, text, "equal", a.options, seed, max(1, int(peer.seconds / seconds_a_step))))
    return runs


def spread(values, form):
    values = sorted(values)
    middle = format(statistics.median(values), form)
    return middle if len(values) < 2 else f"{middle} ({values[0]:{form}} to {values[-1]:{form}})"


TITLES = {"peer": "PyTorch", "gpt2": "Swiftlet, the peer's recipe", "modern": "Swiftlet, to the peer's loss",
          "equal": "Swiftlet, in the peer's seconds"}


def seconds_ratios(runs):
    """Swiftlet's seconds to the peer's loss over the peer's, for each seed that got there."""
    peers = {result.seed: result.seconds for result in runs if result.contestant == "peer"}
    return [result.seconds / peers[result.seed] for result in runs if result.contestant == "modern"]


def verdict(runs):
    ours, peers = ([result for result in runs if result.contestant == name] for name in ("equal", "peer"))
    seconds = [our.seconds / peer.seconds for our, peer in zip(ours, peers)]
    ours, peers = ([result.loss for result in these] for these in (ours, peers))
    losses = f"at equal seconds Swiftlet {spread(ours, '.4f')}, PyTorch {spread(peers, '.4f')}"
    if len(peers) < 2:
        return f"no winner is named: one seed shows no spread; {losses}"
    if not all(0.9 < ratio < 1.1 for ratio in seconds):
        return (f"no winner is named: Swiftlet trained {spread(seconds, '.2f')} times the peer's seconds, which are not "
                "equal; is the machine busy?")
    if max(ours) < min(peers):
        return f"Swiftlet wins: {losses}"
    return f"PyTorch wins: {losses}" if max(peers) < min(ours) else f"no winner: the losses overlap; {losses}"


def report(a, text, runs):
    print("\nmedian (least to greatest) over the seeds; outside the clock of both: start, compilation, evaluation, "
          "checkpoints\n")
    print("| | steps | tokens | seconds of training | ms a step | validation loss | bits a byte |")
    print("|---|---|---|---|---|---|---|")
    for name, title in TITLES.items():
        these = [result for result in runs if result.contestant == name]
        if these:
            columns = [spread([getattr(result, key) for result in these], form) for key, form in (
                ("steps", ".0f"), ("tokens", ",.0f"), ("seconds", ".1f"), ("step_ms", ".1f"), ("loss", ".4f"))]
            bits = spread([text.bits_per_byte(result.loss) for result in these], ".4f")
            print(f"| {title} | {' | '.join(columns)} | {bits} |")
    ratios = seconds_ratios(runs)
    print(f"\nseconds to the peer's loss, over the peer's: {spread(ratios, '.3f') if ratios else 'not reached'}"
          + (f"; {a.seeds - len(ratios)} of {a.seeds} seeds did not reach it" if 0 < len(ratios) < a.seeds else ""))
    print(verdict(runs))


def main():
    a = parse()
    for part in ("tokens", "run"):
        shutil.rmtree(a.work / part, ignore_errors=True)
    a.work.mkdir(parents=True, exist_ok=True)
    cpus = stay_on_cores(a.cores)
    os.environ["SWIFTLET"] = a.swiftlet  # which launch/local starts
    text = Text(a)
    print(f"{a.layers} layers, {a.heads} heads, width {a.width}, context {a.context}, vocabulary {text.vocabulary}, "
          f"{a.tokens} tokens a step; {text.sequences} validation sequences, {text.bytes_per_token:.3f} bytes a token\n"
          f"on CPUs {cpus}: PyTorch with {a.cores} threads {' '.join(a.peer)}\n"
          f"Swiftlet with {a.cores} ranks of one thread: {' '.join(a.options)}\n"
          f"Swiftlet with the peer's recipe: {' '.join(a.gpt2_options)}", flush=True)
    runs = race(a, text)
    report(a, text, runs)
    ratios = seconds_ratios(runs)
    settings = {name: str(x) if isinstance(x, Path) else x for name, x in vars(a).items()}
    (a.work / "race.json").write_text(json.dumps(dict(
        settings=settings, vocabulary=text.vocabulary, validation_sequences=text.sequences,
        bytes_per_token=text.bytes_per_token, ratios=ratios, verdict=verdict(runs),
        runs=[dict(dataclasses.asdict(result), bits_per_byte=text.bits_per_byte(result.loss)) for result in runs],
    ), indent=1))
    if a.picture:
        curves = {TITLES[name]: [result.curve for result in runs if result.contestant == name] for name in TITLES}
        shape = f"{a.layers} layers, {a.width} wide, context {a.context}, {a.tokens} tokens a step, {a.cores} cores"
        a.picture.write_text(picture(curves, f"{shape}; median and spread of {a.seeds} seeds", ratios))


if __name__ == "__main__":
    main()

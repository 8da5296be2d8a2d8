"""Acceptance: the event files of `swiftlet train`, read by TensorBoard's own reader, through kills and resumes.

    pip install tensorboard==2.21.0 numpy==2.4.6
    python Tests/Reference/check_events.py --text TEXT [--repetitions 20]

A tiny model on 1 and on 2 ranks, killed (SIGKILL) that many times at moments that are drawn, at the start, in steps, in
evaluations and saves, and resumed; some of the starts write no events. Then every point of every scalar must be the
number of metrics.jsonl as a float, once and in order: for a reader that knows what a start means and for one that does
not, and for one that followed the run from its beginning. Bits a byte are worked out here from shards and tokenizer.
Exit code 1 when anything differs.
"""

import argparse
import json
import math
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from tensorboard.backend.event_processing.event_accumulator import SCALARS, TENSORS, EventAccumulator

ROOT = Path(__file__).parents[2]
CONTEXT, EVALUATED = 32, 20


def read_shard(path):
    return np.fromfile(path, dtype=np.uint16)[512:].astype(np.int64)


def tokenize(a, place):
    subprocess.run(
        [a.swiftlet, "tokenize", "--input", a.text, "--output", place, "--vocab-size", "512"], check=True,
        stdout=subprocess.PIPE)
    tokenizer = json.loads((place / "tokenizer.json").read_text())
    # A token of byte-level BPE has a character for each byte. A mark between documents stands for no text.
    lengths = {number: len(token) for token, number in tokenizer["model"]["vocab"].items()}
    lengths.update({added["id"]: 0 for added in tokenizer["added_tokens"]})
    lengths = np.array([lengths[number] for number in range(len(lengths))])
    train = read_shard(place / "train_000000.bin")
    validation = read_shard(place / "val_000000.bin")
    count = (len(validation) - 1) // CONTEXT
    targets = [validation[i * count // EVALUATED * CONTEXT + 1:][:CONTEXT] for i in range(EVALUATED)]
    return lengths[train].sum() / len(train), lengths[np.concatenate(targets)].sum() / (EVALUATED * CONTEXT)


class Run:
    def __init__(self, a, ranks, directory, place):
        self.ranks, self.directory = ranks, directory
        self.command = [] if ranks == 1 else ["mpirun", "-np", str(ranks), "--oversubscribe", "--bind-to", "none"]
        self.command += map(str, [
            a.swiftlet, "train", "--train-data", place / "train_*.bin", "--val-data", place / "val_*.bin", "--run-dir",
            directory, "--layers", 1, "--heads", 2, "--embedding-size", 32, "--context-length", CONTEXT,
            "--micro-batch", 2, "--global-batch", 4, "--steps", 100000, "--warmup-steps", 10, "--eval-interval", 11,
            "--eval-sequences", EVALUATED, "--checkpoint-interval", 37, "--optimizer", "muon", "--sequence-warmup",
            "8:0.0005", "--log-interval", 1000, "--threads", 1, "--precision", "fp32"])
        self.environment = os.environ | dict(OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")

    def start(self, *more):
        self.process = subprocess.Popen(
            [*self.command, *map(str, more)], env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def rank_zero(self):
        try:
            number = int(re.match(r"process (\d+) ", (self.directory / ".lock").read_text())[1])
            # The file may be of an earlier start, and its number of another process by now.
            command = Path(f"/proc/{number}/cmdline").read_bytes()
            return number if os.fsencode(self.directory) in command.split(b"\0") else None
        except (OSError, TypeError):
            return None

    def steps(self):
        try:
            text = (self.directory / "metrics.jsonl").read_text()
        except OSError:
            return 0
        found = re.findall(r'^\{"step":(\d+),', text, re.M)
        return int(found[-1]) if found else 0

    def kill(self, seconds):
        """Kills rank 0 so long after the start of the process; mpirun ends the others."""
        time.sleep(seconds)
        victim = self.process.pid if self.ranks == 1 else self.rank_zero()
        if victim and self.process.poll() is None:
            try:
                os.kill(victim, signal.SIGKILL)
            except ProcessLookupError:
                self.process.kill()
        else:
            self.process.kill()
        self.process.communicate()

    def finish(self, step):
        self.start("--stop-after", step)
        output = self.process.communicate()[0].decode(errors="replace")
        if self.process.returncode != 75:
            sys.exit(f"{self.command} ended with {self.process.returncode}\n{output}")


def accumulator(directory, purge):
    return EventAccumulator(
        str(directory), size_guidance={SCALARS: 0, TENSORS: 0}, purge_orphaned_data=purge)


def expected(rows, train_bytes, validation_bytes):
    bits = lambda loss, per_token: loss / math.log(2) / per_token
    numbers = {
        "loss/train": lambda r: r["train_loss"],
        "loss/validation": lambda r: r.get("val_loss"),
        "perplexity/train": lambda r: math.exp(r["train_loss"]),
        "perplexity/validation": lambda r: r.get("val_ppl"),
        "bits_per_byte/train": lambda r: bits(r["train_loss"], train_bytes),
        "bits_per_byte/validation": lambda r: r.get("val_bpb"),
        "optimizer/learning_rate": lambda r: r["lr"],
        "optimizer/muon_learning_rate": lambda r: r["muon_lr"],
        "optimizer/gradient_norm": lambda r: r["grad_norm"],
        "speed/tokens_per_second": lambda r: r["tokens_per_second"],
        "speed/step_ms": lambda r: r["step_ms"],
        "speed/ceiling_share": lambda r: r.get("ceiling_share"),
        "data/sequence_length": lambda r: r["sequence_length"],
    }
    for row in rows:
        if "val_loss" in row:
            own = bits(row["val_loss"], validation_bytes)
            if abs(row["val_bpb"] - own) > 1e-12 * own:
                sys.exit(f"val_bpb of step {row['step']} is {row['val_bpb']}, expected {own}")
    return {
        tag: [(row["step"], np.float32(number(row))) for row in rows if number(row) is not None]
        for tag, number in numbers.items()}


def compare(name, reader, wanted, begin):
    reader.Reload()
    bad = []
    if set(reader.Tags()["scalars"]) != set(wanted):
        bad.append(f"scalars {sorted(reader.Tags()['scalars'])}, expected {sorted(wanted)}")
    count = 0
    for tag in wanted:
        events = reader.Scalars(tag) if tag in reader.Tags()["scalars"] else []
        found = [(event.step, np.float32(event.value)) for event in events]
        count += len(found)
        if found != wanted[tag]:
            first = next((p for p in zip(found, wanted[tag]) if p[0] != p[1]), "their number")
            bad.append(f"{tag}: {len(found)} points, expected {len(wanted[tag])}; first difference: {first}")
        times = [event.wall_time for event in events]
        if not all(begin <= t <= time.time() for t in times):
            bad.append(f"{tag}: times from {min(times)} to {max(times)}, the test began at {begin}")
    options = reader.Tensors("config") if "config" in reader.Tags()["tensors"] else []
    if len(options) != 1 or b"| global-batch | `4` |" not in options[0].tensor_proto.string_val[0]:
        bad.append(f"{len(options)} tables of options")
    for line in bad:
        print(f"{name}: {line}")
    return count if not bad else 0


def check(a, ranks, directory, place, bytes_per_token):
    begin = time.time()
    run = Run(a, ranks, directory / f"run-{ranks}", place)
    run.directory.mkdir()
    follower = accumulator(run.directory, True)
    draw = random.Random(ranks)
    lost = []
    for kill in range(a.repetitions):
        run.start(*(["--no-tensorboard"] if kill % 6 == 3 else []))
        run.kill(draw.uniform(0.05, 1.5) * (1 if ranks == 1 else 1.5))
        lost.append(run.steps())
        follower.Reload()
    end = run.steps() + 100
    run.finish(end)
    rows = [json.loads(line) for line in (run.directory / "metrics.jsonl").read_text().splitlines()]
    if [row["step"] for row in rows] != list(range(1, end + 1)):
        sys.exit(f"{ranks} ranks: metrics.jsonl has {len(rows)} lines, expected steps 1 to {end}")
    wanted = expected(rows, *bytes_per_token)
    files = [path for path in run.directory.iterdir() if "tfevents" in path.name]
    found = [
        compare(f"{ranks} ranks, {name}", reader, wanted, begin)
        for name, reader in [
            ("purging", accumulator(run.directory, True)), ("not purging", accumulator(run.directory, False)),
            ("following", follower)]]
    print(f"{ranks} ranks: killed {a.repetitions} times, at steps {lost}; {end} steps in {len(files)} files: "
          f"{found[0]} points  {'ok' if all(found) else 'BAD'}", flush=True)
    return all(found)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--text", required=True, help="a text of some 200 KB or more")
    p.add_argument("--swiftlet", default=str(ROOT / ".build/release/swiftlet"))
    p.add_argument("--repetitions", type=int, default=20, help="kills, for each number of ranks")
    a = p.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        directory = Path(directory)
        bytes_per_token = tokenize(a, directory / "data")
        good = [check(a, ranks, directory, directory / "data", bytes_per_token) for ranks in (1, 2)]
    sys.exit(0 if all(good) else 1)


if __name__ == "__main__":
    main()

"""Tokens a second of swiftlet and of PyTorch DDP, in turns on the same cores: the table of docs/performance.md.

    python Tests/Reference/bench_against_torch.py [--repetitions 5] [--shapes reference-bf16 small-fp32 ...]

Needs torch (2.15.0 was used), numpy, Open MPI and a built .build/release/swiftlet. Each repetition runs every contestant
once, one after the other; the table shows the medians and their ratio. Both train the same shape on random tokens with
2 ranks of 1 thread; PyTorch runs torch_ddp.py, compiled.
"""
import argparse, json, os, pathlib, re, statistics, subprocess, sys

here = pathlib.Path(__file__).resolve().parent
tree = here.parent.parent
# name: layers, heads, width, vocabulary, context, sequences a rank, precision, compiled, steps of torch, steps of ours, and
# of a Llama its key/value heads and inner size
shapes = {
    "reference-bf16": (6, 6, 384, 8192, 256, 8, "bf16", True, 12, 10),
    "reference-fp32": (6, 6, 384, 8192, 256, 8, "fp32", True, 10, 8),
    "gpt2-124m-bf16": (12, 12, 768, 50304, 1024, 1, "bf16", True, 7, 4),
    "small-fp32": (4, 4, 128, 256, 64, 12, "fp32", False, 200, 200),
    "small-fp32-compiled": (4, 4, 128, 256, 64, 12, "fp32", True, 200, 200),
    "llama-bf16": (6, 6, 384, 8192, 256, 8, "bf16", True, 12, 10, 2, 1024),
    "llama-fp32": (6, 6, 384, 8192, 256, 8, "fp32", True, 10, 8, 2, 1024),
    "smollm2-135m-bf16": (30, 9, 576, 49152, 512, 4, "bf16", True, 7, 4, 3, 1536),
}
p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
p.add_argument("--repetitions", type=int, default=5)
p.add_argument("--shapes", nargs="+", choices=list(shapes), default=list(shapes))
p.add_argument("--ranks", type=int, default=2)
p.add_argument("--swiftlet", default=str(tree / ".build/release/swiftlet"))
a = p.parse_args()
env = dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1", OMP_NUM_THREADS="1")


def run(command):
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def torch(layers, heads, width, vocabulary, context, batch, precision, compiled, steps, _, kv=None, inner=None):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={a.ranks}",
               str(here / "torch_ddp.py"), f"--layers={layers}", f"--heads={heads}", f"--width={width}",
               f"--vocab={vocabulary}", f"--seq={context}", f"--batch={batch}", f"--dtype={precision}",
               f"--steps={steps}"] + (["--compile"] if compiled else [])
    command += ["--arch=llama", f"--kv={kv}", f"--inner={inner}"] if kv else []
    out = run(command)
    return float(re.search(r"tokens_per_s ([\d.]+)", out)[1]), float(re.search(r"rss_mb (\d+)", out)[1])


def ours(layers, heads, width, vocabulary, context, batch, precision, _, __, steps, kv=None, inner=None):
    llama = ["--architecture=llama", f"--kv-heads={kv}", f"--inner-size={inner}"] if kv else []
    out = run(["mpirun", "-np", str(a.ranks), a.swiftlet, "bench", "--json", "--threads=1", f"--steps={steps}",
               f"--layers={layers}", f"--heads={heads}", f"--embedding-size={width}", f"--vocab-size={vocabulary}",
               f"--context-length={context}", f"--micro-batch={batch}", f"--precision={precision}", *llama])
    report = json.loads(out[out.index("{"):])
    return report["tokensPerSecond"], report["peakMemoryMegabytes"], report["modelFlopsUtilization"], report["averagingShare"]


results = {name: ([], []) for name in a.shapes}
for repetition in range(a.repetitions):
    for name in a.shapes:
        results[name][0].append(torch(*shapes[name]))
        results[name][1].append(ours(*shapes[name]))
        t, o = results[name][0][-1], results[name][1][-1]
        print(f"# {repetition + 1}/{a.repetitions} {name}: torch {t[0]:.0f}, swiftlet {o[0]:.0f} tok/s, {o[0] / t[0]:.2f} x", flush=True)
median = lambda rows, column: statistics.median(row[column] for row in rows)
print("| shape | PyTorch DDP tok/s | swiftlet tok/s | ratio | PyTorch MB a rank | swiftlet MB a rank | MFU | averaging |")
print("|---|---|---|---|---|---|---|---|")
for name, (t, o) in results.items():
    print(f"| {name} | {median(t, 0):.0f} | {median(o, 0):.0f} | {median(o, 0) / median(t, 0):.2f} | {median(t, 1):.0f} | "
          f"{median(o, 1):.0f} | {100 * median(o, 2):.0f} % | {100 * median(o, 3):.2f} % |")

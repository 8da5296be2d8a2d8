"""Reference peer: GPT-2 trained with PyTorch DistributedDataParallel over gloo on CPU.

Run one rank:   python torch_ddp.py ...
Run N ranks:    torchrun --standalone --nproc_per_node=N torch_ddp.py ...
Prints one line a step (`step k loss x lr y`) on rank 0 and, last, `tokens_per_s MEDIAN step_ms MEDIAN`.
With --init a safetensors file in Hugging Face GPT-2 names gives the initial weights, so that another
trainer that starts from the same file and reads the same tokens can be compared step by step.
"""
import argparse, math, os, statistics, time
import numpy as np, torch, torch.nn as nn, torch.nn.functional as F
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel as DDP

p = argparse.ArgumentParser()
for name, default in dict(layers=6, heads=6, width=384, vocab=8192, seq=256, batch=8, accum=1, steps=20,
                          threads=1, warmup=100, total=10000, seed=1337).items():
    p.add_argument(f"--{name}", type=int, default=default)
p.add_argument("--lr", type=float, default=3e-4)
p.add_argument("--decay", type=float, default=0.1)
p.add_argument("--clip", type=float, default=1.0)
p.add_argument("--dtype", default="bf16", choices=["bf16", "fp32"])
p.add_argument("--compile", action="store_true")
p.add_argument("--tokens"); p.add_argument("--init"); p.add_argument("--save-init")
a = p.parse_args()
torch.set_num_threads(a.threads)
rank, world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
if world > 1:
    dist.init_process_group("gloo")

class Block(nn.Module):
    def __init__(s):
        super().__init__()
        d = a.width
        s.ln_1, s.ln_2 = nn.LayerNorm(d), nn.LayerNorm(d)
        s.c_attn, s.c_proj = nn.Linear(d, 3 * d), nn.Linear(d, d)
        s.c_fc, s.m_proj = nn.Linear(d, 4 * d), nn.Linear(4 * d, d)
    def forward(s, x):
        B, T, C = x.shape
        q, k, v = s.c_attn(s.ln_1(x)).split(C, dim=2)
        q, k, v = (t.view(B, T, a.heads, C // a.heads).transpose(1, 2) for t in (q, k, v))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + s.c_proj(y.transpose(1, 2).reshape(B, T, C))
        return x + s.m_proj(F.gelu(s.c_fc(s.ln_2(x)), approximate="tanh"))

class GPT(nn.Module):
    def __init__(s):
        super().__init__()
        s.wte, s.wpe = nn.Embedding(a.vocab, a.width), nn.Embedding(a.seq, a.width)
        s.h = nn.ModuleList(Block() for _ in range(a.layers))
        s.ln_f = nn.LayerNorm(a.width)
        for n, w in s.named_parameters():
            if w.dim() == 2:
                nn.init.normal_(w, 0.0, 0.02 / math.sqrt(2 * a.layers) if "proj" in n else 0.02)
            elif n.endswith("bias"):
                nn.init.zeros_(w)
    def forward(s, i, y):
        x = s.wte(i) + s.wpe(torch.arange(i.shape[1]))
        for b in s.h: x = b(x)
        z = F.linear(s.ln_f(x), s.wte.weight)
        return F.cross_entropy(z.view(-1, z.shape[-1]).float(), y.view(-1))

def hf_name(n):
    return (n.replace("c_attn", "attn.c_attn").replace("m_proj", "mlp.c_proj").replace("c_fc", "mlp.c_fc")
             .replace(".c_proj", ".attn.c_proj").replace("mlp.attn.", "mlp."))

torch.manual_seed(a.seed)
model = GPT()
if a.init or a.save_init:
    from safetensors.torch import load_file, save_file
    conv = lambda n: any(k in n for k in ("c_attn.weight", "c_proj.weight", "c_fc.weight", "m_proj.weight"))
    if a.init:
        sd = load_file(a.init)
        with torch.no_grad():
            for n, w in model.named_parameters():
                t = sd.get(hf_name(n), sd.get("transformer." + hf_name(n)))
                w.copy_((t.t() if conv(n) else t).float())
    if a.save_init and rank == 0:
        save_file({hf_name(n): (w.t() if conv(n) else w).detach().contiguous() for n, w in model.named_parameters()}, a.save_init)
n_params = sum(w.numel() for w in model.parameters())
net = DDP(model) if world > 1 else model
if a.compile: net = torch.compile(net)
groups = [{"params": [w for w in model.parameters() if w.dim() >= 2], "weight_decay": a.decay},
          {"params": [w for w in model.parameters() if w.dim() < 2], "weight_decay": 0.0}]
opt = torch.optim.AdamW(groups, lr=a.lr, betas=(0.9, 0.95), eps=1e-8, fused=True)
def lam(k):
    if k < a.warmup: return (k + 1) / max(1, a.warmup)
    return 0.5 * (1 + math.cos(math.pi * (k - a.warmup) / max(1, a.total - a.warmup)))
sch = torch.optim.lr_scheduler.LambdaLR(opt, lam)
tok = (torch.from_numpy(np.fromfile(a.tokens, dtype=np.uint16).astype(np.int64)) if a.tokens
       else torch.randint(0, a.vocab, (1 << 22,)))
B, T = a.batch, a.seq
pos, times = rank * B * T, []
for step in range(a.steps):
    t0 = time.perf_counter()
    total = 0.0
    for m in range(a.accum):
        w = tok[pos:pos + B * T + 1]
        x, y = w[:-1].view(B, T), w[1:].view(B, T)
        pos += world * B * T
        if pos + B * T + 1 > len(tok): pos = rank * B * T
        if world > 1: net.require_backward_grad_sync = m == a.accum - 1
        with torch.autocast("cpu", torch.bfloat16, enabled=a.dtype == "bf16"):
            loss = net(x, y) / a.accum
        loss.backward()
        total += loss.detach()
    gn = nn.utils.clip_grad_norm_(model.parameters(), a.clip) if a.clip > 0 else torch.zeros(())
    opt.step(); lr = sch.get_last_lr()[0]; sch.step(); opt.zero_grad(set_to_none=True)
    if world > 1:
        dist.all_reduce(total, op=dist.ReduceOp.SUM); total /= world
    times.append(time.perf_counter() - t0)
    if rank == 0: print(f"step {step + 1} loss {total.item():.6f} lr {lr:.9f} norm {gn.item():.6f}", flush=True)
if rank == 0:
    s = statistics.median(times[min(3, len(times) - 1):])
    import resource
    print(f"params {n_params} rss_mb {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024}")
    print(f"tokens_per_s {world * B * T * a.accum / s:.1f} step_ms {s * 1e3:.1f}")
if world > 1: dist.destroy_process_group()

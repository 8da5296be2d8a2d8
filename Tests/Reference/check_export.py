"""Acceptance: what `swiftlet export` writes is what transformers, gguf and llm.c's layout make of the same model.

    pip install torch==2.15.0 numpy==2.4.6 safetensors==0.8.0 transformers==5.23.0 gguf==0.19.0 accelerate==1.14.0
    python Tests/Reference/check_export.py --text TEXT [--only NAME...]

For each family a random tiny model of transformers, in each format and type. huggingface: every tensor that transformers
loads has the bits that torch rounds to. gguf: every tensor by llama.cpp's name has the bits of the converter's arrangement,
written down here anew; keys; tokens; and, where transformers reads the family from GGUF, its logits. llm.c: the file is,
byte for byte, what `write_model` of llm.c's train_gpt2.py puts together. Exit code 1 when something differs.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import gguf
import numpy as np
import torch
from transformers import (AutoModelForCausalLM, AutoTokenizer, GPT2Config, GPTNeoXConfig, LlamaConfig, MistralConfig,
                          Qwen2Config, Qwen3Config, logging)

ROOT = Path(__file__).parents[2]
VOCABULARY = 300
TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16}
LIMIT = 1e-5  # of logits, relative to the largest: the weights are the same, the order of sums may not be


def rotary(kind, **changes):
    return kind(**dict(
        vocab_size=VOCABULARY, hidden_size=48, num_hidden_layers=2, num_attention_heads=4, intermediate_size=80,
        max_position_embeddings=64, bos_token_id=0, eos_token_id=0, initializer_range=0.15) | changes)


LLAMA3 = dict(rope_type="llama3", rope_theta=10000.0, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
              original_max_position_embeddings=32)
MODELS = {
    # transformers takes 1024 positions whatever a GGUF file says.
    "gpt2": GPT2Config(vocab_size=VOCABULARY, n_positions=1024, n_embd=48, n_layer=2, n_head=4, bos_token_id=0,
                       eos_token_id=0, initializer_range=0.15),
    "llama": rotary(LlamaConfig, num_key_value_heads=2),
    "llama-tied": rotary(LlamaConfig, tie_word_embeddings=True, head_dim=16, rms_norm_eps=1e-5),
    "llama-3": rotary(LlamaConfig, num_key_value_heads=2, rope_parameters=LLAMA3),
    "mistral": rotary(MistralConfig, num_key_value_heads=2, sliding_window=None),
    "qwen2": rotary(Qwen2Config, num_key_value_heads=2),
    # transformers takes heads of 128 whatever a GGUF file says.
    "qwen3": rotary(Qwen3Config, num_key_value_heads=2, head_dim=128),
    "gpt-neox": rotary(GPTNeoXConfig, hidden_act="gelu_new", rope_parameters=dict(
        rope_type="default", rope_theta=10000.0, partial_rotary_factor=0.5)),
}
# transformers does not read GPT-NeoX from GGUF, nor the scaling of Llama 3.
UNREAD = {"gpt-neox", "llama-3"}
ARCHITECTURES = {"gpt2": "GPT2", "llama": "LLAMA", "mistral": "LLAMA", "qwen2": "QWEN2", "qwen3": "QWEN3",
                 "gpt_neox": "GPTNEOX"}


def parse():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--text", required=True, help="a text of some 100 KB or more")
    p.add_argument("--swiftlet", default=str(ROOT / ".build/release/swiftlet"))
    p.add_argument("--only", nargs="+", default=list(MODELS))
    return p.parse_args()


def swiftlet(a, *words):
    command = [a.swiftlet, *map(str, words)]
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode:
        sys.exit(f"{' '.join(command)} ended with {result.returncode}\n{result.stdout}{result.stderr}")
    return result.stdout


def export(a, source, output, form, kind):
    swiftlet(a, "export", "--checkpoint", source, "--output", output, "--format", form, "--dtype", kind)
    return output


def bits(tensor):
    return tensor.contiguous().view(torch.uint8).numpy().tobytes()


def logits(model):
    ids = torch.arange(40).reshape(2, 20) * 7 % VOCABULARY
    with torch.no_grad():
        return model(ids).logits


def far(found, expected):
    return (found - expected).abs().max().item() / expected.abs().max().item()


def transformers_directory(a, model, path, directory):
    for kind, dtype in TYPES.items():
        place = export(a, path, directory / f"hf-{kind}", "huggingface", kind)
        back = AutoModelForCausalLM.from_pretrained(place, dtype="auto", attn_implementation="eager").eval()
        if back.dtype != dtype:
            yield f"{kind}: config.json says {back.dtype}"
        found = back.state_dict()
        for name, tensor in model.state_dict().items():
            if bits(found[name]) != bits(tensor.to(dtype)):
                yield f"{kind}: {name} differs"
        if kind == "fp32" and not torch.equal(logits(back), logits(model)):
            yield "logits differ"
        if AutoTokenizer.from_pretrained(place).encode("Hello, world") != AutoTokenizer.from_pretrained(path).encode(
                "Hello, world"):
            yield "the tokenizer gives other ids"
        if not (place / "README.md").read_text().startswith("---\nlibrary_name: transformers\n"):
            yield "README.md has no front matter"


def arranged(config, name, tensor):
    """A tensor as llama.cpp's converter lays it out."""
    heads = config.num_attention_heads
    if config.model_type == "gpt2":
        return tensor.T if ".h." in name and tensor.dim() == 2 else tensor
    if config.model_type in ("llama", "mistral") and ("q_proj" in name or "k_proj" in name):
        groups = heads if "q_proj" in name else config.num_key_value_heads
        halves = tensor.reshape(groups, 2, tensor.shape[0] // groups // 2, *tensor.shape[1:])
        return halves.swapaxes(1, 2).reshape(tensor.shape)
    if "query_key_value" in name:
        parts = tensor.reshape(heads, 3, tensor.shape[0] // heads // 3, *tensor.shape[1:])
        return parts.transpose(0, 1).reshape(tensor.shape)
    return tensor


def gguf_file(a, name, model, path, directory, tokenizer):
    config = model.config
    names = gguf.get_tensor_name_map(getattr(gguf.MODEL_ARCH, ARCHITECTURES[config.model_type]), 2)
    for kind, dtype in TYPES.items():
        place = export(a, path, directory / f"model-{kind}.gguf", "gguf", kind)
        reader = gguf.GGUFReader(place)
        found = {tensor.name: tensor for tensor in reader.tensors}
        expected = {}
        for own, tensor in model.state_dict().items():
            if own == "lm_head.weight" and config.tie_word_embeddings and config.model_type != "gpt_neox":
                continue
            expected[names.get_name(own, try_suffixes=(".weight", ".bias"))] = arranged(config, own, tensor)
        if name == "llama-3":
            expected["rope_freqs.weight"] = None
        if set(found) != set(expected):
            yield f"{kind}: tensors {sorted(set(found) ^ set(expected))}"
            continue
        for own, tensor in expected.items():
            entry = found[own]
            if tensor is None:
                factors = entry.data  # angles of transformers are those of the plain model over these
                plain = 1 / 10000.0 ** (np.arange(0, 12, 2) / 12)
                rotary = model.model.rotary_emb.inv_freq.numpy()
                if not np.allclose(plain / factors, rotary, rtol=1e-5):
                    yield f"{kind}: {own} differs"
                continue
            narrow = tensor.dim() == 2 and own != "position_embd.weight"
            if list(entry.shape) != list(reversed(tensor.shape)):
                yield f"{kind}: {own} has shape {list(entry.shape)}"
            elif entry.data.tobytes() != bits(tensor.to(dtype if narrow else torch.float32)):
                yield f"{kind}: {own} differs"
        tokens = reader.get_field("tokenizer.ggml.tokens").contents()
        if tokens != [tokenizer.convert_ids_to_tokens(i) for i in range(VOCABULARY)]:
            yield f"{kind}: tokens differ"
        for key, value in [("tokenizer.ggml.pre", "gpt-2"), ("tokenizer.ggml.eos_token_id", 0), (
                "general.file_type", {"fp32": 0, "f16": 1, "bf16": 32}[kind])]:
            if reader.get_field(key).contents() != value:
                yield f"{kind}: {key} is {reader.get_field(key).contents()}"
        if name not in UNREAD:
            back = AutoModelForCausalLM.from_pretrained(
                directory, gguf_file=place.name, dtype=torch.float32, attn_implementation="eager").eval()
            rounded = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32, attn_implementation="eager").eval()
            with torch.no_grad():
                for own, parameter in rounded.named_parameters():
                    if parameter.dim() == 2 and "wpe" not in own:
                        parameter.copy_(parameter.to(dtype).float())
            worst = far(logits(back), logits(rounded))
            if worst > LIMIT:
                yield f"{kind}: logits differ by {worst:.0e}"


def llmc_file(a, model, path, directory):
    state = model.state_dict()
    config = model.config
    parts = ["ln_1.weight", "ln_1.bias", "attn.c_attn.weight", "attn.c_attn.bias", "attn.c_proj.weight",
             "attn.c_proj.bias", "ln_2.weight", "ln_2.bias", "mlp.c_fc.weight", "mlp.c_fc.bias", "mlp.c_proj.weight",
             "mlp.c_proj.bias"]
    padded = -(-VOCABULARY // 128) * 128
    order = [torch.nn.functional.pad(state["transformer.wte.weight"], (0, 0, 0, padded - VOCABULARY)),
             state["transformer.wpe.weight"]]
    for part in parts:
        for layer in range(config.n_layer):
            tensor = state[f"transformer.h.{layer}.{part}"]
            order.append(tensor.T if tensor.dim() == 2 else tensor)
    order += [state["transformer.ln_f.weight"], state["transformer.ln_f.bias"]]
    for kind, version in [("fp32", 3), ("bf16", 5)]:
        place = export(a, path, directory / f"model-{kind}.bin", "llm.c", kind)
        header = np.zeros(256, dtype="<i4")
        header[:8] = [20240326, version, config.n_positions, VOCABULARY, config.n_layer, config.n_head, config.n_embd,
                      padded]
        if place.read_bytes() != header.tobytes() + b"".join(bits(tensor.to(TYPES[kind])) for tensor in order):
            yield f"{kind}: other bytes than llm.c's"
        back = export(a, place, directory / f"back-{kind}", "huggingface", "fp32")
        found = AutoModelForCausalLM.from_pretrained(back).state_dict()
        for name, tensor in state.items():
            if not torch.equal(found[name], tensor.to(TYPES[kind]).float()):
                yield f"{kind}: {name} differs when read back"


def check(a, name, place, directory):
    torch.manual_seed(len(name))
    path = directory / "model"
    model = AutoModelForCausalLM.from_config(MODELS[name], attn_implementation="eager").eval()
    with torch.no_grad():  # norms and biases start at one and zero, where a mistake would not show
        for parameter in model.parameters():
            if parameter.dim() == 1:
                parameter += 0.1 * torch.randn_like(parameter)
    model.save_pretrained(path)
    (path / "tokenizer.json").write_bytes((place / "tokenizer.json").read_bytes())
    problems = list(transformers_directory(a, model, path, directory))
    problems += gguf_file(a, name, model, path, directory, AutoTokenizer.from_pretrained(path))
    if name == "gpt2":
        problems += llmc_file(a, model, path, directory)
    print(f"{name:12s} {'BAD' if problems else 'ok'}  {'; '.join(problems)}", flush=True)
    return not problems


def main():
    a = parse()
    torch.set_num_threads(1)
    logging.disable_progress_bar()
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory) / "data"
        swiftlet(a, "tokenize", "--input", a.text, "--output", place, "--vocab-size", VOCABULARY)
        good = []
        for name in a.only:
            (Path(directory) / name).mkdir()
            good.append(check(a, name, place, Path(directory) / name))
    sys.exit(0 if all(good) else 1)


if __name__ == "__main__":
    main()

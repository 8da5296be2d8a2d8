"""Second opinion on the reference itself: transformers' GPT-2 on the committed gpt2-tiny fixture.

    pip install transformers==5.23.0      (beside what make_gpt2_goldens.py pins)
    python Tests/Reference/check_fixture.py
"""

from pathlib import Path

import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

fixtures = Path(__file__).parents[1] / "TransformerTests" / "Fixtures"
batch = load_file(fixtures / "gpt2-tiny-batch.safetensors")
model = AutoModelForCausalLM.from_pretrained(fixtures / "gpt2-tiny", attn_implementation="eager").double().eval()
logits = model(batch["inputs"].long()).logits
loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), batch["targets"].flatten().long(), reduction="sum")
loss.backward()
errors = {"logits": (logits.detach() - batch["logits"]).norm() / batch["logits"].norm(),
          "loss_sum": (loss.detach() - batch["loss_sum_f64"][0]).abs() / loss.detach()}
for name, parameter in model.named_parameters():
    errors[name] = (parameter.grad - batch[name]).norm() / parameter.grad.norm()
worst = max(errors, key=errors.get)
print(f"{len(errors)} tensors, worst relative difference {errors[worst].item():.1e} ({worst})")
raise SystemExit(0 if errors[worst] < 1e-6 else 1)

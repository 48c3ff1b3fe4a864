"""Writes the golden numbers that the tests of the crate `model` compare with.

An implementation of nanoGPT's model in PyTorch, written from its architecture and sharing no code with the Rust one:
pre-LayerNorm blocks, fused query-key-value projection, exact GELU, learned positions, output head tied to the token
embedding, optional biases, LayerNorm with epsilon 1e-5; and its optimizer: AdamW (betas 0.9 and 0.99, epsilon 1e-8,
decay 0.1 on tensors of two dimensions and more), after clipping the global gradient norm to 1.

Computed in float64 and written as the shortest decimals of the nearest float32. The same is computed in float32, and the
script fails if the two differ by more than 1e-5, so that the numbers are well-conditioned and tests can be strict. Values
that are not determined are listed (`adamw.undetermined`, name to first and last index): softmax is invariant to a shift of
all scores, so the gradient of the keys' bias is only rounding, which AdamW normalizes.

    python python/model_golden.py            # writes crates/model/tests/golden/gpt.json
"""

import argparse
import json
import math
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

GOLDEN = Path(__file__).resolve().parent.parent / "crates/model/tests/golden/gpt.json"
CASES = [
    dict(n_layer=3, n_head=2, n_embd=12, block_size=11, vocab_size=13, bias=False),
    dict(n_layer=2, n_head=3, n_embd=12, block_size=11, vocab_size=13, bias=True),
]
BATCH = 3
SEED = 20
LEARNING_RATE = 1e-2
STEPS = 3


def draw_weights(config, generator):
    """Random weights by nanoGPT's state_dict names. They are larger than an untrained model's, so that attention is far from
    uniform, and have three decimals, so that the file is small."""
    embd, bias = config["n_embd"], config["bias"]
    weights = {}

    def normal(name, shape, mean, deviation):
        weights[name] = torch.round(
            mean + deviation * torch.randn(shape, generator=generator, dtype=torch.float64), decimals=3
        )

    def linear(name, rows, columns):
        normal(f"{name}.weight", (rows, columns), 0.0, 0.35)
        if bias:
            normal(f"{name}.bias", (rows,), 0.0, 0.2)

    def layer_norm(name):
        normal(f"{name}.weight", (embd,), 1.0, 0.3)
        if bias:
            normal(f"{name}.bias", (embd,), 0.0, 0.2)

    normal("transformer.wte.weight", (config["vocab_size"], embd), 0.0, 0.5)
    normal("transformer.wpe.weight", (config["block_size"], embd), 0.0, 0.5)
    for layer in range(config["n_layer"]):
        block = f"transformer.h.{layer}"
        layer_norm(f"{block}.ln_1")
        linear(f"{block}.attn.c_attn", 3 * embd, embd)
        linear(f"{block}.attn.c_proj", embd, embd)
        layer_norm(f"{block}.ln_2")
        linear(f"{block}.mlp.c_fc", 4 * embd, embd)
        linear(f"{block}.mlp.c_proj", embd, 4 * embd)
    layer_norm("transformer.ln_f")
    return weights


def forward(config, weights, tokens):
    """Logits [batch, time, vocab], attention [layer, batch, head, query, key], and the L2 norm of each head's
    output in the residual stream [layer, batch, head, query]."""
    heads, embd = config["n_head"], config["n_embd"]
    size = embd // heads
    batch, time = tokens.shape

    def layer_norm(x, name):
        return F.layer_norm(x, (embd,), weights[f"{name}.weight"], weights.get(f"{name}.bias"), 1e-5)

    def linear(x, name):
        return F.linear(x, weights[f"{name}.weight"], weights.get(f"{name}.bias"))

    future = torch.ones(time, time, dtype=torch.bool).triu(1)
    x = weights["transformer.wte.weight"][tokens] + weights["transformer.wpe.weight"][:time]
    attention, norms = [], []
    for layer in range(config["n_layer"]):
        block = f"transformer.h.{layer}"
        fused = linear(layer_norm(x, f"{block}.ln_1"), f"{block}.attn.c_attn")
        q, k, v = (part.view(batch, time, heads, size).transpose(1, 2) for part in fused.split(embd, dim=2))
        scores = (q @ k.transpose(2, 3)) / math.sqrt(size)
        rows = torch.softmax(scores.masked_fill(future, -math.inf), dim=3)
        values = rows @ v
        attention.append(rows)
        # A head's columns of c_proj project its values to the residual stream.
        slices = weights[f"{block}.attn.c_proj.weight"].view(embd, heads, size)
        norms.append(torch.einsum("bhts,ehs->bhte", values, slices).norm(dim=3))
        x = x + linear(values.transpose(1, 2).reshape(batch, time, embd), f"{block}.attn.c_proj")
        hidden = linear(layer_norm(x, f"{block}.ln_2"), f"{block}.mlp.c_fc")
        x = x + linear(F.gelu(hidden, approximate="none"), f"{block}.mlp.c_proj")
    logits = layer_norm(x, "transformer.ln_f") @ weights["transformer.wte.weight"].T
    return logits, torch.stack(attention), torch.stack(norms)


def case(config, start, tokens, targets, dtype):
    """The golden numbers of one model, computed in one floating-point type."""
    weights = {name: tensor.to(dtype).clone().requires_grad_() for name, tensor in start.items()}

    def loss_of(logits):
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten())

    logits, attention, norms = forward(config, weights, tokens)
    loss = loss_of(logits)
    gradients = dict(zip(weights, torch.autograd.grad(loss, list(weights.values()))))

    decayed = [tensor for tensor in weights.values() if tensor.dim() >= 2]
    others = [tensor for tensor in weights.values() if tensor.dim() < 2]
    groups = [{"params": decayed, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=LEARNING_RATE, betas=(0.9, 0.99), eps=1e-8)
    grad_norms, losses = [], []
    for _ in range(STEPS):
        optimizer.zero_grad()
        step_loss = loss_of(forward(config, weights, tokens)[0])
        step_loss.backward()
        grad_norms.append(float(torch.nn.utils.clip_grad_norm_(weights.values(), 1.0)))
        losses.append(step_loss.item())
        optimizer.step()
    return dict(
        config=config,
        tokens=tokens,
        targets=targets,
        weights=start,
        logits=logits.detach(),
        loss=loss.item(),
        attention=attention.detach(),
        output_norms=norms.detach(),
        gradients=gradients,
        adamw=dict(
            learning_rate=LEARNING_RATE,
            steps=STEPS,
            losses=losses,
            grad_norms=grad_norms,
            undetermined=undetermined(config),
            weights={name: tensor.detach() for name, tensor in weights.items()},
        ),
    )


def undetermined(config):
    embd = config["n_embd"]
    layers = range(config["n_layer"]) if config["bias"] else []
    return {f"transformer.h.{layer}.attn.c_attn.bias": [embd, 2 * embd - 1] for layer in layers}


def check_conditioning(exact, rounded, path=""):
    """Fails if float32 and float64 disagree."""
    if isinstance(exact, dict):
        for key in exact:
            check_conditioning(exact[key], rounded[key], f"{path}/{key}")
    elif isinstance(exact, torch.Tensor):
        difference = (exact.double() - rounded.double()).abs()
        name = path.rsplit("/", 1)[-1]
        if "/adamw/" in path and name.endswith("c_attn.bias"):
            third = len(difference) // 3
            difference[third : 2 * third] = 0
        assert difference.max() < 1e-5, f"{path} is ill-conditioned: {difference.max():.1e}"
    elif isinstance(exact, float):
        assert abs(exact - rounded) < 1e-5, f"{path} is ill-conditioned"


def plain(value):
    """A value as JSON: a tensor as its shape and its values, row-major."""
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, torch.Tensor):
        numbers = value.flatten().tolist()
        return {"shape": list(value.shape), "values": [plain(number) for number in numbers]}
    if isinstance(value, float):
        return float(str(np.float32(value)))
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    return value


def lines(value, indent=0):
    """JSON with a line per tensor."""
    if isinstance(value, dict) and "values" not in value and value:
        inner = ",\n".join(f'{" " * (indent + 1)}"{key}": {lines(item, indent + 1)}' for key, item in value.items())
        return f'{{\n{inner}\n{" " * indent}}}'
    return json.dumps(value, separators=(",", ":"))


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--output", type=Path, default=GOLDEN, help="where to write (default: %(default)s)")
    output = arguments.parse_args().output
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(SEED)
    cases = []
    for config in CASES:
        start = draw_weights(config, generator)
        shape = (BATCH, config["block_size"])
        tokens, targets = (torch.randint(config["vocab_size"], shape, generator=generator) for _ in range(2))
        exact = case(config, start, tokens, targets, torch.float64)
        check_conditioning(exact, case(config, start, tokens, targets, torch.float32))
        cases.append(lines(plain(exact), 2))
    text = '{"cases": [\n  ' + ",\n  ".join(cases) + "\n]}\n"
    json.loads(text)
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(text)
    print(f"{output}: {len(cases)} cases, {len(text) / 1000:.0f} kB")


if __name__ == "__main__":
    main()

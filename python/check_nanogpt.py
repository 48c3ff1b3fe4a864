"""Takes a model from nanoGPT's own programs into the pipeline, and one of the pipeline back to them.

    python python/check_nanogpt.py ../nanoGPT [--artifacts artifacts/smoke]

1. nanoGPT's `prepare.py` and `train.py` train a small model on the text of Shakespeare. It is imported, and the loss and the attention
   in the tables are compared with those that nanoGPT's `model.py` computes.
2. A model that the profile smoke trained is exported. nanoGPT's `sample.py` generates from it, and the loss of `model.py` over the
   whole validation split is compared with the table `split_losses`.

Needs a clone of nanoGPT (github.com/karpathy/nanoGPT), of which a copy is used, and python/requirements-models.txt. Takes a minute.
"""

import argparse
import math
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from check_exchange import DATASET, PROGRAMS, ROOT, pipeline, run
from verify.splits import token_losses
from verify.store import Store

STEPS = 100
TRAIN = {
    "device": "cpu", "compile": False, "max_iters": STEPS, "lr_decay_iters": STEPS, "warmup_iters": 10, "eval_interval": STEPS, "eval_iters": 5,
    "always_save_checkpoint": True, "n_layer": 3, "n_head": 2, "n_embd": 64, "block_size": 32, "batch_size": 16, "dropout": 0.0,
}  # fmt: skip
KEYS = {"dataset": DATASET, "run": "run_3", "seed": 1337}
# PyTorch multiplies in float32 in another order.
LOSS, WEIGHT = 1e-5, 2e-6


class Model:
    """A `ckpt.pt` in nanoGPT's `GPT`, loaded as `sample.py` does."""

    def __init__(self, nanogpt, path):
        sys.path.insert(0, str(nanogpt))
        from model import GPT, GPTConfig

        saved = torch.load(path, map_location="cpu")
        self.gpt = GPT(GPTConfig(**saved["model_args"])).eval()
        self.gpt.load_state_dict(saved["model"])

    @torch.no_grad()
    def logits(self, tokens):
        """With targets, `GPT` returns the logits of all positions."""
        tokens = torch.from_numpy(np.ascontiguousarray(tokens, dtype=np.int64))
        return self.gpt(tokens, tokens)[0].double().numpy()

    @torch.no_grad()
    def attention(self, tokens):
        """The attention of each layer [head, query, key], from the queries and keys that it computes."""
        captured = []
        hooks = [block.attn.c_attn.register_forward_hook(lambda *call: captured.append(call[-1][0])) for block in self.gpt.transformer.h]
        self.logits(tokens[None])
        for hook in hooks:
            hook.remove()
        heads = self.gpt.config.n_head
        for joined in captured:
            query, key, _ = (part.unflatten(-1, (heads, -1)).transpose(0, 1) for part in joined.chunk(3, dim=-1))
            scores = query @ key.transpose(1, 2) / math.sqrt(query.shape[-1])
            yield scores.masked_fill(torch.ones_like(scores[0], dtype=torch.bool).triu(1), -torch.inf).softmax(-1).numpy()


def close(what, found, expected, tolerance):
    difference = np.abs(np.asarray(found) - np.asarray(expected)).max()
    if not difference <= tolerance:
        sys.exit(f"FAILED {what}: differs by {difference:.1e}, of which {tolerance} is allowed")
    print(f"{what}: differs by {difference:.1e} of {tolerance} allowed")


def tokens_of(store, split):
    return store.read("corpus", dataset=DATASET, split=split)["token"].to_numpy().astype(np.int64)


def split_loss(store, model, step):
    row = next(row for row in store.read("split_losses", **KEYS).itertuples() if row.split == "val")
    assert row.step == step
    return row.loss_nats, token_losses(model, tokens_of(store, "val"), row.window, row.stride).mean()


def from_nanogpt(work, nanogpt, smoke):
    """A model that nanoGPT trained, imported."""
    vocabulary = smoke.read("vocabulary", dataset=DATASET)["symbol"].to_numpy()
    text = "".join("".join(vocabulary[tokens_of(smoke, split)]) for split in ("train", "val"))
    data = nanogpt / "data/shakespeare_char"
    (data / "input.txt").write_text(text)
    run(sys.executable, data / "prepare.py")
    settings = [f"--{name}={value}" for name, value in TRAIN.items()]
    run(sys.executable, "train.py", "config/train_shakespeare_char.py", *settings, f"--out_dir={work / 'out'}", folder=nanogpt)
    said = pipeline(work / "artifacts", "--set", "seeds=[1337]", "--set", f"import.checkpoints={work / 'out/ckpt.pt'}")
    print(next(line.strip() for line in said.splitlines() if "imported " in line))
    store, model = Store(work / "artifacts"), Model(nanogpt, work / "out/ckpt.pt")
    close("imported: loss over the validation split", *split_loss(store, model, STEPS), LOSS)
    window = store.read("windows", **KEYS).iloc[0].tokens.astype(np.int64)
    rows = store.read("attention", **KEYS, step=STEPS)
    for layer, maps in enumerate(model.attention(window)):
        of_layer = rows[(rows["window"] == 0) & (rows["layer"] == layer)]
        stored = np.zeros_like(maps)
        for row in of_layer.itertuples():
            stored[row.head, row.query, : row.query + 1] = row.weights
        assert len(of_layer) == maps.shape[0] * maps.shape[1]
        close(f"imported: attention of layer {layer}", stored, maps, WEIGHT)


def to_nanogpt(work, nanogpt, smoke):
    """A model that was trained here, exported."""
    step = smoke.read("split_losses", **KEYS)["step"].max()
    keys = [part for key, value in {**KEYS, "step": step}.items() for part in (f"--{key}", str(value))]
    run(PROGRAMS / "export", "checkpoint", "--artifacts", smoke.root, *keys, "--to", work / "exported")
    shutil.copy(work / "exported/meta.pkl", nanogpt / "data/shakespeare_char/meta.pkl")
    options = ["--device=cpu", "--dtype=float32", "--num_samples=1", "--max_new_tokens=80", f"--out_dir={work / 'exported'}"]
    said = run(sys.executable, "sample.py", *options, folder=nanogpt)
    assert "Loading meta from data/shakespeare_char/meta.pkl" in said, said
    sample = said.split("meta.pkl...\n")[1].split("\n---------------")[0]
    print(f"exported: sample.py generates {sample[:40]!r}…")
    close("exported: loss over the validation split", *split_loss(smoke, Model(nanogpt, work / "exported/ckpt.pt"), step), LOSS)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("nanogpt", type=Path, help="a clone of nanoGPT")
    parser.add_argument("--artifacts", type=Path, default=ROOT / "artifacts/smoke", help="folder of a run of the profile smoke (default: %(default)s)")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work, nanogpt, smoke = Path(folder), Path(folder) / "nanoGPT", Store(given.artifacts.resolve())
        shutil.copytree(given.nanogpt, nanogpt)
        from_nanogpt(work, nanogpt, smoke)
        to_nanogpt(work, nanogpt, smoke)
    print("nanoGPT's programs and these agree")


if __name__ == "__main__":
    main()

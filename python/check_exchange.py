"""Checks what comes from other programs and what goes to them: a nanoGPT checkpoint is imported, its loss and its samples' model are
compared with NumPy's, and everything that `export` writes is read by independent readers.

    python python/check_exchange.py FOLDER

The checkpoint is written in the format of `torch.save` by 30 lines of this program, and by PyTorch itself where it is installed. Its
weights are those of a small model that was trained by the profile smoke, so that the loss is below that of guessing.
"""

import argparse
import collections
import csv
import io
import json
import os
import pickle
import shutil
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from verify.gpt import Gpt
from verify.store import Store

try:
    import torch
except ImportError:
    torch = None

ROOT = Path(__file__).resolve().parent.parent
PROGRAMS = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release"
DATASET, RUN, SEED, STEP = "shakespeare_char", "run_2", 1337, 20
KEYS = {"dataset": DATASET, "run": RUN, "seed": SEED}
# float32 against float64.
CLOSE = 2e-5


class Storage:
    """A tensor's storage, as `torch.save` refers to it."""

    def __init__(self, key, count):
        self.key, self.count = key, count


class Global:
    """A function or class of PyTorch, which need not be there."""

    def __init__(self, module, name):
        self.module, self.name = module, name


class Tensor:
    def __init__(self, key, array):
        self.storage, self.array = Storage(key, array.size), array


class TorchPickler(pickle._Pickler):
    """Pickles tensors as PyTorch does: a call of `_rebuild_tensor_v2` with a storage that lies outside."""

    def persistent_id(self, value):
        if isinstance(value, Storage):
            return ("storage", Global("torch", "FloatStorage"), value.key, "cpu", value.count)
        return None

    def save(self, value, save_persistent_id=True):
        if isinstance(value, Global):
            return self.write(b"c" + f"{value.module}\n{value.name}\n".encode())
        if isinstance(value, Tensor):
            self.save(Global("torch._utils", "_rebuild_tensor_v2"))
            strides = tuple(stride // value.array.itemsize for stride in value.array.strides)
            self.save((value.storage, 0, value.array.shape, strides, False, collections.OrderedDict()))
            return self.write(b"R")
        return super().save(value, save_persistent_id)


def imitated_save(checkpoint, path):
    """`torch.save` without PyTorch. Arrays are tensors; equal arrays share a storage."""
    arrays = {}

    def tensors(value):
        if isinstance(value, dict):
            return type(value)((key, tensors(item)) for key, item in value.items())
        if isinstance(value, np.ndarray):
            key, _ = arrays.setdefault(id(value), (str(len(arrays)), value))
            return Tensor(key, value)
        return value

    data = io.BytesIO()
    TorchPickler(data, protocol=2).dump(tensors(checkpoint))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("ckpt/data.pkl", data.getvalue())
        archive.writestr("ckpt/byteorder", "little")
        archive.writestr("ckpt/version", "3\n")
        for key, array in arrays.values():
            archive.writestr(f"ckpt/data/{key}", array.tobytes())


def saved_by_torch(checkpoint, path):
    def tensors(value):
        if isinstance(value, dict):
            return type(value)((key, tensors(item)) for key, item in value.items())
        return torch.from_numpy(value) if isinstance(value, np.ndarray) else value

    torch.save(tensors(checkpoint), path)


def nanogpt_checkpoint(tensors, config, vocabulary):
    """What nanoGPT saves after 20 steps of a model that torch.compile wrapped, its embedding padded to 128 rows."""
    wte = np.zeros((128, config["n_embd"]), np.float32)
    wte[:vocabulary] = tensors["transformer.wte.weight"]
    state = collections.OrderedDict((f"_orig_mod.{name}", array) for name, array in tensors.items())
    state["_orig_mod.transformer.wte.weight"] = state["_orig_mod.lm_head.weight"] = wte
    names = ["n_layer", "n_head", "n_embd", "block_size", "bias", "dropout"]
    group = {"params": [0, 1], "lr": 1e-4, "betas": (0.9, 0.99), "foreach": None}
    return {
        "model": state,
        "optimizer": {"state": {0: {"exp_avg": wte + 1}}, "param_groups": [group]},
        "model_args": {name: config[name] for name in names} | {"vocab_size": 128},
        "iter_num": STEP,
        "best_val_loss": np.array(3.25, np.float32).reshape(()),
        "config": {"compile": True, "gradient_accumulation_steps": 1, "device": "cpu"},
    }


class Predictor(Gpt):
    """The model with its loss."""

    def loss(self, text, windows):
        """Mean cross-entropy on evenly spaced windows."""
        available = len(text) - self.block
        count = min(windows, available)
        starts = [number * available // count for number in range(count)]
        batch = np.stack([text[start : start + self.block + 1] for start in starts]).astype(int)
        logits = self.logits(batch[:, :-1])
        top = logits.max(axis=-1, keepdims=True)
        log_sum = np.log(np.exp(logits - top).sum(axis=-1)) + top[..., 0]
        return float((log_sum - np.take_along_axis(logits, batch[:, 1:, None], axis=-1)[..., 0]).mean())


def close(what, found, expected):
    assert abs(found - expected) <= CLOSE * max(1, abs(expected)), f"{what}: {found} is not {expected}"


def run(*command, folder=ROOT):
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def pipeline(artifacts, *more):
    return run(PROGRAMS / "driver", "--profile", "smoke", "--artifacts", artifacts, "--yes", *more)


def imported(work, source, save):
    """Imports a checkpoint of the trained model through the driver, and compares all that follows."""
    trained = Store(source)
    tensors = {name: array.astype(np.float32) for name, array in trained.tensors(**KEYS, step=STEP).items()}
    config = trained.config("checkpoints", **KEYS, step=STEP)
    symbols = list(trained.read("vocabulary", dataset=DATASET)["symbol"])
    # An alphabet in another order, with a symbol that the text has not: the model's rows follow it.
    order = np.random.default_rng(0).permutation(len(symbols))
    alphabet = [symbols[token] for token in order] + ["€"]
    tensors["transformer.wte.weight"] = np.vstack([tensors["transformer.wte.weight"][order], np.ones((1, config["n_embd"]), np.float32)])
    work.mkdir(parents=True)
    save(nanogpt_checkpoint(tensors, config, len(alphabet)), work / "ckpt.pt")
    meta = {"vocab_size": len(alphabet), "itos": dict(enumerate(alphabet)), "stoi": {s: t for t, s in enumerate(alphabet)}}
    (work / "meta.pkl").write_bytes(pickle.dumps(meta))
    text = "".join(symbols[token] for split in ("train", "val") for token in trained.read("corpus", dataset=DATASET, split=split)["token"])
    (work / "input.txt").write_bytes(text.encode())
    yaml = (ROOT / "pipeline.yaml").read_text()
    entry = f"datasets:\n  mine: {{ source: {work / 'input.txt'}, vocabulary: {work / 'meta.pkl'} }}\n"
    (work / "pipeline.yaml").write_text(yaml.replace("datasets:\n", entry, 1))
    command = ["--file", work / "pipeline.yaml", "--set", "datasets=[mine]", "--set", "seeds=[7]", "--set", f"import.checkpoints={work / 'ckpt.pt'}"]
    said = pipeline(work / "artifacts", *command)
    assert "imported " in said and "the file says 3.2500 at its best" in said, said
    # The file says a loss that this model of 20 steps never had.
    assert "its validation loss was 3.25 where it was trained" in said and "more than padding" not in said, said
    again = pipeline(work / "artifacts", *command)
    assert "imported " not in again, "a second run imports again"

    store, keys = Store(work / "artifacts"), {"dataset": "mine", "run": "run_3", "seed": 7}
    stored = store.tensors(**keys, step=STEP)
    for name, array in tensors.items():
        assert np.array_equal(stored[name].astype(np.float32), array), name
    evaluation = store.read("evaluations", **keys).iloc[-1]
    model = Predictor({name: array.astype(float) for name, array in tensors.items()}, config)
    for split in ("train", "val"):
        tokens = store.read("corpus", dataset="mine", split=split)["token"].to_numpy()
        assert "".join(alphabet[token] for token in tokens[:500]) == (text if split == "train" else text[-len(tokens) :])[:500]
        close(f"the {split} loss", evaluation[f"{split}_loss"], model.loss(tokens, 240))
    assert evaluation["learning_rate"] == 1e-4
    for table in ("head_metrics", "layer_metrics", "samples", "sample_scores", "results"):
        assert len(pq.read_table(next((work / "artifacts" / table).rglob(f"{table}.parquet")))), table
    assert (work / "artifacts/report/index.html").stat().st_size > 10_000
    return tensors, config, alphabet


def read_safetensors(path):
    content = path.read_bytes()
    length = struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8 : 8 + length])
    header.pop("__metadata__")
    values = {}
    for name, info in header.items():
        start, end = info["data_offsets"]
        assert info["dtype"] == "F32"
        values[name] = np.frombuffer(content[8 + length + start : 8 + length + end], "<f4").reshape(info["shape"])
    return values


class Reader(pickle.Unpickler):
    """Reads a `ckpt.pt` without PyTorch."""

    def __init__(self, path):
        self.archive = zipfile.ZipFile(path)
        self.folder = next(name for name in self.archive.namelist() if name.endswith("data.pkl"))[: -len("data.pkl")]
        super().__init__(io.BytesIO(self.archive.read(f"{self.folder}data.pkl")))

    def persistent_load(self, reference):
        return np.frombuffer(self.archive.read(f"{self.folder}data/{reference[2]}"), "<f4")

    def find_class(self, module, name):
        if name == "_rebuild_tensor_v2":
            return lambda storage, offset, size, stride, *_: storage[offset : offset + int(np.prod(size))].reshape(size)
        return collections.OrderedDict if name == "OrderedDict" else name


def exported(work, tensors, config, alphabet):
    """Reads everything that is exported."""
    program, artifacts = PROGRAMS / "export", work / "artifacts"
    place = ["--artifacts", artifacts, "--dataset", "mine", "--run", "run_3", "--seed", "7", "--step", str(STEP)]
    run(program, "checkpoint", *place, "--to", work / "out")
    out = work / "out"
    state, pickled = read_safetensors(out / "model.safetensors"), Reader(out / "ckpt.pt").load()
    assert state.keys() == tensors.keys()
    for name, array in tensors.items():
        assert np.array_equal(state[name], array) and np.array_equal(pickled["model"][name], array), name
    assert pickled["model"]["lm_head.weight"] is not None and pickled["iter_num"] == STEP
    # Where nanoGPT's sample.py looks for the alphabet: data/mine/meta.pkl.
    assert pickled["config"]["dataset"] == "mine"
    said = json.loads((out / "config.json").read_text())
    for key in ("n_layer", "n_head", "n_embd", "block_size", "bias"):
        assert said[key] == config[key] == pickled["model_args"][key], key
    assert json.loads((out / "vocabulary.json").read_text()) == alphabet
    assert pickle.loads((out / "meta.pkl").read_bytes())["stoi"] == {symbol: token for token, symbol in enumerate(alphabet)}
    if torch is not None:
        loaded = torch.load(out / "ckpt.pt", weights_only=True)
        assert all(np.array_equal(loaded["model"][name].numpy(), array) for name, array in tensors.items())
        torch_forward(loaded, Predictor({name: array.astype(float) for name, array in tensors.items()}, config))

    run(program, "csv", "head_metrics", "--artifacts", artifacts, "--to", out / "head_metrics.csv")
    rows = list(csv.DictReader((out / "head_metrics.csv").open(newline="")))
    frame = Store(artifacts).read("head_metrics", dataset="mine", run="run_3", seed=7)
    ours = [float(row["entropy_nats"]) for row in rows if row["run"] == "run_3"]
    assert ours == list(frame["entropy_nats"])

    run(program, "final-info", "--artifacts", artifacts, "--to", out)
    info = json.loads((out / "run_3/final_info.json").read_text())["mine"]
    results = Store(artifacts).read("results").set_index("run").loc["run_3"]
    assert info["means"]["best_val_loss_mean"] == results["best_val_loss_mean"] == info["final_info_dict"]["best_val_loss"][0]
    assert info["means"]["avg_inference_tokens_per_second_mean"] == results["inference_tokens_per_sec_mean"]
    assert info["stderrs"]["final_train_loss_stderr"] is None

    run(program, "tensorboard", "--artifacts", artifacts, "--to", out / "tensorboard")
    events = read_events(out / "tensorboard/mine/run_3/7/events.out.tfevents.0.export")
    entropy = frame[(frame["layer"] == 1) & (frame["head"] == 0)]["entropy_nats"]
    found = events["head_metrics/entropy_nats/layer_1/head_0"]
    assert found == [(STEP, float(np.float32(value))) for value in entropy], found
    run(program, "croissant", "--artifacts", artifacts, "--to", out / "croissant.json")
    assert {"head_metrics", "checkpoints"} <= {entry["name"] for entry in json.loads((out / "croissant.json").read_text())["recordSet"]}


def torch_forward(checkpoint, model):
    """The logits of nanoGPT's architecture in PyTorch, from the exported state."""
    from torch.nn import functional as F

    state, heads = checkpoint["model"], model.heads
    tokens = torch.arange(model.block).unsqueeze(0) % 60

    def linear(name, x):
        return F.linear(x, state[f"{name}.weight"], state.get(f"{name}.bias"))

    def norm(name, x):
        return F.layer_norm(x, x.shape[-1:], state[f"{name}.weight"], state.get(f"{name}.bias"))

    x = state["transformer.wte.weight"][tokens] + state["transformer.wpe.weight"]
    for layer in range(model.layers):
        block = f"transformer.h.{layer}"
        parts = linear(f"{block}.attn.c_attn", norm(f"{block}.ln_1", x)).split(x.shape[-1], dim=-1)
        q, k, v = (part.unflatten(-1, (heads, -1)).transpose(1, 2) for part in parts)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2)
        x = x + linear(f"{block}.attn.c_proj", mixed)
        x = x + linear(f"{block}.mlp.c_proj", F.gelu(linear(f"{block}.mlp.c_fc", norm(f"{block}.ln_2", x))))
    logits = F.linear(norm("transformer.ln_f", x), state["lm_head.weight"]).numpy()
    difference = np.abs(logits - model.logits(tokens.numpy())).max()
    assert difference < 1e-4, f"PyTorch's logits differ by {difference}"


def foreign(work, source):
    """Attention that pyarrow wrote with its defaults gives the same metrics; what is not read is not called damaged."""
    folder, place = work / "foreign", Path(f"dataset={DATASET}/run={RUN}/seed={SEED}")
    for table in ("windows", "head_outputs", "attention"):
        shutil.copytree(source / table / place, folder / table / place)
    files = sorted((folder / "attention").rglob("attention.parquet"))
    steps = sorted(int(file.parent.name.split("=")[1]) for file in files)
    command = [PROGRAMS / "metrics", "--artifacts", folder]
    command += ["--dataset", DATASET, "--run", RUN, "--seed", str(SEED), "--steps", ",".join(map(str, steps)), "--layer-similarity", "true"]

    def rewrite(file, **options):
        table = pq.ParquetFile(source / file.relative_to(folder)).read()
        step = int(file.parent.name.split("=")[1])
        said = {"schema.name": "attention", "schema.version": "1"}
        said["partition"] = json.dumps({**KEYS, "step": step})
        pq.write_table(table.replace_schema_metadata(said), file, **options)

    for codec in ("snappy", "gzip"):
        for file in files:
            first = pq.ParquetFile(file).metadata.row_group(0).num_rows
            rewrite(file, compression=codec, row_group_size=first)
        run(*command)
        stored, expected = (Store(root).read("head_metrics", dataset=DATASET, run=RUN, seed=SEED) for root in (folder, source))
        assert stored.equals(expected), codec

    def refused(said, **options):
        rewrite(files[0], **options)
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 3 and said in done.stderr and "damaged" not in done.stderr, done.stderr

    refused("is sound, but row group 0 holds", compression="snappy")
    refused("is sound, but it is compressed by brotli", compression="brotli")
    content = files[0].read_bytes()
    files[0].write_bytes(content[: len(content) // 2])
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 3 and "is damaged (" in done.stderr and "delete" not in done.stderr, done.stderr
    print("attention that pyarrow wrote is read; what is not read and what is damaged are told apart")


def crc32c(content):
    crc = 0xFFFFFFFF
    for byte in content:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def masked(content):
    crc = crc32c(content)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def varint(content, at):
    value = shift = 0
    while True:
        value |= (content[at] & 0x7F) << shift
        shift, at = shift + 7, at + 1
        if content[at - 1] < 0x80:
            return value, at


def fields(content):
    """The fields of a protocol buffer: number and value."""
    at = 0
    while at < len(content):
        key, at = varint(content, at)
        if key & 7 == 0:
            value, at = varint(content, at)
        elif key & 7 == 2:
            length, at = varint(content, at)
            value, at = content[at : at + length], at + length
        else:
            form = {1: "<d", 5: "<f"}[key & 7]
            value = struct.unpack_from(form, content, at)[0]
            at += struct.calcsize(form)
        yield key >> 3, value


def read_events(path):
    """The scalars of an event file by tag, after every checksum was compared."""
    content, at, series = path.read_bytes(), 0, {}
    while at < len(content):
        (length,) = struct.unpack_from("<Q", content, at)
        assert struct.unpack_from("<I", content, at + 8)[0] == masked(content[at : at + 8])
        event = content[at + 12 : at + 12 + length]
        assert struct.unpack_from("<I", content, at + 12 + length)[0] == masked(event)
        at += 16 + length
        said = dict(fields(event))
        for _, value in fields(said.get(5, b"")):
            scalar = dict(fields(value))
            series.setdefault(scalar[1].decode(), []).append((said.get(2, 0), scalar[2]))
    return series


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder of a run of the profile smoke, whose model is exchanged")
    given = parser.parse_args()
    work = Path(str(given.folder.resolve()) + "_exchange")
    shutil.rmtree(work, ignore_errors=True)
    ways = {"imitation of torch.save": imitated_save}
    if torch is not None:
        ways["torch.save"] = saved_by_torch
    for number, (name, save) in enumerate(ways.items()):
        folder = work / str(number)
        exported(folder, *imported(folder, given.folder.resolve(), save))
        print(f"imported by {name}, and exported: weights, losses, final_info.json, TensorBoard, CSV agree")
    foreign(work, given.folder.resolve())
    if torch is None:
        print("PyTorch is not installed: its own torch.save and torch.load were not tried")
    shutil.rmtree(work)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent))
    main()

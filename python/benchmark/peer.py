"""One measurement of the PyTorch baseline, in its own process so that its memory can be measured; prints seconds as JSON.

python -m benchmark.peer train    --shape 6,6,384,256 --batch 16 --mode bf16 --steps 5
python -m benchmark.peer generate --shape 6,6,384,256 --samples 1 --lengths 256,320
python -m benchmark.peer learn    --shape 6,6,384,256 --batch 64 --corpus corpus.parquet --steps 500
"""

import argparse
import json
import math
import time

import numpy as np
import torch

from benchmark.nanogpt import GPT, GPTConfig, Trainer


def train(arguments):
    """Seconds of every training step, on random text."""
    config = shape(arguments)
    trainer = Trainer(config, arguments.mode)
    seconds = []
    for _ in range(arguments.steps):
        texts = torch.randint(config.vocab_size, (arguments.batch, config.block_size + 1))
        started = time.perf_counter()
        trainer.step(texts[:, :-1], texts[:, 1:])
        seconds.append(time.perf_counter() - started)
    return seconds


def generate(arguments):
    """Seconds to generate samples of each length."""
    model = GPT(shape(arguments)).eval()
    seconds = []
    for length in map(int, arguments.lengths.split(",")):
        prompt = torch.zeros((arguments.samples, 1), dtype=torch.int64)
        started = time.perf_counter()
        model.generate(prompt, length)
        seconds.append(time.perf_counter() - started)
    return seconds


def learn(arguments):
    """Validation loss on the dataset, every `every` steps."""
    import pyarrow.parquet as pq

    config = shape(arguments)
    train, val = (
        torch.from_numpy(pq.read_table(path)["token"].to_numpy().astype(np.int64))
        for path in arguments.corpus.split(",")
    )

    def draw(text):
        starts = torch.randint(len(text) - config.block_size, (arguments.batch,)).tolist()
        texts = torch.stack([text[start : start + config.block_size + 1] for start in starts])
        return texts[:, :-1], texts[:, 1:]

    def evaluate():
        trainer.model.eval()
        with torch.no_grad():
            losses = [trainer.loss_of(*draw(val)).item() for _ in range(arguments.eval_iters)]
        trainer.model.train()
        return sum(losses) / len(losses)

    trainer = Trainer(config, arguments.mode)
    curve = {}
    for step in range(arguments.steps + 1):
        if step % arguments.every == 0:
            curve[step] = evaluate()
        if step < arguments.steps:
            rate = schedule(step, arguments.end)
            for group in trainer.optimizer.param_groups:
                group["lr"] = rate
            trainer.step(*draw(train))
    return curve


def schedule(step, end, peak=1e-3, floor=1e-4, warmup=100):
    """Linear warm-up, then a cosine: nanoGPT's on shakespeare_char."""
    if step < warmup:
        return peak * (step + 1) / (warmup + 1)
    return floor + 0.5 * (1 + math.cos(math.pi * (step - warmup) / (end - warmup))) * (peak - floor)


def shape(arguments):
    layers, heads, embd, block = map(int, arguments.shape.split(","))
    return GPTConfig(layers, heads, embd, block, arguments.dropout)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", choices=["train", "generate", "learn"])
    parser.add_argument("--shape", required=True, help="n_layer,n_head,n_embd,block_size")
    parser.add_argument("--dropout", type=float, default=0.0)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--mode", choices=["float32", "bf16", "compile"], default="float32")
    parser.add_argument("--steps", type=int, default=1)
    parser.add_argument("--samples", type=int, default=1)
    parser.add_argument("--lengths", default="1")
    parser.add_argument("--corpus", help="two files: the train and the val split")
    parser.add_argument("--every", type=int, default=100)
    parser.add_argument("--eval-iters", type=int, default=20)
    parser.add_argument("--end", type=int, default=5000, help="lr_decay_iters")
    parser.add_argument("--seed", type=int, default=1337)
    arguments = parser.parse_args()
    torch.manual_seed(arguments.seed)
    print(json.dumps({"train": train, "generate": generate, "learn": learn}[arguments.work](arguments)))


if __name__ == "__main__":
    main()

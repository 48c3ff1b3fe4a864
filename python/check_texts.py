"""Runs the whole pipeline on texts of the kinds that people bring, and checks what it says and writes.

Each text is generated here: Chinese, DNA, lines that end in CR LF, a byte order mark, one symbol, 40 characters, many documents,
bytes that are no valid UTF-8, with a prompt of several bytes per character, and tokens of a byte-level tokenizer. For each, the driver must end well and say what will
matter, the tables must keep the contract (`check_tables.py`), and their numbers must be those of the independent recomputation
(`verify_tables.py`). Exit code 1 on a failure.

    python python/check_texts.py target/release
"""

import argparse
import json
import random
import re
import shutil
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

import pandas as pd

TINY = ["seeds=[7]", "runs=[run_3]", "train.max_iters=4", "train.warmup_iters=1", "snapshot.steps=0,4"]
PROSE = "The quick brown fox jumps over the lazy dog, and nobody knows why.\n"
CHINESE = "天地玄黄宇宙洪荒日月盈昃辰宿列张寒来暑往秋收冬藏闰余成岁律吕调阳云腾致雨露结为霜金生丽水玉出昆冈"


def chinese():
    drawn = random.Random(1)
    return "".join(drawn.choice(CHINESE) + ("。\n" if drawn.random() < 0.1 else "") for _ in range(3000))


def dna():
    return "".join(random.Random(2).choices("ACGT", k=4000))


def polish():
    """Latin letters of two bytes, with bytes between them that are no valid UTF-8."""
    return ("Zażółć gęślą jaźń. ".encode() + b"\xff\xfe\xc5 ") * 150


# name: (content, more arguments, what must be said, what must not)
TEXTS = {
    "chinese": (chinese(), [], ["different, as where a text is short or its words are not written apart"], []),
    "dna": (dna(), [], ["not written apart", "of 4 symbols", "blocks have 4 characters where others"], []),
    "crlf": (PROSE.replace("\n", "\r\n") * 60, [], ["60 lines end in CR LF", "tr -d '\\r'"], ["byte order"]),
    "mark": ("\ufeff" + PROSE * 60, [], ["the file starts with a byte order mark"], ["CR LF"]),
    "one_symbol": ("a" * 2000, [], ["the text has one symbol"], []),
    "documents": ((PROSE + "<|endoftext|>") * 40, [], ["40 times <|endoftext|>"], ["CR LF"]),
    "unseen": (PROSE * 40 + "ж" * 150, [], ["1 symbols of the val split do not occur in the train split"], []),
    "short": (
        (PROSE * 2)[:40],
        ["--set", "train.block_size=2", "--set", "train.eval_interval=9", "--set", "train.min_lr=1"],
        [
            "the validation split has 4: samples are compared with real text of 4 characters",
            "`train.min_lr` is 1, above learning_rate",
            "`train.eval_interval` is 9, and the training ends at max_iters 4",
        ],
        [],
    ),
    "bytes": (
        polish(),
        ["--text-encoding", "bytes", "--set", "generate.prompt=Zażółć gęślą jaźń"],
        ["bytes of", "`generate.prompt` is longer than block_size, which is 16: the model sees its last 16 tokens at most"],
        ["not in the dataset's vocabulary", "nats per character"],
    ),
}


# The tokens' text, and its words as a tokenizer takes them: with the space before them.
WORDS = re.compile(r" ?[^\s]+|\s")
NEWS = "".join(random.Random(3).choices([" the", " fox", " naïve", " jumps", " over", ".\n"], k=3000))


def byte_level(symbol):
    """A symbol as GPT-2's vocab.json has it: bytes as visible characters, a space as Ġ."""
    visible = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in visible]
    characters = {byte: chr(byte) for byte in visible} | {byte: chr(256 + place) for place, byte in enumerate(others)}
    return "".join(characters[byte] for byte in symbol)


class Checker:
    def __init__(self, programs):
        self.programs = programs
        self.failures = []

    def expect(self, name, true, what):
        if not true:
            self.failures.append(f"{name}: {what}")

    def run(self, name, *command):
        done = subprocess.run(list(map(str, command)), stdin=subprocess.DEVNULL, capture_output=True, text=True)
        return done.returncode, done.stdout + done.stderr

    def drive(self, name, artifacts, *more):
        settings = [word for setting in TINY for word in ("--set", setting)]
        return self.run(name, self.programs / "driver", "--profile", "smoke", "--artifacts", artifacts, *settings, *more)

    def text(self, folder, name, content, more, said, unsaid):
        file = folder / f"{name}.txt"
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        return self.dataset(folder / name, name, ["--text", file, *more], said, unsaid)

    def dataset(self, artifacts, name, more, said, unsaid):
        code, dry = self.drive(name, artifacts, *more, "--dry-run")
        self.expect(name, code == 0, f"the dry run ends with {code}: {dry}")
        code, output = self.drive(name, artifacts, *more)
        self.expect(name, code == 0, f"the pipeline ends with {code}: {output[-3000:]}")
        for part in said:
            self.expect(name, part in output, f"it does not say `{part}`: {output}")
        for part in unsaid:
            self.expect(name, part not in output, f"it says `{part}`")
        warnings = [line for line in output.splitlines() if line.startswith("warning: ")]
        self.expect(name, len(set(warnings)) == len(warnings), f"it warns twice: {warnings}")
        early = [line for line in warnings if "`train." in line]
        self.expect(name, all(line in dry for line in early), f"the dry run does not say {early}: {dry}")
        for check in "check_tables.py", "verify_tables.py":
            code, output = self.run(name, sys.executable, Path(__file__).with_name(check), artifacts)
            self.expect(name, code == 0, f"{check}: {output[-3000:]}")
        return artifacts

    def tokens(self, folder):
        """A text as nanoGPT's train.bin has it, with the vocab.json of its tokenizer."""
        words = WORDS.findall(NEWS)
        symbols = [bytes([byte]) for byte in range(256)] + sorted({word.encode() for word in words if len(word) > 1})
        numbers = [symbols.index(word.encode()) for word in words]
        (folder / "train.bin").write_bytes(struct.pack(f"<{len(numbers)}H", *numbers))
        (folder / "vocab.json").write_text(json.dumps({byte_level(symbol): token for token, symbol in enumerate(symbols)}))
        yaml = (Path(__file__).resolve().parent.parent / "pipeline.yaml").read_text()
        entry = "datasets:\n  news: { source: train.bin, encoding: tokens, vocabulary: vocab.json }\n"
        (folder / "pipeline.yaml").write_text(yaml.replace("datasets:\n", entry, 1))
        more = ["--file", folder / "pipeline.yaml", "--set", "datasets=[news]", "--set", 'generate.prompt=" the fox"']
        said = [f"{len(numbers)} tokens of {len(symbols)} symbols", "bits per token"]
        artifacts = self.dataset(folder / "tokens", "tokens", more, said, ["nats per character"])
        if self.failures:
            return
        table = lambda name: pd.read_parquet(next((artifacts / name).rglob(f"{name}.parquet")))  # noqa: E731
        vocabulary, window, losses = table("vocabulary"), table("windows").iloc[0], table("split_losses").iloc[0]
        self.expect("tokens", list(vocabulary["bytes"]) == symbols, "the vocabulary is not the tokenizer's")
        self.expect("tokens", window["text"] == "".join(vocabulary["symbol"][list(window["tokens"])]), "a window is not its text")
        self.expect("tokens", losses["bytes"] > 2 * losses["tokens"], "a token is no longer than a byte")
        sample = table("samples").iloc[0]
        self.expect("tokens", sample["prompt"] == " the fox", f"the prompt is {sample['prompt']!r}")
        self.expect("tokens", len(sample["prompt_tokens"]) == 2, "the prompt is not of the longest tokens")

    def bytes(self, artifacts):
        """Prompts are UTF-8 bytes; what is valid is text; and the unit is the byte."""
        table = lambda name: pd.read_parquet(next((artifacts / name).rglob(f"{name}.parquet")))  # noqa: E731
        symbols, sample, window = table("vocabulary"), table("samples").iloc[0], table("windows").iloc[0]
        raw = lambda tokens: b"".join(symbols["bytes"][token] for token in tokens)  # noqa: E731
        self.expect("bytes", sample["prompt"] == "Zażółć gęślą jaźń", f"the prompt is {sample['prompt']}")
        self.expect("bytes", raw(sample["prompt_tokens"]) == sample["prompt"].encode(), "the prompt is not its UTF-8")
        whole = table("corpus")
        self.expect("bytes", symbols["symbol"].str.fullmatch(r"\\x[0-9a-f]{2}|[\x00-\x7f]").all(), "symbols are not bytes")
        self.expect("bytes", len(symbols) < 60 and len(whole) > 0, "the vocabulary is not that of bytes")
        self.expect("bytes", window["text"] == raw(window["tokens"]).decode("utf-8", "replace"), "a window is not its text")
        losses = table("split_losses")
        self.expect("bytes", (losses["bytes"] == losses["tokens"]).all(), "a token is not a byte")
        page = (artifacts / "report/index.html").read_text()
        self.expect("bytes", "nats per byte" in page and "nats per character" not in page, "the page is not per byte")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("programs", type=Path, help="folder of the built programs")
    parser.add_argument("--only", nargs="+", choices=[*TEXTS, "tokens"], default=[*TEXTS, "tokens"], help="only these texts")
    given = parser.parse_args()
    checker, folder = Checker(given.programs), Path(tempfile.mkdtemp())
    for name in given.only:
        artifacts = checker.tokens(folder) if name == "tokens" else checker.text(folder, name, *TEXTS[name])
        if name == "bytes" and not checker.failures:
            checker.bytes(artifacts)
        print(f"{name}: {sum(failure.startswith(f'{name}:') for failure in checker.failures)} failures", flush=True)
    if "short" in given.only:
        code, output = checker.drive("short", folder / "refused", "--text", folder / "short.txt")
        checker.expect("short", code == 2 and "use a smaller block_size or a longer text" in output, output)
    print("\n".join(checker.failures) or f"{len(given.only)} texts: the pipeline says what will matter, and its numbers hold")
    shutil.rmtree(folder)
    sys.exit(1 if checker.failures else 0)


if __name__ == "__main__":
    main()

"""Asks every question of docs/querying.md in SQL by the program `query` and by DuckDB, in Python and in Rust, and compares the
rows; runs its recipes, and compares what they make with the tables.

    python python/check_querying.py artifacts/statistics_test
    python python/check_querying.py artifacts/laptop --write       # writes the page's answers and Rust anew

The page asks about the last step and the first seed of artifacts/laptop; here these are replaced by those of the folder. Recipes
that need PyTorch are skipped, and this is said, where it is not installed.
"""

import argparse
import importlib
import json
import math
import os
import re
import subprocess
import sys
import textwrap
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from attention_tables import tables
from verify.gpt import Gpt

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/querying.md"
RUST = ROOT / "crates/query/examples/questions.rs"
PROGRAMS = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release"
BLOCK = re.compile(r"^```(\w+)(?: (\w+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
QUESTIONS = 10


class Page:
    """A page of sections, whose blocks of code are found by their language."""

    def __init__(self, text, replaced):
        self.text, self.replaced = text, replaced

    def sections(self):
        """Yields each section's title, where it starts, and its text."""
        starts = [match.start() for match in re.finditer(r"^#+ ", re.sub(BLOCK, lambda m: " " * len(m[0]), self.text), re.MULTILINE)]
        for start, end in zip(starts, [*starts[1:], len(self.text)]):
            yield self.text[start:end].splitlines()[0].lstrip("# "), self.text[start:end]

    def code(self, text):
        """The text about the folder that is asked."""
        for old, new in self.replaced.items():
            text = re.sub(rf"\b{re.escape(old)}\b", new, text)
        return text


def program(*arguments):
    run = subprocess.run([str(argument) for argument in arguments], capture_output=True, text=True)
    if run.returncode:
        sys.exit(f"error: {' '.join(map(str, arguments))}: {run.stderr}")
    return run.stdout


def rows_of_json(text):
    return [json.loads(line) for line in text.splitlines()]


def same(one, other):
    """Whether two values are the same, up to the order in which numbers were added."""
    if isinstance(one, float) or isinstance(other, float):
        return one is not None and other is not None and math.isclose(one, other, rel_tol=1e-6, abs_tol=1e-12)
    return one == other


def compare(title, ways):
    """Whether all ways give the same columns and rows, of which there are some; and a line that says so."""
    first, expected = next(iter(ways.items()))
    for way, rows in ways.items():
        if not rows:
            return False, f"{title}: no rows by {way}"
        if len(rows) != len(expected) or list(rows[0]) != list(expected[0]):
            return False, f"{title}: {len(expected)} rows of {list(expected[0])} by {first}, {len(rows)} of {list(rows[0])} by {way}"
        for row, wanted in zip(rows, expected):
            if not all(same(row[name], wanted[name]) for name in row):
                return False, f"{title}: {wanted} by {first}, {row} by {way}"
    return True, f"{title}: {len(expected)} rows by {', '.join(ways)}"


def rust_of(question):
    """The body of a function of the example, without its last line."""
    found = re.search(rf"^fn {question}\(.*?\{{\n(.*?)\n    Ok\(answer\)\n\}}$", RUST.read_text(), re.MULTILINE | re.DOTALL)
    return found and textwrap.dedent(found[1])


class Checker:
    def __init__(self, page, folder, about):
        self.page, self.folder, self.about = page, folder, about
        self.duckdb = tables(folder).duckdb()
        self.names = {}
        self.failed = self.questions = 0

    def sql(self, sql):
        relation = self.duckdb.sql(sql)
        ways = {"query": rows_of_json(program(PROGRAMS / "query", "--artifacts", self.folder, "--format", "ndjson", sql))}
        ways["DuckDB"] = [dict(zip(relation.columns, row)) for row in relation.fetchall()]
        return ways

    def section(self, title, text):
        question = title.lower().replace(" ", "_").replace("-", "_")
        ways = {}
        for language, needs, code in BLOCK.findall(text):
            code = self.page.code(code)
            if language == "sql":
                self.compared(title, ways)
                ways = self.sql(code)
            elif language == "python":
                self.python(title, code, needs)
                if ways:
                    ways["polars in Python"] = self.names["answer"].collect().to_dicts()
            elif language == "rust" and ways:
                if rust_of(question) != code.rstrip("\n"):
                    self.record(False, f"{title}: the Rust is not that of {RUST.relative_to(ROOT)}: run with --write")
                ways["polars in Rust"] = rows_of_json(program(PROGRAMS / "examples/questions", question, self.folder, *self.about))
                self.questions += 1
        self.compared(title, ways)

    def compared(self, title, ways):
        if ways:
            self.record(*compare(title, ways))

    def python(self, title, code, needs):
        if needs and not find_spec(needs):
            print(f"skipped: {title}: there is no {needs} here")
            return
        exec(compile(code, f"{PAGE.name}, {title}", "exec"), self.names)
        if check := RECIPES.get(title):
            difference, tolerance = check(self.names)
            self.record(difference <= tolerance, f"{title}: differs by {difference:.1e}, of which {tolerance} is allowed")

    def record(self, passed, message):
        self.failed += not passed
        print(message if passed else f"FAILED {message}")


def stored(names, layer):
    """The attention of all heads of a layer in window 0, [head, query, key]."""
    of = dict(run=names["run"], seed=names["seed"], step=names["step"], window=0, layer=layer)
    rows = names["study"].attention.filter(**of).sort("head", "query").collect()
    size = rows["query"].max() + 1
    maps = np.zeros((rows["head"].max() + 1, size, size))
    for head, query, weights in rows.select("head", "query", "weights").iter_rows():
        maps[head, query, : query + 1] = weights
    return maps


def window(names):
    return names["study"].windows.filter(run=names["run"], seed=names["seed"], window=0).collect()["tokens"].to_list()


def of_matrix(names):
    return np.abs(names["pattern"] - stored(names, 1)[0]).max() + np.abs(names["pattern"].sum(1) - 1).max(), 1e-5


def of_arrays(names):
    """The model of the arrays in NumPy, in float64, has the stored attention in every layer."""
    state = {name: values.astype(np.float64) for name, values in names["state"].items()}
    maps = Gpt(state, names["config"]).attention(window(names))
    return max(np.abs(weights[0] - stored(names, layer)).max() for layer, (weights, _) in enumerate(maps)), 1e-5


def of_torch(names):
    """The model of PyTorch has the stored attention in its last layer, by the queries and keys that it computes."""
    torch, config, captured = names["torch"], names["config"], []
    block = names["model"].transformer.h[-1].attn.c_attn
    hook = block.register_forward_hook(lambda _, __, output: captured.append(output))
    with torch.no_grad():
        names["model"](torch.tensor(window(names)))
    hook.remove()
    heads, embd = config["n_head"], config["n_embd"]
    query, key, _ = (part.reshape(-1, heads, embd // heads).transpose(0, 1) for part in captured[0][0].split(embd, dim=1))
    scores = query @ key.transpose(1, 2) / math.sqrt(embd // heads)
    future = torch.ones_like(scores[0], dtype=torch.bool).triu(1)
    maps = scores.masked_fill(future, -torch.inf).softmax(-1).numpy()
    return np.abs(maps - stored(names, config["n_layer"] - 1)).max(), 1e-5


def of_transformer_lens(names):
    maps = (names["cache"][f"blocks.{layer}.attn.hook_pattern"][0].numpy() for layer in range(names["config"]["n_layer"]))
    return max(np.abs(weights - stored(names, layer)).max() for layer, weights in enumerate(maps)), 1e-5


RECIPES = {
    "One head's attention as a matrix": of_matrix,
    "A checkpoint as arrays": of_arrays,
    "A checkpoint in PyTorch": of_torch,
    "A checkpoint in TransformerLens": of_transformer_lens,
}


def write(page, folder):
    """Writes the page with the answers of a folder, 10 rows at most, and with the Rust of the example."""
    whole = []
    for title, text in page.sections():
        question, last = title.lower().replace(" ", "_").replace("-", "_"), None

        def filled(match):
            nonlocal last
            language, needs, code = match.groups()
            if language == "sql":
                last = code
            elif language == "text" and last:
                code = program(PROGRAMS / "query", "--artifacts", folder, "--maxrows", 10, last)
            elif language == "rust" and rust_of(question):
                code = rust_of(question) + "\n"
            return f"```{language}{' ' + needs if needs else ''}\n{code}```"

        whole.append(BLOCK.sub(filled, text))
    PAGE.write_text("".join(whole))


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("artifacts", type=Path, help="folder of all tables")
    arguments.add_argument("--write", action="store_true", help="write the page's answers and Rust anew")
    arguments.add_argument("--nanogpt", type=Path, help="folder of nanoGPT's model.py (default: the model of python/benchmark)")
    given = arguments.parse_args()
    heads = tables(given.artifacts).head_metrics.filter(run="run_3").select("seed", "step").collect()
    seed, step = str(heads["seed"].min()), str(heads["step"].max())
    page = Page(PAGE.read_text(), {"artifacts/laptop": str(given.artifacts), "1337": seed, "2000": step})
    if given.write:
        return write(page, given.artifacts)
    if given.nanogpt:
        sys.path.insert(0, str(given.nanogpt))
    elif find_spec("torch"):
        sys.modules["model"] = importlib.import_module("benchmark.nanogpt")
    checker = Checker(page, given.artifacts, ["run_3", seed, step])
    for title, text in page.sections():
        checker.section(title, text)
    if checker.questions != QUESTIONS:
        checker.record(False, f"{checker.questions} questions were asked in all four ways, not {QUESTIONS}")
    print(f"{checker.questions} questions asked, {checker.failed} failures")
    sys.exit(1 if checker.failed else 0)


if __name__ == "__main__":
    main()

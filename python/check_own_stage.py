"""Runs the example of docs/own-stage.md on a copy of a folder of the profile `smoke`: killed once, then to its end; then nothing is
left to do, its numbers are those of a recomputation, and its tables are there for polars and DuckDB.

    python python/check_own_stage.py artifacts/smoke target/release
"""

import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import polars as pl
from attention_tables import tables

CHARACTERS = ".,;:!?"


def main(finished, programs):
    folder, experiment = Path("artifacts/own_stage_test"), Path("artifacts/own_stage_test.yaml")
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(finished, folder)
    experiment.write_text(Path("pipeline.yaml").read_text() + Path("docs/examples/own_stages.yaml").read_text())
    command = [f"{programs}/driver", "--file", str(experiment), "--relative-to", ".", "--profile", "smoke", "--artifacts", str(folder)]
    killed = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not any(folder.glob(".tmp/own/punctuation/**/inputs.tsv")):
        assert killed.poll() is None and time.monotonic() < deadline, "the stage never started"
        time.sleep(0.005)
    killed.kill()
    killed.wait()
    left = [path for name in ("punctuation", "files") for path in folder.glob(f"{name}/**/*.*")]
    assert not left, f"a killed stage left {left}"

    said = run(command)
    assert said.count("▸ punctuation ") == 2 and said.count("▸ punctuation_figure ") == 1, said
    again = run(command)
    assert "▸" not in again, f"a second run had something to do:\n{again}"
    assert (folder / "files/punctuation_figure/punctuation.svg").read_text().endswith("</svg>\n")

    study = tables(folder)
    heads = study.punctuation.filter(run="run_3").sort("seed", "step", "layer", "head").collect()
    expected = recomputed(folder, study)
    assert all(np.allclose(heads[name], expected[name], rtol=1e-5) for name in expected.columns), f"{heads} is not {expected}"
    [(count,)] = study.duckdb().sql("SELECT count(*) FROM punctuation").fetchall()
    assert count == len(heads), count
    print(f"{count} rows of punctuation recomputed; killed once, then 3 jobs, then none")


def run(command):
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def recomputed(folder, study):
    """The same from the definition, query by query."""
    symbols = dict(study.vocabulary.select("token", "symbol").collect().iter_rows())
    rows = []
    for seed, in study.windows.filter(run="run_3").select("seed").unique().sort("seed").collect().iter_rows():
        windows = study.windows.filter(run="run_3", seed=seed).filter(pl.col("kind") == "val").collect()
        marks = {window: np.array([symbols[token] in CHARACTERS for token in tokens]) for window, tokens in windows.select("window", "tokens").iter_rows()}
        attention = study.attention.filter(run="run_3", seed=seed).filter(pl.col("window").is_in(list(marks))).collect()
        sums = {}
        for step, layer, head, window, query, weights in attention.select("step", "layer", "head", "window", "query", "weights").iter_rows():
            seen = marks[window][: query + 1]
            sums.setdefault((seed, step, layer, head), []).append((np.array(weights)[seen].sum(), seen.mean()))
        rows += [(*key, *np.mean(values, axis=0)) for key, values in sorted(sums.items())]
    return pl.DataFrame(rows, orient="row", schema=["seed", "step", "layer", "head", "weight", "uniform"])


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])

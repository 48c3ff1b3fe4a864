"""Attention on punctuation: a metric, and a figure of it. The example of docs/own-stage.md.

    python docs/examples/punctuation.py measure --inputs LIST --output FOLDER [--characters TEXT]
    python docs/examples/punctuation.py draw --inputs LIST --output FOLDER
"""

import argparse
from pathlib import Path

import polars as pl

# The keys of a path, with the types that the tables' columns have.
KEYS = {"dataset": pl.String, "run": pl.String, "seed": pl.UInt64, "step": pl.UInt32}


def scan(inputs, table):
    """A table's files that the driver lists, with the keys of their paths as columns."""
    lines = (line.split("\t") for line in inputs.read_text().splitlines())
    paths = [path for name, path in lines if name == table]
    keys = [part.split("=")[0] for part in Path(paths[0]).parts if "=" in part]
    return pl.scan_parquet(paths, glob=False, hive_schema={key: KEYS[key] for key in keys})


def measure(inputs, output, characters):
    """For each step and head: the mean attention to punctuation, and what it would be if attention were uniform."""
    vocabulary = scan(inputs, "vocabulary").select("token", mark=pl.col("symbol").is_in(list(characters)).cast(pl.Float64))
    marks = (
        scan(inputs, "windows")
        .filter(pl.col("kind") == "val")
        .select("window", token="tokens")
        .explode("token")
        .join(vocabulary, on="token", maintain_order="left")
        .group_by("window", maintain_order=True)
        .agg("mark")
    )
    visible = pl.col("mark").list.head(pl.col("query") + 1)
    heads = (
        scan(inputs, "attention")
        .join(marks, on="window", maintain_order="left")
        .select("step", "layer", "head", weight=(pl.col("weights") * visible).list.sum(), uniform=visible.list.mean())
        .group_by("step", "layer", "head", maintain_order=True)
        .agg(pl.col("weight", "uniform").mean())
        .sort("step", "layer", "head")
    )
    heads.collect().write_parquet(output / "punctuation.parquet")


def draw(inputs, output):
    """The mean over seeds of every head's attention to punctuation, relative to uniform attention, over training."""
    width, height, left, top = 480, 300, 50, 20
    ratio = scan(inputs, "punctuation").with_columns(ratio=pl.col("weight") / pl.col("uniform"))
    heads = ratio.group_by("step", "layer", "head").agg(pl.col("ratio").mean()).sort("layer", "head", "step").collect()
    last, most = max(heads["step"].max(), 1), max(heads["ratio"].max(), 1) * 1.05
    place = lambda step, value: (left + step / last * (width - left - 20), top + (1 - value / most) * (height - top - 40))
    layers = heads["layer"].max() + 1
    lines = []
    for (layer, head), rows in heads.group_by("layer", "head", maintain_order=True):
        points = " ".join("{:.1f},{:.1f}".format(*place(*row)) for row in rows.select("step", "ratio").iter_rows())
        colour = f"hsl({layer / layers * 280:.0f} 70% 45%)"
        lines.append(f'<polyline points="{points}" fill="none" stroke="{colour}"><title>layer {layer}, head {head}</title></polyline>')
    (x, y), (end, _) = place(0, 1), place(last, 1)
    text = f"""<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" font-size="11">
<rect width="100%" height="100%" fill="white"/>
<line x1="{x}" y1="{y:.1f}" x2="{end}" y2="{y:.1f}" stroke="gray" stroke-dasharray="4"/><text x="8" y="{y + 4:.1f}">1</text>
<text x="8" y="{top + 4}">{most:.2f}</text>
{chr(10).join(lines)}
<text x="{left}" y="{height - 22}">0</text><text x="{end}" y="{height - 22}" text-anchor="end">{last}</text>
<text x="{width / 2}" y="{height - 8}" text-anchor="middle">step (a line per head, coloured by layer; dashed: uniform attention)</text>
<text x="{left}" y="12">Attention to punctuation, relative to uniform attention</text>
</svg>
"""
    (output / "punctuation.svg").write_text(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("work", choices=("measure", "draw"))
    parser.add_argument("--inputs", type=Path, required=True, help="list of the input files")
    parser.add_argument("--output", type=Path, required=True, help="folder to write in")
    parser.add_argument("--characters", default=".,;:!?", help="what counts as punctuation")
    # The driver also says --artifacts, --dataset, --run, --seed and --threads, which this needs not.
    given, _ = parser.parse_known_args()
    if given.work == "measure":
        measure(given.inputs, given.output, given.characters)
    else:
        draw(given.inputs, given.output)


if __name__ == "__main__":
    main()

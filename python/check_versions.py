"""Holds the declared versions of results to the truth: compares the tables of the profile `smoke` with recorded ones.

A stage declares the version of its results (`results 3` in its declaration), by which the driver decides whether tables are
up to date. So whoever changes what a stage writes must raise it; this check notices if nobody did. It summarises every column
that does not come from a clock: text and whole numbers by a hash, other numbers by sums, which are compared with a relative
tolerance, since instruction sets round sums differently.

    python python/check_versions.py artifacts/smoke             compare; exit code 1 if a column differs
    python python/check_versions.py artifacts/smoke --record    record them anew, after the version was raised
"""

import argparse
import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

RECORDED = Path(__file__).with_name("versions.json")
# What clocks reach.
MEASURED = {"timings", "results", "lineage"}
# Of sums over the values: float32 in another order, over up to a million of them.
TOLERANCE = 1e-3


def summary(table):
    """A JSON value for each column of an Arrow table."""
    return {name: column_summary(table.column(name).combine_chunks()) for name in table.column_names}


def column_summary(column):
    while pa.types.is_list(column.type):
        column = column.flatten()
    if pa.types.is_floating(column.type):
        values = np.asarray(column.drop_null(), dtype=np.float64)
        return {"values": len(values), "nulls": column.null_count, "sum": float(values.sum()), "size": float(np.abs(values).sum())}
    cells = column.to_pylist()
    if pa.types.is_binary(column.type):
        cells = [cell.hex() for cell in cells]
    return hashlib.sha256(json.dumps(cells).encode()).hexdigest()[:16]


def summaries(root):
    """By the producer of each table, such as `train 1`, the columns of all its files together."""
    found = {}
    for folder in sorted(path for path in root.iterdir() if path.is_dir() and path.name not in MEASURED):
        files = sorted(folder.glob(f"**/{folder.name}.parquet"))
        if files:
            producer = pq.read_metadata(files[0]).metadata[b"producer"].decode()
            found.setdefault(producer, {})[folder.name] = summary(pa.concat_tables(map(pq.ParquetFile.read, map(pq.ParquetFile, files))))
    return found


def alike(one, other):
    if not isinstance(one, dict) or not isinstance(other, dict):
        return one == other
    counts = all(one[key] == other[key] for key in ("values", "nulls"))
    scale = max(one["size"], other["size"])
    return counts and all(abs(one[key] - other[key]) <= TOLERANCE * scale for key in ("sum", "size"))


def differences(found, recorded):
    for producer, tables in found.items():
        stage = producer.split(" ")[0]
        if producer not in recorded:
            yield f"`{producer}` is not recorded: run this with --record and commit {RECORDED.name}"
            continue
        for table in sorted(tables.keys() | recorded[producer].keys()):
            ours, theirs = tables.get(table, {}), recorded[producer].get(table, {})
            for column in sorted(ours.keys() | theirs.keys()):
                if not alike(ours.get(column), theirs.get(column)):
                    yield (
                        f"{table}.{column} of `{producer}` differs from what was recorded: if that is meant, raise `results` "
                        f"in the declaration of {stage} (crates/declarations/src/stages/{stage}.rs) and run this with --record"
                    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("artifacts", type=Path, help="folder of a run of the profile smoke")
    parser.add_argument("--record", action="store_true", help="record its tables")
    given = parser.parse_args()
    if not given.artifacts.is_dir():
        sys.exit(f"error: {given.artifacts} does not exist; run ./scripts/run_pipeline.sh --profile smoke")
    found = summaries(given.artifacts)
    if given.record:
        RECORDED.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")
        print(f"recorded {sum(map(len, found.values()))} tables of {', '.join(sorted(found))}")
        return
    problems = list(differences(found, json.loads(RECORDED.read_text())))
    print("\n".join(problems) or f"{sum(map(len, found.values()))} tables are what {', '.join(sorted(found))} wrote when recorded")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()

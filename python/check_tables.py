"""Checks every table of a folder of artifacts against the contract, without any code of the pipeline.

`contract` is an independent copy of the contract. Each file is read by pyarrow, which checks its path, footer, the hashes of
its inputs, compression and encodings, nulls and NaN. Each table is then opened by Polars, pandas and DuckDB, whose row counts
and keys must agree. Prints a line per table, then every failure; exit code 1 if there is one.

    python python/check_tables.py artifacts/smoke
"""

import argparse
import json
import sys
import zlib
from collections import defaultdict
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from blake3 import blake3
from contract import AMBIENT, EXTRA_FOOTER, FOOTER, TABLES

# Every reader reads all columns of a table of at most this size; of a larger one, one column and the keys.
WHOLE_BYTES = 64_000_000


def type_name(kind):
    if pa.types.is_list(kind):
        return f"list<{type_name(kind.value_type)}>"
    return {"double": "float64", "float": "float32"}.get(str(kind), str(kind))


def as_json(text):
    try:
        return json.loads(text)
    except (TypeError, ValueError):
        return None


class Checker:
    def __init__(self, root):
        self.root = root
        self.failures = defaultdict(list)
        self.hashes = {}

    def fail(self, kind, where, what):
        self.failures[kind].append(f"{where}: {what}")

    def hash(self, path):
        if path not in self.hashes:
            self.hashes[path] = blake3(path.read_bytes()).hexdigest()
        return self.hashes[path]

    def folder(self):
        """The tables' files, by table. Unknown tables and temporary files are failures."""
        tables = defaultdict(list)
        for path in sorted(self.root.rglob("*")):
            relative = path.relative_to(self.root)
            writing = relative.parts[0] == ".tmp" and path.name != "README.txt"
            if path.is_file() and (writing or path.suffix == ".tmp"):
                self.fail("left behind", relative, "a temporary file")
            if path.suffix != ".parquet":
                continue
            if relative.parts[0] not in TABLES:
                self.fail("unknown table", relative, "the contract has no such table")
            else:
                tables[relative.parts[0]].append(path)
        return tables

    def file(self, table, path):
        """Checks one file; returns its number of rows, None if it cannot be read."""
        stages, keys, columns = TABLES[table]
        where = path.relative_to(self.root)
        parts = [part.split("=", 1) for part in where.parts[1:-1]]
        if [part[0] for part in parts] != keys or path.name != f"{table}.parquet":
            self.fail("layout", where, f"expected {table}/{''.join(f'{key}=…/' for key in keys)}{table}.parquet")
            return None
        try:
            file = pq.ParquetFile(path)
            rows = file.metadata.num_rows
            self.footer(where, file, stages, dict(parts), columns)
            self.columns(where, file.schema_arrow, keys, columns)
            self.encoding(where, file.metadata)
            for group in range(file.num_row_groups):
                self.values(where, file.read_row_group(group), columns)
            if table == "attention":
                self.attention(where, file)
            if table == "generated_attention":
                self.generated(where, file)
            if table in ("checkpoints", "optimizer"):
                self.tensors(where, file)
            if table == "onsets":
                self.onsets(where, file.read().to_pylist())
            if table == "head_matches":
                self.matches(where, file.read().to_pylist())
        except (pa.ArrowException, OSError) as error:
            self.fail("unreadable", where, error)
            return None
        return rows

    def footer(self, where, file, stages, partition, columns):
        footer = {key.decode(): value.decode() for key, value in (file.metadata.metadata or {}).items()}
        table = where.parts[0]
        for key in FOOTER + EXTRA_FOOTER.get(table, []):
            if key not in footer:
                self.fail("footer", where, f"no `{key}`")
                footer[key] = ""
        if footer["schema.name"] != table or not footer["schema.version"].isdigit():
            self.fail("footer", where, f"says `{footer['schema.name']}` version {footer['schema.version']!r}")
        self.checksum(where, footer["crc32"])
        producer = footer["producer"].split(" ")
        # An import stands in for a training, also in the keys.
        stage = "train" if producer[0] == "import" else producer[0]
        other = "stage" in partition and partition["stage"] != stage
        if producer[0] not in stages or len(producer) != 2 or not producer[1].isdigit() or other:
            self.fail("footer", where, f"producer {footer['producer']!r} is not one of {stages} and the version of its results")
        found = as_json(footer["partition"])
        shared_by = as_json(footer.get("shared_by", "[]")) or []
        if isinstance(found, dict) and "run" in found and partition.get("run") in shared_by:
            # A link: the file was written for another run with the same parameters and inputs.
            found = {**found, "run": partition["run"]}
        if not isinstance(found, dict) or {key: str(value) for key, value in found.items()} != partition:
            self.fail("footer", where, f"partition {found} is not the path's {partition}")
        config = as_json(footer["config"])
        if not isinstance(config, dict):
            self.fail("footer", where, "config is not a JSON object")
        elif AMBIENT & config.keys():
            self.fail("footer", where, f"config has parameters that the content does not depend on: {sorted(AMBIENT & config.keys())}")
        units = as_json(footer["columns"]) or {}
        for name in columns:
            if not all(units.get(name, {}).get(what) for what in ("description", "unit")):
                self.fail("footer", where, f"no description and unit of `{name}`")
        inputs = as_json(footer["inputs"])
        if not isinstance(inputs, list):
            self.fail("footer", where, "inputs are not a JSON list")
        for source in inputs or []:
            path = Path(source["path"])
            if path.parts[0] not in TABLES:
                if producer[0] not in ("prep", "import"):
                    self.fail("inputs", where, f"{path} is outside the folder")
            elif not (self.root / path).is_file():
                self.fail("inputs", where, f"{path} is missing")
            elif self.hash(self.root / path) != source["blake3"]:
                self.fail("inputs", where, f"{path} has another hash than when it was read")

    def checksum(self, where, digits):
        """The CRC-32 of the file, in which its own digits are zeros."""
        whole = (self.root / where).read_bytes()
        blank = b"crc32\x18\x08"
        before, found, after = whole.rpartition(blank + digits.encode())
        if not found:
            self.fail("checksum", where, f"the digits {digits!r} are not in the footer")
        elif zlib.crc32(before + blank + b"00000000" + after) != int(digits, 16):
            self.fail("checksum", where, f"the file is not of the checksum {digits}")

    def columns(self, where, schema, keys, columns):
        for key in keys:
            if key in schema.names:
                self.fail("columns", where, f"the key `{key}` is among the columns")
        for name, kind in columns.items():
            if name not in schema.names:
                self.fail("columns", where, f"no `{name}`")
                continue
            field = schema.field(name)
            found = type_name(field.type) + ("?" if field.nullable else "")
            if found != kind:
                self.fail("columns", where, f"`{name}` is {found}, expected {kind}")
        if [name for name in schema.names if name in columns] != [name for name in columns if name in schema.names]:
            self.fail("columns", where, f"in the order {schema.names}")
        for name in set(schema.names) - columns.keys() - set(keys):
            self.fail("columns", where, f"`{name}` is not in the contract")

    def encoding(self, where, metadata):
        for group in range(metadata.num_row_groups):
            for index in range(metadata.num_columns):
                column = metadata.row_group(group).column(index)
                if column.compression != "ZSTD":
                    self.fail("encoding", where, f"`{column.path_in_schema}` is {column.compression}, not ZSTD")
                split = column.physical_type in ("FLOAT", "DOUBLE") or "/corpus/" in f"/{where}"
                if split and ("BYTE_STREAM_SPLIT" not in column.encodings or column.has_dictionary_page):
                    self.fail("encoding", where, f"`{column.path_in_schema}` is {column.encodings}")

    def values(self, where, rows, columns):
        for name in rows.column_names:
            for values in rows[name].chunks:
                if values.null_count and not columns.get(name, "?").endswith("?"):
                    self.fail("nulls", where, f"`{name}` has {values.null_count}")
                if pa.types.is_list(values.type):
                    values = values.flatten()
                if pa.types.is_floating(values.type) and not np.isfinite(values.drop_null().to_numpy()).all():
                    self.fail("numbers", where, f"`{name}` has NaN or infinity")

    def attention(self, where, file):
        for group in range(file.num_row_groups):
            rows = file.read_row_group(group).combine_chunks()
            keys = np.stack([rows[name].to_numpy() for name in ("window", "layer", "head", "query")], axis=1)
            if len(np.unique(keys[:, 0])) != 1:
                self.fail("attention", where, f"row group {group} is not one window")
            sizes = keys.max(axis=0) + 1
            positions = np.ravel_multi_index(keys[:, 1:].T.astype(int), sizes[1:])
            if not np.array_equal(positions, np.arange(np.prod(sizes[1:], dtype=int))):
                self.fail("attention", where, f"row group {group} is not sorted by layer, head, query without gaps")
            lengths = self.distributions("attention", f"{where}, row group {group}", rows["weights"])
            if not np.array_equal(lengths, keys[:, 3].astype(int) + 1):
                self.fail("attention", where, f"row group {group}: a row's length is not its query + 1")

    def generated(self, where, file):
        for group in range(file.num_row_groups):
            rows = file.read_row_group(group).combine_chunks()
            keys = np.stack([rows[name].to_numpy() for name in ("step", "sample", "position", "layer", "head")], axis=1)
            if len(np.unique(keys[:, :2], axis=0)) != 1:
                self.fail("attention", where, f"row group {group} is not one sample")
            positions = np.ravel_multi_index(keys[:, 2:].T.astype(int), keys[:, 2:].max(axis=0).astype(int) + 1)
            if not np.array_equal(positions, np.arange(len(positions))):
                self.fail("attention", where, f"row group {group} is not sorted by position, layer, head without gaps")
            self.distributions("attention", f"{where}, row group {group}", rows["weights"])

    def distributions(self, kind, where, lists):
        """Fails if a list does not sum to 1, or has a number below 0; returns the lists' lengths."""
        lists = lists.combine_chunks()
        if isinstance(lists, pa.ChunkedArray):
            lists = lists.chunk(0)
        lengths, weights = lists.value_lengths().to_numpy(), lists.flatten().to_numpy().astype(np.float64)
        if lengths.min() < 1:
            self.fail(kind, where, "a row is empty")
            return lengths
        sums = np.add.reduceat(weights, np.concatenate([[0], np.cumsum(lengths)[:-1]]))
        if np.abs(sums - 1).max() > 1e-5 or weights.min() < 0:
            self.fail(kind, where, f"a row sums to {sums[np.abs(sums - 1).argmax()]}")
        return lengths

    def onsets(self, where, rows):
        """An event's value is the geometric mean of its steps; ranks are among the events of the same layer."""
        for row in rows:
            name = f"{row['event']} of {row['metric']}, layer {row['layer']}"
            lengths = {row["n"], *(len(row[column]) for column in ("in_seeds", "steps", "steps_before"))}
            if len(lengths) != 1 or row["n"] > row["seeds"]:
                self.fail("onsets", where, f"{name}: {row['n']} of {row['seeds']} seeds, but lists of other lengths")
                continue
            if any(before >= step for before, step in zip(row["steps_before"], row["steps"])):
                self.fail("onsets", where, f"{name}: not after the snapshot before it")
            given = [row[column] is not None for column in ("value", "low", "high")]
            if given != [row["n"] > 0, row["n"] > 1, row["n"] > 1]:
                self.fail("onsets", where, f"{name}: a value needs one seed, an interval two")
                continue
            if row["reason"] is None and (row["n"] < row["seeds"] or row["n"] == 1):
                self.fail("onsets", where, f"{name}: something is null and no reason is given")
            if row["n"] and abs(np.log(row["steps"]).mean() - np.log(row["value"])) > 1e-9:
                self.fail("onsets", where, f"{name}: {row['value']} is not the geometric mean of {row['steps']}")
            if row["n"] > 1 and not 0 < row["low"] <= row["value"] <= row["high"]:
                self.fail("onsets", where, f"{name}: {row['value']} is not in {row['low']} to {row['high']}")
            times = [other["value"] for other in rows if other["layer"] == row["layer"] and other["n"]]
            rank = 1 + sum(time < row["value"] for time in times) if row["n"] else None
            if row["rank"] != rank:
                self.fail("onsets", where, f"{name}: rank {row['rank']}, expected {rank}")

    def matches(self, where, rows):
        """Each slot of a layer has one head; the first seed's heads have their own numbers as slots."""
        layers = defaultdict(list)
        for row in rows:
            layers[row["layer"], row["seed"]].append(row)
        for (layer, seed), heads in layers.items():
            numbers = list(range(len(heads)))
            slots = [row["slot"] for row in heads]
            if [row["head"] for row in heads] != numbers or sorted(slots) != numbers:
                self.fail("matches", where, f"layer {layer}, seed {seed}: heads have the slots {slots}")
            first = seed == rows[0]["seed"]
            known = ("distance", "random_distance", "chance_distance", "p_value")
            if any((row[name] is None) != first for row in heads for name in known):
                self.fail("matches", where, f"layer {layer}, seed {seed}: only the first seed has no distances")
            elif first and slots != numbers:
                self.fail("matches", where, f"layer {layer}: the first seed's heads are not their own slots")
            elif not first and min(min(row["distance"], row["random_distance"]) for row in heads) < 0:
                self.fail("matches", where, f"layer {layer}, seed {seed}: a negative distance")

    def tensors(self, where, file):
        rows = file.read().to_pylist()
        for row in rows:
            if np.prod(row["shape"], dtype=int) != len(row["values"]):
                self.fail("tensors", where, f"{row['tensor']} of shape {row['shape']} has {len(row['values'])} values")
        config = as_json(file.metadata.metadata.get(b"config", b""))
        if where.parts[0] == "checkpoints" and isinstance(config, dict):
            expected = nanogpt_shapes(config)
            if {row["tensor"]: row["shape"] for row in rows} != expected:
                self.fail("tensors", where, "names and shapes differ from nanoGPT's state_dict for the footer's config")

    def whole(self, table, files, counts):
        """Opens the whole table with three readers; returns those whose rows and keys agree with the files, whose numbers of
        rows are `counts`."""
        folder, keys = self.root / table, TABLES[table][1]
        small = sum(path.stat().st_size for path in files) <= WHOLE_BYTES
        some = None if small else [next(iter(TABLES[table][2])), *keys]

        def by_polars():
            frame = pl.scan_parquet(folder)
            frame = (frame if small else frame.select(some)).collect()
            return frame.height, frame.columns, frame.select(keys).unique().height if keys else 1

        def by_pandas():
            frame = pd.read_parquet(folder, columns=some)
            return len(frame), list(frame.columns), len(frame[keys].drop_duplicates()) if keys else 1

        def by_duckdb():
            scan = f"read_parquet('{folder}/**/*.parquet', hive_partitioning = true)"
            relation = duckdb.sql(f"SELECT {'*' if small else quoted(some)} FROM {scan}")
            distinct = f"SELECT count(*) FROM (SELECT DISTINCT {quoted(keys)} FROM {scan})" if keys else "SELECT 1"
            return relation.count("*").fetchall()[0][0], relation.columns, duckdb.sql(distinct).fetchall()[0][0]

        readers = []
        for name, reader in [("polars", by_polars), ("pandas", by_pandas), ("duckdb", by_duckdb)]:
            try:
                count, columns, partitions = reader()
            except Exception as error:  # each reader has its own exceptions
                self.fail("readers", table, f"{name}: {type(error).__name__}: {error}")
                continue
            if count != sum(counts):
                self.fail("readers", table, f"{name} counts {count} rows, the files hold {sum(counts)}")
            elif not set(keys) <= set(columns):
                self.fail("readers", table, f"{name} sees no {sorted(set(keys) - set(columns))}")
            elif keys and partitions != sum(count > 0 for count in counts):
                self.fail("readers", table, f"{name} sees {partitions} partitions of {len(files)} files")
            else:
                readers.append(name)
        return readers


def quoted(names):
    """A list of columns in SQL, quoted since `window` is a keyword."""
    return ", ".join(f'"{name}"' for name in names)


def nanogpt_shapes(config):
    embd, bias = config["n_embd"], config["bias"]
    shapes = {
        "transformer.wte.weight": [config["vocab_size"], embd],
        "transformer.wpe.weight": [config["block_size"], embd],
    }

    def module(name, *shape):
        shapes[f"{name}.weight"] = list(shape)
        if bias:
            shapes[f"{name}.bias"] = [shape[0]]

    for layer in range(config["n_layer"]):
        module(f"transformer.h.{layer}.ln_1", embd)
        module(f"transformer.h.{layer}.attn.c_attn", 3 * embd, embd)
        module(f"transformer.h.{layer}.attn.c_proj", embd, embd)
        module(f"transformer.h.{layer}.ln_2", embd)
        module(f"transformer.h.{layer}.mlp.c_fc", 4 * embd, embd)
        module(f"transformer.h.{layer}.mlp.c_proj", embd, 4 * embd)
    module("transformer.ln_f", embd)
    return shapes


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("artifacts", type=Path, help="folder of all tables, such as artifacts/smoke")
    arguments.add_argument("--require-all", action="store_true", help="fail if a table of the contract is missing")
    given = arguments.parse_args()
    if not given.artifacts.is_dir():
        sys.exit(f"error: {given.artifacts} does not exist; run the pipeline first, e.g. ./scripts/run_pipeline.sh --profile smoke")

    checker = Checker(given.artifacts)
    tables = checker.folder()
    if not tables:
        checker.fail("missing", given.artifacts, "no table")
    print(f"{'table':<17}{'files':>6}{'rows':>10}{'MB':>9}  opened by")
    for table in TABLES:
        if table not in tables:
            print(f"{table:<17}     -")
            if given.require_all:
                checker.fail("missing", table, "no file")
            continue
        files = tables[table]
        counts = [checker.file(table, path) for path in files]
        readers = checker.whole(table, files, counts) if None not in counts else ["not opened: see below"]
        rows = sum(filter(None, counts))
        size = sum(path.stat().st_size for path in files) / 1e6
        print(f"{table:<17}{len(files):>6}{rows:>10}{size:>9.2f}  {', '.join(readers)}")

    for kind, failures in checker.failures.items():
        print(f"\n{kind}: {len(failures)}")
        for failure in failures[:20]:
            print(f"  {failure}")
        if len(failures) > 20:
            print(f"  and {len(failures) - 20} more")
    count = sum(len(failures) for failures in checker.failures.values())
    files = sum(len(files) for files in tables.values())
    print(f"\n{files} files of {len(tables)} tables checked, {count} failures")
    sys.exit(1 if count else 0)


if __name__ == "__main__":
    main()

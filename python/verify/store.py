"""Reads a folder of tables, a file at a time."""

import functools
import hashlib
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq


class Missing(Exception):
    """A table that is needed for a recomputation is missing."""


class Store:
    def __init__(self, root):
        self.root = Path(root)

    def tables(self):
        """The tables that exist, each with its columns, in alphabetical order."""
        found = {}
        for folder in sorted(path for path in self.root.iterdir() if path.is_dir()):
            file = next(folder.rglob(f"{folder.name}.parquet"), None)
            if file is not None:
                found[folder.name] = pq.ParquetFile(file).schema_arrow.names
        return found

    @functools.cache
    def partitions(self, table):
        """The keys of each of a table's files, sorted; seeds and steps are integers."""
        keys = []
        for path in self.root.glob(f"{table}/**/{table}.parquet"):
            parts = (part.split("=", 1) for part in path.relative_to(self.root).parts[1:-1])
            keys.append({key: int(value) if key in ("seed", "step") else value for key, value in parts})
        return sorted(keys, key=lambda key: tuple(key.values()))

    def path(self, table, **keys):
        parts = [f"{key}={value}" for key, value in keys.items()]
        path = self.root.joinpath(table, *parts, f"{table}.parquet")
        if not path.is_file():
            raise Missing(f"{path.relative_to(self.root)} is missing")
        return path

    def has(self, table, **keys):
        return keys in self.partitions(table)

    def file(self, table, **keys):
        return pq.ParquetFile(self.path(table, **keys))

    def read(self, table, **keys):
        """A whole file as a data frame. Lists become arrays."""
        return self.file(table, **keys).read().to_pandas()

    def config(self, table, **keys):
        """The parameters that decided the file's content, from its footer."""
        return json.loads(self.file(table, **keys).metadata.metadata[b"config"])

    def own(self, table):
        """The keys of each file of a table, but of those that are links or copies of one another only the one that was written, or the
        first if that one is gone or was replaced."""
        found, known = [], {}
        for keys in self.partitions(table):
            run = json.loads(self.file(table, **keys).metadata.metadata[b"partition"]).get("run")
            written_for = {**keys, "run": run} if "run" in keys else keys
            if written_for == keys:
                found.append(keys)
                continue
            rows = self.rows_of(table, **keys)
            is_there = self.has(table, **written_for) and self.rows_of(table, **written_for) == rows
            if not is_there and known.setdefault((tuple(written_for.items()), rows), keys) is keys:
                found.append(keys)
        return found

    def rows_of(self, table, **keys):
        """A hash of a file's bytes but the footer, which copies have in common."""
        data = self.path(table, **keys).read_bytes()
        return hashlib.blake2b(data[: len(data) - 8 - int.from_bytes(data[-8:-4], "little")]).digest()

    def trainings(self, *tables):
        """The trainings, as (key, value) pairs, of tables that are keyed by training, of which one is no link or copy."""
        return list({tuple(key.items())[:3]: None for table in tables for key in self.own(table)})

    def tensors(self, **keys):
        """A checkpoint's tensors in float64, by name."""
        rows = self.read("checkpoints", **keys)
        return {
            row.tensor: np.asarray(row.values, dtype=np.float64).reshape(tuple(row.shape)) for row in rows.itertuples()
        }

"""The folder of tables, read a file at a time."""

import functools
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq


class Missing(Exception):
    """A table that something is recomputed from is not there."""


class Store:
    def __init__(self, root):
        self.root = Path(root)

    def tables(self):
        """The tables that are there, each with its columns, in the order of the alphabet."""
        found = {}
        for folder in sorted(path for path in self.root.iterdir() if path.is_dir()):
            file = next(folder.rglob(f"{folder.name}.parquet"), None)
            if file is not None:
                found[folder.name] = pq.ParquetFile(file).schema_arrow.names
        return found

    @functools.cache
    def partitions(self, table):
        """The keys of each of a table's files, in their order; numbers as numbers."""
        keys = []
        for path in self.root.glob(f"{table}/**/{table}.parquet"):
            parts = (part.split("=", 1) for part in path.relative_to(self.root).parts[1:-1])
            keys.append({key: int(value) if key in ("seed", "step") else value for key, value in parts})
        return sorted(keys, key=lambda key: tuple(key.values()))

    def path(self, table, **keys):
        parts = [f"{key}={value}" for key, value in keys.items()]
        path = self.root.joinpath(table, *parts, f"{table}.parquet")
        if not path.is_file():
            raise Missing(f"{path.relative_to(self.root)} is not there")
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

    def trainings(self, table):
        """The trainings, as keys, that a table keyed by them (and perhaps more) has files of."""
        return list({tuple(key.items())[:3]: None for key in self.partitions(table)})

    def tensors(self, **keys):
        """A checkpoint's tensors in float64, by name."""
        rows = self.read("checkpoints", **keys)
        return {
            row.tensor: np.asarray(row.values, dtype=np.float64).reshape(tuple(row.shape)) for row in rows.itertuples()
        }

"""The tables of a study for polars, pandas and DuckDB.

    from attention_tables import tables

    study = tables("artifacts/laptop")
    study.head_metrics                                          # a polars LazyFrame; dir(study) lists the tables
    study.head_metrics.filter(run="run_3", seed=1337).collect() # opens the files of that seed alone
    study.pandas("head_metrics", run="run_3", seed=1337)        # the same as a pandas DataFrame
    study.describe("head_metrics")                              # unit and meaning of each column
    study.duckdb().sql("SELECT * FROM results")                 # every table as a view

Runs share trainings: name one run in every question, or each training counts several times.
"""

import difflib
import json
from pathlib import Path

import polars as pl

# The keys of a path, with the types that the tables' columns have. Left to guess, a reader would take a dataset called
# `007` for a number, and steps for int64, which do not join with the columns `step`, which are uint32.
KEYS = {
    "dataset": pl.String,
    "run": pl.String,
    "seed": pl.UInt64,
    "step": pl.UInt32,
    "split": pl.String,
    "stage": pl.String,
}


class Study:
    """The tables of a folder: each an attribute of its name, a polars LazyFrame with the keys of its path as columns."""

    def __init__(self, folder):
        self._folder = Path(folder)
        self._files = {}
        for path in sorted(self._folder.glob("[!.]*/")):
            if file := next(path.rglob(f"{path.name}.parquet"), None):
                self._files[path.name] = file
        if not self._files:
            raise FileNotFoundError(f"{folder} holds no tables: run the pipeline first, or name another folder")

    def __dir__(self):
        return [*super().__dir__(), *self._files]

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        keys = [part.split("=")[0] for part in self._file(name).relative_to(self._folder).parts[1:-1]]
        if not keys:
            return pl.scan_parquet(self._files[name], glob=False)
        return pl.scan_parquet(self._folder / name, glob=False, hive_schema={key: KEYS[key] for key in keys})

    def _file(self, name):
        if name not in self._files:
            near = difflib.get_close_matches(name, self._files, 1)
            hint = f": did you mean `{near[0]}`?" if near else f"; there are {', '.join(self._files)}"
            raise AttributeError(f"{self._folder} has no table `{name}`{hint}")
        return self._files[name]

    def pandas(self, name, **keys):
        """A table, or the part of it with these keys, as a pandas DataFrame."""
        return getattr(self, name).filter(**keys).collect().to_pandas()

    def describe(self, name):
        """The unit and the meaning of each column, as the footer of the table's first file says them."""
        said = pl.read_parquet_metadata(self._file(name)).get("columns")
        if said is None:
            raise ValueError(f"`{name}` is a table of a stage of your own, which says nothing of its columns")
        columns = json.loads(said)
        return pl.DataFrame([{"column": column, **said} for column, said in columns.items()])

    def config(self, name):
        """The parameters that a table was made with, as the footer of its first file says them."""
        return json.loads(pl.read_parquet_metadata(self._file(name))["config"])

    def duckdb(self):
        """A DuckDB connection with the views of `artifacts.sql`, which the pipeline writes beside the tables."""
        import duckdb

        if set(str(self._folder)) & set(",*?[]"):
            raise ValueError(f"DuckDB takes signs in {self._folder} for a pattern: change to that folder and run artifacts.sql")
        connection = duckdb.connect()
        connection.execute("SET file_search_path = '{}'".format(str(self._folder.resolve()).replace("'", "''")))
        connection.execute((self._folder / "artifacts.sql").read_text())
        return connection


def tables(folder):
    """The tables of a folder of artifacts, such as artifacts/laptop."""
    return Study(folder)

"""Comparison of stored with recomputed numbers, and its report."""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class Tolerance:
    """A difference is allowed if it is at most `absolute`, or at most `relative` times the recomputed value; with
    `chance`, each value has its own tolerance, since both are Monte Carlo estimates."""

    absolute: float = 0.0
    relative: float = 0.0
    chance: bool = False

    def __str__(self):
        if self.chance:
            return "1e-9 or chance"
        parts = [f"{self.absolute:.0e}"] if self.absolute else []
        parts += [f"{self.relative:.0e} rel"] if self.relative else []
        return " or ".join(parts).replace("e-0", "e-") or "exact"


EXACT = Tolerance()
# From the same stored numbers in float64: only the order of sums differs.
FLOAT64 = Tolerance(1e-9, 1e-6)
# The pipeline's models compute in float32, this one in float64.
FLOAT32 = Tolerance(1e-4, 1e-4)


class Column:
    """The comparison of one column so far."""

    def __init__(self, tolerance):
        self.tolerance = tolerance
        self.rows = 0
        self.absolute = self.relative = 0.0
        self.failed = 0
        self.worst = None  # the largest ratio of a difference to its tolerance, and where it is

    def add(self, stored, computed, allowed, places, values=None):
        """Compares arrays; NaN is null. `places` names the element at an index; `values` describes the two values at an
        index where they are not numbers."""
        stored, computed = np.asarray(stored, dtype=np.float64), np.asarray(computed, dtype=np.float64)
        self.rows += stored.size
        known = ~(np.isnan(stored) & np.isnan(computed))
        with np.errstate(invalid="ignore", divide="ignore"):
            difference = np.where(known, np.abs(stored - computed), 0.0)
            relative = np.where(difference == 0, 0.0, difference / np.abs(computed))
        # A null in place of a number, or the reverse, always fails.
        difference = np.nan_to_num(difference, nan=math.inf)
        self.absolute = max(self.absolute, difference.max(initial=0.0))
        self.relative = max(self.relative, np.where(np.isnan(relative), math.inf, relative).max(initial=0.0))
        if allowed is None:
            allowed = np.maximum(self.tolerance.absolute, self.tolerance.relative * np.nan_to_num(np.abs(computed)))
        bad = difference > allowed
        if bad.any():
            self.failed += int(bad.sum())
            excess = np.where(bad, difference / np.maximum(allowed, 1e-300), 0.0)
            at = int(np.argmax(excess.ravel()))
            if self.worst is None or excess.ravel()[at] > self.worst[0]:
                numbers = f"stored {stored.ravel()[at]:.10g}, recomputed {computed.ravel()[at]:.10g}"
                self.worst = (excess.ravel()[at], f"{places(at)}: {values(at) if values else numbers}")


class Report:
    """All compared columns, and those that could not be compared."""

    def __init__(self):
        self.columns = {}  # (table, column) to Column
        self.failures = []
        self.notes = []
        self.reasons = {}  # (table, column) to why it is not recomputed

    def compare(self, table, column, stored, computed, tolerance, where="", allowed=None, places=None, values=None):
        """Adds values to a column. `allowed` is the tolerance of each value, where it is not the same for all."""
        entry = self.columns.setdefault((table, column), Column(tolerance))
        if np.shape(stored) != np.shape(computed):
            self.fail(f"{table}.{column}, {where}: {np.shape(stored)} stored, {np.shape(computed)} recomputed")
            return
        entry.add(stored, computed, allowed, places or (lambda at: f"{where}, value {at}"), values)

    def compare_equal(self, table, column, stored, computed, where=""):
        """Compares values for equality, such as texts; a difference counts as 1."""
        stored, computed = list(stored), list(computed)
        different = [float(a != b) for a, b in zip(stored, computed, strict=True)]
        self.compare(
            *(table, column, np.zeros(len(different)), different, EXACT, where),
            values=lambda at: f"stored {stored[at]!r:.80}, recomputed {computed[at]!r:.80}",
        )

    def compare_frames(self, table, stored, computed, keys, tolerances, where="", complete=True):
        """Matches rows by their keys and compares the columns that `tolerances` names. With `complete`, a stored row
        that was not recomputed is a failure too; a recomputed one that is not stored always is."""
        joined = computed.merge(stored, on=keys, how="outer", suffixes=(" computed", ""), indicator=True)
        missing = joined[joined["_merge"] == "left_only"]
        surplus = joined[joined["_merge"] == "right_only"]
        for rows, what in [(missing, "is missing"), (surplus if complete else surplus[:0], "should not exist")]:
            if len(rows):
                first = label(rows.iloc[0], keys)
                self.fail(f"{table}, {where}: {len(rows)} rows differ in presence; the one of {first} {what}")
        both = joined[joined["_merge"] == "both"]
        for column, tolerance in tolerances.items():
            values = [both[name].to_numpy(dtype=np.float64, na_value=np.nan) for name in (column, f"{column} computed")]
            self.compare(
                table, column, *values, tolerance, where, places=lambda at: f"{where}, {label(both.iloc[at], keys)}"
            )

    def fail(self, what):
        self.failures.append(what)

    def note(self, what):
        if what not in self.notes:
            self.notes.append(what)

    def leave_out(self, table, columns, reason):
        """Records why columns are not recomputed."""
        self.reasons.update({(table, column): reason for column in columns})

    @property
    def failed(self):
        return bool(self.failures) or any(column.failed for column in self.columns.values())

    def text(self, stored_columns):
        """The report. `stored_columns` are the folder's tables, each with its columns; columns that were neither compared
        nor left out for a reason are reported too."""
        lines = [f"{'table':<20}{'column':<27}{'rows':>10}{'largest abs':>13}{'largest rel':>13}  tolerance"]
        order = list(stored_columns)
        for (table, name), column in sorted(self.columns.items(), key=lambda item: order.index(item[0][0])):
            verdict = f"FAILED ({column.failed} rows)" if column.failed else "ok"
            numbers = f"{column.rows:>10}{column.absolute:>13.1e}{column.relative:>13.1e}"
            lines.append(f"{table:<20}{name:<27}{numbers}  {column.tolerance!s:<18}{verdict}")
        lines.append("\nnot recomputed:")
        by_reason = {}
        for (table, name), reason in self.reasons.items():
            if name in stored_columns.get(table, []) and (table, name) not in self.columns:
                by_reason.setdefault((table, reason), []).append(name)
        lines += [f"  {table} ({', '.join(names)}): {reason}" for (table, reason), names in by_reason.items()]
        for table, names in stored_columns.items():
            known = {name for of, name in [*self.columns, *self.reasons] if of == table}
            if unknown := [name for name in names if name not in known]:
                lines.append(f"  {table} ({', '.join(unknown)}): NOT COVERED: there is no formula")
        if self.notes:
            lines += ["\nnotes:", *(f"  {note}" for note in self.notes)]
        for (table, name), column in self.columns.items():
            if column.worst:
                self.failures.append(f"{table}.{name}, {column.worst[1]}")
        if self.failures:
            lines += ["\nfailures, the worst of each column:", *(f"  {failure}" for failure in self.failures)]
        bad = sum(column.failed > 0 for column in self.columns.values())
        lines.append(f"\n{len(self.columns)} columns compared, {bad} above tolerance, {len(self.failures)} failures")
        return "\n".join(lines)


def label(row, keys):
    """A row's keys as text."""
    return ", ".join(f"{key} {'null' if pd.isna(row[key]) else row[key]}" for key in keys)

"""`findings`: the value, test and verdict of each claim, and the correction over a dataset's claims."""

import numpy as np
import pandas as pd

from . import statistics
from .claims import ABOUT, CLAIMS, LEVEL, MOST_SEEDS, UNKNOWN
from .evidence import Evidence, Found, NotTested
from .report import EXACT, FLOAT64, Tolerance
from .store import Missing


CHANCE = Tolerance(chance=True)


def verify(store, report, progress):
    for keys in store.partitions("findings"):
        dataset = keys["dataset"]
        progress(f"findings of {dataset}")
        stored = store.read("findings", **keys)
        runs = [run["name"] for run in store.config("findings", **keys)["runs"]]
        evidence = {run: Evidence(store, dataset, run, runs) for run in {*runs, *stored["run"]}}
        for claim in CLAIMS:
            if claim not in set(stored["claim"]) and ABOUT.get(claim, dataset) == dataset:
                report.fail(f"findings, dataset={dataset}: {claim} is missing")
        p_values, judged = stored["p_value"].to_numpy(dtype=float, copy=True), []
        for at, finding in enumerate(stored.itertuples()):
            where = f"dataset={dataset} {finding.claim}"
            if finding.claim not in CLAIMS:
                report.note(f"findings: {where} is not recomputed: there is no formula")
                continue
            claim = CLAIMS[finding.claim]
            # A claim without a run was not tested: no run may have the data it needs.
            found = first_tested(claim, [evidence[run] for run in ([finding.run] if finding.run else runs)])
            for column in ("value", "low", "high"):
                report.compare("findings", column, [getattr(finding, column)], [getattr(found, column)], FLOAT64, where)
            exact = {"n": found.n, "threshold_low": claim.above, "threshold_high": claim.below}
            for column, value in exact.items():
                report.compare("findings", column, [getattr(finding, column)], [value], EXACT, where)
            p_value = claim.p_value(found)
            if p_value is UNKNOWN:
                report.note(f"findings: the p-value of {where} is taken from the table: more than {MOST_SEEDS} seeds")
            else:
                report.compare("findings", "p_value", [p_values[at]], [p_value], FLOAT64, where)
                p_values[at] = p_value
            judged.append((at, where, claim, found))
        adjusted = statistics.holm(p_values)
        report.compare("findings", "p_adjusted", stored["p_adjusted"], adjusted, FLOAT64, f"dataset={dataset}")
        level = LEVEL / max(np.count_nonzero(~np.isnan(p_values)), 1)
        for at, where, claim, found in judged:
            verdict = claim.verdict(found, p_values[at], adjusted[at])
            report.compare_equal("findings", "verdict", [stored["verdict"][at]], [verdict], where)
            power = claim.power(found, p_values[at], level, adjusted[at] <= LEVEL)
            for column, value in zip(("detectable", "seeds_needed"), power):
                report.compare("findings", column, [stored[column][at]], [value], FLOAT64, where)
            known = [None if pd.isna(stored["sensitivity"][at]) else stored["sensitivity"][at]]
            report.compare_equal("findings", "sensitivity", known, [claim.sensitivity(found, level, verdict)], where)
            low, high, of_low, of_high = statistics.bootstrap(found.samples, np.random.default_rng(0))
            for column, value, allowed in (("bootstrap_low", low, of_low), ("bootstrap_high", high, of_high)):
                report.compare("findings", column, [stored[column][at]], [value], CHANCE, where, allowed=[allowed])


def first_tested(claim, evidence):
    for of_run in evidence:
        try:
            if (found := claim.statistic(of_run)).n:
                return found
        except (NotTested, Missing):
            pass
    return Found()

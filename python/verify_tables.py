"""Recomputes the numbers of a folder of artifacts from the stored inputs, and prints the differences.

Every column that needs no random stream and no clock is recomputed by an independent implementation in NumPy and SciPy (the
package `verify`): attention by a forward pass in float64, its metrics from the stored rows, scores from the stored samples,
correlations and findings from the stored tables. Prints a line per column: rows compared, largest absolute and relative
difference, tolerance, ok or FAILED; then what is not recomputed, and why. A difference is allowed if it is within the absolute
or the relative tolerance. Exit code 1 if a column exceeds it, or if a table is missing that the lineage says was written.

    python python/verify_tables.py artifacts/smoke
    python python/verify_tables.py artifacts/laptop --only scores statistics
"""

import argparse
import sys
import time
from pathlib import Path

import pyarrow as pa
from verify import correlations, findings, generation, lineage, onsets, scoring, semantics, snapshots, splits, training
from verify.report import Report
from verify.store import Missing, Store

FAMILIES = {
    "training": [training.verify, splits.verify],
    "attention": [snapshots.verify],
    "scores": [semantics.verify, scoring.verify],
    "generation": [generation.verify],
    "statistics": [correlations.verify, findings.verify, onsets.verify],
}


class Progress:
    """Progress, as one line on a terminal and nothing elsewhere."""

    def __init__(self, quiet):
        self.shown = not quiet and sys.stderr.isatty()
        self.started = time.monotonic()

    def __call__(self, what):
        if self.shown:
            print(f"\r\x1b[K{time.monotonic() - self.started:4.0f} s  {what}", end="", file=sys.stderr, flush=True)

    def done(self):
        if self.shown:
            print("\r\x1b[K", end="", file=sys.stderr)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("artifacts", type=Path, help="folder of all tables, such as artifacts/smoke")
    parser.add_argument(
        "--only", nargs="+", choices=FAMILIES, default=list(FAMILIES), help="verify only these families of tables"
    )
    parser.add_argument(
        "--every-step",
        action="store_true",
        help="recompute attention during generation at every step; otherwise, if that takes long, only at the last step",
    )
    parser.add_argument("--quiet", action="store_true", help="print no progress")
    return parser.parse_args()


def leave_out(report):
    """Records what is not recomputed, and why."""
    keys, clock, streams = (
        "keys of the rows",
        "measured with a clock",
        "needs the random streams of the training",
    )
    for table, columns in {
        "windows": ["window", "kind", "start"],
        "attention": ["window", "layer", "head", "query"],
        "head_outputs": ["step", "layer", "head"],
        "head_metrics": ["step", "layer", "head"],
        "layer_metrics": ["step", "layer"],
        "layer_similarity": ["step", "layer_a", "layer_b"],
        "attended_characters": ["step", "layer", "head", "token"],
        "baselines": ["metric"],
        "split_losses": ["step", "split", "stride"],
        "text_notes": ["note"],
        "samples": ["step", "sample", "temperature", "top_k", "context_policy"],
        "sample_scores": ["step", "source", "sample"],
        "sample_attention": ["step", "source", "sample", "layer", "head"],
        "generated_attention": ["step", "sample", "position", "layer", "head"],
        "sample_layers": ["step", "sample", "layer_a", "layer_b"],
        "correlations": ["scope", "x", "layer", "y"],
        "findings": ["run", "claim"],
        "onsets": ["event", "metric", "layer"],
        "head_matches": ["seed", "layer", "head"],
        "results": ["dataset", "run"],
        "evaluations": ["step"],
        "training_log": ["step"],
        "vocabulary": ["token"],
    }.items():
        report.leave_out(table, columns, keys)
    report.leave_out("corpus", ["token"], "comes from a text outside the folder")
    report.leave_out("vocabulary", ["symbol", "bytes", "code_point"], "comes from a text outside the folder")
    report.leave_out("text_notes", ["count", "share", "message"], "text, and what comes from a text outside the folder")
    report.leave_out("training_log", ["loss", "grad_norm"], streams)
    report.leave_out("evaluations", ["train_loss", "val_loss", "train_loss_stderr", "val_loss_stderr"], streams)
    report.leave_out("tracking", ["entropy_nats", "normalized_entropy", "mean_distance", "first_token_mass"], streams)
    report.leave_out("tracking", ["step", "layer", "head"], keys)
    report.leave_out("checkpoints", ["tensor", "shape", "values"], streams)
    report.leave_out("optimizer", ["step", "tensor", "moment", "shape", "values"], streams)
    report.leave_out("samples", ["tokens", "prompt_tokens"], "needs the random stream of sampling")
    report.leave_out("timings", ["activity", "step", "sample", "wall_secs", "characters"], clock)
    report.leave_out("correlations", ["reason"], "text")
    report.leave_out("onsets", ["reason"], "text")
    report.leave_out("results", ["label", "training_of"], "text")
    report.leave_out("findings", ["statement", "statistic", "reason"], "text")
    executions = ["node", "stage", "command", "fingerprint", "status", "wall_secs", "peak_rss_bytes", "started_at_secs"]
    report.leave_out("lineage", executions, "recorded by the driver")


def main():
    given = arguments()
    if not given.artifacts.is_dir():
        sys.exit(
            f"error: {given.artifacts} does not exist; run the pipeline first, e.g. ./scripts/run_pipeline.sh --profile smoke"
        )
    store, report, progress = Store(given.artifacts), Report(), Progress(given.quiet)
    tables = store.tables()
    if not tables:
        sys.exit(f"error: {given.artifacts} has no tables; give the folder of a profile, such as artifacts/laptop")
    leave_out(report)
    lineage.verify(store, report, progress)
    whole = not report.failed
    for family in given.only:
        for verify in FAMILIES[family]:
            options = {"every_step": given.every_step} if verify is generation.verify else {}
            try:
                verify(store, report, progress, **options)
            except Missing as missing:
                report.note(f"{family} is not fully verified: {missing}")
            except (pa.ArrowException, OSError) as error:
                report.fail(f"{family} is not fully verified: {error}")
            except LookupError as error:
                if whole:
                    raise
                report.note(f"{family} is not fully verified, as tables are missing: {error}")
    progress.done()
    print(report.text(tables))
    sys.exit(1 if report.failed else 0)


if __name__ == "__main__":
    main()

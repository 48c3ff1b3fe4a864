"""Fuzzes every reader of what comes from outside, guided by coverage (libFuzzer): no panic, at most 512 MB, no name that leaves its
folder. Needs a C++ compiler; `cargo fuzz run TARGET --fuzz-dir crates/fuzz --sanitizer none` does the same for one target.

The instrumentation is what cargo-fuzz passes to the compiler, without a sanitizer: the readers are safe Rust, and so the stable
compiler is enough. Inputs found are kept in target/fuzz/corpus and are where the next call starts.
"""

import concurrent.futures
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

from .pipeline import ROOT

TARGETS = ("tables", "pipeline", "settings", "archive", "checkpoint", "download", "text", "steps", "study", "state")
# Longer inputs are mutated in places that matter less often.
LENGTHS = {"tables": 20_000, "pipeline": 12_000, "state": 4_000}

COVERAGE = ("level=4", "inline-8bit-counters", "pc-table", "trace-compares")
FLAGS = [
    "-Cpasses=sancov-module",
    *(f"-Cllvm-args=-sanitizer-coverage-{option}" for option in COVERAGE),
    "-Cllvm-args=-simplifycfg-branch-fold-threshold=0",
    "--cfg fuzzing",
    "-Ccodegen-units=16",
]


def build(folder):
    version = subprocess.run(["rustc", "-vV"], capture_output=True, text=True, check=True).stdout
    host = re.search(r"^host: (.*)$", version, re.MULTILINE)[1]
    # With --target the flags are not for build scripts and macros, which run on their own.
    command = ["cargo", "build", "--release", "--locked", "--bins", "--target", host, "--target-dir", str(folder)]
    environment = {**os.environ, "RUSTFLAGS": " ".join(FLAGS)}
    if subprocess.run(command, cwd=ROOT / "crates/fuzz", env=environment).returncode != 0:
        sys.exit("error: the fuzz targets do not build")
    return folder / host / "release"


class Fuzz:
    def __init__(self, arguments):
        self.arguments = arguments
        self.folder = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "fuzz"
        self.targets = arguments.targets or TARGETS

    def run(self):
        if not shutil.which("c++"):
            sys.exit("error: libFuzzer needs a C++ compiler: install g++ or clang++")
        started = time.monotonic()
        programs = build(self.folder)
        print(f"built in {time.monotonic() - started:.0f} s", flush=True)
        with concurrent.futures.ThreadPoolExecutor(self.arguments.jobs) as pool:
            results = list(pool.map(lambda target: self.fuzz(programs / target, target), self.targets))
        print(f"\n{'target':<10} {'executions':>12} {'edges':>7} {'features':>9} {'inputs':>7} {'seconds':>8} {'peak MB':>8}  findings")
        for row in results:
            numbers = f"{row['executions']:>12,} {row['edges']:>7,} {row['features']:>9,} {row['inputs']:>7,}"
            print(f"{row['target']:<10} {numbers} {row['seconds']:>8,.0f} {row['peak']:>8,}  {len(row['findings'])}")
        findings = [finding for row in results for finding in row["findings"]]
        print("".join(f"FINDING {finding}\n" for finding in findings), end="")
        executions = sum(row["executions"] for row in results)
        print(f"fuzz: {len(results)} targets, {executions:,} executions, {len(findings)} findings")
        return not findings

    def fuzz(self, program, target):
        corpus, found = self.folder / "corpus" / target, self.folder / "findings" / target
        for folder in corpus, found:
            folder.mkdir(parents=True, exist_ok=True)
        subprocess.run([str(program)], env={**os.environ, "FUZZ_SEEDS": str(corpus)}, check=True, capture_output=True)
        options = [f"-max_total_time={self.arguments.seconds}", f"-max_len={LENGTHS.get(target, 2_000)}"]
        options += ["-timeout=20", "-rss_limit_mb=2048", "-print_final_stats=1", f"-artifact_prefix={found}/"]
        options += [f"-dict={self.dictionary()}"] if target in ("pipeline", "settings") else []
        before, started = set(found.iterdir()), time.monotonic()
        # Requests to the local server must not go through a proxy.
        environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        ended = subprocess.run([str(program), *options, str(corpus)], capture_output=True, env=environment)
        text = ended.stderr.decode(errors="replace")
        log = self.folder / f"{target}.log"
        log.write_text(text)
        last = {name: int(value) for name, value in re.findall(r"(cov|ft): (\d+)", text)}
        stat = {name: int(value) for name, value in re.findall(r"stat::(\w+): +(\d+)", text)}
        findings = [f"{target}: {path.name}: {reason(text)}; see {log}" for path in sorted(set(found.iterdir()) - before)]
        if ended.returncode != 0 and not findings:
            findings = [f"{target}: exit code {ended.returncode}: {reason(text)}; see {log}"]
        for scratch in Path("/dev/shm").glob(f"fuzz-*"):
            pid = scratch.name.removeprefix("fuzz-")
            if not Path(f"/proc/{pid}").exists():
                shutil.rmtree(scratch, ignore_errors=True)
        return {
            "target": target,
            "executions": stat.get("number_of_executed_units", 0),
            "edges": last.get("cov", 0),
            "features": last.get("ft", 0),
            "inputs": len(list(corpus.iterdir())),
            "seconds": time.monotonic() - started,
            "peak": stat.get("peak_rss_mb", 0),
            "findings": findings,
        }

    def dictionary(self):
        """The words of pipeline.yaml, for libFuzzer to insert."""
        path = self.folder / "pipeline.dict"
        words = sorted(set(re.findall(r"[\w.]{3,24}", (ROOT / "pipeline.yaml").read_text())))
        path.write_text("".join(f'"{word}"\n' for word in words if word.isascii()))
        return path


def reason(text):
    """The line that says what was found."""
    for pattern in (r"panicked at .*\n.*", r"finding: .*", r"ERROR: libFuzzer: .*"):
        found = re.search(pattern, text)
        if found:
            return found[0].replace("\n", ": ")[:300]
    return text[-300:]


def add(commands):
    parser = commands.add_parser("fuzz", help="fuzz every reader, guided by coverage", description=__doc__)
    parser.add_argument("--seconds", default=60, type=int, help="seconds for each target [60]")
    parser.add_argument("--targets", nargs="*", choices=TARGETS, help="only these targets")
    parser.add_argument("--jobs", default=os.cpu_count() or 1, type=int, help="targets at once [one per core]")
    parser.set_defaults(run=lambda arguments, work: Fuzz(arguments).run())

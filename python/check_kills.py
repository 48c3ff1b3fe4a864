"""Checks that a killed stage leaves no incomplete file under a final name, and that the same command then finishes with the
same bytes.

Takes one command of each stage from the lineage of a complete folder of artifacts, which is only read, and runs it in a copy
without its outputs: once to completion; then killed by SIGKILL at points spread over that time; then killed by the kernel
near the end of a file, by a limit on file sizes. After each kill every file under a final name must be complete. The same
command must then exit with code 0 and leave the files of the original, byte for byte, and no others; `timings`, which depend
on the clock, must be complete. Of a job that is linked to another run's, that run's is killed. Exit code 1 on failure.
Run it in the same working folder as the pipeline, since commands may have relative paths.

    ./scripts/run_pipeline.sh --profile smoke
    python python/check_kills.py artifacts/smoke
"""

import argparse
import filecmp
import resource
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from xml.etree import ElementTree

import pyarrow.parquet as pq

PER_TRAINING = ["train", "evaluate", "snapshot", "metrics", "generate"]  # the stages with one job per dataset, run and seed
ENDS = {
    ".png": b"\x00\x00\x00\x00IEND\xaeB`\x82",
    ".html": b"</html>\n",
    ".pdf": b"%%EOF",
    ".csv": b"\n",
    ".txt": b"\n",
}


def commands(artifacts, run):
    """The last successful command of one job of each stage, for the first dataset and seed of the run, by job; of what the run
    shares with another run, the command of that one."""
    lineage = artifacts / "lineage/lineage.parquet"
    rows = pq.ParquetFile(lineage).read().to_pylist() if lineage.is_file() else []
    done = {row["node"]: shlex.split(row["command"]) for row in rows if row["status"] == "done"}
    links = {row["node"]: row["command"].removeprefix("linked to ") for row in rows if row["status"] == "linked"}
    known = {**links, **done}
    training = min((job.split(" ")[1] for job in known if job.startswith("train ") and f"/{run}/" in job), default="")
    jobs = [f"prep {training.split('/')[0]}", *(f"{stage} {training}" for stage in PER_TRAINING), "correlate", "plot"]
    executed = [job if job in done else links.get(job) for job in jobs]
    if not done.keys() >= set(executed):
        sys.exit(f"error: {artifacts} is not complete, or {run} lacks a stage; run ./scripts/run_pipeline.sh --profile smoke")
    return {job: done[job] for job in executed}


def names(folder):
    """The files of a folder that jobs write, except the driver's; those that are being written are in .tmp, beside a note."""
    notes = ("README.txt", "artifacts.sql")
    files = {path.relative_to(folder) for path in folder.rglob("*") if path.is_file() and path.name not in notes}
    return {name for name in files if name.parts[0][0] != "." or name.parts[0] == ".tmp"}


def writes(job, name, folder):
    """Whether a job wrote a file, by the stage in its footer and the keys in its path."""
    stage, _, training = job.partition(" ")
    if name.suffix != ".parquet":
        return stage == "plot"
    keys = {f"{key}={part}" for key, part in zip(("dataset", "run", "seed"), training.split("/")) if part}
    producer = pq.read_metadata(folder / name).metadata[b"producer"].decode()
    return producer.split(" ")[0] == stage and keys <= set(name.parts)


def damage(path):
    """What is wrong with a file under a final name; None if it is complete."""
    try:
        if path.suffix == ".parquet":
            pq.ParquetFile(path).read()
        elif path.suffix == ".svg":
            ElementTree.parse(path)
        elif not path.read_bytes().endswith(ENDS[path.suffix]):
            return f"cut off after {path.stat().st_size} bytes"
    except Exception as error:  # any reader's own kind of failure is a finding
        return f"{type(error).__name__}: {error}"
    return None


def limit(size):
    """Limits the size of files that a program about to start may write; SIGXFSZ kills it beyond that, without a core dump."""
    for kind, soft in (resource.RLIMIT_FSIZE, size), (resource.RLIMIT_CORE, 0):
        resource.setrlimit(kind, (soft, resource.getrlimit(kind)[1]))


class Trial:
    """A job's command, and the copy of the artifacts that it works on."""

    def __init__(self, job, command, original, copy):
        self.original, self.copy, self.names = original, copy, names(original)
        self.command = [str(copy) if flag == "--artifacts" else part for flag, part in zip(["", *command], command)]
        self.files = {name for name in self.names if writes(job, name, original)}
        self.kills = self.amid = 0
        self.failures = []

    def run(self, when, seconds=None, size=None):
        """Runs the command until it exits or is killed, after some seconds or by the size limit; returns whether it was killed."""
        limited = (lambda: limit(size)) if size else None
        try:
            ended = subprocess.run(self.command, capture_output=True, text=True, timeout=seconds, preexec_fn=limited)
        except subprocess.TimeoutExpired:  # subprocess has sent SIGKILL and waited
            return True
        if ended.returncode != (-signal.SIGXFSZ if size else 0):
            self.failures.append(f"{when}: exit code {ended.returncode}: {ended.stderr.strip()}")
        return bool(size)

    def finish(self, when):
        """Runs the command to completion; the copy must then have the files of the original, and no others."""
        self.run(when)
        present = names(self.copy)
        self.failures += [f"{when}: {name} is not removed" for name in present - self.names]
        self.failures += [f"{when}: {name} is missing" for name in self.names - present]
        for name in self.names & present:
            timed = name in self.files and name.parts[0] == "timings" and not damage(self.copy / name)
            if not timed and not filecmp.cmp(self.original / name, self.copy / name, shallow=False):
                self.failures.append(f"{when}: {name} differs")

    def kill(self, seconds=None, size=None):
        """Removes the outputs, kills the command (earlier, if it exits before), checks its files, and runs it to completion."""
        when = f"killed as a file outgrew {size} bytes" if size else f"killed after {seconds:.3f} s"
        self.remove()
        if not self.run(when, seconds, size):
            self.kill(seconds * 0.7)
            return
        found = names(self.copy) - (self.names - self.files)
        final = {name for name in found if name.parts[0] != ".tmp"}
        tables = {name.parts[0] for name in final if name.suffix == ".parquet"}
        stray = {name for name in final if name.parts[0] in tables and name.suffix != ".parquet"}
        self.failures += [f"{when}: {name}: a file of another kind in the folder of a table" for name in stray]
        self.failures += [f"{when}: {name}: {why}" for name in final if (why := damage(self.copy / name))]
        self.kills, self.amid = self.kills + 1, self.amid + (found != final)
        self.finish(f"{when} and run again")

    def remove(self):
        for name in names(self.copy) - (self.names - self.files):
            (self.copy / name).unlink()


def main():
    arguments = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    arguments.add_argument("artifacts", nargs="?", default="artifacts/smoke", type=Path)
    arguments.add_argument("--run", default="run_3", help="run whose commands are killed; it must have every stage")
    arguments.add_argument("--kills", default=4, type=int, help="number of kills by time, and at most as many by the size limit")
    given = arguments.parse_args()
    jobs = commands(given.artifacts, given.run)
    kills = failures = 0
    for job, command in jobs.items():
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / "artifacts"
            shutil.copytree(given.artifacts, copy, ignore=shutil.ignore_patterns(".*"))
            trial = Trial(job, command, given.artifacts, copy)
            trial.remove()
            started = time.monotonic()
            trial.finish("not killed")
            seconds = time.monotonic() - started
            sizes = sorted({(copy / name).stat().st_size for name in trial.files if name.parts[0] != "timings"})
            for number in range(given.kills):
                trial.kill(seconds=seconds * (number + 0.5) / given.kills)
            for number in range(min(given.kills, len(sizes))):
                trial.kill(size=sizes[-1 - len(sizes) * number // given.kills] - 10)
        amid = f"{trial.amid} of them within a file"
        print(f"{job:<36} {len(trial.files):>3} files, {trial.kills} kills, {amid}, {len(trial.failures)} failures")
        print("".join(f"  {failure}\n" for failure in trial.failures[:20]), end="", flush=True)
        kills, failures = kills + trial.kills, failures + len(trial.failures)
    stages = len({job.split(" ")[0] for job in jobs})
    well = "no file was incomplete, and every stage then finished with the same bytes"
    print(f"\n{stages} stages, {kills} kills: {f'{failures} FAILURES' if failures else well}")
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()

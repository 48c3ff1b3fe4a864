"""Whether killing any stage leaves no incomplete file under a final name, and the same command then finishes with the
same bytes.

Takes a command of each stage from the lineage of a finished folder of artifacts, which itself is only read, and runs it
in a copy in which what it wrote is removed: once to its end; then killed by SIGKILL at moments spread over that time;
then killed by the kernel near the end of a file, which outgrows a limit. After each kill every file under a final name
must be whole, and the same command must end well and leave the files of the original, byte for byte, and no other;
`timings`, which come from clocks, must be whole. Where a training was taken over from another run, that run's is killed
too. Exit code 1 if something is not so. To be called where the pipeline was, as its commands may be relative.

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

PLACED = ["train", "snapshot", "metrics", "generate"]  # the stages that work for one text, run and seed
ENDS = {".png": b"\x00\x00\x00\x00IEND\xaeB`\x82", ".html": b"</html>\n"}


def commands(artifacts, run):
    """By node, the last command that it was done by: one node of each stage, for the first text and seed of the run."""
    lineage = artifacts / "lineage/lineage.parquet"
    rows = pq.ParquetFile(lineage).read().to_pylist() if lineage.is_file() else []
    done = {row["node"]: shlex.split(row["command"]) for row in rows if row["status"] == "done"}
    place = min((node.split(" ")[1] for node in done if node.startswith("train ") and f"/{run}/" in node), default="")
    nodes = [f"prep {place.split('/')[0]}", *(f"{stage} {place}" for stage in PLACED), "correlate", "plot"]
    if not done.keys() >= set(nodes):
        sys.exit(f"{artifacts} is not finished, or {run} lacks a stage: run ./scripts/run_pipeline.sh --profile smoke")
    train = done[nodes[1]]
    if "--same-as" in train:
        nodes.insert(1, nodes[1].replace(f"/{run}/", f"/{train[train.index('--same-as') + 1]}/"))
    return {node: done[node] for node in nodes}


def names(folder):
    """The files of a folder, but for what the driver remembers."""
    return {path.relative_to(folder) for path in folder.rglob("*") if path.is_file() and path.name[0] != "."}


def writes(node, name, folder):
    """Whether a node wrote a file: its footer says the stage, its path the rest."""
    stage, _, place = node.partition(" ")
    if name.suffix != ".parquet":
        return stage == "plot"
    keys = {f"{key}={part}" for key, part in zip(("dataset", "run", "seed"), place.split("/")) if part}
    producer = pq.read_metadata(folder / name).metadata[b"producer"].decode()
    return producer.split(" ")[0] == stage and keys <= set(name.parts)


def damage(path):
    """What is wrong with a file that has its final name; nothing if it is whole."""
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
    """For a program about to start: writing more than so many bytes to a file ends it, by SIGXFSZ, without a core."""
    for kind, soft in (resource.RLIMIT_FSIZE, size), (resource.RLIMIT_CORE, 0):
        resource.setrlimit(kind, (soft, resource.getrlimit(kind)[1]))


class Trial:
    """A node's command, and the copy of the artifacts that it works on."""

    def __init__(self, node, command, original, copy):
        self.original, self.copy, self.names = original, copy, names(original)
        self.command = [str(copy) if flag == "--artifacts" else part for flag, part in zip(["", *command], command)]
        self.files = {name for name in self.names if writes(node, name, original)}
        self.kills = self.amid = 0
        self.failures = []

    def run(self, when, seconds=None, size=None):
        """Runs the command until it ends, by itself or by the clock or the limit; returns whether it was killed."""
        limited = (lambda: limit(size)) if size else None
        try:
            ended = subprocess.run(self.command, capture_output=True, text=True, timeout=seconds, preexec_fn=limited)
        except subprocess.TimeoutExpired:  # by now SIGKILL was sent, and the program is gone
            return True
        if ended.returncode != (-signal.SIGXFSZ if size else 0):
            self.failures.append(f"{when}: exit code {ended.returncode}: {ended.stderr.strip()}")
        return bool(size)

    def finish(self, when):
        """Runs the command to its end; the copy must then hold the files of the original, and no other."""
        self.run(when)
        present = names(self.copy)
        self.failures += [f"{when}: {name} is left over" for name in present - self.names]
        self.failures += [f"{when}: {name} is missing" for name in self.names - present]
        for name in self.names & present:
            timed = name in self.files and name.parts[0] == "timings" and not damage(self.copy / name)
            if not timed and not filecmp.cmp(self.original / name, self.copy / name, shallow=False):
                self.failures.append(f"{when}: {name} has other bytes")

    def kill(self, seconds=None, size=None):
        """Begins anew, kills (earlier, if the command has ended by then), looks at what is there, and finishes."""
        when = f"killed as a file outgrew {size} bytes" if size else f"killed after {seconds:.3f} s"
        self.remove()
        if not self.run(when, seconds, size):
            self.kill(seconds * 0.7)
            return
        found = names(self.copy) - (self.names - self.files)
        final = {name for name in found if name.suffix != ".tmp"}
        self.failures += [f"{when}: {name}: {why}" for name in final if (why := damage(self.copy / name))]
        self.kills, self.amid = self.kills + 1, self.amid + (found != final)
        self.finish(f"{when} and called again")

    def remove(self):
        for name in names(self.copy) - (self.names - self.files):
            (self.copy / name).unlink()


def main():
    arguments = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    arguments.add_argument("artifacts", nargs="?", default="artifacts/smoke", type=Path)
    arguments.add_argument("--run", default="run_3", help="whose commands are killed: a run that has every stage")
    arguments.add_argument("--kills", default=4, type=int, help="by the clock, and as many by a limit at most")
    given = arguments.parse_args()
    nodes = commands(given.artifacts, given.run)
    kills = failures = 0
    for node, command in nodes.items():
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / "artifacts"
            shutil.copytree(given.artifacts, copy, ignore=shutil.ignore_patterns(".*"))
            trial = Trial(node, command, given.artifacts, copy)
            trial.remove()
            started = time.monotonic()
            trial.finish("not killed")
            seconds = time.monotonic() - started
            sizes = sorted({(copy / name).stat().st_size for name in trial.files if name.parts[0] != "timings"})
            for number in range(given.kills):
                trial.kill(seconds=seconds * (number + 0.5) / given.kills)
            for number in range(min(given.kills, len(sizes))):
                trial.kill(size=sizes[-1 - len(sizes) * number // given.kills] - 10)
        amid = f"{trial.amid} of them amid a file"
        print(f"{node:<36} {len(trial.files):>3} files, {trial.kills} kills, {amid}, {len(trial.failures)} failures")
        print("".join(f"  {failure}\n" for failure in trial.failures[:20]), end="", flush=True)
        kills, failures = kills + trial.kills, failures + len(trial.failures)
    stages = len({node.split(" ")[0] for node in nodes})
    well = "no file was incomplete, and every stage then finished with the same bytes"
    print(f"\n{stages} stages, {kills} kills: {f'{failures} FAILURES' if failures else well}")
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()

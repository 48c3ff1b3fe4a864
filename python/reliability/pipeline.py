"""The pipeline as a user sees it: a command, a folder, processes. Standard library only, but for `without_clocks`."""

import filecmp
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
STAGES = ("prep", "train", "evaluate", "snapshot", "metrics", "generate", "correlate", "plot")

# What is made from clocks; all else has the same bytes in every run.
CLOCKS = ("timings", "results", "lineage", "report")
ENDS = {".png": b"\x00\x00\x00\x00IEND\xaeB`\x82", ".svg": b"</svg>", ".html": b"</html>", ".sql": b";", ".pdf": b"%%EOF"}
LINES = {".csv", ".txt"}  # whose last line ends


class Pipeline:
    """The driver's command on one profile, and folders to run it in."""

    def __init__(self, programs, profile="smoke", settings=(), flags=(), file=ROOT / "pipeline.yaml"):
        self.programs = Path(programs)
        self.base = [str(self.programs / "driver"), "--profile", profile, "--file", str(file)]
        self.base += [word for setting in settings for word in ("--set", setting)] + list(flags)
        if not (self.programs / "driver").is_file():
            sys.exit(f"error: {self.programs / 'driver'} is missing: run scripts/reliability.sh, which builds the programs")

    def command(self, folder, *more):
        return [*self.base, "--artifacts", str(folder), *more]

    def start(self, folder, *more, **options):
        """Starts the driver in a process group of its own, as a terminal does."""
        log = tempfile.TemporaryFile()
        started = subprocess.Popen(
            self.command(folder, *more), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, **options
        )
        started.log = log
        return started

    def run(self, folder, *more, timeout=900, **options):
        """Runs the driver to its end; returns its exit code and what it said."""
        started = self.start(folder, *more, **options)
        try:
            started.wait(timeout)
        except subprocess.TimeoutExpired:
            os.killpg(started.pid, signal.SIGKILL)
            started.wait()
            return None, said(started) + f"\nit did not end in {timeout} s"
        return started.returncode, said(started)

    def reference(self, folder):
        """Artifacts of a run that nothing disturbed."""
        code, output = self.run(folder)
        if code != 0:
            sys.exit(f"error: the undisturbed run ended with {code}:\n{output[-3000:]}")


def said(process):
    process.log.seek(0)
    return process.log.read().decode(errors="replace")


def processes():
    """Of each process: its id, its parent's id, its command line."""
    listed = subprocess.run(["ps", "-axo", "pid=,ppid=,stat=,command="], capture_output=True, text=True).stdout
    for line in listed.splitlines():
        pid, parent, state, command = line.split(None, 3) if len(line.split(None, 3)) == 4 else (*line.split(None, 2), "")
        if not state.startswith("Z"):
            yield int(pid), int(parent), command


def stages_of(driver):
    """The stages that a driver runs now: process ids by name."""
    children = [(pid, command) for pid, parent, command in processes() if parent == driver]
    named = [(pid, Path(command.split(" ")[0]).name) for pid, command in children]
    return [(pid, name) for pid, name in named if name in STAGES]


def left_over(folder, seconds=15):
    """Processes that still work in a folder after so long; none is what a user expects once the driver has ended."""
    deadline = time.monotonic() + seconds
    while True:
        left = [command for pid, _, command in processes() if str(folder) in command and pid != os.getpid()]
        left = [command for command in left if Path(command.split(" ")[0]).name in (*STAGES, "driver")]
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(0.02)


def names(folder):
    """The files of a folder that a user sees: nothing below a name that begins with a dot."""
    found = set()
    for above, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found |= {(Path(above) / name).relative_to(folder) for name in files if not name.startswith(".")}
    return found


def damage(path):
    """What is wrong with a file under a final name; None if it is complete."""
    data = path.read_bytes()
    if path.suffix == ".parquet":
        size = int.from_bytes(data[-8:-4], "little")
        whole = data[:4] == data[-4:] == b"PAR1" and 0 < size <= len(data) - 12
        return None if whole else f"no complete Parquet file ({len(data)} bytes)"
    if path.suffix in LINES:
        return None if data.endswith(b"\n") else f"cut off after {len(data)} bytes"
    if path.suffix not in ENDS:
        return "a file that no reader expects there"
    return None if data.rstrip(b"\n").endswith(ENDS[path.suffix]) else f"cut off after {len(data)} bytes"


def trips(folder):
    """What a reader of the folder would trip over."""
    return [f"{name}: {why}" for name in sorted(names(folder)) if (why := damage(folder / name))]


def differences(reference, folder):
    """How finished artifacts differ from the reference, but for what clocks reach."""
    expected, found = names(reference), names(folder)
    differing = [f"{name} is missing" for name in sorted(expected - found)]
    differing += [f"{name} is not in the reference" for name in sorted(found - expected)]
    for name in sorted(expected & found):
        if name.parts[0] in CLOCKS:
            why = damage(folder / name) or without_clocks(reference / name, folder / name, name.parts[0])
            differing += [f"{name}: {why}"] if why else []
        elif not filecmp.cmp(reference / name, folder / name, shallow=False):
            differing.append(f"{name} differs")
    return differing


def without_clocks(reference, path, table):
    """How two files differ in what does not come from a clock; None if not, or if pyarrow is not installed."""
    try:
        import pyarrow.parquet as pq
    except ImportError:
        return None
    if table == "report":
        return None
    one, other = (pq.ParquetFile(file).read().to_pylist() for file in (reference, path))
    if table == "results":
        # Of equal trainings one is computed; `training_of` says whose clock was read, which a kill can change.
        clocked = ("total_train_time_secs", "inference_tokens_per_sec", "training_of")
        one, other = ([{key: row[key] for key in row if not key.startswith(clocked)} for row in rows] for rows in (one, other))
    elif table == "timings":
        # A training that was interrupted has more rows, of the same work.
        one, other = (characters(rows) for rows in (one, other))
    else:
        # Files that a killed driver did not record are adopted by the next; which of equal jobs is linked can change, too.
        well = ("done", "adopted", "linked")
        one, other = ({row["node"]: row["status"] in well for row in rows} for rows in (one, other))
    return None if one == other else f"{one} became {other}"[:500]


def characters(rows):
    totals = {}
    for row in rows:
        totals[row["activity"]] = totals.get(row["activity"], 0) + row["characters"]
    return {activity: total for activity, total in totals.items() if total}


def emptied(folder):
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder

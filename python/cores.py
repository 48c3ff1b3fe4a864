"""Predicts how long a finished study would take on more cores than this machine has, and how busy they would be.

It repeats a job of every stage on one thread and on two, in a copy of the study's folder, from which Amdahl's law gives what more
threads would gain; and two trainings at once, from which follows what jobs cost each other. Then it goes through the study's jobs as
the driver does: of those that are ready the one with the longest path to the end starts first, on its share of the free cores.
The prediction for this machine's cores stands beside what the study took. Needs an idle machine.

    python python/cores.py artifacts/laptop
"""

import argparse
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import polars as pl

ROOT = Path(__file__).resolve().parents[1]
PROGRAMS = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release"
CORES = [1, 2, 4, 8, 16]
# A training's speed does not depend on how long it is.
UPDATES = 200
SHORT = {"max-iters": UPDATES, "eval-interval": UPDATES, "eval-iters": 20, "checkpoint-steps": f"0,{UPDATES}"}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("artifacts", type=Path, help="folder of a finished study, such as artifacts/laptop")
    parser.add_argument("--profile", default="laptop", help="its profile (laptop)")
    parser.add_argument("--repeats", type=int, default=3, help="how often each measurement is repeated (3)")
    arguments = parser.parse_args()
    arguments.artifacts = arguments.artifacts.resolve()
    executed = last_executions(arguments.artifacts)
    serial, crowded = measure(arguments, executed)
    jobs = plan(arguments, executed, links(arguments.artifacts))
    print_stages(executed, serial, crowded)
    print(f"\nWhile jobs ran, {occupied(executed):.0f} s went by on this machine's {os.cpu_count()} cores.\n")
    print("| cores | predicted time | of one core | cores busy |\n|---|---|---|---|")
    alone = None
    for cores in CORES:
        seconds, busy = simulate(jobs, cores, serial, crowded)
        alone = alone or seconds
        print(f"| {cores} | {seconds:.0f} s | {alone / seconds:.1f} × | {100 * busy / (seconds * cores):.0f} % |")


def last_executions(folder):
    """The last finished execution of each job, with its threads and its end."""
    lineage = pl.read_parquet(folder / "lineage" / "lineage.parquet")
    ours = pl.col("stage").is_in([program.name for program in PROGRAMS.iterdir()])
    done = lineage.filter((pl.col("status") == "done") & ours).sort("started_at_secs").unique("node", keep="last", maintain_order=True)
    threads = pl.col("command").str.extract(r"--threads (\d+)").cast(pl.Int64)
    return done.with_columns(threads=threads, ended=pl.col("started_at_secs") + pl.col("wall_secs"))


def links(folder):
    """For each job that was linked or copied, the job whose tables it took."""
    lineage = pl.read_parquet(folder / "lineage" / "lineage.parquet").sort("started_at_secs")
    taken = lineage.filter(pl.col("status") == "linked")
    return dict(zip(taken["node"], taken["command"].str.replace("^(linked to|copied from) ", "")))


def occupied(executed):
    """Seconds in which at least one job ran: a study may have been interrupted, and parts of it made anew later."""
    seconds, until = 0.0, 0.0
    for started, ended in executed.sort("started_at_secs").select("started_at_secs", "ended").iter_rows():
        seconds += max(ended - max(started, until), 0.0)
        until = max(until, ended)
    return seconds


def measure(arguments, executed):
    """The serial share of each stage, and how many times as long a training takes beside another."""
    serial, crowded = {}, 1.0
    with tempfile.TemporaryDirectory(dir=arguments.artifacts.parent) as scratch:
        folder = Path(scratch) / "study"
        shutil.copytree(arguments.artifacts, folder, copy_function=os.link, ignore=shutil.ignore_patterns(".*"))
        for stage in executed["stage"].unique(maintain_order=True):
            # Of the jobs of a stage the longest, in which starting the program matters least.
            job = executed.filter(pl.col("stage") == stage).sort("wall_secs").row(-1, named=True)
            one, two = (min(timed([command(job, folder, threads)]) for _ in range(arguments.repeats)) for threads in (1, 2))
            # Amdahl: t(n) = t(1) · (s + (1 − s) / n).
            serial[stage] = min(max(2 * two / one - 1, 0.0), 1.0)
            print(f"{stage}: {one:.2f} s on one thread, {two:.2f} s on two", file=sys.stderr)
            if stage == "train":
                pair = [command(job, folder, 1), command(job, folder, 1, seed=2**31)]
                crowded = max(min(timed(pair) for _ in range(arguments.repeats)) / one, 1.0)
    return serial, crowded


def command(job, folder, threads, seed=None):
    """The command that ran a job, in another folder, on so many threads; a training short and with a seed that nothing has."""
    words = shlex.split(job["command"])
    program, flags = PROGRAMS / Path(words[0]).name, dict(zip(map(lambda flag: flag.removeprefix("--"), words[1::2]), words[2::2]))
    flags |= {"artifacts": folder, "threads": threads}
    if job["stage"] == "train":
        flags |= SHORT | {"seed": seed or 2**31 - 1}
        flags.pop("shared-by", None)
        shutil.rmtree(folder / "optimizer", ignore_errors=True)
        for of_seed in folder.glob(f"*/dataset=*/run=*/seed={flags['seed']}"):
            shutil.rmtree(of_seed)
    return [str(word) for flag, value in flags.items() for word in (f"--{flag}", value)], program


def timed(commands):
    """Seconds that commands take, all at once."""
    started = time.monotonic()
    running = [subprocess.Popen([program, *flags, "--quiet"], stdout=subprocess.DEVNULL) for flags, program in commands]
    codes = [process.wait() for process in running]
    if any(codes):
        sys.exit(f"error: a job ended with code {max(codes)}: {commands[0][1]}")
    return time.monotonic() - started


def plan(arguments, executed, links):
    """For each job of the study that ran: its stage, its seconds and threads, and the jobs it waits for, by name."""
    driver = [PROGRAMS / "driver", "graph", "--by", "job", "--profile", arguments.profile, "--artifacts", arguments.artifacts]
    dot = subprocess.run(driver, capture_output=True, text=True, check=True, cwd=ROOT).stdout
    names = {number: label.replace("\\n", " ") for number, label in re.findall(r'(job\d+) \[label="([^"]*)"', dot)}
    needs = {name: set() for name in names.values()}
    for before, after in re.findall(r"(job\d+) -> (job\d+)", dot):
        needs[names[after]].add(names[before])
    ran = {row["node"]: row for row in executed.iter_rows(named=True)}

    def computed(name):
        """What has to be done before a job's tables are there: where they were linked, the job whose tables they are."""
        if name in ran:
            return {name}
        return computed(links[name]) if name in links else {found for other in needs[name] for found in computed(other)}

    return {
        name: (row["stage"], row["wall_secs"], row["threads"], {found for other in needs.get(name, ()) for found in computed(other)})
        for name, row in ran.items()
        if name in needs
    }


def seconds_on(threads, stage, seconds, before, serial):
    """Seconds on so many threads of a job that took `seconds` on `before`."""
    share = lambda count: serial[stage] + (1 - serial[stage]) / count
    return seconds * share(threads) / share(before)


def simulate(jobs, cores, serial, crowded):
    """Seconds until the last job ends, and the core-seconds that were used. Jobs were measured beside others, so alone they are
    faster by `crowded`; what more than two jobs cost each other is not known, and taken to be what two do. Memory and GPUs do not limit anything here."""
    cost = lambda name, threads: seconds_on(threads, jobs[name][0], jobs[name][1], jobs[name][2], serial)
    followers = {name: [other for other, (*_, needs) in jobs.items() if name in needs] for name in jobs}
    paths = {}

    def path(name):
        if name not in paths:
            paths[name] = cost(name, 1) + max((path(other) for other in followers[name]), default=0.0)
        return paths[name]

    waiting, running, done, now, busy = set(jobs), {}, set(), 0.0, 0.0
    while waiting or running:
        ready = sorted((name for name in waiting if jobs[name][3] <= done), key=path, reverse=True)
        while ready and len(running) < cores:
            name = ready.pop(0)
            # As the driver's Machine::threads.
            free = max(cores - sum(threads for _, threads in running.values()), 0)
            threads = max(free // max(min(cores - len(running), len(ready) + 1), 1), 1)
            alone = not running and not ready
            seconds = cost(name, threads) / (crowded if alone and jobs[name][2] == 1 else 1.0)
            waiting.discard(name)
            running[name] = (now + seconds, threads)
            busy += seconds * threads
        name = min(running, key=lambda name: running[name][0])
        now = running.pop(name)[0]
        done.add(name)
    return now, busy


def print_stages(executed, serial, crowded):
    print("| stage | jobs that ran | seconds in all | share that one thread does |\n|---|---|---|---|")
    for stage, share in serial.items():
        rows = executed.filter(pl.col("stage") == stage)
        print(f"| {stage} | {len(rows)} | {rows['wall_secs'].sum():.0f} | {100 * share:.0f} % |")
    print(f"\nA training on one thread beside another takes {crowded:.2f} times as long as alone.")


if __name__ == "__main__":
    main()

"""A study of a thousand jobs whose stages do nothing, of which some fail at random: what does not depend on a failed job must be
finished, the next calls must finish the rest, and a call with nothing to do must be fast.
"""

import os
import re
import resource
import subprocess
import sys
import time
from pathlib import Path

from .pipeline import ROOT, STAGES, Pipeline, emptied, left_over, trips

# A seed has fourteen jobs: four runs train and generate, three of them also snapshot and measure.
JOBS_PER_SEED, OTHER_JOBS = 18, 3


class Soak:
    def __init__(self, arguments, work):
        self.arguments, self.folder = arguments, emptied(work) / "artifacts"
        self.failures = []
        programs = emptied(work / "programs")
        fake = arguments.programs / "examples" / "fake_stage"
        if not fake.is_file():
            sys.exit(f"error: {fake} is missing: run scripts/reliability.sh, which builds it")
        for stage in STAGES:
            (programs / stage).symlink_to(fake)
        seeds = range(1, 2 + (arguments.jobs - OTHER_JOBS - 1) // JOBS_PER_SEED)
        self.jobs = OTHER_JOBS + JOBS_PER_SEED * len(seeds)
        settings = [f"seeds=[{','.join(map(str, seeds))}]"]
        self.pipeline = Pipeline(arguments.programs, settings=settings, flags=["--programs", str(programs)])

    def run(self):
        self.rounds()
        self.nothing_to_do()
        print("".join(f"FAILURE {failure}\n" for failure in self.failures[:40]), end="")
        print(f"soak: {self.jobs} jobs, {len(self.failures)} failures")
        return not self.failures

    def rounds(self):
        for number in range(1, self.arguments.rounds + 1):
            percent = self.arguments.percent if number < self.arguments.rounds else 0
            environment = {**os.environ, "FAKE_PERCENT": str(percent), "FAKE_ROUND": str(number)}
            started = time.monotonic()
            code, output = self.pipeline.run(self.folder, env=environment)
            seconds = time.monotonic() - started
            done = set(re.findall(r"^✓ (\S+(?: \S+)?) · ", output, re.MULTILINE))
            failed = set(re.findall(r"^✗ (\S+(?: \S+)?): ", output, re.MULTILINE))
            print(f"round {number}: {len(done)} done, {len(failed)} failed, exit code {code}, {seconds:.1f} s", flush=True)
            self.failures += [f"round {number}: a process is left: {command}" for command in left_over(self.folder)]
            self.failures += [f"round {number}: {what}" for what in self.partial_files()]
            if code == 0:
                if failed:
                    self.failures.append(f"round {number}: exit code 0 with failed jobs")
                return
            if code not in (1, 3) or not failed:
                self.failures.append(f"round {number}: exit code {code}, {len(failed)} jobs failed: {output[-1500:]}")
                return
            self.rest_is_done(number, failed, output)
        self.failures.append(f"not done after {self.arguments.rounds} rounds")

    def partial_files(self):
        return [what for what in trips(self.folder) if not what.startswith(("plots/", "report/"))]

    def rest_is_done(self, number, failed, output):
        """What does not depend on a failed job is up to date: a dry run says what would run."""
        code, planned = self.pipeline.run(self.folder, "--dry-run")
        if code != 0:
            self.failures.append(f"round {number}: --dry-run ends with {code}: {planned[-1000:]}")
            return
        # A job is named before what is said of it.
        would = re.findall(r"^\W*(\w+ \S+/\S+/\d+) · run", planned, re.MULTILINE)
        # A training that is to be taken from another's waits for that one.
        excused = {job for job in would if any(depends(job, on) for on in failed)}
        left = [job for job in would if job not in excused]
        if left:
            self.failures.append(f"round {number}: {len(left)} jobs were not run, such as {left[0]}, and depend on no failed one")
        summary = re.search(r"^(\d+) failed\b", output, re.MULTILINE)
        if summary is None or int(summary[1]) != len(failed):
            self.failures.append(f"round {number}: {len(failed)} jobs are listed as failed, and the end says {summary and summary[0]}")

    def nothing_to_do(self):
        best = None
        for _ in range(5):
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            started = time.monotonic()
            code, output = self.pipeline.run(self.folder)
            seconds = time.monotonic() - started
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            best = min(best or (seconds, cpu), (seconds, cpu))
            if code != 0 or "✓" in output:
                self.failures.append(f"nothing is to be done, and it ends with {code}: {output[-800:]}")
        print(f"nothing to do on {self.jobs} jobs: {best[0]:.3f} s, of which {best[1]:.3f} s CPU (limit {self.arguments.limit} s)")
        # A busy machine makes it wait, but does not make it work more.
        if min(best) > self.arguments.limit:
            self.failures.append(f"nothing is to be done, and it takes {best[0]:.2f} s")


# What a job needs of its own training; equal work of another run is taken from there, so that what that needs is needed, too.
NEEDS = {
    "train": {"train"},
    "evaluate": {"train", "evaluate"},
    "snapshot": {"train", "snapshot"},
    "metrics": {"train", "snapshot", "metrics"},
    "generate": {"train", "generate"},
}


def depends(job, on):
    """Whether a job of a training may need another job."""
    stage, _, of = job.partition(" ")
    needed, _, needed_of = on.partition(" ")
    if "/" not in needed_of:
        return needed == "prep"
    dataset, _, seed = of.split("/")
    other_dataset, _, other_seed = needed_of.split("/")
    return (dataset, seed) == (other_dataset, other_seed) and needed in NEEDS[stage]


def add(commands):
    parser = commands.add_parser("soak", help="a thousand jobs that do nothing, 10 %% failing", description=__doc__)
    parser.add_argument("--jobs", default=1000, type=int, help="number of jobs [1000]")
    parser.add_argument("--percent", default=10, type=int, help="jobs that fail, of 100 [10]")
    parser.add_argument("--rounds", default=12, type=int, help="calls until everything is done; in the last nothing fails [12]")
    parser.add_argument("--limit", default=0.3, type=float, help="seconds for a call with nothing to do [0.3]")
    parser.set_defaults(run=lambda arguments, work: Soak(arguments, Path(work) / "soak").run())

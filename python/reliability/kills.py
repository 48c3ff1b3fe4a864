"""Kills a whole pipeline at random moments, through the driver, until it has finished; then compares every byte."""

import collections
import os
import random
import signal
import subprocess
import time
from pathlib import Path

from .pipeline import Pipeline, differences, emptied, left_over, said, stages_of, trips

# What is killed and how, with how often it is chosen.
WAYS = {
    "driver SIGKILL": 4,
    "stage SIGKILL": 3,
    "driver and stages SIGKILL": 2,
    "driver SIGTERM": 1,
    "driver SIGINT": 1,
    "Ctrl-C (SIGINT to all)": 1,
    "Ctrl-C twice": 1,
}


class Kills:
    def __init__(self, arguments, work):
        self.pipeline = Pipeline(arguments.programs)
        self.random = random.Random(arguments.seed)
        self.times, self.work = arguments.times, work
        self.ways = {way: weight for way, weight in WAYS.items() if not arguments.ways or way in arguments.ways}
        self.by_way, self.by_phase, self.codes = (collections.Counter() for _ in range(3))
        self.kills = self.completed = 0
        self.failures = []
        self.begun = time.monotonic()

    def run(self):
        reference = emptied(self.work / "reference")
        started = time.monotonic()
        self.pipeline.reference(reference)
        seconds = time.monotonic() - started
        print(f"undisturbed: {seconds:.1f} s", flush=True)
        while self.kills < self.times and len(self.failures) < 20:
            self.one_pipeline(reference, seconds)
        self.report()
        return not self.failures

    def one_pipeline(self, reference, seconds):
        """From nothing until it has finished, killed after a random time whenever that comes first."""
        folder = emptied(self.work / f"killed-{self.completed}")
        attempts = 0
        while True:
            attempts += 1
            driver = self.pipeline.start(folder)
            # Often early, sometimes late, and after many attempts never, so that it ends.
            delay = self.random.expovariate(16 / seconds) if self.random.random() < 0.9 else self.random.uniform(0, seconds)
            if attempts > 100 or self.kills >= self.times:
                delay = 10 * seconds + 300
            try:
                driver.wait(delay)
            except subprocess.TimeoutExpired:
                self.kill(driver, folder)
                continue
            if driver.returncode == 0:
                break
            self.failures.append(f"undisturbed, the driver ended with {driver.returncode}: {said(driver)[-1000:]}")
            return
        self.completed += 1
        found = differences(reference, folder)
        self.failures += [f"pipeline {self.completed}, after {attempts - 1} kills: {what}" for what in found]
        code, output = self.pipeline.run(folder, "--dry-run")
        if code != 0 or "▸" in output or " · run" in output:
            self.failures.append(f"pipeline {self.completed}: not everything is up to date at the end: {output[-1000:]}")
        print(f"{self.kills} kills, {self.completed} pipelines, {len(self.failures)} failures", flush=True)
        if not found:
            emptied(folder).rmdir()

    def kill(self, driver, folder):
        way = self.random.choices(list(self.ways), self.ways.values())[0]
        stages = stages_of(driver.pid)
        if way == "stage SIGKILL" and not stages:
            way = "driver SIGKILL"
        phase = " + ".join(sorted(name for _, name in stages)) or "between stages"
        send = {
            "driver SIGKILL": lambda: driver.kill(),
            "stage SIGKILL": lambda: os.kill(self.random.choice(stages)[0], signal.SIGKILL),
            "driver and stages SIGKILL": lambda: self.all(driver, stages),
            "driver SIGTERM": lambda: driver.terminate(),
            "driver SIGINT": lambda: driver.send_signal(signal.SIGINT),
            "Ctrl-C (SIGINT to all)": lambda: os.killpg(driver.pid, signal.SIGINT),
            "Ctrl-C twice": lambda: self.twice(driver),
        }[way]
        try:
            send()
        except ProcessLookupError:  # it ended by itself
            pass
        try:
            driver.wait(120)
        except subprocess.TimeoutExpired:
            self.failures.append(f"{way} during {phase}: the driver did not end in 120 s: {said(driver)[-1000:]}")
            os.killpg(driver.pid, signal.SIGKILL)
            driver.wait()
        if driver.returncode == 0 and way != "stage SIGKILL":
            return  # it had finished before the signal came
        self.kills += 1
        self.by_way[way] += 1
        self.by_phase[phase] += 1
        self.codes[way, driver.returncode] += 1
        when = f"kill {self.kills} ({way} during {phase})"
        self.failures += [f"{when}: a process is left: {command}" for command in left_over(folder)]
        self.failures += [f"{when}: {what}" for what in trips(folder)]
        interrupted = {"driver SIGTERM": (143, -15), "driver SIGINT": (130, -2), "Ctrl-C (SIGINT to all)": (130, -2)}
        if driver.returncode not in interrupted.get(way, (driver.returncode,)):
            self.failures.append(f"{when}: the exit code is {driver.returncode}: {said(driver)[-600:]}")

    def all(self, driver, stages):
        driver.kill()
        for pid, _ in stages:
            os.kill(pid, signal.SIGKILL)

    def twice(self, driver):
        os.killpg(driver.pid, signal.SIGINT)
        time.sleep(self.random.uniform(0, 0.1))
        os.killpg(driver.pid, signal.SIGINT)

    def report(self):
        print(f"\n{self.kills} kills in {time.monotonic() - self.begun:.0f} s")
        for title, counts in ("by way", self.by_way), ("by what ran", self.by_phase):
            print(title)
            print("".join(f"  {count:>5}  {name}\n" for name, count in counts.most_common()), end="")
        print("exit codes")
        print("".join(f"  {count:>5}  {way}: {code}\n" for (way, code), count in sorted(self.codes.items(), key=str)), end="")
        print(f"{self.completed} pipelines completed and compared")
        print("".join(f"FAILURE {failure}\n" for failure in self.failures[:40]), end="")
        print(f"kills: {self.kills} kills, {self.completed} pipelines, {len(self.failures)} failures")


def add(commands):
    parser = commands.add_parser("kills", help="kill whole pipelines at random moments", description=__doc__)
    parser.add_argument("--times", default=500, type=int, help="number of kills [500]")
    parser.add_argument("--seed", default=1, type=int, help="of the random moments [1]")
    parser.add_argument("--ways", nargs="*", choices=list(WAYS), help="only these ways")
    parser.set_defaults(run=lambda arguments, work: Kills(arguments, Path(work)).run())

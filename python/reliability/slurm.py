"""The pipeline on a Slurm cluster of this host: through it, killed with it, and compared with a local run, byte for byte."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from . import cluster as slurm
from .pipeline import ROOT, STAGES, Pipeline, differences, emptied, said

# Long enough to be stopped in the middle; the snapshots are those of the profile.
LONG = ("train.max_iters=2000", "train.eval_interval=500", "seeds=[1,2,3]", "runs=[run_1, run_2]")
# The plan of a paper: three texts, ten seeds, four runs; the text of the fake `prep` is short.
PAPER = ("train.block_size=64", "seeds=[1,2,3,4,5,6,7,8,9,10]", "per_dataset.enwik8.seeds=[1,2,3,4,5,6,7,8,9,10]", "per_dataset.text8.seeds=[1,2,3,4,5,6,7,8,9,10]")
# One training, which is stopped until its time limit.
LIMITED = ("train.max_iters=20000", "train.eval_interval=1000", "train.log_interval=100", "snapshot.steps=0-20000/10000", "seeds=[1]", "runs=[run_1]")
POLL = "cluster.poll=1"
# Stages of the user's own: one that reads each training, and one that reads what that one writes.
OWN = """
own_stages:
  marks:
    command: [bash, {script}, marks]
    per: training
    reads: [head_metrics]
    writes: [marks]
  all_marks:
    command: [bash, {script}, all_marks]
    per: study
    reads: [marks]
    writes: [all_marks]
"""
# The sum of its inputs, in what begins and ends as a table does.
SCRIPT = """\
name=$1
shift
while [ $# -gt 0 ]; do
    case $1 in --inputs) inputs=$2 ;; --output) output=$2 ;; esac
    shift 2
done
{ printf PAR1; cut -f2 "$inputs" | xargs cat | cksum; printf PAR1; } >"$output/$name.parquet"
"""
# A graph without jobs that do the same, of which this driver would run one.
GRAPH = ("seeds=[1,2,3,4,5,6,7,8]", "runs=[run_3]")


class OnCluster:
    def __init__(self, arguments, work):
        self.programs, self.work, self.parts = arguments.programs, work, getattr(arguments, "parts", [])
        self.snakemake_program = getattr(arguments, "snakemake", None)
        self.failures, self.references, self.drivers = [], {}, []

    def run(self):
        if lacking := slurm.missing():
            print(f"slurm: skipped: {', '.join(lacking)} are missing and cannot be installed (Debian: slurmctld, slurmd, slurm-client, munge)")
            return True
        begun = time.monotonic()
        # So that the daemons are ended if this is.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        # Below 120 s, and without accounts, Snakemake's plugin waits for ever.
        age = 600 if "snakemake" in self.parts else 20
        with slurm.Cluster(emptied(self.work / "cluster"), min_job_age=age) as self.cluster:
            print(f"a cluster of {len(self.cluster.names)} nodes ({time.monotonic() - begun:.1f} s)", flush=True)
            for part in self.parts or ("plain", "array", "kills", "limits", "paper"):
                started = time.monotonic()
                self.cluster.counts()
                try:
                    getattr(self, part)()
                except TimeoutError as error:
                    queue = self.cluster.said("squeue", "-r", "-t", "all", "-o", "%j %K %T %r")
                    self.failures.append(f"{part}: {error}; the queue:\n{queue}")
                finally:
                    self.end_drivers()
                print(f"  {part}: {time.monotonic() - started:.0f} s, {len(self.failures)} failures so far", flush=True)
        print("".join(f"FAILURE {failure}\n" for failure in self.failures[:40]), end="")
        print(f"slurm: {len(self.failures)} failures in {time.monotonic() - begun:.0f} s")
        return not self.failures

    def check(self, holds, what):
        if not holds:
            self.failures.append(what)

    def pipeline(self, settings=(), **options):
        return Pipeline(options.pop("programs", self.programs), settings=(*settings, POLL), **options)

    def with_own_stages(self):
        """The pipeline with two stages of the user's own."""
        script, experiment = self.work / "marks.sh", self.work / "pipeline.yaml"
        script.write_text(SCRIPT)
        experiment.write_text((ROOT / "pipeline.yaml").read_text() + OWN.format(script=script))
        return self.pipeline(file=experiment)

    def reference(self, pipeline):
        """Artifacts of a local run."""
        command = tuple(pipeline.base)
        if command not in self.references:
            folder = emptied(self.work / f"local-{len(self.references)}")
            pipeline.reference(folder)
            self.references[command] = folder
        return self.references[command]

    def submit(self, pipeline, folder, *flags, timeout=600):
        return pipeline.run(folder, *flags, "--executor", "slurm", timeout=timeout, env=self.cluster.environment)

    def start(self, pipeline, folder, *flags):
        started = pipeline.start(folder, *flags, "--executor", "slurm", env=self.cluster.environment)
        self.drivers.append(started)
        return started

    def end_drivers(self):
        for driver in self.drivers:
            if driver.poll() is None:
                driver.kill()
                driver.wait()

    def compare(self, when, reference, folder):
        self.failures += [f"{when}: {what}" for what in differences(reference, folder)]

    def plain(self):
        """Nothing is disturbed: one array a stage, also of the user's own, and a second call has nothing to do."""
        folder, pipeline = emptied(self.work / "plain"), self.with_own_stages()
        reference, stages = self.reference(pipeline), len(STAGES) + 2
        started = time.monotonic()
        code, output = self.submit(pipeline, folder)
        seconds = time.monotonic() - started
        self.check(code == 0, f"plain: exit code {code}: {output[-1500:]}")
        calls = self.cluster.counts()
        self.check(calls.get("sbatch", 0) == stages, f"plain: {calls} for {stages} stages")
        self.check(calls.get("squeue", 0) <= seconds + 2, f"plain: {calls} in {seconds:.0f} s at one question a second")
        self.compare("plain", reference, folder)
        code, output = self.submit(pipeline, folder)
        self.check(code == 0 and not self.cluster.counts().get("sbatch"), f"plain, again: {code}: {output[-1500:]}")
        code, output = pipeline.run(folder, "--dry-run")
        self.check(code == 0 and " · run" not in output, f"plain: not up to date for a local run: {output[-1500:]}")
        print(f"  plain: {seconds:.0f} s, {calls}")

    def array(self):
        """An array of one's own, of which each task is the driver with one seed; then the whole study."""
        folder, pipeline = emptied(self.work / "array"), self.with_own_stages()
        reference = self.reference(pipeline)
        seed = r"--seed $((1337 + SLURM_ARRAY_TASK_ID))"
        command = " ".join(pipeline.command(folder)) + " --until generate " + seed
        script = f"cd {ROOT} && {command}"
        flags = ["--wait", "--array=0-1", "--output", str(self.work / "array.%a.out"), "--wrap", script]
        done = subprocess.run(["sbatch", *flags], env=self.cluster.environment, capture_output=True, text=True, timeout=120)
        outputs = "".join(path.read_text() for path in self.work.glob("array.*.out"))
        self.check(done.returncode == 0, f"array: {done.stderr}{outputs[-1500:]}")
        self.check(outputs.count("▸ prep") == 1, f"array: prep ran {outputs.count('▸ prep')} times")
        code, output = pipeline.run(folder)
        self.check(code == 0, f"array, the study: {code}: {output[-1500:]}")
        ran = set(re.findall("▸ ([a-z_]+)", output))
        self.check(ran == {"correlate", "plot", "marks", "all_marks"}, f"array: trained again: {output[:1500]}")
        self.compare("array", reference, folder)

    def kills(self):
        """A training, a node, the controller and the driver are killed; the lost node's training goes on later, and is fenced off."""
        reference = self.reference(self.pipeline(LONG))
        # Two tasks a node, so that trainings run on two nodes.
        folder, pipeline = emptied(self.work / "kills"), self.pipeline((*LONG, "cluster.stages.train.cores=2"))
        driver = self.start(pipeline, folder)
        # Trainings are stopped as they appear, so that what happens to them happens in their middle.
        trainings = {}
        self.wait("trainings run on two nodes", lambda: self.stop_new(trainings) or len(set(trainings.values())) > 1)
        lost = sorted(trainings.values())[-1]
        orphan = next(pid for pid, node in trainings.items() if node == lost)
        victim = next(pid for pid, node in trainings.items() if node != lost)
        os.kill(victim, signal.SIGKILL)
        for pid in set(trainings) - {victim, orphan}:
            os.kill(pid, signal.SIGCONT)
        self.cluster.kill(f"slurmd-{lost}")
        driver.kill()
        driver.wait()
        first = said(driver)
        self.cluster.kill("slurmctld")
        driver = self.start(pipeline, folder)
        time.sleep(4)
        self.check(driver.poll() is None, f"kills: without a controller the driver ended: {said(driver)[-1500:]}")
        self.cluster.start_controller()
        # The controller takes the node for lost, as it does when a daemon has not answered for SlurmdTimeout, and starts its
        # task elsewhere.
        self.cluster.said("scontrol", "update", f"NodeName={lost}", "State=DOWN", "Reason=lost")
        self.cluster.wait(f"{lost} is down", lambda: "down" in self.cluster.said("sinfo", "-h", "-n", lost, "-o", "%t"), 90)
        job = self.job_of(orphan)
        log = folder / ".logs" / "train" / f"{job}.log"
        self.wait(f"{job} starts again", lambda: log.read_text().count("▸") > 1, 150)
        os.kill(orphan, signal.SIGCONT)
        fenced = lambda: "another execution has taken this job over" in log.read_text()
        try:
            self.wait("the older training is fenced off", fenced, 60)
        except TimeoutError:
            self.failures.append(f"kills: the training of the lost node was not fenced off: {log.read_text()[-1500:]}")
        self.cluster.start_node(lost)
        self.cluster.said("scontrol", "update", f"NodeName={lost}", "State=RESUME")
        try:
            code = driver.wait(400)
        except subprocess.TimeoutExpired:
            code = "none in 400 s"
            driver.kill()
        output = first + said(driver)
        self.check(code == 0, f"kills: exit code {code}: {output[-2500:]}")
        self.compare("kills", reference, folder)
        again = output.count("↻")
        self.check(again > 0, f"kills: the training that was killed was not submitted again: {output[-1500:]}")
        print(f"  kills: a training, {lost}, slurmctld and the driver killed; {again} jobs submitted again, 1 requeued by Slurm, 1 fenced off")
        code, output = pipeline.run(folder, "--dry-run")
        self.check(code == 0 and " · run" not in output, f"kills: not up to date at the end: {output[-1500:]}")

    def stop_new(self, known):
        """Stops trainings that were not known; their nodes by process id."""
        for pid, node in self.trainings().items():
            if pid not in known:
                os.kill(pid, signal.SIGSTOP)
                known[pid] = node

    def trainings(self):
        """The node of each training of this cluster by its process id."""
        found = {}
        for pid in self.running("train"):
            try:
                variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
            except OSError:
                continue
            names = [word.split(b"=")[1].decode() for word in variables if word.startswith(b"SLURMD_NODENAME=")]
            found |= {pid: name for name in names}
        return found

    def job_of(self, pid):
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
        return "/".join(words[words.index(f"--{flag}") + 1] for flag in ("dataset", "run", "seed"))

    def limits(self):
        """A training that is pre-empted and twice reaches its time limit goes on from its last commit, a number of times."""
        only, local, folder = ("--until", "train"), emptied(self.work / "limits-local"), emptied(self.work / "limits")
        self.pipeline(LIMITED, flags=only).reference(local)
        # With the shortest limit that Slurm takes, the signal 90 s before it comes as soon as Slurm looks, which is twice a minute.
        limited = ("cluster.stages.train.time=1", "cluster.stages.train.partition=low", "cluster.retries=1")
        driver = self.start(self.pipeline((*LIMITED, *limited), flags=only), folder)
        seen = set()
        # Slurm lets a stopped process go on when it pre-empts it.
        self.stop_next(seen)
        nodes = f"--nodes={len(self.cluster.names)}"
        self.cluster.said("sbatch", "--partition=high", "--exclusive", nodes, "--output=/dev/null", "--wrap=sleep 1")
        asked = lambda: sum(path.read_text().count("stopping:") for path in folder.glob(".slurm/*.out"))
        for attempt in "first", "second":
            training, before = self.stop_next(seen), asked()
            self.wait(f"the {attempt} time limit is near", lambda: asked() > before, 90)
            os.kill(training, signal.SIGCONT)
        try:
            code = driver.wait(120)
        except subprocess.TimeoutExpired:
            code = "none in 120 s"
        first = said(driver)
        bounded = code == 3 and "it was started 2 times (`cluster.retries`)" in first
        self.check(bounded, f"limits: with one retry: exit code {code}: {first[-1500:]}")
        code, output = self.submit(self.pipeline(LIMITED, flags=only), folder)
        self.check(code == 0, f"limits: exit code {code}: {output[-2000:]}")
        log = (folder / ".logs/train/shakespeare_char/run_1/1.log").read_text()
        starts, resumed = log.count("▸"), log.count("resumes from step")
        submitted = (first + output).count("▸ train · ")
        counts = f"submitted {submitted} times, started {starts} times, {resumed} times from a commit"
        self.check((submitted, starts, resumed) == (3, 4, 3), f"limits: {counts}: {log[-2500:]}")
        self.compare("limits", local, folder)
        print(f"  limits: pre-empted once, two time limits; {counts}")

    def stop_next(self, seen):
        """Stops the next training that starts, after a moment's work."""
        self.wait("a training starts", lambda: set(self.running("train")) - seen, 90)
        training = (set(self.running("train")) - seen).pop()
        seen.add(training)
        time.sleep(1)
        os.kill(training, signal.SIGSTOP)
        return training

    def paper(self):
        """The plan of a paper with stages that write empty tables: planned, submitted, killed with the controller, resumed."""
        programs = emptied(self.work / "fake")
        fake = self.programs / "examples" / "fake_stage"
        for stage in STAGES:
            os.link(fake, programs / stage) if fake.stat().st_dev == programs.stat().st_dev else shutil.copy(fake, programs / stage)
        shutil.copy(self.programs / "driver", programs / "driver")
        folder = emptied(self.work / "paper")
        pipeline = Pipeline(programs, profile="paper", settings=(*PAPER, POLL))
        code, plan = pipeline.run(folder, "--dry-run", "--executor", "slurm", "--yes")
        self.check(code == 0, f"paper: the plan: {plan[-1500:]}")
        started = time.monotonic()
        driver = self.start(pipeline, folder, "--yes")
        self.wait("a task of metrics runs", lambda: any(folder.glob("head_metrics/**/*.parquet")), 100)
        driver.kill()
        driver.wait()
        # The controller begins again with what it had saved, and may think that tasks run which end now.
        self.cluster.kill("slurmctld")
        time.sleep(3)
        self.cluster.start_controller()
        code, output = self.submit(pipeline, folder, "--yes")
        self.check(code == 0, f"paper: exit code {code}: {output[-2000:]}")
        code, again = pipeline.run(folder, "--dry-run")
        self.check(code == 0 and " · run" not in again, f"paper: not up to date at the end: {again[-1500:]}")
        jobs = re.search(r"of (\d+) jobs would run", plan)
        executed = sum(path.read_text().count("\n✓ ") for path in folder.glob(".logs/**/*.log"))
        logs = sum(1 for _ in folder.glob(".logs/**/*.log"))
        self.check(executed == logs, f"paper: {executed} executions of {logs} jobs")
        submissions = re.search(r"(\d+) submissions:", plan)
        print(
            f"  paper: {jobs and jobs[1]} jobs, {submissions and submissions[1]} submissions planned, {executed} executed, the rest "
            f"linked, {time.monotonic() - started:.0f} s; calls: {self.cluster.counts()}"
        )

    def snakemake(self):
        """The same graph by this driver and by Snakemake with its Slurm plugin; no part of the tests."""
        if not self.snakemake_program:
            sys.exit("error: --snakemake PROGRAM: the snakemake of a virtual environment with snakemake-executor-plugin-slurm")
        ours, theirs = emptied(self.work / "ours"), emptied(self.work / "theirs")
        for poll in 1, 10, 60:
            emptied(ours)
            pipeline = Pipeline(self.programs, settings=(*GRAPH, f"cluster.poll={poll}"))
            self.cluster.counts()
            started = time.monotonic()
            code, output = self.submit(pipeline, ours, timeout=600)
            self.check(code == 0, f"this driver: {code}: {output[-1500:]}")
            print(f"  this driver, poll: {poll}: {time.monotonic() - started:.0f} s, {self.cluster.counts()}", flush=True)
        _, plan = pipeline.run(theirs, "--dry-run")
        _, graph = pipeline.run(theirs, "graph", "--by", "job")
        commands = dict(re.findall(r"^(\S.*?) · run.*\n  (.*)$", plan, re.MULTILINE))
        names = {job: name.replace("\\n", " ") for job, name in re.findall(r'(job\d+) \[label="([^"]*)"', graph)}
        edges = re.findall(r"(job\d+) -> (job\d+)", graph)
        folder = emptied(self.work / "snakemake")
        rules = [f"rule all:\n    input: {[f'done/{job}' for job in names]}\nlocalrules: all\n"]
        for job, name in names.items():
            before = [f"done/{one}" for one, other in edges if other == job]
            command = f"cd {ROOT} && {commands[name]}".replace("{", "{{").replace("}", "}}")
            rules.append(
                f"rule {job}:\n    input: {before}\n    output: touch('done/{job}')\n    threads: 1\n"
                f"    resources: mem_mb=500, runtime=10\n    shell: {command!r}\n"
            )
        (folder / "Snakefile").write_text("".join(rules))
        words = [self.snakemake_program, "--executor", "slurm", "--jobs", "100", "--slurm-status-command", "squeue"]
        started = time.monotonic()
        done = subprocess.run(words, cwd=folder, env=self.cluster.environment, capture_output=True, text=True, timeout=1500)
        seconds = time.monotonic() - started
        self.check(done.returncode == 0, f"snakemake: {done.returncode}: {done.stderr[-2000:]}")
        print(f"  Snakemake, {len(names)} jobs: {seconds:.0f} s, {self.cluster.counts()}")
        self.compare("snakemake", ours, theirs)

    def running(self, stage):
        """The processes of a stage below this cluster's jobs."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                program = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0]
                if program.endswith(f"/{stage}".encode()) and self.cluster.is_ours(int(pid)):
                    found.append(int(pid))
            except OSError:
                continue
        return found

    def wait(self, what, holds, seconds=60):
        self.cluster.wait(what, holds, seconds)


def add(commands):
    parser = commands.add_parser("slurm", help="the pipeline on a Slurm cluster of this host", description=__doc__)
    parser.add_argument("parts", nargs="*", help="only these of: plain, array, kills, limits, paper, snakemake")
    parser.add_argument("--snakemake", type=Path, help="a snakemake program with its Slurm plugin, for the part `snakemake`")
    parser.set_defaults(run=lambda arguments, work: OnCluster(arguments, Path(work)).run())

"""Runs whole pipelines into faults: each must be named with what to do, and without the fault the same command must then finish
with the same bytes.
"""

import contextlib
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from . import power
from .pipeline import Pipeline, differences, emptied, left_over, names, said, trips

SHIM = """
#include <errno.h>
#include <stdlib.h>
int flock(int file, int operation) { (void)file; (void)operation; errno = atoi(getenv("SHIM_ERRNO")); return -1; }
"""


class Skipped(Exception):
    """This machine or user cannot make the fault."""


class Faults:
    def __init__(self, arguments, work):
        self.pipeline, self.work = Pipeline(arguments.programs), work
        self.verbose = arguments.verbose
        self.trials, self.seed = arguments.power_losses, arguments.seed
        self.failures, self.skipped, self.passed = [], [], 0
        self.reference = work / "reference"

    def run(self, only):
        self.pipeline.reference(emptied(self.reference))
        for name, fault in FAULTS.items():
            if only and name not in only:
                continue
            started, before = time.monotonic(), len(self.failures)
            folder = emptied(self.work / name.replace(" ", "-"))
            try:
                fault(self, folder)
            except Skipped as reason:
                self.skipped.append(f"{name}: {reason}")
                print(f"skipped  {name}: {reason}", flush=True)
                continue
            well = len(self.failures) == before
            self.passed += well
            print(f"{'passed ' if well else 'FAILED '}  {name} ({time.monotonic() - started:.0f} s)", flush=True)
            print("".join(f"    {failure}\n" for failure in self.failures[before:][:10]), end="", flush=True)
        print(f"faults: {self.passed} passed, {len(self.skipped)} skipped, {len(self.failures)} failures")
        return not self.failures

    def says(self, fault, code, output, expected, *patterns):
        """The exit code and the message: every pattern must be found, and no internal error reported."""
        # What ended it comes last; the commands and the progress before are not the message.
        end = output[-4000:]
        if code not in expected:
            self.failures.append(f"{fault}: exit code {code}, expected {expected}: {end[-1500:]}")
            return
        if self.verbose:
            lines = [line for line in end.splitlines() if re.match(r"error|✗|\d+ failed", line)]
            print("".join(f"    {fault}: {line[:400]}\n" for line in lines[:3]), end="", flush=True)
        missing = [pattern for pattern in patterns if not re.search(pattern, end, re.IGNORECASE)]
        if missing:
            self.failures.append(f"{fault}: the message lacks {missing}: {end[-1500:]}")
        if re.search(r"internal error|panicked", end):
            self.failures.append(f"{fault}: it is reported as an internal error: {end[-1500:]}")

    def finishes(self, fault, folder):
        """Without the fault, the same command finishes with the same artifacts."""
        self.failures += [f"{fault}: a process is left: {command}" for command in left_over(folder)]
        self.failures += [f"{fault}: {what}" for what in trips(folder)]
        code, output = self.pipeline.run(folder)
        if code != 0:
            self.failures.append(f"{fault}: run again, it ends with {code}: {output[-1500:]}")
            return
        self.failures += [f"{fault}: run again, {what}" for what in differences(self.reference, folder)]

    def half_done(self, folder):
        """Runs the first stages."""
        code, output = self.pipeline.run(folder, "--only", "prep", "--only", "train")
        if code != 0:
            self.failures.append(f"the first stages end with {code}: {output[-1500:]}")


@contextlib.contextmanager
def mounted(folder, size):
    """A file system of its own, in memory."""
    if os.getuid() != 0 or sys.platform != "linux":
        raise Skipped("mounting needs root on Linux")
    options = ["-t", "tmpfs", "-o", f"size={size}", "tmpfs"]
    if subprocess.run(["mount", *options, str(folder)], capture_output=True).returncode != 0:
        raise Skipped("tmpfs cannot be mounted")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def remount(folder, option):
    subprocess.run(["mount", "-o", f"remount,{option}", str(folder)], check=True)


def too_little_space(faults, folder):
    with mounted(folder, "4m"):
        inside = folder / "artifacts"
        code, output = faults.pipeline.run(inside)
        faults.says("too little space", code, output, (2,), r"writes about \d+ MB", r"has \d+ MB free", r"--yes")
        if inside.exists() and names(inside):
            faults.failures.append("too little space: it has begun all the same")


def disk_full(faults, folder):
    # Equal files are links to one, which takes its room once.
    sizes = {status.st_ino: status.st_size for status in map(Path.stat, map(faults.reference.joinpath, names(faults.reference)))}
    for share in (0.02, 0.2, 0.5, 0.8):
        fault = f"disk full at {share:.0%}"
        # The size in pages; small files take one each.
        pages = int(sum(-(-size // 4096) for size in sizes.values()) * share)
        with mounted(folder, pages * 4096):
            inside = folder / "artifacts"
            # What cannot fit is asked about beforehand; --yes is who knows better.
            code, output = faults.pipeline.run(inside, "--yes")
            faults.says(fault, code, output, (3,), r"no space left|disk (is )?full", re.escape(str(inside)), r"\bfree\b")
            remount(folder, "size=1g")
            faults.finishes(fault, inside)


def file_too_large(faults, folder):
    """A limit on the size of a file, which a quota is like: some files cannot be written."""

    def limited():
        resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))

    # Python ignores SIGXFSZ and lets its children ignore it: then writing is an error and kills nobody.
    code, output = faults.pipeline.run(folder, preexec_fn=limited, restore_signals=False)
    faults.says("file too large", code, output, (3,), r"file too large", re.escape(str(folder)))
    faults.finishes("file too large", folder)


def read_only(faults, folder):
    for when in ("from the start", "later"):
        fault = f"read-only {when}"
        with mounted(folder, "1g"):
            inside = folder / "artifacts"
            if when == "later":
                faults.half_done(inside)
            remount(folder, "ro")
            code, output = faults.pipeline.run(inside)
            faults.says(fault, code, output, (3,), r"read-only file system", re.escape(str(inside)))
            remount(folder, "rw")
            faults.finishes(fault, inside)


def no_permission(faults, folder):
    """A folder of another user."""
    if os.getuid() == 0 and not shutil.which("setpriv"):
        raise Skipped("root may write everywhere, and setpriv is missing")
    faults.half_done(folder)
    for above, folders, _ in os.walk(folder):
        os.chmod(above, 0o555)
    base = faults.pipeline.base
    if os.getuid() == 0:
        # Root without its powers is a user who owns the files and may not write.
        faults.pipeline.base = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", *base]
    code, output = faults.pipeline.run(folder)
    faults.pipeline.base = base
    faults.says("no permission", code, output, (3,), r"permission denied", re.escape(str(folder)))
    for above, folders, _ in os.walk(folder):
        os.chmod(above, 0o755)
    faults.finishes("no permission", folder)


def out_of_memory(faults, folder):
    """A limit on the address space of every process: the largest at which something fails."""
    if sys.platform != "linux":
        raise Skipped("only Linux limits the address space")
    for megabytes in (1600, 1200, 800, 600, 400, 300, 200, 150, 100):

        def limited(limit=megabytes << 20):
            resource.setrlimit(resource.RLIMIT_AS, (limit, resource.getrlimit(resource.RLIMIT_AS)[1]))
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

        code, output = faults.pipeline.run(emptied(folder), preexec_fn=limited)
        if code != 0:
            fault = f"memory limit of {megabytes} MB"
            faults.says(fault, code, output, (3,), r"memory", r"try|smaller|--jobs")
            faults.finishes(fault, folder)
            return
    raise Skipped("even 100 MB were enough")


def second_driver(faults, folder):
    first = faults.pipeline.start(folder)
    time.sleep(0.7)
    code, output = faults.pipeline.run(folder)
    faults.says("second driver", code, output, (3,), rf"process {first.pid}\b", r"wait for it|another folder")
    first.wait(900)
    if first.returncode != 0:
        faults.failures.append(f"second driver: the first ends with {first.returncode}: {said(first)[-1500:]}")
    faults.finishes("second driver", folder)


def no_locks(faults, folder):
    """A file system whose locks are refused, as NFS without its lock daemon; two ways in which systems say so."""
    if sys.platform != "linux" or not shutil.which("cc"):
        raise Skipped("the library that refuses locks needs Linux and a C compiler")
    source, library = faults.work / "no_locks.c", faults.work / "no_locks.so"
    source.write_text(SHIM)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", str(library), str(source)], check=True)
    for name, number in (("EOPNOTSUPP", 95), ("ENOLCK", 37)):
        environment = {**os.environ, "LD_PRELOAD": str(library), "SHIM_ERRNO": str(number)}
        code, output = faults.pipeline.run(emptied(folder), env=environment)
        if code != 0:
            faults.failures.append(f"no locks ({name}): one driver alone ends with {code}: {output[-800:]}")
            continue
        faults.finishes(f"no locks ({name})", folder)
        # Two at once are not promised to work; what they leave must be found and mended by the next.
        emptied(folder)
        both = [faults.pipeline.start(folder, env=environment) for _ in range(2)]
        codes = [driver.wait(900) for driver in both]
        print(f"    two drivers without locks ({name}) end with {codes}", flush=True)
        faults.finishes(f"two drivers without locks ({name})", folder)


def interrupted_twice(faults, folder):
    """Ctrl-C, and again when it takes too long: it ends soon."""
    driver = faults.pipeline.start(folder)
    time.sleep(1.0)
    os.killpg(driver.pid, signal.SIGINT)
    time.sleep(0.2)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(driver.pid, signal.SIGINT)
    started = time.monotonic()
    driver.wait(60)
    if time.monotonic() - started > 5:
        faults.failures.append(f"Ctrl-C twice: it took {time.monotonic() - started:.1f} s to end")
    faults.says("Ctrl-C twice", driver.returncode, said(driver), (130, -2))
    faults.finishes("Ctrl-C twice", folder)


def order_of_writes(faults, folder):
    faults.failures += power.order(faults.pipeline, folder, Skipped)


def power_loss(faults, folder):
    faults.failures += power.losses(faults, folder, Skipped)


FAULTS = {
    "too little space": too_little_space,
    "disk full": disk_full,
    "file too large": file_too_large,
    "read-only": read_only,
    "no permission": no_permission,
    "out of memory": out_of_memory,
    "second driver": second_driver,
    "no locks": no_locks,
    "Ctrl-C twice": interrupted_twice,
    "order of writes": order_of_writes,
    "power loss": power_loss,
}


def add(commands):
    parser = commands.add_parser("faults", help="disk full, read-only, memory, locks, power loss", description=__doc__)
    parser.add_argument("--only", nargs="*", choices=list(FAULTS), help="only these faults")
    parser.add_argument("--verbose", action="store_true", help="print the messages")
    parser.add_argument("--power-losses", default=10, type=int, help="number of simulated power losses [10]")
    parser.add_argument("--seed", default=1, type=int, help="of the random moments [1]")
    parser.set_defaults(run=lambda arguments, work: Faults(arguments, Path(work)).run(arguments.only))

"""Power loss, by the system calls that strace records: what was not synchronised may be gone.

`order` checks the rule: a file is renamed only when its data are on the disk, and its folder is synchronised after it.
`losses` plays the loss: kills everything at a random moment, then takes away what a disk may not have kept (data written after the
last fsync of their file; names given after the last fsync of their folder) and lets the same command finish.
"""

import os
import random
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

from .pipeline import emptied

CALLS = "trace=write,pwrite64,writev,pwritev,ftruncate,fsync,fdatasync,rename,renameat,renameat2,link,linkat,unlink,unlinkat"
WRITE = re.compile(r"^(?:write|pwrite64|writev|pwritev|ftruncate)\(\d+<([^>]*)>.*\) = \d+$")
SYNC = re.compile(r"^f(?:data)?sync\(\d+<([^>]*)>\) += 0$")
NAMED = re.compile(r'^(?:rename(?:at2?)?|link(?:at)?)\((?:AT_FDCWD[^,]*, )?"([^"]*)", (?:AT_FDCWD[^,]*, )?"([^"]*)".*\) += 0$')


def traced(pipeline, folder, traces):
    """Starts the driver under strace, which writes a file per thread."""
    emptied(traces)
    command = ["strace", "-ff", "--seccomp-bpf", "-ttt", "-y", "-s", "0", "-e", CALLS, "-e", "signal=none"]
    command += ["-o", str(traces / "of"), *pipeline.command(folder)]
    return subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )


def events(traces, folder):
    """What was done in the folder, in the order of time: (kind, path, new path)."""
    found = []
    for trace in traces.iterdir():
        for line in trace.read_text(errors="replace").splitlines():
            stamp, _, call = line.partition(" ")
            for kind, pattern in (("write", WRITE), ("sync", SYNC), ("name", NAMED)):
                match = pattern.match(call)
                if match:
                    paths = match.groups()
                    if str(folder) in paths[-1]:
                        # strace names an open file by its last name, and marks one that is gone.
                        found.append((float(stamp), kind, paths[0].removesuffix(" (deleted)"), paths[-1]))
    return [event[1:] for event in sorted(found)]


def lost(seen):
    """What a disk may not have kept: files without their data, and names that may be gone."""
    dirty, unsafe, broken = set(), {}, []
    for kind, path, new in seen:
        if kind == "write":
            dirty.add(path)
        elif kind == "sync":
            dirty.discard(path)
            unsafe = {name: above for name, above in unsafe.items() if above != path}
        else:
            if path in dirty:
                broken.append(f"{new} got its name before its data were synchronised")
                dirty.add(new)
            dirty.discard(path)
            unsafe[new] = str(Path(new).parent)
    return dirty, set(unsafe), broken


def needs_strace(skipped):
    if not shutil.which("strace"):
        raise skipped("strace is missing")


def order(pipeline, folder, skipped):
    needs_strace(skipped)
    traces = folder.parent / "traces"
    code = traced(pipeline, folder, traces).wait(1800)
    seen = events(traces, folder)
    named = sum(kind == "name" for kind, _, _ in seen)
    if code != 0 or not named:
        return [f"under strace, the driver ends with {code}, and {named} renames are seen"]
    dirty, unsafe, broken = lost(seen)
    # Locks and logs hold nothing that a later run needs.
    unsafe = {name for name in unsafe if os.path.exists(name)}
    broken += [f"{name} is in a folder that was not synchronised afterwards" for name in sorted(unsafe)]
    print(f"    {named} files got their names, {sum(kind == 'sync' for kind, _, _ in seen)} synchronisations", flush=True)
    return broken


def losses(faults, folder, skipped):
    needs_strace(skipped)
    chance, before = random.Random(faults.seed), len(faults.failures)
    files = names = 0
    for trial in range(faults.trials):
        traces = emptied(folder.parent / "traces")
        driver = traced(faults.pipeline, emptied(folder), traces)
        try:
            driver.wait(chance.uniform(0.3, 20))
        except subprocess.TimeoutExpired:
            pass
        # All at once: the tracer last, so that it does not let go of the others first.
        stop(driver)
        dirty, unsafe, broken = lost(events(traces, folder))
        faults.failures += [f"power loss {trial}: {what}" for what in broken]
        for name in dirty:
            if os.path.isfile(name):
                files += 1
                os.truncate(name, 0)
        for name in unsafe:
            if os.path.isfile(name) and chance.random() < 0.5:
                names += 1
                os.unlink(name)
        faults.finishes(f"power loss {trial}", folder)
    print(f"    {faults.trials} power losses: {files} files lost their data, {names} names were lost", flush=True)
    found, faults.failures[before:] = faults.failures[before:], []
    return found


def stop(tracer):
    """Kills a tracer and all that it traces."""
    group = tracer.pid
    for _ in range(100):
        try:
            os.killpg(group, signal.SIGKILL)
        except ProcessLookupError:
            break
        if tracer.poll() is not None:
            break
        time.sleep(0.01)
    tracer.wait()

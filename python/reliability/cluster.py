"""A Slurm cluster of one host for tests: several `slurmd`, all in one folder, ended again by their process ids.

It has a key, ports, a configuration and a state of its own, so it disturbs no Slurm that the machine has. Debian's packages
are installed if that is possible, without starting their services.
"""

import os
import random
import secrets
import shutil
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

PACKAGES = {"slurmctld": "slurmctld", "slurmd": "slurmd", "sbatch": "slurm-client", "munged": "munge"}
POLICY = Path("/usr/sbin/policy-rc.d")
COMMANDS = ("sbatch", "squeue", "sacct", "scancel", "scontrol", "sinfo", "sacctmgr", "srun")

CONFIGURATION = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
# A requeued task waits until its credential has expired: 5 s is the least that Slurm takes.
AuthInfo=socket={folder}/munge.socket,cred_expire=5
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
# One host without control groups; cores and memory are made up.
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
# On a busy host a daemon may be slow to answer; a node that is to be down is set down.
SlurmdTimeout=120
SlurmctldTimeout=10
MessageTimeout=5
KillWait=5
ReturnToService=2
SchedulerParameters=batch_sched_delay=0,sched_interval=1,sched_min_interval=0,bf_interval=2
MaxArraySize=1001
MaxJobCount=20000
# Finished tasks are soon forgotten, as on a busy cluster without accounting.
MinJobAge={min_job_age}
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP PriorityTier=10 PreemptMode=OFF
PartitionName=low Nodes=ALL MaxTime=INFINITE State=UP PriorityTier=1 PreemptMode=REQUEUE
PartitionName=high Nodes=ALL MaxTime=INFINITE State=UP PriorityTier=100 PreemptMode=OFF
"""


def missing():
    """The commands of Slurm and munge that are not there; installs them where that is possible."""
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    lacking = [package for command, package in PACKAGES.items() if not shutil.which(command)]
    if lacking and os.geteuid() == 0 and shutil.which("apt-get"):
        # The packages' services are not to be started.
        made = not POLICY.exists()
        if made:
            POLICY.write_text("#!/bin/sh\nexit 101\n")
            POLICY.chmod(0o755)
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "env": {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}}
        subprocess.run(["apt-get", "update", "--quiet"], **quiet)
        subprocess.run(["apt-get", "install", "--yes", "--no-install-recommends", *lacking], **quiet)
        if made:
            POLICY.unlink()
    return [command for command in PACKAGES if not shutil.which(command)]


class Cluster:
    """Nodes n1, n2, … on this host. `environment` is for processes that use it."""

    def __init__(self, folder, nodes=3, cores=4, min_job_age=20):
        self.folder = Path(folder).resolve()
        self.names = [f"n{number + 1}" for number in range(nodes)]
        self.configuration = self.folder / "slurm.conf"
        self.calls = self.folder / "calls"
        self.ended = threading.Event()
        ports = free_ports(nodes + 1)
        for name in ("state", "spool", "bin"):
            (self.folder / name).mkdir(parents=True)
        user = subprocess.check_output(["id", "-un"], text=True).strip()
        host = socket.gethostname().split(".")[0]
        text = CONFIGURATION.format(host=host, port=ports[0], user=user, folder=self.folder, min_job_age=min_job_age)
        for name, port in zip(self.names, ports[1:]):
            text += f"NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs={cores} RealMemory=8000\n"
            (self.folder / "spool" / name).mkdir()
        self.configuration.write_text(text)
        self.environment = {**os.environ, "SLURM_CONF": str(self.configuration)}
        self.environment["PATH"] = f"{self.folder / 'bin'}:{self.environment['PATH']}"
        for name in ("SLURM_JOB_ID", "SLURM_ARRAY_TASK_ID", "SLURM_CPUS_PER_TASK"):
            self.environment.pop(name, None)
        # Every call of a command is counted.
        for command in filter(shutil.which, COMMANDS):
            script = self.folder / "bin" / command
            script.write_text(f'#!/bin/sh\necho "{command} $*" >>"{self.calls}"\nSLURM_CONF="{self.configuration}" exec {shutil.which(command)} "$@"\n')
            script.chmod(0o755)

    def __enter__(self):
        try:
            self.start_munge()
            self.start_controller()
            for name in self.names:
                self.start_node(name)
            self.wait("all nodes are idle", lambda: self.said("sinfo", "-h", "-N", "-p", "main", "-t", "idle", "-o", "%N").split() == self.names)
            threading.Thread(target=self.administrate, daemon=True).start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def start_munge(self):
        key = self.folder / "munge.key"
        key.write_bytes(secrets.token_bytes(64))
        key.chmod(0o400)
        files = {"socket": "munge.socket", "key-file": "munge.key", "pid-file": "munged.pid", "log-file": "munged.log", "seed-file": "munge.seed"}
        # By force, since the folders above are not only root's.
        self.call("munged", "--force", *(f"--{flag}={self.folder / name}" for flag, name in files.items()))

    def start_controller(self):
        self.call("slurmctld", "-f", str(self.configuration))
        self.wait("the controller answers", lambda: "UP" in self.said("scontrol", "ping"))

    def administrate(self):
        """Resumes drained nodes. A controller that crashed finds tasks under ids that it has given away, and drains their nodes."""
        while not self.ended.wait(2):
            for name in self.said("sinfo", "-h", "-N", "-p", "main", "-t", "drain", "-o", "%N").split():
                self.said("scontrol", "update", f"NodeName={name}", "State=RESUME")

    def start_node(self, name):
        self.call("slurmd", "-f", str(self.configuration), "-N", name)

    def call(self, *command):
        with open(self.folder / "daemons.log", "a") as log:
            subprocess.run(command, check=True, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=self.environment)

    def said(self, *command):
        """What a client says, without being counted; nothing if it fails."""
        path = self.environment["PATH"].split(":", 1)[1]
        done = subprocess.run([shutil.which(command[0], path=path), *command[1:]], env=self.environment, capture_output=True, text=True)
        return done.stdout if done.returncode == 0 else ""

    def wait(self, what, holds, seconds=60):
        deadline = time.monotonic() + seconds
        while not holds():
            if time.monotonic() > deadline:
                raise TimeoutError(f"not within {seconds} s: {what}")
            time.sleep(0.1)

    def kill(self, daemon):
        """SIGKILL to `slurmctld` or `slurmd-n1`."""
        pid = self.pid(daemon)
        os.kill(pid, signal.SIGKILL)
        self.wait(f"{daemon} is gone", lambda: not Path(f"/proc/{pid}/exe").exists() or self.pid(daemon) != pid, 5)

    def pid(self, daemon):
        """The process id of a daemon of this cluster, if it lives."""
        try:
            pid = int((self.folder / f"{daemon}.pid").read_text())
            program = Path(os.readlink(f"/proc/{pid}/exe")).name
            return pid if daemon.startswith(program.removesuffix(" (deleted)").split("-")[0]) and self.is_ours(pid) else None
        except (OSError, ValueError):
            return None

    def is_ours(self, pid):
        """Whether a process was started with this folder in its command line or environment."""
        try:
            known = Path(f"/proc/{pid}/cmdline").read_bytes() + Path(f"/proc/{pid}/environ").read_bytes()
        except OSError:
            return False
        return str(self.folder).encode() in known

    def counts(self):
        """How often each command was called, and since when that is counted."""
        calls = self.calls.read_text().splitlines() if self.calls.exists() else []
        self.calls.write_text("")
        return {command: count for command in COMMANDS if (count := sum(line.split(" ")[0] == command for line in calls))}

    def __exit__(self, *_):
        self.ended.set()
        if self.pid("slurmctld"):
            self.said("scancel", "--user", subprocess.check_output(["id", "-un"], text=True).strip())
            deadline = time.monotonic() + 15
            while self.said("squeue", "--noheader") and time.monotonic() < deadline:
                time.sleep(0.2)
        # What a daemon that was killed left: its step daemons and the processes of their jobs.
        jobs = [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if self.is_job(pid)]
        for pid in jobs:
            end(pid, signal.SIGKILL)
        for daemon in [*(f"slurmd-{name}" for name in self.names), "slurmctld", "munged"]:
            if pid := self.pid(daemon):
                end(pid, signal.SIGTERM)
                deadline = time.monotonic() + 5
                while self.pid(daemon) == pid and time.monotonic() < deadline:
                    time.sleep(0.05)
                if self.pid(daemon) == pid:
                    end(pid, signal.SIGKILL)

    def is_job(self, pid):
        """Whether a process belongs to a job of this cluster, or is the daemon of its step."""
        try:
            variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
            if Path(os.readlink(f"/proc/{pid}/exe")).name.startswith("slurmstepd"):
                return str(self.folder / "spool").encode() in Path(f"/proc/{pid}/maps").read_bytes() + b"".join(
                    os.readlink(f"/proc/{pid}/fd/{name}").encode() for name in os.listdir(f"/proc/{pid}/fd")
                )
        except OSError:
            return False
        here = f"SLURM_CONF={self.configuration}".encode() in variables
        return here and any(variable.startswith(b"SLURM_JOB_ID=") for variable in variables)


def end(pid, number):
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


def free_ports(count):
    """Ports that nobody listens on, below those that the system gives to clients."""
    ports = []
    while len(ports) < count:
        port = random.randrange(20000, 28000)
        with socket.socket() as attempt:
            try:
                attempt.bind(("127.0.0.1", port))
            except OSError:
                continue
        ports += [port] if port not in ports else []
    return ports

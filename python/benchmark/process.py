"""Running one command and seeing what it took."""

import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

LAUNCH = Path(__file__).with_name("launch.py")


@dataclass(frozen=True)
class Run:
    seconds: float
    """By the clock, from start to end."""
    peak_bytes: int
    """The most memory that the process held at a time."""
    output: str


def run(command, **environment):
    """Runs a command to its end, with more variables in its environment; a failure ends the benchmark with what the command
    said."""
    words = [str(word) for word in command]
    with tempfile.NamedTemporaryFile("r") as took:
        launch = [sys.executable, "-S", LAUNCH, took.name, *words]
        environment = os.environ | environment
        done = subprocess.run(
            launch, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, env=environment
        )
        if done.returncode != 0:
            sys.exit(f"error: {' '.join(words)}\nended with {done.returncode}:\n{done.stdout}")
        seconds, peak_bytes = took.read().split()
    return Run(float(seconds), int(peak_bytes), done.stdout)

"""Runs a command and measures its time and memory."""

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
    """Wall-clock time."""
    peak_bytes: int
    """Peak resident memory."""
    output: str


def run(command, **environment):
    """Runs a command with additional environment variables. If it fails, the benchmark exits with the command's output."""
    words = [str(word) for word in command]
    with tempfile.NamedTemporaryFile("r") as took:
        launch = [sys.executable, "-S", LAUNCH, took.name, *words]
        environment = os.environ | environment
        done = subprocess.run(
            launch, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, env=environment
        )
        if done.returncode != 0:
            sys.exit(f"error: {' '.join(words)}\nexited with code {done.returncode}:\n{done.stdout}")
        seconds, peak_bytes = took.read().split()
    return Run(float(seconds), int(peak_bytes), done.stdout)

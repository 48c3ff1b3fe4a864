"""Runs a command and writes the seconds and the peak bytes that it took to a file: `launch.py FILE COMMAND…`.

A process of its own, and a small one: what a process held before it became another program counts as that program's peak,
so one that the benchmark itself started would seem as large as the benchmark.
"""

import resource
import subprocess
import sys
import time

started = time.perf_counter()
code = subprocess.run(sys.argv[2:], check=False).returncode
seconds = time.perf_counter() - started
with open(sys.argv[1], "w") as file:
    file.write(f"{seconds} {resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024}")
sys.exit(code)

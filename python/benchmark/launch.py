"""Runs a command and writes its seconds and peak memory in bytes to a file: `launch.py FILE COMMAND…`.

This is a small process of its own, because the peak memory of a program includes what its process held before exec: a command
that the benchmark started directly would appear as large as the benchmark.
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

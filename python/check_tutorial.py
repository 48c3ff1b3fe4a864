"""Runs docs/tutorial.md: every command of its `sh` blocks and every `python` block, in order.

    python python/check_tutorial.py

What it makes is removed before and after. Prints each command's time; the output only of what fails.
"""

import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/tutorial.md"
BLOCK = re.compile(r"^```(sh|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FOLDERS = ("tutorial", "exported", "imported", "own")


def clear():
    for folder in FOLDERS:
        shutil.rmtree(ROOT / "artifacts" / folder, ignore_errors=True)
    (ROOT / "my_pipeline.yaml").unlink(missing_ok=True)


def run(command):
    started = time.monotonic()
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        sys.exit(f"{done.stdout}FAILED with exit code {done.returncode}: {command[-1]}")
    print(f"{time.monotonic() - started:5.1f} s  {command[-1].splitlines()[0]}")


def main():
    blocks = BLOCK.findall(PAGE.read_text())
    python = []
    clear()
    with tempfile.TemporaryDirectory() as scratch:
        for language, code in blocks:
            if language == "sh":
                for command in code.replace("\\\n", "").splitlines():
                    run(["bash", "-c", re.sub(" +", " ", command)])
            else:
                # As in a notebook, a block has the names of those before it.
                python.append(code)
                script = Path(scratch) / "blocks.py"
                script.write_text("\n".join(python))
                run([str(ROOT / ".venv/bin/python"), str(script)])
    clear()
    print(f"{len(blocks)} blocks of {PAGE.relative_to(ROOT)} were run")
    sys.exit(0 if len(blocks) > 5 else 1)


if __name__ == "__main__":
    main()

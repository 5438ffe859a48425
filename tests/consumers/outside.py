"""Programs that are not ours, run on a data set without a network where the system allows that."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

_ALONE = ["unshare", "--net"]


def run(words: list[str], folder: Path, home: Path) -> subprocess.CompletedProcess[str]:
    """Run a program in `folder`, with `home` for its caches."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "HF_HOME": str(home), "PYTHONWARNINGS": "ignore"}
    command = [*alone(), *words]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def alone() -> list[str]:
    """Return the words that take the network from a program, or none where this is not allowed."""
    works = shutil.which("unshare") and subprocess.run([*_ALONE, "true"], check=False).returncode == 0
    return _ALONE if works else []


def program(name: str) -> str:
    """Return a program of the environment that the tests run in."""
    return str(Path(sys.executable).parent / name)

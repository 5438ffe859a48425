"""Peak memory of one way of working, in a fresh process: `python -m benchmarks.memory '<task as JSON>'`.

Told is what the work adds to a process that has loaded the libraries.
"""

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import torch

from benchmarks.federation import Federation, planned_run
from benchmarks.patient_step import Setting, step
from simulations.memory import peak_memory

STEPS, ROUNDS = 2, 2  # in the second, the optimiser's state is there as well


def of_step(setting: Setting, way: str) -> int:
    """Return the bytes that steps of `setting` add."""
    return _in_new_process({"setting": asdict(setting), "way": way})


def of_federation(federation: Federation, *, loop: bool) -> int:
    """Return the bytes that a federated run adds, or the plain loop; cohorts must have been written."""
    folder = federation.folder
    return _in_new_process({"folder": str(folder), "recipe": federation.recipe, "loop": loop})


def _in_new_process(task: dict[str, object]) -> int:
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.memory", json.dumps(task)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])


def _work(task: dict[str, object]) -> None:
    if "setting" in task:
        setting = Setting(**task["setting"])  # type: ignore[arg-type]
        one_step = step(setting, str(task["way"]))
        for _ in range(STEPS):
            one_step()
        return
    federation = Federation(Path(str(task["folder"])), str(task["recipe"]), ROUNDS)
    if not task["loop"]:
        federation.federate(lambda label, done, total: None)
        return
    loop = federation.loop(planned_run(federation))
    for round_ in range(1, ROUNDS + 1):
        loop.run_round(round_)


if __name__ == "__main__":
    torch.set_num_threads(1)
    before = peak_memory()
    _work(json.loads(sys.argv[1]))
    print(peak_memory() - before)

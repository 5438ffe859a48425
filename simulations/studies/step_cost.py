"""What one step of a GAN costs, as a cell: time, and the memory it adds to a process that has all libraries."""

import time
from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict

from shared.canonical import Json
from shared.device import device, placed
from shared.recipes.catalogue import load
from shared.recipes.vessel_gans import VesselGanRecipe
from shared.recipes.wasserstein import pretrain
from simulations.memory import peak_memory
from simulations.studies.cells import Cell


class Stepping(BaseModel):
    """Everything that decides what is measured, but the machine."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    recipe: str
    variant: str
    preset: str
    size: tuple[int, ...]  # of a record
    steps: int  # timed, after one that is not

    def cell(self, name: str) -> Cell:
        """Return the cell that measures."""
        return Cell(name, self.model_dump(mode="json"))


def step_cost(out: Path, cell: Cell) -> Json:
    """Return millions of weights, seconds a step (one of critic and generator each) and peak memory in bytes.

    On random records, for time and memory do not depend on what is in them. A cell has a process of its own, so
    its peak is of nothing else.
    """
    asked = Stepping.model_validate(cell.settings)
    torch.set_num_threads(1)
    where = device()
    recipe = load(asked.recipe, asked.variant, asked.preset, private=False)
    assert isinstance(recipe, VesselGanRecipe)
    clock = time.perf_counter if where.type == "cuda" else time.process_time  # one thread: others do not count
    before = _peak(where)
    model = placed(recipe.build(0), where)

    def steps(count: int) -> float:
        start = clock()
        pretrain(
            model,
            recipe.objective,
            lambda n, random: torch.randn(n, 2, *asked.size, generator=random).clamp_(-1, 1),
            steps=count,
            critic_steps=1,
            seed=0,
            progress=lambda what, done, total: None,
        )
        if where.type == "cuda":
            torch.cuda.synchronize(where)
        return clock() - start

    steps(1)
    seconds = steps(asked.steps) / asked.steps
    weights = sum(weight.numel() for name in ("generator", "critic") for weight in model[name].parameters())
    return {
        "parameters": weights / 1e6,
        "step_seconds": seconds,
        "peak_bytes": _peak(where) - before,
        "device": where.type,
    }


def _peak(where: torch.device) -> int:
    """Return the most memory in use so far, bytes: the GPU's if there is one."""
    return int(torch.cuda.max_memory_allocated(where)) if where.type == "cuda" else peak_memory()

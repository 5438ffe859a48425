"""Sharing simulated, as a cell: a second site fine-tunes a network it was given on a few patients of its own.

The same network, steps and learning rate throughout; "from scratch" is from untrained weights (Kossen et al.,
2021). Simulation only: figures on patients are computed without a mechanism.
"""

from pathlib import Path

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict

from shared.canonical import Json
from shared.evaluation.utility import Tissue
from shared.recipes.vessel_records import ROLES
from simulations.evaluation.cohorts import find_patients
from simulations.studies.cells import Cell
from simulations.studies.judging import measured, trained
from simulations.studies.pairs import Origin, by_patient, pairs_of


class Transfer(BaseModel):
    """Everything that decides a learning curve over a second site's patients."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    origin: Origin | None  # of the pairs to pre-train on; None: from scratch
    pairs: int  # to pre-train on
    learning: str  # folder of the second site's patients, relative to OUT
    counts: tuple[int, ...]  # numbers of them; those of a smaller number are among those of a larger
    pairs_a_patient: int
    tests: str  # folder of the second site's test patients
    size: tuple[int, ...]
    pretraining_steps: int
    steps: int
    seed: int

    def cell(self, name: str) -> Cell:
        """Return the cell that draws the curve."""
        return Cell(name, self.model_dump(mode="json"))


def learning_curve(out: Path, cell: Cell) -> Json:
    """Return every test patient's measures by number of patients learnt from (as text, for JSON)."""
    asked = Transfer.model_validate(cell.settings)
    torch.set_num_threads(1)
    start = None
    if asked.origin is not None:
        pairs = pairs_of(out, asked.origin, asked.pairs, asked.size, asked.seed)
        start = trained(pairs, asked.pretraining_steps, asked.seed)
    everyone = find_patients(out / asked.learning, ROLES)
    rng = np.random.default_rng(asked.seed)
    order = [everyone[number] for number in rng.permutation(len(everyone))]
    curve: dict[str, Json] = {}
    for count in asked.counts:
        own = by_patient(order[:count], count * asked.pairs_a_patient, asked.size, rng)
        network = trained(np.concatenate(own), asked.steps, asked.seed, start)
        curve[str(count)] = measured(out / asked.tests, network, Tissue.INTRACRANIAL)
    return curve

"""What stroke cases are worth, as a cell: a U-Net is trained on them and judged on patients nobody trained on.

Trained on drawn cases, it may be fine-tuned on a few patients after that (Platscher et al., 2020, section 3.3).
Simulation only: these figures on patients are computed without a mechanism.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict
from torch import nn

from shared.canonical import Json
from shared.errors import CohortError
from shared.evaluation.lesion_segmentation import JUDGING, Cases, can_teach, case_of, train
from shared.evaluation.stroke_utility import judged
from shared.recipes.slice_records import ROLES
from simulations.evaluation.cohorts import find_patients
from simulations.studies.cells import Cell
from simulations.studies.stroke_drawing import Drawing, drawn

AS_TRAINED = "0"  # the stage before any fine-tuning


class Tuning(BaseModel):
    """A stage after the first: a network is trained on from there, on patients alone."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    patients: int
    steps: int


class Outlining(BaseModel):
    """Everything that decides a training and its test."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    cohort: str  # folder of the training patients, relative to OUT
    clinical: int | None  # training patients the first stage learns from; None: all
    drawing: str = ""  # cell of the cases it also learns from
    drawing_of: Drawing | None = None  # what is in it
    tunings: Mapping[str, Tuning] = {}  # later stages by name, each starting from the first
    steps: int  # updates of the first stage
    preset: str
    tests: str  # folder of the test patients
    seed: int

    def cell(self, name: str) -> Cell:
        """Return the cell that trains and tests."""
        return Cell(name, self.model_dump(mode="json"))


def outline(out: Path, cell: Cell) -> Json:
    """Return the number of cases of the first stage, and by stage every test patient's `Detection`."""
    asked = Outlining.model_validate(cell.settings)
    torch.set_num_threads(1)
    judging = JUDGING[asked.preset]
    patients = teaching(out / asked.cohort, asked.seed)
    first = [case for own in patients[: asked.clinical] for case in own]
    if asked.drawing:
        first += [case for case in map(case_of, drawn(out, asked.drawing)) if can_teach(case)]
    network = train(np.stack(first), asked.steps, asked.seed, judging)
    stages: dict[str, Json] = {AS_TRAINED: tested(out / asked.tests, network)}
    for name, tuning in asked.tunings.items():
        few = np.stack([case for own in patients[: tuning.patients] for case in own])
        tuned = train(few, tuning.steps, asked.seed, judging, network)
        stages[name] = tested(out / asked.tests, tuned)
    return {"cases": len(first), "stages": stages}


def teaching(cohort: Path, seed: int) -> Sequence[Sequence[Cases]]:
    """Return the cases that can be trained on, a list a patient, in random order: the first few are a choice.

    Raises:
        CohortError: nobody has enough lesion.
    """
    everyone = find_patients(cohort, ROLES)
    cases = [[case for case in map(case_of, one.scans()) if can_teach(case)] for one in everyone]
    with_any = [own for own in cases if own]
    if not with_any:
        raise CohortError(
            f"{cohort}: no patient has enough lesion to be trained on; add patients with larger ones"
        )
    return [with_any[number] for number in np.random.default_rng(seed).permutation(len(with_any))]


def tested(tests: Path, network: nn.Module) -> Json:
    """Return what the network finds of every test patient."""
    return {one.name: judged(network, one.scans()).as_json() for one in find_patients(tests, ROLES)}

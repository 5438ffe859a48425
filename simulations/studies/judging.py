"""What pairs are worth, as a cell: a network is trained on them and judged on patients nobody trained on.

Simulation only: these figures on patients are computed without a mechanism.
"""

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict

from shared.canonical import Json
from shared.evaluation.bootstrap import Scores
from shared.evaluation.segmentation import build_network, train
from shared.evaluation.utility import Judge, Tissue
from shared.imaging.patches import Patches
from shared.recipes.vessel_records import ROLES
from simulations.evaluation.cohorts import find_patients
from simulations.studies.cells import Cell
from simulations.studies.pairs import Origin, pairs_of
from simulations.studies.samples import keep_samples

MEASURES = ("dice", "95HD", "bAHD")  # as `Judge.measures` returns them; distances in mm


class Judging(BaseModel):
    """Everything that decides how pairs are judged."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    origin: Origin
    pairs: int
    size: tuple[int, ...]  # edges of a pair in voxels
    steps: int  # updates of the network
    seed: int  # of draw, weights, batches
    tests: dict[str, str]  # folders of test patients relative to OUT, by name
    tissues: tuple[Tissue, ...] = (Tissue.INTRACRANIAL,)

    def cell(self, name: str) -> Cell:
        """Return the cell that judges."""
        return Cell(name, self.model_dump(mode="json"))


def judge(out: Path, cell: Cell) -> Json:
    """Return every test patient's measures by test and tissue, and what share of the pairs' voxels is vessel.

    Leaves some of the pairs to look at: `OUT/samples/<cell>.png`, and as numbers for figures.
    """
    asked = Judging.model_validate(cell.settings)
    torch.set_num_threads(1)
    pairs = pairs_of(out, asked.origin, asked.pairs, asked.size, asked.seed)
    keep_samples(out, cell.name, pairs)
    found = trained(pairs, asked.steps, asked.seed)
    return {
        "pairs": len(pairs),
        "vessel_share": float((pairs[:, 1] > 0).mean()),
        "tests": {
            name: {tissue.value: measured(out / folder, found, tissue) for tissue in asked.tissues}
            for name, folder in asked.tests.items()
        },
    }


def trained(pairs: Patches, steps: int, seed: int, start: Judge | None = None) -> Judge:
    """Return the network trained on pairs, from scratch or from another, which is left as it was.

    Pairs without any vessel teach a network to say nothing, so the result is one that says nothing: a generator
    that failed is a row of the table, and no reason to stop.
    """
    window = tuple(pairs.shape[2:])
    if not (pairs[:, 1] > 0).any():
        return Judge(_Silent(), len(pairs), window)
    network = None if start is None else copy.deepcopy(start.network)
    if isinstance(network, _Silent):
        network = build_network(seed, len(window))
    return Judge(train(pairs, steps, seed, network=network), len(pairs), window)


def measured(tests: Path, network: Judge, tissue: Tissue) -> Json:
    """Return `MEASURES` by test patient."""
    return {
        patient.name: list(network.measures(patient.scans(), tissue)) for patient in find_patients(tests, ROLES)
    }


def scores(results: Sequence[Any], test: str, tissue: Tissue, measure: str) -> Scores:
    """Return one measure of several cells as (cells, patients), the patients in one order."""
    place = MEASURES.index(measure)
    by_patient = [result["tests"][test][tissue.value] for result in results]
    patients = sorted(by_patient[0])
    return np.array([[found[patient][place] for patient in patients] for found in by_patient], dtype=np.float64)


class _Silent(torch.nn.Module):
    """Finds no vessel anywhere."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return logits far below the threshold."""
        return torch.full_like(images, -1.0)

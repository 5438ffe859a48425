"""How pairs look beside real ones, as a cell: FID, PRD, SSIM between samples.

Simulation only: these figures on patients are computed without a mechanism. Volumes are compared by their axial
slices, for the feature network is a 2D one.
"""

from pathlib import Path

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict

from shared.canonical import Json
from shared.evaluation.quality.diversity import pair_similarity
from shared.evaluation.quality.frechet import frechet_distance
from shared.evaluation.quality.population import Features, Population
from shared.evaluation.quality.precision_recall import precision_recall
from shared.evaluation.quality.vessel_encoder import public_vessel_encoder
from shared.recipes.vessel_records import ROLES
from simulations.evaluation.cohorts import find_patients
from simulations.studies.cells import Cell
from simulations.studies.pairs import Origin, by_patient, pairs_of

SIMILAR = 500  # pairs of images whose SSIM is taken


class Looking(BaseModel):
    """Everything that decides how pairs are compared with patients'."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    origin: Origin
    training: str  # folder of the patients that runs were trained on, relative to OUT
    held_out: str  # of others
    images: int  # of each kind; volumes give as many slices in all
    size: tuple[int, ...]
    seed: int

    def cell(self, name: str) -> Cell:
        """Return the cell that compares."""
        return Cell(name, self.model_dump(mode="json"))


def look(out: Path, cell: Cell) -> Json:
    """Return FID to training and to held-out patients (None with too few images), area of PRD, SSIM, network."""
    asked = Looking.model_validate(cell.settings)
    torch.set_num_threads(1)
    rng = np.random.default_rng(asked.seed)
    ours = pairs_of(out, asked.origin, asked.images, asked.size, asked.seed)
    network = public_vessel_encoder()
    candidate = _drawn(Population.each_alone(ours), asked.images, rng)
    features = network.features(candidate)
    training, held_out = (
        network.features(_real(out, where, asked, rng)) for where in (asked.training, asked.held_out)
    )
    return {
        "fid_training": _fid(features, training),
        "fid_held_out": _fid(features, held_out),
        "prd_area": precision_recall(features, training, asked.seed).area,
        "ssim": pair_similarity(candidate, SIMILAR, rng).mean,
        "network": network.name,
        "images": len(candidate),
    }


def _real(out: Path, where: str, asked: Looking, rng: np.random.Generator) -> Population:
    """Return the images of real patients; another draw than the row of real pairs, so that FID is not 0."""
    pairs = by_patient(find_patients(out / where, ROLES), asked.images, asked.size, rng)
    return _drawn(Population.of(pairs), asked.images, rng)


def _drawn(population: Population, count: int, rng: np.random.Generator) -> Population:
    return population.slices().drawn(count, rng)


def _fid(ours: Features, reference: Features) -> float | None:
    """Return the distance; None where there are no more images than features."""
    few = min(len(ours.vectors), len(reference.vectors)) <= ours.vectors.shape[1]
    return None if few else frechet_distance(ours, reference)

"""Do synthetic images lie nearer to the patients a model was trained on than to others? Then it remembers them.

Distances are Euclidean in feature space, from each synthetic image to the nearest image of a patient. Training
and held-out patients enter in equal number with equally many images each, so that a model that remembers nobody
is as near to one as to the other: half of its images are nearer to a training patient. How far from a half
chance leads is found by dealing the patients anew into "training" and "held out" (a permutation test), which
needs only that both were drawn alike, from the same sites.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from shared.errors import UsageError
from shared.evaluation.quality.population import Features, Groups, check_comparable

DEALS = 2000


@dataclass(frozen=True)
class NearestPatients:
    """Distances to the nearest training and held-out patient, and what they say together."""

    to_training: NDArray[np.float64]  # (candidates,)
    to_held_out: NDArray[np.float64]  # (candidates,)
    patients: int  # of each kind
    chance: tuple[float, float]  # 95 % of the shares that chance gives
    p_value: float  # chance of a share this high or higher if nobody is remembered

    @property
    def share(self) -> float:
        """Share of the candidates nearer to a training patient; one at the same distance counts half."""
        return _share(self.to_training, self.to_held_out)


def nearest_patients(
    candidate: Features, training: Features, held_out: Features, rng: np.random.Generator
) -> NearestPatients:
    """Compare the distances of candidates to training and held-out patients.

    Args:
        candidate: synthetic images.
        training: images of patients the model was trained on.
        held_out: images of patients it was not.
        rng: chooses patients and images where one kind has more, and deals patients anew.

    Raises:
        UsageError: the features are of two networks, or there are fewer than two patients of a kind.
    """
    check_comparable(candidate, training, held_out)
    sides = (training.patients, held_out.patients)
    count = min(len(np.unique(side)) for side in sides)
    if count < 2:
        raise UsageError("nearest patients: two training and two held-out patients or more are needed")
    images = min(int(np.unique(side, return_counts=True)[1].min()) for side in sides)
    nearest = np.concatenate(
        [_to_each_patient(candidate, side, count, images, rng) for side in (training, held_out)], axis=1
    )
    dealt = [_dealt_share(nearest, rng) for _ in range(DEALS)]
    ours, others = nearest[:, :count].min(axis=1), nearest[:, count:].min(axis=1)
    low, high = np.quantile(dealt, [0.025, 0.975])
    as_high = np.count_nonzero(np.array(dealt) >= _share(ours, others) - 1e-12)
    return NearestPatients(ours, others, count, (float(low), float(high)), (1 + as_high) / (1 + DEALS))


def _to_each_patient(
    candidate: Features, side: Features, count: int, images: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return (candidates, count) distances to the nearest of `images` images of each of `count` patients."""
    chosen = rng.choice(np.unique(side.patients), count, replace=False)
    columns = []
    for patient in chosen:
        rows: Groups = rng.choice(np.flatnonzero(side.patients == patient), images, replace=False)
        columns.append(cdist(candidate.vectors, side.vectors[rows]).min(axis=1))
    return np.stack(columns, axis=1)


def _dealt_share(nearest: NDArray[np.float64], rng: np.random.Generator) -> float:
    order = rng.permutation(nearest.shape[1])
    half = nearest.shape[1] // 2
    return _share(nearest[:, order[:half]].min(axis=1), nearest[:, order[half:]].min(axis=1))


def _share(ours: NDArray[np.float64], others: NDArray[np.float64]) -> float:
    return float(np.mean(ours < others) + 0.5 * np.mean(ours == others))

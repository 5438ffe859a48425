"""Images grouped by patient, and their features: what every measure of image quality works on.

    real = Population.of([patches_of_patient_1, patches_of_patient_2])  # each (n, 2, size, size)
    synthetic = Population.each_alone(pairs)  # one synthetic case, one patient
    features = public_vessel_encoder().features(real)  # Features: vectors (n, d), patients (n,), network
    frechet_distance(synthetic_features, features)

Images keep their patient because patients, not patches, are what a study drew at random: intervals resample
patients, and populations are compared with as many images from as many patients each.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shared.errors import UsageError

Images = NDArray[np.float32]  # (n, channels, i, j) or (n, channels, i, j, k); channel 0 is the image in [-1, 1]
Vectors = NDArray[np.float64]  # (n, features)
Groups = NDArray[np.intp]  # (n,), the number of the patient that each came from


@dataclass(frozen=True)
class Population:
    """Images of one kind (real, synthetic, ...), with the patient that each came from."""

    images: Images
    patients: Groups

    def __post_init__(self) -> None:
        """Refuse what no measure can read.

        Raises:
            UsageError: no images, a shape that is none of images or volumes, or one patient number too few.
        """
        if self.images.ndim not in (4, 5) or not len(self.images):
            msg = f"images of shape {self.images.shape}: (n, channels, i, j) or (n, channels, i, j, k), n > 0"
            raise UsageError(msg)
        if self.patients.shape != self.images.shape[:1]:
            raise UsageError(f"{len(self.images)} images with {len(self.patients)} patient numbers: one each")

    @classmethod
    def of(cls, patients: Sequence[Images]) -> "Population":
        """Return the images of several patients, one array a patient; a patient may have any number.

        Raises:
            UsageError: there are no images, or their shapes differ.
        """
        if len({images.shape[1:] for images in patients}) != 1:
            shapes = sorted({str(images.shape[1:]) for images in patients})
            raise UsageError(f"images of one population must have one shape; these have {shapes or 'none'}")
        sizes = [len(images) for images in patients]
        return cls(np.concatenate(patients), np.repeat(np.arange(len(patients)), sizes))

    @classmethod
    def each_alone(cls, images: Images) -> "Population":
        """Return images that came one from each patient, as published synthetic cases do."""
        return cls(images, np.arange(len(images)))

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.images)

    def drawn(self, count: int, rng: np.random.Generator) -> "Population":
        """Return `count` images, as evenly over the patients as can be, or all where there are fewer.

        Measures with a bias that depends on the number of images (all of them, in fact) compare fairly only
        populations of one size.
        """
        order = rng.permutation(len(self))
        turns = _turns(self.patients[order])  # 0 for a patient's first image, 1 for the second, ...
        chosen = np.sort(order[np.argsort(turns, kind="stable")[:count]])
        return Population(self.images[chosen], self.patients[chosen])

    def slices(self) -> "Population":
        """Return volumes (n, channels, i, j, k) as n * k axial slices, each still of its patient."""
        if self.images.ndim == 4:
            return self
        slices = np.moveaxis(self.images, -1, 1)
        flat = slices.reshape(-1, *slices.shape[2:])
        return Population(flat, np.repeat(self.patients, slices.shape[1]))


@dataclass(frozen=True)
class Features:
    """What a feature network says of a population's images; a value means nothing without the network's name."""

    vectors: Vectors
    patients: Groups
    network: str

    def rows(self, chosen: Groups) -> "Features":
        """Return the images with these numbers."""
        return Features(self.vectors[chosen], self.patients[chosen], self.network)


def check_comparable(*several: Features) -> None:
    """Refuse features that were not made by one network.

    Raises:
        UsageError: naming the networks.
    """
    networks = sorted({f"{features.network} with {features.vectors.shape[1]} features" for features in several})
    if len(networks) > 1:
        raise UsageError(f"features of {' and '.join(networks)} cannot be compared; use one network for all")


def _turns(patients: Groups) -> Groups:
    turns = np.empty(len(patients), dtype=np.intp)
    for patient in np.unique(patients):
        own = patients == patient
        turns[own] = np.arange(np.count_nonzero(own))
    return turns

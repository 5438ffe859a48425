"""Diffusion-weighted images drawn from anatomical maps and lesion masks by random contrasts.

As SynthSeg does (Billot et al., 2023), but with the priors of diffusion weighting: fluid is dark, grey matter a
little brighter than white, a fresh infarct the brightest. Levels are in units of white matter. What is bright
and no lesion is there on purpose (signal piled up beside the air of the skull base, bright patches): a network
that never saw it takes every bright spot for an infarct.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from shared.imaging.anatomy import STRUCTURES, Tissue, indices, is_parenchyma
from shared.imaging.scan import Volume
from shared.phantoms.anatomy import Shape
from shared.phantoms.fields import Field, smooth_field

RANGES: dict[str, tuple[float, float]] = {
    "gain": (100.0, 2000.0),  # scanner units in one unit of white matter
    "grey": (1.02, 1.5),  # cortex
    "nucleus": (0.85, 1.35),  # deep nuclei
    "stem": (0.85, 1.3),  # brain stem
    "fluid": (0.06, 0.5),  # fluid, dark at a b value of about 1000 s/mm²
    "hindbrain": (0.85, 1.2),  # cerebellum, relative to the cerebrum
    "spread": (0.01, 0.12),  # standard deviation of each structure's own level, relative
    "texture": (0.01, 0.12),  # fine structure of tissue, relative
    "contrast": (1.2, 4.0),  # lesion over brain
    "mottle": (0.03, 0.35),  # unevenness of a lesion, relative to its contrast
    "scalp": (0.01, 0.35),  # fat and skin, which fat suppression leaves
    "bias": (0.02, 0.35),  # amplitude of the coil's shading
    "pileup": (0.05, 1.2),  # brightness gained beside air at the skull base
    "shine": (0.03, 0.4),  # brightness of patches that are no lesion
    "blur": (0.35, 1.1),  # point spread in-plane, standard deviation in voxels
    "noise": (0.01, 0.12),  # Rician noise
}

_AIR_MM = ((0, 75, -33, 16), (-48, -8, -40, 14), (48, -8, -40, 14))  # frontal sinus, ear bones: place, reach
_HEAD_MM = 12.0  # lobes closer than about this share one scalp


def draw_image(
    p: Mapping[str, float],
    labels: NDArray[np.generic],
    lesion: NDArray[np.generic],
    affine: NDArray[np.float64],
    rng: np.random.Generator,
) -> Volume:
    """Return an image (i, j, k) of any map with lesions, in scanner units.

    Args:
        p: the parameters of `RANGES` by name; others are ignored.
        labels: FreeSurfer numbers (i, j, k).
        lesion: above 0.5 inside lesions (i, j, k).
        affine: of both (4, 4), to RAS millimetres.
        rng: draws everything else.

    Raises:
        CohortError: the map holds an unknown label.
    """
    i, j, k = labels.shape
    shape, spacing = (i, j, k), np.linalg.norm(affine[:3, :3], axis=0)
    image = _levels(p, rng)[indices(labels, np.zeros(shape))]
    tissue = is_parenchyma(labels)
    image[tissue] *= 1.0 + p["texture"] * _field(shape, spacing, rng.uniform(3, 8), rng)[tissue]
    image += _scalp(labels, p["scalp"], spacing, rng)
    image += tissue * _shine(shape, spacing, p["shine"], rng)
    image = _infarct(image, np.asarray(lesion, np.float32) > 0.5, tissue, p, spacing, rng)
    image *= 1.0 + p["pileup"] * _near_air(np.asarray(labels != 0), affine, rng)
    image *= np.exp(p["bias"] * _field(shape, spacing, 70.0, rng))
    image = ndimage.gaussian_filter(image, (p["blur"], p["blur"], 0.3 * p["blur"]), truncate=3.0)
    grain = rng.standard_normal((2, *shape), dtype=np.float32) * np.float32(p["noise"])
    return np.asarray(p["gain"] * np.hypot(image + grain[0], grain[1]), np.float32)


def _levels(p: Mapping[str, float], rng: np.random.Generator) -> Field:
    """Return the level of every structure, in the order of `STRUCTURES`; both sides have the same."""
    of_tissue = {
        Tissue.BACKGROUND: 0.0,
        Tissue.WHITE: 1.0,
        Tissue.CORTEX: p["grey"],
        Tissue.NUCLEUS: p["nucleus"],
        Tissue.STEM: p["stem"],
        Tissue.FLUID: p["fluid"],
    }
    names = [s.name.removeprefix("left ").removeprefix("right ") for s in STRUCTURES]
    own = {name: np.exp(p["spread"] * rng.standard_normal()) for name in dict.fromkeys(names)}
    cerebellum = [p["hindbrain"] if "cerebellar" in name else 1.0 for name in names]
    levels = [of_tissue[s.tissue] * own[n] * c for s, n, c in zip(STRUCTURES, names, cerebellum, strict=True)]
    return np.array(levels, np.float32)


def _field(shape: Shape, spacing: NDArray[np.float64], mm: float, rng: np.random.Generator) -> Field:
    """Return noise (i, j, k) of about unit variance that varies over `mm` millimetres."""
    i, j, k = np.maximum(mm / spacing, 1.0).tolist()
    return smooth_field(shape, (i, j, k), rng)


def _infarct(
    image: Field,
    lesion: NDArray[np.bool_],
    tissue: NDArray[np.bool_],
    p: Mapping[str, float],
    spacing: NDArray[np.float64],
    rng: np.random.Generator,
) -> Field:
    """Return the image with lesions of `contrast` times the mean of the tissue, uneven within."""
    if not lesion.any():
        return image
    mottle = 1.0 + p["mottle"] * _field(image.shape, spacing, rng.uniform(6, 20), rng)
    excess = (p["contrast"] - 1.0) * float(image[tissue].mean()) * np.clip(mottle, 0.25, 2.0)
    return np.asarray(image + lesion * excess, np.float32)


def _scalp(
    labels: NDArray[np.generic], level: float, spacing: NDArray[np.float64], rng: np.random.Generator
) -> Field:
    """Return the light of a shell around the head, beyond the dark bone."""
    inside = np.asarray(labels != 0, np.float32)
    head = (
        ndimage.gaussian_filter(inside, _HEAD_MM / spacing, truncate=2.0) > 0.4
    )  # closes what lies between lobes
    outside = np.asarray(ndimage.distance_transform_edt(~head & (inside == 0), sampling=spacing), np.float32)
    bone, skin = rng.uniform(3, 9), rng.uniform(3, 12)
    uneven = np.exp(0.4 * _field(labels.shape, spacing, 25.0, rng))
    return np.asarray(level * uneven * ((outside > bone) & (outside < bone + skin)), np.float32)


def _shine(shape: Shape, spacing: NDArray[np.float64], level: float, rng: np.random.Generator) -> Field:
    """Return the light of a few patches: the tops of smooth noise."""
    hills = _field(shape, spacing, rng.uniform(10, 25), rng) - rng.uniform(1.5, 3.0)
    return np.asarray(level * np.clip(hills, 0.0, 1.0), np.float32)


def _near_air(head: NDArray[np.bool_], affine: NDArray[np.float64], rng: np.random.Generator) -> Field:
    """Return light gained or lost around the air of the skull base: about -1 to 1, (i, j, k)."""
    mm = np.tensordot(affine[:3, :3], np.indices(head.shape, np.float32), 1) + affine[:3, 3, None, None, None]
    middle = mm[:, head].mean(axis=1) if head.any() else np.zeros(3)
    light = np.zeros(head.shape, np.float32)
    for *place, reach in _AIR_MM:
        centre = middle + place + rng.normal(0, 6, 3)
        square = ((mm - centre[:, None, None, None]) ** 2).sum(axis=0) / reach**2
        light += rng.uniform(-0.8, 1.0) * np.exp(-0.5 * square)
    return light

"""The vocabulary of anatomical label maps: 27 structures of the brain by FreeSurfer number, and what is none.

A map has one number a voxel, as `Role.ANATOMY`; 0 is everything outside brain and fluid. With the lesion as
the last class a translator reads `CLASSES` = 29 one-hot channels, as in Platscher et al. (2020). Numbers are
those of FreeSurfer's colour table (Fischl, 2012); its five parts of the corpus callosum are one, 192.
"""

from enum import StrEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from shared.errors import CohortError


class Tissue(StrEnum):
    """What a structure is made of."""

    BACKGROUND = "background"
    WHITE = "white matter"
    CORTEX = "cortex"
    NUCLEUS = "deep grey matter"
    STEM = "brain stem"
    FLUID = "fluid"


class Side(StrEnum):
    """The half of the body a structure lies in; left is the negative first axis of RAS millimetres."""

    LEFT = "left"
    RIGHT = "right"
    MIDDLE = "middle"


class Structure(NamedTuple):
    """One label of a map."""

    number: int
    name: str
    tissue: Tissue
    side: Side


_PAIRS = (
    (2, 41, "cerebral white matter", Tissue.WHITE),
    (3, 42, "cerebral cortex", Tissue.CORTEX),
    (4, 43, "lateral ventricle", Tissue.FLUID),
    (7, 46, "cerebellar white matter", Tissue.WHITE),
    (8, 47, "cerebellar cortex", Tissue.CORTEX),
    (10, 49, "thalamus", Tissue.NUCLEUS),
    (11, 50, "caudate", Tissue.NUCLEUS),
    (12, 51, "putamen", Tissue.NUCLEUS),
    (13, 52, "pallidum", Tissue.NUCLEUS),
    (17, 53, "hippocampus", Tissue.NUCLEUS),
    (18, 54, "amygdala", Tissue.NUCLEUS),
)
_SINGLE = (
    (0, "background", Tissue.BACKGROUND),
    (14, "third ventricle", Tissue.FLUID),
    (15, "fourth ventricle", Tissue.FLUID),
    (16, "brain stem", Tissue.STEM),
    (24, "cerebrospinal fluid", Tissue.FLUID),
    (192, "corpus callosum", Tissue.WHITE),
)

STRUCTURES: tuple[Structure, ...] = tuple(
    sorted(
        [Structure(left, f"left {name}", tissue, Side.LEFT) for left, _, name, tissue in _PAIRS]
        + [Structure(right, f"right {name}", tissue, Side.RIGHT) for _, right, name, tissue in _PAIRS]
        + [Structure(number, name, tissue, Side.MIDDLE) for number, name, tissue in _SINGLE]
    )
)  # in the order of the one-hot channels: ascending FreeSurfer number, background first
LESION_CLASS = len(STRUCTURES)  # the last channel
CLASSES = len(STRUCTURES) + 1

_NUMBERS = np.array([structure.number for structure in STRUCTURES])
_CLASS_OF = np.full(_NUMBERS[-1] + 1, -1, dtype=np.int64)
_CLASS_OF[_NUMBERS] = np.arange(len(_NUMBERS))
_IS_FLUID = np.array([structure.tissue is Tissue.FLUID for structure in STRUCTURES])


def indices(anatomy: NDArray[np.generic], lesion: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Return the class (0 to 28) of every voxel: its place in `STRUCTURES`, or the lesion's where there is one.

    Args:
        anatomy: FreeSurfer numbers, any shape and type of number.
        lesion: of the same shape; lesion where above 0.5.

    Raises:
        CohortError: the shapes differ, or the map holds a label that is not in `STRUCTURES`.
    """
    if anatomy.shape != lesion.shape:
        raise CohortError(f"anatomy of shape {anatomy.shape}, lesion of {lesion.shape}: resample one to the other")
    classes = _classes(anatomy)
    classes[np.asarray(lesion, dtype=np.float32) > 0.5] = LESION_CLASS
    return classes.astype(np.uint8)


def one_hot(anatomy: NDArray[np.generic], lesion: NDArray[np.generic]) -> NDArray[np.float32]:
    """Return (29, ...) with 1 in the channel of each voxel's class; the lesion overrides what it lies in.

    Raises:
        CohortError: as `indices`.
    """
    classes = indices(anatomy, lesion)
    channels = np.zeros((CLASSES, *classes.shape), dtype=np.float32)
    np.put_along_axis(channels, classes[None].astype(np.int64), 1.0, axis=0)
    return channels


def is_fluid(anatomy: NDArray[np.generic]) -> NDArray[np.bool_]:
    """Return where a map holds fluid: the ventricles and what surrounds the brain.

    Raises:
        CohortError: the map holds a label that is not in `STRUCTURES`.
    """
    return np.asarray(_IS_FLUID[_classes(anatomy)])


def is_parenchyma(anatomy: NDArray[np.generic]) -> NDArray[np.bool_]:
    """Return where a map holds brain tissue: neither fluid nor background.

    Raises:
        CohortError: the map holds a label that is not in `STRUCTURES`.
    """
    classes = _classes(anatomy)
    return np.asarray((classes > 0) & ~_IS_FLUID[classes])


def _classes(anatomy: NDArray[np.generic]) -> NDArray[np.int64]:
    """Return the place of every voxel's label in `STRUCTURES`."""
    labels = np.asarray(anatomy, dtype=np.float64)
    whole = np.nan_to_num(labels, nan=-1.0, posinf=-1.0, neginf=-1.0).clip(-1, len(_CLASS_OF)).astype(np.int64)
    classes = np.append(_CLASS_OF, [-1, -1])[whole]
    unknown = (classes < 0) | (whole != labels)
    if unknown.any():
        found = ", ".join(f"{label:g}" for label in np.unique(labels[unknown])[:5])
        msg = f"the anatomical map holds {int(unknown.sum())} voxels of labels that are not known ({found}); "
        raise CohortError(msg + "map it with a table")
    return classes

"""The diffusion-weighted volume that a trained translator draws of a map and a lesion."""

from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from shared.imaging.scan import Volume
from shared.imaging.slices import from_slices
from shared.recipes.slice_records import classes_of, one_hot
from shared.recipes.translation import Translator

_AT_ONCE = 16  # slices drawn in one pass


def translate(
    generator: nn.Module, anatomy: NDArray[np.generic], lesion: NDArray[np.generic], edge: int, seed: int
) -> Volume:
    """Return the diffusion-weighted image (i, j, k) in [0, 1] that a generator draws of a map and lesion.

    Slices share what is random, so that they fit one another; those without brain or lesion stay black.

    Args:
        generator: a translator for slices of `edge` pixels a side.
        anatomy: (i, j, k), FreeSurfer numbers, k axial.
        lesion: (i, j, k), lesion where above 0.5.
        edge: see `generator`.
        seed: of the random part.

    Raises:
        CohortError: the map holds a label that is not known.
    """
    classes = torch.from_numpy(classes_of(anatomy, lesion, edge))
    where = next(generator.parameters()).device
    slices = torch.zeros(classes.shape)
    seen = classes.flatten(1).any(dim=1).nonzero()[:, 0]
    for some in torch.split(seen, _AT_ONCE):
        random = torch.Generator().manual_seed(seed)  # afresh, so that every pass draws the same
        with torch.no_grad():
            drawn = cast(Translator, generator).draw_volume(one_hot(classes[some]).to(where), random)
        slices[some] = (drawn[:, 0].float().cpu() + 1) / 2
    i, j, k = anatomy.shape
    return from_slices(slices.numpy(), (i, j, k))

"""The segmentation network that every kind of stroke cases is judged by (Platscher et al., 2020, section 2.4).

A 3D U-Net on whole volumes, Dice + cross entropy, affine augmentation and flips. Network, loss, steps and
augmentation are the same for every kind of data, so that a difference in Dice comes from the cases.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import affine_grid, grid_sample

from shared.errors import UsageError
from shared.evaluation.dice import Mask
from shared.evaluation.segmentation import fit, seeded
from shared.imaging.intensity import scale_dwi
from shared.imaging.scan import Role, Scan, Volume
from shared.models.lesion_unet import PAPER_WIDTHS, SMALL_WIDTHS, LesionUnet

MIN_VOXELS = 20  # volumes with less lesion are not trained on (Platscher et al., 2020, section 2.4)
TURN_DEGREES = 15.0  # largest rotation in-plane, from both signs
SHIFT = 0.1  # largest shift in-plane, of half an edge
SHEAR = 0.1
RATE = 2e-3  # of Adam, falling along a cosine

_DIVISOR = 16  # edges that are multiples of it fit every network above

Cases = NDArray[np.float32]  # (n, 2, i, j, k): image in [0, 1], lesion 0 or 1


@dataclass(frozen=True)
class Judging:
    """The size of the network, how many volumes an update takes, and how much of each."""

    widths: tuple[int, ...]
    batch: int
    window: int | None = None  # edge in-plane of what is cut out of each, in voxels; None: all of it


# On whole volumes, of which a lesion fills a thousandth, a small network takes too long to say anything at all.
JUDGING = {"small": Judging(SMALL_WIDTHS, 4, 32), "paper": Judging(PAPER_WIDTHS, 5)}


def case_of(scan: Scan) -> Cases:
    """Return one session as a case (2, i, j, k)."""
    lesion = (scan.volumes[Role.LESION] > 0.5).astype(np.float32)
    return np.stack([scale_dwi(scan.volumes[Role.DWI]), lesion])


def can_teach(case: Cases) -> bool:
    """Return whether a case (2, i, j, k) has enough lesion to be trained on."""
    return int(np.count_nonzero(case[1])) >= MIN_VOXELS


def train(
    cases: Cases,
    steps: int,
    seed: int,
    judging: Judging,
    network: nn.Module | None = None,
    on_step: Callable[[], object] = lambda: None,
) -> nn.Module:
    """Return the U-Net trained on cases, from scratch or from another network, which is left as it was.

    `on_step` is called after each update.

    Raises:
        UsageError: there are no cases, one has no lesion to speak of, or the edges do not fit the network.
    """
    _check(cases, judging)
    generator = torch.Generator().manual_seed(seed)
    whole = torch.from_numpy(cases)
    with seeded(seed):  # weights and dropout
        started = LesionUnet(judging.widths) if network is None else copy.deepcopy(network).train()
        shown = partial(_shown, window=judging.window, generator=generator)
        images, labels = whole[:, :1], whole[:, 1:]
        return fit(started, images, labels, steps, judging.batch, shown, generator, on_step, RATE)


@torch.no_grad()
def segment(network: nn.Module, dwi: Volume) -> Mask:
    """Return the lesion (i, j, k) the network finds in a diffusion-weighted image (i, j, k), arbitrary units.

    The network sees whole volumes, with black behind them where an edge does not fit its resolutions.
    """
    scaled = scale_dwi(dwi)
    room = [(0, -edge % _DIVISOR) for edge in scaled.shape]
    logits = network(torch.from_numpy(np.pad(scaled, room))[None, None])[0, 0].numpy()
    i, j, k = scaled.shape
    return np.asarray(logits[:i, :j, :k] > 0)


def augmented(cases: Tensor, generator: torch.Generator) -> Tensor:
    """Return cases (n, 2, i, j, k), i = j, each turned, sheared, shifted in-plane and flipped, at random."""
    n = len(cases)
    turn, shear, a, b = (2 * torch.rand(4, n, generator=generator) - 1).unbind()
    angle = torch.deg2rad(TURN_DEGREES * turn)
    flip = 1 - 2 * (torch.rand(n, generator=generator) < 0.5).float()
    # grid_sample's coordinates run backwards through the axes: k, j, i
    theta = torch.zeros(n, 3, 4)
    theta[:, 0, 0] = 1
    theta[:, 1, 1], theta[:, 1, 2], theta[:, 1, 3] = angle.cos(), -angle.sin(), SHIFT * a
    theta[:, 2, 1] = flip * (angle.sin() + SHEAR * shear)
    theta[:, 2, 2], theta[:, 2, 3] = flip * angle.cos(), SHIFT * b
    grid = affine_grid(theta, list(cases.shape), align_corners=False)
    moved = grid_sample(cases, grid, align_corners=False)
    return torch.cat([moved[:, :1], (moved[:, 1:] > 0.5).float()], dim=1)


def cut(cases: Tensor, window: int, generator: torch.Generator) -> Tensor:
    """Return (n, 2, window, window, k) of cases: in one of two, around a lesion voxel; otherwise anywhere."""
    return torch.stack([_cut(case, window, generator) for case in cases])


def _cut(case: Tensor, window: int, generator: torch.Generator) -> Tensor:
    room = case.shape[1] - window
    places = case[1].nonzero()
    if len(places) and torch.rand((), generator=generator) < 0.5:
        place = places[torch.randint(len(places), (), generator=generator)][:2]
        start = place - torch.randint(window, (2,), generator=generator)
    else:
        start = torch.randint(room + 1, (2,), generator=generator)
    i, j = start.clamp(0, room).tolist()
    return case[:, i : i + window, j : j + window]


def _shown(cases: Tensor, window: int | None, generator: torch.Generator) -> Tensor:
    """Return a batch as the network sees it."""
    moved = augmented(cases, generator)
    return moved if window is None else cut(moved, window, generator)


def _check(cases: Cases, judging: Judging) -> None:
    divisor = 2 ** (len(judging.widths) - 1)
    if cases.ndim != 5 or len(cases) == 0 or cases.shape[1] != 2 or cases.shape[2] != cases.shape[3]:
        raise UsageError(f"training cases of shape {cases.shape}: (n, 2, edge, edge, k) with n > 0 is needed")
    if any(edge % divisor for edge in cases.shape[2:]) or (judging.window or 0) > cases.shape[2]:
        least = f"at least {judging.window} and " if judging.window else ""
        raise UsageError(
            f"training cases of {cases.shape[2:]} voxels: edges must be {least}multiples of {divisor}"
        )
    if not all(can_teach(case) for case in cases):
        raise UsageError(f"a training case has less than {MIN_VOXELS} voxels of lesion; leave it out")

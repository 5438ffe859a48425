"""The segmentation network that every kind of training data is judged by: one small U-Net, one recipe.

Patches train a 2D network, which goes through a head slice by slice; volumes train a 3D one.

Nothing here is tuned to one kind of data: network, loss, steps, augmentation and threshold are constants,
so that a difference in Dice comes from the training pairs. U-Net (Ronneberger et al., 2015), Dice + cross
entropy, zero mean and unit variance a patch (as in Kossen et al., 2021).
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from threading import Lock

import numpy as np
import torch
from monai.inferers import sliding_window_inference
from monai.losses import DiceCELoss
from monai.networks.nets import UNet
from torch import Tensor, nn

from shared.errors import UsageError
from shared.evaluation.dice import Mask
from shared.imaging.intensity import scale_per_image
from shared.imaging.patches import Patches
from shared.imaging.scan import Volume

CHANNELS = (8, 16, 32, 48, 64)
STRIDES = (1, 2, 2, 2)  # the first level keeps full resolution: vessels are one or two pixels wide
DIVISOR = math.prod(STRIDES)  # MONAI's UNet fails on edges that are not a multiple
BATCH = {2: 32, 3: 4}  # pairs an update, by dimensions: about as many voxels
LEARNING_RATE = 3e-3
OVERLAP = 0.25  # of neighbouring windows at inference
_GLOBAL_GENERATOR = Lock()


def build_network(seed: int, dimensions: int = 2) -> nn.Module:
    """Return the untrained U-Net, (n, 1, i, j[, k]) -> logits of that shape; 91,457 parameters in 2D."""
    with seeded(seed):
        network = UNet(dimensions, in_channels=1, out_channels=1, channels=CHANNELS, strides=STRIDES)
    assert isinstance(network, nn.Module)
    return network


def train(
    pairs: Patches,
    steps: int,
    seed: int,
    on_step: Callable[[], object] = lambda: None,
    network: nn.Module | None = None,
) -> nn.Module:
    """Return the network trained on pairs (n, 2, size, size) or (n, 2, size, size, k): image, label -1 or +1.

    Each of `steps` steps takes `BATCH` pairs with replacement, each flipped and turned at random. The learning
    rate falls to zero along a cosine, so that the last step, not a chosen one, is the result.

    Args:
        pairs: labelled patches; a label is vessel where it is above 0.
        steps: number of updates.
        seed: decides first weights, batches and augmentation.
        on_step: called after each step, for a progress bar.
        network: one to go on training, as fine-tuning does; None for an untrained one.

    Raises:
        UsageError: there are no pairs, they are not square in-plane or an edge is not a multiple of 8, or no
            pair has a vessel in it, which would teach the network to say nothing.
    """
    _check(pairs)
    generator = torch.Generator().manual_seed(seed)
    dimensions = pairs.ndim - 2
    network = build_network(seed, dimensions) if network is None else network.train()
    images, labels = torch.from_numpy(pairs[:, :1]), torch.from_numpy((pairs[:, 1:] > 0).astype(np.float32))
    batch = BATCH[dimensions]
    return fit(network, images, labels, steps, batch, partial(_shown, generator=generator), generator, on_step)


def fit(
    network: nn.Module,
    images: Tensor,
    labels: Tensor,
    steps: int,
    batch: int,
    shown: Callable[[Tensor], Tensor],
    generator: torch.Generator,
    on_step: Callable[[], object] = lambda: None,
    rate: float = LEARNING_RATE,
) -> nn.Module:
    """Return the network, ready to be used, after `steps` updates by Dice + cross entropy.

    Args:
        network: images to logits of their shape; it is trained in place.
        images: (n, 1, ...).
        labels: of the same shape, 0 or 1.
        steps: number of updates.
        batch: pairs an update, drawn with replacement.
        shown: takes pairs (batch, 2, ...) to what the network is shown of them, turned and scaled.
        generator: draws batches.
        on_step: called after each step.
        rate: of the first step; it falls to zero along a cosine.
    """
    loss = DiceCELoss(sigmoid=True, batch=True)
    optimiser = torch.optim.Adam(network.parameters(), lr=rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for _ in range(steps):
        chosen = torch.randint(len(images), (batch,), generator=generator)
        pairs = shown(torch.cat([images[chosen], labels[chosen]], dim=1))
        optimiser.zero_grad()
        loss(network(pairs[:, :1]), pairs[:, 1:]).backward()
        optimiser.step()
        schedule.step()
        on_step()
    return network.eval()


@torch.no_grad()
def segment(network: nn.Module, angiogram: Volume, window: tuple[int, ...]) -> Mask:
    """Return the vessels (i, j, k) the network finds in an angiogram (i, j, k) of arbitrary units.

    The angiogram is covered by overlapping windows of the size the network was trained on, (i, j) in whole
    axial slices or (i, j, k), each standardised as in training; where windows overlap their logits are averaged.
    """
    scaled = torch.from_numpy(scale_per_image(angiogram))[None, None]
    flat = len(window) == 2
    logits = sliding_window_inference(
        scaled[0].permute(3, 0, 1, 2).contiguous() if flat else scaled,
        window,
        sw_batch_size=2 * BATCH[len(window)],
        predictor=lambda windows: network(standardise(windows)),
        overlap=OVERLAP,
        mode="gaussian",
        cval=-1.0,
    )
    assert isinstance(logits, Tensor)
    found = logits[:, 0].permute(1, 2, 0) if flat else logits[0, 0]
    return np.asarray(found.numpy() > 0)


def standardise(images: Tensor) -> Tensor:
    """Return images (n, 1, i, j[, k]), each with zero mean and unit variance; a constant one becomes zeros."""
    axes = tuple(range(2, images.ndim))
    centred = images - images.mean(dim=axes, keepdim=True)
    return centred / centred.square().mean(dim=axes, keepdim=True).sqrt().clamp_min(1e-3)


def _check(pairs: Patches) -> None:
    if pairs.ndim not in (4, 5) or len(pairs) == 0 or pairs.shape[1] != 2 or pairs.shape[2] != pairs.shape[3]:
        raise UsageError(f"training pairs of shape {pairs.shape}: (n, 2, size, size[, k]) with n > 0 is needed")
    if any(edge % DIVISOR for edge in pairs.shape[2:]):
        raise UsageError(f"training pairs of {pairs.shape[2:]} voxels: edges must be multiples of {DIVISOR}")
    if not (pairs[:, 1] > 0).any():
        raise UsageError(f"none of the {len(pairs)} training pairs has a labelled vessel; look at the labels")


def _shown(batch: Tensor, generator: torch.Generator) -> Tensor:
    """Return a batch as the network sees it: turned at random, images standardised."""
    turned = _turned(batch, generator)
    return torch.cat([standardise(turned[:, :1]), turned[:, 1:]], dim=1)


def _turned(batch: Tensor, generator: torch.Generator) -> Tensor:
    """Return the batch, each pair flipped or not along j and turned in-plane by 0 to 3 quarters."""
    flips = torch.rand(len(batch), generator=generator) < 0.5
    batch = torch.where(flips.view(-1, *(1,) * (batch.ndim - 1)), batch.flip(3), batch)
    turns = torch.randint(4, (len(batch),), generator=generator)
    return torch.stack([torch.rot90(pair, int(turn), (1, 2)) for pair, turn in zip(batch, turns, strict=True)])


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed torch's global generator for code that takes no other (MONAI's networks), then put it back.

    That generator belongs to the process: trainings side by side take turns, or they would mix up their seeds.
    """
    with _GLOBAL_GENERATOR, torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield

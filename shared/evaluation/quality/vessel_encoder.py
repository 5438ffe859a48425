"""The default feature network: an encoder trained here, on public vessel phantoms, and rebuilt where it is needed.

A recipe, not a blob: `draw_parameters` and `simulate` make labelled phantoms, and a small CNN learns from each
patch, all at once, the log parameters of the patient it is of and the share of vessel in every cell of 8 x 8
voxels. Its last map, averaged over the patch, is 64 features: what the simulator varies (brightness, noise,
texture, fat, blur) and where the vessels are. No patient was seen, so features cost no privacy.

Each feature is scaled to mean 0 and variance 1 over the phantoms, so distances are in units of the spread of
public phantoms. Same code, seed and machine, same network; the name
tells builds apart, whose values cannot be compared. Other machines round differently: values of one build on
two machines agree closely, not to the last digit.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, binary_cross_entropy_with_logits, mse_loss

from shared.canonical import canonical, digest
from shared.evaluation.quality.networks import FeatureNetwork
from shared.evaluation.segmentation import seeded
from shared.files import write_durably
from shared.imaging.patches import Patches
from shared.phantoms.vessels import LOG_HIGH, LOG_LOW, NAMES, draw_parameters, simulate

FEATURES = 64
SEED = 20261121
PATIENTS, PATCHES, SIZE = 1500, 4, 48
STEPS, BATCH, LEARNING_RATE = 500, 48, 6e-3  # the highest rate of a cycle (Smith and Topin, 2018)
VESSEL_WEIGHT = 0.5  # of the second task; with 4 the features know little beyond brightness
CELL = 8  # voxels of the patch behind one place of the last map


class Encoder(nn.Module):
    """Images (n, 1, i, j) in [-1, 1] -> features (n, 64), for any i and j from 8 on."""

    mean: Tensor
    scale: Tensor

    def __init__(self) -> None:
        """Build with random weights."""
        super().__init__()
        layers = [*_layer(1, 16, 5, 2), *_layer(16, 32, 3, 1), *_layer(32, 48, 3, 2), *_layer(48, FEATURES, 3, 2)]
        self.map = nn.Sequential(*layers)
        self.register_buffer("mean", torch.zeros(FEATURES))
        self.register_buffer("scale", torch.ones(FEATURES))

    def forward(self, images: Tensor) -> Tensor:
        """Return the features."""
        features: Tensor = (self.map(images).mean(dim=(2, 3)) - self.mean) / self.scale
        return features


@lru_cache(maxsize=1)
def public_vessel_encoder(cache: Path | None = None) -> FeatureNetwork:
    """Return the encoder; the first call on a machine builds it (under a minute on one core) and keeps a file.

    Args:
        cache: folder of the file; by default `willis` in $XDG_CACHE_HOME or in ~/.cache. The file is named by
            the digest of the recipe, so that a change of the recipe builds anew. A folder that cannot be
            written to costs the time of building at each start, nothing else.
    """
    folder = cache or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "willis"
    build = recipe_digest()[:8]
    path = folder / f"public-vessel-encoder-{build}.safetensors"
    encoder = Encoder()
    try:
        encoder.load_state_dict(load_file(path))
    except (OSError, SafetensorError, RuntimeError):  # not there, or not whole
        encoder = build_encoder()
        with suppress(OSError):
            write_durably(path, save(encoder.state_dict()))
    name = f"public-vessel-encoder v1 ({FEATURES} features, build {build})"
    return FeatureNetwork(name, encoder.eval(), spatial=2)


def recipe_digest() -> str:
    """Return the digest of all that decides the weights: this module, the phantoms, the version of torch."""
    here = Path(__file__)
    phantoms = sorted((here.parents[2] / "phantoms").glob("*.py"))
    return digest(canonical([torch.__version__, *(digest(path.read_bytes()) for path in [here, *phantoms])]))


def build_encoder(seed: int = SEED, patients: int = PATIENTS, steps: int = STEPS) -> Encoder:
    """Return an encoder trained on `patients` phantoms for `steps` steps, on one thread; `seed` decides all."""
    with ThreadPoolExecutor(1, initializer=torch.set_num_threads, initargs=(1,)) as one:
        return one.submit(_build, seed, patients, steps).result()


def _build(seed: int, patients: int, steps: int) -> Encoder:
    rng = np.random.default_rng(seed)
    thetas = draw_parameters(patients, rng)
    pairs: Patches = np.concatenate([simulate(theta, PATCHES, SIZE, rng) for theta in thetas])
    scaled = 2 * (np.log(thetas) - LOG_LOW) / (LOG_HIGH - LOG_LOW) - 1
    phantoms, answers = torch.from_numpy(pairs), torch.from_numpy(scaled.astype(np.float32))
    with seeded(seed):
        encoder, patient, vessels = Encoder(), nn.Linear(FEATURES, len(NAMES)), nn.Conv2d(FEATURES, 1, 1)
        network = nn.ModuleList([encoder, patient, vessels])
        optimiser = torch.optim.Adam(network.parameters())
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, LEARNING_RATE, steps)
        for _ in range(steps):
            chosen = torch.randint(len(phantoms), (BATCH,))
            batch, answer = _turned(phantoms[chosen]), answers[chosen // PATCHES]
            places = encoder.map(batch[:, :1])
            share = avg_pool2d((batch[:, 1:] > 0).float(), CELL)
            loss = mse_loss(patient(places.mean(dim=(2, 3))), answer)
            loss = loss + VESSEL_WEIGHT * binary_cross_entropy_with_logits(vessels(places), share)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
    return _standardised(encoder.eval(), phantoms)


@torch.no_grad()
def _standardised(encoder: Encoder, phantoms: Tensor) -> Encoder:
    features = torch.cat([encoder(phantoms[i : i + BATCH, :1]) for i in range(0, len(phantoms), BATCH)])
    encoder.mean.copy_(features.mean(dim=0))
    encoder.scale.copy_(features.std(dim=0).clamp_min(1e-6))
    return encoder


def _turned(batch: Tensor) -> Tensor:
    """Return the batch, flipped or not along either axis and transposed or not, at random."""
    flips = [axis for axis in (2, 3) if torch.rand(()) < 0.5]
    batch = batch.flip(flips)
    return batch.transpose(2, 3) if torch.rand(()) < 0.5 else batch


def _layer(inputs: int, outputs: int, kernel: int, stride: int) -> list[nn.Module]:
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
    return [convolution, nn.BatchNorm2d(outputs), nn.ReLU()]

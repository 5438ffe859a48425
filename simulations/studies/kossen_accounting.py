"""What the private runs of Kossen et al. 2022 cost, as they accounted and as their released code ran.

Source: T. Kossen et al. 2022, "Toward sharing brain images: differentially private TOF-MRA images with
segmentation labels using generative adversarial networks", and its released code. A critic trains on patches:
32 expected of 41,000, 1,281 batches an epoch, five critic updates a batch, and two optimiser steps an update (one
for real patches, one for generated ones). The paper's figures come out if all of these count as fresh samples.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from shared.privacy.accounting import PrivacyCost, cost
from shared.privacy.crosscheck import prv_cost, rdp_cost
from shared.privacy.events import Relation, SampledGaussian, Spending, Unit
from shared.privacy.gaussian import gaussian_epsilon

PATCHES = 41_000
SAMPLING_RATE = 32 / PATCHES
DELTA = 1 / PATCHES
BATCHES = 1_281  # an epoch
UPDATES = 5  # critic updates a batch
STEPS = 2  # optimiser steps an update: real, generated

GDP = "GDP central limit; underestimates, never reported"


@dataclass(frozen=True)
class Run:
    """One private run: noise multiplier, epochs, and the ε printed in the paper (None: not printed)."""

    noise_multiplier: float
    epochs: int
    printed: float | None


RUNS = (
    Run(2.0, 50, 1.3),
    Run(1.5, 50, 1.9),
    Run(1.2, 50, 2.7),
    Run(1.0, 50, None),
    Run(0.8, 50, 5.7),
    Run(0.725, 50, None),
    Run(0.65, 50, 10.2),
    Run(0.65, 29, 7.4),
)


@dataclass(frozen=True)
class Figure:
    """One reading of a run, and its cost; `cost` is None where the accountant cannot price it."""

    reading: str
    cost: PrivacyCost | None


READINGS = 8  # figures a run


def figures(run: Run) -> Iterator[Figure]:
    """Yield the `READINGS` figures of one run, each when asked for: PRV takes several seconds."""
    all_steps, real_steps, reused = as_accounted(run), fresh(run), released(run)
    yield Figure("as accounted", rdp_cost(all_steps, DELTA))
    yield Figure("as accounted", prv_cost(all_steps, DELTA))
    yield Figure("as accounted", cost(all_steps, DELTA))
    yield Figure("real steps, fresh batches", rdp_cost(real_steps, DELTA))
    yield Figure("real steps, fresh batches", cost(real_steps, DELTA))
    yield Figure("released loop", cost(reused, DELTA))
    yield Figure("released loop", rdp_cost(reused, DELTA))
    yield Figure("as accounted", gdp_cost(run))


def as_accounted(run: Run) -> list[Spending]:
    """Return what the paper charged: every optimiser step as a fresh Poisson sample."""
    return _patches(run.noise_multiplier, run.epochs * BATCHES * UPDATES * STEPS)


def fresh(run: Run) -> list[Spending]:
    """Return what the run would cost with a fresh batch each update, a fixed number of fakes, a fixed divisor."""
    return _patches(run.noise_multiplier, run.epochs * BATCHES * UPDATES)


def released(run: Run) -> list[Spending]:
    """Return a lower estimate of what the released loop cost: five updates on one sample.

    Five Gaussians of noise multiplier σ on one batch are one of σ/√5 (they compose before sampling amplifies).
    """
    return _patches(run.noise_multiplier / math.sqrt(UPDATES), run.epochs * BATCHES)


def gdp_cost(run: Run) -> PrivacyCost:
    """Return the central-limit approximation (Bu et al. 2020): no bound, shown only to warn."""
    steps = run.epochs * BATCHES * UPDATES * STEPS
    mu = SAMPLING_RATE * math.sqrt(steps * math.expm1(run.noise_multiplier**-2))
    return PrivacyCost(gaussian_epsilon(mu, DELTA), DELTA, Unit.PATCH, Relation.ADD_REMOVE, GDP)


def _patches(noise_multiplier: float, steps: int) -> list[Spending]:
    mechanism = SampledGaussian(noise_multiplier=noise_multiplier, sampling_rate=SAMPLING_RATE, steps=steps)
    return [Spending.of(mechanism, unit=Unit.PATCH)]

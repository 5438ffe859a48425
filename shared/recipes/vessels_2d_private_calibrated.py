"""Recipe `vessels-2d`, variant `private-calibrated`: one release of statistics calibrates the public simulator.

Each site releases the noisy sum of one bounded vector a patient (histograms of intensity, radius, vessel
fraction, noise, ...). The coordinator fits the public simulator's parameters to it and trains a generator on
what the fitted simulator draws; both are post-processing. With few patients this is by far the best use of a
budget: the noise is spread over a hundred numbers, once. More rounds repeat the release and average it, at
the same total cost.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from shared.imaging.scan import Scan
from shared.imaging.vessel_statistics import STATISTICS_CLIP, STATISTICS_DIM, vessel_statistics
from shared.phantoms.calibration import calibrate
from shared.phantoms.fitted_simulator import FittedSimulator
from shared.phantoms.vessels import NAMES
from shared.privacy.randomness import derive_seed
from shared.recipes.base import NONE, Progress, Recipe, Records, ReleasePhase
from shared.recipes.settings import ReleaseSchedule, Setting
from shared.recipes.vessel_records import EDGE, ROLES, VesselRecords, as_scans, records
from shared.recipes.vessels_2d_wgan import build, drawn, objective
from shared.recipes.wasserstein import pretrain


class CalibratedSchedule(ReleaseSchedule):
    """Levers beside the schedule of the release."""

    choosing: bool = True  # keep, of the patches drawn, those that the released histograms call likely


class StatisticsPhase(ReleasePhase):
    """Every patient's statistics, once."""

    size = STATISTICS_DIM

    def statistic(self, records: Records, generator: torch.Generator, model: nn.ModuleDict) -> Tensor:
        """Return `vessel_statistics` of all patches of a patient."""
        assert isinstance(records, VesselRecords)
        return torch.from_numpy(vessel_statistics(records.all()))


class _Released(nn.Module):
    """What was learnt, as buffers, so that it lies in the checkpoint beside the networks."""

    total: Tensor
    rounds: Tensor
    noise_std: Tensor
    mean: Tensor
    covariance: Tensor
    slope: Tensor
    ceiling: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("total", torch.zeros(STATISTICS_DIM, dtype=torch.float64))
        self.register_buffer("rounds", torch.zeros((), dtype=torch.int64))
        self.register_buffer("noise_std", torch.zeros((), dtype=torch.float64))
        self.register_buffer("mean", torch.zeros(len(NAMES), dtype=torch.float64))
        self.register_buffer("covariance", torch.zeros(len(NAMES), len(NAMES), dtype=torch.float64))
        self.register_buffer("slope", torch.zeros(STATISTICS_DIM, dtype=torch.float64))
        self.register_buffer("ceiling", torch.zeros((), dtype=torch.float64))

    def keep(self, fitted: FittedSimulator) -> None:
        """Take in what was fitted."""
        for name in ("mean", "covariance", "slope"):
            getattr(self, name).copy_(torch.from_numpy(getattr(fitted, name)))
        self.ceiling.fill_(fitted.ceiling)

    @property
    def fitted(self) -> FittedSimulator:
        """The fitted simulator."""
        mean, covariance, slope = (one.cpu().numpy() for one in (self.mean, self.covariance, self.slope))
        return FittedSimulator(mean, covariance, slope, float(self.ceiling))


class VesselsCalibrated(Recipe):
    """See the module."""

    name = "vessels-2d"
    variant = "private-calibrated"
    is_default = True
    roles = ROLES
    sources = ("simulator", "generator")

    schedule: CalibratedSchedule

    def __init__(self, preset: str, *, private: bool, settings: Mapping[str, Setting] = NONE) -> None:
        super().__init__(preset, private=private, settings=settings)
        self.phase = StatisticsPhase()
        self._pool, self._patches, self._steps = (1200, 1280, 200) if preset == "small" else (2500, 6400, 2000)
        self.pretraining = "the public vessel simulator, which the released statistics then calibrate"

    @classmethod
    def defaults(cls, preset: str, *, private: bool) -> CalibratedSchedule:
        """See `Recipe.defaults`."""
        return CalibratedSchedule(rounds=1, steps=1, sampling_rate=1.0, clip_norm=STATISTICS_CLIP)

    def records(self, scans: Sequence[Scan], seed: int) -> VesselRecords:
        """See `Recipe.records`."""
        return records(scans, self.preset, seed)

    def build(self, seed: int) -> nn.ModuleDict:
        """See `Recipe.build`."""
        model = build(self.preset, seed)
        model["released"] = _Released()
        return model

    def receive(self, model: nn.ModuleDict, average: Mapping[str, Tensor], noise_std: float) -> None:
        """Add a release to those of earlier rounds."""
        released = _released(model)
        released.total += average["statistics"].double()
        released.rounds += 1
        released.noise_std.fill_(noise_std)

    def coordinate(
        self, model: nn.ModuleDict, optimizer: Optimizer | None, seed: int, last: bool, progress: Progress
    ) -> None:
        """After the last release, fit the simulator and train the generator on its output."""
        if not last:
            return
        released = _released(model)
        rounds = int(released.rounds)
        target = (released.total / rounds).cpu().numpy()
        noise_std = float(released.noise_std) / rounds**0.5
        rng = np.random.default_rng(derive_seed(seed, "calibrate"))
        fitted = calibrate(
            target,
            noise_std,
            rng,
            self._pool,
            EDGE[self.preset],
            lambda done: progress("calibration", int(100 * done), 100),
        )
        if not self.schedule.choosing:
            fitted = fitted.keeping_all()
        released.keep(fitted)
        self._train_generator(model, fitted, seed, progress)

    def sample(self, model: nn.ModuleDict, count: int, seed: int, source: str = "") -> Iterator[Scan]:
        """Yield patches of the fitted simulator, or of the generator trained on it."""
        if source == "generator":
            return as_scans(drawn(model, count, seed))
        rng = np.random.default_rng(derive_seed(seed, "sample"))
        return as_scans(_released(model).fitted.patches(count, EDGE[self.preset], rng))

    def _train_generator(
        self, model: nn.ModuleDict, fitted: FittedSimulator, seed: int, progress: Progress
    ) -> None:
        rng = np.random.default_rng(derive_seed(seed, "phantoms"))
        patches = fitted.patches(self._patches, EDGE[self.preset], rng)
        pool = torch.from_numpy(np.stack(list(patches)))
        pretrain(
            model,
            objective(self.preset),
            lambda n, random: pool[torch.randint(len(pool), (n,), generator=random)],
            steps=self._steps,
            critic_steps=1,
            seed=seed,
            progress=progress,
            label="generator on the fitted simulator",
        )


def _released(model: nn.ModuleDict) -> _Released:
    released = model["released"]
    assert isinstance(released, _Released)
    return released


RECIPES = (VesselsCalibrated,)

"""Recipe `lesions-3d`: 3D stroke lesion masks by a WGAN-GP (Platscher et al., 2020, appendix A.4).

Every mask is averaged onto a 32³ grid of 4 mm cells centred on the lesion. The gradient penalty interpolates
between a patient's mask and fakes, so it lies inside the private phase.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Adam

from shared.errors import UsageError
from shared.imaging.lesion_grid import GRID, from_grid, to_grid
from shared.imaging.scan import Role, Scan
from shared.models.lesion_gan import PAPER, SMALL, build_critic, build_generator
from shared.phantoms.lesions import simulate_lesions
from shared.privacy.randomness import derive_seed
from shared.recipes.base import NONE, Progress
from shared.recipes.settings import Schedule, Setting
from shared.recipes.wasserstein import SMOOTHED, CriticPhase, Objective, WassersteinRecipe, generate, pretrain

POOL = 400  # public phantoms made for pre-training
OUTPUT_MM = 2.0  # voxel edge of published masks
_EMPTY = np.zeros((GRID, GRID, GRID), dtype=np.float32)
MIN_VOXELS = 20  # smaller lesions are drawn again (Platscher et al., 2020, section 2.3)


class LesionRecords:
    """A patient's masks, one a session, on the grid; a single empty one if no session shows a lesion."""

    def __init__(self, grids: Tensor) -> None:
        """Keep `grids` (sessions, 1, 32, 32, 32)."""
        self._grids = grids

    @classmethod
    def of(cls, scans: Sequence[Scan]) -> "LesionRecords":
        """Return the records of a patient's sessions; those with an empty mask are left out."""
        masks = [(scan.volumes[Role.LESION], scan.spacing) for scan in scans]
        grids = [to_grid(mask, spacing) for mask, spacing in masks if mask.any()] or [_EMPTY]
        return cls(torch.from_numpy(np.stack(grids))[:, None])

    def all(self) -> Tensor:
        """Return every mask (sessions, 1, 32, 32, 32)."""
        return self._grids

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """Return (count, 1, 32, 32, 32): masks of this patient, flipped at random along each axis."""
        chosen = self._grids[torch.randint(len(self._grids), (count,), generator=generator)]
        flips = torch.rand(count, 3, generator=generator) < 0.5
        turned = (g.flip([a + 1 for a in range(3) if f[a]]) for g, f in zip(chosen, flips, strict=True))
        return torch.stack(list(turned))


class LesionPhase(CriticPhase):
    """The sites move the critic; who has no lesion contributes zeros.

    Such a patient is drawn, read and worked through like any other, so that nothing but the noised sum, not even
    the time a step takes, depends on who has one.
    """

    def patient_loss(self, model: nn.ModuleDict, records: Tensor, generator: torch.Generator) -> Tensor:
        """Return the loss of one patient's records, times 0 if they are empty: only such a patient's are."""
        return super().patient_loss(model, records, generator) * records.any()


class Lesions3D(WassersteinRecipe):
    """See the module."""

    name = "lesions-3d"
    variant = "wgan-gp"
    roles = (Role.LESION,)

    def __init__(self, preset: str, *, private: bool, settings: Mapping[str, Setting] = NONE) -> None:
        super().__init__(preset, private=private, settings=settings)
        self._size = PAPER if preset == "paper" else SMALL
        # Under noise the generator is moved little: the longer it follows a noised critic, the worse it gets.
        rate, steps = (1e-4, 1) if private or preset == "paper" else (5e-4, 5)
        self.objective = replace(_objective(rate, steps), mixed_precision=self.schedule.mixed_precision)
        self.phase = LesionPhase(self.objective)
        self._pretraining_steps = 2000 if preset == "paper" else 300
        self.pretraining = (
            f"generator and critic on {POOL} public lesion phantoms, {self._pretraining_steps} steps"
        )

    @classmethod
    def defaults(cls, preset: str, *, private: bool) -> Schedule:
        """See `Recipe.defaults`; 40 is about the median gradient norm of a mask, after pre-training."""
        return Schedule(rounds=60, steps=5, sampling_rate=0.25, clip_norm=40.0, records=1)

    def records(self, scans: Sequence[Scan], seed: int) -> LesionRecords:
        """See `Recipe.records`."""
        return LesionRecords.of(scans)

    def build(self, seed: int) -> nn.ModuleDict:
        """See `Recipe.build`."""
        generator = torch.Generator().manual_seed(derive_seed(seed, "weights"))
        networks = build_generator(self._size, generator), build_critic(self._size, generator)
        return self.objective.networks(*networks)

    def pretrain(self, model: nn.ModuleDict, seed: int, progress: Progress) -> None:
        """Train both networks on public phantoms, whose shapes differ from hospitals' on purpose."""
        pool = LesionRecords(torch.from_numpy(simulate_lesions(POOL, np.random.default_rng(seed)))[:, None])
        pretrain(
            model,
            _objective(1e-4 if self.preset == "paper" else 1e-3, 1),
            pool.draw,
            steps=self._pretraining_steps,
            critic_steps=1,
            seed=seed,
            progress=progress,
        )

    def sample(self, model: nn.ModuleDict, count: int, seed: int, source: str = "") -> Iterator[Scan]:
        """Yield masks at `OUTPUT_MM`, each with at least `MIN_VOXELS` voxels of the grid."""
        random = torch.Generator().manual_seed(seed)
        made = tries = 0
        while made < count:
            with torch.no_grad():
                batch = generate(model, 16, random, SMOOTHED).numpy()[:, 0]
            tries += len(batch)
            if tries > 100 * (count + 16):
                raise UsageError(f"{made} of {count} masks in {tries} draws have {MIN_VOXELS} voxels")
            for occupancy in batch:
                if (occupancy > 0.5).sum() >= MIN_VOXELS and made < count:
                    mask, affine = from_grid(occupancy, spacing_mm=OUTPUT_MM)
                    made += 1
                    yield Scan({Role.LESION: mask.astype(np.float32)}, affine)


def _objective(rate: float, generator_steps: int) -> Objective:
    move = partial(Adam, lr=rate, betas=(0.0, 0.9))
    return Objective(
        penalty=10.0,
        weight_bound=None,
        critic_optimizer=move,
        generator_optimizer=move,
        generator_steps=generator_steps,
        generator_batch=8,
        fakes_with_patient=True,
    )


RECIPES = (Lesions3D,)

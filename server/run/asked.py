"""What a person asks of a federation, and the job it becomes."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from server.ledger.home import Home
from server.run.job import Job
from shared.errors import UsageError
from shared.ledger.events import QUERY_PREFIX
from shared.privacy.events import NoiseSource
from shared.privacy.randomness import derive_seed
from shared.recipes.base import Recipe
from shared.recipes.catalogue import load
from shared.recipes.settings import Setting

MAX_EPSILON = 100.0  # more protects nobody, and takes the accountant gigabytes to say so


@dataclass(frozen=True)
class Asked:
    """What `willis simulate` or `willis coordinator run` was asked for."""

    recipe: str
    variant: str | None
    preset: str
    settings: Mapping[str, Setting]
    epsilon: float | None
    delta: float | None  # None: the federation's
    rounds: int | None
    seed: int | None
    pretrain: str | None
    count: int
    unsafe_non_private: bool
    overlap: int | None  # None: the federation's
    federation: Path | None  # None: where the command keeps it
    public_seed: int | None = None  # another run's, to have its records; None: a new one

    def load(self) -> Recipe:
        """Return the recipe asked for.

        Raises:
            UsageError: as `shared.recipes.catalogue.load`.
        """
        private = self.epsilon is not None
        return load(self.recipe, self.variant, self.preset, private=private, settings=self.settings)

    def federation_of(self, usual: Path) -> tuple[Home, float, int]:
        """Return the coordinator's home, and the δ and overlap the federation has or would be founded with.

        `usual` is the home where no other was named.

        Raises:
            UsageError: δ is no probability, or the federation was founded with other terms.
        """
        if self.delta is not None and not 0 < self.delta < 1:
            raise UsageError(f"--delta {self.delta:g}: choose a number between 0 and 1, such as 1e-5")
        home = Home(self.federation or usual)
        return home, *home.agree(self.delta, self.overlap)

    def check_noise(self) -> None:
        """Check that either a finite ε or no noise was asked for.

        Raises:
            UsageError: both or neither, or ε is out of range.
        """
        if self.unsafe_non_private == (self.epsilon is not None):
            raise UsageError("give either --epsilon or --unsafe-non-private: noise is a choice made by name")
        if self.epsilon is not None and not 0 < self.epsilon <= MAX_EPSILON:
            remedy = f"choose a number above 0 and at most {MAX_EPSILON:g}, or --unsafe-non-private by name"
            raise UsageError(f"--epsilon {self.epsilon:g}: {remedy}")

    def job(self, recipe: Recipe, *, sites: int, delta: float, initial: str) -> Job:
        """Return the run to be started; what was not asked for is the recipe's.

        Raises:
            UsageError: a query has no network, or as `check_noise`.
        """
        if recipe.name.startswith(QUERY_PREFIX) and not initial:
            raise UsageError(f"{recipe.name} measures with given weights; use `willis query`")
        self.check_noise()
        seeded = self.seed is not None
        pretrain = {"phantoms": True, "none": False, None: recipe.pretrains}[self.pretrain]
        return Job(
            recipe=recipe.name,
            variant=recipe.variant,
            preset=recipe.preset,
            settings=recipe.schedule.only(self.settings),
            epsilon=self.epsilon,
            delta=delta,
            rounds=self.rounds or recipe.schedule.rounds,
            sites=sites,
            noise_source=NoiseSource.SEEDED if seeded else NoiseSource.SYSTEM,
            public_seed=self._public_seed(),
            pretrain=pretrain,
            initial=initial,
            cases=self.count,
            nonce="" if seeded else secrets.token_hex(16),
        )

    def _public_seed(self) -> int:
        if self.public_seed is not None:
            return self.public_seed
        # Derived, so that what the ledger publishes is not the seed of the noise.
        return derive_seed(self.seed, "public") if self.seed is not None else secrets.randbits(63)

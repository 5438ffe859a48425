"""What a synthesis system must say of itself; adding one means adding one module with one `Recipe`.

A recipe has one *site phase*, the only part that reads patients, and a coordinator's part, which never sees
them: the place where code runs is what keeps the two apart. Site phases come in two kinds:

  * `GradientPhase`: per-patient losses; patient SGD takes their gradients through the door;
  * `ReleasePhase`: one bounded vector a patient, through the same door.

What of a recipe may be chosen for a run is its `Schedule` (`shared.recipes.settings`).

A phase whose unit is the patch is there to reproduce papers; its results cannot be published.

What the coordinator does with the results (a generator's steps against an averaged critic, calibration of a
simulator, sampling) is post-processing and free.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import ClassVar, Protocol

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from shared.errors import UsageError
from shared.imaging.scan import Role, Scan
from shared.privacy.events import Unit
from shared.recipes.settings import Schedule, Setting

Progress = Callable[[str, int, int], None]  # what is being done, steps done, steps in all
NONE: Mapping[str, Setting] = MappingProxyType({})
Arrays = dict[str, Tensor]  # named as in the model's state_dict


class Records(Protocol):
    """One patient's training records, in memory at the site only.

    If the phase's unit is the patch, they are `shared.privacy.patch_sgd.Patches` too.
    """

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """Return (count, channels, ...) float32 records drawn at random."""
        ...


class SitePhase:
    """What a site does with its patients."""

    unit: ClassVar[Unit] = Unit.PATIENT  # whose contribution is clipped and drawn
    reads: tuple[str, ...] = ()  # networks the coordinator sends


class GradientPhase(SitePhase, ABC):
    """Steps that move networks by the noisy sum of per-patient gradients."""

    moves: tuple[str, ...]  # networks the site moves and sends back

    @abstractmethod
    def optimizer(self, parameters: Sequence[nn.Parameter]) -> Optimizer:
        """Return the optimiser of the moved networks; its state stays at the site."""

    @abstractmethod
    def patient_loss(self, model: nn.ModuleDict, records: Tensor, generator: torch.Generator) -> Tensor:
        """Return the scalar loss of one patient's (K, ...) records. Reads patients: goes through the door.

        If the unit is the patch, the records are several patients' and the loss must be the mean of theirs.
        """

    def public_loss(self, model: nn.ModuleDict, count: int, generator: torch.Generator) -> Tensor | None:
        """Return the part of the loss that reads no patient, over `count` synthetic records, or None."""
        return None

    def project(self, model: nn.ModuleDict) -> None:
        """Post-process the moved networks after each step (weight clipping, say)."""


class ReleasePhase(SitePhase, ABC):
    """One bounded vector a patient, summed and noised as it is."""

    size: int  # length of the vector

    @abstractmethod
    def statistic(self, records: Records, generator: torch.Generator, model: nn.ModuleDict) -> Tensor:
        """Return one patient's vector (size,). Reads patients: goes through the door.

        `model` holds the networks named in `reads` as broadcast, so that a patient can be scored by them.
        """


class Recipe(ABC):
    """One synthesis system at one size."""

    name: ClassVar[str]
    variant: ClassVar[str]  # one class a variant
    is_default: ClassVar[bool] = False  # whether it is meant when no variant is named
    presets: ClassVar[tuple[str, ...]] = ("small", "paper")
    roles: ClassVar[tuple[Role, ...]]  # what every session of a cohort must have

    preset: str
    schedule: Schedule
    phase: GradientPhase | ReleasePhase
    sources: tuple[str, ...] = ("generator",)  # what `sample` can draw from; the first is the default
    pretraining: str = ""  # what `pretrain` trains on what public data; "" if it does nothing

    def __init__(self, preset: str, *, private: bool, settings: Mapping[str, Setting] = NONE) -> None:
        """Choose one of `presets`, with these settings in place of its own.

        Raises:
            UsageError: a setting is unknown or out of range.
        """
        if not private and "clip_norm" in settings:
            raise UsageError(
                "setting clip_norm: a run without noise does not clip; leave it out, or give --epsilon"
            )
        self.preset = preset
        self.schedule = self.defaults(preset, private=private).changed(settings)

    @classmethod
    @abstractmethod
    def defaults(cls, preset: str, *, private: bool) -> Schedule:
        """Return the schedule of a preset; `private` says whether steps are noised, which wants other sizes."""

    made: ClassVar[str] = ""  # how cases are made, for the data card, where not image and label by one generator

    @property
    def worse_than_public(self) -> str:
        """What showed that data of this size are worth less than the free public simulator's; "" if nothing did.

        They are not published unless somebody says so by name.
        """
        return ""

    @property
    def pretrains(self) -> bool:
        """Whether a run calls `pretrain` unless told otherwise."""
        return self.preset == "small"

    @abstractmethod
    def records(self, scans: Sequence[Scan], seed: int) -> Records:
        """Return one patient's records from all sessions, each image scaled by itself alone."""

    @abstractmethod
    def build(self, seed: int) -> nn.ModuleDict:
        """Return the networks with initial weights drawn from `seed`."""

    def pretrain(self, model: nn.ModuleDict, seed: int, progress: Progress) -> None:
        """Train on public data before the first round; free, and the main lever with few patients."""

    def coordinator_optimizer(self, model: nn.ModuleDict) -> Optimizer | None:
        """Return the optimiser of what the coordinator trains between rounds; it is checkpointed."""
        return None

    @abstractmethod
    def receive(self, model: nn.ModuleDict, average: Mapping[str, Tensor], noise_std: float) -> None:
        """Take in a round's average over sites; `noise_std` is the noise on each coordinate of a release."""

    def coordinate(
        self, model: nn.ModuleDict, optimizer: Optimizer | None, seed: int, last: bool, progress: Progress
    ) -> None:
        """Do the coordinator's free work after a round; `last` says no round follows."""

    @abstractmethod
    def sample(self, model: nn.ModuleDict, count: int, seed: int, source: str = "") -> Iterator[Scan]:
        """Yield `count` synthetic cases from one of `sources`, the first when none is named."""


def state_of(model: nn.ModuleDict, networks: Sequence[str]) -> Arrays:
    """Return the arrays of the named networks, keyed as in the model's state_dict."""
    prefixes = tuple(f"{name}." for name in networks)
    return {key: value for key, value in model.state_dict().items() if key.startswith(prefixes)}


def sent_to_sites(recipe: Recipe, model: nn.ModuleDict) -> Arrays:
    """Return what a round broadcasts."""
    return state_of(model, recipe.phase.reads)


def sent_by_sites(recipe: Recipe, model: nn.ModuleDict) -> dict[str, tuple[int, ...]]:
    """Return names and shapes of what every update must hold: the gate's yardstick."""
    if isinstance(recipe.phase, ReleasePhase):
        return {"statistics": (recipe.phase.size,)}
    return {key: tuple(value.shape) for key, value in state_of(model, recipe.phase.moves).items()}

"""One recipe under test: its site phase played by the real `train_round` on a small cohort.

What a step sums is read off what leaves: with plain descent of step 1 and nothing un-noised, the update is
minus the released sum divided by the public expected number of units.
"""

import copy
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from client.app import records_of
from client.training import Executed, public_stream, train_round
from shared.ledger.events import Run
from shared.privacy.events import NoiseSource, Unit
from shared.privacy.mechanism import GaussianSum
from shared.privacy.randomness import Randomness, SystemRandomness
from shared.recipes.base import NONE, Arrays, GradientPhase, Recipe, Records, ReleasePhase, state_of
from shared.recipes.catalogue import catalogue, load
from shared.recipes.query_distance import DistanceQuery, Question
from shared.recipes.settings import Setting, parse
from tests.client.conversation import run_of
from tests.cohorts import site_for

PATIENTS = 4
SITE = "east"
TWO_MOVED = "vessels-2d dcgan as_published=true"  # a critic's phase that moves two networks
RECIPES = [f"{name} {variant}" for name, variants in catalogue().items() for variant in variants] + [TWO_MOVED]

Draw = Callable[[int], NDArray[np.bool_]]  # number of units -> which are drawn


class Scripted:
    """Randomness of which parts are fixed: who is drawn, or that there is no noise."""

    source = NoiseSource.SYSTEM

    def __init__(self, *, drawn: Draw | None = None, noise: Callable[[int], Tensor] | None = None) -> None:
        """Draw `drawn(units)` and noise `noise(count)` of deviation 1, where given."""
        self._real: Randomness = SystemRandomness()
        self._drawn, self._noise = drawn, noise

    def gaussian(self, count: int, std: float) -> Tensor:
        return self._real.gaussian(count, std) if self._noise is None else self._noise(count) * std

    def bernoulli(self, count: int, probability: float) -> NDArray[np.bool_]:
        return self._real.bernoulli(count, probability) if self._drawn is None else self._drawn(count)


def silence(count: int) -> Tensor:
    return torch.zeros(count, dtype=torch.float64)


class Stratified:
    """`total` normal draws, one from each of as many equally likely ranges: their deviation hardly varies."""

    def __init__(self, total: int) -> None:
        places = (torch.randperm(total, generator=torch.Generator().manual_seed(0)) + 0.5) / total
        self._rest: Tensor = torch.special.ndtri(places.double())

    def __call__(self, count: int) -> Tensor:
        taken, self._rest = self._rest[:count], self._rest[count:]
        return taken


def everyone(count: int) -> NDArray[np.bool_]:
    return np.ones(count, bool)


def nobody(count: int) -> NDArray[np.bool_]:
    return np.zeros(count, bool)


@dataclass
class Subject:
    """A recipe, its networks, and patients of whom the first was seen three times."""

    recipe: Recipe
    model: nn.ModuleDict
    patients: Mapping[str, Records]
    folder: Path  # of the site, written for this test alone
    monkeypatch: pytest.MonkeyPatch
    settings: Mapping[str, Setting] = field(default_factory=dict)  # the recipe was loaded with
    start: dict[str, Tensor] = field(init=False)

    def __post_init__(self) -> None:
        self.start = copy.deepcopy(self.model.state_dict())

    @property
    def phase(self) -> GradientPhase | ReleasePhase:
        return self.recipe.phase

    @property
    def by_patch(self) -> bool:
        return self.phase.unit is Unit.PATCH

    @property
    def clip_norm(self) -> float:
        return self.recipe.schedule.clip_norm

    def run(self, *, steps: int = 1, rate: float = 1.0, noise_multiplier: float = 2.0) -> Run:
        """Return a run that is also cheap: one record a patient where the unit is the patient."""
        run = run_of(
            self.recipe,
            steps=steps,
            sampling_rate=rate,
            noise_multiplier=noise_multiplier,
            settings=self.settings,
        )
        return run if self.by_patch else run.model_copy(update={"records_per_patient": 1})

    def play(
        self, run: Run, randomness: Randomness, patients: Mapping[str, Records] | None = None
    ) -> tuple[Arrays, Executed]:
        """Return a first round's update and events, always from the same weights."""
        if isinstance(self.phase, GradientPhase):
            self.model.load_state_dict(self.start)
        patients = self.patients if patients is None else patients
        stream = public_stream(run, SITE, 1)
        update, _, executed = train_round(self.recipe, run, self.model, patients, {}, randomness, stream)
        return {name: value.clone() for name, value in update.items()}, executed

    def strip(self, scale: float) -> None:
        """Let an update be minus the mean of the released sum, and multiply what every unit contributes."""
        phase, patch = self.phase, self.monkeypatch.setattr
        if isinstance(phase, GradientPhase):
            patch(phase, "optimizer", partial(torch.optim.SGD, lr=1.0))
            patch(phase, "public_loss", lambda *args: None)
            patch(phase, "project", lambda *args: None)
            loss = type(phase).patient_loss
            patch(phase, "patient_loss", lambda *args: scale * loss(phase, *args))
        else:
            statistic, zeros = type(phase).statistic, torch.zeros(phase.size)
            patch(phase, "statistic", lambda *args: scale * statistic(phase, *args) if scale else zeros)

    def released(
        self,
        randomness: Randomness,
        patients: Mapping[str, Records] | None = None,
        noise_multiplier: float = 2.0,
    ) -> Tensor:
        """Return the sum, float64 and flat, that left in one step at q = 1 of a stripped phase."""
        run = self.run(noise_multiplier=noise_multiplier)
        patients = self.patients if patients is None else patients
        update, _ = self.play(run, randomness, patients)
        expected = len(patients) * (run.records_per_patient if self.by_patch else 1)
        if isinstance(self.phase, ReleasePhase):
            return update["statistics"].double() * expected
        weights = {name for name, _ in self.model.named_parameters()}  # spectral norm's vectors are no sums
        moved = [name for name in state_of(self.model, self.phase.moves) if name in weights]
        return torch.cat([(self.start[k].double() - update[k].double()).flatten() for k in moved]) * expected

    def clipped_sum(self, patients: Mapping[str, Records] | None = None, drawn: Draw = everyone) -> Tensor:
        """Return the sum before its noise, of everyone or of those drawn."""
        return self.released(Scripted(drawn=drawn, noise=silence), patients, noise_multiplier=1e-6)


def named(name: str, preset: str = "small", settings: Mapping[str, Setting] = NONE) -> Recipe:
    """Return the recipe called "name variant", or "name variant setting=value ..."."""
    recipe, variant, *given = name.split()
    return load(recipe, variant, preset, settings={**parse(tuple(given)), **settings})


def subject_of(
    name: str, folder: Path, monkeypatch: pytest.MonkeyPatch, settings: Mapping[str, Setting] = NONE
) -> Subject:
    """Return a registered recipe at its small preset, ready to be played."""
    recipe = named(name, settings=settings)
    chosen = recipe.schedule.only({**parse(tuple(name.split()[2:])), **settings})
    site = site_for(recipe.roles, folder / SITE, PATIENTS, sessions=3)
    records_of.cache_clear()
    patients = records_of(site, recipe.name, recipe.variant, "small", 5)
    phase = recipe.phase
    used = {*phase.reads, *(phase.moves if isinstance(phase, GradientPhase) else ())}
    model = nn.ModuleDict({key: network for key, network in recipe.build(5).items() if key in used})
    if isinstance(recipe, DistanceQuery):
        ask_of_copies(recipe, model, patients)
    return Subject(recipe, model, patients, site, monkeypatch, chosen)


def ask_of_copies(recipe: DistanceQuery, model: nn.ModuleDict, patients: Mapping[str, Records]) -> None:
    """Let the cases asked about be copies of these patients' records: with random ones all patients are far."""
    question = model["question"]
    assert isinstance(question, Question)
    copies = torch.cat([recipe.vectors(records)[:5] for records in patients.values()])
    question.cases.data[: len(copies)] = copies
    question.edges.data[:] = torch.tensor([0.005, 0.01])  # the tiny images of tests are all alike


@contextmanager
def releases(monkeypatch: pytest.MonkeyPatch, note: Callable[[], None]) -> Iterator[None]:
    """Call `note` whenever a door has released its sum."""
    release = GaussianSum.release

    def noted(door: GaussianSum) -> list[Tensor]:
        note()
        return release(door)

    with monkeypatch.context() as patch:
        patch.setattr(GaussianSum, "release", noted)
        yield


def watched(records: Records, note: Callable[..., None]) -> Records:
    """Return the same records of the same class, whose public methods call `note` with their arguments."""
    kind = type(records)

    def telling(method: Callable[..., Any]) -> Callable[..., Any]:
        def call(self: Records, *args: Any) -> Any:
            note(*args)
            return method(self, *args)

        return call

    methods = {name: telling(m) for name, m in vars(kind).items() if callable(m) and not name.startswith("_")}
    twin = copy.copy(records)
    twin.__class__ = type(kind.__name__, (kind,), methods)
    return twin


def spoilt(thing: Any) -> Any:
    """Return a copy in which every float array, however deep, is NaN."""
    if isinstance(thing, Tensor) and thing.is_floating_point():
        return torch.full_like(thing, float("nan"))
    if isinstance(thing, np.ndarray) and thing.dtype.kind == "f":
        return np.full_like(thing, np.nan)
    if isinstance(thing, list | tuple):
        return type(thing)(spoilt(part) for part in thing)
    if hasattr(thing, "__dict__"):
        twin = copy.copy(thing)
        twin.__dict__.update({name: spoilt(part) for name, part in vars(thing).items()})
        return twin
    return thing

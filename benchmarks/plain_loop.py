"""What a federated run does to the networks, in one plain loop: every site's steps one after another.

No messages, signatures, files or budget: those are what a federation is compared by. Draws, noise, records
and the generator's steps are the federation's own, so the weights must come out alike.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from client.training import public_stream, randomness_for
from shared.ledger.events import Run
from shared.privacy.events import SampledGaussian
from shared.privacy.mechanism import PoissonSums
from shared.privacy.patient_sgd import PatientOptimizer
from shared.privacy.randomness import derive_seed
from shared.recipes.base import GradientPhase, Recipe, Records, state_of


@dataclass(frozen=True)
class _Site:
    """A site's patients, its own copy of the networks it moves, and their optimiser."""

    name: str
    patients: Mapping[str, Records]
    model: nn.ModuleDict
    optimizer: Optimizer


class PlainLoop:
    """Private steps at every site, their average, the generator's steps: round after round."""

    def __init__(
        self, recipe: Recipe, run: Run, cohorts: Mapping[str, Mapping[str, Records]], noise_seed: int
    ) -> None:
        """Start from the run's initial weights; `cohorts` holds each site's patients by the site's name."""
        assert isinstance(recipe.phase, GradientPhase)
        self._phase, self._recipe, self._run, self._noise_seed = recipe.phase, recipe, run, noise_seed
        self.model = recipe.build(run.public_seed)
        self._optimizer = recipe.coordinator_optimizer(self.model)
        self._sites = [self._site(name, patients) for name, patients in cohorts.items()]

    def run_round(self, round_: int) -> None:
        """Advance `model` by one round."""
        updates = [self._descend(site, round_) for site in self._sites]
        weights = [len(site.patients) for site in self._sites]
        average = {
            name: sum((w * u[name] for w, u in zip(weights, updates, strict=True)), torch.zeros(())) / sum(weights)
            for name in updates[0]
        }
        self._recipe.receive(self.model, average, 0.0)
        seed = derive_seed(self._run.public_seed, "coordinator", round_)
        self._recipe.coordinate(self.model, self._optimizer, seed, round_ == self._run.rounds, _say_nothing)

    def _site(self, name: str, patients: Mapping[str, Records]) -> _Site:
        model = self._recipe.build(self._run.public_seed)
        for network, module in model.items():
            module.requires_grad_(network in self._phase.moves)
        moved = [p for network in self._phase.moves for p in model[network].parameters()]
        return _Site(name, patients, model, self._phase.optimizer(moved))

    def _descend(self, site: _Site, round_: int) -> dict[str, Tensor]:
        run, phase = self._run, self._phase
        (mechanism,) = run.spending.mechanisms
        assert isinstance(mechanism, SampledGaussian)
        assert run.clip_norm is not None
        site.model.load_state_dict(state_of(self.model, phase.reads), strict=False)
        sums = PoissonSums(
            noise_multiplier=mechanism.noise_multiplier,
            clip_norm=run.clip_norm,
            sampling_rate=run.sampling_rate,
            units=len(site.patients),
            randomness=randomness_for(run, self._noise_seed, site.name, round_),
        )
        optimizer = PatientOptimizer(site.optimizer, sums)
        stream = public_stream(run, site.name, round_)
        ids = list(site.patients)
        fakes = max(1, round(run.sampling_rate * len(ids))) * run.records_per_patient
        free = stream("free")
        for step in range(run.steps_per_round):

            def loss_of(index: int, step: int = step) -> Tensor:
                own = stream("patient", step, ids[index])
                records = site.patients[ids[index]].draw(run.records_per_patient, own)
                return phase.patient_loss(site.model, records, own)

            optimizer.private_step(loss_of, phase.public_loss(site.model, fakes, free))
            phase.project(site.model)
        return state_of(site.model, phase.moves)


def _say_nothing(label: str, done: int, total: int) -> None:
    pass

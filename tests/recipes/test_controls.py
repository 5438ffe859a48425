"""Builds broken on purpose: each must be caught by the guarantee that is there to catch it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import l1_loss

import client.app
import client.training
from client.cohort import Cohort
from client.outbox import Outbox
from client.training import Executed, Patients, Stream, train_round
from shared.ledger.events import Run
from shared.messages import Update
from shared.models.vessel_discriminator import VesselDiscriminator
from shared.privacy import mechanism
from shared.privacy.layers import SpectralClock
from shared.privacy.mechanism import GaussianSum, PoissonSums, Vector
from shared.privacy.randomness import Randomness
from shared.recipes.base import Arrays, Recipe
from shared.recipes.catalogue import catalogue
from shared.recipes.vessels_2d_dcgan import FeatureMatchingPhase
from shared.recipes.wasserstein import CriticPhase, generate
from tests.recipes import guarantees, subject, taint
from tests.recipes.subject import TWO_MOVED, Subject

Patch = pytest.MonkeyPatch
Break = Callable[[Patch], None]
Guarantee = Callable[[Subject], None]
Round = tuple[Arrays, Arrays, Executed]


def half_the_noise(patch: Patch) -> None:
    start = GaussianSum.__init__
    patch.setattr(GaussianSum, "__init__", lambda door, like, c, sigma, r: start(door, like, c, sigma / 2, r))


def noise_only_where_somebody_was_drawn(patch: Patch) -> None:
    noised = GaussianSum._noised
    patch.setattr(GaussianSum, "_noised", lambda door, t: noised(door, t) if door._added else torch.zeros(t.shape))


def twice_the_clip_norm(patch: Patch) -> None:
    start = GaussianSum.__init__
    patch.setattr(GaussianSum, "__init__", lambda door, like, c, sigma, r: start(door, like, 2 * c, sigma / 2, r))


def no_clipping(patch: Patch) -> None:
    patch.setattr(mechanism, "_norm", lambda vector: 0.0)


def streams_by_number(patch: Patch) -> None:
    """Number patients' streams: whoever leaves changes the records drawn of all who come after."""

    def numbered(recipe: Recipe, run: Run, model: nn.ModuleDict, patients: Patients, *rest: Any) -> Round:
        order, (*others, stream) = list(patients), rest

        def by_number(*purpose: str | int) -> torch.Generator:
            generator: torch.Generator = stream(*(order.index(str(p)) if p in order else p for p in purpose))
            return generator

        state, randomness = others
        return train_round(recipe, run, model, patients, state, randomness, by_number)

    patch.setattr(subject, "train_round", numbered)


def nan_let_through(patch: Patch) -> None:
    norm = mechanism._norm
    patch.setattr(mechanism, "_norm", lambda vector: min(1e30, norm(vector)))  # no number is less: 1e30


def one_batch_for_five_updates(patch: Patch) -> None:
    """Draw once and use it for five critic updates, as published code does."""
    release = PoissonSums.release

    @dataclass
    class Reused:
        real: Randomness
        asked: int = 0
        batch: NDArray[np.bool_] | None = None

        def bernoulli(self, count: int, probability: float) -> NDArray[np.bool_]:
            if self.batch is None or self.asked % 5 == 0:
                self.batch = self.real.bernoulli(count, probability)
            self.asked += 1
            return self.batch

        def gaussian(self, count: int, std: float) -> Tensor:
            return self.real.gaussian(count, std)

    def reusing(sums: PoissonSums, *args: object) -> list[Tensor]:
        if not isinstance(sums._randomness, Reused):
            sums._randomness = Reused(sums._randomness)  # type: ignore[assignment]
        return release(sums, *args)  # type: ignore[arg-type]

    patch.setattr(PoissonSums, "release", reusing)


def a_third_of_the_sampling_rate(patch: Patch) -> None:
    patch.setattr(
        PoissonSums, "sampling_rate", property(lambda s: s.q / 3, lambda s, q: setattr(s, "q", q)), False
    )


def a_step_left_out_of_the_events(patch: Patch) -> None:
    executed = PoissonSums.executed

    def short(sums: PoissonSums) -> Executed:
        event = executed(sums)
        return event.model_copy(update={"steps": event.steps - 1})

    patch.setattr(PoissonSums, "executed", short)


def a_round_left_out_of_the_settlement(patch: Patch) -> None:
    patch.setattr(Outbox, "rounds", property(lambda outbox: 1))


class _Tapped(nn.Module):
    """A critic beside which a layer keeps running statistics of what it is shown."""

    def __init__(self, critic: nn.Module) -> None:
        super().__init__()
        self.critic, self.norm = critic, nn.BatchNorm1d(1, affine=False)

    def forward(self, records: Tensor) -> Tensor:
        self.norm(records.detach().reshape(-1, 1))
        score: Tensor = self.critic(records)
        return score


def running_statistics(patch: Patch) -> None:
    """Let sites take any layer, and give every critic one that keeps running statistics."""
    any_layer_taken(patch)
    for kind in (kind for variants in catalogue().values() for kind in variants.values()):

        def tapped(recipe: Recipe, seed: int, build: Callable[..., nn.ModuleDict] = kind.build) -> nn.ModuleDict:
            model = build(recipe, seed)
            model["critic"] = _Tapped(model["critic"])
            return model

        patch.setattr(kind, "build", tapped)


def any_layer_taken(patch: Patch) -> None:
    patch.setattr(client.training, "refuse_leaky_modules", lambda network: None)


def spectral_norm_on_every_pass(patch: Patch) -> None:
    patch.setattr(SpectralClock, "__init__", lambda clock, network: None)
    patch.setattr(SpectralClock, "tick", lambda clock: None)


def _metric(patients: Patients) -> float:
    first = next(iter(patients.values()))
    return float(first.draw(1, torch.Generator().manual_seed(0)).double().mean())


def a_metric_among_the_arrays(patch: Patch) -> None:
    def telling(recipe: Recipe, run: Run, model: nn.ModuleDict, patients: Patients, *rest: Any) -> Round:
        arrays, state, executed = train_round(recipe, run, model, patients, *rest)
        return {**arrays, "loss": torch.tensor(_metric(patients))}, state, executed

    patch.setattr(client.training, "train_round", telling)


def a_metric_in_the_body(patch: Patch) -> None:
    seen: list[float] = []

    def reading(recipe: Recipe, run: Run, model: nn.ModuleDict, patients: Patients, *rest: Any) -> Round:
        seen.append(_metric(patients))
        return train_round(recipe, run, model, patients, *rest)

    patch.setattr(client.training, "train_round", reading)
    patch.setattr(client.app, "Update", lambda **kw: Update(**{**kw, "nonce": f"loss {seen[-1]}"}))


def sessions_in_a_signed_statement(patch: Patch) -> None:
    patch.setattr(Cohort, "ids", property(lambda c: [p for p, s in sorted(c.patients.items()) for _ in s]))


def the_free_half_reads_patients(patch: Patch) -> None:
    """Let the part of the loss that is not noised read the patient's records that were drawn last."""
    seen: list[Tensor] = []
    private, public = CriticPhase.patient_loss, CriticPhase.public_loss

    def remember(phase: CriticPhase, model: nn.ModuleDict, records: Tensor, random: torch.Generator) -> Tensor:
        seen.append(records)
        return private(phase, model, records, random)

    def leak(phase: CriticPhase, model: nn.ModuleDict, count: int, random: torch.Generator) -> Tensor | None:
        return model["critic"](seen[-1]).mean() if seen else public(phase, model, count, random)

    patch.setattr(CriticPhase, "patient_loss", remember)
    patch.setattr(CriticPhase, "public_loss", leak)


def each_network_clipped_apart(patch: Patch) -> None:
    """Clip a patient's gradients of generator and critic each to the clip norm: together they are longer."""
    add = GaussianSum.add

    def apart(door: GaussianSum, vector: Vector) -> None:
        middle, nothing = len(vector) // 2, [None] * len(vector)
        add(door, [*vector[:middle], *nothing[middle:]])
        add(door, [*nothing[:middle], *vector[middle:]])

    patch.setattr(GaussianSum, "add", apart)


def noise_on_the_last_network_alone(patch: Patch) -> None:
    """Leave the first parameters, the generator's, without noise."""
    release, noised = GaussianSum.release, GaussianSum._noised

    def half(door: GaussianSum) -> list[Tensor]:
        door.left = len(door._sum) // 2  # type: ignore[attr-defined]
        return release(door)

    def skipping(door: GaussianSum, total: Tensor) -> Tensor:
        door.left -= 1  # type: ignore[attr-defined]
        return noised(door, total) if door.left < 0 else total.float() * door._unit  # type: ignore[attr-defined]

    patch.setattr(GaussianSum, "release", half)
    patch.setattr(GaussianSum, "_noised", skipping)


def features_matched_without_noise(patch: Patch) -> None:
    """Let the generator follow the features of the patient drawn last by the half of the loss that is free."""
    seen: list[Tensor] = []
    private = FeatureMatchingPhase.patient_loss

    def remember(phase: CriticPhase, model: nn.ModuleDict, records: Tensor, random: torch.Generator) -> Tensor:
        seen.append(records)
        return private(phase, model, records, random)  # type: ignore[arg-type]

    def match(phase: CriticPhase, model: nn.ModuleDict, count: int, random: torch.Generator) -> Tensor | None:
        fakes = generate(model, len(seen[-1]), random) if seen else None
        critic = cast(VesselDiscriminator, model["critic"])
        return None if fakes is None else l1_loss(critic.features(fakes), critic.features(seen[-1]))

    patch.setattr(FeatureMatchingPhase, "patient_loss", remember)
    patch.setattr(FeatureMatchingPhase, "public_loss", match)


def one_stream_for_all(patch: Patch) -> None:
    def shared(run: Run, site: str, round_: int) -> Stream:
        only = torch.Generator().manual_seed(round_)
        return lambda *purpose: only

    patch.setattr(client.training, "public_stream", shared)


RELEASE, PATCH, JOINT, FREE_FAKES = (
    "vessels-2d private-calibrated",
    "vessels-2d dp-wgan",
    "lesions-3d wgan-gp",
    "vessels-2d wgan",
)
PATIENTWISE = (JOINT, FREE_FAKES, TWO_MOVED)
ALL = (RELEASE, PATCH, JOINT, TWO_MOVED)  # one of each kind of phase
MOVES_TWO = (
    TWO_MOVED,
    "translate-2d pix2pix",
    "translate-2d cyclegan",
    "perfusion-2d pix2pix",
)  # networks, or more, at the sites
CRITICS = (PATCH, JOINT, FREE_FAKES)  # whose free half is `CriticPhase`'s own
CONTROLS: tuple[tuple[Break, Guarantee, tuple[str, ...]], ...] = (
    (half_the_noise, guarantees.a_step_releases_the_declared_noise, ALL),
    (noise_only_where_somebody_was_drawn, guarantees.a_step_releases_the_declared_noise, ALL),
    (twice_the_clip_norm, guarantees.one_unit_moves_the_sum_by_at_most_the_clip_norm, ALL),
    (no_clipping, guarantees.one_unit_moves_the_sum_by_at_most_the_clip_norm, ALL),
    (streams_by_number, guarantees.one_unit_moves_the_sum_by_at_most_the_clip_norm, PATIENTWISE),
    (nan_let_through, guarantees.a_contribution_that_is_nan_counts_as_zero, ALL),
    (one_batch_for_five_updates, guarantees.units_are_drawn_afresh_for_every_step, ALL),
    (a_third_of_the_sampling_rate, guarantees.units_are_drawn_afresh_for_every_step, ALL),
    (a_step_left_out_of_the_events, guarantees.events_equal_steps, ALL),
    (a_round_left_out_of_the_settlement, taint.a_settlement_says_what_the_site_really_did, ALL),
    (any_layer_taken, guarantees.leaky_modules_are_refused, PATIENTWISE),
    (running_statistics, taint.a_silenced_site_sends_the_same_bytes_whatever_its_patients, (JOINT, FREE_FAKES)),
    (spectral_norm_on_every_pass, guarantees.spectral_norm_trains_and_does_not_tell_who_was_drawn, PATIENTWISE),
    (a_metric_among_the_arrays, taint.a_silenced_site_sends_the_same_bytes_whatever_its_patients, ALL),
    (a_metric_in_the_body, taint.a_silenced_site_sends_the_same_bytes_whatever_its_patients, ALL),
    (sessions_in_a_signed_statement, taint.a_silenced_site_sends_the_same_bytes_whatever_its_patients, ALL),
    (the_free_half_reads_patients, taint.a_silenced_site_sends_the_same_bytes_whatever_its_patients, CRITICS),
    (each_network_clipped_apart, guarantees.one_unit_moves_the_sum_by_at_most_the_clip_norm, MOVES_TWO),
    (noise_on_the_last_network_alone, guarantees.a_step_releases_the_declared_noise, MOVES_TWO),
    (
        features_matched_without_noise,
        taint.a_silenced_site_sends_the_same_bytes_whatever_its_patients,
        (TWO_MOVED,),
    ),
    (one_stream_for_all, taint.a_silenced_site_does_not_tell_who_was_drawn, (FREE_FAKES,)),
)


@pytest.mark.parametrize(
    ("broken", "guarantee", "subject"),
    [
        pytest.param(broken, guarantee, name, id=f"{broken.__name__} {name}")
        for broken, guarantee, names in CONTROLS
        for name in names
    ],
    indirect=["subject"],
)
def test_control(broken: Break, guarantee: Guarantee, subject: Subject, monkeypatch: Patch) -> None:
    broken(monkeypatch)
    with pytest.raises(AssertionError):
        guarantee(subject)

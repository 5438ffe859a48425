"""One round at a site: the recipe's site phase, every private step through the door."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from shared.canonical import canonical, digest
from shared.device import Arithmetic, device, home, placed
from shared.errors import ProtocolError
from shared.ledger.events import Run
from shared.optimizer_state import load_state, save_state
from shared.privacy.events import NonPrivate, SampledGaussian, Unit
from shared.privacy.layers import SpectralClock, refuse_leaky_modules
from shared.privacy.mechanism import Drawn, PoissonSums, Vector
from shared.privacy.patch_sgd import PatchOptimizer, PooledPatches
from shared.privacy.patient_sgd import PatientOptimizer, PrivateOptimizer
from shared.privacy.randomness import Randomness, SeededRandomness, SystemRandomness, derive_seed
from shared.recipes.base import Arrays, GradientPhase, Recipe, Records, ReleasePhase, state_of

Executed = SampledGaussian | NonPrivate
Stream = Callable[..., torch.Generator]  # purpose -> generator of its own
Patients = Mapping[str, Records]  # by id, in the order of ids


def randomness_for(run: Run, noise_seed: int | None, site: str, round_: int) -> Randomness:
    """Return the source of a round's noise and draws: the operating system, or a seed in simulations.

    Seeded streams follow from the seed, the plan without its name and code (which follow from keys made at
    random, and from every change of a line), the site and the round, so that a simulation repeats to the byte
    anywhere. Two runs share them only if their plans are equal in all else. Run twice on a cohort that changed
    in between, such a plan uses the same noise on different sums, and the difference of the two tells what
    changed: acceptable in simulations alone, where there is nobody to protect and whoever knows the seed can
    undo the noise anyway.

    Raises:
        ProtocolError: the run says its noise is seeded and there is no seed, or the other way round.
    """
    if (run.noise_source is SeededRandomness.source) != (noise_seed is not None):
        raise ProtocolError(f"the run declares {run.noise_source.value} noise; its engine was set up otherwise")
    if noise_seed is None:
        return SystemRandomness()
    plan = digest(canonical(run.model_dump(mode="json", exclude={"code", "run"})))
    return SeededRandomness(noise_seed, "noise", plan, site, round_)


def train_round(
    recipe: Recipe,
    run: Run,
    model: nn.ModuleDict,
    patients: Patients,
    optimizer_state: Mapping[str, Tensor],
    randomness: Randomness,
    stream: Stream,
) -> tuple[Arrays, Arrays, Executed]:
    """Run the site phase once; return the update, the optimiser's state and what was executed.

    Args:
        recipe: what to train.
        run: the reserved plan; its σ, q, C and steps bind.
        model: the networks as broadcast.
        patients: every patient's records by id; their number is the site's declared N.
        optimizer_state: from the site's last round, empty in the first.
        randomness: noise and patient draws.
        stream: public draws by purpose: latents, choice of records; no privacy rests on it. Each patient
            has streams of its own, found by id: were they shared, the un-noised half of the loss would tell
            how many patients were drawn before; were they numbered, a patient who leaves would change
            those of all after.

    Raises:
        ProtocolError: the plan's unit is not the phase's, a layer leaks, or a private run does not clip.
    """
    phase = recipe.phase
    if run.spending.unit is not phase.unit:
        raise ProtocolError(f"the plan protects a {run.spending.unit.value} and the recipe a {phase.unit.value}")
    moves = phase.moves if isinstance(phase, GradientPhase) else ()
    networks = nn.ModuleDict({name: model[name] for name in (*phase.reads, *moves)})
    refuse_leaky_modules(networks)
    for name, network in model.items():
        network.requires_grad_(name in moves)
    site = _Site(run, model, patients, randomness, stream, SpectralClock(networks))
    if isinstance(phase, ReleasePhase):
        arrays, executed = _release(phase, site)
        return arrays, {}, executed
    arithmetic = Arithmetic(device(), recipe.schedule.mixed_precision)
    placed(networks, arithmetic.where)  # for gradients only: statistics are computed where records lie
    return _descend(phase, site, optimizer_state, arithmetic)


@dataclass(frozen=True)
class _Site:
    """What a phase works on, and what of the plan binds each step."""

    run: Run
    model: nn.ModuleDict
    patients: Patients
    randomness: Randomness
    stream: Stream
    clock: SpectralClock

    def sums(self, units: int) -> PoissonSums:
        """Return the noisy sums of a round over `units` to draw from."""
        run = self.run
        (mechanism,) = run.spending.mechanisms
        if isinstance(mechanism, SampledGaussian) and run.clip_norm is None:
            raise ProtocolError("a private run must clip")
        return PoissonSums(
            noise_multiplier=0.0 if isinstance(mechanism, NonPrivate) else mechanism.noise_multiplier,
            clip_norm=float("inf") if run.clip_norm is None else run.clip_norm,
            sampling_rate=run.sampling_rate if isinstance(mechanism, NonPrivate) else mechanism.sampling_rate,
            units=units,
            randomness=self.randomness,
        )


def _release(phase: ReleasePhase, site: _Site) -> tuple[Arrays, Executed]:
    ids, steps = list(site.patients), site.run.steps_per_round
    sums = site.sums(len(ids))
    mean = torch.zeros(phase.size)
    for step in range(steps):
        site.clock.tick()

        def statistics(drawn: Drawn, step: int = step) -> Iterator[Vector]:
            for index in drawn:
                own = site.stream("patient", step, ids[index])
                yield [phase.statistic(site.patients[ids[index]], own, site.model)]

        (noisy,) = sums.release([mean], statistics)
        mean = mean + noisy / (sums.expected * steps)
    return {"statistics": mean}, sums.executed()


def _descend(
    phase: GradientPhase, site: _Site, optimizer_state: Mapping[str, Tensor], arithmetic: Arithmetic
) -> tuple[Arrays, Arrays, Executed]:
    base = phase.optimizer([p for name in phase.moves for p in site.model[name].parameters()])
    load_state(base, optimizer_state)
    optimizer, private_step, fakes = (_by_patch if phase.unit is Unit.PATCH else _by_patient)(
        phase, site, base, arithmetic
    )
    free = site.stream("free")
    for step in range(site.run.steps_per_round):
        site.clock.tick()
        with arithmetic.precision():
            public = phase.public_loss(site.model, fakes, free)
        private_step(step, None if public is None else public * arithmetic.loss_scale)
        phase.project(site.model)
    return home(state_of(site.model, phase.moves)), save_state(base), optimizer.executed()


PrivateStep = Callable[[int, Tensor | None], None]  # number of the step, loss that reads nobody


def _by_patient(
    phase: GradientPhase, site: _Site, base: Optimizer, arithmetic: Arithmetic
) -> tuple[PrivateOptimizer, PrivateStep, int]:
    """Return the optimiser, its step, and how many fakes go with one."""
    ids, count = list(site.patients), site.run.records_per_patient
    optimizer = PatientOptimizer(base, site.sums(len(ids)), loss_scale=arithmetic.loss_scale)

    def private_step(step: int, public_loss: Tensor | None) -> None:
        def loss_of(index: int) -> Tensor:
            own = site.stream("patient", step, ids[index])
            records = site.patients[ids[index]].draw(count, own).to(arithmetic.where)
            with arithmetic.precision():
                return phase.patient_loss(site.model, records, own) * arithmetic.loss_scale

        optimizer.private_step(loss_of, public_loss)

    return optimizer, private_step, max(1, round(optimizer.expected)) * count


def _by_patch(
    phase: GradientPhase, site: _Site, base: Optimizer, arithmetic: Arithmetic
) -> tuple[PrivateOptimizer, PrivateStep, int]:
    """Return what `_by_patient` does; how many patches there really are is not public, N·K is."""
    patches = PooledPatches(list(site.patients.values()))
    sums, nominal = site.sums(len(patches)), len(site.patients) * site.run.records_per_patient
    networks = [site.model[name] for name in phase.moves]
    expected = sums.sampling_rate * nominal
    optimizer = PatchOptimizer(base, networks, sums, expected=expected, loss_scale=arithmetic.loss_scale)

    def private_step(step: int, public_loss: Tensor | None) -> None:
        own = site.stream("patches", step)

        def loss_of(numbers: Drawn) -> Tensor:
            records = patches.take(numbers).to(arithmetic.where)
            with arithmetic.precision():
                return phase.patient_loss(site.model, records, own) * arithmetic.loss_scale

        optimizer.private_step(loss_of, public_loss)

    return optimizer, private_step, max(1, round(optimizer.expected))


def public_stream(run: Run, site: str, round_: int) -> Stream:
    """Return the public draws of one round at one site, by purpose."""

    def stream(*purpose: str | int) -> torch.Generator:
        seed = derive_seed(run.public_seed, "site", site, round_, *purpose)
        return torch.Generator().manual_seed(seed)

    return stream

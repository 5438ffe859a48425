"""One round at a site: the recipe's site phase, every private step through the door."""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from shared.errors import ProtocolError
from shared.ledger.events import Run
from shared.optimizer_state import load_state, save_state
from shared.privacy.events import NonPrivate, SampledGaussian
from shared.privacy.mechanism import GaussianSum
from shared.privacy.patient_sgd import PatientOptimizer, refuse_leaky_modules
from shared.privacy.randomness import Randomness, SeededRandomness, SystemRandomness, derive_seed
from shared.recipes.base import Arrays, GradientPhase, Recipe, Records, ReleasePhase, state_of

Executed = SampledGaussian | NonPrivate
Stream = Callable[..., torch.Generator]  # purpose -> generator of its own


def randomness_for(run: Run, noise_seed: int | None, site: str, round_: int) -> Randomness:
    """Return the source of a round's noise and draws: the operating system, or a seed in simulations.

    Raises:
        ProtocolError: the run says its noise is seeded and there is no seed, or the other way round.
    """
    if (run.noise_source is SeededRandomness.source) != (noise_seed is not None):
        raise ProtocolError(f"the run declares {run.noise_source.value} noise; its engine was set up otherwise")
    if noise_seed is None:
        return SystemRandomness()
    return SeededRandomness(noise_seed, "noise", run.run, site, round_)


def train_round(
    recipe: Recipe,
    run: Run,
    model: nn.ModuleDict,
    patients: Sequence[Records],
    optimizer_state: Mapping[str, Tensor],
    randomness: Randomness,
    stream: Stream,
) -> tuple[Arrays, Arrays, Executed]:
    """Run the site phase once; return the update, the optimiser's state and what was executed.

    Args:
        recipe: what to train.
        run: the reserved plan; its σ, q, C and steps bind.
        model: the networks as broadcast.
        patients: every patient's records; their number is the site's declared N.
        optimizer_state: from the site's last round, empty in the first.
        randomness: noise and patient draws.
        stream: public draws by purpose: latents, choice of records; no privacy rests on it. Each patient
            has streams of its own: were they shared, the un-noised half of the loss would tell how many
            patients were drawn before.
    """
    if isinstance(recipe.phase, ReleasePhase):
        arrays, executed = _release(recipe.phase, run, patients, randomness, stream)
        return arrays, {}, executed
    return _descend(recipe.phase, run, model, patients, optimizer_state, randomness, stream)


def _plan(run: Run) -> tuple[float, float, float]:
    """Return (noise multiplier, sampling rate, clip norm) of a run; (0, q, C or ∞) without noise."""
    (mechanism,) = run.spending.mechanisms
    clip = float("inf") if run.clip_norm is None else run.clip_norm
    if isinstance(mechanism, NonPrivate):
        return 0.0, run.sampling_rate, clip
    if run.clip_norm is None:
        raise ProtocolError("a private run must clip")
    return mechanism.noise_multiplier, mechanism.sampling_rate, clip


def _descend(
    phase: GradientPhase,
    run: Run,
    model: nn.ModuleDict,
    patients: Sequence[Records],
    optimizer_state: Mapping[str, Tensor],
    randomness: Randomness,
    stream: Stream,
) -> tuple[Arrays, Arrays, Executed]:
    noise_multiplier, rate, clip_norm = _plan(run)
    for name, network in model.items():
        network.requires_grad_(name in phase.moves)
        if name in phase.moves:
            refuse_leaky_modules(network)
    parameters = [p for name in phase.moves for p in model[name].parameters()]
    base = phase.optimizer(parameters)
    load_state(base, optimizer_state)
    optimizer = PatientOptimizer(
        base,
        noise_multiplier=noise_multiplier,
        clip_norm=clip_norm,
        sampling_rate=rate,
        patients=len(patients),
        randomness=randomness,
    )
    fakes = max(1, round(rate * len(patients))) * run.records_per_patient
    free = stream("free")
    for step in range(run.steps_per_round):

        def loss_of(index: int, step: int = step) -> Tensor:
            own = stream("patient", step, index)
            return phase.patient_loss(model, patients[index].draw(run.records_per_patient, own), own)

        optimizer.private_step(loss_of, phase.public_loss(model, fakes, free))
        phase.project(model)
    return state_of(model, phase.moves), save_state(base), optimizer.executed()


def _release(
    phase: ReleasePhase,
    run: Run,
    patients: Sequence[Records],
    randomness: Randomness,
    stream: Stream,
) -> tuple[Arrays, Executed]:
    noise_multiplier, rate, clip_norm = _plan(run)
    mean = torch.zeros(phase.size)
    for step in range(run.steps_per_round):
        door = GaussianSum([mean], clip_norm, noise_multiplier, randomness)
        for index in randomness.bernoulli(len(patients), rate).nonzero()[0]:
            own = stream("patient", step, int(index))
            door.add([phase.statistic(patients[int(index)], own)])
        mean = mean + door.release()[0] / (rate * len(patients) * run.steps_per_round)
    steps = run.steps_per_round
    if noise_multiplier == 0:
        return {"statistics": mean}, NonPrivate(steps=steps)
    return {"statistics": mean}, SampledGaussian(
        noise_multiplier=noise_multiplier, sampling_rate=rate, steps=steps
    )


def public_stream(run: Run, site: str, round_: int) -> Stream:
    """Return the public draws of one round at one site, by purpose."""

    def stream(*purpose: str | int) -> torch.Generator:
        seed = derive_seed(run.public_seed, "site", site, round_, *purpose)
        return torch.Generator().manual_seed(seed)

    return stream

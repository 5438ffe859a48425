"""The plan a job becomes once it is known who takes part: pure."""

from collections.abc import Sequence

from server.run.job import Job
from shared.canonical import canonical, digest
from shared.code import code_digest
from shared.ledger.events import GIVEN_WEIGHTS, Enrol, Run
from shared.privacy.accounting import noise_multiplier_for
from shared.privacy.events import NonPrivate, SampledGaussian, Spending
from shared.recipes.base import Recipe


def plan(job: Job, recipe: Recipe, enrolled: Sequence[Enrol]) -> Run:
    """Return the run event all sites reserve against; its noise is calibrated to the job's (ε, δ) by PLD.

    Raises:
        UsageError: the target is out of reach.
    """
    schedule = recipe.schedule
    steps = job.rounds * schedule.steps
    mechanism: SampledGaussian | NonPrivate = NonPrivate(steps=steps)
    if job.epsilon is not None:
        sigma = noise_multiplier_for(job.epsilon, job.delta, schedule.sampling_rate, steps)
        mechanism = SampledGaussian(noise_multiplier=sigma, sampling_rate=schedule.sampling_rate, steps=steps)
    return Run(
        run=run_id(job, enrolled),
        recipe=job.recipe,
        variant=job.variant,
        preset=job.preset,
        settings=job.settings,
        rounds=job.rounds,
        steps_per_round=schedule.steps,
        sampling_rate=schedule.sampling_rate,
        clip_norm=None if job.epsilon is None else schedule.clip_norm,
        records_per_patient=schedule.records,
        spending=Spending.of(mechanism, unit=recipe.phase.unit),
        delta=job.delta,
        noise_source=job.noise_source,
        public_seed=job.public_seed,
        pretrained_on=_pretraining(job, recipe),
        code=code_digest(),
    )


def _pretraining(job: Job, recipe: Recipe) -> str:
    if job.initial:
        return f"{GIVEN_WEIGHTS} {job.initial}"
    return recipe.pretraining if job.pretrain else ""


def run_id(job: Job, enrolled: Sequence[Enrol]) -> str:
    """Return the run's name: a digest of what was asked, of whom, and of the code that answers."""
    who = [e.model_dump(mode="json") for e in enrolled]
    return digest(canonical({"code": code_digest(), "job": job.model_dump(mode="json"), "sites": who}))[:16]

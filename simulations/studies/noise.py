"""From a noise multiplier to the ε that a run must be asked for, and what a patch's ε means for a patient."""

from shared.privacy.accounting import PrivacyCost, cost
from shared.privacy.events import SampledGaussian, Spending, Unit
from shared.recipes.base import Recipe
from simulations.studies.patient_groups import group_cost
from simulations.studies.runs import DELTA


def epsilon_at(noise_multiplier: float, recipe: Recipe, rounds: int | None = None) -> float:
    """Return the ε (PLD, δ of all studies) of a recipe's run with this noise; a run asked for it has the noise."""
    return cost([_steps(noise_multiplier, recipe, rounds)], DELTA).epsilon


def patient_cost(noise_multiplier: float, recipe: Recipe, rounds: int | None, patches: int) -> PrivacyCost:
    """Return what a run whose unit is the patch costs a patient who has `patches` of them."""
    return group_cost(patches, [_steps(noise_multiplier, recipe, rounds)], DELTA)


def _steps(noise_multiplier: float, recipe: Recipe, rounds: int | None) -> Spending:
    schedule = recipe.schedule
    steps = (rounds or schedule.rounds) * schedule.steps
    mechanism = SampledGaussian(
        noise_multiplier=noise_multiplier, sampling_rate=schedule.sampling_rate, steps=steps
    )
    return Spending.of(mechanism, unit=Unit.PATCH)

"""A plan cannot ask for more than it is charged: whoever reads one, site or auditor, refuses it."""

import pytest
from pydantic import ValidationError

from shared.ledger.events import Run
from shared.privacy.events import NonPrivate, SampledGaussian, Spending
from tests.client.conversation import run_of
from tests.client.test_site import RECIPE

PLAN = run_of(RECIPE)
STEP = PLAN.spending.mechanisms[0]
RATE = PLAN.sampling_rate
CHANGES: dict[str, dict[str, object]] = {
    "more rounds": {"rounds": PLAN.rounds + 1},
    "more steps a round": {"steps_per_round": PLAN.steps_per_round + 1},
    "nothing charged": {"spending": Spending.of(STEP.model_copy(update={"steps": 0}))},
    "no mechanism": {"spending": Spending.of()},
    "two mechanisms": {"spending": Spending.of(STEP, STEP)},
    "nothing charged, without noise": {"spending": Spending.of(NonPrivate(steps=0))},
    "another sampling rate": {"sampling_rate": RATE / 2},
    "not clipped": {"clip_norm": None},
    "clipped at infinity": {"clip_norm": float("inf")},
    "clipped at zero": {"clip_norm": 0.0},
    "fewer steps in its settings": {"settings": {"steps": PLAN.steps_per_round - 1}},
    "a smaller rate in its settings": {"settings": {"sampling_rate": RATE / 2}},
    "a smaller clip norm in its settings": {"settings": {"clip_norm": 1e-3}},
    "fewer records in its settings": {"settings": {"records": PLAN.records_per_patient - 1}},
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_plan_that_asks_for_other_than_it_is_charged_is_refused(change: str) -> None:
    fields = PLAN.model_dump() | {k: getattr(v, "model_dump", lambda v=v: v)() for k, v in CHANGES[change].items()}
    with pytest.raises(ValidationError):
        Run.model_validate(fields)
    assert Run.model_validate(PLAN.model_dump()) == PLAN


def test_a_noise_multiplier_so_small_that_its_cost_overflows_is_refused() -> None:
    with pytest.raises(ValidationError):
        SampledGaussian(noise_multiplier=1e-155, sampling_rate=0.5, steps=1)

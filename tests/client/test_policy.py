"""What a site allows: a table of decisions, and a file that is read strictly."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from pydantic import ValidationError

from client.policy import Policy, read_policy
from client.policy import decide as decide_for
from shared.code import code_digest
from shared.errors import PolicyRefusal, UsageError
from shared.ledger.budget import patient_level
from shared.ledger.events import Past, Run
from shared.privacy.accounting import cost
from shared.privacy.events import NoiseSource, NonPrivate, SampledGaussian, Spending, Unit
from shared.recipes.catalogue import load
from tests.client.conversation import run_of

RECIPE = load("lesions-3d", None, "small")
HOSPITAL = Policy(max_epsilon=4.0)  # what a real one would say: no simulations
SYSTEM = run_of(RECIPE, source=NoiseSource.SYSTEM)  # ten steps at σ = 2
LOUD = run_of(RECIPE, source=NoiseSource.SYSTEM, noise_multiplier=0.5)
SEEDED = run_of(RECIPE, source=NoiseSource.SEEDED)
WITHOUT = run_of(RECIPE, source=NoiseSource.SYSTEM, noise_multiplier=None)
BY_PATCH = SYSTEM.model_copy(update={"spending": Spending.of(*SYSTEM.spending.mechanisms, unit=Unit.PATCH)})


def plan_of(noise_multiplier: float, sampling_rate: float, steps: int) -> Run:
    """Return a plan of one round."""
    return run_of(
        RECIPE,
        rounds=1,
        steps=steps,
        sampling_rate=sampling_rate,
        noise_multiplier=noise_multiplier,
        source=NoiseSource.SYSTEM,
    )


# Each would keep a site's accountant busy for minutes or end in its running out of memory.
UNPRICEABLE = {
    "steps without end": (plan_of(1e9, 0.5, 10**15), "a site prices at most 1000000"),
    "many sampled steps": (plan_of(2.0, 0.25, 10**6), "far beyond the site's cap of ε = 4"),
    "many steps of everyone": (plan_of(0.3, 1.0, 10**4), "far beyond the site's cap of ε = 4"),
}
OTHER_DELTA = SYSTEM.model_copy(update={"delta": 1e-3})
OTHER_CODE = SYSTEM.model_copy(update={"code": "0" * 64})
QUERY = SYSTEM.model_copy(update={"recipe": "query-volume"})


def decide(policy: Policy, run: Run, patients: int, past: Sequence[Past]) -> None:
    """Decide at a site where the same code is installed as here."""
    decide_for(policy, run, patients, past, code_digest())


DECISIONS = {  # policy, run, patients -> None, or words of the refusal
    "allowed": (HOSPITAL, SYSTEM, 3, None),
    "too few patients": (HOSPITAL, SYSTEM, 2, "has 2 patients and the site's minimum is 3"),
    "another recipe": (Policy(recipes=("vessels-2d",)), SYSTEM, 3, "lesions-3d is not among those allowed"),
    "patients held out": (Policy(held_out=True), SYSTEM, 3, "train on patients who are held out"),
    "patients held out, measured on": (Policy(max_epsilon=4.0, held_out=True), QUERY, 3, None),
    "a listed recipe": (Policy(recipes=("vessels-2d", "lesions-3d")), SYSTEM, 3, None),
    "seeded noise": (HOSPITAL, SEEDED, 3, "does not allow seeded noise"),
    "seeded noise, allowed": (Policy(allow_seeded_noise=True), SEEDED, 3, None),
    "no noise": (HOSPITAL, WITHOUT, 3, "does not allow runs without noise"),
    "no noise, allowed": (Policy(allow_non_private=True), WITHOUT, 3, None),
    "a single release too quiet": (
        Policy(min_noise_multiplier=2.1),
        SYSTEM,
        3,
        "2 is under the site's minimum of 2.1",
    ),
    "over the cap": (HOSPITAL, LOUD, 3, "over the site's cap of ε = 4.00"),
    "under a larger cap": (Policy(max_epsilon=40), LOUD, 3, None),
    "a patch as the unit": (HOSPITAL, BY_PATCH, 3, "the privacy unit is the patch"),
    "a patch as the unit, allowed": (Policy(max_epsilon=4.0, allow_patch_unit=True), BY_PATCH, 3, None),
    "another preset": (Policy(presets=("paper",)), SYSTEM, 3, "preset small is not among those allowed"),
    "a listed preset": (Policy(presets=("paper", "small")), SYSTEM, 3, None),
    "another δ": (HOSPITAL, OTHER_DELTA, 3, "asks for δ = 0.001, and the site's is 1e-05"),
    "another δ, agreed on": (Policy(max_epsilon=4.0, delta=1e-3), OTHER_DELTA, 3, None),
    "a δ too large for the cohort": (Policy(max_epsilon=4.0, delta=1e-3), OTHER_DELTA, 101, "too large"),
    "other code": (HOSPITAL, OTHER_CODE, 3, "install the same release at both"),
    "code not approved": (Policy(code=("0" * 64,)), SYSTEM, 3, "not among those the site has approved"),
    "approved code": (Policy(max_epsilon=4.0, code=("0" * 64, code_digest())), SYSTEM, 3, None),
    "another query": (Policy(queries=("query-age",)), QUERY, 3, "query query-volume is not among"),
    "a listed query": (Policy(recipes=("lesions-3d",), queries=("query-volume",)), QUERY, 3, None),
}


@pytest.mark.parametrize("what", UNPRICEABLE)
def test_a_plan_too_large_to_price_is_refused_without_pricing_it(
    what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, words = UNPRICEABLE[what]
    monkeypatch.setattr("client.policy.over_cap", lambda *args: pytest.fail("PLD was asked"))
    with pytest.raises(PolicyRefusal, match=words):
        decide(HOSPITAL, run, 3, [])


@pytest.mark.parametrize("name", DECISIONS)
def test_decision(name: str) -> None:
    policy, run, patients, words = DECISIONS[name]
    if words is None:
        decide(policy, run, patients, past=[])
    else:
        with pytest.raises(PolicyRefusal) as refusal:
            decide(policy, run, patients, past=[])
        assert words in str(refusal.value)


def past(run: Run, steps: int | None = None) -> Past:
    """Return `run` as spent before, or that many steps of it."""
    (mechanism,) = run.spending.mechanisms
    ran = mechanism.model_copy(update={"steps": mechanism.steps if steps is None else steps})
    return Past(run="f" * 16, recipe=run.recipe, variant=run.variant, spending=Spending.of(ran))


def test_the_cap_is_over_all_runs_of_a_cohort() -> None:
    alone = cost([SYSTEM.spending], 1e-5).epsilon
    twice = cost([SYSTEM.spending] * 2, 1e-5).epsilon
    assert alone < twice < 2 * alone
    between = Policy(max_epsilon=(alone + twice) / 2)
    decide(between, SYSTEM, 3, past=[])
    decide(between, SYSTEM, 3, past=[past(SYSTEM, steps=0)])
    decide(Policy(max_epsilon=alone), SYSTEM, 3, past=[])  # the cap itself is allowed
    with pytest.raises(PolicyRefusal, match="of the site's cap"):
        decide(between, SYSTEM, 3, past=[past(SYSTEM)])
    decide(Policy(max_epsilon=2 * alone), SYSTEM, 3, past=[past(SYSTEM)])


def test_a_later_run_may_depend_on_earlier_results_and_must_pass_the_filter() -> None:
    """PLD of the sum is no bound on what was chosen after a release was seen."""
    twice = cost([SYSTEM.spending] * 2, 1e-5).epsilon
    with pytest.raises(PolicyRefusal, match=r"Rényi filter of order .* may depend on earlier ones"):
        decide(Policy(max_epsilon=twice), SYSTEM, 3, past=[past(SYSTEM)])
    worse = Policy(max_epsilon=2 * twice, renyi_order=2.0)  # an order at which nothing is left for δ
    with pytest.raises((PolicyRefusal, UsageError)):
        decide(worse, SYSTEM, 3, past=[past(SYSTEM)])


def test_an_earlier_run_without_noise_is_not_priced_and_does_not_hide_the_others() -> None:
    earlier = [past(WITHOUT), past(SYSTEM)]
    assert patient_level(earlier) == [earlier[1].spending]
    twice = cost([SYSTEM.spending] * 2, 1e-5).epsilon
    with pytest.raises(PolicyRefusal, match="of the site's cap"):
        decide(Policy(max_epsilon=twice - 0.01), SYSTEM, 3, past=earlier)


def test_no_file_means_rules_that_refuse_simulations(tmp_path: Path) -> None:
    policy = read_policy(tmp_path / "policy.toml")
    assert policy == Policy()
    assert not policy.allow_seeded_noise
    assert not policy.allow_non_private
    assert not policy.allow_patch_unit


def test_every_field_can_be_set(tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    path.write_text(
        "# Größe: klein\nmax_epsilon = 3\ndelta = 1e-6\nmin_noise_multiplier = 1\nmin_patients = 10\n"
        'renyi_order = 8\nrecipes = ["lesions-3d"]\npresets = ["small"]\ncode = ["00"]\nqueries = ["query-age"]\n'
        "allow_seeded_noise = true\nallow_non_private = true\nallow_patch_unit = true\nheld_out = true\n",
        encoding="utf-8",
    )
    read = read_policy(path)
    assert read.cap.model_dump() == {"epsilon": 3.0, "delta": 1e-6, "order": 8.0}
    assert all(getattr(read, field) != getattr(Policy(), field) for field in Policy.model_fields)


@pytest.mark.parametrize(
    "line",
    [
        "max_epsilon = 0",
        "max_epsilon = -1",
        "max_epsilon = inf",
        "max_epsilon = nan",
        "delta = 0",
        "delta = 1.0",
        "min_noise_multiplier = -0.1",
        "min_noise_multiplier = nan",
        "min_patients = 0",
        "min_patients = 2.5",
        'recipes = "lesions-3d"',
        'allow_seeded_noise = "no"',
        "allow_non_private = 1",
        "allow_patch_unit = 1",
        "renyi_order = 1",
        "renyi_order = inf",
        'code = "00"',
        "Max_epsilon = 3",
        "max_epsilon 3",
    ],
)
def test_a_line_that_makes_no_sense_is_refused_with_file_and_key(line: str, tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    path.write_text(line + "\n")
    with pytest.raises(PolicyRefusal) as refusal:
        read_policy(path)
    assert str(path) in str(refusal.value)
    assert line.split(" ")[0] in str(refusal.value) or "not valid TOML" in str(refusal.value)


def test_a_file_that_cannot_be_read_is_no_missing_file(tmp_path: Path) -> None:
    (tmp_path / "folder.toml").mkdir()
    (tmp_path / "latin.toml").write_bytes("# klein, größer\n".encode("latin-1"))
    for name in ("folder.toml", "latin.toml"):
        with pytest.raises(PolicyRefusal, match=name):
            read_policy(tmp_path / name)


def test_a_policy_does_not_change_under_a_decision() -> None:
    with pytest.raises(ValidationError):
        HOSPITAL.max_epsilon = 99.0  # type: ignore[misc]


def test_mechanisms_of_a_run_are_all_looked_at() -> None:
    quiet = SampledGaussian(noise_multiplier=0.1, sampling_rate=0.1, steps=1)
    both = SYSTEM.model_copy(update={"spending": Spending.of(*SYSTEM.spending.mechanisms, quiet)})
    with pytest.raises(PolicyRefusal, match=r"0\.1 is under the site's minimum"):
        decide(HOSPITAL, both, 3, past=[])
    hidden = SYSTEM.model_copy(update={"spending": Spending.of(*SYSTEM.spending.mechanisms, NonPrivate(steps=1))})
    with pytest.raises(PolicyRefusal, match="without noise"):
        decide(HOSPITAL, hidden, 3, past=[])

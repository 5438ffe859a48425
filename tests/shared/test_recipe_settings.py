"""What of a recipe a person may choose, and what a run records of it."""

import pytest

from server.run.coordinator import recipe_of
from server.run.job import Job
from server.run.planning import plan
from shared.errors import UsageError
from shared.privacy.events import NoiseSource
from shared.recipes.catalogue import catalogue, load
from shared.recipes.settings import Setting, parse


def job(**settings: Setting) -> Job:
    return Job(
        recipe="lesions-3d",
        variant="wgan-gp",
        preset="small",
        settings=settings,
        epsilon=8.0,
        delta=1e-5,
        rounds=4,
        sites=2,
        noise_source=NoiseSource.SEEDED,
        public_seed=1,
        pretrain=False,
        cases=1,
        nonce="",
    )


def test_text_is_read_as_the_value_it_names() -> None:
    recipe = load(
        "lesions-3d", None, "small", settings=parse(("steps=7", "sampling_rate=1", "mixed_precision=true"))
    )
    assert (recipe.schedule.steps, recipe.schedule.sampling_rate, recipe.schedule.mixed_precision) == (
        7,
        1.0,
        True,
    )
    assert recipe.schedule.only({"steps": "7"}) == {"steps": 7}


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("step=7", "setting step = 7: Extra inputs are not permitted; there are: steps=5"),
        ("steps=0", "setting steps = 0: Input should be greater than or equal to 1"),
        ("steps=1000000000", "setting steps = 1000000000: Input should be less than or equal to 1000000"),
        ("records=1000000", "setting records = 1000000: Input should be less than or equal to 10000"),
        ("sampling_rate=1e-9", "setting sampling_rate = 1e-9: Input should be greater than or equal to"),
        ("sampling_rate=often", "setting sampling_rate = often: Input should be a valid number"),
        ("rounds=3", "use --rounds"),
    ],
)
def test_what_cannot_be_set_is_named_with_what_can(given: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        load("lesions-3d", None, "small", settings=parse((given,)))


@pytest.mark.parametrize("value", ["inf", "nan"])
def test_a_setting_is_a_number_that_a_plan_can_hold(value: str) -> None:
    """The ledger is JSON, which has no infinity."""
    for name, given in load("vessels-2d", "dcgan", "small").schedule.model_dump().items():
        if isinstance(given, float):
            with pytest.raises(UsageError, match=name):
                load("vessels-2d", "dcgan", "small", settings={name: value})


@pytest.mark.parametrize(
    ("name", "variant", "private", "given"),
    [
        ("vessels-2d", "private-calibrated", True, "records=5"),
        ("query-dice", None, True, "mixed_precision=true"),
        ("vessels-2d", "dcgan", True, "penalty=10"),
        ("vessels-2d", "wgan", False, "clip_norm=1"),
    ],
)
def test_a_setting_that_would_change_nothing_or_fail_at_the_sites_is_refused(
    name: str, variant: str | None, private: bool, given: str
) -> None:
    with pytest.raises(UsageError, match=f"setting {given.partition('=')[0]}"):
        load(name, variant, "small", private=private, settings=parse((given,)))


@pytest.mark.parametrize("given", [("steps",), ("=7",), ("steps=1", "steps=2")])
def test_a_setting_has_one_name_and_one_value(given: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match="expected name=value, each name once"):
        parse(given)


def test_settings_are_in_the_plan_and_priced_in_it() -> None:
    asked = job(steps=7, sampling_rate=0.5)
    run = plan(asked, recipe_of(asked), [])
    assert run.settings == {"steps": 7, "sampling_rate": 0.5}
    assert (run.steps_per_round, run.sampling_rate) == (7, 0.5)
    assert run.system == "recipe lesions-3d, variant wgan-gp, preset small, with sampling_rate = 0.5, steps = 7"
    (mechanism,) = run.spending.mechanisms
    assert mechanism.steps == 28


def test_every_recipe_has_one_variant_that_is_meant_when_none_is_named() -> None:
    for name, variants in catalogue().items():
        defaults = [variant for variant, recipe in variants.items() if recipe.is_default]
        assert len(defaults) == (len(variants) > 1), name
        assert load(name, None, "small").variant == next(iter(variants))

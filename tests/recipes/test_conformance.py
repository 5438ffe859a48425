"""Every registered recipe keeps every promise: a new recipe is tested by being registered."""

import pytest

from shared.imaging.scan import Role
from shared.privacy.events import Unit
from shared.recipes.base import GradientPhase
from tests.cohorts import site_for
from tests.recipes import guarantees, taint
from tests.recipes.subject import Subject


def test_sensitivity_removing_any_unit_moves_the_sum_by_at_most_the_clip_norm(subject: Subject) -> None:
    guarantees.one_unit_moves_the_sum_by_at_most_the_clip_norm(subject)


def test_sensitivity_an_empty_draw_sums_to_zero(subject: Subject) -> None:
    guarantees.an_empty_draw_sums_to_zero(subject)


def test_sensitivity_a_contribution_that_is_nan_counts_as_zero(subject: Subject) -> None:
    guarantees.a_contribution_that_is_nan_counts_as_zero(subject)


def test_noise_what_a_step_releases_has_the_declared_deviation(subject: Subject) -> None:
    guarantees.a_step_releases_the_declared_noise(subject)


def test_sampling_units_are_drawn_afresh_for_every_step(subject: Subject) -> None:
    guarantees.units_are_drawn_afresh_for_every_step(subject)


def test_events_logged_are_the_steps_executed(subject: Subject) -> None:
    guarantees.events_equal_steps(subject)


def test_events_a_settlement_says_what_the_site_really_did(subject: Subject) -> None:
    taint.a_settlement_says_what_the_site_really_did(subject)


def test_taint_a_silenced_site_sends_the_same_bytes_whatever_its_patients(subject: Subject) -> None:
    taint.a_silenced_site_sends_the_same_bytes_whatever_its_patients(subject)


def test_taint_a_silenced_site_does_not_tell_who_was_drawn(subject: Subject) -> None:
    taint.a_silenced_site_does_not_tell_who_was_drawn(subject)


def test_taint_without_silence_the_updates_differ_and_nothing_else(subject: Subject) -> None:
    taint.without_silence_the_updates_differ_and_nothing_else(subject)


def test_modules_that_leak_are_refused_by_name_with_the_reason(subject: Subject) -> None:
    if not subject.phase.reads:
        pytest.skip("the sites read no network")
    guarantees.leaky_modules_are_refused(subject)


def test_modules_spectral_norm_trains_and_does_not_tell_who_was_drawn(subject: Subject) -> None:
    if not isinstance(subject.phase, GradientPhase) or subject.phase.unit is Unit.PATCH:
        pytest.skip("no network is moved, or by hooks, which take no buffers")
    guarantees.spectral_norm_trains_and_does_not_tell_who_was_drawn(subject)


def test_a_recipe_whose_roles_have_no_cohort_is_told_so(tmp_path: object) -> None:
    with pytest.raises(LookupError, match="add one to WRITERS"):
        site_for([Role.LESION, Role.ANGIO], tmp_path, 1)  # type: ignore[arg-type]

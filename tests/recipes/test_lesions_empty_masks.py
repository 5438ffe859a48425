"""`lesions-3d` with patients in whom no lesion was seen: drawn, counted and charged like any other, and silent."""

import numpy as np
import pytest
import torch

from shared.imaging import nifti
from shared.imaging.scan import Role, Scan
from shared.privacy.events import SampledGaussian
from shared.privacy.randomness import SystemRandomness
from shared.recipes.base import Records
from tests.cohorts import LESION_MM, blob, file_of
from tests.recipes import guarantees, taint
from tests.recipes.subject import Scripted, Subject, everyone, silence

pytestmark = pytest.mark.parametrize("subject", ["lesions-3d wgan-gp"], indirect=True)


def scan(*, lesion: bool) -> Scan:
    return Scan({Role.LESION: blob(1) * lesion}, LESION_MM)


def with_an_empty_one(subject: Subject) -> dict[str, Records]:
    return {**subject.patients, "sub-zzz": subject.recipe.records([scan(lesion=False)], 5)}


def test_sessions_with_an_empty_mask_are_left_out(subject: Subject) -> None:
    one, both = (
        subject.recipe.records([scan(lesion=x) for x in sessions], 5) for sessions in ([True], [False, True])
    )
    draws = [records.draw(20, torch.Generator().manual_seed(1)) for records in (one, both)]
    assert all(draw.flatten(1).any(dim=1).all() for draw in draws)
    assert torch.equal(*draws)


def test_a_patient_without_a_lesion_adds_nothing_to_the_sum(subject: Subject) -> None:
    subject.strip(1e6)
    without, with_it = (
        subject.clipped_sum(patients) for patients in (subject.patients, with_an_empty_one(subject))
    )
    assert without.any()
    assert float((without - with_it).norm()) < guarantees.ROUNDING * (1 + float(without.norm()))


def test_such_a_patient_is_drawn_like_any_other(subject: Subject) -> None:
    subject.patients = with_an_empty_one(subject)
    guarantees.units_are_drawn_afresh_for_every_step(subject)


def test_a_site_without_any_lesion_sends_noise_and_settles_its_steps(subject: Subject) -> None:
    subject.strip(1.0)
    empty = {name: subject.recipe.records([scan(lesion=False)], 5) for name in subject.patients}
    assert not subject.released(Scripted(drawn=everyone, noise=silence), empty).any()
    assert float(subject.released(Scripted(drawn=everyone), empty).std()) == pytest.approx(
        2.0 * subject.clip_norm, rel=0.01
    )
    _, executed = subject.play(subject.run(steps=3, rate=0.25), SystemRandomness(), empty)
    assert executed == SampledGaussian(noise_multiplier=2.0, sampling_rate=0.25, steps=3)


def test_nothing_a_site_sends_but_the_noised_sum_tells_who_has_a_lesion(subject: Subject) -> None:
    one, other = taint.twins(subject)
    path = file_of(other, "sub-002", Role.LESION, "ses-1")
    assert path.exists()
    nifti.write(path, np.zeros((24, 24, 24), np.float32), LESION_MM)
    with taint.silenced(subject):
        assert taint.everything_sent(one, subject) == taint.everything_sent(other, subject)

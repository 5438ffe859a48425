"""A release may read a network: it gets what sites are sent, and keeps every promise of the suite."""

import copy
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from shared.recipes.base import Records, ReleasePhase, sent_by_sites, sent_to_sites
from tests.recipes import guarantees
from tests.recipes.subject import Subject, subject_of


class Scores(ReleasePhase):
    """How the critic scores a patient, in four bins of its value."""

    reads = ("critic",)
    size = 4

    def statistic(self, records: Records, generator: torch.Generator, model: nn.ModuleDict) -> Tensor:
        score = model["critic"](records.draw(2, generator)).mean()
        return torch.tanh(score * torch.arange(1.0, 5.0))


@pytest.fixture
def scores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Subject:
    subject = subject_of("vessels-2d wgan", tmp_path, monkeypatch)
    subject.recipe.phase = Scores()
    return subject


def test_sites_are_sent_what_the_phase_reads_and_no_more(scores: Subject) -> None:
    sent = sent_to_sites(scores.recipe, scores.recipe.build(1))
    assert sent
    assert all(name.startswith("critic.") for name in sent)
    assert sent_by_sites(scores.recipe, scores.recipe.build(1)) == {"statistics": (4,)}


def test_what_is_released_depends_on_the_network_sent(scores: Subject) -> None:
    before = scores.clipped_sum()
    other = copy.deepcopy(scores.model)
    with torch.no_grad():
        next(other["critic"].parameters()).neg_()
    twin = Subject(scores.recipe, other, scores.patients, scores.folder, scores.monkeypatch)
    assert not torch.equal(before, twin.clipped_sum())


@pytest.mark.parametrize(
    "guarantee",
    [
        guarantees.one_unit_moves_the_sum_by_at_most_the_clip_norm,
        guarantees.a_contribution_that_is_nan_counts_as_zero,
        guarantees.events_equal_steps,
        guarantees.leaky_modules_are_refused,
    ],
)
def test_the_suite_holds_for_it(guarantee: object, scores: Subject) -> None:
    assert callable(guarantee)
    guarantee(scores)

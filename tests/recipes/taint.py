"""Nothing but the noisy sum depends on patients: with that sum silenced, two cohorts cannot be told apart.

Two hospitals of the same name, key, salt and patient ids hold other images. With the door's sum replaced by
zeros, everything they send (arrays, JSON, signatures, refusals, sizes) must be the same byte for byte.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

import client.training
from shared.ledger.events import Run, Settle
from shared.messages import UpdateReply
from shared.recipes.base import sent_to_sites
from shared.recipes.query_distance import DistanceQuery
from tests.client.conversation import Conversation, body_of, event_of, model_of, run_of
from tests.cohorts import site_for
from tests.recipes.guarantees import silence_the_door
from tests.recipes.subject import PATIENTS, SITE, Scripted, Subject, everyone, nobody, releases

ROUNDS, STEPS = 2, 2
UPDATES = [3, 4]  # which answers of a conversation are updates


def a_run(subject: Subject) -> Run:
    """Return the plan of a short run that draws half of the units."""
    return run_of(subject.recipe, rounds=ROUNDS, steps=STEPS, sampling_rate=0.5, settings=subject.settings)


def everything_sent(folder: Path, subject: Subject, noise_seed: int = 1) -> list[bytes]:
    """Take a site through a whole run, mistakes included; return all it sends."""
    recipe, run = subject.recipe, a_run(subject)
    asks = isinstance(recipe, DistanceQuery)  # about the cases of this subject; other networks are built anew
    model = sent_to_sites(recipe, subject.model) if asks else model_of(recipe)
    site = Conversation(folder, noise_seed=noise_seed)
    site.train(run, 1, model)  # refused: nothing is reserved yet
    site.enrol(recipe)
    site.reserve(run)
    for round_ in range(1, ROUNDS + 1):
        body_of(site.train(run, round_, model), UpdateReply)
    site.train(run, ROUNDS, {name: value + 1 for name, value in model.items()} or {"x": torch.ones(1)})
    site.train(run, ROUNDS + 1, model)  # refused: no such round
    site.settle(run)
    assert len(site.answers) == ROUNDS + 6
    return site.answers


def twins(subject: Subject) -> tuple[Path, Path]:
    """Return two sites with nothing in common but name, key, salt and ids; one has a patient seen thrice."""
    one, other = subject.folder, subject.folder.parent / "twin" / SITE
    site_for(subject.recipe.roles, other, PATIENTS, seed=500)
    Conversation(one).enrol(subject.recipe)
    shutil.copytree(one / ".willis", other / ".willis")
    return one, other


@contextmanager
def silenced(subject: Subject) -> Iterator[None]:
    """Silence the door meanwhile."""
    with subject.monkeypatch.context() as patch:
        silence_the_door(patch)
        yield


def a_silenced_site_sends_the_same_bytes_whatever_its_patients(subject: Subject) -> None:
    sites = twins(subject)
    with silenced(subject):
        one, other = (everything_sent(folder, subject) for folder in sites)
    assert one == other


def a_silenced_site_does_not_tell_who_was_drawn(subject: Subject) -> None:
    """Other seeds draw others, and everyone or nobody may be drawn; the un-noised half must not notice."""
    kept, _ = twins(subject)
    folders = [shutil.copytree(kept, subject.folder.parent / str(n) / SITE) for n in range(4)]
    with silenced(subject):
        answers = [
            everything_sent(folder, subject, seed) for folder, seed in zip(folders[:2], (1, 2), strict=True)
        ]
        for folder, drawn in zip(folders[2:], (everyone, nobody), strict=True):
            with subject.monkeypatch.context() as patch:
                patch.setattr(client.training, "randomness_for", lambda *args, drawn=drawn: Scripted(drawn=drawn))
                answers.append(everything_sent(folder, subject))
    assert all(other == answers[0] for other in answers)


def without_silence_the_updates_differ_and_nothing_else(subject: Subject) -> None:
    """The same seed gives the same noise: what differs comes from patients, so patients were read."""
    one, other = (everything_sent(folder, subject) for folder in twins(subject))
    assert [index for index, (a, b) in enumerate(zip(one, other, strict=True)) if a != b] == UPDATES


def a_settlement_says_what_the_site_really_did(subject: Subject) -> None:
    """Unit and number of steps, of a run of two rounds asked through the ClientApp."""
    run = a_run(subject)
    site, done = Conversation(subject.folder), list[None]()
    site.enrol(subject.recipe)
    site.reserve(run)
    with releases(subject.monkeypatch, lambda: done.append(None)):
        for round_ in range(1, ROUNDS + 1):
            site.train(run, round_, model_of(subject.recipe))
    settled = event_of(site.settle(run))
    assert isinstance(settled, Settle)
    assert len(done) == settled.spending.steps == ROUNDS * STEPS
    assert settled.spending.unit is subject.phase.unit

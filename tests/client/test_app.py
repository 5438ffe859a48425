"""The ClientApp: what it answers, what it refuses, and that nothing of a patient is in any answer."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

import client.app
import client.training
from client.app import SENTENCES, records_of
from client.site import Site
from shared.errors import RequestRefused, WillisError
from shared.imaging import nifti
from shared.imaging.scan import Role
from shared.ledger.events import Enrol, Event, Refuse, Reserve, Settle
from shared.ledger.store import LedgerStore
from shared.messages import TRAIN, EnrolRequest, EventReply, Failure, TrainRequest, UpdateReply, unpack_arrays
from shared.privacy.events import NoiseSource
from shared.recipes.catalogue import load
from tests.client.conversation import Conversation, body_of, event_of, model_of, run_of
from tests.cohorts import LESION_MM, blob, file_of, lesion_cohorts, write_policy

SECRET = "sub-Lovelace1815"  # a patient
RECIPE = load("lesions-3d", None, "small")
MODEL = model_of(RECIPE)
PLAN = run_of(RECIPE, rounds=2, steps=1, sampling_rate=0.5)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A site whose path and one patient are easy to recognise."""
    folder = lesion_cohorts(tmp_path / "Babbage-ward", {"east": 3}) / "east"
    nifti.write(file_of(folder, SECRET, Role.LESION), blob(4), LESION_MM)
    return folder


@pytest.fixture
def reserved(folder: Path) -> Conversation:
    """A site that has set budget aside for `PLAN`."""
    site = Conversation(folder)
    assert isinstance(event_of(site.enrol(RECIPE)), Enrol)
    assert isinstance(event_of(site.reserve(PLAN)), Reserve)
    return site


def refusal(content: object, code: str) -> Failure:
    """Return the failure of an answer, after checking that it says nothing but a code and its sentence."""
    failure = body_of(content, Failure)  # type: ignore[arg-type]
    assert (failure.site, failure.code, failure.sentence) == ("east", code, SENTENCES[code])
    return failure


def refused_request(content: object, words: str) -> Refuse:
    """Return the signed refusal of what goes beyond the reservation: an event of the site's ledger."""
    event = event_of(content)  # type: ignore[arg-type]
    assert isinstance(event, Refuse)
    assert (event.site, event.by, event.code) == ("east", "site", RequestRefused.code)
    assert words in event.reason
    return event


def test_a_run_from_enrolment_to_settlement(reserved: Conversation) -> None:
    for round_ in (1, 2):
        content = reserved.train(PLAN, round_, MODEL)
        update = body_of(content, UpdateReply)
        assert update.is_signed_by(Site(reserved.folder).identity.public_key)
        assert unpack_arrays(content).keys() == {k for k in MODEL if k.startswith("critic.")}
    settled = event_of(reserved.settle(PLAN))
    assert isinstance(settled, Settle)
    assert (settled.rounds, settled.spending) == (2, PLAN.spending)


def test_a_question_asked_again_gets_the_same_bytes(reserved: Conversation) -> None:
    for _ in range(2):
        reserved.train(PLAN, 1, MODEL)
    assert reserved.answers[-1] == reserved.answers[-2]


def test_an_answered_round_asked_with_another_model_is_refused(reserved: Conversation) -> None:
    reserved.train(PLAN, 1, MODEL)
    other = {name: value + 1 for name, value in MODEL.items()}
    refused_request(reserved.train(PLAN, 1, other), "a second answer would spend twice")
    settled = event_of(reserved.settle(PLAN))
    assert isinstance(settled, Settle)
    assert settled.rounds == 1


def test_training_without_a_reservation_is_refused(folder: Path) -> None:
    site = Conversation(folder)
    refusal(site.train(PLAN, 1, MODEL), "ledger")  # nobody the refusal could be signed for
    site.enrol(RECIPE)
    refused_request(site.train(PLAN, 1, MODEL), "was never reserved here")
    assert not list((folder / ".willis").rglob("questions.jsonl"))


def test_training_after_a_refusal_is_refused(folder: Path) -> None:
    write_policy(folder, "min_patients = 5\n")
    site = Conversation(folder)
    site.enrol(RECIPE)
    refused = event_of(site.reserve(PLAN))
    assert isinstance(refused, Refuse)
    assert "4 patients" in refused.reason
    refused_request(site.train(PLAN, 1, MODEL), "was never reserved here")


def test_training_after_settlement_is_refused_until_the_run_is_resumed(reserved: Conversation) -> None:
    reserved.train(PLAN, 1, MODEL)
    reserved.settle(PLAN)
    refused_request(reserved.train(PLAN, 2, MODEL), "settled; reserve it before training")
    body_of(reserved.train(PLAN, 1, MODEL), UpdateReply)  # paid for already
    reserved.reserve(PLAN, resume=True)
    body_of(reserved.train(PLAN, 2, MODEL), UpdateReply)


@pytest.mark.parametrize("round_", [0, 3, -1])
def test_a_round_outside_the_plan_is_refused(reserved: Conversation, round_: int) -> None:
    refused = refused_request(reserved.train(PLAN, round_, MODEL), "not among the 2 reserved")
    assert refused.round == round_


def test_a_refused_request_is_in_the_sites_ledger_once_and_is_repeated_to_the_byte(reserved: Conversation) -> None:
    for _ in range(2):
        reserved.train(PLAN, 3, MODEL)
    assert reserved.answers[-1] == reserved.answers[-2]
    (refused,) = [event for event in events(reserved) if isinstance(event, Refuse)]
    assert refused.round == 3
    settled = event_of(reserved.settle(PLAN))
    assert isinstance(settled, Settle)
    assert settled.rounds == 0


def test_a_coordinator_cannot_fill_the_sites_ledger_with_refusals(
    reserved: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("client.site.MOST_REFUSALS", 2)
    for round_ in (3, 4):
        refused_request(reserved.train(PLAN, round_, MODEL), "not among the 2 reserved")
    refusal(reserved.train(PLAN, 5, MODEL), "protocol")
    assert sum(isinstance(event, Refuse) for event in events(reserved)) == 2


def test_a_model_that_is_not_the_one_named_is_refused(reserved: Conversation) -> None:
    refusal(reserved.train(PLAN, 1, MODEL, base="0" * 64), "protocol")
    assert not list((reserved.folder / ".willis").rglob("questions.jsonl"))


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda m: m | {"critic.secret": torch.ones(1)}, "protocol"),
        (lambda m: m | {"generator.0.weight": torch.ones(1)}, "protocol"),
        (lambda m: {name: value[..., :1] for name, value in m.items()}, "error"),
    ],
)
def test_a_model_of_another_shape_is_refused(
    reserved: Conversation, change: Callable[[object], dict[str, torch.Tensor]], code: str
) -> None:
    refusal(reserved.train(PLAN, 1, change(dict(MODEL))), code)


def test_a_message_of_another_kind_is_refused(reserved: Conversation) -> None:
    refusal(reserved.ask(TRAIN, EnrolRequest(recipe="x", variant="y", preset="z")), "protocol")
    request = TrainRequest(run="../../outside", round=1, base="", nonce="")
    refusal(reserved.ask(TRAIN, request), "protocol")


def test_seeded_noise_is_not_taken_for_the_systems(folder: Path) -> None:
    """A run that declares noise from the system must not be answered by an engine that has a seed."""
    site = Conversation(folder, noise_seed=1)
    run = run_of(RECIPE, rounds=1, steps=1, source=NoiseSource.SYSTEM)
    site.enrol(RECIPE)
    site.reserve(run)
    refusal(site.train(run, 1, MODEL), "protocol")


def test_noise_from_the_system_is_fresh_but_an_answer_is_not_made_twice(folder: Path) -> None:
    runs = [run_of(RECIPE, name=name * 16, rounds=1, steps=1, source=NoiseSource.SYSTEM) for name in "ab"]
    site = Conversation(folder, noise_seed=None)
    site.enrol(RECIPE)
    sent = []
    for run in runs:
        site.reserve(run)
        sent.append(unpack_arrays(site.train(run, 1, MODEL)))
        again = unpack_arrays(site.train(run, 1, MODEL))
        assert all(np.array_equal(sent[-1][name], again[name]) for name in again)
    assert any(not np.array_equal(sent[0][name], sent[1][name]) for name in sent[0])


def nan_voxels(folder: Path) -> None:
    nifti.write(file_of(folder, SECRET, Role.LESION), blob(1) * np.nan, LESION_MM)


def truncated(folder: Path) -> None:
    path = file_of(folder, SECRET, Role.LESION)
    path.write_bytes(path.read_bytes()[:100])


def table_with_a_hole(folder: Path) -> None:
    (folder / "cohort.csv").write_text(f"patient,lesion\n{SECRET},{SECRET}.nii.gz\n")


def policy_with_a_name(folder: Path) -> None:
    write_policy(folder, f"# for the ward\n{SECRET} = 1\n")


def broken_ledger(folder: Path) -> None:
    (folder / ".willis").mkdir()
    (folder / ".willis" / "ledger.sqlite").write_text(SECRET)


FAILING = [nan_voxels, truncated, table_with_a_hole, policy_with_a_name, broken_ledger]


@pytest.mark.parametrize("spoil", FAILING)
def test_no_patient_and_no_path_is_in_any_answer(spoil: Callable[[Path], None], folder: Path) -> None:
    spoil(folder)
    site = Conversation(folder)
    site.enrol(RECIPE)
    site.reserve(PLAN)
    site.train(PLAN, 1, MODEL)
    site.settle(PLAN)
    refusals = [answer for answer in site.answers if b'"failed":true' in answer]
    assert refusals
    assert_nothing_told(site)
    log = Site(folder).log.read_text()
    assert SECRET in log or "Babbage-ward" in log  # the site itself can read what went wrong


@pytest.mark.parametrize("err", [WillisError(f"{SECRET} in /Babbage-ward"), KeyError(SECRET), MemoryError(SECRET)])
def test_whatever_is_raised_while_training_stays_at_the_site(
    err: Exception, reserved: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object) -> None:
        raise err

    monkeypatch.setattr(client.training, "train_round", fail)
    refusal(reserved.train(PLAN, 1, MODEL), "error")
    assert_nothing_told(reserved)
    assert SECRET in Site(reserved.folder).log.read_text()


def test_a_log_that_cannot_be_written_does_not_make_the_error_travel(folder: Path) -> None:
    """An exception out of a ClientApp would be sent by Flower, text and all."""
    truncated(folder)
    site = Conversation(folder)
    Site(folder).log.mkdir(parents=True)
    site.enrol(RECIPE)
    refusal(site.reserve(PLAN), "cohort")
    assert_nothing_told(site)


def test_images_that_cannot_be_read_are_told_before_budget_is_set_aside(folder: Path) -> None:
    truncated(folder)
    site = Conversation(folder)
    site.enrol(RECIPE)
    refusal(site.reserve(PLAN), "cohort")
    assert not any(isinstance(event, Reserve) for event in events(site))


def test_the_log_does_not_grow_without_end(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client.app, "LOG_BYTES", 3000)
    truncated(folder)
    site = Conversation(folder)
    site.enrol(RECIPE)
    log = Site(folder).log
    sizes = []
    for _ in range(6):
        site.reserve(PLAN)
        sizes.append(log.stat().st_size)
    one = sizes[0]
    assert {path.name for path in log.parent.glob("site.log*")} == {"site.log", "site.log.1"}
    assert max(sizes) < 3000 + one
    assert log.with_suffix(".log.1").stat().st_size < 3000 + one


def assert_nothing_told(site: Conversation) -> None:
    told = b"".join([*site.answers, *site.envelopes])
    for word in (SECRET, "Lovelace", "Babbage", "nii.gz", "Traceback", str(site.folder.parent)):
        assert word.encode() not in told


def test_sessions_and_sizes_are_not_told_either(reserved: Conversation) -> None:
    """What is said of the cohort is the number of patients, and a salted digest."""
    (enrolled,) = [event for event in events(reserved) if isinstance(event, Enrol)]
    assert enrolled.model_dump().keys() == {"type", "site", "public_key", "patients", "cohort"}
    assert enrolled.patients == 4


def events(site: Conversation) -> list[Event]:
    store = LedgerStore(site.folder / ".willis" / "ledger.sqlite", create=False)
    store.close()
    return [signed.event for signed in store.events]


def test_every_code_of_an_error_has_its_sentence() -> None:
    """A code without one would be told as an unexpected error."""
    raised_at_sites = {"cohort", "policy", "ledger", "checkpoint", "protocol", "request", "usage", "error"}
    assert raised_at_sites <= SENTENCES.keys()
    assert all(len(sentence) < 100 and "{" not in sentence for sentence in SENTENCES.values())


def test_a_patient_who_withdrew_is_not_trained_on(reserved: Conversation) -> None:
    """Records are kept between messages; those of a cohort that has changed are read anew."""
    site = reserved
    assert len(records_of(site.folder, RECIPE.name, RECIPE.variant, RECIPE.preset, PLAN.public_seed)) == 4
    shutil.rmtree(sorted(site.folder.glob("sub-*"))[0])
    assert len(client.app._patients(Site(site.folder), RECIPE, PLAN)) == 3


def test_how_many_patients_there_are_for_a_recipe_not_allowed_is_kept(folder: Path) -> None:
    (folder / "policy.toml").write_text('recipes = ["vessels-2d"]\n')
    refusal(Conversation(folder).enrol(RECIPE), "policy")
    refusal(Conversation(folder).reserve(PLAN), "policy")


def test_whether_images_of_a_recipe_not_allowed_can_be_read_is_kept(folder: Path) -> None:
    (folder / "policy.toml").write_text('recipes = ["vessels-2d"]\n')
    truncated(folder)
    refusal(Conversation(folder).reserve(PLAN), "policy")


def test_an_enrolment_repeated_by_another_is_told_from_one_made_now(folder: Path) -> None:
    site = Conversation(folder)
    key = Site(folder).identity.public_key
    body = body_of(site.enrol(RECIPE), EventReply)
    assert body.is_fresh(key, "")
    assert not body.is_fresh(key, "the nonce of another enrolment")

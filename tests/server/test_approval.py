"""From candidate to release: who may decide, what a decision binds, and that nothing leaves without it."""

import json
import math
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from torch import nn

from server.dataset import network, publication
from server.dataset.files.seal import PROOF, SIGNATURE, SUMS
from server.dataset.gate.distance import DEMANDS_FILE, DISTANCE
from server.dataset.network import publish_network
from server.dataset.publication import publish
from server.dataset.releasing import release
from server.dataset.releasing.approval import accept_approval, approval_bytes
from server.dataset.releasing.candidate import FOLDER, WHY, Candidate, GateShut
from server.dataset.releasing.release import Outcome
from server.dataset.releasing.release import release as release_candidate
from server.dataset.releasing.stewards import make_keys, name_steward, withdraw_steward
from server.report.build import write_report
from server.run.folder import RunFolder
from shared.canonical import digest
from shared.errors import LedgerError, PublicationRefused, UsageError
from shared.evaluation.distance_answer import DistanceAnswer
from shared.fingerprint import key_fingerprint
from shared.identity import Identity
from shared.imaging.scan import Role, Scan
from shared.ledger.events import Approval, Gate, Release
from shared.ledger.log import SignedEvent
from shared.ledger.store import LedgerStore
from shared.ledger.verify_release import check_approvals, check_gates
from shared.ledger.view import view, views
from shared.privacy.events import NoiseSource
from shared.recipes.network_file import About, network_bytes
from tests.commands import willis
from tests.server.answers import answer, query_events
from tests.server.ledgers import COORDINATOR, RUN_ID, Story, approval, identity, signed, store_at
from tests.server.test_publication import AFFINE, bytes_of, scans

ADA, BEN = identity("steward/ada"), identity("steward/ben")


class Federation:
    """A finished run whose federation has stewards, and what is done with it."""

    def __init__(self, folder: Path, *stewards: Identity, story: Story | None = None) -> None:
        self.folder, self.out = folder, folder / "dataset"
        self.store = store_at(folder, (story or Story()).events())
        for steward in stewards:
            self.name(steward)

    @property
    def run(self) -> RunFolder:
        return RunFolder(self.folder)

    def name(self, steward: Identity) -> None:
        name_steward(self.store, COORDINATOR, steward.name.removeprefix("steward/"), steward.public_key)

    def publish(self, count: int = 3) -> Outcome:
        return publish(self.run, self.out, scans(count), store=self.store)

    def release(self, made: Outcome, decision: bytes | None = None, **more: DistanceAnswer) -> Outcome:
        return release_candidate(
            self.run, Candidate.at(made.path), self.out, store=self.store, approval=decision, **more
        )

    def events(self, kind: type) -> list[object]:
        return [entry.event for entry in self.store.events if isinstance(entry.event, kind)]

    def judged(self) -> list[bool | None]:
        runs = list(views(self.store.events).values())
        return [check_gates(runs).passed, check_approvals(runs).passed]


def by(steward: Identity, made: Outcome, decision: str = "approved", words: str = "") -> bytes:
    name = steward.name.removeprefix("steward/")
    return approval_bytes(steward, approval(made.manifest, name, decision, words))  # type: ignore[arg-type]


def test_without_stewards_a_data_set_is_released_at_once_and_its_gate_is_on_record(tmp_path: Path) -> None:
    here = Federation(tmp_path)
    done = here.publish()
    assert (done.path, done.missing) == (here.out, ())
    (gate,) = here.events(Gate)
    assert isinstance(gate, Gate)
    assert (gate.manifest, gate.checks, gate.failed) == (done.manifest, done.checks, ())
    assert here.judged() == [True, True]
    assert not (tmp_path / FOLDER).exists()


def test_with_a_steward_it_waits_and_leaves_with_an_approval_only(tmp_path: Path) -> None:
    here = Federation(tmp_path, ADA)
    made = here.publish()
    assert made.path == tmp_path / FOLDER / made.manifest[:12]
    assert made.missing == ("no steward approved it (in office: ada)",)
    with pytest.raises(PublicationRefused, match="no steward approved it"):
        here.release(made)
    assert not here.out.exists()
    assert here.events(Release) == []
    before = bytes_of(made.path)
    assert here.release(made, by(ADA, made)).path == here.out
    after = bytes_of(here.out)
    assert after.pop(PROOF)
    assert after == before
    assert not made.path.exists()
    assert here.judged() == [True, True]


def test_a_simulation_needs_no_approval(tmp_path: Path) -> None:
    here = Federation(tmp_path, ADA, story=Story(noise_source=NoiseSource.SEEDED))
    assert here.publish().path == here.out


def test_a_refusal_is_final_for_these_cases_and_not_for_others(tmp_path: Path) -> None:
    here = Federation(tmp_path, ADA, BEN)
    made = here.publish()
    with pytest.raises(PublicationRefused, match="ada refused it, for good"):
        here.release(made, by(ADA, made, "refused", "vessels end in mid-air"))
    with pytest.raises(PublicationRefused, match="was refused by ada, for good"):
        here.release(made, by(BEN, made))
    with pytest.raises(PublicationRefused, match="ada refused it, for good"):
        here.publish()  # the same draw
    other = here.publish(4)
    assert other.manifest != made.manifest
    assert here.release(other, by(BEN, other)).path == here.out


def test_a_decision_is_taken_in_once(tmp_path: Path) -> None:
    here = Federation(tmp_path, ADA)
    made = here.publish()
    file = by(ADA, made)
    decided = [accept_approval(here.store, file) for _ in range(3)]
    assert here.events(Approval) == decided[:1]
    withdraw_steward(here.store, COORDINATOR, "ada")
    assert accept_approval(here.store, file) == decided[0]
    assert here.release(made).path == here.out  # what was approved stays so


def altered(file: bytes, **changes: str) -> bytes:
    entry = json.loads(file)
    entry["event"] |= changes
    return json.dumps(entry).encode()


def signed_as(signer: Identity, made: Outcome, **changes: str) -> bytes:
    event = approval(made.manifest, "ada").model_copy(update=changes)
    entry = SignedEvent.by(signer, event).model_copy(update={"signer": "steward/ada"})
    return entry.model_dump_json().encode()


NOT_TAKEN: dict[str, tuple[Callable[[Outcome], bytes], str]] = {
    "unknown steward": (lambda made: by(BEN, made), "ben is no steward of this federation"),
    "withdrawn": (lambda made: by(identity("steward/eve"), made), "eve was withdrawn"),
    "another's key": (lambda made: signed_as(BEN, made), "not signed with the key"),
    "the coordinator's key": (lambda made: signed_as(COORDINATOR, made), "not signed with the key"),
    "turned round": (
        lambda made: altered(by(ADA, made, "refused"), decision="approved"),
        "not signed with the key",
    ),
    "moved to another": (lambda made: altered(by(ADA, made), manifest="0" * 64), "not signed with the key"),
    "of another data set": (lambda made: signed_as(ADA, made, manifest="0" * 64), "nothing that this run made"),
    "of another run": (lambda made: signed_as(ADA, made, run="0" * 64), "unknown to this ledger"),
    "no JSON": (lambda made: b"approved, Ada", "not a steward's decision"),
    "another event": (
        lambda made: SignedEvent.by(ADA, Story().enrol("north")).model_dump_json().encode(),
        "a enrol, not a steward's decision",
    ),
}


@pytest.mark.parametrize("what", NOT_TAKEN)
def test_what_is_no_decision_of_a_steward_on_these_cases_is_not_taken(what: str, tmp_path: Path) -> None:
    make, words = NOT_TAKEN[what]
    here = Federation(tmp_path, ADA, identity("steward/eve"))
    withdraw_steward(here.store, COORDINATOR, "eve")
    made = here.publish()
    size = here.store.head.size
    with pytest.raises((PublicationRefused, UsageError), match=words):
        here.release(made, make(made))
    assert here.store.head.size == size
    assert not here.out.exists()


def test_an_approval_of_one_candidate_does_not_release_another(tmp_path: Path) -> None:
    here = Federation(tmp_path, ADA)
    one, two = here.publish(), here.publish(4)
    with pytest.raises(PublicationRefused, match=f"ada decided on {one.manifest[:12]}"):
        here.release(two, by(ADA, one))
    assert here.release(one).path == here.out  # it was taken in all the same


def restated(path: Path, **changes: object) -> None:
    """Have a candidate say something else of itself, and hold another image."""
    said = json.loads((path / "release.json").read_bytes())
    (path / "release.json").write_text(json.dumps(said | changes))
    next(path.rglob("*.nii.gz")).write_bytes(b"another image")


def moved_and_linked(path: Path) -> None:
    """Put a link in the place of what could then be changed after its release."""
    elsewhere = path.parents[1] / f"{path.name}-elsewhere"
    path.rename(elsewhere)
    path.symlink_to(elsewhere)


SPOIL: dict[str, Callable[[Path], object]] = {
    "a file more": lambda path: (path / "more").touch(),
    "an image less": lambda path: next(path.rglob("*.nii.gz")).unlink(),
    "no signature": lambda path: (path / SIGNATURE).unlink(),
    "no statement": lambda path: (path / "release.json").unlink(),
    "a statement that it is a network, which has no seal": lambda path: restated(path, cases=0),
    "a statement of more cases": lambda path: restated(path, cases=4),
    "a list of sums that lies elsewhere": lambda path: moved_and_linked(path / SUMS),
    "all of it elsewhere": moved_and_linked,
    "nothing": shutil.rmtree,
}


@pytest.mark.parametrize("what", SPOIL)
def test_a_candidate_that_was_touched_is_not_released(what: str, tmp_path: Path) -> None:
    here = Federation(tmp_path, ADA)
    made = here.publish()
    SPOIL[what](made.path)
    with pytest.raises(PublicationRefused):
        here.release(made, by(ADA, made))
    assert here.events(Release) == []
    again = here.publish()
    assert again.manifest == made.manifest
    assert here.release(again, by(ADA, again)).path == here.out


def test_a_data_set_that_the_gate_shuts_out_is_kept_marked_and_on_record(tmp_path: Path) -> None:
    here = Federation(tmp_path)
    flat = [
        Scan({Role.ANGIO: v.volumes[Role.ANGIO] * 0, Role.VESSELS: v.volumes[Role.VESSELS]}, AFFINE)
        for v in scans()
    ]
    with pytest.raises(GateShut, match="nothing is constant: of one value: sub-syn0001 angio") as shut:
        publish(here.run, here.out, flat, store=here.store)
    kept = shut.value.kept
    assert kept.parent == tmp_path / FOLDER
    assert "nothing is constant" in (kept / WHY).read_text()
    assert not (kept / SIGNATURE).exists()
    (gate,) = here.events(Gate)
    assert isinstance(gate, Gate)
    assert {check.name for check in gate.failed} >= {"nothing is constant"}
    with pytest.raises(PublicationRefused):
        release_candidate(here.run, Candidate.at(kept), here.out, store=here.store)
    assert here.events(Release) == []
    assert "the gate was shut" not in str(kept)
    with pytest.raises(GateShut):
        publish(here.run, here.out, flat, store=here.store)
    assert len(here.events(Gate)) == 1  # nothing new was found
    assert here.publish().path == here.out


def test_a_distance_that_is_demanded_is_waited_for_and_then_decides(tmp_path: Path) -> None:
    here = Federation(tmp_path)
    (tmp_path / "home" / DEMANDS_FILE).write_text("distance = true\n")
    made = here.publish()
    assert made.missing == (f"its gate was shut by: {DISTANCE}",)
    with pytest.raises(PublicationRefused, match="query 999999999999 is not in this federation's ledger"):
        here.release(made, distance=answer(made.manifest, near=0))
    for event in query_events():
        here.store.append(signed(event))
    with pytest.raises(PublicationRefused, match="were asked about 111111111111, and this candidate"):
        here.release(made, distance=answer("1" * 64, near=0))
    for found in (answer(made.manifest, near=90), answer(made.manifest, near=0, noise=0.5)):  # copies; cannot tell
        with pytest.raises(PublicationRefused, match="its gate was shut by: distance"):
            here.release(made, distance=found)
    assert here.release(made, distance=answer(made.manifest, near=0)).path == here.out
    shutil.rmtree(here.out)
    assert here.publish().path == here.out  # the answer holds: nothing is asked, or recorded, again
    assert [len(gate.failed) for gate in view(here.store.events, RUN_ID).gates] == [1, 1, 1, 0]
    assert here.judged() == [True, True]


def test_an_answer_is_judged_by_its_figures_and_by_who_was_asked(tmp_path: Path) -> None:
    here = Federation(tmp_path)
    (tmp_path / "home" / DEMANDS_FILE).write_text("distance = true\n")
    made = here.publish()
    for event in query_events():
        here.store.append(signed(event))
    copies, fine = answer(made.manifest, near=90), answer(made.manifest, near=0)
    with pytest.raises(PublicationRefused, match="its gate was shut by: distance"):
        here.release(made, distance=copies.model_copy(update={"finding": fine.finding}))
    with pytest.raises(UsageError, match="bins do not fit"):
        here.release(made, distance=fine.model_copy(update={"edges": (0.5,)}))
    for event in query_events("7" * 16, charged=False):
        here.store.append(signed(event))
    with pytest.raises(PublicationRefused, match="north does not charge run"):
        here.release(made, distance=answer(made.manifest, near=0, query="7" * 16))
    with pytest.raises(PublicationRefused, match="is not in this federation's ledger"):
        here.release(made, distance=answer(made.manifest, near=0, query=RUN_ID))
    assert here.events(Release) == []


def test_a_link_that_leads_nowhere_is_no_free_place(tmp_path: Path) -> None:
    here = Federation(tmp_path)
    here.out.symlink_to(tmp_path / "nowhere")
    with pytest.raises(PublicationRefused, match="exists already"):
        here.publish()
    assert here.events(Release) == []


def crash(*_: object, **__: object) -> None:
    raise OSError("no space left")


@pytest.mark.parametrize("step", ["_take", "_record", "export_ledger", "write_report", "move_durably"])
def test_a_release_that_crashed_is_done_again(step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = Federation(tmp_path, ADA)
    made = here.publish()
    with monkeypatch.context() as patch:
        patch.setattr(release, step, crash)
        with pytest.raises(OSError, match="no space left"):
            here.release(made, by(ADA, made))
    assert not here.out.exists()
    here.release(made, by(ADA, made))
    assert here.judged() == [True, True]
    assert (len(here.events(Release)), len(here.events(Approval))) == (1, 1)


@pytest.mark.parametrize("step", ["seal", "check_files", "record_gate", "place", "settle"])
def test_a_candidate_that_crashed_is_made_again_with_the_same_bytes(
    step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = Federation(tmp_path, ADA)
    with monkeypatch.context() as patch:
        patch.setattr(publication, step, crash)
        with pytest.raises(OSError, match="no space left"):
            here.publish()
    made = here.publish()
    before = bytes_of(made.path)
    assert here.publish().manifest == made.manifest
    assert bytes_of(made.path) == before
    assert len(here.events(Gate)) == 1


# As people do it ---------------------------------------------------------------------------------------------


def test_steward_and_coordinator_do_it_by_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run, key = tmp_path / "run", tmp_path / "key"
    here = Federation(run)
    assert willis("dataset", "steward", "keys", key, "Ada Meyer").status == 0
    assert stat.S_IMODE((key / "steward.key").stat().st_mode) == 0o600
    shown = key_fingerprint(Identity.at(key / "steward.key", "").public_key)
    wrong = shown.replace(shown[0], "0" if shown[0] != "0" else "1")
    naming = ("dataset", "steward", "name", run, "Ada Meyer", key / "steward.pub", "--fingerprint")
    assert "not the fingerprint of Ada Meyer's key" in willis(*naming, wrong).sentence()
    assert willis(*naming, shown).status == 0
    assert willis(*naming, shown).status == 0  # and again changes nothing
    here.store = LedgerStore(run / "home" / "ledger.sqlite", create=False)
    made = here.publish()

    deciding = ("dataset", "approve", made.path, "--key", key, "--as", "Ada Meyer")
    done = willis(*deciding, "--words", "all three looked at", "--yes")
    assert done.status == 0, done
    assert f"candidate {made.manifest}" in done.said
    assert all(any(check.name in line for line in done.said) for check in made.checks if check.name != DISTANCE)
    assert any(line.startswith("claim     ε = ") for line in done.said)
    assert "exists already" in willis(*deciding, "--yes").sentence()
    released = willis("dataset", "release", run, made.path, run / "dataset", "--approval", "approval.json")
    assert released.status == 0, released
    write_report(run)
    assert willis("audit", "verify", run).status == 0
    assert willis("dataset", "steward", "withdraw", run, "Ada Meyer").status == 0
    assert "no steward in office" in willis("dataset", "steward", "withdraw", run, "Ada Meyer").sentence()


def test_a_steward_is_warned_of_what_does_not_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    make_keys(tmp_path / "key", "ada")
    here = Federation(tmp_path / "run", Identity.at(tmp_path / "key" / "steward.key", "steward/ada"))
    made = here.publish()
    deciding = ("dataset", "approve", made.path, "--yes", "--key", tmp_path / "key", "--as", "ada")
    assert "another coordinator" in willis(*deciding, "--coordinator", "0" * 64).sentence()
    make_keys(tmp_path / "other", "ada")
    assert "another key in the ledger" in willis(*deciding, "--key", tmp_path / "other").sentence()
    assert "missing" in willis(*deciding, "--key", tmp_path / "run").sentence()
    refused = willis(*deciding, "--refuse", "blurred")
    assert refused.status == 0
    (made.path / "more").touch()
    assert "more is not listed" in willis(*deciding, "--out", "second.json").sentence()


def test_a_candidate_whose_images_fail_again_cannot_be_approved_only_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A coordinator that lies about its gate is found out by the steward's own."""
    monkeypatch.chdir(tmp_path)
    make_keys(tmp_path / "key", "ada")
    here = Federation(tmp_path / "run", Identity.at(tmp_path / "key" / "steward.key", "steward/ada"))
    same = [next(scans())] * 3
    with monkeypatch.context() as patch:
        patch.setattr(publication, "check_files", lambda *_: ())
        made = publish(here.run, here.out, same, store=here.store)
    deciding = ("dataset", "approve", made.path, "--yes", "--key", tmp_path / "key", "--as", "ada")
    assert "a check failed, so it cannot be approved" in willis(*deciding).sentence()
    assert willis(*deciding, "--refuse", "all the same").status == 0


def test_keys_are_not_made_over_others_and_a_name_has_one(tmp_path: Path) -> None:
    here = Federation(tmp_path / "run", ADA)
    make_keys(tmp_path / "key", "ada")
    with pytest.raises(UsageError, match="exists already"):
        make_keys(tmp_path / "key", "ada")
    with pytest.raises(LedgerError, match="withdraw that key before"):
        name_steward(here.store, COORDINATOR, "ada", BEN.public_key)
    with pytest.raises(LedgerError, match="somebody else's"):
        name_steward(here.store, COORDINATOR, "ben", COORDINATOR.public_key)


def test_a_network_is_approved_by_its_digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has no images; its gate asks about run and weights, and its file is what a steward decides on."""
    monkeypatch.chdir(tmp_path)
    make_keys(tmp_path / "key", "ada")
    here = Federation(tmp_path / "run", Identity.at(tmp_path / "key" / "steward.key", "steward/ada"))
    out = tmp_path / "network.safetensors"
    about = {"run": RUN_ID, "recipe": "translate-2d", "variant": "v", "preset": "small", "settings": {}}
    layer = nn.Linear(2, 2)

    def content(folder: RunFolder, **said: Any) -> bytes:
        return network_bytes(layer, About(**about, **said))

    monkeypatch.setattr(network, "_content", content)
    made = publish_network(here.run, out, store=here.store)
    assert made.path == tmp_path / "run" / FOLDER / f"{made.manifest[:12]}.safetensors"
    assert made.missing == ("no steward approved it (in office: ada)",)
    deciding = willis("dataset", "approve", made.path, "--yes", "--key", tmp_path / "key", "--as", "ada")
    assert deciding.status == 0, deciding
    assert f"candidate {made.manifest}" in deciding.said
    assert any(line.startswith("claim") and line.endswith("not checked here)") for line in deciding.said)
    done = willis("dataset", "release", tmp_path / "run", made.path, out, "--approval", "approval.json")
    assert done.status == 0, done
    here.store = LedgerStore(tmp_path / "run" / "home" / "ledger.sqlite", create=False)
    (released,) = here.events(Release)
    assert isinstance(released, Release)
    assert (released.what, released.manifest) == ("network", digest(out.read_bytes()))
    assert here.judged() == [True, True]
    nn.init.constant_(layer.weight, math.nan)
    with pytest.raises(GateShut, match="weights are finite: not finite: weight"):
        publish_network(here.run, tmp_path / "broken", store=here.store)

"""Killed, or told of a bad or full disk, at every call: nothing acknowledged is lost, nothing spent forgotten.

`make test-faults`. A power failure is not simulated: what was written survives the death of a process.
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch

from client import history
from client.site import Site
from server.dataset.publication import publish
from server.dataset.releasing.approval import approval_bytes
from server.dataset.releasing.candidate import Candidate
from server.dataset.releasing.release import release
from server.run.folder import RunFolder
from shared.errors import WillisError
from shared.imaging.scan import Role
from shared.ledger.events import Approval, Gate, Release, Settle
from shared.ledger.store import LedgerStore
from shared.recipes.catalogue import load
from tests.client.conversation import run_of
from tests.cohorts import lesion_cohorts
from tests.faults.injection import FAULTS, Ack, Fault, calls_of, faults_of, play, play_with
from tests.server.ledgers import Story, approval, identity, signed_all, steward, store_at
from tests.server.test_publication import bytes_of, scans

pytestmark = pytest.mark.faults
MOST = 100  # calls of one kind at which each fault is tried; all of them where there are fewer
ENTRIES = signed_all(Story().events())[:6]
RUN = run_of(load("lesions-3d", None, "small"), rounds=2, steps=1)


@pytest.fixture(scope="module", autouse=True)
def _strace(tmp_path_factory: pytest.TempPathFactory) -> None:
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed (apt-get install strace): faults were NOT injected")
    try:
        play(lambda folder, ack: None, tmp_path_factory.mktemp("attach"), ["-o", "/dev/null"])
    except RuntimeError as err:
        pytest.skip(f"{err}: faults were NOT injected")


@dataclass
class Outcome:
    """What faults of one kind left behind."""

    runs: int = 0
    whole: int = 0  # runs that got to their end all the same
    lost: list[str] = field(default_factory=list)  # acknowledged and not there, or not readable
    under: list[str] = field(default_factory=list)  # spent and not accounted for
    crashed: list[str] = field(default_factory=list)  # ended by an exception nobody foresaw
    stuck: list[str] = field(default_factory=list)  # could not go on afterwards


def campaign(
    scenario: Callable[[Path, Ack], None],
    make: Callable[[Path], None],
    judge: Callable[[Path, list[str], Outcome, str], None],
    folder: Path,
    most: int = MOST,
) -> dict[str, Outcome]:
    """Try every fault on a fresh folder; return outcomes by kind of fault, printed as a table."""
    make(folder / "count")
    calls = calls_of(scenario, folder / "count", folder / "trace")
    outcomes = {kind: Outcome() for kind in FAULTS}
    for number, fault in enumerate(faults_of(calls, most)):
        place, outcome = folder / str(number), outcomes[fault.kind]
        make(place)
        acknowledged = play_with(scenario, place, fault)
        outcome.runs += 1
        outcome.whole += "end" in acknowledged
        outcome.crashed += [f"{fault}: {line}" for line in acknowledged if line.startswith("crashed")]
        judge(place, acknowledged, outcome, str(fault))
        shutil.rmtree(place)
    print(f"\ncalls of an undisturbed run: {dict(calls)}")
    for kind, seen in outcomes.items():
        print(
            f"{kind}: {seen.runs} runs, {seen.whole} reached their end, {len(seen.lost)} lost, "
            f"{len(seen.under)} under-reported, {len(seen.crashed)} crashed, {len(seen.stuck)} stuck"
        )
    return outcomes


def assert_nothing_wrong(outcomes: dict[str, Outcome]) -> None:
    for kind, seen in outcomes.items():
        assert seen.runs > 50, kind
        assert seen.whole < seen.runs / 2, kind  # most faults stop the run: they did happen
        assert (seen.lost, seen.under, seen.crashed, seen.stuck) == ([], [], [], []), kind


# The coordinator's ledger ------------------------------------------------------------------------------------


def append_all(folder: Path, ack: Ack) -> None:
    store = LedgerStore(folder / "ledger.sqlite", create=True)
    for index, entry in enumerate(ENTRIES):
        store.append(entry)
        ack(str(index))
    ack("end")


def judge_ledger(folder: Path, acknowledged: list[str], outcome: Outcome, fault: str) -> None:
    durable = [int(line) for line in acknowledged if line.isdigit()]
    try:
        store = LedgerStore(folder / "ledger.sqlite", create=not durable)
    except WillisError as err:
        outcome.lost.append(f"{fault}: {err}")
        return
    if store.events[: len(durable)] != ENTRIES[: len(durable)] or len(store.events) > len(durable) + 1:
        outcome.lost.append(f"{fault}: {len(durable)} acknowledged, {len(store.events)} there")
    try:
        for entry in ENTRIES[len(store.events) :]:
            store.append(entry)
    except WillisError as err:
        outcome.stuck.append(f"{fault}: {err}")
    store.close()
    if store.events != ENTRIES:
        outcome.lost.append(f"{fault}: the ledger went on as another one")


def test_an_acknowledged_entry_survives_every_fault(tmp_path: Path) -> None:
    assert_nothing_wrong(campaign(append_all, lambda folder: folder.mkdir(), judge_ledger, tmp_path))


def test_control_an_entry_acknowledged_too_early_is_found_lost(tmp_path: Path) -> None:
    def early(folder: Path, ack: Ack) -> None:
        store = LedgerStore(folder / "ledger.sqlite", create=True)
        for index, entry in enumerate(ENTRIES):
            ack(str(index))
            store.append(entry)

    outcomes = campaign(early, lambda folder: folder.mkdir(), judge_ledger, tmp_path, most=4)
    assert all(outcome.lost for outcome in outcomes.values())


# A site's spending -------------------------------------------------------------------------------------------


def spend(folder: Path, ack: Ack, *, resume: bool = False, reserve: bool = True) -> None:
    """Take a run from enrolment to settlement as the ClientApp does; private steps are the `began` lines."""
    site = Site(folder / "east")
    cohort = site.cohort([Role.LESION])
    site.enrol(cohort)
    ack("enrolled")
    if reserve:
        site.reserve(RUN, cohort, resume=resume)
    ack("reserved")
    outbox = site.outbox(RUN.run)
    for round_ in (1, 2):
        with outbox.alone():
            if outbox.has_begun(round_):
                outbox.begin(round_, f"model {round_ - 1}")
            else:
                site.begin(RUN, cohort, round_, f"model {round_ - 1}")
            if outbox.recall(round_) is None:
                ack(f"began {round_}")
                outbox.store(round_, {"w": torch.ones(3)}, {})
    site.settle(RUN.run)
    ack("settled")
    ack("end")


def make_site(folder: Path) -> None:
    lesion_cohorts(folder, {"east": 3})


def reported(folder: Path) -> int:
    """Return the steps that the site would count in a later run's reservation, or settle now."""
    store = LedgerStore(folder / "east" / ".willis" / "ledger.sqlite", create=False)
    store.close()
    past = history.past(store.events)
    last = history.standing(store.events, RUN.run)
    begun = Site(folder / "east").outbox(RUN.run).rounds * RUN.steps_per_round
    if last is not None and isinstance(last.event, Settle):
        return sum(p.spending.steps for p in past)
    return min(begun, sum(p.spending.steps for p in past))  # reserved in full; settled as begun


def judge_site(folder: Path, acknowledged: list[str], outcome: Outcome, fault: str) -> None:
    began = {line for line in acknowledged if line.startswith("began")}
    try:
        told = reported(folder) if began else 0
    except WillisError as err:
        outcome.lost.append(f"{fault}: {err}")
        return
    if told < len(began) * RUN.steps_per_round:
        outcome.under.append(f"{fault}: {len(began)} rounds began, {told} steps told")
    again = play(lambda place, ack: spend(place, ack, resume=True), folder, None)
    if "end" not in again:
        outcome.stuck.append(f"{fault}: {again}")
    elif reported(folder) != 2 * RUN.steps_per_round:
        outcome.under.append(f"{fault}: {reported(folder)} steps told at the end")


def test_whatever_a_site_began_is_charged_after_every_fault(tmp_path: Path) -> None:
    make_site(tmp_path / "warm")
    spend(tmp_path / "warm", lambda _: None)  # what is priced once need not be priced in every fork
    assert_nothing_wrong(campaign(spend, make_site, judge_site, tmp_path))


def test_control_a_site_that_begins_before_it_writes_so_down_is_found_out(tmp_path: Path) -> None:
    def early(folder: Path, ack: Ack) -> None:
        site = Site(folder / "east")
        site.enrol(site.cohort([Role.LESION]))
        site.reserve(RUN, site.cohort([Role.LESION]), resume=False)
        ack("began 1")
        site.outbox(RUN.run).begin(1, "model 0")

    make_site(tmp_path / "count")
    last = calls_of(early, tmp_path / "count", tmp_path / "trace")["write"]  # the question itself
    outcome = Outcome()
    make_site(tmp_path / "killed")
    acknowledged = play_with(early, tmp_path / "killed", Fault("write", "signal=KILL", last))
    judge_site(tmp_path / "killed", acknowledged, outcome, "killed")
    assert len(outcome.under) == 1, (acknowledged, outcome)


# A release ---------------------------------------------------------------------------------------------------

ADA = identity("steward/ada")
FEW = 10  # calls of one kind at which each fault is tried: publishing writes many files that are all alike


def leave(folder: Path, ack: Ack) -> None:
    """Take a data set from drawing to release, with a steward's approval on the way."""
    run = RunFolder(folder)
    store = run.home.open_ledger()
    out = folder / "dataset"
    if not out.exists():
        waiting = publish(run, out, scans(), store=store)
        ack("candidate")
        if waiting.missing:
            decision = approval_bytes(ADA, approval(waiting.manifest, "ada"))
            release(run, Candidate.at(waiting.path), out, store=store, approval=decision)
    store.close()
    ack("released")
    ack("end")


def make_run(folder: Path) -> None:
    folder.mkdir()
    store_at(folder, [*Story().events(), steward("ada")]).close()


def recorded(folder: Path) -> list[str]:
    store = RunFolder(folder).home.open_ledger()
    store.close()
    return [s.event.type for s in store.events if isinstance(s.event, Gate | Approval | Release)]


def test_nothing_leaves_by_half_or_without_its_records_after_every_fault(tmp_path: Path) -> None:
    make_run(tmp_path / "whole")
    leave(tmp_path / "whole", lambda _: None)  # prices, and the public cases' levels, are known in every fork
    right = bytes_of(tmp_path / "whole" / "dataset")
    story = ["gate", "approval", "release"]

    def judge(folder: Path, acknowledged: list[str], outcome: Outcome, fault: str) -> None:
        try:
            before = recorded(folder)
        except WillisError as err:
            outcome.lost.append(f"{fault}: {err}")
            return
        if before != story[: len(before)] or ("candidate" in acknowledged and not before):
            outcome.lost.append(f"{fault}: {before} after {acknowledged}")
        if (folder / "dataset").exists() and (before != story or bytes_of(folder / "dataset") != right):
            outcome.under.append(f"{fault}: a data set with {before} on record")
        again = play(leave, folder, None)
        if "end" not in again:
            outcome.stuck.append(f"{fault}: {again}")
        elif recorded(folder) != story or bytes_of(folder / "dataset") != right:
            outcome.under.append(f"{fault}: {recorded(folder)} in the end, or other bytes")

    assert_nothing_wrong(campaign(leave, make_run, judge, tmp_path, FEW))

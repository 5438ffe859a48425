"""A site's memory: reserve and settle can be repeated, and what was spent is never forgotten."""

import re
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from client.cohort import Cohort
from client.site import Site
from shared.errors import (
    CheckpointError,
    LedgerError,
    PolicyRefusal,
    ProtocolError,
    RequestRefused,
    UsageError,
)
from shared.imaging.scan import Role
from shared.ledger.events import Enrol, Event, Refuse, Reserve, Run, Settle
from shared.ledger.log import SignedEvent
from shared.ledger.store import LedgerStore
from shared.privacy.accounting import cost
from shared.privacy.events import NoiseSource
from shared.recipes.catalogue import load
from tests.client.conversation import run_of
from tests.cohorts import add_lesion_patient, lesion_cohorts, write_policy

RECIPE = load("lesions-3d", None, "small")
SEEDED = run_of(RECIPE)
SYSTEM = run_of(RECIPE, source=NoiseSource.SYSTEM)
OTHER = run_of(RECIPE, name="fedcba9876543210")


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """An enrolled site of three patients."""
    site = Site(lesion_cohorts(tmp_path, {"east": 3}) / "east")
    site.enrol(cohort_of(site))
    return site


def cohort_of(site: Site) -> Cohort:
    return site.cohort([Role.LESION])


def reserve(site: Site, run: Run, *, resume: bool = False) -> SignedEvent:
    return site.reserve(run, cohort_of(site), resume=resume)


def begin(site: Site, run: Run, *rounds: int) -> None:
    """Begin rounds of a run as training does."""
    for round_ in rounds:
        site.check_reserved(run, cohort_of(site))
        site.outbox(run.run).begin(round_, f"model {round_ - 1}")


def ledger(site: Site) -> list[SignedEvent]:
    store = LedgerStore(site.folder / ".willis" / "ledger.sqlite", create=False)
    store.close()
    return store.events


def kinds(site: Site) -> list[type[Event]]:
    return [type(signed.event) for signed in ledger(site)]


def reserved(signed: SignedEvent) -> Reserve:
    assert isinstance(signed.event, Reserve), signed.event
    return signed.event


def test_to_enrol_twice_is_to_enrol_once(site: Site) -> None:
    (first,) = ledger(site)
    assert isinstance(first.event, Enrol)
    assert first.event.patients == 3
    assert first.is_signed_by(first.event.public_key)
    assert Site(site.folder).enrol(cohort_of(site)) == first
    assert kinds(site) == [Enrol]


def test_the_patient_list_is_only_committed_to(site: Site, tmp_path: Path) -> None:
    """The same list at two sites gives unrelated commitments; another list at one site another."""
    twin = Site(lesion_cohorts(tmp_path / "b", {"east": 3}) / "east")
    assert cohort_of(twin).ids == cohort_of(site).ids
    assert twin.commitment(cohort_of(twin)) != site.commitment(cohort_of(site))
    before = site.commitment(cohort_of(site))
    add_lesion_patient(site.folder, "sub-001", seed=8, session="ses-9")
    assert site.commitment(cohort_of(site)) == before
    add_lesion_patient(site.folder, "sub-777", seed=8)
    assert site.commitment(cohort_of(site)) != before


@pytest.mark.parametrize("run", [SEEDED, SYSTEM], ids=["seeded", "system"])
def test_a_resumed_run_finds_its_reservation(site: Site, run: Run) -> None:
    first = reserve(site, run)
    assert reserve(site, run, resume=True) == first
    assert kinds(site) == [Enrol, Reserve]


def test_to_settle_twice_is_to_settle_once(site: Site) -> None:
    reserve(site, SEEDED)
    begin(site, SEEDED, 1, 2)
    first = site.settle(SEEDED.run)
    assert site.settle(SEEDED.run) == first
    assert isinstance(first.event, Settle)
    assert (first.event.rounds, first.event.spending) == (2, SEEDED.spending)
    assert kinds(site) == [Enrol, Reserve, Settle]


def test_what_was_begun_is_charged_whether_or_not_it_was_answered(site: Site) -> None:
    reserve(site, SYSTEM)
    begin(site, SYSTEM, 1)
    settled = site.settle(SYSTEM.run).event
    assert isinstance(settled, Settle)
    assert settled.spending.steps == SYSTEM.steps_per_round


def test_a_seeded_run_repeated_gives_the_same_signed_bytes_and_costs_nothing(site: Site) -> None:
    first = reserve(site, SEEDED)
    begin(site, SEEDED, 1, 2)
    end = site.settle(SEEDED.run)
    reserve(site, OTHER)
    assert reserve(site, SEEDED) == first
    assert site.outbox(SEEDED.run).recall(2) is None
    assert site.settle(SEEDED.run) == end
    assert kinds(site) == [Enrol, Reserve, Settle, Reserve]


def test_a_run_with_noise_from_the_system_is_not_repeated(site: Site) -> None:
    reserve(site, SYSTEM)
    with pytest.raises(ProtocolError, match="resume it or start another"):
        reserve(site, SYSTEM)
    begin(site, SYSTEM, 1, 2)
    site.settle(SYSTEM.run)
    with pytest.raises(ProtocolError, match="resume it or start another"):
        reserve(site, SYSTEM)


def test_a_reservation_is_for_one_plan_and_one_cohort(site: Site) -> None:
    reserve(site, SEEDED)
    with pytest.raises(ProtocolError, match="another plan or cohort"):
        reserve(site, SEEDED.model_copy(update={"rounds": 1}), resume=True)
    add_lesion_patient(site.folder, "sub-777", seed=8)
    with pytest.raises(ProtocolError, match="another plan or cohort"):
        reserve(site, SEEDED, resume=True)


@pytest.mark.parametrize(("begun", "charged"), [((), None), ((1,), 10), ((1, 2), 10)])
def test_the_first_run_counts_in_full_once_it_began(
    site: Site, begun: tuple[int, ...], charged: int | None
) -> None:
    """That it stopped early may have been decided in the light of what it showed."""
    reserve(site, SEEDED)
    begin(site, SEEDED, *begun)
    site.settle(SEEDED.run)
    past = reserved(reserve(site, OTHER)).past
    assert [p.spending.steps for p in past] == ([] if charged is None else [charged])


def test_a_later_run_counts_with_what_it_executed(site: Site) -> None:
    for run in (SEEDED, OTHER):
        reserve(site, run)
        begin(site, run, 1)
        site.settle(run.run)
    third = OTHER.model_copy(update={"run": "c" * 16})
    assert [p.spending.steps for p in reserved(reserve(site, third)).past] == [10, 5]


def test_plans_reserved_before_any_ran_are_first_plans_together_and_count_in_full(site: Site) -> None:
    """Neither was chosen in the light of the other, whichever runs first and wherever they stop."""
    third, fourth = (OTHER.model_copy(update={"run": digit * 16}) for digit in "cd")
    assert reserved(reserve(site, SEEDED)).past == ()
    assert [p.unseen for p in reserved(reserve(site, OTHER)).past] == [True]
    begin(site, OTHER, 1)
    site.settle(OTHER.run)
    assert [(p.unseen, p.spending.steps) for p in reserved(reserve(site, third)).past] == [(True, 10), (False, 10)]
    begin(site, third, 1)
    site.settle(third.run)
    assert [p.spending.steps for p in reserved(reserve(site, fourth)).past] == [10, 10, 5]


def test_a_plan_is_unseen_only_until_its_first_round_begins(site: Site) -> None:
    reserve(site, SEEDED)
    begin(site, SEEDED, 1)
    assert [p.unseen for p in reserved(reserve(site, OTHER)).past] == [False]


def test_one_of_two_plans_may_be_settled_and_reserved_again_after_the_other_ran(site: Site) -> None:
    reserve(site, SEEDED)
    before = reserve(site, OTHER)
    begin(site, OTHER, 1)
    site.settle(OTHER.run)
    begin(site, SEEDED, 1)
    assert reserve(site, OTHER, resume=True) == before


def test_of_plans_fixed_together_none_can_be_picked_in_the_light_of_another(site: Site) -> None:
    """Each alternative, given back before the first plan ran, would be priced as if it were the only one."""
    reserve(site, SEEDED)
    for digit in "abc":
        alternative = OTHER.model_copy(update={"run": digit * 16})
        assert [p.unseen for p in reserved(reserve(site, alternative)).past] == [True]
        site.settle(alternative.run)
    begin(site, SEEDED, 1)
    picked = reserve(site, OTHER.model_copy(update={"run": "b" * 16}), resume=True)
    assert isinstance(picked.event, Refuse)
    assert "or ran, since" in picked.event.reason


def test_plans_reserved_together_share_the_cap_by_their_joint_price(site: Site) -> None:
    twice = cost([SEEDED.spending] * 2, SEEDED.delta).epsilon
    write_policy(site.folder, f"max_epsilon = {twice + 0.01}\n")
    reserve(site, SEEDED)
    assert isinstance(reserve(site, OTHER).event, Reserve)  # the filter would not hold both
    third = OTHER.model_copy(update={"run": "c" * 16})
    assert isinstance(reserve(site, third).event, Refuse)


def test_the_filters_order_is_the_first_reservations_for_good(site: Site) -> None:
    first = reserved(reserve(site, SEEDED)).cap
    with (site.folder / "policy.toml").open("a") as file:
        file.write("max_epsilon = 90.0\nrenyi_order = 2\n")
    second = reserved(reserve(site, OTHER)).cap
    assert (second.epsilon, second.order) == (90.0, first.order)


def test_code_that_changed_since_the_reservation_runs_no_step(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    reserve(site, SEEDED)
    monkeypatch.setattr("client.site.code_digest", lambda: "f" * 64)
    with pytest.raises(RequestRefused, match="other code"):
        site.begin(SEEDED, cohort_of(site), 1, "base")


def test_a_ledger_from_before_the_last_rounds_is_refused(site: Site) -> None:
    """Database and mirror brought back together agree with each other, but not with what was begun since."""
    reserve(site, SEEDED)
    begin(site, SEEDED, 1)
    site.settle(SEEDED.run)
    state = site.folder / ".willis"
    old = {name: (state / name).read_bytes() for name in ("ledger.sqlite", "ledger.jsonl")}
    reserve(site, SEEDED, resume=True)
    begin(site, SEEDED, 2)
    for name, data in old.items():
        (state / name).write_bytes(data)
    with pytest.raises(LedgerError, match="went on after what is settled here"):
        reserve(site, OTHER)


def test_reservations_asked_for_at_once_do_not_share_the_cap(site: Site) -> None:
    """Four runs, each as large as the cap: whatever the timing, the first to be admitted is the only one."""
    spent = cost([SEEDED.spending], SEEDED.delta).epsilon
    with (site.folder / "policy.toml").open("a") as file:
        file.write(f"max_epsilon = {spent + 0.01}\n")
    runs = [SEEDED.model_copy(update={"run": digit * 16}) for digit in "abcd"]
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda run: Site(site.folder).reserve(run, cohort_of(site), resume=False), runs))
    assert sorted(a.event.type for a in answers) == ["refuse", "refuse", "refuse", "reserve"]


def test_a_run_that_never_settled_counts_in_full(site: Site) -> None:
    reserve(site, SEEDED)
    (past,) = reserved(reserve(site, OTHER)).past
    assert past.run == SEEDED.run
    assert past.spending == SEEDED.spending


def test_the_cap_holds_over_runs_and_a_refusal_is_signed_and_costs_nothing(site: Site) -> None:
    once = cost([SEEDED.spending], 1e-5).epsilon
    write_policy(site.folder, f"max_epsilon = {1.1 * once}\n")
    reserve(site, SEEDED)
    refusal = reserve(site, OTHER)
    assert isinstance(refusal.event, Refuse)
    assert refusal.is_signed_by(site.identity.public_key)
    assert re.search(r"would cost the cohort ε = .* over the site's cap of ε = ", refusal.event.reason)
    with pytest.raises(RequestRefused, match="never reserved"):
        site.plan(OTHER.run)
    site.settle(SEEDED.run)  # nothing was begun: the first run gives its budget back
    assert reserved(reserve(site, OTHER)).past == ()


def test_a_settled_run_makes_no_further_step_until_it_is_reserved_again(site: Site) -> None:
    """Or a coordinator could settle a run at nothing, and then train it."""
    reserve(site, SYSTEM)
    site.settle(SYSTEM.run)
    with pytest.raises(RequestRefused, match="settled"):
        begin(site, SYSTEM, 1)
    again = reserve(site, SYSTEM, resume=True)
    begin(site, SYSTEM, 1)
    assert kinds(site) == [Enrol, Reserve, Settle, Reserve]
    assert reserved(reserve(site, OTHER)).past[0].spending == SYSTEM.spending
    assert again == ledger(site)[1]


def test_a_settled_run_is_reserved_again_only_while_the_policy_still_allows_it(site: Site) -> None:
    reserve(site, SYSTEM)
    site.settle(SYSTEM.run)
    write_policy(site.folder, "max_epsilon = 0.01\n")
    assert isinstance(reserve(site, SYSTEM, resume=True).event, Refuse)


def test_a_settled_run_is_not_reserved_again_behind_the_back_of_another(site: Site) -> None:
    """Its reservation says what was spent before it; that would be wrong now."""
    reserve(site, SYSTEM)
    site.settle(SYSTEM.run)
    reserve(site, OTHER)
    refusal = reserve(site, SYSTEM, resume=True).event
    assert isinstance(refusal, Refuse)
    assert "other runs were reserved, or ran, since" in refusal.reason


def test_patients_who_join_between_rounds_are_not_trained_on(site: Site) -> None:
    reserve(site, SYSTEM)
    begin(site, SYSTEM, 1)
    add_lesion_patient(site.folder, "sub-777", seed=8)
    with pytest.raises(ProtocolError, match="patients are not those"):
        begin(site, SYSTEM, 2)


def test_a_plan_that_was_exchanged_is_not_followed(site: Site) -> None:
    reserve(site, SYSTEM)
    more = SYSTEM.model_copy(update={"steps_per_round": 500})
    with pytest.raises(ProtocolError, match="not the one reserved"):
        site.check_reserved(more, cohort_of(site))


@pytest.mark.parametrize(
    "name", ["../../../elsewhere", "/tmp/elsewhere", "", "0123456", "ABCDEF0123456789", "a" * 65]
)
def test_a_runs_name_leads_nowhere_else(site: Site, name: str) -> None:
    before = sorted(site.folder.parent.rglob("*"))
    run = SEEDED.model_copy(update={"run": name})
    for ask in (lambda: reserve(site, run), lambda: site.settle(name), lambda: site.plan(name)):
        with pytest.raises(ProtocolError, match="hexadecimal"):
            ask()
    assert sorted(site.folder.parent.rglob("*")) == before


def gone(path: Path) -> None:
    path.unlink()


def rolled_back(path: Path) -> None:
    """Put an empty ledger in place, as from a backup made before any run."""
    path.unlink()
    database = sqlite3.connect(path)
    database.execute("CREATE TABLE log (id INTEGER PRIMARY KEY, line BLOB NOT NULL)")
    database.close()


def rolled_back_with_its_mirror(path: Path) -> None:
    """The mirror too; only the plans of the runs are left to tell."""
    rolled_back(path)
    path.with_suffix(".jsonl").write_bytes(b"")


def emptied(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("lose", [gone, rolled_back, rolled_back_with_its_mirror, emptied])
@pytest.mark.parametrize("what", ["enrol", "reserve", "settle", "check_state"])
def test_a_ledger_that_vanished_after_runs_is_not_begun_anew(
    site: Site, lose: Callable[[Path], None], what: str
) -> None:
    reserve(site, SEEDED)
    path = site.folder / ".willis" / "ledger.sqlite"
    lose(path)
    asks: dict[str, Callable[[], object]] = {
        "enrol": lambda: site.enrol(cohort_of(site)),
        "reserve": lambda: reserve(site, OTHER),
        "settle": lambda: site.settle(SEEDED.run),
        "check_state": site.check_state,
    }
    with pytest.raises(LedgerError, match=r"ledger\.(sqlite|jsonl).*(restore|from a copy)"):
        asks[what]()
    assert not path.exists() or path.stat().st_size in (0, 8192)  # as it was left


@pytest.mark.parametrize("name", ["site.key", "salt"])
def test_a_lost_secret_is_not_made_anew(site: Site, name: str) -> None:
    (site.folder / ".willis" / name).unlink()
    with pytest.raises(LedgerError, match=f"{name}: missing.*restore it from a backup"):
        site.enrol(cohort_of(site))
    assert not (site.folder / ".willis" / name).exists()


def test_a_damaged_key_or_plan_is_named(site: Site) -> None:
    reserve(site, SEEDED)
    plan = site.folder / ".willis" / "runs" / SEEDED.run / "plan.json"
    plan.write_bytes(plan.read_bytes()[:-20])
    with pytest.raises(CheckpointError, match=r"plan\.json: damaged"):
        site.settle(SEEDED.run)
    reserve(site, SEEDED, resume=True)  # asked again, the coordinator's plan mends it
    site.settle(SEEDED.run)
    (site.folder / ".willis" / "site.key").write_text("nonsense")
    with pytest.raises(UsageError, match=r"site\.key: not an unencrypted OpenSSH"):
        site.settle(SEEDED.run)


def test_a_policy_that_cannot_be_read_is_no_refusal_to_send(site: Site) -> None:
    """Its error names a path and quotes the file: it stays at the site."""
    write_policy(site.folder, "colour = 'secret'\n")
    with pytest.raises(PolicyRefusal, match=r"policy\.toml"):
        reserve(site, SEEDED)
    assert kinds(site) == [Enrol]

"""The report says what the ledger says, with every ε in company of what gives it meaning."""

import json
import math
from collections.abc import Iterator
from dataclasses import replace
from functools import cache

import pytest

from server.audit.report_checks import _without_second
from server.report.build import Report, build_report
from server.report.claims import membership, round_up
from server.report.page import render_page
from server.report.registry import registry_record
from server.report.sites import spent_after
from shared.canonical import Json, canonical
from shared.errors import LedgerError
from shared.ledger.budget import filter_of
from shared.ledger.events import Refuse, Release
from shared.privacy.accounting import PrivacyCost, cost
from shared.privacy.agreement import second_opinions
from shared.privacy.events import NoiseSource, NonPrivate, Relation, SampledGaussian, Spending, Unit
from shared.privacy.renyi import epsilon_at
from tests.server.ledgers import (
    DELTA,
    NON_PRIVATE_PAST,
    PRIVATE_PAST,
    ROUNDS,
    RUN_ID,
    SITES,
    Story,
    approval,
    cap_of,
    gate,
    gaussian,
    signed_all,
    steward,
)

COMPANY = {"epsilon", "delta", "unit", "relation", "accountant", "text"}
WITH_PAST = Story(past={"north": (PRIVATE_PAST, NON_PRIVATE_PAST)})
UNSAFE = Story(plan=Spending.of(NonPrivate(steps=4)))


@cache
def report() -> Report:
    return build_report(signed_all(WITH_PAST.events()), RUN_ID, second_opinions)


def of(story: Story) -> Report:
    return build_report(signed_all(story.events()), RUN_ID)


def objects(value: Json) -> Iterator[dict[str, Json]]:
    if isinstance(value, dict):
        yield value
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else []:
        yield from objects(item)


def site(made: Report, name: str) -> dict[str, Json]:
    """Return the figures of the group that holds the site."""
    groups = made["groups"]
    assert isinstance(groups, list)
    for group in groups:
        assert isinstance(group, dict)
        names = group["sites"]
        assert isinstance(names, list)
        if name in names:
            return group
    raise AssertionError(f"{name} is in no group")


def epsilon(*path: str | int, of: Json) -> Json:
    for key in path:
        if isinstance(key, int):
            assert isinstance(of, list)
            of = of[key]
        else:
            assert isinstance(of, dict)
            of = of[key]
    return of


@pytest.mark.parametrize("story", [WITH_PAST, UNSAFE])
def test_no_epsilon_without_unit_delta_relation_and_accountant(story: Story) -> None:
    made = report() if story is WITH_PAST else of(story)
    claims = [o for o in objects(made) if "epsilon" in o]
    assert len(claims) > 10
    for claim in claims:
        assert set(claim) == COMPANY
        assert all(claim[key] for key in COMPANY - {"epsilon"})


def test_figures_are_those_of_the_accountants() -> None:
    everything = [PRIVATE_PAST.spending, Story().plan]
    north, south = site(report(), "north"), site(report(), "south")
    alone, composed = cost([Story().plan], DELTA), cost(everything, DELTA)
    rdp, tight = second_opinions(everything, DELTA)
    assert epsilon("alone", "pld", "epsilon", of=north) == round_up(alone.epsilon)
    assert epsilon("if_planned", "cost", "pld", "epsilon", of=north) == round_up(composed.epsilon)
    assert epsilon("if_planned", "cost", "rdp", "epsilon", of=north) == round_up(rdp.epsilon)
    assert epsilon("if_planned", "cost", "tight", "text", of=north) == str(tight)
    assert epsilon("if_planned", "cost", "disagreements", of=north) == []
    assert epsilon("if_planned", "cost", "pld", "epsilon", of=south) == round_up(alone.epsilon)
    left = epsilon("left", "epsilon", of=north)
    assert isinstance(left, float)
    assert left == pytest.approx(10.0 - composed.epsilon, abs=2e-6)
    assert left <= 10.0 - composed.epsilon


def test_without_opacus_its_figures_are_null_and_the_rest_is_the_same() -> None:
    assert _without_second(report()) == json.loads(canonical(of(WITH_PAST)))


def test_a_first_plan_is_guaranteed_its_pld_cost() -> None:
    south = site(report(), "south")
    assert epsilon("first_plan", of=south) is True
    assert epsilon("guaranteed", "cost", "text", of=south) == str(cost([Story().plan], DELTA))


def test_a_later_plan_is_guaranteed_the_cap_by_its_filter_and_not_its_pld_cost() -> None:
    north = site(of(Story(past=dict.fromkeys(SITES, (PRIVATE_PAST,)))), "north")
    assert epsilon("first_plan", of=north) is False
    assert epsilon("guaranteed", "cost", "epsilon", of=north) == 10.0
    order = f"Rényi filter of order {cap_of(10.0).order:g}"
    assert order in str(epsilon("guaranteed", "cost", "accountant", of=north))
    assert epsilon("guaranteed", "condition", of=north) != epsilon("if_planned", "condition", of=north)


def test_plans_fixed_together_are_guaranteed_their_joint_pld_cost() -> None:
    beside = PRIVATE_PAST.model_copy(update={"unseen": True})
    north = site(of(Story(past=dict.fromkeys(SITES, (beside,)))), "north")
    joint = cost([PRIVATE_PAST.spending, Story().plan], DELTA)
    assert epsilon("first_plan", of=north) is True
    assert epsilon("guaranteed", "cost", "text", of=north) == str(joint)


def test_plans_fixed_together_are_not_priced_together_for_a_patient_at_several_sites() -> None:
    """One may have run at another of the patient's sites before this one saw the other: only filters join."""
    beside = PRIVATE_PAST.model_copy(update={"unseen": True})
    made = of(Story(past=dict.fromkeys(SITES, (beside,)), overlap=2))
    sure = str(epsilon("federation", "levels", 1, "guaranteed", "cost", "accountant", of=made))
    assert "Rényi filters" in sure


def test_a_first_plan_that_stopped_early_is_guaranteed_the_cost_of_all_it_reserved() -> None:
    """Where it stopped may have depended on what was seen, so the steps that ran are no bound."""
    north = site(of(Story(rounds_done=2)), "north")
    assert epsilon("guaranteed", "cost", "text", of=north) == str(cost([Story().plan], DELTA))
    assert epsilon("if_planned", "cost", "pld", "text", of=north) == str(cost([gaussian(2)], DELTA))


def test_nothing_is_guaranteed_after_a_run_without_noise_on_the_same_patients() -> None:
    """Whatever is private since may have been chosen in the light of what was not."""
    made = of(Story(past=dict.fromkeys(SITES, (NON_PRIVATE_PAST,))))
    assert epsilon("guaranteed", "cost", "epsilon", of=site(made, "north")) is None
    assert epsilon("if_planned", "cost", "pld", "text", of=site(made, "north")) == str(cost([Story().plan], DELTA))
    assert made["conditions"] == []
    assert "NO GUARANTEE FOR ALL RUNS" in render_page(made)
    assert registry_record(made) is None


def test_nothing_is_guaranteed_where_a_cap_was_crossed() -> None:
    made = of(Story(cap=cap_of(2.0)))
    assert epsilon("guaranteed", "cost", "epsilon", of=site(made, "north")) is None
    assert "should have refused" in str(epsilon("guaranteed", "condition", of=site(made, "north")))
    assert "CAP CROSSED at north, south, west" in str(made["warnings"])


def test_the_federation_pays_what_its_costliest_site_pays() -> None:
    worst = cost([PRIVATE_PAST.spending, Story().plan], DELTA)
    federation = report()["federation"]
    assert epsilon("costliest", of=federation) == "north"
    assert epsilon("levels", 0, "if_planned", "cost", "pld", "text", of=federation) == str(worst)


def test_a_patient_at_several_sites_pays_for_the_costliest_of_them() -> None:
    made = of(replace(WITH_PAST, overlap=2))
    levels = epsilon("federation", "levels", of=made)
    assert isinstance(levels, list)
    assert [epsilon("sites", of=level) for level in levels] == [1, 2, 3]
    for number, level in enumerate(levels, start=1):
        plans = [PRIVATE_PAST.spending, *([Story().plan] * number)]
        assert epsilon("if_planned", "cost", "pld", "text", of=level) == str(cost(plans, DELTA))


def test_first_plans_at_several_sites_are_guaranteed_what_they_cost_together() -> None:
    made = of(Story(overlap=2))
    sure = epsilon("federation", "levels", 1, "guaranteed", "cost", "text", of=made)
    assert sure == str(cost([Story().plan] * 2, DELTA))


def test_filters_of_one_order_join_at_several_sites() -> None:
    """Two caps' Rényi budgets at their order, added up, and turned into an ε."""
    made = of(Story(overlap=2, past=dict.fromkeys(SITES, (PRIVATE_PAST,))))
    cap = cap_of(10.0)
    joined = epsilon_at(cap.order, 2 * filter_of(cap).budget, DELTA)
    sure = epsilon("federation", "levels", 1, "guaranteed", "cost", of=made)
    assert epsilon("epsilon", of=sure) == round_up(joined)
    assert 10.0 < joined < 20.0


def test_shares_of_the_filter_add_up_and_tell_reserved_from_spent() -> None:
    made = of(Story(settled=("north",), past={"west": (PRIVATE_PAST,)}))
    cap = cap_of(10.0)
    share = filter_of(cap).used([Story().plan]) / filter_of(cap).budget
    expected = {"north": (0, share, 0), "south": (0, 0, share), "west": (share, 0, share)}
    for name, parts in expected.items():
        rule = epsilon("filter", of=site(made, name))
        found = [epsilon(key, of=rule) for key in ("before", "this", "reserved", "left")]
        assert found == pytest.approx([*parts, 1 - sum(parts)], abs=2e-6)


def test_epsilon_falls_as_delta_grows_and_the_chosen_delta_is_among_them() -> None:
    points = epsilon("curve", "points", of=report())
    assert isinstance(points, list)
    spent = [epsilon("epsilon", of=point) for point in points]
    assert spent == sorted(spent, key=lambda e: -e if isinstance(e, float) else 0)
    assert len(set(spent)) == 6
    chosen = next(point for point in points if epsilon("delta", of=point) == DELTA)
    assert epsilon("text", of=chosen) == str(cost([PRIVATE_PAST.spending, Story().plan], DELTA))


def test_spending_grows_over_rounds_up_to_the_total() -> None:
    for name in ("north", "south"):
        points = site(report(), name)["after_rounds"]
        assert isinstance(points, list)
        spent = [epsilon("cost", "epsilon", of=point) for point in points]
        assert spent == sorted(spent, key=lambda e: e if isinstance(e, float) else 0.0)
        assert len(set(spent)) == len(spent) > 2
        assert spent[-1] == epsilon("against_cap", "epsilon", of=site(report(), name))


def test_a_single_release_counts_from_the_first_round_on() -> None:
    once = SampledGaussian(noise_multiplier=9.0, sampling_rate=1.0, steps=1)
    many = once.model_copy(update={"steps": 10, "sampling_rate": 0.5})
    half = spent_after(Spending.of(once, many), 2, 5)
    assert [m.steps for m in half.mechanisms] == [1, 4]
    assert spent_after(Spending.of(once, many), 0, 5).steps == 0


def test_what_cannot_be_composed_is_named() -> None:
    listed = report()["earlier_non_private"]
    assert listed == [{"sites": ["north"], "run": NON_PRIVATE_PAST.run, "recipe": "vessels-2d", "variant": "twin"}]
    assert f"Not composed: run <code>{NON_PRIVATE_PAST.run[:12]}" in render_page(report())


def test_an_unsafe_run_shows_infinity_and_no_statement() -> None:
    made = of(UNSAFE)
    assert epsilon("alone", "pld", "epsilon", of=site(made, "north")) is None
    assert "ε = ∞" in str(epsilon("alone", "pld", "text", of=site(made, "north")))
    assert made["publishable"] is False
    assert "may be published" in str(made["warnings"])
    assert made["conditions"] == []


def test_open_reservations_are_charged_in_full() -> None:
    made = of(Story(settled=("north",), rounds_done=2))
    settled, still_open = site(made, "north"), site(made, "south")
    assert epsilon("alone", "pld", "epsilon", of=settled) == round_up(cost([gaussian(2)], DELTA).epsilon)
    assert epsilon("alone", "pld", "epsilon", of=still_open) == round_up(cost([Story().plan], DELTA).epsilon)
    assert epsilon("status", "name", of=made) == "unsettled"


def test_a_settlement_before_the_last_round_does_not_count() -> None:
    story = Story()
    events = story.events()
    early = [*events[:-3], *events[-3:], story.round(4)]
    made = build_report(signed_all(early), RUN_ID)
    assert epsilon("status", "name", of=made) == "unsettled"


def test_a_refused_run_says_so() -> None:
    story = Story(rounds_done=0, settled=())
    refusal = Refuse(run=RUN_ID, site="west", by="site", round=0, code="policy", reason="over the cap")
    events = [e for e in story.events() if not (e.type == "reserve" and e.site == "west")]
    made = build_report(signed_all([*events, refusal]), RUN_ID)
    assert epsilon("status", "name", of=made) == "refused"
    assert "over the cap" in render_page(made)


def test_seeded_noise_is_called_a_simulation() -> None:
    made = of(Story(noise_source=NoiseSource.SEEDED))
    assert "who can compute the noise again" in str(epsilon("layers", 0, "not_covered", of=made))
    assert "SIMULATION" in render_page(made)


def test_patch_level_is_shown_as_such() -> None:
    patch = Story(plan=gaussian(4).model_copy(update={"unit": Unit.PATCH}))
    made = of(patch)
    assert made["publishable"] is False
    assert epsilon("alone", "pld", "unit", of=site(made, "north")) == "patch"
    assert "NOT PATIENT-LEVEL" in str(made["warnings"])


def test_releases_are_listed() -> None:
    release = Release(run=RUN_ID, kind="release", cases=5, manifest="a" * 64)
    network = Release(run=RUN_ID, kind="release", what="network", cases=0, manifest="b" * 64)
    approved = approval("b" * 64, "ada", words="seen")
    told = [*Story().events(), gate("a" * 64), release, steward("ada"), gate("b" * 64), approved, network]
    made = build_report(signed_all(told), RUN_ID)
    checks: list[Json] = [{"name": "files", "passed": True, "words": "3 cases"}]
    decided: list[Json] = [{"steward": "ada", "decision": "approved", "words": "seen"}]
    one: dict[str, Json] = {"kind": "release", "cases": 5, "manifest": "a" * 64, "gate": checks, "decisions": []}
    other = one | {"cases": 0, "manifest": "b" * 64, "what": "network", "decisions": decided}
    assert made["releases"] == [one, other]
    page = render_page(made)
    assert "Approved by ada\n(seen)" in page
    assert "no steward was named when it left" in page
    assert page.count('<th scope="row">files</th>') == 2
    canonical(made)


def test_membership_bound_is_that_of_randomised_response() -> None:
    """Telling the truth three times out of four is (ln 3, 0)-private, and is guessed right as often."""
    spent = PrivacyCost(math.log(3), 0.0, Unit.PATIENT, Relation.ADD_REMOVE, "by hand")
    assert membership(spent)["accuracy"] == pytest.approx(0.75, abs=2e-6)
    assert membership(replace(spent, epsilon=0.0, delta=0.1))["accuracy"] == pytest.approx(0.55, abs=2e-6)
    assert membership(replace(spent, epsilon=math.inf))["accuracy"] == 1.0


def test_an_unknown_run_is_refused() -> None:
    with pytest.raises(LedgerError, match="not in this ledger"):
        build_report(signed_all(Story().events()), "0" * 16)


@pytest.mark.parametrize("done", [1, ROUNDS])
def test_what_is_guaranteed_is_never_below_the_planned_price(done: int) -> None:
    for past in ((), (PRIVATE_PAST,)):
        north = site(of(Story(rounds_done=done, past={"north": past})), "north")
        planned = epsilon("if_planned", "cost", "pld", "epsilon", of=north)
        sure = epsilon("guaranteed", "cost", "epsilon", of=north)
        assert isinstance(planned, float)
        assert isinstance(sure, float)
        assert planned <= sure

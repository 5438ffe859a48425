"""The report says what the ledger says, with every ε in company of what gives it meaning."""

import math
from collections.abc import Iterator
from dataclasses import replace
from functools import cache

import pytest

from server.claims import membership, round_up
from server.report import Report, build_report, report_bytes, second_opinion
from server.report_page import render_page
from server.report_sites import spent_after
from shared.canonical import Json, canonical
from shared.errors import LedgerError
from shared.ledger.events import Refuse, Release
from shared.privacy.accounting import PrivacyCost, cost
from shared.privacy.events import NoiseSource, NonPrivate, Relation, SampledGaussian, Spending, Unit
from tests.server.ledgers import DELTA, NON_PRIVATE_PAST, PRIVATE_PAST, RUN_ID, Story, gaussian, signed_all

COMPANY = {"epsilon", "delta", "unit", "relation", "accountant", "text"}
WITH_PAST = Story(past={"north": (PRIVATE_PAST, NON_PRIVATE_PAST)})
UNSAFE = Story(plan=Spending.of(NonPrivate(steps=4)))


@cache
def report() -> Report:
    return build_report(signed_all(WITH_PAST.events()), RUN_ID, second_opinion())


def of(story: Story) -> Report:
    return build_report(signed_all(story.events()), RUN_ID)


def objects(value: Json) -> Iterator[dict[str, Json]]:
    if isinstance(value, dict):
        yield value
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else []:
        yield from objects(item)


def site(made: Report, index: int) -> dict[str, Json]:
    sites = made["sites"]
    assert isinstance(sites, list)
    found = sites[index]
    assert isinstance(found, dict)
    return found


def epsilon(*path: str, of: Json) -> Json:
    for key in path:
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
    second = second_opinion()
    assert second is not None
    north, south = site(report(), 0), site(report(), 1)
    alone, composed = cost([Story().plan], DELTA), cost(everything, DELTA)
    assert epsilon("alone", "pld", "epsilon", of=north) == round_up(alone.epsilon)
    assert epsilon("composed", "pld", "epsilon", of=north) == round_up(composed.epsilon)
    assert epsilon("composed", "rdp", "epsilon", of=north) == round_up(second(everything, DELTA).epsilon)
    assert epsilon("composed", "pld", "epsilon", of=south) == round_up(alone.epsilon)
    left = epsilon("left", "epsilon", of=north)
    assert isinstance(left, float)
    assert left == pytest.approx(10.0 - composed.epsilon, abs=2e-6)
    assert left <= 10.0 - composed.epsilon


def test_the_federation_pays_what_its_costliest_site_pays() -> None:
    worst = cost([PRIVATE_PAST.spending, Story().plan], DELTA)
    twice = cost([PRIVATE_PAST.spending, Story().plan] * 2, DELTA)
    federation = report()["federation"]
    assert epsilon("composed", "worst_site", of=federation) == "north"
    assert epsilon("composed", "maximum", "epsilon", of=federation) == round_up(worst.epsilon)
    assert epsilon("composed", "patient_at_two_sites", "epsilon", of=federation) == round_up(twice.epsilon)


def test_spending_grows_over_rounds_up_to_the_total() -> None:
    for index in (0, 1):
        north = site(report(), index)
        points = north["after_rounds"]
        assert isinstance(points, list)
        spent = [epsilon("cost", "epsilon", of=point) for point in points]
        assert spent == sorted(spent, key=lambda e: e if isinstance(e, float) else 0.0)
        assert len(set(spent)) == len(spent) > 2
        assert spent[-1] == epsilon("against_cap", "epsilon", of=north)


def test_a_single_release_counts_from_the_first_round_on() -> None:
    once = SampledGaussian(noise_multiplier=9.0, sampling_rate=1.0, steps=1)
    many = once.model_copy(update={"steps": 10, "sampling_rate": 0.5})
    half = spent_after(Spending.of(once, many), 2, 5)
    assert [m.steps for m in half.mechanisms] == [1, 4]
    assert spent_after(Spending.of(once, many), 0, 5).steps == 0


def test_what_cannot_be_composed_is_named() -> None:
    listed = report()["earlier_non_private"]
    assert listed == [{"site": "north", "run": NON_PRIVATE_PAST.run, "recipe": "vessels-2d", "variant": "twin"}]
    assert f"Not composed: run <code>{NON_PRIVATE_PAST.run[:12]}" in render_page(report())


def test_an_unsafe_run_shows_infinity_and_no_statement() -> None:
    made = of(UNSAFE)
    assert epsilon("alone", "pld", "epsilon", of=site(made, 0)) is None
    assert "ε = ∞" in str(epsilon("alone", "pld", "text", of=site(made, 0)))
    assert made["publishable"] is False
    assert "may be published" in str(made["warnings"])
    assert made["conditions"] == []


def test_open_reservations_are_charged_in_full() -> None:
    made = of(Story(settled=("north",), rounds_done=2))
    settled, still_open = site(made, 0), site(made, 1)
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
    assert "a simulation, not a protection" in str(made["not_covered"]).lower()
    assert "SIMULATION" in render_page(made)


def test_patch_level_is_shown_as_such() -> None:
    patch = Story(plan=gaussian(4).model_copy(update={"unit": Unit.PATCH}))
    made = of(patch)
    assert made["publishable"] is False
    assert epsilon("alone", "pld", "unit", of=site(made, 0)) == "patch"
    assert "NOT PATIENT-LEVEL" in str(made["warnings"])


def test_the_same_ledger_gives_the_same_bytes() -> None:
    again = build_report(signed_all(WITH_PAST.events()), RUN_ID, second_opinion())
    assert report_bytes(again) == report_bytes(report())
    assert render_page(again) == render_page(report())


def test_the_page_needs_nothing_from_elsewhere() -> None:
    page = render_page(report())
    assert "<script" not in page
    assert not any(word in page for word in ("src=", "href=", "@import", "url("))
    assert page.count("<svg") == 2


def test_names_are_escaped_on_the_page() -> None:
    made = of(Story(sites=("<b>north</b>",), settled=("<b>north</b>",)))
    page = render_page(made)
    assert "<b>north" not in page
    assert "&lt;b&gt;north" in page


def test_releases_are_listed() -> None:
    release = Release(run=RUN_ID, cases=5, manifest="a" * 64)
    made = build_report(signed_all([*Story().events(), release]), RUN_ID)
    assert made["releases"] == [{"cases": 5, "manifest": "a" * 64}]
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

"""The explanation in plain words says who is protected, how far, on what condition, and what is left out."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from server.audit.command import audit
from server.ledger.export import export_ledger
from server.report.build import build_report
from server.report.explain import explain
from shared.privacy.accounting import cost
from shared.privacy.events import NoiseSource, NonPrivate, Spending, Unit
from tests.server.ledgers import (
    COORDINATOR,
    DELTA,
    PRIVATE_PAST,
    RUN_ID,
    SITES,
    Story,
    gaussian,
    signed_all,
    store_at,
)


def told(story: Story) -> str:
    """Return the explanation on one line."""
    return " ".join(explain(build_report(signed_all(story.events()), RUN_ID)).split())


def test_it_gives_unit_figure_odds_and_limits() -> None:
    text = told(Story())
    assert "The unit is the patient" in text
    assert f"Guaranteed: {cost([Story().plan], DELTA)}" in text
    assert "% of the time instead of 50 %" in text
    for expected in ("from the coordinator", "Not from their own hospital", "Not covered:", "relatives"):
        assert expected in text
    assert "SIMULATION" not in text


def test_odds_are_those_of_the_guaranteed_cost() -> None:
    one = told(Story(plan=gaussian(1), rounds_done=1))
    spent = cost([gaussian(1)], DELTA).epsilon
    best = (2.718281828459045**spent + DELTA) / (2.718281828459045**spent + 1)
    percent = float(one.partition("right at most ")[2].partition(" %")[0])
    assert best * 100 <= percent <= best * 100 + 0.011


def test_a_seeded_run_first_says_that_nothing_real_is_protected() -> None:
    assert told(Story(noise_source=NoiseSource.SEEDED)).startswith("SIMULATION. Nothing real is protected")


def test_composed_spending_shows_both_figures_each_with_its_condition() -> None:
    text = told(Story(past=dict.fromkeys(SITES, (PRIVATE_PAST,))))
    assert "Guaranteed: ε = 10.00" in text
    assert "whatever was chosen in the light of earlier results" in text
    assert f"If planned: {cost([PRIVATE_PAST.spending, Story().plan], DELTA)}" in text
    assert "was fixed before any result from them was seen" in text


@pytest.mark.parametrize(
    "plan", [Spending.of(NonPrivate(steps=4)), gaussian(4).model_copy(update={"unit": Unit.PATCH})]
)
def test_a_run_that_guarantees_nothing_says_so(plan: Spending) -> None:
    text = told(Story(plan=plan))
    assert "Nothing guaranteed limits" in text
    assert "Nobody is protected" in text
    assert "Guaranteed:" not in text


def test_a_patient_at_several_sites_gets_the_odds_of_all_of_them() -> None:
    text = told(Story(overlap=2))
    assert f"Guaranteed: {cost([Story().plan] * 2, DELTA)}, for a patient at 2 of this run's sites" in text
    assert f"that is what {cost([Story().plan] * 2, DELTA)} means" in text


def test_a_run_nobody_joined_is_explained_too() -> None:
    assert "nothing was spent" in told(Story(sites=(), settled=(), rounds_done=0))


def test_the_command_reads_the_ledger_of_a_run(tmp_path: Path) -> None:
    store = store_at(tmp_path, Story().events())
    export_ledger(store, tmp_path / "ledger", COORDINATOR)
    store.close()
    result = CliRunner().invoke(audit, ["explain", str(tmp_path)])
    assert result.exit_code == 0, result.output
    assert "The unit is the patient" in result.output

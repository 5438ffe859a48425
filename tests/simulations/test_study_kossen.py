"""The study of Kossen et al. 2022: figures found independently with Opacus and dp-accounting."""

import csv
import math
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.console import Console

from shared.privacy.accounting import cost
from shared.privacy.crosscheck import rdp_cost
from shared.privacy.events import Unit
from simulations.studies import command
from simulations.studies import kossen_accounting as kossen
from simulations.studies.command import study
from simulations.studies.kossen_tables import groups_table, runs_table, write_csv
from simulations.studies.patient_groups import group_cost

# RDP, PRV, PLD as accounted; RDP, PLD of fresh real steps; PLD, RDP of the released loop; GDP limit
TABLE = {
    (2.0, 50): (1.31, 1.21, 1.20, 0.90, 0.82, 1.13, 1.31, 1.19),
    (1.5, 50): (1.91, 1.76, 1.75, 1.31, 1.19, 2.36, 2.87, 1.75),
    (1.2, 50): (2.66, 2.44, 2.44, 1.80, 1.65, 5.66, 6.66, 2.43),
    (1.0, 50): (3.61, 3.33, 3.32, 2.44, 2.24, 13.0, 14.9, 3.30),
    (0.8, 50): (5.72, 5.28, 5.27, 3.85, 3.53, 37.8, 42.4, 5.23),
    (0.725, 50): (7.34, 6.78, 6.77, 4.93, 4.52, 60.6, 67.7, 6.69),
    (0.65, 50): (10.18, 9.40, 9.39, 6.83, 6.24, 101.3, 112.4, 9.24),
    (0.65, 29): (7.43, 6.81, 6.80, 5.10, 4.59, 73.07, 82.2, 6.62),
}
RUNS = {(run.noise_multiplier, run.epochs): run for run in kossen.RUNS}


def slack(figure: float, accountant: str) -> float:
    """±0.01 for RDP, ±0.02 for the rest; figures above 10 that were noted to one decimal: half of it more."""
    rounding = 0.05 if figure >= 10 and round(figure, 1) == figure else 0.0
    return (0.01 if accountant.startswith("RDP") else 0.02) + rounding


@pytest.mark.parametrize("key", [(2.0, 50), (0.65, 50), (0.65, 29)])
def test_the_paper_s_epsilon_is_found_and_the_released_loop_costs_more(key: tuple[float, int]) -> None:
    run, row = RUNS[key], TABLE[key]
    accounted = rdp_cost(kossen.as_accounted(run), kossen.DELTA)
    assert accounted.epsilon == pytest.approx(row[0], abs=0.01)
    assert accounted.epsilon == pytest.approx(run.printed, abs=0.05)
    assert rdp_cost(kossen.released(run), kossen.DELTA).epsilon == pytest.approx(row[6], abs=slack(row[6], "RDP"))
    assert cost(kossen.fresh(run), kossen.DELTA).epsilon == pytest.approx(row[4], abs=0.02)


def test_the_central_limit_understates() -> None:
    run = RUNS[0.65, 29]
    limit = kossen.gdp_cost(run)
    assert limit.epsilon == pytest.approx(6.62, abs=0.02)
    assert limit.epsilon < cost(kossen.as_accounted(run), kossen.DELTA).epsilon
    assert "never reported" in str(limit)


@pytest.mark.slow
@pytest.mark.parametrize("key", TABLE)
def test_every_row_of_the_table_is_reproduced(key: tuple[float, int]) -> None:
    for figure, expected in zip(kossen.figures(RUNS[key]), TABLE[key], strict=True):
        assert figure.cost is not None
        assert figure.cost.epsilon == pytest.approx(expected, abs=slack(expected, figure.cost.accountant))
        assert (figure.cost.unit, figure.cost.delta) == (Unit.PATCH, 1 / 41_000)


def test_a_patient_of_one_patch_pays_as_a_patch_and_one_of_many_far_more() -> None:
    steps = kossen.fresh(RUNS[0.65, 29])
    one = group_cost(1, steps, kossen.DELTA)
    assert one.epsilon == cost(steps, kossen.DELTA).epsilon
    assert one.unit is Unit.PATIENT
    many = group_cost(1000, steps, kossen.DELTA).epsilon
    assert many == pytest.approx(2.2e5, rel=0.01)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("patches", "fresh", "reused"), [(1, 4.59, 73.07), (10, 92, 728), (100, 4.0e3, 1.14e4), (1000, 2.2e5, 2.8e5)]
)
def test_every_group_figure_is_reproduced(patches: int, fresh: float, reused: float) -> None:
    run = RUNS[0.65, 29]
    assert group_cost(patches, kossen.fresh(run), kossen.DELTA).epsilon == pytest.approx(fresh, rel=0.01)
    assert group_cost(patches, kossen.released(run), kossen.DELTA).epsilon == pytest.approx(reused, rel=0.01)


def test_tables_and_csv_say_what_every_epsilon_means(tmp_path: Path) -> None:
    run = RUNS[2.0, 50]
    figures = [kossen.Figure("as accounted", rdp_cost(kossen.as_accounted(run), kossen.DELTA))]
    figures += [kossen.Figure("as accounted", None), *([figures[0]] * 6)]
    group = group_cost(1, kossen.fresh(run), kossen.DELTA)
    console = Console(record=True, width=200)
    console.print(runs_table([(run, figures)]), groups_table([(1, group, group)]))
    text = console.export_text()
    assert all(part in text for part in ("unit: patch", "unit: patient", "1/41000", "add/remove", "not priced"))
    assert "never reported" in text
    write_csv(tmp_path / "figures.csv", [(run, figures)], run, [(1, group, group)])
    with (tmp_path / "figures.csv").open(encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == 10
    priced = [line for line in lines if line["epsilon"] != "not priced"]
    assert len(priced) == 9
    for line in priced:
        assert math.isfinite(float(line["epsilon"]))
        assert all(line[key] for key in ("delta", "unit", "relation", "accountant"))


def test_the_command_explains_itself_without_computing() -> None:
    shown = CliRunner().invoke(study, ["kossen-accounting", "--help"])
    assert shown.exit_code == 0
    assert "--csv" in shown.output


def test_the_command_prints_tables_and_reasons_and_writes_every_figure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cheap(run: kossen.Run) -> Iterator[kossen.Figure]:
        yield from [
            kossen.Figure("as accounted", rdp_cost(kossen.as_accounted(run), kossen.DELTA))
        ] * kossen.READINGS

    monkeypatch.setattr(kossen, "figures", cheap)
    monkeypatch.setattr(command, "PATCHES_PER_PATIENT", (1,))
    shown = CliRunner().invoke(study, ["kossen-accounting", "--csv", str(tmp_path / "out.csv")])
    assert shown.exit_code == 0, shown.output
    assert "One batch was reused for five critic updates" in shown.stdout
    assert "unit: patch" in shown.stdout
    assert "unit: patient" in shown.stdout
    lines = (tmp_path / "out.csv").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 1 + len(kossen.RUNS) * kossen.READINGS + 2

"""Tables of studies: one description, three ways to read it; values by hand."""

import csv
import doctest

import numpy as np
import pytest
from rich.console import Console

from shared.evaluation.bootstrap import Interval
from simulations.studies import papers, tables
from simulations.studies.tables import Column, Spread, Table, csv_text, markdown, terminal

TABLE = Table(
    "name",
    "A | title",
    (Column("row"), Column("Dice", 3), Column("minus public", 3, signed=True), Column("hours", 0)),
    (
        ("real | ceiling", Spread(0.75, 0.0125), Interval(0.0625, -0.125, 0.25), 1234.4),
        ("public", 0.5, None, None),
    ),
    ("a note",),
)


def test_the_example_in_the_module_holds() -> None:
    assert doctest.testmod(tables).failed == 0


def test_markdown_by_hand() -> None:
    assert markdown(TABLE) == (
        "**A | title**\n\n"
        "| row | Dice | minus public | hours |\n"
        "|---|--:|--:|--:|\n"
        "| real \\| ceiling | 0.750 ± 0.013 | +0.062 (-0.125 to +0.250) | 1,234 |\n"
        "| public | 0.500 | – | – |\n"
        "\n- a note\n"
    )


def test_csv_by_hand_has_every_digit_and_a_column_for_each_part_that_occurs() -> None:
    rows = list(csv.DictReader(csv_text(TABLE).splitlines()))
    assert rows == [
        {
            "row": "real | ceiling",
            "Dice": "0.75",
            "Dice: SD": "0.0125",
            "minus public": "0.0625",
            "minus public: low": "-0.125",
            "minus public: high": "0.25",
            "hours": "1234.4",
        },
        {
            "row": "public",
            "Dice": "0.5",
            "Dice: SD": "",
            "minus public": "",
            "minus public: low": "",
            "minus public: high": "",
            "hours": "",
        },
    ]


@pytest.mark.parametrize("width", [120, 60])
def test_a_terminal_shows_the_same_words_however_narrow(width: int) -> None:
    console = Console(record=True, width=width)
    console.print(terminal(TABLE, width))
    text = console.export_text()
    assert all(word in text for word in ("A | title", "0.750 ± 0.013", "+0.062 (-0.125 to +0.250)", "1,234"))
    assert ("–" in text) == (width == 120)  # a list leaves out what there is not


def test_a_row_that_does_not_fit_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="not 1 values"):
        Table("t", "", (Column("one"),), (("a", "b"),))


def test_spread_by_hand() -> None:
    assert Spread.of([1.0, 2.0, 3.0]) == Spread(2.0, 1.0)
    assert Spread.of(np.array([4.0])) == Spread(4.0, 0.0)


def test_a_single_value_claims_no_spread() -> None:
    table = Table("t", "Of one seed", (Column("Dice", 2),), ((Spread.of([0.5]),),))
    assert "| 0.50 |" in markdown(table)


def test_the_papers_figures_are_those_printed() -> None:
    """Against the sentences of the thesis that state the best of each."""
    assert papers.FID_2D["wgan-gp-sn"] == Spread(37.01, 0.22)
    assert papers.DICE_2D["wgan-gp-sn"] == Spread(0.848, 0.007)
    assert papers.DICE_2D_SECOND["wgan-gp-sn"] == Spread(0.875, 0.010)
    assert papers.DICE_3D["intracranial", "held-out"]["c-sn-mp"] == Spread(0.841, 0.016)
    assert papers.BAVD_3D["intracranial", "held-out"]["c-sn-mp"] == Spread(0.508, 0.083)
    assert papers.DICE_DP["best"] == Spread(0.75, 0.04)
    # "Using mixed precision improved the memory efficiency by approximately 40 %", "increased by 1.5 times"
    assert papers.MEMORY_3D["sn-mp"] / papers.MEMORY_3D["sn"] == pytest.approx(0.63, abs=0.01)
    assert papers.MEMORY_3D["c-sn-mp"] / papers.MEMORY_3D["sn"] == pytest.approx(1.5, abs=0.02)

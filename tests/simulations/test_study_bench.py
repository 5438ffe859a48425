"""What a study leaves behind says what its figures are."""

from pathlib import Path

from simulations.evaluate import SIMULATION_ONLY
from simulations.studies.bench import Findings, keep
from simulations.studies.tables import Column, Table


def test_a_table_says_what_an_epsilon_in_it_means_and_that_it_is_a_simulation(tmp_path: Path) -> None:
    table = Table(
        "worth", "Worth", (Column("trained on"), Column("Dice", 2)), (("wgan, ε at most 8", 0.5),), ("x",)
    )
    keep(Findings((table,), {"worth.png": b"png"}), tmp_path, [])
    text = (tmp_path / "worth.md").read_text(encoding="utf-8")
    assert "- x\n" in text
    assert SIMULATION_ONLY in text
    assert "δ = 1e-05; unit: patient; add/remove; PLD" in text
    assert (tmp_path / "worth.png").read_bytes() == b"png"

"""The studies themselves: what their commands say, and each end to end at a size that only tries the machinery."""

import csv
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import pytest
from click.testing import CliRunner

from shared.recipes.catalogue import load
from shared.recipes.settings import Setting
from simulations.studies import (
    kossen_ch4,
    kossen_ch5,
    kossen_ch6,
    kossen_ch7,
    platscher,
    vessels_levers,
    vessels_utility,
)
from simulations.studies.bench import Bench, keep
from simulations.studies.cells import preload
from simulations.studies.cohorts import Hospitals
from simulations.studies.command import study
from simulations.studies.noise import epsilon_at
from simulations.studies.rows import PUBLIC, REAL, Row, Scale, Sizes
from tests.commands import willis

PNG = b"\x89PNG"
QUICK: dict[str, Setting] = {"steps": 1, "pretraining_steps": 2}
CHAPTERS = ("kossen-ch4", "kossen-ch5", "kossen-ch6", "kossen-ch7")
STUDIES = ("vessels-utility", "vessels-levers", *CHAPTERS, "platscher")


def silent(what: str, done: int, total: int) -> None:
    """Report nothing."""


def tiny(recipe: str) -> Scale:
    """Return sizes that take seconds."""
    if recipe == "perfusion-2d":
        return Scale(Hospitals(1, 6, 4, (64, 64, 8), 9, 3, kind="dsc"), 1, "small", recipe)
    if recipe == "translate-2d":  # whose patients do not all have a lesion
        people = Hospitals(1, 6, 6, (64, 64, 16), kind="dwi")
        return Sizes(people, seeds=1, pairs=3, size=(64, 64, 16), steps=2, recipe=recipe)
    hospitals = Hospitals(1, 3, 2, (48, 48, 16), second_learning=1, second_testing=1)
    if recipe == "vessels-3d":
        return Sizes(hospitals, seeds=2, pairs=6, size=(32, 32, 16), steps=2, recipe=recipe)
    return Sizes(hospitals, seeds=2, pairs=70, size=(64, 64), steps=2)


def rows_of(study_of: ModuleType) -> Sequence[Row]:
    """Return a few rows of each kind that a study has."""
    dp_wgan = epsilon_at(0.65, load("vessels-2d", "dp-wgan", "small"), 1)
    private = Row("wgan-eps8", "wgan, ε at most 8", "wgan", 8.0, 1, {"steps": 1})
    chosen: dict[ModuleType, Sequence[Row]] = {
        vessels_utility: (
            Row("private-eps8", "private, ε at most 8", "private", 8.0, 1, {"phantoms": 20}),
            Row("dp-wgan", "dp-wgan, σ = 0.65", "dp-wgan", dp_wgan, 1),
        ),
        kossen_ch4: (Row("wgan-gp-sn", "wgan-gp-sn, not private", "wgan-gp-sn", None, 1, QUICK), private),
        kossen_ch5: (
            Row("gp", "gp, not private", "gp", None, 1, QUICK),
            Row("private-eps8", "private, ε at most 8", "private", 8.0, 1, QUICK),
        ),
        kossen_ch6: (
            Row("dp-wgan-noise-free", "dp-wgan, noise-free", "dp-wgan", None, 1),
            Row("dp-wgan-0.65", "dp-wgan, σ = 0.65", "dp-wgan", dp_wgan, 1),
            private,
        ),
        vessels_levers: (private,),
        platscher: (
            Row("pix2pix-10", "pix2pix, λ = 10", "pix2pix", None, 1, QUICK),
            Row("private", "private pix2pix, ε at most 8", "pix2pix", 8.0, 1, QUICK),
        ),
        kossen_ch7: (
            Row("taught-temporal", "temp-pix2pix, of the teacher's maps", "temp-pix2pix", None, 1, QUICK),
            Row("temporal", "temp-pix2pix", "temp-pix2pix", None, 1, QUICK),
            Row("private", "private temp-pix2pix, ε at most 8", "temp-pix2pix", 8.0, 1, QUICK),
        ),
    }
    return chosen[study_of] if study_of in (platscher, kossen_ch7) else (REAL, PUBLIC, *chosen[study_of])


@pytest.mark.slow
@pytest.mark.parametrize(
    "study_of", [vessels_utility, vessels_levers, kossen_ch4, kossen_ch5, kossen_ch6, kossen_ch7, platscher]
)
def test_a_study_from_end_to_end_and_again(
    study_of: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platscher, "ROUNDS", {"small": (1, 1)})
    monkeypatch.setattr(vessels_levers, "PATIENTS", ())  # each would take a minute
    monkeypatch.setattr(kossen_ch7, "TUNING", {"small": 1})
    monkeypatch.setattr(kossen_ch7, "TUNING_RATE", {"small": 1.0})
    preload(study_of.__name__)
    sizes = tiny(study_of.SIZES["small"].recipe)
    bench = Bench(tmp_path, 2, silent)
    findings, done = study_of.run(bench, sizes, rows_of(study_of))
    keep(findings, tmp_path, done)
    for table in findings.tables:
        lines = list(csv.DictReader((tmp_path / f"{table.name}.csv").read_text(encoding="utf-8").splitlines()))
        assert len(lines) == len(table.rows)
        text = (tmp_path / f"{table.name}.md").read_text(encoding="utf-8")
        for line in text.splitlines():
            if "ε = " in line:
                assert all(word in line for word in ("δ", "unit: ", "add/remove", "PLD"))
    assert all((tmp_path / name).read_bytes().startswith(PNG) for name in findings.figures)
    results = sorted((tmp_path / "cells").glob("*.json"))
    stamps = [path.stat().st_mtime_ns for path in results]
    again, _ = study_of.run(bench, sizes, rows_of(study_of))
    assert again == findings
    assert [path.stat().st_mtime_ns for path in results] == stamps


def test_the_list_of_studies_is_not_cut_off() -> None:
    shown = CliRunner().invoke(study, ["--help"]).output
    assert all(name in shown for name in (*STUDIES, "kossen-accounting"))
    assert "..." not in shown.split("Commands:")[1]


@pytest.mark.parametrize("name", STUDIES)
def test_a_study_explains_what_it_writes_and_how_to_go_on(name: str) -> None:
    shown = CliRunner().invoke(study, [name, "--help"])
    assert shown.exit_code == 0
    assert all(
        words in shown.output for words in ("Example:", "OUT", "Interrupt", "--jobs", "--seeds", "phantoms")
    )


def test_a_folder_that_holds_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").touch()
    outcome = willis("study", "vessels-utility", tmp_path)
    assert "holds something else than a study; name a new folder" in outcome.sentence()
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]

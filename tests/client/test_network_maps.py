"""`willis perfusion --network`: a network's maps, what the sidecar says of it, what it cannot be used with."""

import json
from pathlib import Path

import numpy as np
import pytest

from shared.imaging import nifti
from shared.imaging.scan import Role
from shared.recipes.catalogue import load
from shared.recipes.network_file import About, network_bytes
from shared.recipes.settings import Setting
from shared.recipes.wasserstein import SMOOTHED
from tests.cohorts import add_perfusion_patient, file_of
from tests.commands import willis

CLAIM = "ε = 7.90 (δ = 1e-05; unit: patient; add/remove; PLD, dp-accounting)"


def network(path: Path, settings: dict[str, Setting], recipe: str = "perfusion-2d") -> Path:
    """Write an untrained network."""
    made = load(recipe, None, "small", settings=settings)
    about = About(
        run="e" * 16,
        recipe=recipe,
        variant=made.variant,
        preset="small",
        settings=settings,
        private=True,
        claim=CLAIM,
        ledger={"size": 9, "root": "0" * 64},
    )
    path.write_bytes(network_bytes(made.build(3)[SMOOTHED], about))
    return path


@pytest.fixture
def series(tmp_path: Path) -> Path:
    add_perfusion_patient(tmp_path / "site", "sub-1", 1)
    return file_of(tmp_path / "site", "sub-1", Role.DSC)


def test_a_network_draws_the_maps_and_the_sidecar_says_what_it_cost(series: Path, tmp_path: Path) -> None:
    file = network(tmp_path / "n.safetensors", {})
    mask = file_of(tmp_path / "site", "sub-1", Role.BRAIN)
    outcome = willis("perfusion", series, tmp_path / "out", "--network", file, "--mask", mask, "--align")
    assert outcome.status == 0, outcome
    brain = nifti.read(mask)[0] > 0
    for role in (Role.CBF, Role.CBV, Role.MTT, Role.TMAX, Role.TTP):
        drawn, affine = nifti.read(tmp_path / "out" / f"{role.value}.nii.gz")
        assert drawn.shape == brain.shape
        assert np.array_equal(affine, nifti.read(mask)[1])
        assert (drawn[~brain] == 0).all()
        assert drawn[brain].std() > 0
    told = json.loads((tmp_path / "out" / "perfusion.json").read_text())
    assert told["network"]["claim"] == CLAIM
    assert len(told["network"]["sha256"]) == 64
    assert told["mismatch"]["core_ml"] is None
    assert told["alignment"]["largest_translation_mm"] >= 0
    assert CLAIM in " ".join(outcome.said)
    assert outcome.said[-2] == told["disclaimer"] == "Research use only; not for diagnosis."
    assert (tmp_path / "out" / "report.png").stat().st_size > 0


def test_a_network_of_one_map_draws_one_and_reads_nothing_out(series: Path, tmp_path: Path) -> None:
    file = network(tmp_path / "n.safetensors", {"map": "cbv"})
    assert willis("perfusion", series, tmp_path / "out", "--network", file).status == 0
    assert {path.name for path in (tmp_path / "out").glob("*.nii.gz")} == {"cbv.nii.gz", "brain.nii.gz"}
    assert json.loads((tmp_path / "out" / "perfusion.json").read_text())["mismatch"] is None


def test_a_network_of_another_recipe_or_with_an_artery_is_refused(series: Path, tmp_path: Path) -> None:
    other = network(tmp_path / "o.safetensors", {}, "translate-2d")
    sentence = willis("perfusion", series, tmp_path / "out", "--network", other).sentence()
    assert "a network of recipe translate-2d; one of perfusion-2d is needed" in sentence
    mine = network(tmp_path / "n.safetensors", {})
    both = willis("perfusion", series, tmp_path / "out", "--network", mine, "--aif", 1, 1, 1)
    assert both.status == 2
    assert "looks for no artery" in " ".join(both.complained)
    assert not (tmp_path / "out").exists()

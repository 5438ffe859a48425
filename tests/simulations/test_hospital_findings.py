"""Patients of a hospital differ: in what they have, and in how well the scan went."""

import numpy as np
import pytest

from simulations.hospitals.artefacts import spoil
from simulations.hospitals.findings import OCCLUDED, Findings, findings, protocol
from simulations.hospitals.grid import make_grid
from simulations.hospitals.pathology import diseased
from simulations.hospitals.site import site_profile
from simulations.hospitals.stenosis import DOWNSTREAM
from simulations.hospitals.tof import tree_of

GRID = make_grid((96, 96, 48), (1.0, 1.0, 1.0), np.zeros(3))
HEALTHY = Findings()
TREE = next(tree_of(seed, 0) for seed in range(50) if findings(seed, 0).occluded == "")


def rng() -> np.random.Generator:
    return np.random.default_rng(3)


def picture() -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.full(GRID.shape, 0.4, np.float32)


def test_findings_follow_from_the_patient_alone() -> None:
    assert findings(7, 2) == findings(7, 2)
    assert len({findings(seed, 2) for seed in range(20)}) == 20


def test_each_finding_is_seen_in_some_patients_and_not_in_most() -> None:
    """A handful of patients must not show all there is, or more patients would teach nothing."""
    everyone = [findings(seed, 1) for seed in range(400)]
    for name in ("occluded", "aneurysm", "agent", "mass", "metal", "ghost", "fold", "slow"):
        affected = np.mean([getattr(one, name) != getattr(HEALTHY, name) for one in everyone])
        assert 0.04 < affected < 0.35, name
    assert np.std([np.log(one.noise) for one in everyone]) == pytest.approx(0.4, abs=0.06)


def test_a_healthy_patient_is_left_as_is() -> None:
    assert diseased(rng(), TREE, HEALTHY) == TREE
    assert np.array_equal(spoil(rng(), picture(), GRID, HEALTHY), picture())
    assert protocol(site_profile(1), HEALTHY) == site_profile(1)


@pytest.mark.parametrize("closed", OCCLUDED)
def test_nothing_is_seen_downstream_of_an_occlusion(closed: str) -> None:
    segment, _, side = closed.partition("-")
    names = {b.name for b in diseased(rng(), TREE, Findings(occluded=closed))}
    assert closed not in names
    assert not {f"{below}-{side}" for below in DOWNSTREAM.get(segment, ())} & names
    assert any(name.endswith("-L" if side == "R" else "-R") for name in names)


def test_an_aneurysm_is_part_of_the_tree_and_as_wide_as_drawn() -> None:
    sac = diseased(rng(), TREE, Findings(aneurysm=4.0))[-1]
    assert sac.name == "aneurysm"
    assert 2.0 < sac.radius.max() <= 4.0


def test_slow_blood_dims_thin_arteries_and_no_others() -> None:
    slow = diseased(rng(), TREE, Findings(slow=0.5))
    for before, after in zip(TREE, slow, strict=True):
        assert after.flow == pytest.approx(before.flow * (0.5 if before.radius.mean() < 1.0 else 1.0))


def test_artefacts_change_what_they_should() -> None:
    bright = picture()
    bright[44:48, 44:48] = 1.0
    hole = spoil(rng(), bright.copy(), GRID, Findings(metal=10.0))
    assert hole.min() < 0.05
    assert hole.max() > 1.0 - 1e-6
    ghosts = spoil(rng(), bright.copy(), GRID, Findings(ghost=0.3))
    assert (bright[46, :, 10] > bright[0, :, 10] + 0.02).sum() == 4
    assert (ghosts[46, :, 10] > ghosts[0, :, 10] + 0.02).sum() > 4  # copies lie where there was none
    folded = spoil(rng(), bright.copy(), GRID, Findings(fold=0.25))
    assert np.all(folded[:, :24] > bright[:, :24])
    assert np.array_equal(folded[:, 24:], bright[:, 24:])

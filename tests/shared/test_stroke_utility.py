"""Stroke cases judged: cases that show the lesion teach more than cases that do not; counts are of patients."""

import numpy as np
import pytest

from shared.errors import UsageError
from shared.evaluation.lesion_segmentation import Cases
from shared.evaluation.stroke_utility import TESTING, Row, compare, teachable
from shared.imaging.scan import Role, Scan


def case(seed: int, *, lesion: bool = True, visible: bool = True) -> Scan:
    """Return a noisy ball of a head, 32 x 32 x 8, with a brighter cube where there is a lesion to be seen."""
    rng = np.random.default_rng(seed)
    head = np.linalg.norm(np.indices((32, 32, 8)) - np.array([15.5, 15.5, 3.5])[:, None, None, None], axis=0) < 14
    mask = np.zeros(head.shape, np.float32)
    i, j, k = rng.integers((8, 8, 1), (18, 18, 4))
    if lesion:
        mask[i : i + 6, j : j + 6, k : k + 4] = 1
    image = head * (100 + 8 * rng.standard_normal(head.shape)) + 200 * visible * mask * head
    return Scan({Role.DWI: image.clip(0).astype(np.float32), Role.LESION: mask * head}, np.diag([4.0, 4, 8, 1]))


def cases(*, visible: bool) -> Cases:
    return np.stack(teachable([case(seed, visible=visible) for seed in range(8)], "these"))


def judged(steps: int, heard: list[str]) -> list[Row]:
    """Return what cases with and without a visible lesion taught; two of six patients have none."""
    shown, hidden = cases(visible=True), cases(visible=False)
    return compare(
        {"shown": lambda seed: shown, "hidden": lambda seed: hidden},
        {f"p{seed}": lambda seed=seed: [case(100 + seed, lesion=seed > 1)] for seed in range(6)},  # type: ignore[misc]
        steps=steps,
        repeats=2,
        seed=3,
        on_step=heard.append,
    )


def test_every_kind_is_trained_and_judged_as_often_and_patients_without_a_lesion_count_for_alarms_alone() -> None:
    heard: list[str] = []
    rows = judged(1, heard)
    assert (heard.count("shown"), heard.count("hidden"), heard.count(TESTING)) == (2, 2, 6)
    for row in rows:
        assert row.cases == 8
        assert row.dice.shape == (2, 4)
        assert row.alarmed[1] == 2 * 2


@pytest.mark.slow
def test_cases_that_show_the_lesion_are_worth_more() -> None:
    shown, hidden = judged(100, [])
    assert shown.dice.mean() > 0.6
    assert shown.sensitivity > 0.9
    assert shown.minus(hidden, 0).low > 0


def test_what_cannot_be_judged_is_refused() -> None:
    shown = cases(visible=True)
    with pytest.raises(UsageError, match="0 held-out patients with a lesion"):
        compare({"shown": lambda seed: shown}, {"p": lambda: [case(1, lesion=False)]}, steps=1, repeats=1, seed=0)
    with pytest.raises(UsageError, match="these: none has enough lesion"):
        teachable([case(1, lesion=False)], "these")
    small = case(2)
    cut = Scan({role: voxels[:28] for role, voxels in case(3).volumes.items()}, small.affine)
    with pytest.raises(UsageError, match="different shapes"):
        teachable([small, small, cut, case(4)], "these")

"""Figures of studies: whatever generators give can be drawn, and the same numbers give the same bytes."""

import numpy as np
import pytest
from matplotlib.image import imread

from simulations.studies.figures import Curve, Panel, curves, dots, sample_grid

PNG = b"\x89PNG"


def panels() -> list[Panel]:
    """Return two panels, one with a level and a curve of a paper."""
    ours = Curve("ours", (1.0, 3.0), (0.5, 0.6), (0.1, 0.05))
    return [
        Panel("Dice", "Dice", [ours, Curve("paper", (1.0,), (0.9,), published=True)], {"free": 0.4}),
        Panel("FID", "FID", [ours]),
    ]


@pytest.mark.parametrize("log_x", [True, False])
def test_the_same_numbers_give_the_same_picture(log_x: bool) -> None:
    first, again = (curves(panels(), "ε", log_x=log_x) for _ in range(2))
    assert first == again
    assert first.startswith(PNG)


@pytest.mark.parametrize("label", [-1.0, 1.0, 0.5])
def test_a_grid_takes_labels_that_are_empty_or_full_and_images_that_are_flat(label: float) -> None:
    pairs = np.full((3, 2, 16, 16), -1.0, np.float32)
    pairs[:, 1] = label
    mixed = pairs.copy()
    mixed[:, 1, :8] = -label
    drawn = sample_grid({"flat": pairs, "mixed": mixed}, "what the names mean")
    assert drawn == sample_grid({"flat": pairs, "mixed": mixed}, "what the names mean")
    assert drawn.startswith(PNG)


def test_more_rows_make_a_taller_picture(tmp_path_factory: pytest.TempPathFactory) -> None:
    heights = []
    for count in (1, 6):
        rows = {f"row {n}": np.array([[0.1, 0.2], [0.3, 0.4]]) for n in range(count)}
        path = tmp_path_factory.mktemp("dots") / "dots.png"
        path.write_bytes(dots(rows, "Dice", "title"))
        heights.append(imread(path).shape[0])
    assert heights[1] > heights[0]

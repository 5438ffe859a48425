"""A network put to any image: turned and resampled to what it knows, and its outline put back in place."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from shared.evaluation.lesion_outline import outline, outline_figure, slices_of
from shared.imaging.orientation import ras_spacing
from shared.imaging.scan import Role, Scan

SPACING = (3.0, 3.0, 6.0)


class Bright(nn.Module):
    """Outlines what is brighter than 0.6, and remembers what shape it was shown."""

    def forward(self, images: Tensor) -> Tensor:
        self.shape = tuple(images.shape[2:])
        return images - 0.6


def ball(shape: tuple[int, int, int], affine: np.ndarray) -> Scan:
    """Return a dim head with a bright ball of 15 mm about (20, -10, 0) mm."""
    voxels = np.stack([*np.indices(shape), np.ones(shape)]).reshape(4, -1)
    points = (affine @ voxels)[:3].reshape(3, *shape)
    inside = np.linalg.norm(points - np.array([20.0, -10, 0])[:, None, None, None], axis=0) < 15
    return Scan({Role.DWI: np.where(inside, 900.0, 400.0).astype(np.float32)}, affine)


def centred(edges: tuple[float, float, float], shape: tuple[int, int, int], turn: np.ndarray) -> np.ndarray:
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.diag(edges)
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return affine


TURNS = {
    "right, front, up": np.eye(3),
    "left, back, up": np.diag([-1.0, -1, 1]),
    "up first": np.eye(3)[[1, 2, 0]],
}


@pytest.mark.parametrize("turn", TURNS)
def test_the_outline_lies_where_the_lesion_is_whatever_the_axes(turn: str) -> None:
    shape, edges = (64, 60, 40), (2.0, 2.0, 2.5)
    scan = ball(shape, centred(edges, shape, TURNS[turn]))
    network = Bright()
    found = outline(network, scan, SPACING)
    truth = scan.volumes[Role.DWI] > 600
    assert found.shape == truth.shape
    assert 2 * (found & truth).sum() / (found.sum() + truth.sum()) > 0.85
    turned = np.array(shape)[np.argmax(np.abs(TURNS[turn]), axis=1)] * ras_spacing(scan.affine)
    shown = np.ceil(np.round(turned / SPACING) / 16) * 16
    assert network.shape == tuple(shown.astype(int))


def test_spacing_follows_the_axes() -> None:
    assert ras_spacing(centred((1.0, 2.0, 3.0), (4, 4, 4), np.eye(3)[[1, 2, 0]])).tolist() == [2.0, 3.0, 1.0]


def test_slices_shown_are_of_brain_and_have_the_fullest_outline() -> None:
    image = np.zeros((4, 4, 40), np.float32)
    image[:, :, 10:30] = 1
    inside = np.zeros(image.shape, bool)
    inside[:2, :2, 17], inside[0, 0, 16] = True, True
    shown = slices_of(image, inside)
    assert 17 in shown
    assert shown == sorted(shown)
    assert min(shown) >= 10
    assert max(shown) < 30


def test_a_figure_is_made_of_empty_and_full_outlines() -> None:
    scan = ball((16, 16, 8), np.diag([6.0, 6, 12, 1]))
    nothing = np.zeros(scan.shape, bool)
    figure = outline_figure({"none": (scan, nothing), "all": (scan, ~nothing)}, "a note")
    assert figure.startswith(b"\x89PNG")
    torch.manual_seed(0)  # a figure draws nothing at random
    assert figure == outline_figure({"none": (scan, nothing), "all": (scan, ~nothing)}, "a note")

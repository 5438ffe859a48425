"""The space in which patients and synthetic cases are compared."""

import numpy as np
import pytest
import torch
from torch import Tensor

from shared.errors import UsageError
from shared.evaluation.nearness import bin_of, image_vectors, least_distance, mask_vectors, mirrored, public_edges


def images(count: int, seed: int = 0) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal((count, 64, 64)).astype(np.float32))


def test_a_copy_is_at_no_distance_whatever_its_brightness_contrast_and_side() -> None:
    mine = images(5)
    copy = 0.3 * mine[2:3].flip(1) + 0.6
    assert float(least_distance(image_vectors(mirrored(mine, axes=[1])), image_vectors(copy))) == pytest.approx(
        0, abs=1e-6
    )


def test_unrelated_images_are_far() -> None:
    assert float(least_distance(image_vectors(images(5)), image_vectors(images(3, seed=1)))) > 0.5


def test_masks_are_compared_by_their_overlap() -> None:
    one, other = torch.zeros(2, 32, 32, 32)
    one[:4, :4, :4], other[:4, :4, :8] = 1, 1
    distance = least_distance(mask_vectors(one[None]), mask_vectors(other[None]))
    assert float(distance) == pytest.approx(1 - 64 / (64 * 128) ** 0.5)  # shared over the geometric mean (Ochiai)


def test_mirror_images_are_those_along_every_combination_of_axes() -> None:
    grid = torch.arange(8.0).reshape(1, 2, 2, 2)
    turned = mirrored(grid, axes=[1, 2, 3])
    assert torch.equal(turned[:1], grid)
    assert len({tuple(one.flatten().tolist()) for one in turned}) == 8


@pytest.mark.parametrize("records", [torch.zeros(0, 64, 64), torch.zeros(2, 64, 64), torch.full((1, 64, 64), 3.0)])
def test_who_has_nothing_to_compare_is_at_distance_one(records: Tensor) -> None:
    assert float(least_distance(image_vectors(records), image_vectors(images(3)))) == 1


def test_what_is_not_a_number_is_farthest() -> None:
    edges = torch.tensor([0.1, 0.2])
    assert [bin_of(torch.tensor(d), edges) for d in (0.0, 0.1, 0.19, 0.2, 1.5, float("nan"))] == [0, 1, 1, 2, 2, 2]


def test_bins_come_from_the_nearest_public_phantom() -> None:
    assert public_edges([0.5, 0.25, 0.75]).tolist() == [0.125, 0.25]


def test_a_data_set_that_holds_a_phantom_has_no_bins() -> None:
    with pytest.raises(UsageError, match="public phantom"):
        public_edges([0.5, 0.0])

"""The U-Net of stroke lesions: the paper's size, labels that move with images, learning again from a seed."""

import numpy as np
import pytest
import torch
from torch import nn

from shared.errors import UsageError
from shared.evaluation import lesion_segmentation
from shared.evaluation.lesion_segmentation import (
    Cases,
    Judging,
    augmented,
    can_teach,
    case_of,
    cut,
    segment,
    train,
)
from shared.imaging.scan import Role, Scan
from shared.models.lesion_unet import PAPER_WIDTHS, LesionUnet

TINY = Judging((2, 4), 2)


def cases(n: int = 3) -> Cases:
    """Return images of noise with a bright box, and the box as the lesion."""
    rng = np.random.default_rng(0)
    made = rng.uniform(0, 0.4, (n, 2, 16, 16, 4)).astype(np.float32)
    made[:, 1] = 0
    for number in range(n):
        made[number, :, 4 + number : 9 + number, 3:8, 1:3] = 1
    return made


def test_the_network_has_the_weights_of_the_paper() -> None:
    counted = LesionUnet(PAPER_WIDTHS)
    norms = sum(p.numel() for m in counted.modules() if isinstance(m, nn.BatchNorm3d) for p in m.parameters())
    everything = sum(p.numel() for p in counted.parameters())
    assert everything == 5_647_857
    assert everything - norms == 5_644_913  # without any norm


def test_logits_have_the_shape_of_the_image() -> None:
    assert LesionUnet((2, 4, 6))(torch.rand(2, 1, 16, 16, 8)).shape == (2, 1, 16, 16, 8)


def test_lesions_move_with_images(monkeypatch: pytest.MonkeyPatch) -> None:
    image = torch.zeros(1, 2, 32, 32, 4)
    image[:, :, 6:14, 10:20, 1:3] = 1
    rng = torch.Generator().manual_seed(0)
    for _ in range(5):
        moved = augmented(image, rng)
        assert ((moved[:, 0] > 0.5) == (moved[:, 1] > 0.5)).all()
        assert not torch.equal(moved, image)
    for name in ("TURN_DEGREES", "SHIFT", "SHEAR"):
        monkeypatch.setattr(lesion_segmentation, name, 0.0)
    seen = [augmented(image, rng) for _ in range(12)]
    flipped = [torch.equal(one[:, 1], image.flip(2)[:, 1]) for one in seen]
    assert 0 < sum(flipped) < 12
    assert all(turned or torch.equal(one[:, 1], image[:, 1]) for one, turned in zip(seen, flipped, strict=True))


def test_training_repeats_itself_and_leaves_what_it_started_from() -> None:
    one, same = (train(cases(), 2, 7, TINY) for _ in range(2))
    weights = [weight.clone() for weight in one.parameters()]
    assert all(torch.equal(a, b) for a, b in zip(weights, same.parameters(), strict=True))
    tuned = train(cases(), 2, 7, TINY, one)
    assert all(torch.equal(a, b) for a, b in zip(weights, one.parameters(), strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(weights, tuned.parameters(), strict=True))


def test_segmentation_is_the_sign_of_the_logits() -> None:
    found = segment(nn.Sequential(_Minus(0.5)), cases()[0, 0] * 300)
    assert np.array_equal(found, cases()[0, 1] > 0)


class _Minus(nn.Module):
    def __init__(self, level: float) -> None:
        super().__init__()
        self._level = level

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images - self._level


def test_small_lesions_teach_nothing() -> None:
    scan = Scan(
        {Role.DWI: np.ones((8, 8, 4), np.float32), Role.LESION: np.zeros((8, 8, 4), np.float32)}, np.eye(4)
    )
    scan.volumes[Role.LESION].flat[:19] = 1
    assert not can_teach(case_of(scan))
    scan.volumes[Role.LESION].flat[19] = 1
    assert can_teach(case_of(scan))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (np.zeros((0, 2, 16, 16, 4), np.float32), "n > 0"),
        (np.zeros((1, 2, 16, 8, 4), np.float32), "edge, edge, k"),
        (np.zeros((1, 2, 15, 15, 4), np.float32), "multiples of 2"),
        (np.zeros((1, 2, 16, 16, 4), np.float32), "less than 20 voxels"),
    ],
)
def test_what_cannot_be_trained_on_is_refused(given: Cases, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        train(given, 1, 0, TINY)


def test_windows_hold_the_lesion_in_half_of_the_cases_and_keep_label_and_image_together() -> None:
    case = torch.zeros(40, 2, 64, 64, 4)
    case[:, :, 2:4, 60:62] = 1
    seen = cut(case, 16, torch.Generator().manual_seed(0))
    assert seen.shape == (40, 2, 16, 16, 4)
    assert torch.equal(seen[:, 0], seen[:, 1])
    with_lesion = int(seen[:, 1].flatten(1).any(dim=1).sum())
    assert 12 <= with_lesion <= 28

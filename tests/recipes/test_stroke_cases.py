"""Stroke cases: public heads, a lesion inside the brain, the number asked for, again from a seed."""

from collections.abc import Iterator
from itertools import repeat

import numpy as np
import pytest
import torch

from shared.errors import UsageError
from shared.imaging.anatomy import is_parenchyma
from shared.imaging.scan import Role
from shared.models.unet_translator import UnetSize, UnetTranslator
from shared.recipes.stroke_cases import Mask, stroke_cases

EDGE = 32
BALL = np.zeros((16, 16, 16), np.float32)
BALL[2:14, 2:14, 2:14] = 1
AFFINE = np.diag([4.0, 4.0, 4.0, 1.0])


def generator() -> UnetTranslator:
    torch.manual_seed(0)
    return UnetTranslator(UnetSize((4, 6, 6), 0.0))


def masks() -> Iterator[Mask]:
    return repeat((BALL, AFFINE))


def test_a_case_is_a_public_head_with_a_lesion_in_its_brain_and_an_image() -> None:
    cases = list(stroke_cases(masks(), generator(), EDGE, 2, 1))
    assert len(cases) == 2
    for case in cases:
        lesion = case.volumes[Role.LESION] > 0
        assert case.shape == (EDGE, EDGE, EDGE // 4)
        assert set(case.volumes) == {Role.DWI, Role.ANATOMY, Role.LESION}
        assert lesion.sum() >= 20
        assert is_parenchyma(case.volumes[Role.ANATOMY])[lesion].all()
        image = case.volumes[Role.DWI]
        assert image.min() >= 0
        assert image.max() <= 1
        assert image.std() > 0
    assert not np.array_equal(cases[0].volumes[Role.ANATOMY], cases[1].volumes[Role.ANATOMY])


def test_a_seed_gives_the_same_cases_and_translators_the_same_heads_and_lesions() -> None:
    other = UnetTranslator(UnetSize((4, 8, 8), 0.0))
    (one,), (same,), (differently,) = (
        list(stroke_cases(masks(), net, EDGE, 1, 5)) for net in (generator(), generator(), other)
    )
    for role in (Role.ANATOMY, Role.LESION):
        assert np.array_equal(one.volumes[role], same.volumes[role])
        assert np.array_equal(one.volumes[role], differently.volumes[role])
    assert np.array_equal(one.volumes[Role.DWI], same.volumes[Role.DWI])
    assert not np.array_equal(one.volumes[Role.DWI], differently.volumes[Role.DWI])


def test_masks_without_room_are_left_out_and_too_few_masks_are_said() -> None:
    speck = np.zeros((4, 4, 4), np.float32)
    speck[1, 1, 1] = 1  # 64 mm³: less than a voxel
    mixed = iter([(speck, AFFINE), (BALL, AFFINE)])
    assert len(list(stroke_cases(mixed, generator(), EDGE, 1, 1))) == 1
    with pytest.raises(UsageError, match="ran out after 0 of 1 cases"):
        list(stroke_cases(iter([(speck, AFFINE)]), generator(), EDGE, 1, 1))

"""Lesion distributions and contact sheets: what they count and draw, and that their bytes are repeatable."""

import io

import numpy as np
import pytest
from matplotlib.image import imread
from numpy.typing import NDArray

from shared.errors import UsageError
from shared.evaluation.contact_sheet import OUTLINE, contact_sheet, projection_sheet
from shared.evaluation.lesion_distributions import (
    LesionSummary,
    chance_distance,
    compare,
    distribution_figure,
    summarise,
)


def decoded(png: bytes) -> NDArray[np.uint8]:
    return (imread(io.BytesIO(png)) * 255).round().astype(np.uint8)[:, :, :3]


def summary(volumes: list[float]) -> LesionSummary:
    return LesionSummary(np.array(volumes), np.ones(len(volumes), dtype=np.int64))


def test_volume_and_components_of_known_masks() -> None:
    two = np.zeros((8, 8, 8), dtype=bool)
    two[0:2, 0:2, 0:2] = two[5, 5, 5] = True
    joined = two.copy()
    joined[2, 2, 2] = joined[3, 3, 3] = joined[4, 4, 4] = True  # a chain that touches at corners
    found = summarise([two, joined, np.zeros_like(two)], voxel_ml=0.064)
    assert found.volumes_ml.tolist() == pytest.approx([9 * 0.064, 12 * 0.064, 0])
    assert found.component_counts.tolist() == [2, 1, 0]
    assert found.median_components == 1
    assert found.single_share == pytest.approx(1 / 3)


def test_distance_is_zero_for_itself_and_one_without_overlap() -> None:
    small, large = summary([1.0, 2.0, 3.0]), summary([10.0, 20.0, 30.0])
    assert compare(small, small).volume == 0
    assert compare(small, large).volume == 1
    assert compare(small, large).components == 0
    assert compare(summary([1.0, 2.0, 3.0, 10.0]), small).volume == pytest.approx(0.25)


def test_chance_distance_is_what_chance_gives() -> None:
    rng = np.random.default_rng(0)
    samples = [(summary(list(rng.normal(size=60))), summary(list(rng.normal(size=40)))) for _ in range(400)]
    exceeded = np.mean([compare(a, b).volume > chance_distance(a, b) for a, b in samples])
    assert 0.02 < exceeded < 0.08


@pytest.mark.parametrize("masks", [[], [np.ones((4, 4), dtype=bool)]])
def test_no_masks_and_flat_masks_are_refused(masks: list[NDArray[np.bool_]]) -> None:
    with pytest.raises(UsageError, match="3D masks"):
        summarise(masks, 1.0)


def test_figures_are_the_same_bytes_for_the_same_data() -> None:
    populations = {"real": summary([1.0, 5.0, 9.0]), "empty": summary([0.0, 0.0])}
    figure = distribution_figure(populations, "phantoms")
    assert figure == distribution_figure(populations, "phantoms")
    assert decoded(figure).std() > 10
    changed = distribution_figure({"real": summary([1.0, 5.0, 90.0]), "empty": summary([0.0, 0.0])}, "phantoms")
    assert figure != changed
    assert figure != distribution_figure(populations, "patients")


def test_sheet_shows_each_image_beside_its_outlined_label() -> None:
    image = np.zeros((64, 64), dtype=np.float32)
    image[10, 50] = 1000  # i = 10: left; j = 50: near the top
    label = image > 0
    sheet = decoded(contact_sheet([(image, label)] * 3, columns=2))
    assert sheet.shape == (2 * 204 + 12, 2 * (192 * 2 + 4 + 12) + 12, 3)
    outline = np.argwhere((sheet[:204, :400] == OUTLINE).all(axis=2))
    assert len(outline) == 7 * 7 - 3 * 3  # two pixels around a voxel of three
    middle = (outline.mean(axis=0) - (12, 12 + 192 + 4)) / 3
    assert middle.tolist() == pytest.approx([64 - 50 - 1 + 1 / 3, 10 + 1 / 3])


def test_outline_hides_no_labelled_voxel() -> None:
    rng = np.random.default_rng(0)
    image, label = rng.normal(size=(64, 64)), rng.random((64, 64)) < 0.1
    sheet = decoded(contact_sheet([(image, label)]))
    plain, lined = sheet[12:204, 12:204], sheet[12:204, 208:400]
    inside = label.T[::-1].repeat(3, axis=0).repeat(3, axis=1)
    assert np.array_equal(plain[inside], lined[inside])
    assert not np.array_equal(plain, lined)


def test_sheets_are_the_same_bytes_for_the_same_cases() -> None:
    rng = np.random.default_rng(0)
    cases = [(rng.normal(size=(64, 64)), rng.random((64, 64)) < 0.1) for _ in range(3)]
    assert contact_sheet(cases) == contact_sheet(cases)
    constant = np.zeros((64, 64))
    assert decoded(contact_sheet([(constant, constant > 0)])).max() <= 24  # no contrast, no outline: dark


def test_projections_show_a_voxel_in_three_views() -> None:
    volume = np.zeros((32, 32, 32), dtype=np.float32)
    volume[4, 8, 16] = 0.5
    sheet = decoded(projection_sheet([volume]))
    places = np.argwhere(sheet[:, :, 0] > 100)
    assert len(places) == 3 * 6 * 6  # three views of a voxel six pixels wide
    assert sheet.max() in (127, 128)
    top = [32 - 1 - 16, 32 - 1 - 16, 32 - 1 - 8]  # third, third and second axis point upwards
    left = [8, 4, 4]
    for view in range(3):
        tile = places[(places[:, 1] >= 12 + view * 196) & (places[:, 1] < 12 + view * 196 + 192)]
        assert ((tile.min(axis=0) - (12, 12 + view * 196)) / 6).tolist() == [top[view], left[view]]


@pytest.mark.parametrize(
    "draw",
    [
        lambda: contact_sheet([]),
        lambda: contact_sheet([(np.zeros((4, 4)), np.zeros((4, 5)))]),
        lambda: contact_sheet([(np.zeros((4, 4)), np.zeros((4, 4)))], columns=0),
        lambda: projection_sheet([np.zeros((4, 4))]),
    ],
)
def test_what_cannot_be_drawn_is_refused(draw) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    with pytest.raises(UsageError):
        draw()

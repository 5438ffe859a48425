"""Contrast of lesions and intensities of tissues, on images whose voxels are known."""

import numpy as np
import pytest

from shared.evaluation.lesion_contrast import BINS, Kind, contrast, histograms
from shared.imaging.scan import Role, Scan


def scan(lesion: float) -> Scan:
    """Return white matter of 200, cortex of 300, fluid of 500, and in the white matter a lesion."""
    anatomy = np.zeros((20, 20, 4), np.float32)
    anatomy[2:12], anatomy[12:15], anatomy[15:18] = 2, 3, 24
    dwi = np.select([anatomy == 2, anatomy == 3, anatomy == 24], [200.0, 300.0, 500.0], 0.0).astype(np.float32)
    dwi[0, 0, 0] = 500
    mask = np.zeros_like(anatomy)
    mask[4:6, 4:6, :2] = 1
    dwi[mask > 0] = lesion
    return Scan({Role.DWI: dwi, Role.ANATOMY: anatomy, Role.LESION: mask}, np.eye(4))


@pytest.mark.parametrize(("lesion", "ratio"), [(400.0, 2.0), (200.0, 1.0), (100.0, 0.5)])
def test_contrast_is_the_lesion_over_the_brain_around_it(lesion: float, ratio: float) -> None:
    assert contrast(scan(lesion)) == pytest.approx(ratio)


def test_without_a_lesion_or_an_image_there_is_no_contrast() -> None:
    empty, black = scan(400.0), scan(400.0)
    empty.volumes[Role.LESION][:] = 0
    black.volumes[Role.DWI][:] = 0
    assert contrast(empty) is None
    assert contrast(black) is None


def test_every_voxel_of_a_tissue_is_counted_once() -> None:
    found = histograms(scan(400.0))
    assert {kind: int(counts.sum()) for kind, counts in found.items()} == {
        Kind.LESION: 8,
        Kind.WHITE: 10 * 80 - 8,
        Kind.GREY: 3 * 80,
        Kind.FLUID: 3 * 80,
    }
    assert found[Kind.LESION][int(0.8 * BINS) - 1 : int(0.8 * BINS) + 1].sum() == 8
    assert found[Kind.WHITE][int(0.4 * BINS) - 1 : int(0.4 * BINS) + 1].sum() == 792

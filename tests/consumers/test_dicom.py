"""A data set as DICOM says that it is synthetic, lies where the NIfTI files lie, and counts the same voxels."""

import json
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from shared.errors import UsageError
from tests.server.datasets import released

pytestmark = pytest.mark.consumers


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return released(tmp_path_factory.mktemp("run"), "strokes")


@pytest.fixture(scope="module")
def exported(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from server.dataset.dicom.writing import write_dicom

    out = tmp_path_factory.mktemp("out") / "dicom"
    assert write_dicom(dataset, out) == (2, 2)
    return out


def instances(folder: Path) -> list[Any]:
    from pydicom import dcmread

    return [dcmread(path) for path in sorted(folder.rglob("*.dcm"))]


def test_every_instance_says_that_it_is_synthetic_and_of_no_patient(exported: Path) -> None:
    found = instances(exported)
    assert len(found) == 2 * (4 + 1)
    for instance in found:
        assert (instance.SyntheticData, instance.PatientIdentityRemoved) == ("YES", "YES")
        assert str(instance.PatientName).startswith("SYNTHETIC")
    assert len({instance.SOPInstanceUID for instance in found}) == len(found)
    assert len({instance.StudyInstanceUID for instance in found}) == 2


def test_the_same_data_set_gives_the_same_bytes(dataset: Path, exported: Path, tmp_path: Path) -> None:
    from server.dataset.dicom.writing import write_dicom

    write_dicom(dataset, tmp_path / "again")
    files = [path.relative_to(exported) for path in exported.rglob("*.dcm")]
    assert all((tmp_path / "again" / name).read_bytes() == (exported / name).read_bytes() for name in files)


def test_segmentations_hold_the_masks_slice_by_slice(dataset: Path, exported: Path) -> None:
    for row in json.loads((dataset / "manifest.json").read_bytes()):
        case = row["participant_id"]
        mask = np.asarray(nib.load(dataset / row["files"]["label-lesion_mask"]).dataobj)
        (found,) = instances(exported / case)[-1:]
        slices = {str(s.SOPInstanceUID): k for k, s in enumerate(instances(exported / case / "dwi"))}
        frames = found.PerFrameFunctionalGroupsSequence
        assert int(found.pixel_array.sum()) == int(mask.sum()) == row["label_voxels"]["label-lesion_mask"]
        assert len(frames) == len(slices)
        for frame, pixels in zip(frames, found.pixel_array, strict=True):
            (source,) = frame.DerivationImageSequence[0].SourceImageSequence
            assert np.array_equal(pixels, mask[:, :, slices[source.ReferencedSOPInstanceUID]].T)


def test_images_keep_their_values_and_their_place(dataset: Path, exported: Path) -> None:
    row = json.loads((dataset / "manifest.json").read_bytes())[0]
    image = nib.load(dataset / row["files"]["dwi"])
    voxels = np.asarray(image.dataobj)
    slices = instances(exported / row["participant_id"] / "dwi")
    shown = [s.pixel_array * float(s.RescaleSlope) + float(s.RescaleIntercept) for s in slices]
    assert np.abs(np.stack(shown).transpose(2, 1, 0) - voxels).max() <= np.ptp(voxels) / 2**16
    for k, instance in enumerate(slices):
        # The voxel (3, 1, k) by DICOM's own rule (PS3.3 C.7.6.2.1.1), in millimetres to the left and back.
        origin = np.array(instance.ImagePositionPatient, float)
        across, down = np.array(instance.ImageOrientationPatient, float).reshape(2, 3)
        between_rows, between_columns = map(float, instance.PixelSpacing)
        place = origin + 3 * between_columns * across + 1 * between_rows * down
        right = (image.affine @ (3, 1, k, 1))[:3] * (-1, -1, 1)
        np.testing.assert_allclose(place, right, atol=1e-4)


def test_masks_alone_cannot_be_exported(tmp_path: Path) -> None:
    from server.dataset.dicom.writing import write_dicom

    masks = released(tmp_path / "run", "lesions")
    with pytest.raises(UsageError, match="labels without images"):
        write_dicom(masks, tmp_path / "out")
    assert not (tmp_path / "out").exists()

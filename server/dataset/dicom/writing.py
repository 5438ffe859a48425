"""A data set as DICOM: every image as an MR series, every mask as a segmentation (SEG) of it.

Each instance says that it is synthetic (0008,001C) and of no patient. Identifiers follow from the data set's
SHA256SUMS, so that the same data set gives the same bytes. DICOM's SEG refers to images, so masks alone cannot be
exported; series over time and anatomical maps are left out.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from highdicom.seg import segread
from pydicom import Dataset

from server.dataset.checking.verify import require_sound
from server.dataset.dicom.images import Series, mr_slices
from server.dataset.dicom.segments import segmentation
from server.dataset.files.cases import read_case
from server.dataset.files.manifest import listed_cases, name_of
from server.dataset.files.seal import SUMS, sha256
from server.dataset.files.training import channels
from shared.errors import PublicationRefused, UsageError
from shared.files import new_folder
from shared.imaging.scan import Role, Volume


def write_dicom(dataset: Path, out: Path) -> tuple[int, int]:
    """Write a data set as DICOM into the new folder `out`; return the number of series and of segmentations.

    Raises:
        PublicationRefused: the data set fails a check, or a file reads back differently.
        UsageError: its cases have no images, or `out` exists.
    """
    require_sound(dataset)
    seed, series, segmentations = sha256(dataset / SUMS), 0, 0
    with new_folder(out) as partial:
        for row in listed_cases(dataset):
            files = {Role(role): str(file) for role, file in row["files"].items()}
            if not channels(list(files)):
                raise UsageError(f"{dataset}: labels without images; DICOM's SEG must refer to one, use NIfTI")
            images, masks = _write_case(dataset, partial, str(row["participant_id"]), files, seed)
            series, segmentations = series + images, segmentations + masks
    return series, segmentations


def _write_case(dataset: Path, out: Path, name: str, files: Mapping[Role, str], seed: str) -> tuple[int, int]:
    scan = read_case(dataset, files)
    images, masks = channels(list(files)), [role for role in files if role.is_mask]
    shown: list[Dataset] = []
    for number, role in enumerate(images, start=1):
        series = Series(seed, name, name_of(role), number)
        slices = mr_slices(scan.volumes[role], scan.affine, series)
        for index, instance in enumerate(slices):
            _save(instance, out / name / series.kind / f"{index:04d}.dcm")
        shown = shown or slices
    for number, role in enumerate(masks, start=len(images) + 1):
        path = out / name / f"{name_of(role)}.dcm"
        _save(segmentation(scan.volumes[role], shown, Series(seed, name, name_of(role), number), role), path)
        _check_back(path, scan.volumes[role], shown)
    return len(images), len(masks)


def _save(instance: Dataset, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    instance.save_as(path, enforce_file_format=True)


def _check_back(path: Path, mask: Volume, slices: Sequence[Dataset]) -> None:
    """Read a segmentation back, slice by slice: frames have an order of their own.

    Raises:
        PublicationRefused: it has other voxels.
    """
    found = segread(path).get_pixels_by_source_instance([instance.SOPInstanceUID for instance in slices])
    if not np.array_equal(found[..., 0].transpose(2, 1, 0), mask):
        raise PublicationRefused(f"{path.name}: reads back differently; check the disk and export again")

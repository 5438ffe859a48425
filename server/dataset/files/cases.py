"""Synthetic cases as files: NIfTI named as `shared.imaging.case_names` says, and a manifest row for each case."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shared.canonical import Json
from shared.errors import PublicationRefused
from shared.evaluation.contact_sheet import contact_sheet, projection_sheet
from shared.imaging import nifti
from shared.imaging.case_names import SYNTHETIC, case_file
from shared.imaging.scan import Role, Scan
from shared.imaging.series import read_series, write_series

SHEET = "contact-sheet.png"
SHEET_CASES = 12  # on it: the first ones, not chosen ones
SHEET_COLUMNS = 3


@dataclass(frozen=True)
class Case:
    """What the manifest says of one case; file names are relative to the data set."""

    name: str
    files: dict[Role, str]
    shape: tuple[int, int, int]
    spacing: tuple[float, float, float]  # mm
    label_voxels: dict[Role, int]
    is_stripped: bool = False  # whether every image is 0 wherever its labels say that there is no brain

    def row(self) -> dict[str, Json]:
        """Return the manifest's entry."""
        return {
            "participant_id": self.name,
            "files": {role.value: file for role, file in self.files.items()},
            "shape": list(self.shape),
            "spacing_mm": [round(edge, 6) for edge in self.spacing],
            "label_voxels": {role.value: count for role, count in self.label_voxels.items()},
        }


def write_cases(
    folder: Path,
    scans: Iterable[Scan],
    *,
    prefix: str,
    description: str,
    comment: str = "",
    made: str = SYNTHETIC,
) -> list[Case]:
    """Write every scan as sub-PREFIXnnnn, one at a time, and a contact sheet of the first few.

    Every header says `description`, and `comment` at any length; `made` is what file names say of how volumes came
    about.

    Raises:
        PublicationRefused: there is no case, or one has voxels that are not finite, masks of other values
            than 0 and 1, labels above 255, volumes of different shapes, or a series without its timing.
    """
    cases, shown = [], []
    for number, scan in enumerate(scans, start=1):
        name = f"sub-{prefix}{number:04d}"
        files = {role: case_file(name, role, scan.volumes, made) for role in sorted(scan.volumes)}
        cases.append(described(name, files, scan))
        for role, file in files.items():
            _write(folder / file, role, scan, description, comment)
        if number <= SHEET_CASES:
            shown.append(scan)
    if not cases:
        raise PublicationRefused("there are no cases; ask for at least one sample")
    (folder / SHEET).write_bytes(sheet(shown))
    return cases


def described(name: str, files: Mapping[Role, str], scan: Scan) -> Case:
    """Return the case that a scan is, after checking its volumes.

    Raises:
        PublicationRefused: as `write_cases`.
    """
    for role in files:
        _check_volume(name, role, scan)
    affine = scan.affine.astype(np.float32).astype(np.float64)  # as a header holds it
    spacing = Scan(scan.volumes, affine).spacing
    counts = {role: int((scan.volumes[role] > 0).sum()) for role in files if role.is_label}
    return Case(name, dict(files), scan.shape, spacing, counts, _is_stripped(scan))


def check_cases(folder: Path, cases: Sequence[Case]) -> None:
    """Read every file back whole and compare it with its row.

    Raises:
        PublicationRefused: a file on disk is not what was written.
        CohortError: a file cannot be read.
    """
    for case in cases:
        if described(case.name, case.files, read_case(folder, case.files)) != case:
            raise PublicationRefused(f"{case.name}: reads back differently; check the disk and publish again")


def read_case(folder: Path, files: Mapping[Role, str]) -> Scan:
    """Read the files of a case whole.

    Raises:
        CohortError: a file cannot be read.
        PublicationRefused: the files lie on different grids.
    """
    volumes, affine, timing = {}, None, None
    for role, file in files.items():
        if role.is_series:
            voxels, place, timing = read_series(folder / file)
        else:
            voxels, place = nifti.read(folder / file)
        if affine is not None and not np.array_equal(affine, place):
            raise PublicationRefused(f"{file}: its affine differs from that of the case's other files")
        volumes[role], affine = voxels, place
    if affine is None:
        raise PublicationRefused("a case without files")
    return Scan(volumes, affine, timing)


def sheet(scans: Sequence[Scan]) -> bytes:
    """Return a PNG of the scans: image beside label, or the label's projections where there is no image."""
    pairs = [_pair(scan) for scan in scans]
    if any(image is None for image, _ in pairs):
        return projection_sheet([label for _, label in pairs], SHEET_COLUMNS)
    slices = [_fullest_slice(image, label) for image, label in pairs if image is not None]
    return contact_sheet(slices, SHEET_COLUMNS)


def _write(path: Path, role: Role, scan: Scan, description: str, comment: str) -> None:
    stored = scan.volumes[role].astype(np.uint8 if role.is_label else np.float32)
    if role.is_series:
        assert scan.timing is not None  # as `_check_volume` says
        write_series(path, stored, scan.affine, scan.timing, description, comment)
    else:
        nifti.write(path, stored, scan.affine, description, comment=comment)


def _is_stripped(scan: Scan) -> bool:
    """Whether a label tells what is brain, and every image is 0 elsewhere."""
    brain = next((scan.volumes[role] for role in (Role.BRAIN, Role.ANATOMY) if role in scan.volumes), None)
    images = [voxels for role, voxels in scan.volumes.items() if not role.is_label]
    return brain is not None and not any(voxels[brain == 0].any() for voxels in images)


def _check_volume(name: str, role: Role, scan: Scan) -> None:
    voxels = scan.volumes[role]
    if voxels.shape[:3] != scan.shape or voxels.ndim != (4 if role.is_series else 3):
        raise PublicationRefused(
            f"{name}, {role.value}: shape {voxels.shape} differs from {scan.shape}; not written"
        )
    if role.is_series and scan.timing is None:
        raise PublicationRefused(f"{name}, {role.value}: a series without its timing; nobody could read it")
    if not np.isfinite(voxels).all():
        raise PublicationRefused(f"{name}, {role.value}: voxels are not finite; the generator is broken")
    if role.is_mask and not np.isin(voxels, (0, 1)).all():
        raise PublicationRefused(f"{name}, {role.value}: a label is neither 0 nor 1; threshold it first")
    if role.is_label and not np.isin(voxels, range(256)).all():
        raise PublicationRefused(f"{name}, {role.value}: a label is no whole number from 0 to 255; map it first")


def _pair(scan: Scan) -> tuple[NDArray[np.float32] | None, NDArray[np.float32]]:
    """Return (image, label) in 3D; a scan without labels shows an empty one."""
    images = [v for role, v in sorted(scan.volumes.items()) if not (role.is_label or role.is_series)]
    labels = [v for role, v in sorted(scan.volumes.items(), reverse=True) if role.is_label]
    image = images[0] if images else None
    return image, labels[0] if labels else np.zeros(scan.shape, np.float32)


def _fullest_slice(
    image: NDArray[np.float32], label: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the axial slice with the most labelled voxels."""
    index = int((label > 0).sum(axis=(0, 1)).argmax())
    return image[:, :, index], label[:, :, index]

"""A published data set, read as any user would read it: NIfTI files and dataset_description.json."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from shared.errors import UsageError
from shared.imaging import nifti
from shared.imaging.case_names import SYNTHETIC, beside, case_files, stem
from shared.imaging.patches import Patches
from shared.imaging.scan import Role, Scan


@dataclass(frozen=True)
class Published:
    """A folder of synthetic cases and what it says of its own privacy."""

    folder: Path
    is_private: bool
    claim: str  # never a bare ε: with δ, unit, relation and accountant, or why there is none

    def roles(self) -> set[Role]:
        """Return what the first case has: vessels come with an image, lesions with one or as masks alone."""
        first = min(self.folder.glob("sub-*"))
        read = (Role.ANGIO, Role.VESSELS, Role.LESION, Role.DWI)
        return {role for role in read if any(first.glob(f"*/*_{stem(role)}.nii.gz"))}

    def pairs(self) -> Patches:
        """Return every axial slice of every case (n, 2, size, size): image as stored, label -1 or +1.

        Raises:
            UsageError, CohortError: as `cases` does.
        """
        return np.concatenate(self.cases())

    def patches(self, edge: int) -> Patches:
        """Return `pairs`, where they are of `edge` pixels a side.

        Raises:
            UsageError: there are none, they are of another size, or as `cases`.
            CohortError: a file cannot be read.
        """
        cases = self.cases()
        if not cases:
            raise UsageError(f"{self.folder}: no vessels here; give a data set of images with vessel labels")
        if (size := cases[0].shape[-1]) != edge:
            raise UsageError(f"{self.folder}: patches of {size} voxels; those of patients have {edge}")
        return np.concatenate(cases)

    def cases(self) -> list[Patches]:
        """Return the axial slices (k, 2, size, size) of each case: image as stored, label -1 or +1.

        Raises:
            UsageError: an image has no label, or sizes differ between cases or between image and label.
            CohortError: a file cannot be read.
        """
        slices: list[Patches] = []
        for path in case_files(self.folder, Role.ANGIO):
            label_path = beside(path, Role.ANGIO, Role.VESSELS)
            if not label_path.exists():
                raise UsageError(f"{path}: no label {label_path.name} beside it; restore the data set")
            image, label = nifti.read(path)[0], nifti.read(label_path)[0]
            if image.shape != label.shape or (slices and image.shape[:2] != slices[0].shape[2:]):
                raise UsageError(f"{path}: shape {image.shape} differs from its label's or the first case's")
            slices.append(
                np.stack([image, np.where(label > 0, 1.0, -1.0)]).transpose(3, 0, 1, 2).astype(np.float32)
            )
        return slices

    def strokes(self) -> list[Scan]:
        """Return diffusion-weighted image and lesion of every case.

        Raises:
            UsageError: an image has no lesion mask, or one of another shape.
            CohortError: a file cannot be read.
        """
        cases = []
        for path in case_files(self.folder, Role.DWI):
            label_path = beside(path, Role.DWI, Role.LESION)
            if not label_path.exists():
                raise UsageError(f"{path}: no label {label_path.name} beside it; restore the data set")
            (image, affine), (lesion, _) = nifti.read(path), nifti.read(label_path)
            if image.shape != lesion.shape:
                raise UsageError(f"{path}: shape {image.shape} differs from its label's; restore the data set")
            cases.append(Scan({Role.DWI: image, Role.LESION: lesion}, affine))
        return cases

    def lesions(self) -> list[Scan]:
        """Return every lesion mask, one scan a case.

        Raises:
            CohortError: a file cannot be read.
        """
        read = (nifti.read(path) for path in case_files(self.folder, Role.LESION))
        return [Scan({Role.LESION: mask}, affine) for mask, affine in read]


def find_published(folder: Path) -> Published:
    """Return the data set in `folder`, or in `folder`/dataset when it is a run's folder.

    Raises:
        UsageError: there is none, with how to make one.
    """
    for place in (folder, folder / "dataset"):
        if any(place.glob(f"sub-*/*/*desc-{SYNTHETIC}_*.nii.gz")):
            is_private, claim = _claim(place)
            return Published(place, is_private, claim)
    msg = (
        f"{folder}: no synthetic cases here; give a finished run, a data set, or what "
        "`willis dataset publish RUN OUT` wrote (or `willis sample`, of a run without noise)"
    )
    raise UsageError(msg)


def _claim(folder: Path) -> tuple[bool, str]:
    """Return whether the data set is private, and its claim for the patients of the costliest site."""
    if any(folder.glob("sub-unsafe*")):
        return False, "NOT PRIVATE: ε = ∞, drawn from a run without noise; may not be published"
    try:
        description = json.loads((folder / "dataset_description.json").read_text(encoding="utf-8"))
        claimed = description["DifferentialPrivacy"]
        return True, f"{claimed['maximum']['text']}; noise from {claimed['noise_in_words']}"
    except (OSError, ValueError, KeyError, TypeError):
        return False, "UNKNOWN PRIVACY: dataset_description.json makes no claim; treat as not private"

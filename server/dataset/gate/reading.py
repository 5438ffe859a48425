"""The gate's look at files: every volume is read whole and compared with its row before anything is computed."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from server.dataset.files.cases import Case
from server.dataset.gate.checks import NAMED, check_figures
from server.dataset.gate.figures import Figures, figures_of
from shared.errors import CohortError, PublicationRefused
from shared.imaging import nifti
from shared.imaging.scan import Role, Scan, Timing, Volume
from shared.imaging.series import read_series
from shared.ledger.events import Check

FILES = "every file reads back"
COMPARED = 200  # cases whose pairs are compared at most, spread over the data set


def check_files(folder: Path, cases: Sequence[Case]) -> tuple[Check, ...]:
    """Return what the gate finds in the files of a data set: each answer with figures, and what to do."""
    figures: list[Figures] = []
    faults: list[str] = []
    stride = -(-len(cases) // COMPARED)
    for number, case in enumerate(cases):
        try:
            figures.append(figures_of(case.name, _read(folder, case), compared=number % stride == 0))
        except (CohortError, PublicationRefused) as err:
            faults.append(str(err).replace(f"{folder}/", ""))
    volumes = sum(len(case.files) for case in cases)
    more = f"; and {len(faults) - NAMED} more" if len(faults) > NAMED else ""
    words = "; ".join(faults[:NAMED]) + more if faults else f"{volumes} volumes: shape, affine, values"
    read = Check(name=FILES, passed=not faults, words=words)
    return (read, *check_figures(figures)) if figures else (read,)


def rows(folder: Path) -> list[Case]:
    """Return the cases that `manifest.json` of a data set lists.

    Raises:
        PublicationRefused: it is missing, damaged, or lists none.
    """
    path = folder / "manifest.json"
    try:
        found = [_case(row) for row in json.loads(path.read_bytes())]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as err:
        raise PublicationRefused(f"{path}: missing or damaged; this is no whole data set") from err
    if not found:
        raise PublicationRefused(f"{path}: lists no case; this is no whole data set")
    return found


def _case(row: dict[str, dict[str, str]]) -> Case:
    i, j, k = (int(length) for length in row["shape"])
    x, y, z = (float(edge) for edge in row["spacing_mm"])
    files = {Role(role): str(file) for role, file in row["files"].items()}
    counts = {Role(role): int(count) for role, count in row["label_voxels"].items()}
    return Case(str(row["participant_id"]), files, (i, j, k), (x, y, z), counts)


def _read(folder: Path, case: Case) -> Scan:
    """Return the volumes of a case.

    Raises:
        CohortError: a file is missing, truncated, or has voxels that are not finite.
        PublicationRefused: one is not what its row says, or has values that its role cannot have.
    """
    volumes: dict[Role, Volume] = {}
    affines: list[NDArray[np.float64]] = []
    timing: Timing | None = None
    for role, file in case.files.items():
        if role.is_series:
            volumes[role], affine, timing = read_series(folder / file)
        else:
            volumes[role], affine = nifti.read(folder / file)
        affines.append(affine)
        if why := _fault(role, volumes[role], affine, case):
            raise PublicationRefused(f"{file}: {why}; check the disk, and publish again")
    if any(not np.array_equal(affine, affines[0]) for affine in affines):
        raise PublicationRefused(f"{case.name}: files on different grids; publish again")
    return Scan(volumes, affines[0], timing)


def _fault(role: Role, voxels: Volume, affine: NDArray[np.float64], case: Case) -> str:
    if voxels.shape[:3] != case.shape:
        return f"shape {voxels.shape[:3]}, and {case.shape} was written"
    if not np.allclose(np.sqrt((affine[:3, :3] ** 2).sum(axis=0)), case.spacing, rtol=1e-5, atol=1e-6):
        return "another voxel size than was written"
    if role.is_mask and not np.isin(voxels, (0, 1)).all():
        return "a mask with other values than 0 and 1"
    if role.is_label and int((voxels > 0).sum()) != case.label_voxels.get(role):
        return "another number of labelled voxels than was written"
    return ""

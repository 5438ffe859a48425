"""The cases that the page holds: the first ones, never chosen ones, as the very files of the data set."""

import base64
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from server.dataset.files.cases import SHEET_CASES
from shared.imaging import nifti
from shared.imaging.perfusion.maps import NAMES, UNITS
from shared.imaging.scan import Role

MOST = 7_000_000  # characters of base64: with contact sheet and card the page stays below 8 MB beside NiiVue
WIDE = 0.2  # of the volume: a label that covers more hides the image, and is shown only when asked for

TITLES = {
    Role.ANGIO: "angiogram (time of flight)",
    Role.VESSELS: "arteries",
    Role.BRAIN: "brain",
    Role.LESION: "lesion",
    Role.DWI: "diffusion-weighted image",
    Role.ANATOMY: "anatomical structures",
    **{role: f"{NAMES[role]} ({unit})" for role, unit in UNITS.items()},
}


def shown_cases(folder: Path, most: int = MOST) -> list[dict[str, Any]]:
    """Return the first cases of a data set: at most as many as on its contact sheet, and what fits in `most`.

    Each is {name, start, images, labels}: `start` is where to look first, in millimetres; an image is
    {title, data}, a label also {is_mask, on}, `on` whether it is shown at first; `data` is the gzipped NIfTI file
    in base64. Series are left out: the page shows volumes.

    Raises:
        CohortError: a file cannot be read.
    """
    shown: list[dict[str, Any]] = []
    for row in json.loads((folder / "manifest.json").read_bytes())[:SHEET_CASES]:
        files = {Role(name): folder / file for name, file in row["files"].items() if not Role(name).is_series}
        most -= sum(4 * math.ceil(file.stat().st_size / 3) for file in files.values())
        if most < 0:
            break
        shown.append(_case(row, files))
    return shown


def _case(row: dict[str, Any], files: dict[Role, Path]) -> dict[str, Any]:
    counts, covering = row["label_voxels"], WIDE * math.prod(row["shape"])
    images = sorted(role for role in files if not role.is_label)
    labels = sorted((role for role in files if role.is_label), key=lambda role: -counts[role])  # small ones on top
    return {
        "name": row["participant_id"],
        "start": _start(files[labels[-1] if labels else images[0]]),
        "images": [_volume(role, files[role]) for role in images],
        "labels": [
            _volume(role, files[role]) | {"is_mask": role.is_mask, "on": counts[role] < covering or not images}
            for role in labels
        ],
    }


def _volume(role: Role, file: Path) -> dict[str, Any]:
    return {"title": TITLES[role], "data": base64.b64encode(file.read_bytes()).decode()}


def _start(file: Path) -> list[float]:
    """Return where the fullest slices of a label cross, in mm; an image's middle, for all its voxels count."""
    voxels, affine = nifti.read(file)
    point = [_fullest((voxels > 0).sum(axis=tuple({0, 1, 2} - {axis}))) for axis in range(3)]
    return [round(float(mm), 3) for mm in (affine @ [*point, 1])[:3]]


def _fullest(counts: NDArray[np.int64]) -> int:
    """Return the slice with most voxels; of equals, as where there are none, the one nearest to the middle."""
    best = np.flatnonzero(counts == counts.max())
    return int(best[np.abs(best - counts.size // 2).argmin()])

"""Series of volumes over time, with the timing that their signal cannot be read without.

Repetition and echo time come from the JSON sidecar beside the image, in seconds, as BIDS has them
(`RepetitionTime`, `EchoTime`). NIfTI has no place for the echo time, and its time between frames is often 0 or in
another unit than it says: it is taken only where the sidecar has none, and only if it is plausible.
"""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.errors import CohortError
from shared.imaging import nifti
from shared.imaging.scan import Timing, Volume

MIN_FRAMES = 20  # fewer show no baseline, bolus and washout
_REPETITION_S = (0.2, 10.0)  # between frames; outside it is another unit or another quantity
_ECHO_S = (0.002, 0.2)


def read_series(path: Path) -> tuple[Volume, NDArray[np.float64], Timing]:
    """Return frames (i, j, k, t), the affine (4, 4) in millimetres, and the timing.

    Raises:
        CohortError: the image is no readable series of at least `MIN_FRAMES` frames, each with a signal, or its
            timing is missing or implausible; naming the file and the remedy.
    """
    voxels, affine, header_s = nifti.read_series(path)
    frames = voxels.shape[3]
    if frames < MIN_FRAMES:
        raise CohortError(f"{path}: {frames} frames; at least {MIN_FRAMES} are needed, give the whole series")
    empty = np.flatnonzero(~voxels.any(axis=(0, 1, 2)))
    if len(empty):
        msg = f"{len(empty)} of {frames} frames are all zero, the first is number {empty[0]}; cut them off"
        raise CohortError(f"{path}: {msg} or export the series again")
    return voxels, affine, _timing(path, header_s)


def write_series(
    path: Path, voxels: NDArray[np.generic], affine: NDArray[np.float64], timing: Timing, description: str = ""
) -> None:
    """Write frames (i, j, k, t), and the sidecar beside them."""
    nifti.write(path, voxels, affine, description, frame_s=timing.repetition_s)
    fields = {"RepetitionTime": timing.repetition_s, "EchoTime": timing.echo_s}
    sidecar(path).write_text(json.dumps(fields, indent=2) + "\n")


def sidecar(path: Path) -> Path:
    """Return where the sidecar of an image `*.nii` or `*.nii.gz` lies."""
    return path.with_name(path.name.removesuffix(".gz").removesuffix(".nii") + ".json")


def _timing(path: Path, header_s: float) -> Timing:
    fields = _fields(sidecar(path))
    repetition = fields.get("RepetitionTime")
    if repetition is None and _REPETITION_S[0] <= header_s <= _REPETITION_S[1]:
        repetition = header_s
    return Timing(
        repetition_s=_seconds(path, "RepetitionTime", repetition, _REPETITION_S),
        echo_s=_seconds(path, "EchoTime", fields.get("EchoTime"), _ECHO_S),
    )


def _fields(path: Path) -> dict[str, Any]:
    """Return what a sidecar says; nothing where there is none."""
    if not path.exists():
        return {}
    try:
        fields = json.loads(path.read_bytes())
    except (OSError, ValueError) as err:
        raise CohortError(f"{path}: not readable JSON ({err}); mend or export it again") from err
    if not isinstance(fields, dict):
        raise CohortError(f"{path}: not a JSON object of fields; mend or export it again")
    return fields


def _seconds(path: Path, name: str, value: object, usual: tuple[float, float]) -> float:
    """Return a time in seconds, or say what is wrong with it."""
    where, low, high = sidecar(path), *usual
    if value is None:
        raise CohortError(f"{path}: {name} is not known; write it, in seconds, into {where.name} beside the image")
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value <= 0:
        raise CohortError(f"{where}: {name} is {value!r}, not a positive number of seconds; mend it")
    if not low <= value <= high:
        looks = "; that looks like milliseconds" if low <= value / 1000 <= high else ""
        msg = f"{name} is {value:g}, not {low:g} to {high:g} seconds{looks}; write it in seconds"
        raise CohortError(f"{where}: {msg}")
    return float(value)

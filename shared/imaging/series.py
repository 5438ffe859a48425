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
_USUAL_S = {"RepetitionTime": (0.2, 10.0), "EchoTime": (0.002, 0.2)}  # outside it is another unit or quantity


def read_series(path: Path) -> tuple[Volume, NDArray[np.float64], Timing]:
    """Return frames (i, j, k, t), the affine (4, 4) in millimetres, and the timing.

    Raises:
        CohortError: as `read_frames` and `timing_of`.
    """
    voxels, affine, header_s = read_frames(path)
    timing, _ = timing_of(path, header_s)
    return voxels, affine, timing


def read_frames(path: Path) -> tuple[Volume, NDArray[np.float64], float]:
    """Return frames (i, j, k, t), the affine (4, 4), and the header's time between frames (s), 0 if it has none.

    Raises:
        CohortError: the image is no readable series of at least `MIN_FRAMES` frames, each with a signal; naming
            the file and the remedy.
    """
    voxels, affine, header_s = nifti.read_series(path)
    frames = voxels.shape[3]
    if frames < MIN_FRAMES:
        raise CohortError(f"{path}: {frames} frames; at least {MIN_FRAMES} are needed, give the whole series")
    empty = np.flatnonzero(~voxels.any(axis=(0, 1, 2)))
    if len(empty):
        msg = f"{len(empty)} of {frames} frames are all zero, the first is number {empty[0]} from 0; cut them off"
        raise CohortError(f"{path}: {msg} or export the series again")
    return voxels, affine, header_s


def timing_of(
    path: Path, header_s: float, repetition_s: float | None = None, echo_s: float | None = None
) -> tuple[Timing, list[str]]:
    """Return the timing of a series, and a sentence on every source that was overruled.

    What is given counts first, then the sidecar, then the header.

    Raises:
        CohortError: a time is missing or implausible; naming the file and the remedy.
    """
    beside, notes = sidecar(path), []
    said, times = _fields(beside), {}
    for name, given in {"RepetitionTime": repetition_s, "EchoTime": echo_s}.items():
        if given is not None:
            times[name] = _seconds(str(path), name, given)
            if said.get(name) not in (None, given):
                notes.append(f"{name} {given:g} s was given; {said[name]!r} of {beside.name} is not used")
        elif name in said:
            times[name] = _seconds(str(beside), name, said[name])
        elif name == "RepetitionTime" and _usual(name, header_s):
            times[name] = header_s
        else:
            raise CohortError(
                f"{path}: {_missing(name, header_s)}; write it, in seconds, into {beside.name} beside it"
            )
    timing = Timing(repetition_s=times["RepetitionTime"], echo_s=times["EchoTime"])
    if header_s and not math.isclose(header_s, timing.repetition_s, rel_tol=0.01):
        notes.append(f"the header says {header_s:g} s between frames; {timing.repetition_s:g} s is used")
    return timing, notes


def write_series(
    path: Path,
    voxels: NDArray[np.generic],
    affine: NDArray[np.float64],
    timing: Timing,
    description: str = "",
    comment: str = "",
) -> None:
    """Write frames (i, j, k, t), and the sidecar beside them."""
    nifti.write(path, voxels, affine, description, frame_s=timing.repetition_s, comment=comment)
    fields = {"RepetitionTime": timing.repetition_s, "EchoTime": timing.echo_s}
    sidecar(path).write_text(json.dumps(fields, indent=2) + "\n")


def sidecar(path: Path) -> Path:
    """Return where the sidecar of an image `*.nii` or `*.nii.gz` lies."""
    return path.with_name(path.name.removesuffix(".gz").removesuffix(".nii") + ".json")


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


def _missing(name: str, header_s: float) -> str:
    if name == "RepetitionTime" and header_s:
        looks = ", which looks like milliseconds" if _usual(name, header_s / 1000) else ""
        return f"{name} is not known: the header says {header_s:g} s between frames{looks}"
    return f"{name} is not known"


def _seconds(where: str, name: str, value: object) -> float:
    """Return a time in seconds, or say what is wrong with it."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value <= 0:
        raise CohortError(f"{where}: {name} is {value!r}, not a positive number of seconds; mend it")
    if not _usual(name, value):
        low, high = _USUAL_S[name]
        looks = "; that looks like milliseconds" if _usual(name, value / 1000) else ""
        msg = f"{name} is {value:g}, not {low:g} to {high:g} seconds{looks}; write it in seconds"
        raise CohortError(f"{where}: {msg}")
    return float(value)


def _usual(name: str, value: float) -> bool:
    low, high = _USUAL_S[name]
    return low <= value <= high

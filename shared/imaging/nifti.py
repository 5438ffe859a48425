"""Strict NIfTI in, deterministic NIfTI out.

Reading looks at the header first and refuses before it allocates; every refusal names the file and the
remedy. Writing gives the same bytes for the same voxels (no time stamp in the gzip header).
"""

import gzip
import io
import logging
import math
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from shared.errors import CohortError
from shared.imaging.scan import Volume

# nibabel also prints what it is about to raise, and what it mends: here every problem is one error, or none.
logging.getLogger("nibabel.global").setLevel(logging.CRITICAL)

MAX_VOXELS = 512**3  # larger than any clinical head scan; a header that asks for more is refused unread
_COMMENT = 6  # code of a header extension that holds plain text
_SECONDS = {"sec": 1.0, "msec": 1e-3, "usec": 1e-6}  # in one unit of a header's time


def read(path: Path) -> tuple[Volume, NDArray[np.float64]]:
    """Return voxels (i, j, k) as float32 and the affine (4, 4) in millimetres.

    Raises:
        CohortError: the file is missing, truncated, not NIfTI, not 3D, too large, has a singular affine, or
            voxels that are not finite real numbers.
    """
    voxels, image = _read(path, "a 3D volume", _volume_shape)
    return voxels, np.asarray(image.affine, dtype=np.float64)


def read_series(path: Path) -> tuple[Volume, NDArray[np.float64], float]:
    """Return frames (i, j, k, t) as float32, the affine, and the seconds between frames that the header says.

    Frames may also lie along a fifth axis after one of length 1, as in ISLES 2017. A header that gives no unit of
    time says nothing: 0.

    Raises:
        CohortError: as `read`, but for a file that is not a series.
    """
    voxels, image = _read(path, "a 4D series (all its frames, not one or a map)", _series_shape)
    step = float(image.header["pixdim"][len(image.shape)])
    unit = _SECONDS.get(image.header.get_xyzt_units()[1], 0.0)
    return voxels, np.asarray(image.affine, dtype=np.float64), step * unit if math.isfinite(step) else 0.0


def _read(
    path: Path, wanted: str, shape_of: Callable[[tuple[int, ...]], tuple[int, ...]]
) -> tuple[Volume, nib.Nifti1Image]:
    """Return checked voxels in the shape that `shape_of` finds in the stored one, and the image's header."""
    try:
        image = nib.Nifti1Image.from_filename(path)
        shape = shape_of(image.shape)
        if not shape or math.prod(shape) > MAX_VOXELS or min(shape) < 1:
            msg = f"shape {image.shape} is not {wanted} of at most {MAX_VOXELS} voxels; convert or crop it"
            raise CohortError(f"{path}: {msg}")
        if image.get_data_dtype().kind not in "iuf":
            raise CohortError(f"{path}: voxels of type {image.get_data_dtype()}; convert them to plain numbers")
        with np.errstate(all="ignore"):  # what overflows is infinite, and refused below
            voxels = np.asarray(_whole(path, image).dataobj, dtype=np.float32).reshape(shape)
    except FileNotFoundError as err:
        raise CohortError(f"{path}: no such file; restore it or remove it from the cohort") from err
    except CohortError:
        raise
    except Exception as err:  # a damaged header fails in many ways, each with an error class of its own
        msg = f"not a readable NIfTI file ({_one_line(err)}); it may be truncated, copy it again"
        raise CohortError(f"{path}: {msg}") from err
    affine = np.asarray(image.affine, dtype=np.float64)
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-9:
        raise CohortError(f"{path}: the affine is singular or not finite; repair the header")
    bad = int(voxels.size - np.isfinite(voxels).sum())
    if bad:
        raise CohortError(f"{path}: {bad} voxels are NaN or infinite; replace them or remove the patient")
    return voxels, image


def _volume_shape(stored: tuple[int, ...]) -> tuple[int, ...]:
    """Return (i, j, k), or () where that is not the shape."""
    shape = stored[:3] if stored[3:] == (1,) else stored
    return shape if len(shape) == 3 else ()


def _series_shape(stored: tuple[int, ...]) -> tuple[int, ...]:
    """Return (i, j, k, t), or () where that is not the shape."""
    shape = (*stored[:3], *stored[4:]) if stored[3:4] == (1,) else stored
    return shape if len(shape) == 4 else ()


def _whole(path: Path, image: nib.Nifti1Image) -> nib.Nifti1Image:
    """Return the image; a compressed file is read to its end, where the checksum of all before it is."""
    if path.suffix != ".gz":
        return image
    end = int(image.dataobj.offset) + math.prod(image.shape) * image.get_data_dtype().itemsize
    with gzip.open(path) as stream:
        data = stream.read(end)
        while stream.read(2**20):
            pass
    return nib.Nifti1Image.from_bytes(data)


def write(
    path: Path,
    voxels: NDArray[np.generic],
    affine: NDArray[np.float64],
    description: str = "",
    frame_s: float | None = None,
    comment: str = "",
) -> None:
    """Write voxels (i, j, k) or (i, j, k, t) with their affine in millimetres.

    `description` has room for 79 bytes, `comment` is an extension of the header of any length; `frame_s` is the
    time between the frames of a series in seconds.
    """
    image = nib.Nifti1Image(voxels, affine)
    if comment:
        image.header.extensions.append(nib.nifti1.Nifti1Extension(_COMMENT, comment.encode()))
    image.header["descrip"] = description.encode()[:79]
    image.header.set_xyzt_units("mm", None if frame_s is None else "sec")
    if frame_s is not None:
        image.header["pixdim"][4] = frame_s
    path.parent.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0, compresslevel=4, filename="") as stream:
        stream.write(image.to_bytes())
    path.write_bytes(buffer.getvalue())


def read_words(path: Path) -> tuple[str, list[str]]:
    """Return the description and the comments in a file's header.

    Raises:
        CohortError: as `read`, for the header.
    """
    try:
        header = nib.Nifti1Image.from_filename(path).header
        comments = [e.get_content() for e in header.extensions if e.get_code() == _COMMENT]
        described = header["descrip"].tobytes().rstrip(b"\0")
        return described.decode(), [c.rstrip(b"\0").decode() for c in comments]
    except Exception as err:  # as in `_read`
        raise CohortError(f"{path}: not a readable NIfTI header ({_one_line(err)}); copy it again") from err


def _one_line(err: BaseException) -> str:
    return " ".join(str(err).split())[:160] or type(err).__name__

"""Contact sheets: many small cases on one PNG that a person can look through.

What is drawn from published cases is post-processing and costs no privacy. The same cases give the same
bytes: the PNG carries no date and no version of what wrote it.
"""

import io
from collections.abc import Sequence

import numpy as np
from matplotlib.image import imsave
from numpy.typing import NDArray
from scipy import ndimage

from shared.errors import UsageError

TILE = 192  # least edge of a tile in pixels; small images are enlarged by a whole factor
GAP = 4  # pixels between the two halves of a case
MARGIN = 12  # pixels between cases
PAPER = 24  # grey level behind the tiles
OUTLINE = np.array([255, 176, 0], dtype=np.uint8)  # amber: told from grey by everyone
Picture = NDArray[np.uint8]  # (rows, columns, 3)
Plane = NDArray[np.float64]  # (rows, columns)
Array = NDArray[np.number] | NDArray[np.bool_]


def contact_sheet(cases: Sequence[tuple[Array, Array]], columns: int = 4) -> bytes:
    """Return a PNG with one pair a case: the image, and the same image with the label outlined.

    Args:
        cases: (image, label), both 2D of one shape; a voxel is labelled where it is above 0. The first axis
            (i) runs to the right and the second (j) upwards, as a radiologist sees an axial slice. Each image
            is shown from its own 0.5th to 99.5th percentile.
        columns: cases side by side.

    Raises:
        UsageError: no cases, an image and its label differ in shape, or columns is below 1.
    """
    if any(image.shape != label.shape or image.ndim != 2 for image, label in cases):
        raise UsageError("a contact sheet needs 2D images, each with a label of its own shape")
    return _sheet([[_grey(image), _outlined(image, label)] for image, label in cases], columns)


def projection_sheet(volumes: Sequence[Array], columns: int = 3) -> bytes:
    """Return a PNG with three tiles a case: its maximum along i, j and k (sagittal, coronal, axial view).

    Args:
        volumes: masks or occupancies (i, j, k), shown from 0 to 1.
        columns: cases side by side.

    Raises:
        UsageError: no volumes, one is not 3D, or columns is below 1.
    """
    if any(volume.ndim != 3 for volume in volumes):
        raise UsageError("a projection sheet needs 3D masks; show 2D cases with contact_sheet")
    views = [[_upright(volume.max(axis=axis)) * 255 for axis in range(3)] for volume in volumes]
    return _sheet([[_coloured(view) for view in case] for case in views], columns)


def _grey(image: Array) -> Picture:
    values = np.nan_to_num(_upright(image))
    low, high = np.percentile(values, (0.5, 99.5))
    return _coloured((values - low) / max(high - low, 1e-9) * 255)


def _outlined(image: Array, label: Array) -> Picture:
    """Return the picture with a line around the label, two pixels wide, which leaves thin vessels seen."""
    picture = _grey(image)
    inside = _enlarged(_upright(label > 0)) > 0
    around = ndimage.binary_dilation(inside, np.ones((3, 3)), iterations=2)
    picture[around & ~inside] = OUTLINE
    return picture


def _upright(plane: Array) -> Plane:
    """Return a plane (i, j) as (rows from the top, columns from the left): i to the right, j upwards."""
    return plane.T[::-1].astype(np.float64)


def _enlarged(plane: Plane) -> Plane:
    factor = max(1, -(-TILE // max(plane.shape)))
    return plane.repeat(factor, axis=0).repeat(factor, axis=1)


def _coloured(levels: Plane) -> Picture:
    grey = _enlarged(np.clip(levels, 0, 255)).astype(np.uint8)
    return np.repeat(grey[:, :, None], 3, axis=2)


def _sheet(cases: Sequence[Sequence[Picture]], columns: int) -> bytes:
    """Return the PNG of the cases, row by row, `columns` cases in a row."""
    if not cases or columns < 1:
        raise UsageError(f"{len(cases)} cases in {columns} columns: a contact sheet needs one or more of both")
    tiles = [_joined(case) for case in cases]
    height, width = (max(tile.shape[axis] for tile in tiles) + MARGIN for axis in (0, 1))
    columns = min(columns, len(tiles))
    rows = -(-len(tiles) // columns)
    sheet = np.full((rows * height + MARGIN, columns * width + MARGIN, 3), PAPER, dtype=np.uint8)
    for number, tile in enumerate(tiles):
        top, left = (number // columns) * height + MARGIN, (number % columns) * width + MARGIN
        sheet[top : top + tile.shape[0], left : left + tile.shape[1]] = tile
    stream = io.BytesIO()
    imsave(stream, sheet, format="png", metadata={"Software": "willis"})
    return stream.getvalue()


def _joined(pictures: Sequence[Picture]) -> Picture:
    """Return the pictures side by side, bottoms aligned to the tallest one's box."""
    height = max(picture.shape[0] for picture in pictures)
    width = sum(picture.shape[1] for picture in pictures) + GAP * (len(pictures) - 1)
    tile = np.full((height, width, 3), PAPER, dtype=np.uint8)
    left = 0
    for picture in pictures:
        tile[height - picture.shape[0] :, left : left + picture.shape[1]] = picture
        left += picture.shape[1] + GAP
    return tile

"""What a canvas should show, computed from the voxels alone, and what it does show."""

import io
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

if TYPE_CHECKING:
    from playwright.sync_api import Page

Grid = NDArray[np.float64]  # (rows, columns) of a slice as it should lie on the screen
Colours = NDArray[np.float64]  # (rows, columns, 3)


def axial(volume: NDArray[np.float32], k: int) -> Grid:
    """Return an axial slice of a volume (i, j, k) whose axes point right, to the face and to the crown.

    By neurological convention: up is the front, and the patient's left is on the left of the screen.
    """
    return np.asarray(volume[:, ::-1, k].T, np.float64)


def coronal(volume: NDArray[np.float32], j: int) -> Grid:
    """Return a coronal slice: up is the crown, and the patient's left is on the left of the screen."""
    return np.asarray(volume[:, j, ::-1].T, np.float64)


def canvas(page: "Page") -> Colours:
    """Return the pixels of the canvas (height, width, 3), as a person sees them."""
    shot = Image.open(io.BytesIO(page.locator("#canvas").screenshot())).convert("RGB")
    return np.asarray(shot, np.float64)


def seen(page: "Page", shape: tuple[int, int], edges: tuple[float, float] = (1.0, 1.0)) -> Colours:
    """Return the colour in the middle of each voxel of a slice of `shape` (rows, columns), (rows, columns, 3).

    A slice fills the canvas as far as its proportions allow, and lies in its middle. `edges` are those of a
    voxel, in mm.
    """
    pixels = canvas(page)
    height, width = shape[0] * edges[0], shape[1] * edges[1]
    scale = min(pixels.shape[0] / height, pixels.shape[1] / width)
    rows = pixels.shape[0] / 2 + scale * ((np.arange(shape[0]) + 0.5) * edges[0] - height / 2)
    columns = pixels.shape[1] / 2 + scale * ((np.arange(shape[1]) + 0.5) * edges[1] - width / 2)
    found: Colours = pixels[np.ix_(rows.astype(int), columns.astype(int))]
    return found


def likeness(shown: Colours, expected: Grid) -> float:
    """Return the correlation between what is shown and a slice, both cut at the same brightness."""
    low, high = np.percentile(expected, (2, 98))
    return float(np.corrcoef(shown.mean(axis=2).ravel(), np.clip(expected, low, high).ravel())[0, 1])

"""A trained network put to any diffusion-weighted image: turned and resampled to what it was trained on, and back.

Research use only; not for diagnosis.
"""

import io
from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from scipy import ndimage
from torch import nn

from shared.evaluation.dice import Mask
from shared.evaluation.lesion_segmentation import segment
from shared.imaging.intensity import scale_dwi
from shared.imaging.orientation import from_ras, ras_spacing, to_ras
from shared.imaging.scan import Role, Scan, Volume

SHOWN = 6  # slices of an image in a figure
OUTLINE = "#FFB000"


def outline(network: nn.Module, scan: Scan, spacing: tuple[float, float, float]) -> Mask:
    """Return the lesion (i, j, k) that a network finds in a scan's diffusion-weighted image.

    Args:
        network: trained on axial volumes whose axes run right, front and up.
        scan: of any orientation and voxel size.
        spacing: voxel edges in mm of what the network was trained on.
    """
    turned = to_ras(scan.volumes[Role.DWI], scan.affine)
    there = ndimage.zoom(
        turned, np.divide(ras_spacing(scan.affine), spacing), order=1, mode="nearest", grid_mode=True
    )
    found = segment(network, there).astype(np.float32)
    back = ndimage.zoom(
        found, np.divide(turned.shape, found.shape), order=1, mode="nearest", grid_mode=True, output=np.float32
    )
    return np.asarray(from_ras(back, scan.affine) > 0.5)


def outline_figure(found: Mapping[str, tuple[Scan, Mask]], note: str) -> bytes:
    """Return a PNG with two rows for each image: evenly spaced axial slices, and the same outlined."""
    figure = Figure(figsize=(1.9 * SHOWN, 4.1 * len(found)), layout="constrained")
    axes = figure.subplots(2 * len(found), SHOWN, squeeze=False)
    for row, (name, (scan, mask)) in enumerate(found.items()):
        image = scale_dwi(to_ras(scan.volumes[Role.DWI], scan.affine))
        inside = to_ras(mask, scan.affine) > 0.5
        for column, k in enumerate(slices_of(image, inside)):
            for below in range(2):
                ax = axes[2 * row + below][column]
                ax.imshow(image[:, :, k].T, cmap="gray", origin="lower", vmin=0, vmax=1)
                if below and inside[:, :, k].any() and not inside[:, :, k].all():
                    ax.contour(inside[:, :, k].T, levels=[0.5], colors=OUTLINE, linewidths=0.9)
                ax.set(xticks=[], yticks=[])
        voxel_ml = float(np.prod(scan.spacing)) / 1000
        axes[2 * row][0].set_title(f"{name}: {mask.sum() * voxel_ml:.1f} ml outlined", fontsize=9, loc="left")
    figure.supxlabel(note, fontsize="x-small")
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=100, metadata={"Software": "willis"})
    return stream.getvalue()


def slices_of(image: Volume, inside: Mask) -> list[int]:
    """Return evenly spaced slices with brain, one of them that with most of the outline."""
    with_brain = np.flatnonzero((image > 0).any(axis=(0, 1)))
    chosen = with_brain[np.linspace(0, len(with_brain) - 1, SHOWN + 2).round().astype(int)[1:-1]].tolist()
    if inside.any():
        fullest = int(np.argmax(inside.sum(axis=(0, 1))))
        chosen[int(np.argmin(np.abs(np.array(chosen) - fullest)))] = fullest
    return sorted(chosen)

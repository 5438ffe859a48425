"""Figures of stroke cases: slices of every kind side by side, and intensities of tissues beside patients'."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from shared.evaluation.colours import colours
from shared.evaluation.lesion_contrast import BINS, Kind
from shared.imaging.patches import Patches
from simulations.studies.figures import OUTLINE, png

SHOWN = 4  # cases of each kind


def slices_side_by_side(kinds: Mapping[str, Patches], caption: str, shown: int = SHOWN) -> bytes:
    """Return a PNG with a column for each kind of slices (n, 2, i, j) in [-1, 1], every second row outlined.

    Kinds drawn from the same heads and lesions stand in one row with each other. `caption` is what must be said
    of the names.
    """
    shown = min(shown, *map(len, kinds.values()))
    figure = Figure(figsize=(1.75 * len(kinds), 3.3 * shown), layout="constrained")
    axes = figure.subplots(2 * shown, len(kinds), squeeze=False)
    for column, (name, pairs) in enumerate(kinds.items()):
        axes[0][column].set_title(name, fontsize=9)
        for row, (image, label) in enumerate(pairs[:shown]):
            for below in range(2):
                ax = axes[2 * row + below][column]
                ax.imshow(image.T, cmap="gray", origin="lower", vmin=-1, vmax=1)
                if below:
                    ax.contour(label.T > 0, levels=[0.5], colors=OUTLINE, linewidths=0.8)
                ax.set(xticks=[], yticks=[])
    figure.suptitle(caption, fontsize="small")
    return png(figure)


def intensities(found: Mapping[str, Mapping[str, Sequence[int]]], names: Mapping[str, str], caption: str) -> bytes:
    """Return a PNG with a panel for each kind of voxel: shares of voxels by intensity, a curve a kind of case.

    The first kind of case, patients', is filled. `caption` is what must be said of the names.
    """
    figure = Figure(figsize=(9.0, 6.0), layout="constrained")
    middles = (np.arange(BINS) + 0.5) / BINS
    panels = figure.subplots(2, 2).ravel()
    for ax, kind in zip(panels, Kind, strict=True):
        for number, ((key, counts), colour) in enumerate(zip(found.items(), colours(), strict=False)):
            share = np.array(counts[kind.value]) / max(sum(counts[kind.value]), 1)
            if number == 0:
                ax.fill_between(middles, share, color="#c8ccd0", step="mid", label=names[key])
            else:
                style = "-" if number <= 4 else "--"
                ax.step(middles, share, where="mid", color=colour, lw=1.3, ls=style, label=names[key])
        ax.set(title=kind.value, xlabel="intensity, of the image's 99.5th percentile", ylabel="share of voxels")
    figure.suptitle(caption, fontsize="small")
    marks, labels = panels[0].get_legend_handles_labels()
    figure.legend(marks, labels, loc="outside lower center", ncols=4, frameon=False)
    return png(figure)

"""Figures of perfusion maps: the same slice by every way, and errors of every way beside each other."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from shared.evaluation.colours import colours
from shared.imaging.perfusion.maps import UNITS
from shared.imaging.perfusion.picture import WINDOWS
from simulations.studies.figures import png
from simulations.studies.kossen_ch7_tables import FIRST, MAPS, Found

PALETTE = "turbo"
RESEARCH_ONLY = "Research use only; not for diagnosis. Red is high in every map."


def maps_side_by_side(ways: Mapping[str, NDArray[np.float16]], title: str) -> bytes:
    """Return a PNG with a row for each way to make maps and a column for each of five maps (5, i, j)."""
    figure = Figure(figsize=(1.9 * len(MAPS) + 1.4, 1.75 * len(ways) + 1.3), layout="constrained")
    axes = figure.subplots(len(ways), len(MAPS), squeeze=False)
    for row, (name, slices) in enumerate(ways.items()):
        for column, role in enumerate(MAPS):
            ax = axes[row][column]
            high = WINDOWS[role]
            shown = ax.imshow(slices[column].T.astype(np.float32), cmap=PALETTE, origin="lower", vmin=0, vmax=high)
            ax.set(xticks=[], yticks=[])
            if row == 0:
                ax.set_title(f"{role.value.upper()}\n{UNITS[role]}", fontsize=9)
            if row == len(ways) - 1:
                figure.colorbar(shown, ax=axes[:, column], location="bottom", shrink=0.8, pad=0.02)
        axes[row][0].set_ylabel(name.replace(", ", ",\n"), fontsize=8, rotation=0, ha="right", va="center")
    figure.suptitle(f"{title}\n{RESEARCH_ONLY}", fontsize="small")
    return png(figure)


def accuracy(found: Found) -> bytes:
    """Return a PNG with a panel for each map: mean absolute error of every way, a dot a test patient."""
    patients, ways = found.patients(FIRST), found.of_truth()
    figure = Figure(figsize=(11.0, 0.38 * len(ways) + 1.6), layout="constrained")
    panels = figure.subplots(1, len(MAPS), sharey=True)
    for ax, role in zip(panels, MAPS, strict=True):
        for place, ((key, _), colour) in enumerate(zip(ways, colours(), strict=False)):
            errors = found.scores(key, FIRST, role.value, "brain_mae", patients).mean(axis=0)
            ax.plot(errors, np.full(len(errors), place), "o", ms=3, alpha=0.5, color=colour)
            ax.plot([errors.mean()] * 2, [place - 0.3, place + 0.3], "-", color="#000000", lw=2)
        ax.set(title=role.value.upper(), xlabel=UNITS[role], xlim=(0, None))
        ax.grid(axis="x", lw=0.4)
    panels[0].set(yticks=range(len(ways)), yticklabels=[name for _, name in ways])
    panels[0].invert_yaxis()
    private = [row.key for row in found.networks if row.epsilon is not None]
    claims = "; ".join(f"{key}: {found.claims[key]}" for key in private)
    figure.suptitle(f"Mean absolute error inside the brain, a dot a test patient. {claims}", fontsize="small")
    return png(figure)

"""Do synthetic lesion masks come in the sizes and numbers of pieces that real ones do?

A lesion mask without an image cannot train a segmentation network, so masks are compared as populations: by
the two-sample Kolmogorov-Smirnov distance (0 = same distribution, 1 = no overlap) of lesion volume and of the
number of components. Both ask about size and fragmentation only: masks can agree in both and differ in shape.
"""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy import ndimage, stats

from shared.errors import UsageError
from shared.evaluation.colours import colours

CONNECTED = np.ones((3, 3, 3), dtype=bool)  # voxels that touch at a corner belong to one component
MOST_COMPONENTS = 6  # the last bar of the figure is "so many or more"


@dataclass(frozen=True)
class LesionSummary:
    """A population of masks, one number a mask."""

    volumes_ml: NDArray[np.float64]
    component_counts: NDArray[np.int64]

    @property
    def median_volume_ml(self) -> float:
        """Median volume in millilitres."""
        return float(np.median(self.volumes_ml))

    @property
    def median_components(self) -> float:
        """Median number of components a mask."""
        return float(np.median(self.component_counts))

    @property
    def single_share(self) -> float:
        """Share of the masks with exactly one component."""
        return float(np.mean(self.component_counts == 1))


@dataclass(frozen=True)
class LesionDistance:
    """Kolmogorov-Smirnov distances to a reference population, each in [0, 1]."""

    volume: float
    components: float


def summarise(masks: Sequence[NDArray[np.bool_]], voxel_ml: float) -> LesionSummary:
    """Return volume and number of components of each 3D mask; `voxel_ml` is the volume of a voxel in ml.

    Components are 26-connected. Populations can be compared only if their voxels are of one size: a coarse
    grid joins what a fine one separates. An empty mask has volume 0 and no component.

    Raises:
        UsageError: there are no masks, or a mask is not 3D.
    """
    if not len(masks) or any(mask.ndim != 3 for mask in masks):
        raise UsageError(f"{len(masks)} masks: one or more 3D masks are needed to compare distributions")
    return LesionSummary(
        volumes_ml=np.array([np.count_nonzero(mask) * voxel_ml for mask in masks]),
        component_counts=np.array([ndimage.label(mask, CONNECTED)[1] for mask in masks], dtype=np.int64),
    )


def compare(summary: LesionSummary, reference: LesionSummary) -> LesionDistance:
    """Return the Kolmogorov-Smirnov distances of a population to the reference."""
    return LesionDistance(
        volume=float(stats.ks_2samp(summary.volumes_ml, reference.volumes_ml).statistic),
        components=float(stats.ks_2samp(summary.component_counts, reference.component_counts).statistic),
    )


def chance_distance(first: LesionSummary, second: LesionSummary) -> float:
    """Return what the distance of two such samples of one distribution stays below, 19 times in 20.

    Smirnov's (1948) limit for large samples of a continuous quantity; for counts it is on the safe side.
    """
    n, m = len(first.volumes_ml), len(second.volumes_ml)
    return float(stats.kstwobign.ppf(0.95) * np.sqrt((n + m) / (n * m)))


def distribution_figure(populations: Mapping[str, LesionSummary], note: str) -> bytes:
    """Return a PNG: histograms of volume (log axis, share of masks) and of component counts, by population.

    `note`, printed below, says what a reader must know: a figure travels without its text. The same populations
    give the same bytes: the PNG carries no date and no version.
    """
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    volume, count = figure.subplots(1, 2)
    positive = np.concatenate([s.volumes_ml[s.volumes_ml > 0] for s in populations.values()])
    low, high = (positive.min() / 1.1, positive.max() * 1.1) if len(positive) else (1.0, 100.0)
    edges = np.geomspace(low, high, 16)
    for (name, summary), colour in zip(populations.items(), colours(), strict=False):
        inside = summary.volumes_ml[summary.volumes_ml > 0]
        weights = np.full(len(inside), 1 / len(summary.volumes_ml))
        volume.hist(inside, bins=edges, weights=weights, histtype="step", lw=1.8, label=name, color=colour)
    volume.set(xscale="log", xlabel="lesion volume (ml)", ylabel="share of masks")
    _component_bars(count, populations)
    volume.legend(frameon=False, fontsize="small")
    figure.supxlabel(note, fontsize="x-small")
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=110, metadata={"Software": "willis"})
    return stream.getvalue()


def _component_bars(axes: Axes, populations: Mapping[str, LesionSummary]) -> None:
    width = 0.8 / len(populations)
    for i, (summary, colour) in enumerate(zip(populations.values(), colours(), strict=False)):
        counts = np.minimum(summary.component_counts, MOST_COMPONENTS)
        shares = np.bincount(counts, minlength=MOST_COMPONENTS + 1) / len(counts)
        places = np.arange(MOST_COMPONENTS + 1) + (i + 0.5) * width - 0.4
        axes.bar(places, shares, width=width, color=colour)
    ticks = [*map(str, range(MOST_COMPONENTS)), f"{MOST_COMPONENTS}+"]
    axes.set_xticks(range(MOST_COMPONENTS + 1), ticks)
    axes.set(xlabel="components a mask", ylabel="share of masks")

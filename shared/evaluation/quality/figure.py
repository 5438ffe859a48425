"""One picture of several populations: where their features lie, and what their voxels are like.

t-SNE (van der Maaten and Hinton, 2008) shows neighbours, not distances: kinds that mix are hard to tell apart,
kinds that form islands are not; the size of an island or of a gap means nothing.
"""

import io
from collections.abc import Callable, Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.manifold import TSNE

from shared.evaluation.colours import colours
from shared.evaluation.quality.distributions import Values, intensities, vessel_radii, vessel_shares
from shared.evaluation.quality.population import Features, Population

SHOWN = 300  # most points of one kind; more hide each other
MARKERS = "x^osv"  # told apart without colour, too


def quality_figure(populations: Mapping[str, Population], features: Mapping[str, Features], note: str) -> bytes:
    """Return a PNG: t-SNE of the features, and histograms of brightness, vessel radius and vessel share.

    The same populations give the same bytes on one machine: the seed is fixed, and the PNG carries no date.

    Args:
        populations: images with labels, by name.
        features: their features, under the same names.
        note: what a reader must know, printed below: a figure travels without its text.
    """
    figure = Figure(figsize=(11, 8), layout="constrained")
    axes = figure.subplots(2, 2).ravel()
    _scatter(axes[0], features)
    _histogram(
        axes[1], populations, intensities, np.linspace(-1, 1, 61), "brightness, -1 (black) to 1", "share of voxels"
    )
    _histogram(
        axes[2],
        populations,
        vessel_radii,
        np.arange(0.75, 8.5, 0.5),
        "vessel radius (voxels; the last bar: or more)",
        "share of midline",
    )
    _histogram(
        axes[3],
        populations,
        _percent,
        np.linspace(0, 12, 25),
        "vessel share of an image (%; the last bar: or more)",
        "share of images",
    )
    axes[1].set_yscale("log")
    handles, names = axes[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside upper center", ncols=len(names), frameon=False, markerscale=1.6)
    figure.supxlabel(note, fontsize="small")
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=110, metadata={"Software": "willis"})
    return stream.getvalue()


def embedding(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (n, 2) coordinates of n > 3 feature vectors by t-SNE with a fixed seed."""
    perplexity = min(30.0, (len(vectors) - 1) / 3)
    coordinates = TSNE(perplexity=perplexity, init="pca", random_state=0).fit_transform(vectors)
    return np.asarray(coordinates, dtype=np.float64)


def _scatter(axes: Axes, features: Mapping[str, Features]) -> None:
    shown = {name: one.vectors[:: -(-len(one.vectors) // SHOWN)] for name, one in features.items()}
    points = embedding(np.concatenate(list(shown.values())))
    starts = np.cumsum([len(vectors) for vectors in shown.values()])[:-1]
    for name, part, colour, marker in zip(shown, np.split(points, starts), colours(), 2 * MARKERS, strict=False):
        axes.scatter(
            part[:, 0], part[:, 1], s=14, color=colour, marker=marker, alpha=0.7, linewidths=0.8, label=name
        )
    network = next(iter(features.values())).network
    axes.set(xticks=[], yticks=[], title=f"t-SNE of {network}")
    axes.title.set_fontsize("medium")


def _histogram(
    axes: Axes,
    populations: Mapping[str, Population],
    measure: Callable[[Population], Values],
    edges: Values,
    what: str,
    share: str,
) -> None:
    """Draw one histogram a population; what lies beyond the last edge is counted in the last bin."""
    for (name, population), colour in zip(populations.items(), colours(), strict=False):
        values = np.clip(measure(population), edges[0], edges[-1])
        weights = np.full(len(values), 1 / max(len(values), 1))
        axes.hist(values, bins=edges.tolist(), weights=weights, histtype="step", lw=1.6, color=colour, label=name)
    axes.set(xlabel=what, ylabel=share)


def _percent(population: Population) -> Values:
    return 100 * vessel_shares(population)

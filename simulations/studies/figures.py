"""Figures of studies as PNG: the same numbers give the same bytes on one machine."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from shared.evaluation.bootstrap import Scores
from shared.evaluation.colours import colours
from shared.imaging.patches import Patches

MARKERS = "osDv^P"  # told apart without colour, too
OUTLINE = "#E69F00"
SIMULATION_ONLY = "Simulation only: of patients, without a mechanism; may not leave a hospital."


@dataclass(frozen=True)
class Curve:
    """One named line with a spread at each point."""

    name: str
    x: Sequence[float]
    mean: Sequence[float]
    sd: Sequence[float] | None = None
    published: bool = False  # the paper's: hollow markers, dashed


@dataclass(frozen=True)
class Panel:
    """One pair of axes."""

    title: str
    y: str
    curves: Sequence[Curve]
    levels: Mapping[str, float] | None = None  # horizontal lines by name


def sample_grid(kinds: Mapping[str, Patches], caption: str, columns: int = 8) -> bytes:
    """Return a PNG with one row of pairs for each kind, each image above itself with the label outlined.

    Args:
        kinds: pairs (n, 2, i, j) by name; i runs to the right and j upwards.
        caption: what must be said of the names.
        columns: pairs in a row, at most.
    """
    columns = min(columns, *map(len, kinds.values()))
    figure = Figure(figsize=(1.05 * columns + 2.2, 2.15 * len(kinds)), layout="constrained")
    axes = figure.subplots(2 * len(kinds), columns, squeeze=False)
    for row, (name, pairs) in enumerate(kinds.items()):
        for column, (image, label) in enumerate(pairs[:columns]):
            for below, ax in enumerate((axes[2 * row][column], axes[2 * row + 1][column])):
                ax.imshow(image.T, cmap="gray", origin="lower", vmin=-1, vmax=max(float(image.max()), -0.9))
                if below and (label > 0).any() and (label <= 0).any():
                    ax.contour(label.T > 0, levels=[0.5], colors=OUTLINE, linewidths=0.7)
                ax.set(xticks=[], yticks=[])
        axes[2 * row][0].set_ylabel(name, rotation=0, ha="right", va="top", fontsize=9)
    figure.suptitle(caption, fontsize="small")
    return png(figure)


def curves(panels: Sequence[Panel], x: str, log_x: bool = False) -> bytes:
    """Return a PNG of panels side by side over one x axis, with error bars of ± SD."""
    across = min(len(panels), 2)
    down = -(-len(panels) // across)
    figure = Figure(figsize=(5.2 * across, 3.8 * down), layout="constrained")
    axes = figure.subplots(down, across, squeeze=False).ravel()
    for ax, panel in zip(axes, panels, strict=False):
        _draw(ax, panel)
        ax.set(title=panel.title, xlabel=x, ylabel=panel.y)
        if log_x:
            ax.set_xscale("log")
            ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            ax.xaxis.set_major_formatter("{x:g}")
            ax.xaxis.set_minor_locator(NullLocator())
        else:
            ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    for spare in axes[len(panels) :]:
        spare.set_axis_off()
    named = {label: mark for ax in axes for mark, label in zip(*ax.get_legend_handles_labels(), strict=True)}
    figure.legend(named.values(), named.keys(), loc="outside lower center", ncols=2, frameon=False)
    return png(figure)


def dots(rows: Mapping[str, Scores], x: str, title: str) -> bytes:
    """Return a PNG with a line for each row of scores (trainings, patients): a dot a training, a bar the mean."""
    figure = Figure(figsize=(7.5, 0.42 * len(rows) + 1.2), layout="constrained")
    ax = figure.subplots()
    for place, scores in enumerate(rows.values()):
        means = scores.mean(axis=1)
        ax.plot(means, np.full(len(means), place), "o", color="#0072B2", ms=5, alpha=0.8)
        ax.plot([means.mean()] * 2, [place - 0.3, place + 0.3], "-", color="#000000", lw=2)
    figure.suptitle(title, fontsize="small")  # over the whole width: titles are longer than the axes
    ax.set(xlabel=x, yticks=range(len(rows)), yticklabels=list(rows))
    ax.invert_yaxis()
    ax.grid(axis="x", lw=0.4)
    return png(figure)


def _draw(ax: Axes, panel: Panel) -> None:
    for curve, colour, marker in zip(panel.curves, colours(), 3 * MARKERS, strict=False):
        ax.errorbar(
            curve.x,
            curve.mean,
            yerr=curve.sd,
            color=colour,
            marker=marker,
            ms=5,
            capsize=2,
            lw=1.4,
            ls="--" if curve.published else "-",
            mfc="none" if curve.published else colour,
            label=curve.name,
        )
    for (name, level), style in zip(
        (panel.levels or {}).items(), (":", "-.", (0, (1, 4)), (0, (6, 3))), strict=False
    ):
        ax.axhline(level, color="#545d68", lw=1.1, ls=style, label=name)


def png(figure: Figure) -> bytes:
    """Return a figure as PNG, which says what it is: a picture travels without its text."""
    figure.text(0.5, -0.01, SIMULATION_ONLY, ha="center", va="top", fontsize="x-small")  # below everything
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=110, bbox_inches="tight", metadata={"Software": "willis"})
    return stream.getvalue()

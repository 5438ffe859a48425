"""How a head moved, frame by frame, as a strip of the page a person looks at."""

import numpy as np
from matplotlib.figure import SubFigure
from numpy.typing import NDArray

from shared.evaluation.colours import colours
from shared.imaging.perfusion.motion import Motion

HEIGHT = 1.5  # inches
_AXES = ("right", "front", "up")


def show_motion(figure: SubFigure, motion: Motion, affine: NDArray[np.float64]) -> None:
    """Draw shifts and turns of every frame, as were taken away, along and about the patient's axes.

    Args:
        figure: to draw in, `HEIGHT` high.
        motion: of each frame.
        affine: of the series (4, 4).
    """
    found = motion.parameters(affine)
    largest = f"{motion.largest_mm:.1f} mm", f"{motion.largest_degrees:.1f} degrees"
    for ax, values, what, most in zip(
        figure.subplots(1, 2), (found[:, :3], found[:, 3:]), ("shift, mm", "turn, degrees"), largest, strict=True
    ):
        for values_of, axis, shade in zip(values.T, _AXES, colours(), strict=False):
            ax.plot(values_of, color=shade, lw=1, label=axis)
        reach = 1.1 * max(1.0, float(np.abs(values).max()))  # so that noise is not drawn as movement
        ax.set_xlabel("frame", fontsize=8)
        ax.set_ylabel(what, fontsize=8)
        ax.set_ylim(-reach, reach)
        ax.tick_params(labelsize=7)
        ax.set_title(f"movement taken away, at most {most}", fontsize=8.5)
        ax.legend(fontsize=7, frameon=False, ncols=3)

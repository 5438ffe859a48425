"""How a head moved during a series, and what is to be said of it."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from shared.imaging.perfusion.rigid import Pose

_UNLIKE = 0.025  # of variance, beyond what is usual; at most 0.023 in phantom patients who move as people do
_FAR_MM = 10.0  # more, and the edge of the head is likely to have left the image


@dataclass(frozen=True)
class Motion:
    """How the head lay in each frame, as seen from where it lay in the baseline."""

    poses: list[Pose]
    left: NDArray[np.float64]  # (t,), share of a frame's variance that is unlike the others after aligning
    flat: bool  # movement within slices alone was looked for

    def parameters(self, affine: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return (t, 6): shift (mm), then rotation vector (degrees), along and about right, front and up.

        Args:
            affine: (4, 4) of the series.
        """
        axes = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
        shifts = [axes @ pose.shift for pose in self.poses]
        turns = Rotation.from_matrix([axes @ pose.turn @ np.linalg.inv(axes) for pose in self.poses])
        return np.hstack([shifts, turns.as_rotvec(degrees=True)])

    @property
    def largest_mm(self) -> float:
        """The longest shift of the middle of the image."""
        return max(float(np.linalg.norm(pose.shift)) for pose in self.poses)

    @property
    def largest_degrees(self) -> float:
        """The widest turn."""
        return float(np.degrees(Rotation.from_matrix([pose.turn for pose in self.poses]).magnitude().max()))

    @property
    def notes(self) -> list[str]:
        """What a person should know before using what was aligned."""
        notes = []
        if self.flat:
            notes.append("too few slices to see movement through them: it was corrected within slices only")
        far = np.array([np.linalg.norm(pose.shift) for pose in self.poses]) > _FAR_MM
        lost = np.flatnonzero(far | (self.left > np.median(self.left) + _UNLIKE))
        if len(lost):
            notes.append(
                f"{len(lost)} frames, the first of them number {lost[0]}, may not be aligned: the head moved too "
                "far, or out of the image; look at them, and cut them off if they are the last"
            )
        return notes

    def describe(self, affine: NDArray[np.float64]) -> dict[str, Any]:
        """Return the sidecar's fields, given the affine (4, 4) of the series."""
        return {
            "largest_translation_mm": self.largest_mm,
            "largest_rotation_degrees": self.largest_degrees,
            "within_slices_only": self.flat,
            "relative_to": "mean position in the baseline; about the middle of the image",
            "axes": ["right", "front", "up"],
            "translations_mm_and_rotations_degrees": self.parameters(affine).round(3).tolist(),
        }

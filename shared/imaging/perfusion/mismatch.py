"""The stroke read-out: how much tissue gets its blood late, and how much of it may still be saved.

The core comes from diffusion (ADC below 620e-6 mm²/s), as a mask; it is never made from CBF.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shared.imaging.scan import Volume

THRESHOLDS_S = (4, 6, 8, 10)
HYPOPERFUSED_S = 6
CORE_ML, MISMATCH_ML, RATIO = 70.0, 15.0, 1.8  # DEFUSE 3 (Albers et al., 2018): core below, the others at least


@dataclass(frozen=True)
class Mismatch:
    """Volumes in ml; what needs a core is None without one."""

    late_ml: dict[int, float]  # Tmax above so many seconds
    core_ml: float | None

    @property
    def hypoperfusion_intensity_ratio(self) -> float | None:
        """The share of late tissue (Tmax > 6 s) that is very late (> 10 s)."""
        late = self.late_ml[HYPOPERFUSED_S]
        return self.late_ml[10] / late if late else None

    @property
    def volume_ml(self) -> float | None:
        """Late tissue less the core, at least 0."""
        return None if self.core_ml is None else max(0.0, self.late_ml[HYPOPERFUSED_S] - self.core_ml)

    @property
    def ratio(self) -> float | None:
        """Late tissue over core; None without a core, which divides by nothing."""
        return self.late_ml[HYPOPERFUSED_S] / self.core_ml if self.core_ml else None

    @property
    def defuse_3(self) -> bool | None:
        """Whether the three volumes meet the trial's imaging criteria; no advice to treat."""
        if self.core_ml is None or self.volume_ml is None:
            return None
        enough = self.ratio is None or self.ratio >= RATIO
        return self.core_ml < CORE_ML and self.volume_ml >= MISMATCH_ML and enough


def mismatch(
    tmax: Volume, tissue: NDArray[np.bool_], voxel_ml: float, core: NDArray[np.bool_] | None = None
) -> Mismatch:
    """Return the read-out of Tmax (i, j, k) in seconds within `tissue`, the voxels in which a bolus is seen."""
    late = {s: float((tissue & (tmax > s)).sum() * voxel_ml) for s in THRESHOLDS_S}
    return Mismatch(late, None if core is None else float(core.sum() * voxel_ml))

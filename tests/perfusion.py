"""A head of a few voxels with a bolus going through it: tissue of known flow, arteries, veins and late tissue."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from shared.imaging.scan import Timing
from shared.phantoms.bolus import Bolus, Residue, rician, tissue_concentration, to_signal

Labels = NDArray[np.int_]  # (i, j, k)

AIR, WHITE, GREY, FLUID, LATE, ARTERY, VEIN = range(7)
FLOWS = {WHITE: (20.0, 2.0, 0.0), GREY: (60.0, 4.0, 0.0), LATE: (20.0, 3.0, 7.5)}  # CBF, CBV, delay in s
BASELINES = {AIR: 0.0, WHITE: 400.0, GREY: 500.0, FLUID: 700.0, LATE: 450.0, ARTERY: 450.0, VEIN: 450.0}
RELAXIVITY = 95.0  # 1/s/mM of tissue
KAPPA = 0.08  # of large vessels, of that: their relaxivity, and what else is in their voxels
MM = np.diag([4.0, 4.0, 6.0, 1.0])


@dataclass(frozen=True)
class Head:
    """A head and how it was scanned."""

    frames: int = 60
    timing: Timing = field(default_factory=lambda: Timing(repetition_s=1.5, echo_s=0.03))
    snr: float = 100.0  # in grey matter
    bolus: Bolus = field(default_factory=lambda: Bolus(arrival_s=15.75))
    vessel: float = KAPPA * RELAXIVITY  # 1/s/mM in arteries and veins
    seed: int = 1

    @property
    def times(self) -> NDArray[np.float64]:
        return self.timing.repetition_s * np.arange(self.frames, dtype=np.float64)

    def series(self) -> NDArray[np.float32]:
        """Return the signal (i, j, k, t)."""
        where, labels = self.curves(), labels_of()
        clean = np.zeros((*labels.shape, self.frames))
        for label, concentration in where.items():
            relaxivity = self.vessel if label in (ARTERY, VEIN) else RELAXIVITY
            clean[labels == label] = to_signal(concentration, BASELINES[label], self.timing.echo_s, relaxivity)
        if self.snr:
            clean = rician(clean, BASELINES[GREY] / self.snr, np.random.default_rng(self.seed))
        return clean.astype(np.float32)

    def curves(self) -> dict[int, NDArray[np.float64]]:
        """Return the concentration (t,) in mM of each kind of voxel with a signal."""
        artery = self.bolus(self.times)
        through = tissue_concentration(self.bolus, self.times, cbf=600, cbv=50, delay_s=3.0, kind=Residue.GAMMA)[0]
        found = {ARTERY: artery, VEIN: through * artery.sum() / through.sum(), FLUID: np.zeros(self.frames)}
        for label, (cbf, cbv, delay) in FLOWS.items():
            found[label] = tissue_concentration(self.bolus, self.times, cbf=cbf, cbv=cbv, delay_s=delay)[0]
        return found


def labels_of(shape: tuple[int, int, int] = (24, 24, 4)) -> Labels:
    """Return what is where: grey around white matter around fluid; a late quarter; vessels here and there."""
    i, j = np.indices(shape[:2]) - np.array(shape[:2])[:, None, None] / 2 + 0.5
    radius = np.hypot(i, j) / (min(shape[:2]) / 2)
    plane = np.select([radius < 0.2, radius < 0.6, radius < 0.9], [FLUID, WHITE, GREY], AIR)
    plane[(plane != AIR) & (plane != FLUID) & (i > 2) & (j > 2)] = LATE
    labels = np.repeat(plane[:, :, None], shape[2], axis=2)
    labels[6:8, 7:10] = ARTERY
    labels[15, 4:6] = VEIN
    return labels

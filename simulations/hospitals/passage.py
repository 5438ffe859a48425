"""How contrast agent passes through one patient, and how the patient lies meanwhile.

Drawn from the patient's seed alone. In a few patients nothing tells the artery's curve well (`aif`), and some
move; the cohort's list names them, so that they can be judged apart.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shared.phantoms.bolus import Bolus, Residue
from simulations.hospitals.perfusion import RESIDUES, Protocol, Range, protocol_of

_MOVING = 0.2  # share of patients
_BAD_AIF = {"late": 0.03, "weak": 0.03, "broad": 0.04}  # shares of patients
_LATEST = {"late": 0.62, "": 0.3}  # arrival, as a share of the series
_WEAK = 0.2  # dose that went beside the vein leaves so much
_BROAD = 2.6  # width of the bolus behind a failing heart
Motion = NDArray[np.float64]  # (t, 6): translation in mm, rotation in degrees, about and along i, j, k


@dataclass(frozen=True)
class Passage:
    """One patient's bolus."""

    bolus: Bolus  # in the arteries of the base of the brain
    residue: Residue
    dispersion: float  # seconds of exponential dispersion a second of delay
    snr: float
    first: NDArray[np.float64]  # (2,): how much too bright the first two frames are, as a share
    aif: str  # what is wrong with the artery's curve: "late", "weak", "broad", or ""
    moves: bool


def passage_of(seed: int, site: int, frames: int) -> Passage:
    """Return the passage in the patient of this seed at hospital number `site`, seen in so many frames.

    Raises:
        UsageError: there is no hospital of that number.
    """
    protocol, _ = protocol_of(site)
    rng = np.random.default_rng([seed, site, 7])
    chances = rng.random(2)
    edges = np.cumsum(list(_BAD_AIF.values()))
    aif = (*_BAD_AIF, "")[int(np.searchsorted(edges, chances[0], side="right"))]
    kind = RESIDUES[int(rng.choice(len(RESIDUES), p=protocol.residues))]
    dispersion = 0.45 * float(rng.uniform()) ** 2
    return Passage(
        bolus=_bolus(rng, protocol, aif, frames),
        residue=kind,
        # A box that is smeared has its maximum at its end however little it is smeared: Tmax would jump by MTT.
        dispersion=0.0 if kind is Residue.BOX else dispersion,
        snr=float(np.exp(rng.uniform(*np.log(protocol.snr)))),
        first=rng.uniform((0.27, 0.0), (0.31, 0.04)),
        aif=aif,
        moves=bool(chances[1] < _MOVING),
    )


def movement(rng: np.random.Generator, frames: int) -> Motion:
    """Return how a restless patient's head lies in each frame, relative to the first.

    It sinks slowly, and after one to three jerks it stays where they left it.
    """
    drift = np.linspace(0, 1, frames)[:, None] * rng.normal(0, (0.5, 0.7, 0.7, 0.7, 0.4, 0.4))
    for _ in range(int(rng.integers(1, 4))):
        jerk = rng.normal(0, (0.8, 1.5, 1.5, 2.0, 1.0, 1.5))
        drift[int(rng.integers(frames // 8, frames)) :] += jerk
    return np.asarray(drift + rng.normal(0, 0.08, (frames, 6)))


def _bolus(rng: np.random.Generator, protocol: Protocol, aif: str, frames: int) -> Bolus:
    """Return what comes down the arteries; a short series is begun later, so that it shows the washout."""
    latest = _LATEST.get(aif, _LATEST[""]) * frames * protocol.timing.repetition_s
    arrival, width, peak = (_uniform(rng, r) for r in (protocol.arrival_s, protocol.width_s, protocol.peak))
    shape, recirculation, later, tail = rng.uniform((2.5, 0.10, 9.0, 0.04), (3.5, 0.20, 15.0, 0.10))
    return Bolus(
        arrival_s=latest if aif == "late" else min(arrival, latest),
        shape=float(shape),
        width_s=width * (_BROAD if aif == "broad" else 1.0),
        peak=peak * {"weak": _WEAK, "broad": 1 / _BROAD}.get(aif, 1.0),
        recirculation=float(recirculation),
        recirculation_s=float(later),
        tail=float(tail),
    )


def _uniform(rng: np.random.Generator, between: Range) -> float:
    return float(rng.uniform(*between))

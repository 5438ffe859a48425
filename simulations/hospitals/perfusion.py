"""What tells one hospital's perfusion series from another's: scanner, injection, and how its patients are.

Brightness is relative to white matter before the bolus, which is 1. Voxels and patients' ages are those of the
hospital's angiograms (`site`), and so is the gain.
"""

from dataclasses import dataclass, replace

from shared.imaging.scan import Timing
from shared.phantoms.bolus import Residue
from simulations.hospitals.site import Site, site_profile

Range = tuple[float, float]


@dataclass(frozen=True)
class Protocol:
    """One hospital's gradient-echo series during a bolus."""

    timing: Timing
    snr: Range  # white matter over the noise of one channel, before the bolus
    blur: float  # point spread in plane, standard deviation in voxels
    shift_mm: float  # largest distortion along j; its sign is that of the phase encoding
    ghost: float  # share of the signal seen again half a field of view away
    fluid: float  # brightness of cerebrospinal fluid; the longer between frames, the brighter
    peak: Range  # of the bolus in the artery, mM: dose and speed of the injector
    width_s: Range  # of the gamma-variate
    arrival_s: Range  # after the first frame
    residues: tuple[float, float, float]  # shares of patients with an exponential, box, triangular residue
    severity: float  # volume of infarcts relative to the usual


_SHADING = 0.6  # of that of angiograms: head coils with many channels are corrected for it
# fmt: off
_PROTOCOLS = (
    Protocol(
        Timing(1.5, 0.030), (45, 80), 0.45, 5.0, 0.01, 1.35,
        (6.0, 8.8), (1.1, 1.6), (12, 20), (0.6, 0.1, 0.3), 1.0,
    ),
    Protocol(
        Timing(2.0, 0.042), (28, 50), 0.60, -6.0, 0.03, 1.50,
        (3.5, 5.1), (1.4, 1.9), (14, 25), (0.4, 0.2, 0.4), 1.6,
    ),
    Protocol(
        Timing(1.2, 0.025), (60, 100), 0.40, 3.0, 0.01, 1.25,
        (8.8, 13), (0.9, 1.3), (10, 16), (0.7, 0.1, 0.2), 0.7,
    ),
    Protocol(
        Timing(1.8, 0.045), (20, 38), 0.50, 7.5, 0.04, 1.45,
        (3.3, 4.8), (1.2, 1.9), (12, 25), (0.5, 0.2, 0.3), 1.2,
    ),
    Protocol(
        Timing(1.0, 0.032), (30, 60), 0.65, -4.5, 0.02, 1.20,
        (5.7, 8.3), (1.0, 1.6), (10, 18), (0.5, 0.1, 0.4), 0.8,
    ),
    Protocol(
        Timing(2.2, 0.036), (40, 75), 0.45, 6.5, 0.02, 1.55,
        (4.2, 6.2), (1.3, 1.8), (13, 25), (0.6, 0.2, 0.2), 1.4,
    ),
)
# fmt: on
RESIDUES = (Residue.EXPONENTIAL, Residue.BOX, Residue.TRIANGULAR)


def protocol_of(site: int) -> tuple[Protocol, Site]:
    """Return the protocol of hospital number `site`, and the hospital as a scanner of such series.

    Raises:
        UsageError: there is no hospital of that number.
    """
    profile = site_profile(site)
    protocol = _PROTOCOLS[site % len(_PROTOCOLS)]
    return protocol, replace(profile, blur=protocol.blur, bias=_SHADING * profile.bias)


def levels(protocol: Protocol) -> dict[str, float]:
    """Return the brightness of every structure before the bolus, by name without side; white matter is 1."""
    return {
        "cerebral white matter": 1.0,
        "cerebral cortex": 1.12,
        "corpus callosum": 0.98,
        "thalamus": 1.02,
        "caudate": 1.02,
        "putamen": 0.97,
        "pallidum": 0.70,  # iron
        "hippocampus": 1.10,
        "amygdala": 1.10,
        "cerebellar cortex": 1.10,
        "cerebellar white matter": 0.95,
        "brain stem": 1.0,
        "fluid": protocol.fluid,
        "lateral ventricle": protocol.fluid,
    }

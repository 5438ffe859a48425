"""What tells one hospital's diffusion-weighted images from another's.

Brightness is relative to white matter, which is 1. Grey matter is a little brighter and fluid dark at b = 1000;
how much, depends on echo time and field. Gain, voxels and patients' ages are those of the hospital's
angiograms (`site`).
"""

from dataclasses import dataclass, replace

from simulations.hospitals.site import Site, site_profile


@dataclass(frozen=True)
class Protocol:
    """One hospital's echo-planar protocol, and which strokes come to it."""

    noise: float  # standard deviation of the complex noise, relative to white matter
    blur: float  # point spread in plane, standard deviation in voxels
    grey: float  # brightness of cortex and of the deep nuclei
    fluid: float
    shift_mm: float  # largest distortion along j; its sign is that of the phase encoding
    ghost: float  # share of the signal seen again half a field of view away
    severity: float  # volume of infarcts relative to the usual


_SHADING = 0.6  # of that of angiograms: head coils with many channels are corrected for it
_PROTOCOLS = (
    Protocol(0.040, 0.50, 1.25, 0.30, 5.0, 0.02, 1.0),
    Protocol(0.050, 0.60, 1.18, 0.45, -6.0, 0.04, 1.6),
    Protocol(0.028, 0.40, 1.32, 0.24, 3.0, 0.01, 0.7),
    Protocol(0.065, 0.50, 1.22, 0.33, 7.5, 0.05, 1.2),
    Protocol(0.045, 0.65, 1.15, 0.50, -4.5, 0.03, 0.8),
    Protocol(0.035, 0.45, 1.28, 0.27, 6.5, 0.015, 1.4),
)


def protocol_of(site: int) -> tuple[Protocol, Site]:
    """Return the protocol of hospital number `site`, and the hospital as a scanner of DWI.

    Raises:
        UsageError: there is no hospital of that number.
    """
    profile = site_profile(site)
    protocol = _PROTOCOLS[site % len(_PROTOCOLS)]
    bias = _SHADING * profile.bias
    return protocol, replace(profile, noise=protocol.noise, blur=protocol.blur, bias=bias)


def levels(protocol: Protocol) -> dict[str, float]:
    """Return the brightness of every structure, by name without side; white matter is 1."""
    extra = protocol.grey - 1
    return {
        "cerebral white matter": 1.0,
        "cerebral cortex": protocol.grey,
        "corpus callosum": 0.97,
        "thalamus": 1 + 0.6 * extra,
        "caudate": 1 + 0.9 * extra,
        "putamen": 1 + 0.8 * extra,
        "pallidum": 0.85,  # iron
        "hippocampus": 1 + 1.1 * extra,
        "amygdala": 1 + 1.1 * extra,
        "cerebellar cortex": 1 + 0.6 * extra,
        "cerebellar white matter": 1.0,
        "brain stem": 1 + 0.2 * extra,
        "fluid": protocol.fluid,
        "lateral ventricle": 0.95 * protocol.fluid,
    }

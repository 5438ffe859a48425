"""What makes one patient's angiogram unlike the next one's: findings, and scans that went less than well.

Drawn from the patient's seed alone. Most patients have one or two of these, so a few patients do not show a
network all there is; and the public simulators know none of the pathologies and artefacts.
"""

from dataclasses import dataclass, replace

import numpy as np

from simulations.hospitals.site import Site

KINDS = ("occluded", "aneurysm", "slow", "agent", "mass", "metal", "ghost", "fold")
OCCLUDED = ("M1-R", "M1-L", "A1-R", "A1-L", "P2-R", "P2-L", "ICA-R", "ICA-L")


@dataclass(frozen=True)
class Findings:
    """One patient's share of what goes wrong."""

    occluded: str = ""  # an artery that is closed; nothing is seen of it and of what lies downstream
    aneurysm: float = 0.0  # radius of the sac in millimetres, 0 for none
    slow: float = 1.0  # brightness of the blood in thin arteries: below 1 where the heart is weak
    agent: bool = False  # contrast agent was given: veins are as bright as arteries, and many are seen
    mass: float = 0.0  # radius of an enhancing tumour in millimetres, 0 for none
    metal: float = 0.0  # radius of the hole that a clip or a coil leaves in millimetres, 0 for none
    ghost: float = 0.0  # share of the head's signal repeated across the image by movement
    fold: float = 0.0  # share of the field of view folded over: it was chosen too small
    noise: float = 1.0  # of the site's usual noise
    tissue: float = 1.0  # of the site's usual brightness of brain, relative to blood


def findings(seed: int, site: int) -> Findings:
    """Return the findings of the patient of this seed at hospital number `site`."""
    rng = np.random.default_rng([seed, site, 4])
    chances = rng.random(8)
    has = dict(
        zip(("occluded", "aneurysm", "slow", "agent", "mass", "metal", "ghost", "fold"), chances, strict=True)
    )
    size = rng.uniform((2.0, 0.45, 6.0, 5.0, 0.08, 0.06), (4.5, 0.8, 14.0, 11.0, 0.3, 0.14))
    return Findings(
        occluded=str(rng.choice(OCCLUDED)) if has["occluded"] < 0.10 else "",
        aneurysm=float(size[0]) if has["aneurysm"] < 0.12 else 0.0,
        slow=float(size[1]) if has["slow"] < 0.25 else 1.0,
        agent=bool(has["agent"] < 0.15),
        mass=float(size[2]) if has["mass"] < 0.10 else 0.0,
        metal=float(size[3]) if has["metal"] < 0.08 else 0.0,
        ghost=float(size[4]) if has["ghost"] < 0.25 else 0.0,
        fold=float(size[5]) if has["fold"] < 0.10 else 0.0,
        noise=float(np.exp(rng.normal(0.0, 0.4))),
        tissue=float(np.exp(rng.normal(0.0, 0.15))),
    )


def protocol(site: Site, found: Findings) -> Site:
    """Return the site's profile as it was for this patient."""
    grey, white = (min(level * found.tissue, 0.75) for level in (site.grey, site.white))
    return replace(site, noise=site.noise * found.noise, grey=grey, white=white)

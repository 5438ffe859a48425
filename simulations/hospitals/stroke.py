"""What happened to a patient: where infarcts are, how large and how old, and what else shines or is dark.

Drawn from the patient's seed alone. Volumes are log-normal within each pattern, from embolic spots of a few
hundredths of a millilitre to whole territories.
"""

from dataclasses import dataclass

import numpy as np

from simulations.hospitals.territories import Territory

NEGATIVE = 1 / 6  # share of patients in whom no infarct is seen
LIMITS_ML = (0.03, 260.0)
WORST_RIM = 1.6  # of the site's usual distortion, in the patients whose rims may be taken for infarcts
Place = tuple[float, float, float]  # millimetres of the standard head


@dataclass(frozen=True)
class Focus:
    """One infarct: it grows from a place inside one artery's territory of one side."""

    territory: Territory
    place: Place
    ml: float
    border: bool = False  # between two arteries: only voxels near the territory's edge


@dataclass(frozen=True)
class Stroke:
    """One patient's findings."""

    foci: tuple[Focus, ...]  # acute infarcts; none in DWI-negative patients
    ratio: float  # brightness of an infarct's core relative to the same tissue before
    mottled: float  # standard deviation of that brightness, as a share
    holes: tuple[Focus, ...]  # old infarcts, dark
    shine: tuple[Focus, ...]  # old lesions whose long T2 shines through
    rim: float  # of the site's usual distortion


@dataclass(frozen=True)
class _Pattern:
    """A way a stroke can look."""

    share: float
    territory: Territory
    place: Place  # mean; right side
    spread: Place
    median_ml: float
    log_spread: float
    foci: tuple[int, int] = (1, 1)
    border: bool = False


PATTERNS = {
    "middle, whole": _Pattern(0.20, Territory.MIDDLE, (44, -6, 10), (6, 14, 10), 55.0, 0.8),
    "middle, branch": _Pattern(0.22, Territory.MIDDLE, (52, -16, 22), (8, 30, 18), 9.0, 1.0),
    "anterior": _Pattern(0.05, Territory.ANTERIOR, (8, 20, 45), (4, 25, 14), 10.0, 0.8),
    "posterior": _Pattern(0.10, Territory.POSTERIOR, (16, -78, 4), (8, 10, 10), 11.0, 0.9),
    "cerebellar": _Pattern(0.08, Territory.CEREBELLAR, (24, -62, -36), (10, 12, 10), 7.0, 1.0),
    "basilar": _Pattern(0.05, Territory.BASILAR, (5, -30, -32), (4, 5, 12), 0.8, 0.6),
    "lacunar": _Pattern(0.13, Territory.MIDDLE, (24, -8, 14), (4, 12, 8), 0.6, 0.5),
    "thalamic": _Pattern(0.04, Territory.POSTERIOR, (12, -18, 8), (4, 6, 4), 0.7, 0.5),
    "border zone": _Pattern(0.05, Territory.MIDDLE, (28, -10, 48), (6, 40, 8), 1.6, 0.7, (2, 6), border=True),
    "scattered": _Pattern(0.08, Territory.MIDDLE, (42, -18, 26), (14, 32, 20), 0.25, 1.0, (3, 12)),
}
_AGES = (  # share, range of the ratio, mottling: hyperacute and faint, acute and bright, subacute and fading
    (0.12, (1.4, 1.7), 0.06),
    (0.63, (1.9, 3.4), 0.10),
    (0.25, (1.5, 2.1), 0.16),
)


def stroke_of(seed: int, site: int, age: int, severity: float, session: int = 0) -> Stroke:
    """Return the findings of the patient of this seed, `age` years old, at hospital number `site`.

    In a later session the same infarcts have faded.
    """
    rng = np.random.default_rng([seed, site, 6])
    negative = rng.random() < NEGATIVE
    foci = _foci(rng, severity)
    _, between, mottled = _AGES[int(rng.choice(len(_AGES), p=[share for share, _, _ in _AGES]))]
    ratio = float(rng.uniform(*between)) * 0.8**session
    chance = rng.random(3)
    hole = _focus(rng, PATTERNS["middle, branch" if rng.random() < 0.4 else "lacunar"], _side(rng), 0.5)
    shine = tuple(_focus(rng, PATTERNS["lacunar"], _side(rng), 0.7) for _ in range(int(rng.integers(1, 4))))
    return Stroke(
        foci=() if negative else foci,
        ratio=max(ratio, 1.25),
        mottled=mottled,
        holes=(hole,) if chance[0] < 0.1 + 0.004 * max(age - 40, 0) else (),
        shine=shine if chance[1] < (0.5 if negative else 0.15) else (),
        rim=WORST_RIM if chance[2] < (0.4 if negative else 0.12) else 1.0,
    )


def _foci(rng: np.random.Generator, severity: float) -> tuple[Focus, ...]:
    """Return the infarcts of one pattern, all on one side; now and then a second pattern is there too."""
    names = list(PATTERNS)
    shares = np.array([PATTERNS[name].share for name in names])
    chosen = rng.choice(names, size=2, p=shares / shares.sum(), replace=False)
    patterns = [PATTERNS[name] for name in (chosen if rng.random() < 0.12 else chosen[:1])]
    found: list[Focus] = []
    for pattern in patterns:
        side, number = _side(rng), int(rng.integers(*pattern.foci, endpoint=True))
        found += [_focus(rng, pattern, side, severity) for _ in range(number)]
    return tuple(found)


def _side(rng: np.random.Generator) -> int:
    return -1 if rng.random() < 0.5 else 1


def _focus(rng: np.random.Generator, pattern: _Pattern, side: int, severity: float) -> Focus:
    """Return one infarct of the left (-1) or right (1) side."""
    x, y, z = rng.normal(pattern.place, pattern.spread)
    ml = pattern.median_ml * severity * np.exp(rng.normal(0, pattern.log_spread))
    place = (side * max(abs(float(x)), 2.0), float(y), float(z))
    return Focus(pattern.territory, place, float(np.clip(ml, *LIMITS_ML)), pattern.border)

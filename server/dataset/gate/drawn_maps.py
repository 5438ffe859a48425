"""Whether a network draws perfusion maps that follow from the series it is given. Reads no patient.

It is asked about public phantoms, whose true maps are known. Compared are ranks within a patient, not values: a
network draws maps like those it learnt from, which may be in another unit or, as a teacher's Tmax, all too late.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from shared.device import device
from shared.imaging.scan import Role
from shared.ledger.events import Check
from shared.recipes.network_file import read_network
from shared.recipes.perfusion_2d import Perfusion
from shared.recipes.perfusion_records import draw_maps

FOLLOW = "maps follow from the series"
CASES = 8
# Rank correlation with the truth, mean over cases and maps. A constant has 0; untrained small networks had at most
# 0.02 over five maps and 0.10 in one, those of study kossen-ch7 at least 0.33 over five and 0.20 in one.
LEAST = 0.15
_SEED = 0


def maps_follow(file: Path) -> Check:
    """Check that a perfusion network's file draws what is there, better than a constant by `LEAST`."""
    recipe, generator, _ = read_network(file, Perfusion.name)
    assert isinstance(recipe, Perfusion)
    generator.to(device())
    found: dict[Role, list[float]] = {role: [] for role in recipe.maps}
    for case in recipe.cases(CASES, _SEED):
        drawn = draw_maps(generator, case, recipe.edge, recipe.maps)
        tissue = case.volumes[Role.MTT] > 0
        for role, values in found.items():
            values.append(rank_correlation(drawn[role][tissue], case.volumes[role][tissue]))
    means = {role: float(np.mean(values)) for role, values in found.items()}
    mean = float(np.mean(list(means.values())))
    each = ", ".join(f"{role.value} {value:.2f}" for role, value in means.items())
    words = f"rank correlation with the truth of {CASES} public phantoms {mean:.2f}, at least {LEAST}; {each}"
    passed = mean >= LEAST  # never, where it is not a number
    remedy = "; the network draws something else than what it is shown: train again"
    return Check(name=FOLLOW, passed=passed, words=words + remedy * (not passed))


def rank_correlation(one: NDArray[np.floating], other: NDArray[np.floating]) -> float:
    """Return Spearman's rank correlation of two (n,), n > 1; 0 where one of them is constant."""
    if np.ptp(one) == 0 or np.ptp(other) == 0:
        return 0.0
    return float(np.corrcoef(rankdata(one), rankdata(other))[0, 1])

"""What a hospital's list says of a patient, drawn from the patient's seed."""

from dataclasses import dataclass

import numpy as np

from simulations.hospitals.site import site_profile

TWICE = 1 / 8  # share of patients scanned in two sessions


@dataclass(frozen=True)
class Patient:
    """What is known of a patient without any image."""

    age: int  # years
    sex: str  # F or M
    stenosis: bool  # whether an artery is narrowed
    sessions: int  # times scanned

    @property
    def age_band(self) -> str:
        """The decade of life, as 60-69."""
        return f"{self.age // 10 * 10}-{self.age // 10 * 10 + 9}"


def describe(seed: int, site: int) -> Patient:
    """Return the patient of this seed at hospital number `site`, according to the hospital's case mix.

    Raises:
        UsageError: there is no hospital of that number.
    """
    profile = site_profile(site)
    rng = np.random.default_rng([seed, site, 0])
    age = int(rng.integers(*profile.age, endpoint=True))
    sex = "F" if rng.uniform() < 0.5 else "M"
    stenosis = bool(rng.uniform() < profile.stenosis)
    return Patient(age, sex, stenosis, sessions=2 if rng.uniform() < TWICE else 1)

"""What blood in capillaries is to blood in arteries: the constants of every absolute perfusion figure.

Contrast agent stays in plasma, of which small vessels hold less than large ones. Packages differ: kH/ρ is
0.705 here, 0.695 with ρ = 1.05 and 1 where it is left out, so absolute maps of two packages can differ by 40 %.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Blood:
    """Constants of the tracer kinetics of a plasma agent (Østergaard et al., 1996)."""

    haematocrit_ratio: float = 0.733  # kH = (1 - 0.45) / (1 - 0.25): plasma share, large to small vessels
    density: float = 1.04  # ρ of brain tissue, g/ml

    @property
    def factor(self) -> float:
        """kH/ρ in ml/g: the volume of blood in a gram of tissue, for a ratio of areas of 1."""
        return self.haematocrit_ratio / self.density


BLOOD = Blood()

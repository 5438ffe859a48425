"""Fixed windows of perfusion maps, for networks whose values lie in [-1, 1]: physical, of no data set.

They are wider than the windows in which maps are looked at, so that little is clipped. TTP counts from when the
bolus comes to the artery.
"""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from shared.imaging.perfusion.maps import UNITS
from shared.imaging.scan import Role, Volume

MAPS = tuple(UNITS)  # in the order in which networks draw them
# The value that +1 stands for, in the map's unit; -1 stands for 0.
TOPS: Mapping[Role, float] = MappingProxyType(
    {Role.CBF: 100.0, Role.CBV: 10.0, Role.MTT: 20.0, Role.TMAX: 20.0, Role.TTP: 25.0}
)


def to_window(role: Role, values: Volume) -> Volume:
    """Return values of a map as a network has them, in [-1, 1]; what is outside the window is clipped."""
    scaled: Volume = np.clip(values * np.float32(2 / TOPS[role]) - np.float32(1), -1, 1)
    return scaled


def from_window(role: Role, values: Volume) -> Volume:
    """Return the map, in its unit, of values in [-1, 1]."""
    return (values + np.float32(1)) * np.float32(TOPS[role] / 2)

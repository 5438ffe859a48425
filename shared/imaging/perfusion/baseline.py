"""Which frames of a series show the head as it was before the bolus, found on the mean curve of the brain."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shared.errors import CohortError

MIN_FRAMES = 3  # of a baseline; from fewer its level and noise are not known

_STEADY = 0.02  # of the level: what a frame may be above it
_SEEN = 0.02  # of the level: a smaller fall of the brain's signal is no bolus
_RECOVERY = 0.25  # of the fall, that must be made good by the end; a drift is not


@dataclass(frozen=True)
class Baseline:
    """Frames first <= n < end are the baseline; those before are not at steady state and are left out."""

    first: int
    end: int
    fall: float  # of the brain's mean signal, at its least, as a share of the baseline

    @property
    def frames(self) -> slice:
        """The baseline's frames."""
        return slice(self.first, self.end)


def find_baseline(mean: NDArray[np.float64], skip: int | None = None) -> Baseline:
    """Return the baseline of the brain's mean signal (t,).

    The first frame is never used: in most series it is 10 to 40 % too bright, and where it is not, one frame is
    little. More are left out while they stand out from the baseline that follows, or `skip` as given.

    Raises:
        CohortError: no bolus, or fewer than `MIN_FRAMES` frames before it.
    """
    first = 1 if skip is None else skip
    if first + MIN_FRAMES >= len(mean):
        raise CohortError(f"no frames are left of {len(mean)} when {first} are skipped; skip fewer")
    end = first + _knee(mean[first:])
    level = float(np.median(mean[(first + end) // 2 : end + 1]))
    least = float(mean[end:].min())
    if level - least < _SEEN * level or mean[-1] - least < _RECOVERY * (level - least):
        msg = f"no bolus: the brain's signal falls by {100 * (1 - least / level):.1f} % and does not come back"
        raise CohortError(f"{msg}; is this the perfusion series, whole and in order?")
    while skip is None and first < end and abs(mean[first] / level - 1) > _STEADY:
        first += 1
    if end - first < MIN_FRAMES:
        msg = f"{end - first} steady frames before the bolus, which comes at frame {end}; {MIN_FRAMES} are needed"
        raise CohortError(f"{msg}: give the whole series, or the number of frames to skip if it was cut already")
    return Baseline(first, end, 1 - least / float(mean[first:end].mean()))


def _knee(mean: NDArray[np.float64]) -> int:
    """Return the frame of the knee, where the curve is farthest above the chord from its start to its least.

    Neither its level nor its noise need be known for that. Arteries may have begun by then.
    """
    least = int(mean.argmin())
    chord = np.linspace(mean[0], mean[least], least + 1)
    return int((mean[: least + 1] - chord).argmax())

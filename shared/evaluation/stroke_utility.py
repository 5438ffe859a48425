"""What stroke cases are worth: the same U-Net is trained on each kind, and judged on held-out patients."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from torch import nn

from shared.errors import UsageError
from shared.evaluation.bootstrap import Interval, Scores, paired_difference
from shared.evaluation.lesion_detection import Detection, detect
from shared.evaluation.lesion_segmentation import JUDGING, Cases, can_teach, case_of, segment, train
from shared.imaging.scan import Role, Scan

JUDGE = JUDGING["small"]
TESTING = "judging on held-out patients"  # what `on_step` is told then

Source = Callable[[int], Cases]  # from a seed to cases (n, 2, i, j, k)
Read = Callable[[], Sequence[Scan]]


@dataclass(frozen=True)
class Row:
    """What one kind of cases taught."""

    name: str
    cases: int
    tested: Sequence[Mapping[str, Detection]]  # by patient, one mapping a training
    networks: Sequence[nn.Module]  # one a training

    @property
    def dice(self) -> Scores:
        """Dice as (trainings, patients with a lesion)."""
        positives = [name for name, found in self.tested[0].items() if found.lesions]
        return np.array([[found[name].dice for name in positives] for found in self.tested], dtype=np.float64)

    @property
    def sensitivity(self) -> float:
        """Share of connected lesions that are found, over all patients and trainings."""
        everything = [one for found in self.tested for one in found.values()]
        return sum(one.found for one in everything) / max(sum(one.lesions for one in everything), 1)

    @property
    def alarmed(self) -> tuple[int, int]:
        """Patients without a lesion in whom one is seen, and all such patients, summed over trainings."""
        alarms = [one.alarms for found in self.tested for one in found.values() if not one.lesions]
        return sum(alarm > 0 for alarm in alarms), len(alarms)

    def minus(self, other: "Row", seed: int) -> Interval:
        """Return the difference in mean Dice to another kind judged on the same patients."""
        return paired_difference(self.dice, other.dice, np.random.default_rng(seed))


def compare(
    kinds: Mapping[str, Source],
    patients: Mapping[str, Read],
    *,
    steps: int,
    repeats: int,
    seed: int,
    on_step: Callable[[str], object] = lambda what: None,
) -> list[Row]:
    """Return one row for each kind of cases, in the order given.

    Args:
        kinds: sources of cases by name.
        patients: how to read each one's scans, with image and lesion; two with a lesion at least.
        steps: updates of each training.
        repeats: trainings of each kind, with seeds `seed`, `seed + 1`, ...; each asks its source anew.
        seed: of the first training.
        on_step: called with the kind's name after each update, and with `TESTING` after each patient.

    Raises:
        UsageError: cases that cannot be trained on, or fewer than two patients have a lesion.
    """
    with_lesion = sum(any(scan.volumes[Role.LESION].any() for scan in read()) for read in patients.values())
    if with_lesion < 2:
        raise UsageError(f"{with_lesion} held-out patients with a lesion: two or more are needed; hold out others")
    networks: dict[str, list[nn.Module]] = {}
    counts = {}
    for name, source in kinds.items():
        networks[name] = []
        for number in range(seed, seed + repeats):
            cases = source(number)
            counts[name] = len(cases)
            networks[name].append(train(cases, steps, number, JUDGE, on_step=partial(on_step, name)))
    tested: dict[str, list[dict[str, Detection]]] = {name: [{} for _ in range(repeats)] for name in kinds}
    for patient, read in patients.items():
        scans = read()
        for name, found in tested.items():
            for one, network in zip(found, networks[name], strict=True):
                one[patient] = judged(network, scans)
        on_step(TESTING)
    return [Row(name, counts[name], tested[name], networks[name]) for name in kinds]


def judged(network: nn.Module, scans: Sequence[Scan]) -> Detection:
    """Return what the network finds in one patient's scans."""
    return detect(
        [segment(network, scan.volumes[Role.DWI]) for scan in scans],
        [scan.volumes[Role.LESION] > 0.5 for scan in scans],
        [float(np.prod(scan.spacing)) / 1000 for scan in scans],
    )


def teachable(scans: Sequence[Scan], what: str) -> list[Cases]:
    """Return the cases with enough lesion to be trained on.

    Raises:
        UsageError: there are none, or their shapes differ; says `what` they are.
    """
    cases = [case for case in map(case_of, scans) if can_teach(case)]
    if not cases:
        raise UsageError(f"{what}: none has enough lesion to be trained on; add cases with larger ones")
    if len(shapes := {case.shape[1:] for case in cases}) > 1:
        raise UsageError(f"{what}: volumes of different shapes, {sorted(shapes)}; resample them to one")
    return cases

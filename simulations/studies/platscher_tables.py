"""The tables of `platscher`: what drawn stroke patients are worth, how their lesions look, what privacy cost."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from shared.evaluation.bootstrap import Interval, Scores
from shared.evaluation.lesion_detection import ALARM_ML
from simulations.studies import papers
from simulations.studies.cells import Done
from simulations.studies.rows import Row, Sizes, minus
from simulations.studies.stroke_judging import AS_TRAINED
from simulations.studies.tables import Column, Spread, Table, Value

NAME = "platscher"
PATIENTS = "clinical"
# Few patients: passed over as often as all are, as in the paper; or shown in as many updates. Patients by stage.
PASSES = {"10": 10, "50": 50}
UPDATES = {"10-long": 10}
CLINICAL, TEN, FIFTY = "clinical", "10 clinical", "50 clinical"
WITH, DRAWN, ON_TEN, ON_FIFTY = "clinical + drawn", "drawn", "drawn, tuned on 10", "drawn, tuned on 50"
TEN_LONG, ON_TEN_LONG = f"{TEN}, as many updates", f"{ON_TEN}, as many updates"
# Of each use: the ending of its cell's name, and the stage within the cell.
_PATIENT_CELLS = {CLINICAL: "", TEN: "-10", FIFTY: "-50", TEN_LONG: "-10-long"}
_DRAWN_CELLS = {
    WITH: ("with", AS_TRAINED),
    DRAWN: ("alone", AS_TRAINED),
    ON_TEN: ("alone", "10"),
    ON_FIFTY: ("alone", "50"),
    ON_TEN_LONG: ("alone", "10-long"),
}
_SEEDED = "Runs are seeded, hence simulations: whoever knows the seed can undo the noise."
_FAILS, _FAINT = 0.1, 0.5  # of the excess brightness of patients' lesions


@dataclass(frozen=True)
class Found:
    """Everything the cells found, ready to be asked."""

    sizes: Sizes
    kinds: Sequence[Row]  # of drawn cases
    outlines: Mapping[str, Done]
    looks: Mapping[str, Done]
    claims: Mapping[str, tuple[str, str, str]]  # of translator, lesion generator and both, by key of a row

    @property
    def names(self) -> dict[str, str]:
        """Names of patients and kinds by key."""
        return {PATIENTS: "patients"} | {row.key: row.name for row in self.kinds}

    @property
    def positives(self) -> int:
        """Test patients with a lesion."""
        return int(self.dice(CLINICAL, None).shape[1])

    def lines(self) -> Iterator[tuple[str, Row | None]]:
        """Yield every use of patients alone, and every use of every kind."""
        yield from ((use, None) for use in _PATIENT_CELLS)
        yield from ((use, row) for use in _DRAWN_CELLS for row in self.kinds)

    def name_of(self, use: str, row: Row | None) -> str:
        """Return what people read of a line."""
        return use if row is None else use.replace(DRAWN, row.name)

    def tested(self, use: str, row: Row | None) -> list[Any]:
        """Return what was found of each test patient, by name, a training each."""
        if row is None:
            name, stage = f"outline-{PATIENTS}{_PATIENT_CELLS[use]}", AS_TRAINED
        else:
            ending, stage = _DRAWN_CELLS[use]
            name = f"outline-{row.key}-{ending}"
        return [self.outlines[f"{name}-{seed}"].result["stages"][stage] for seed in self.sizes.draws]

    def dice(self, use: str, row: Row | None) -> Scores:
        """Return Dice as (trainings, patients with a lesion)."""
        results = self.tested(use, row)
        with_lesion = sorted(name for name, found in results[0].items() if found["lesions"])
        return np.array([[found[name]["dice"] for name in with_lesion] for found in results], dtype=np.float64)

    def total(self, use: str, row: Row | None, field: str, *, negatives: bool = False) -> int:
        """Return a count over all trainings and patients, or over those without a lesion."""
        return sum(
            found[field]
            for result in self.tested(use, row)
            for found in result.values()
            if not (negatives and found["lesions"])
        )

    def alarmed(self, use: str, row: Row | None) -> str:
        """Return how many patients without a lesion had an alarm."""
        alarms = [f["alarms"] for result in self.tested(use, row) for f in result.values() if not f["lesions"]]
        return f"{sum(alarm > 0 for alarm in alarms)} of {len(alarms)}"

    def contrasts(self, key: str) -> list[float]:
        """Return lesion over brain intensity of every case of a kind, or of the training patients."""
        return [x for seed in self.sizes.draws for x in self.looks[f"view-{key}-{seed}"].result["contrasts"]]

    def histograms(self, key: str) -> dict[str, list[int]]:
        """Return voxels by intensity of each kind of voxel, of the first seed."""
        found: dict[str, list[int]] = self.looks[f"view-{key}-1"].result["histograms"]
        return found


def segmentation_table(found: Found) -> Table:
    """Return what a U-Net trained on each kind of cases finds, beside the paper's."""
    columns = (
        Column("trained on"),
        Column("privacy of what was drawn"),
        Column("DSC (95 % CI)", 3),
        Column("SD over patients", 3),
        Column("minus clinical (95 % CI)", 3, signed=True),
        Column("lesions found", 2),
        Column("negatives with an alarm"),
        Column("alarm voxels a negative", 1),
        Column("paper: DSC, %", 1),
    )
    clinical = found.dice(CLINICAL, None)
    lines = []
    for use, row in found.lines():
        mine = found.dice(use, row)
        negatives = sum(not f["lesions"] for result in found.tested(use, row) for f in result.values())
        lines.append(
            (
                found.name_of(use, row),
                _privacy(found, row),
                minus(mine, np.zeros_like(mine)),
                Spread.of(mine.mean(axis=0)).sd,
                None if (use, row) == (CLINICAL, None) else minus(mine, clinical),
                found.total(use, row, "found") / max(found.total(use, row, "lesions"), 1),
                found.alarmed(use, row),
                found.total(use, row, "alarm_voxels", negatives=True) / negatives if negatives else None,
                papers.LESIONS.get((use, row.key if row else "")),
            )
        )
    sizes, people = found.sizes, found.sizes.hospitals
    notes = (
        f"{people.sites} phantom hospitals of {people.patients} patients; {sizes.pairs} drawn cases of each kind; "
        f"{sizes.steps} updates of the U-Net on all of anything. On 10 or 50 patients it gets as many passes over "
        "them, hence fewer updates, unless a row says otherwise; tuning takes half of these.",
        "DSC is of test patients with a lesion, all sessions pooled. Lesions found: share of connected lesions "
        f"that any predicted voxel touches. An alarm is a predicted component of {ALARM_ML:g} ml or more that "
        "touches no lesion; negatives are test patients without any.",
        "Intervals cover the choice of patients and, from two seeds on, of trainings.",
        f"The paper's spread is over epochs of one training; two human readers agreed to {papers.READERS:g} %.",
        "Trained on patients, a network is not private, whatever the drawn cases beside them cost.",
        _SEEDED,
    )
    title = f"Stroke lesions, {found.positives} test patients with a lesion, {sizes.seeds} seed(s)"
    return Table(NAME, title, columns, tuple(lines), notes)


def bars_table(found: Found) -> Table:
    """Return whether drawn cases help, and whether they spare patients, as the paper claims."""
    columns = (Column("claim"), Column("by (95 % CI)", 3, signed=True), Column("held"))
    clinical = found.dice(CLINICAL, None)
    lines: list[tuple[Value, ...]] = []
    for row in found.kinds:
        gain = minus(found.dice(WITH, row), clinical)
        lines.append((f"clinical + {row.name} at least clinical", gain, held(gain)))
    for tuned, alone in ((ON_TEN, TEN), (ON_TEN_LONG, TEN_LONG)):
        for row in found.kinds:
            gain = minus(found.dice(tuned, row), 2 * found.dice(alone, None))
            lines.append((f"{found.name_of(tuned, row)}; at least twice {alone}", gain, held(gain)))
    return Table(f"{NAME}-bars", "What the paper claims, on phantoms", columns, tuple(lines))


def held(gain: Interval) -> str:
    """Say whether a gain is above zero: surely, in the estimate alone, or not."""
    if gain.low > 0:
        return "yes"
    if gain.high < 0:
        return "no"
    return f"cannot be told; the estimate says {'yes' if gain.estimate >= 0 else 'no'}"


def contrast_table(found: Found) -> Table:
    """Return how bright drawn lesions are, beside patients'."""
    columns = (
        Column("images of"),
        Column("lesion / brain, median", 2),
        Column("lower quartile", 2),
        Column("upper quartile", 2),
        Column("of patients' excess", 2),
        Column("what it found"),
    )
    excess = np.median(found.contrasts(PATIENTS)) - 1
    lines = []
    for key, name in found.names.items():
        low, middle, high = np.quantile(found.contrasts(key), [0.25, 0.5, 0.75]).tolist()
        share = None if key == PATIENTS else (middle - 1) / excess
        lines.append((name, middle, low, high, share, "" if share is None else drawn_lesions(share)))
    notes = (
        "Median intensity inside the lesion's label over that of the other brain tissue, case by case; patients' "
        "are those trained on. Excess: how far the median lies above 1.",
        "Of the paper's translators CycleGAN failed to draw lesions, which rests on looking at images.",
    )
    return Table(f"{NAME}-contrast", "Lesions in drawn images", columns, tuple(lines), notes)


def drawn_lesions(share: float) -> str:
    """Say what a share of the excess brightness of patients' lesions amounts to."""
    if share < _FAILS:
        return "fails to draw lesions"
    return "draws lesions faintly" if share < _FAINT else "draws lesions"


def cost_table(found: Found) -> Table:
    """Return what the runs cost a patient, alone and together."""
    columns = (Column("drawn cases"), Column("translator"), Column("lesion generator"), Column("both, composed"))
    names = found.names
    lines = tuple((names[key], *claims) for key, claims in found.claims.items())
    note = (
        "The two runs are federations of their own over the same patients: both together is what a patient pays."
    )
    return Table(f"{NAME}-cost", "What drawn cases cost a patient", columns, lines, (note, _SEEDED))


def _privacy(found: Found, row: Row | None) -> str:
    if row is None:
        return "none: patients themselves"
    return found.claims[row.key][2] if row.key in found.claims else "free: no patient"

"""Which lever of private training brings what: each of them moved alone, and the number of patients.

Rows are judged as in `vessels_utility`, at the same ε: a lever that costs privacy pays with noise.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from shared.evaluation.bootstrap import Scores
from shared.evaluation.utility import Tissue
from simulations.studies import vessels_utility
from simulations.studies.bench import Bench, Findings
from simulations.studies.cells import Done
from simulations.studies.figures import dots
from simulations.studies.rows import (
    HELD_OUT,
    PRICED,
    PUBLIC,
    Comparison,
    Row,
    Sizes,
    claim,
    compare,
    minus,
    scores_of,
    updates,
)
from simulations.studies.tables import Column, Spread, Table, Value

NAME = "vessels-levers"
EPSILON = 8.0
CALIBRATED, PRIVATE, WHOLE = "private-calibrated", "private", "wgan"
PATIENTS = (0.2, 5.0)  # times as many at each site
SIZES = {name: replace(sizes, seeds=2) for name, sizes in vessels_utility.SIZES.items()}
COLUMNS = (
    Column("variant"),
    Column("what is moved"),
    Column("privacy of the run"),
    Column("Dice, ± SD over seeds", 3),
    Column("minus the variant as it is (95 % CI)", 3, signed=True),
    Column("minus public (95 % CI)", 3, signed=True),
)


def rows(preset: str) -> tuple[Row, ...]:
    """Return the rows of the table; the first of a variant is the variant as it is."""
    return (
        PUBLIC,
        Row("calibrated", "as it is: one release, all patients", CALIBRATED, EPSILON),
        Row("calibrated-4", "four releases, averaged", CALIBRATED, EPSILON, 4),
        Row("calibrated-half", "half the patients drawn", CALIBRATED, EPSILON, None, {"sampling_rate": 0.5}),
        Row("calibrated-all", "no patch turned down", CALIBRATED, EPSILON, None, {"choosing": False}),
        Row("private", "as it is: 40 steps of a linear head, a quarter of the patients drawn", PRIVATE, EPSILON),
        Row(
            "private-10", "10 steps, half of them with a moving distribution", PRIVATE, EPSILON, 10, {"moving": 5}
        ),
        Row("private-all", "all patients drawn", PRIVATE, EPSILON, None, {"sampling_rate": 1.0}),
        Row("private-critic", "5 critic steps a generator step", PRIVATE, EPSILON, None, {"steps": 5}),
        Row("private-records", "8 records a patient for 64", PRIVATE, EPSILON, None, {"records": 8}),
        Row(
            "private-moving",
            "no round in which the distribution stands still",
            PRIVATE,
            EPSILON,
            None,
            {"moving": 40},
        ),
        Row("wgan", "as it is: whole critic, generator at the coordinator", WHOLE, EPSILON),
        Row("wgan-few-large", "5 steps, all patients", WHOLE, EPSILON, 5, {"steps": 1, "sampling_rate": 1.0}),
    )


def run(bench: Bench, sizes: Sizes, chosen: Sequence[Row]) -> tuple[Findings, list[Done]]:
    """Compute the study, or what is missing of it; return what was found, and the cells it came from."""
    tests = {HELD_OUT: bench.phantoms("held-out", sizes.hospitals.to_test())}
    parts = [compare(bench, sizes, chosen)]
    people = sizes.hospitals
    for factor in PATIENTS:
        patients = round(factor * people.patients)
        total = people.sites * patients
        row = Row(f"calibrated-of-{total}", f"{total} patients", CALIBRATED, EPSILON)
        parts.append(compare(bench, replace(sizes, hospitals=replace(people, patients=patients)), [row]))
    judged: dict[tuple[str, int], Done] = {}
    for part in parts:
        judged |= part.judged(tests, [Tissue.INTRACRANIAL])
    dice = {row: scores_of(judged, row, HELD_OUT, Tissue.INTRACRANIAL) for part in parts for row in part.rows}
    lines = tuple(_line(row, part, dice) for part in parts for row in part.rows)
    patients = dice[PUBLIC].shape[1]
    title = (
        f"Dice inside the brain, {people.sites * people.patients} patients but where a row says otherwise, "
        f"{sizes.pairs} pairs a row, {patients} test patients, {sizes.seeds} seeds"
    )
    table = Table(NAME, title, COLUMNS, lines, (updates(parts[0]), *NOTES))
    shown = {f"{row.variant or 'public'}: {row.name}": scores for row, scores in dice.items()}
    figures = {f"{NAME}.png": dots(shown, "Dice inside the brain", f"{title}\n{PRICED}")}
    return Findings((table,), figures), [*(d for p in parts for d in p.runs.values()), *judged.values()]


NOTES = (
    "Runs are seeded, hence simulations: whoever knows the seed can undo the noise.",
    "A seed is a draw of patients, a run's noise and weights, a draw of pairs and a training.",
)


def _line(row: Row, part: Comparison, dice: Mapping[Row, Scores]) -> tuple[Value, ...]:
    first = next(other for other in dice if other.variant == row.variant)
    return (
        row.variant or row.name,
        row.name if row.variant else "",
        claim(part, row),
        Spread.of(dice[row].mean(axis=1)),
        None if row is first else minus(dice[row], dice[first]),
        None if row is PUBLIC else minus(dice[row], dice[PUBLIC]),
    )

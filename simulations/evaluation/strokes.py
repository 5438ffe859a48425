"""Strokes: what synthetic cases are worth for training a network that outlines lesions."""

from collections.abc import Sequence
from itertools import islice

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.table import Table

from shared.canonical import Json
from shared.evaluation.lesion_segmentation import Cases
from shared.evaluation.published import Published
from shared.evaluation.stroke_utility import TESTING, Row, Source, compare, teachable
from shared.imaging.scan import Role, Scan
from shared.phantoms.dwi import simulate_patients
from shared.recipes.base import Progress
from simulations.evaluation.asked import Asked, Counter
from simulations.evaluation.cohorts import find_patients, refuse_overlap
from simulations.evaluation.intervals import for_machines, for_people
from simulations.evaluation.vessels import ENOUGH_TRAININGS, PUBLIC, REAL, SYNTHETIC, WITH_PUBLIC, WITH_REAL

ROLES = (Role.DWI, Role.LESION)


def evaluate_strokes(published: Published, asked: Asked, report: Progress) -> list[Row]:
    """Return one row for each kind of cases, as many of each as the data set has, or fewer where there are fewer.

    Raises:
        CohortError, UsageError: what was asked for does not exist or does not fit together.
    """
    real, held_out = find_patients(asked.real, ROLES), find_patients(asked.held_out, ROLES)
    refuse_overlap(real, held_out, Role.DWI, Counter(report, "reading patients", len(real) + len(held_out)))
    synthetic = published.strokes()
    kinds = _kinds(synthetic, [scan for patient in real for scan in patient.scans()], asked)
    counters = {kind: Counter(report, f"training: {kind}", asked.steps * asked.repeats) for kind in kinds}
    counters[TESTING] = Counter(report, TESTING, len(held_out))
    return compare(
        kinds,
        {patient.name: patient.scans for patient in held_out},
        steps=asked.steps,
        repeats=asked.repeats,
        seed=asked.seed,
        on_step=lambda what: counters[what](),
    )


def _kinds(synthetic: Sequence[Scan], real: Sequence[Scan], asked: Asked) -> dict[str, Source]:
    ours, patients = teachable(synthetic, "the data set"), teachable(real, str(asked.real))
    count, shape = len(ours), synthetic[0].shape

    def some(seed: int) -> Cases:
        chosen = np.random.default_rng(seed).permutation(len(patients))[:count]
        return np.stack([patients[number] for number in chosen])

    def public(seed: int) -> Cases:
        drawn = list(islice(simulate_patients(shape, np.random.default_rng(seed)), count))
        return np.stack(teachable(drawn, "the public simulator"))

    kinds: dict[str, Source] = {REAL: some, PUBLIC: public, SYNTHETIC: lambda seed: np.stack(ours)}
    for other in asked.beside:
        cases = np.stack(teachable(other.strokes(), other.folder.name))
        kinds[other.folder.name] = lambda seed, cases=cases: cases  # type: ignore[misc]
    if asked.combined:
        kinds[WITH_PUBLIC] = lambda seed: np.concatenate([np.stack(ours), public(seed)])
        kinds[WITH_REAL] = lambda seed: np.concatenate([np.stack(ours), some(seed)])
    return kinds


def table(rows: Sequence[Row], seed: int) -> Table:
    """Return the rows as a person reads them."""
    (trainings, patients), (_, negatives) = rows[0].dice.shape, rows[0].alarmed
    title = (
        f"Dice of lesions: {patients} held-out patients with one, {negatives // trainings} without, "
        f"trainings of each kind: {trainings}"
    )
    shown = Table("trained on", title=title, title_justify="left", box=SIMPLE_HEAD)
    headings = ("cases", "mean ± SD", "of real", "minus public (95 % CI)", "lesions found", "false alarms")
    for heading in headings:
        shown.add_column(heading, justify="right", no_wrap=True)
    public, real = _row(rows, PUBLIC), rows[0].dice.mean()
    for row in rows:
        mean = row.dice.mean()
        alarms, of = row.alarmed
        shown.add_row(
            row.name,
            str(row.cases),
            f"{mean:.3f} ± {_sd(row):.3f}",
            f"{mean / real:.2f}" if real else "-",
            "-" if row is public else for_people(row.minus(public, seed)),
            f"{100 * row.sensitivity:.0f} %",
            f"in {alarms} of {of}" if of else "-",
        )
    return shown


def verdict(rows: Sequence[Row], seed: int) -> str:
    """Say in a sentence whether these cases beat the free simulator's on these patients."""
    row = _row(rows, SYNTHETIC)
    if len(row.tested) < ENOUGH_TRAININGS:
        return f"No verdict: too few trainings to tell luck from worth; use --repeats {ENOUGH_TRAININGS} or more."
    gain = row.minus(_row(rows, PUBLIC), seed)
    if gain.low > 0:
        return "These synthetic cases are worth more than the free public simulator's, on these patients."
    if gain.high < 0:
        return "These synthetic cases are worth LESS than the free public simulator's, which cost no privacy."
    return "These synthetic cases cannot be told from the free public simulator's, on these patients."


def as_json(rows: Sequence[Row], seed: int) -> list[Json]:
    """Return the rows for machines, with what was found of every held-out patient in each training."""
    public = _row(rows, PUBLIC)
    return [
        {
            "trained_on": row.name,
            "training_cases": row.cases,
            "dice_mean": float(row.dice.mean()),
            "dice_sd": _sd(row),
            "minus_public_simulator": None if row is public else for_machines(row.minus(public, seed)),
            "lesions_found": row.sensitivity,
            "held_out_patients": [{name: one.as_json() for name, one in found.items()} for found in row.tested],
        }
        for row in rows
    ]


def _row(rows: Sequence[Row], name: str) -> Row:
    return next(row for row in rows if row.name == name)


def _sd(row: Row) -> float:
    """Return the spread over patients, each with the mean of the trainings; 0 with a single patient."""
    each = row.dice.mean(axis=0)
    return float(each.std(ddof=1)) if len(each) > 1 else 0.0

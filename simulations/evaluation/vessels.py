"""Vessels: what synthetic pairs are worth for training a segmentation network."""

from collections.abc import Sequence

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.table import Table

from shared.canonical import Json
from shared.evaluation.published import Published
from shared.evaluation.utility import JUDGING, NEEDED, HeldOutPatient, Row, Source, Tissue, compare
from shared.imaging.patches import Patches, patient_patches
from shared.imaging.scan import Role
from shared.phantoms.vessels import draw_parameters, simulate
from shared.recipes.base import Progress
from simulations.evaluation.asked import Asked, Counter
from simulations.evaluation.cohorts import Patient, find_patients, refuse_overlap
from simulations.evaluation.intervals import for_machines, for_people

REAL, PUBLIC = "real (ceiling)", "public (free)"
SYNTHETIC, WITH_PUBLIC, WITH_REAL = "synthetic", "synthetic + public", "real + synthetic"
PAIRS_PER_PHANTOM = 2  # as in published data sets: more phantoms, fewer patches each
WHERE = {Tissue.INTRACRANIAL: "inside the brain", Tissue.ALL: "of all vessels"}
ENOUGH_TRAININGS = 3  # fewer cannot tell a better data set from a lucky training


def find_everyone(asked: Asked, report: Progress) -> tuple[list[Patient], list[Patient]]:
    """Return training and held-out patients, who are not the same.

    Raises:
        CohortError, UsageError: what was asked for does not exist or does not fit together.
    """
    real, held_out = find_patients(asked.real, NEEDED), find_patients(asked.held_out, NEEDED)
    refuse_overlap(real, held_out, Role.ANGIO, Counter(report, "reading patients", len(real) + len(held_out)))
    return real, held_out


def evaluate_vessels(
    published: Published, real: Sequence[Patient], held_out: Sequence[Patient], asked: Asked, report: Progress
) -> list[Row]:
    """Return one row for each kind of training pairs, all kinds with as many pairs as the data set has.

    Each training draws its real and public pairs anew; the data set stays as it is, for it is what is judged.

    Raises:
        CohortError, UsageError: what was asked for does not fit together.
    """
    kinds = _kinds(published.pairs(), real, asked)
    counters = {kind: Counter(report, f"training: {kind}", asked.steps * asked.repeats) for kind in kinds}
    counters[JUDGING] = Counter(report, JUDGING, len(held_out))
    return compare(
        kinds,
        PUBLIC,
        [HeldOutPatient(patient.name, patient.scans) for patient in held_out],
        ceiling=REAL,
        tissue=asked.tissue,
        steps=asked.steps,
        repeats=asked.repeats,
        seed=asked.seed,
        on_step=lambda what: counters[what](),
    )


def _kinds(synthetic: Patches, real: Sequence[Patient], asked: Asked) -> dict[str, Source]:
    count, size = len(synthetic), synthetic.shape[-1]
    kinds: dict[str, Source] = {
        REAL: lambda seed: np.concatenate(real_patches(real, count, size, np.random.default_rng(seed))),
        PUBLIC: lambda seed: np.concatenate(public_patches(count, size, np.random.default_rng(seed))),
        SYNTHETIC: lambda seed: synthetic,
    }
    for other in asked.beside:
        pairs = other.pairs()
        kinds[other.folder.name] = lambda seed, pairs=pairs: pairs  # type: ignore[misc]
    if asked.combined:
        kinds[WITH_PUBLIC] = lambda seed: np.concatenate([synthetic, kinds[PUBLIC](seed)])
        kinds[WITH_REAL] = lambda seed: np.concatenate([synthetic, kinds[REAL](seed)])
    return kinds


def table(rows: Sequence[Row], tissue: Tissue) -> Table:
    """Return the rows as a person reads them."""
    patients, trainings = len(rows[0].dice), len(rows[0].trainings)
    title = f"Dice {WHERE[tissue]}: {patients} held-out patients, trainings of each kind: {trainings}"
    shown = Table("trained on", title=title, title_justify="left", box=SIMPLE_HEAD)
    for heading in ("pairs", "mean ± SD", "of real", "minus public (95 % CI)", "95HD mm", "bAHD mm"):
        shown.add_column(heading, justify="right", no_wrap=True)
    real = rows[0].mean
    for row in rows:
        share = f"{row.mean / real:.2f}" if real else "-"
        dice = f"{row.mean:.3f} ± {row.sd:.3f}"
        distances = (f"{np.mean(list(values.values())):.2f}" for values in (row.hd95_mm, row.bahd_mm))
        shown.add_row(row.name, str(row.training_pairs), dice, share, for_people(row.against_baseline), *distances)
    return shown


def verdict(rows: Sequence[Row]) -> str:
    """Say in a sentence whether this data set beats the free simulator on these patients."""
    row = next(row for row in rows if row.name == SYNTHETIC)
    assert row.against_baseline is not None
    if len(row.trainings) < ENOUGH_TRAININGS:
        return f"No verdict: too few trainings to tell luck from worth; use --repeats {ENOUGH_TRAININGS} or more."
    if row.against_baseline.low > 0:
        found = "are worth more than the free public simulator's"
    elif row.against_baseline.high < 0:
        found = "are worth LESS than the free public simulator's, which cost no privacy"
    else:
        found = "cannot be told from the free public simulator's"
    return f"These synthetic pairs {found}, on these patients.{_added_to_real(rows)}"


def _added_to_real(rows: Sequence[Row]) -> str:
    """Say whether synthetic pairs help beside real ones, if that was asked."""
    for row in rows:
        if row.name == WITH_REAL and row.against_ceiling is not None:
            interval = row.against_ceiling
            word = "help" if interval.low > 0 else "HARM" if interval.high < 0 else "make no clear difference"
            return f" Added to real pairs they {word}: {for_people(interval)}."
    return ""


def as_json(rows: Sequence[Row]) -> list[Json]:
    """Return the rows for machines, with the figures of every held-out patient."""
    return [
        {
            "trained_on": row.name,
            "training_pairs": row.training_pairs,
            "held_out_patients": len(row.dice),
            "dice_mean": row.mean,
            "dice_sd": row.sd,
            "minus_public_simulator": for_machines(row.against_baseline),
            "minus_real": for_machines(row.against_ceiling),
            "hd95_mm_mean": float(np.mean(list(row.hd95_mm.values()))),
            "bahd_mm_mean": float(np.mean(list(row.bahd_mm.values()))),
            "dice_mean_of_each_training": list(row.trainings),
            "dice_of_each_patient": dict(row.dice),
            "hd95_mm_of_each_patient": dict(row.hd95_mm),
            "bahd_mm_of_each_patient": dict(row.bahd_mm),
        }
        for row in rows
    ]


def real_patches(patients: Sequence[Patient], count: int, size: int, rng: np.random.Generator) -> list[Patches]:
    """Return `count` pairs, as evenly over the patients as can be, one array a patient."""
    shares = [len(part) for part in np.array_split(np.arange(count), len(patients))]
    return [
        patient_patches(patient.scans(), size, share, rng).draw(share, rng)
        for patient, share in zip(patients, shares, strict=True)
    ]


def public_patches(count: int, size: int, rng: np.random.Generator) -> list[Patches]:
    """Return `count` pairs of public phantoms, one array a phantom."""
    thetas = draw_parameters(-(-count // PAIRS_PER_PHANTOM), rng)
    pairs = [simulate(theta, PAIRS_PER_PHANTOM, size, rng) for theta in thetas]
    return [*pairs[:-1], pairs[-1][: count - PAIRS_PER_PHANTOM * (len(pairs) - 1)]]

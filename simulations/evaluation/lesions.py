"""Lesion masks: do synthetic ones come in the sizes and numbers of pieces that real ones do?

All masks are compared on the grid of `shared.imaging.lesion_grid` (4 mm), because the number of components
depends on the voxels they are counted in.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from rich.box import SIMPLE_HEAD
from rich.table import Table

from shared.canonical import Json
from shared.evaluation.lesion_distributions import LesionSummary, chance_distance, compare, summarise
from shared.evaluation.published import Published
from shared.imaging.lesion_grid import GRID_MM, to_grid
from shared.imaging.scan import Role, Scan
from shared.phantoms.lesions import simulate_lesions
from shared.recipes.base import Progress
from simulations.evaluation.asked import Asked, Counter
from simulations.evaluation.cohorts import Patient, find_patients, refuse_overlap

HELD_OUT, REAL = "real, held out", "real, trained on"
PUBLIC, SYNTHETIC = "public (free)", "synthetic"
CELL_ML = GRID_MM**3 / 1000


def evaluate_lesions(published: Published, asked: Asked, report: Progress) -> dict[str, LesionSummary]:
    """Return a summary of each population of masks, one mask a session; held-out patients come first.

    Raises:
        CohortError, UsageError: what was asked for does not exist or does not fit together.
    """
    roles = (Role.LESION,)
    real, held_out = find_patients(asked.real, roles), find_patients(asked.held_out, roles)
    refuse_overlap(real, held_out, Role.LESION, Counter(report, "reading patients", len(real) + len(held_out)))
    synthetic = published.lesions()
    public = simulate_lesions(len(synthetic), np.random.default_rng(asked.seed))
    populations = {
        HELD_OUT: _on_grid(_scans(held_out)),
        REAL: _on_grid(_scans(real)),
        PUBLIC: list(public > 0.5),
        SYNTHETIC: _on_grid(synthetic),
        **{other.folder.name: _on_grid(other.lesions()) for other in asked.beside},
    }
    count = Counter(report, "counting components", len(populations))
    summaries = {}
    for name, masks in populations.items():
        summaries[name] = summarise(masks, CELL_ML)
        count()
    return summaries


def table(populations: Mapping[str, LesionSummary]) -> Table:
    """Return the populations as a person reads them."""
    shown = Table(
        "masks", title="Lesion masks, and KS distance to held-out patients'", title_justify="left", box=SIMPLE_HEAD
    )
    for heading in ("number", "median ml", "in one piece", "KS volume", "KS pieces"):
        shown.add_column(heading, justify="right", no_wrap=True)
    for name, summary in populations.items():
        away = compare(summary, populations[HELD_OUT])
        shown.add_row(
            name,
            str(len(summary.volumes_ml)),
            f"{summary.median_volume_ml:.1f}",
            f"{100 * summary.single_share:.0f} %",
            "-" if name == HELD_OUT else f"{away.volume:.2f}",
            "-" if name == HELD_OUT else f"{away.components:.2f}",
        )
    return shown


def verdict(populations: Mapping[str, LesionSummary]) -> str:
    """Say whether the synthetic masks lie nearer to held-out patients' than the free ones, and what is chance."""
    ours, free = (compare(populations[name], populations[HELD_OUT]) for name in (SYNTHETIC, PUBLIC))
    chance = chance_distance(populations[SYNTHETIC], populations[HELD_OUT])
    volume, pieces = (_word(a, b) for a, b in ((ours.volume, free.volume), (ours.components, free.components)))
    return (
        f"Against the free simulator, the synthetic masks are {volume} real ones in volume and {pieces} them in "
        f"number of pieces. Samples of these sizes from one distribution differ by up to {chance:.2f} (95 %)."
    )


def _word(ours: float, free: float) -> str:
    return "nearer to" if ours < free else "NO nearer to"


def as_json(populations: Mapping[str, LesionSummary]) -> list[Json]:
    """Return the populations for machines."""
    return [_row(name, summary, populations[HELD_OUT]) for name, summary in populations.items()]


def _row(name: str, summary: LesionSummary, reference: LesionSummary) -> dict[str, Json]:
    away = compare(summary, reference)
    return {
        "masks": name,
        "number": len(summary.volumes_ml),
        "median_volume_ml": summary.median_volume_ml,
        "median_components": summary.median_components,
        "share_with_one_component": summary.single_share,
        "ks_distance_volume": away.volume,
        "ks_distance_components": away.components,
    }


def _scans(patients: Sequence[Patient]) -> Iterable[Scan]:
    return (scan for patient in patients for scan in patient.scans())


def _on_grid(scans: Iterable[Scan]) -> list[NDArray[np.bool_]]:
    seen = (scan for scan in scans if scan.volumes[Role.LESION].any())  # nobody learns from the others either
    return [to_grid(scan.volumes[Role.LESION], scan.spacing) > 0.5 for scan in seen]

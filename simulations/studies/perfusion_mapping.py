"""Maps of test patients by one way to make them, as a cell, and how near they come to those in patients' files.

Simulation only: these figures on patients are computed without a mechanism.
"""

import csv
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from server.run.coordinator import load_model
from server.run.folder import RunFolder
from shared.canonical import Json
from shared.errors import CohortError
from shared.evaluation.map_quality import Hypoperfusion, constants, hypoperfusion, map_quality
from shared.imaging.perfusion.maps import UNITS
from shared.imaging.perfusion.pipeline import Choices
from shared.imaging.perfusion.windows import TOPS
from shared.imaging.scan import Role, Scan, Volume
from shared.recipes.catalogue import load
from shared.recipes.perfusion_2d import Perfusion
from shared.recipes.perfusion_records import ROLES, draw_maps
from shared.recipes.wasserstein import SMOOTHED
from simulations.evaluation.cohorts import Patient, find_patients
from simulations.studies.cells import Cell
from simulations.studies.perfusion_teaching import deconvolved, tissue
from simulations.studies.runs import FOLDER, Training

MAPPED = "mapped"  # folder of slices to look at
MAPS = tuple(UNITS)

Maps = dict[Role, Volume]


class Way(StrEnum):
    """How maps are made."""

    CONSTANT = "constant"  # the training patients' median, everywhere in the brain
    CLASSICAL = "classical"  # deconvolution with the artery found by itself
    PRETRAINED = "pretrained"  # a network that has seen public phantoms alone
    NETWORK = "network"


class MapMaking(BaseModel):
    """Everything that decides the maps and what they are compared with."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    way: Way
    cohort: str = ""  # of the constant: folder of the training patients, relative to OUT
    smoothing_px: float = 0.0  # of the classical way
    variant: str = ""  # of the pre-trained network, likewise the next two
    preset: str = ""
    seed: int = 0
    run: str = ""  # cell of the network's run
    run_of: Training | None = None
    tests: str  # folder of the test patients, with the maps that count as true

    def cell(self, name: str) -> Cell:
        """Return the cell that makes and compares them."""
        return Cell(name, self.model_dump(mode="json"))


def make_maps(out: Path, cell: Cell) -> Json:
    """Return by test patient the qualities of each map, means over sessions; None where none could be made.

    Keeps a slice of each patient's maps in `OUT/mapped/<cell>.npz`.
    """
    asked = MapMaking.model_validate(cell.settings)
    torch.set_num_threads(1)
    make = _maker(out, asked)
    found: dict[str, Json] = {}
    slices: dict[str, NDArray[np.float16]] = {}
    for patient in find_patients(out / asked.tests, ROLES):
        scans = patient.scans()
        made = [_made(make, scan) for scan in scans]
        compared = [_compare(maps, scan) for maps, scan in zip(made, scans, strict=True) if maps is not None]
        found[patient.name] = _mean(compared) if compared else None
        if made[0] is not None:
            slices[patient.name] = _slice(made[0], scans[0])
    (out / MAPPED).mkdir(exist_ok=True)
    np.savez_compressed(out / MAPPED / f"{cell.name}.npz", **slices)  # type: ignore[arg-type]
    return found


def true_slices(out: Path, tests: str) -> dict[str, NDArray[np.float16]]:
    """Return the slices (5, i, j) of the patients' own maps, by patient, as `make_maps` keeps others'."""
    first = ((patient.name, patient.scans()[0]) for patient in find_patients(out / tests, ROLES))
    return {name: _slice({role: scan.volumes[role] for role in MAPS}, scan) for name, scan in first}


def kept_slices(out: Path, cell: str) -> dict[str, NDArray[np.float16]]:
    """Return the slices (5, i, j) that `make_maps` kept, by patient."""
    with np.load(out / MAPPED / f"{cell}.npz") as kept:
        return dict(kept)


def marks(out: Path, tests: str) -> dict[str, dict[str, str]]:
    """Return what the hospitals' lists say of each test patient (site/patient): of motion and of the artery."""
    found = {}
    for site in sorted(path for path in (out / tests).iterdir() if path.is_dir()):
        with (site / "participants.tsv").open(encoding="utf-8") as file:
            for row in csv.DictReader(file, delimiter="\t"):
                found[f"{site.name}/{row['participant_id']}"] = row
    return found


def _maker(out: Path, asked: MapMaking) -> Callable[[Scan], Maps]:
    if asked.way is Way.CONSTANT:
        values = _medians(find_patients(out / asked.cohort, ROLES))
        return lambda scan: {role: np.full(scan.shape, values[role], np.float32) for role in MAPS}
    if asked.way is Way.CLASSICAL:
        choices = Choices(smoothing_px=asked.smoothing_px)
        return lambda scan: deconvolved(scan, choices)
    if asked.way is Way.PRETRAINED:
        recipe = load(Perfusion.name, asked.variant, asked.preset)
        model = recipe.build(asked.seed)
        recipe.pretrain(model, asked.seed, lambda what, done, total: None)
    else:
        recipe, model, _ = load_model(RunFolder(out / FOLDER / asked.run / "run"))
    assert isinstance(recipe, Perfusion)
    return lambda scan: draw_maps(model[SMOOTHED].eval(), scan, recipe.edge, recipe.maps)


def _made(make: Callable[[Scan], Maps], scan: Scan) -> Maps | None:
    try:
        return make(scan)
    except CohortError:  # no artery: the table says how often
        return None


def _medians(patients: list[Patient]) -> dict[Role, float]:
    scans = [scan for patient in patients for scan in patient.scans()]
    return constants({role: np.concatenate([scan.volumes[role][tissue(scan)] for scan in scans]) for role in MAPS})


def _compare(maps: Maps, scan: Scan) -> dict[str, dict[str, float]]:
    inside = tissue(scan)
    qualities = {
        role.value: map_quality(maps[role], scan.volumes[role], inside, (0.0, TOPS[role])).as_json()
        for role in MAPS
        if role in maps
    }
    if Role.TMAX in maps:
        late = hypoperfusion(maps[Role.TMAX], scan.volumes[Role.TMAX], inside, float(np.prod(scan.spacing)) / 1000)
        qualities["late"] = _late(late)
    return qualities


def _late(found: Hypoperfusion) -> dict[str, float]:
    return {"dice": found.dice, "found_ml": found.found_ml, "true_ml": found.true_ml}


def _mean(sessions: list[dict[str, dict[str, float]]]) -> Json:
    first = sessions[0]
    return {
        role: {measure: float(np.mean([one[role][measure] for one in sessions])) for measure in first[role]}
        for role in first
    }


def _slice(maps: Maps, scan: Scan) -> NDArray[np.float16]:
    """Return maps (5, i, j) of the slice with most late tissue, else most tissue; 0 where a map is missing."""
    inside = tissue(scan)
    late = inside & (scan.volumes[Role.TMAX] > 6)
    k = int((late if late.any() else inside).sum(axis=(0, 1)).argmax())
    nothing = np.zeros(scan.shape, np.float32)
    return np.stack([np.where(inside, maps.get(role, nothing), 0)[:, :, k] for role in MAPS]).astype(np.float16)

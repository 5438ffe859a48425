"""Stroke cases to train on, as a cell: drawn from two finished runs, or by what no patient taught.

Lesion masks of one run go into public heads, which the translator of the other draws. All translators of a seed
draw the same heads, and those that share a lesion run the same lesions. Post-processing: it reads no patient.

Free are the public simulator, and a translator that has seen nothing else: it draws the simulator's maps and
lesions as it learnt to before the first patient.
"""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field

from server.run.coordinator import load_model
from server.run.folder import RunFolder
from shared.canonical import Json
from shared.imaging.scan import Role, Scan
from shared.phantoms.dwi import simulate_patients
from shared.privacy.randomness import derive_seed
from shared.recipes.catalogue import load
from shared.recipes.stroke_cases import Mask, stroke_cases
from shared.recipes.wasserstein import SMOOTHED
from simulations.studies.cells import Cell
from simulations.studies.runs import FOLDER, Training

DRAWN = "drawn"
SPARE = 10  # masks a case, so that those without room can be left out; none is drawn before it is needed
Shape = tuple[int, int, int]


class Pair(BaseModel):
    """The cells of the two runs, with what they trained, so that other runs are another drawing."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    translator: str
    translator_of: Training
    lesions: str
    lesions_of: Training


class Pretrained(BaseModel):
    """A translator as a run would begin with it."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    recipe: str
    variant: str
    preset: str


class Drawing(BaseModel):
    """Everything that decides which cases are drawn."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    runs: Pair | None  # None: no patient's
    # Who draws the public simulator's maps, if not the simulator. Left out where it does, as in `Training`.
    pretrained: Pretrained | None = Field(default=None, exclude_if=lambda translator: translator is None)
    cases: int
    shape: Shape
    seed: int

    def cell(self, name: str) -> Cell:
        """Return the cell that draws."""
        return Cell(name, self.model_dump(mode="json"))


def draw(out: Path, cell: Cell) -> Json:
    """Write the cases to `OUT/drawn/<cell>.npz`, and return how many there are."""
    asked = Drawing.model_validate(cell.settings)
    torch.set_num_threads(1)
    cases = list(_free(asked) if asked.runs is None else _from_runs(out, asked, asked.runs))
    (out / DRAWN).mkdir(exist_ok=True)
    np.savez_compressed(
        out / DRAWN / f"{cell.name}.npz",
        dwi=np.stack([case.volumes[Role.DWI] for case in cases]).astype(np.float16),
        anatomy=np.stack([case.volumes[Role.ANATOMY] for case in cases]).astype(np.uint8),
        lesion=np.stack([case.volumes[Role.LESION] for case in cases]) > 0,
        affine=cases[0].affine,
    )
    return {"cases": len(cases)}


def drawn(out: Path, name: str) -> list[Scan]:
    """Return the cases that `draw` wrote."""
    with np.load(out / DRAWN / f"{name}.npz") as kept:
        dwi, anatomy, lesion = (kept[key].astype(np.float32) for key in ("dwi", "anatomy", "lesion"))
        affine = kept["affine"]
    return [
        Scan({Role.DWI: image, Role.ANATOMY: labels, Role.LESION: mask}, affine)
        for image, labels, mask in zip(dwi, anatomy, lesion, strict=True)
    ]


def _from_runs(out: Path, asked: Drawing, runs: Pair) -> Iterator[Scan]:
    lesions, generator, _ = load_model(RunFolder(out / FOLDER / runs.lesions / "run"))
    masks = lesions.sample(generator, SPARE * asked.cases, derive_seed(asked.seed, "masks"))
    _, translator, _ = load_model(RunFolder(out / FOLDER / runs.translator / "run"))
    edge = asked.shape[0]
    return stroke_cases(map(_mask, masks), translator[SMOOTHED], edge, asked.cases, asked.seed)


def _mask(scan: Scan) -> Mask:
    return scan.volumes[Role.LESION], scan.affine


def _free(asked: Drawing) -> Iterator[Scan]:
    """Return public phantoms, with images of the public simulator itself or of what learnt from it alone."""
    if (drawer := asked.pretrained) is None:
        return islice(simulate_patients(asked.shape, np.random.default_rng(asked.seed)), asked.cases)
    recipe = load(drawer.recipe, drawer.variant, drawer.preset)
    model = recipe.build(asked.seed)
    recipe.pretrain(model, derive_seed(asked.seed, "pretrain"), lambda what, done, of: None)
    return recipe.sample(model, asked.cases, asked.seed)

"""A trained translator on maps and masks from files: what a person brings, not what the run made.

A run's privacy claim is about the patients it was trained on. It says nothing of what is put in here: a map
or a mask of a patient stays that patient's data, and so does what is drawn from it.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from server.dataset.drawings import write_drawings
from server.run.drawing import TRANSLATOR, is_chain, load_translator
from server.run.folder import RunFolder
from server.run.sampling import check_said
from shared.errors import CohortError, UsageError
from shared.imaging import nifti
from shared.imaging.anatomy import is_parenchyma
from shared.imaging.lesion_injection import inject, lay
from shared.imaging.orientation import from_ras, to_ras
from shared.imaging.relabel import relabel
from shared.imaging.scan import Role, Scan
from shared.ledger.view import view
from shared.privacy.randomness import derive_seed
from shared.recipes.drawn_dwi import translate

Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class Inputs:
    """Files to draw from."""

    anatomy: Path
    table: Path | None  # for an anatomical map with other numbers than FreeSurfer's
    lesions: Sequence[Path]
    in_place: bool  # whether lesions stay where they lie; if not, each is put somewhere else in the brain


def translate_files(run_dir: Path, out: Path, inputs: Inputs, *, seed: int, unsafe: bool) -> None:
    """Draw one image for each lesion and write it with map and lesion, on the map's grid, in the new folder `out`.

    Raises:
        UsageError: no run of a translator, or a lesion is empty or has no room.
        CohortError: a file cannot be read, or the map has labels that are not known.
        PublicationRefused: as `check_said`, or `out` exists.
    """
    folder = RunFolder(run_dir / TRANSLATOR if is_chain(run_dir) else run_dir)
    generator, edge, run = load_translator(folder)
    check_said(folder.path, run, unsafe=unsafe)
    anatomy, affine = _read_map(inputs)
    masks = [_read_mask(path) for path in inputs.lesions]  # all of them, before the first is drawn

    def scans() -> Iterator[Scan]:
        for number, (path, (mask, mask_affine)) in enumerate(zip(inputs.lesions, masks, strict=True)):
            with _naming(path):
                if inputs.in_place:
                    lesion = lay(mask, mask_affine, anatomy, affine)
                else:
                    rng = np.random.default_rng(derive_seed(seed, "place", number))
                    lesion = inject(mask, mask_affine, anatomy, affine, rng)
            upright = to_ras(anatomy, affine), to_ras(lesion, affine)
            drawn = translate(generator, *upright, edge, derive_seed(seed, "slices", number))
            volumes = {
                Role.DWI: from_ras(drawn, affine),
                Role.ANATOMY: anatomy,
                Role.LESION: lesion.astype(np.float32),
            }
            yield Scan(volumes, affine)

    names = [path.name for path in inputs.lesions]
    ledger = folder.home.open_ledger()
    ledger.close()
    write_drawings(out, scans(), seen=view(ledger.events, run.run), anatomy=inputs.anatomy.name, lesions=names)


def _read_map(inputs: Inputs) -> tuple[NDArray[np.float32], Matrix]:
    """Return the map in FreeSurfer numbers (i, j, k), and its affine (4, 4)."""
    anatomy, affine = nifti.read(inputs.anatomy)
    if inputs.table is not None:
        anatomy = relabel(anatomy, inputs.table).astype(np.float32)
    with _naming(inputs.anatomy):
        if not is_parenchyma(anatomy).any():
            raise CohortError("no voxel of the map is brain; take another map or mend the table")
    return anatomy, affine


def _read_mask(path: Path) -> tuple[NDArray[np.bool_], Matrix]:
    mask, affine = nifti.read(path)
    if not (mask > 0.5).any():
        raise UsageError(f"{path}: no voxel of the mask is above 0.5; leave it out or mend it")
    return mask > 0.5, affine


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Say of which file an error speaks."""
    try:
        yield
    except (UsageError, CohortError) as err:
        raise type(err)(f"{path}: {err}") from err

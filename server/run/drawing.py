"""What draws synthetic cases: the networks of one finished run, or of two that a folder joins."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from torch import nn

from server.dataset.files.origin import USUAL, Origin
from server.run.coordinator import load_model
from server.run.folder import RunFolder
from shared.errors import UsageError
from shared.imaging.scan import Role, Scan
from shared.ledger.events import Run
from shared.privacy.randomness import derive_seed
from shared.recipes.stroke_cases import stroke_cases
from shared.recipes.translate_2d import Translation
from shared.recipes.wasserstein import SMOOTHED

LESIONS, TRANSLATOR = "lesions", "translator"  # the runs of a chain, in this order, as folders in its own
_MASKS = 20  # drawn for one case at most: some find no room in a head


@dataclass(frozen=True)
class Drawer:
    """Draws cases, and says in whose name."""

    folder: RunFolder  # of the run that publishes
    run: Run
    sources: tuple[str, ...]
    draw: Callable[[int, int, str], Iterator[Scan]]  # of how many cases, a seed and a source
    origin: Origin
    worse_than_public: str = ""  # see `Recipe`


def is_chain(path: Path) -> bool:
    """Return whether a folder joins runs of a lesion generator and a translator, and is none itself."""
    return RunFolder(path / LESIONS).job_file.exists() and not RunFolder(path).job_file.exists()


def drawer_of(path: Path) -> Drawer:
    """Return what draws from the run, or the chain of runs, in the folder `path`.

    Raises:
        UsageError: there is no run, or one is not finished.
    """
    if is_chain(path):
        return _chained(path)
    folder = RunFolder(path)
    recipe, model, run = load_model(folder)
    origin = Origin(recipe.made) if recipe.made else USUAL
    return Drawer(folder, run, recipe.sources, partial(recipe.sample, model), origin, recipe.worse_than_public)


def load_translator(folder: RunFolder) -> tuple[nn.Module, int, Run]:
    """Return the generator of a finished run of `translate-2d`, the edge of its slices in pixels, and the run.

    Raises:
        UsageError: there is no run, it is another recipe's, or it is not finished.
    """
    if (name := folder.job().recipe) != Translation.name:
        raise UsageError(f"{folder.path}: a run of {name}; a run of {Translation.name} is needed")
    recipe, model, run = load_model(folder)
    assert isinstance(recipe, Translation)
    return model[SMOOTHED], recipe.edge, run


def _chained(path: Path) -> Drawer:
    folder = RunFolder(path / TRANSLATOR)
    recipe, lesions, earlier = load_model(RunFolder(path / LESIONS))
    generator, edge, run = load_translator(folder)

    def draw(count: int, seed: int, source: str) -> Iterator[Scan]:
        drawn = recipe.sample(lesions, _MASKS * count, derive_seed(seed, "masks"))
        masks = ((scan.volumes[Role.LESION], scan.affine) for scan in drawn)
        return stroke_cases(masks, generator, edge, count, derive_seed(seed, "cases"))

    words = (
        f"Lesion masks were drawn by the generator of run {earlier.run[:12]} of the same federation "
        f"({earlier.system}): its cost is part of those below. They were put into anatomical maps of public "
        "phantoms, which are nobody's, and the generator of this run drew the images from map and lesion. Nobody "
        "has corrected the labels by hand."
    )
    return Drawer(folder, run, ("generator",), draw, Origin(words, (earlier.run,)))

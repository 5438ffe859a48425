"""A question about a published data set, as a run: what is asked for, and the initial weights that ask it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

from safetensors.torch import save

from server.query.data_set import DataSet
from server.run.asked import Asked
from server.run.folder import RunFolder
from shared.errors import UsageError
from shared.evaluation.published import find_published
from shared.evaluation.segmentation import train
from shared.privacy.randomness import derive_seed
from shared.recipes.base import Progress
from shared.recipes.catalogue import catalogue, load
from shared.recipes.query_dice import DiceQuery
from shared.recipes.query_distance import DistanceQuery
from shared.recipes.settings import Setting
from shared.recipes.vessel_records import EDGE

QUERIES = (DiceQuery.name, DistanceQuery.name)


@dataclass(frozen=True)
class Budget:
    """What a query may cost, and where it is recorded."""

    epsilon: float
    delta: float | None = None  # None: the federation's
    seed: int | None = None  # seeded noise: a simulation
    federation: Path | None = None  # None: where the command keeps it


def ask_dice(of: Path, preset: str, steps: int, budget: Budget, progress: Progress) -> tuple[Asked, bytes]:
    """Return the question how well a network trained on the data set in `of` finds patients' vessels.

    Raises:
        UsageError: there is no data set of vessels, or its patches are of another size than the preset's.
        CohortError: a file cannot be read.
    """
    pairs = find_published(of).patches(EDGE[preset])
    ticks = count(1)
    what = "training on public data"
    network = train(pairs, steps, budget.seed or 0, lambda: progress(what, next(ticks), steps))
    initial = {f"network.{name}": value for name, value in network.state_dict().items()}
    return as_run(DiceQuery.name, None, preset, {}, budget), save(initial)


def ask_distance(data_set: DataSet, budget: Budget, progress: Progress) -> tuple[Asked, bytes]:
    """Return the question how near patients lie to a data set, for patients trained on and others alike.

    The run asked for has the public seed of the run that trained, so that patients' records are the same.

    Raises:
        UsageError: nothing is known to compare its cases with, or as `DistanceQuery.question`.
        CohortError: a file cannot be read.
    """
    folder, variant = _compared(data_set.folders)
    trained = folder.plan()
    recipe = load(DistanceQuery.name, variant, trained.preset)
    assert isinstance(recipe, DistanceQuery)
    question = recipe.question(data_set.published, derive_seed(trained.public_seed, "distance"), progress)
    settings = {"cases": len(question["question.cases"])}
    asked = as_run(recipe.name, variant, trained.preset, settings, budget)
    return replace(asked, public_seed=trained.public_seed), save(question)


def _compared(folders: Sequence[RunFolder]) -> tuple[RunFolder, str]:
    """Return the first of the runs whose records can be compared, and by which variant."""
    known = catalogue()[DistanceQuery.name]
    for folder in folders:
        if (recipe := folder.plan().recipe) in known:
            return folder, recipe
    recipes = ", ".join(folder.plan().recipe for folder in folders)
    raise UsageError(f"{recipes}: only data sets of {' and '.join(known)} can be compared with patients")


def as_run(
    recipe: str, variant: str | None, preset: str, settings: Mapping[str, Setting], budget: Budget
) -> Asked:
    """Return what is asked of a query's run."""
    return Asked(
        recipe=recipe,
        variant=variant,
        preset=preset,
        settings=settings,
        epsilon=budget.epsilon,
        delta=budget.delta,
        rounds=None,
        seed=budget.seed,
        pretrain="none",
        count=1,
        unsafe_non_private=False,
        overlap=None,
        federation=budget.federation,
    )

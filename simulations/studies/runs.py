"""One run of a federation as a cell of a study: train, then draw pairs, both through the doors a person uses."""

import shutil
import time
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from server.dataset.releasing.candidate import GateShut
from server.run.asked import Asked
from server.run.folder import RunFolder
from server.run.sampling import draw_to_look_at, publish_more
from shared.canonical import Json
from shared.privacy.accounting import PrivacyCost, cost
from shared.privacy.events import SampledGaussian
from shared.recipes.catalogue import load
from shared.recipes.settings import Setting
from simulations.federation import start_run
from simulations.start import weights_of
from simulations.studies.cells import Cell
from simulations.studies.cohorts import federate

FOLDER = "runs"
DELTA = 1e-5
PUBLISHED = 16  # cases in the data set of the run itself: enough for its contact sheet


class Training(BaseModel):
    """Everything that decides a run and what is drawn from it. Without ε it is not private, by name."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    cohort: str  # folder of the sites, relative to OUT
    seed: int  # of noise, weights and draws
    pairs: int = 0  # drawn from the finished run
    recipe: str = "vessels-2d"
    variant: str
    preset: str = "small"
    epsilon: float | None  # most it may cost; None for a run without noise
    rounds: int | None = None  # None: the recipe's
    settings: dict[str, Setting] = {}
    # The cell whose run it goes on from, with what that trained. Left out where there is none, so that cells of
    # studies without fine-tuning keep their digests.
    start: str = Field(default="", exclude_if=lambda name: not name)
    start_of: "Training | None" = Field(default=None, exclude_if=lambda training: training is None)

    def cell(self, name: str) -> Cell:
        """Return the cell that trains it."""
        return Cell(name, self.model_dump(mode="json"))


def train(out: Path, cell: Cell) -> Json:
    """Run the federation in `OUT/runs/<cell>`, draw its pairs, and return what it cost.

    Raises:
        WillisError: as `willis simulate` and `willis dataset publish`.
    """
    asked = Training.model_validate(cell.settings)
    folder = out / FOLDER / cell.name
    shutil.rmtree(folder, ignore_errors=True)  # interrupted, or of other settings
    roles = load(asked.recipe, asked.variant, asked.preset).roles
    federate(out / asked.cohort, folder / "sites", roles)
    request = Asked(
        recipe=asked.recipe,
        variant=asked.variant,
        preset=asked.preset,
        settings=asked.settings,
        epsilon=asked.epsilon,
        delta=DELTA,
        rounds=asked.rounds,
        seed=asked.seed,
        pretrain=None,
        count=PUBLISHED,
        unsafe_non_private=asked.epsilon is None,
        overlap=None,
        federation=None,
    )
    initial = weights_of(out / FOLDER / asked.start / "run", request) if asked.start else b""
    begun = time.perf_counter()
    start_run(folder / "run", folder / "sites", request, "embedded", initial)
    trained = time.perf_counter() - begun
    plan = RunFolder(folder / "run").plan()
    if asked.pairs:
        how = {"count": asked.pairs, "seed": asked.seed}
        if plan.spending.protects_patients:
            _publish(folder / "run", folder / "pairs", **how)
        else:
            draw_to_look_at(folder / "run", folder / "pairs", **how, source="", unsafe=True)
    (mechanism,) = plan.spending.mechanisms
    sigma = mechanism.noise_multiplier if isinstance(mechanism, SampledGaussian) else 0.0
    price = cost([plan.spending], plan.delta)
    return {"train_seconds": trained, "steps": mechanism.steps, "noise_multiplier": sigma, **as_json(price)}


def _publish(run: Path, out: Path, **how: int) -> None:
    """Draw pairs into `out` though they be worth little, or nothing: a study is there to find that out."""
    try:
        publish_more(run, out, **how, source="", anyway=True)
    except GateShut as shut:
        shut.kept.rename(out)


def as_json(price: PrivacyCost) -> dict[str, Json]:
    """Return an ε with all that gives it meaning; JSON has no infinity, so ε = ∞ is null."""
    return {
        "epsilon": price.epsilon if price.epsilon < float("inf") else None,
        "delta": price.delta,
        "unit": price.unit.value,
        "relation": price.relation.value,
        "accountant": price.accountant,
        "claim": str(price),
    }

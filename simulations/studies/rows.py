"""Rows of a comparison: the same network judged on pairs of different origin, seed by seed.

One seed is one draw of training patients, one run with its own noise, one draw of pairs and one training of the
network, the same for all rows: rows can be compared seed by seed and patient by patient. Test patients are the
same throughout.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from shared.evaluation.bootstrap import Interval, Scores, paired_difference
from shared.evaluation.utility import Tissue
from shared.recipes.settings import Setting
from simulations.studies.bench import Bench
from simulations.studies.cells import Done
from simulations.studies.cohorts import Hospitals
from simulations.studies.judging import Judging, judge, scores
from simulations.studies.pairs import Origin
from simulations.studies.quality import Looking, look
from simulations.studies.runs import DELTA, Training, train
from simulations.studies.tables import Spread

# Of GANs that are not private: most of what a small one learns it learns from public phantoms, before the first.
GAN_ROUNDS = {"small": 20, "paper": None}
HELD_OUT, SECOND_SITE = "held-out", "second site"
BOOTSTRAP_SEED = 0
PRICED = f"ε at δ = {DELTA:g}; unit: patient (dp-wgan: patch); add/remove; PLD"  # wherever ε is only in a name


@dataclass(frozen=True, eq=False)
class Row:
    """One origin of pairs: patients, the public simulator, or a run of a variant."""

    key: str  # of files
    name: str  # what people read
    variant: str = ""  # "" where no run is needed
    epsilon: float | None = None  # of the run; None: without noise and clipping
    rounds: int | None = None
    settings: Mapping[str, Setting] = field(default_factory=dict)


REAL = Row("real", "real patients (ceiling)")
PUBLIC = Row("public", "public simulator only (free)")


@dataclass(frozen=True)
class Scale:
    """How large a study is."""

    hospitals: Hospitals
    seeds: int
    preset: str = "small"
    recipe: str = "vessels-2d"

    @property
    def draws(self) -> range:
        """The seeds."""
        return range(1, self.seeds + 1)


@dataclass(frozen=True, kw_only=True)
class Sizes(Scale):
    """How large a comparison is: the same for all its rows."""

    pairs: int
    size: tuple[int, ...]  # edges of a pair in voxels
    steps: int  # updates of the network that is judged


@dataclass(frozen=True)
class Comparison:
    """Rows with where their pairs are, ready to be judged or looked at."""

    bench: Bench
    sizes: Sizes
    rows: Sequence[Row]
    cohorts: Mapping[int, str]  # training patients by seed
    origins: Mapping[tuple[str, int], Origin]  # by key and seed
    runs: Mapping[tuple[str, int], Done]

    def judged(self, tests: Mapping[str, str], tissues: Sequence[Tissue]) -> dict[tuple[str, int], Done]:
        """Return what every row is worth on test patients, by key and seed."""
        sizes = self.sizes
        cells = {
            (key, seed): Judging(
                origin=origin,
                pairs=sizes.pairs,
                size=sizes.size,
                steps=sizes.steps,
                seed=seed,
                tests=dict(tests),
                tissues=tuple(tissues),
            ).cell(f"judge-{key}-{seed}")
            for (key, seed), origin in self.origins.items()
        }
        done = self.bench.compute("judging pairs", list(cells.values()), judge)
        return {at: done[cell.name] for at, cell in cells.items()}

    def looked_at(self, held_out: str, images: int) -> dict[tuple[str, int], Done]:
        """Return how the pairs of every row look beside real ones, by key and seed."""
        cells = {
            (key, seed): Looking(
                origin=origin,
                training=self.cohorts[seed],
                held_out=held_out,
                images=images,
                size=self.sizes.size,
                seed=seed,
            ).cell(f"look-{key}-{seed}")
            for (key, seed), origin in self.origins.items()
        }
        done = self.bench.compute("image quality", list(cells.values()), look)
        return {at: done[cell.name] for at, cell in cells.items()}


def compare(bench: Bench, sizes: Sizes, rows: Sequence[Row]) -> Comparison:
    """Make the patients and train every run."""
    cohorts = {seed: bench.phantoms("cohorts", sizes.hospitals.to_train(seed)) for seed in sizes.draws}
    trainings = {
        (row.key, seed): Training(
            cohort=cohorts[seed],
            seed=seed,
            pairs=sizes.pairs,
            recipe=sizes.recipe,
            variant=row.variant,
            preset=sizes.preset,
            epsilon=row.epsilon,
            rounds=row.rounds,
            settings=dict(row.settings),
        )
        for row in rows
        if row.variant
        for seed in sizes.draws
    }
    cells = {at: training.cell(_name(*at)) for at, training in trainings.items()}
    done = bench.compute("training", list(cells.values()), train)
    origins = {
        (row.key, seed): _origin(row, cohorts[seed], seed, trainings.get((row.key, seed)))
        for row in rows
        for seed in sizes.draws
    }
    return Comparison(bench, sizes, rows, cohorts, origins, {at: done[cell.name] for at, cell in cells.items()})


def _name(key: str, seed: int) -> str:
    return f"train-{key}-{seed}"


def _origin(row: Row, cohort: str, seed: int, training: Training | None) -> Origin:
    if training is not None:
        return Origin(kind="run", where=_name(row.key, seed), trained=training)
    return Origin(kind="public") if row is PUBLIC else Origin(kind="real", where=cohort)


def by_seed(done: Mapping[tuple[str, int], Done], row: Row) -> list[Done]:
    """Return the cells of a row in order of seeds."""
    return [one for (key, _), one in sorted(done.items()) if key == row.key]


def scores_of(
    judged: Mapping[tuple[str, int], Done], row: Row, test: str, tissue: Tissue, measure: str = "dice"
) -> Scores:
    """Return one measure of a row as (seeds, patients)."""
    return scores([one.result for one in by_seed(judged, row)], test, tissue, measure)


def mean_of(
    judged: Mapping[tuple[str, int], Done], row: Row, test: str, tissue: Tissue, measure: str = "dice"
) -> Spread:
    """Return mean and SD over seeds of a measure's mean over patients."""
    return Spread.of(scores_of(judged, row, test, tissue, measure).mean(axis=1))


def spread_of(done: Sequence[Done], measure: str) -> Spread | None:
    """Return mean and SD over seeds of a measure of `look`; None where it could not be taken."""
    values = [one.result[measure] for one in done]
    return None if None in values else Spread.of(values)


def minus(first: Scores, second: Scores) -> Interval:
    """Return the paired difference of two rows with its 95 % CI over seeds and patients."""
    return paired_difference(first, second, np.random.default_rng(BOOTSTRAP_SEED))


def claim(comparison: Comparison, row: Row) -> str:
    """Return what a row's privacy is, never a bare ε; all seeds of a row have the same plan."""
    if row.variant:
        return str(comparison.runs[row.key, 1].result["claim"])
    return "free: no patient" if row is PUBLIC else "none: patients themselves"


def updates(comparison: Comparison) -> str:
    """Say how many updates each run made at the sites: a small preset makes far fewer than a paper."""
    steps = {row.name: comparison.runs[row.key, 1].result["steps"] for row in comparison.rows if row.variant}
    return f"Updates at the sites: {'; '.join(f'{name}: {count:,}' for name, count in steps.items())}."

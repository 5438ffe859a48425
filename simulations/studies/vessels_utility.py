"""What private vessel images are worth for training: the table of the README, with its intervals.

Every row trains the same segmentation network on as many pairs; the row to beat is the public simulator, which
costs no privacy. The DP-WGAN of Kossen et al. (2022) is run as the paper did, with the patch as its unit and the
noise of its best model; a note says what that costs a whole patient.
"""

from collections.abc import Mapping, Sequence

from shared.evaluation.bootstrap import Interval, Scores
from shared.evaluation.utility import Tissue
from shared.recipes.catalogue import load
from shared.recipes.settings import Setting
from shared.recipes.vessel_records import PATCHES
from simulations.studies.bench import Bench, Findings
from simulations.studies.cells import Done
from simulations.studies.cohorts import Hospitals
from simulations.studies.figures import dots, sample_grid
from simulations.studies.noise import epsilon_at, patient_cost
from simulations.studies.rows import (
    GAN_ROUNDS,
    HELD_OUT,
    PRICED,
    PUBLIC,
    REAL,
    Comparison,
    Row,
    Sizes,
    by_seed,
    claim,
    compare,
    minus,
    scores_of,
    updates,
)
from simulations.studies.samples import kept_samples
from simulations.studies.tables import Column, Spread, Table, Value

NAME = "vessels-utility"
EPSILONS = (8.0, 3.0)
DP_WGAN, PAPER_SIGMA = "dp-wgan", 0.65  # noise multiplier of the paper's best model
VARIANTS = ("private-calibrated", "private")  # whose unit is the patient
# Smaller draws than the recipes' own, which are made for tens of patients: steps of the same size and price.
DRAWS: dict[str, dict[str, dict[str, Setting]]] = {
    "small": {"wgan-gp-sn": {"sampling_rate": 0.06}, DP_WGAN: {"sampling_rate": 0.0125}},
    "paper": {"wgan-gp-sn": {}, DP_WGAN: {}},
}
ENOUGH_SEEDS = 3  # fewer cannot tell a better row from a lucky training
SIZES = {
    "small": Sizes(Hospitals(4, 50, 10, (96, 96, 48)), seeds=3, pairs=1000, size=(64, 64), steps=300),
    "paper": Sizes(
        Hospitals(4, 50, 10, (312, 384, 127)), seeds=5, pairs=10_000, size=(96, 96), steps=3000, preset="paper"
    ),
}
COLUMNS = (
    Column("trained on"),
    Column("privacy of the run"),
    Column("Dice, ± SD over seeds", 3),
    Column("SD over patients", 3),
    Column("of real", 2),
    Column("minus public (95 % CI)", 3, signed=True),
    Column("minutes a seed", 1),
    Column("beats public"),
)


def rows(preset: str) -> tuple[Row, ...]:
    """Return the rows of the table."""
    private = [
        Row(f"{variant}-{key}", f"{variant}, {what}", variant, epsilon)
        for variant in VARIANTS
        for key, what, epsilon in [
            ("noise-free", "noise-free twin", None),
            *((f"eps{epsilon:g}", f"ε at most {epsilon:g}", epsilon) for epsilon in EPSILONS),
        ]
    ]
    draws = DRAWS[preset]
    gan = Row("wgan-gp-sn", "wgan-gp-sn, not private", "wgan-gp-sn", None, GAN_ROUNDS[preset], draws["wgan-gp-sn"])
    epsilon = epsilon_at(PAPER_SIGMA, load("vessels-2d", DP_WGAN, preset, settings=draws[DP_WGAN]))
    paper = Row(DP_WGAN, f"{DP_WGAN}, σ = {PAPER_SIGMA:g}", DP_WGAN, epsilon, None, draws[DP_WGAN])
    return (REAL, PUBLIC, *private, gan, paper)


def run(bench: Bench, sizes: Sizes, chosen: Sequence[Row]) -> tuple[Findings, list[Done]]:
    """Compute the study, or what is missing of it; return what was found, and the cells it came from."""
    tests = {HELD_OUT: bench.phantoms("held-out", sizes.hospitals.to_test())}
    comparison = compare(bench, sizes, chosen)
    judged = comparison.judged(tests, [Tissue.INTRACRANIAL])
    dice = {row: scores_of(judged, row, HELD_OUT, Tissue.INTRACRANIAL) for row in chosen}
    lines = tuple(_line(row, comparison, judged, dice) for row in chosen)
    patients = dice[PUBLIC].shape[1]
    title = f"Dice inside the brain, {sizes.pairs} pairs a row, {patients} test patients, {sizes.seeds} seeds"
    table = Table(NAME, title, COLUMNS, lines, _notes(comparison))
    figures = {
        f"{NAME}.png": dots(
            {row.name: dice[row] for row in chosen}, "Dice inside the brain", f"{title}\n{PRICED}"
        ),
        f"{NAME}-samples.png": sample_grid(
            {row.name: kept_samples(bench.out, f"judge-{row.key}-1") for row in chosen}, PRICED
        ),
    }
    return Findings((table,), figures), [*comparison.runs.values(), *judged.values()]


def verdict(row: Row, difference: Interval | None, seeds: int) -> str:
    """Say whether a row that protects patients beats the free one: its interval excludes zero."""
    if row.epsilon is None or row.variant == DP_WGAN or difference is None:
        return ""
    if seeds < ENOUGH_SEEDS:
        return "too few seeds to say"
    if difference.low > 0:
        return "yes"
    return "no, it is worse" if difference.high < 0 else "cannot be told"


def _line(
    row: Row, comparison: Comparison, judged: Mapping[tuple[str, int], Done], dice: Mapping[Row, Scores]
) -> tuple[Value, ...]:
    mine, seeds = dice[row], comparison.sizes.seeds
    difference = None if row is PUBLIC else minus(mine, dice[PUBLIC])
    real = dice[REAL].mean()
    seconds = sum(one.seconds for done in (comparison.runs, judged) for one in by_seed(done, row))
    return (
        row.name,
        claim(comparison, row),
        Spread.of(mine.mean(axis=1)),
        Spread.of(mine.mean(axis=0)).sd,
        float(mine.mean() / real) if real else None,
        difference,
        seconds / 60 / seeds,
        verdict(row, difference, seeds),
    )


def _notes(comparison: Comparison) -> tuple[str, ...]:
    sizes = comparison.sizes
    hospitals = sizes.hospitals
    said = [
        f"{hospitals.sites} phantom hospitals of {hospitals.patients} patients; a seed is a draw of patients, the "
        "run's noise and weights, a draw of pairs and a training. Test patients are the same throughout.",
        updates(comparison),
        "Runs are seeded, hence simulations: whoever knows the seed can undo the noise.",
        "A noise-free twin is neither noised nor clipped. ε is what the run costs a patient of one site (or "
        "a patch, where the unit says so).",
    ]
    for row in comparison.rows:
        if row.variant == DP_WGAN and row.epsilon is not None:
            recipe = load(sizes.recipe, DP_WGAN, sizes.preset, settings=row.settings)
            price = patient_cost(PAPER_SIGMA, recipe, row.rounds, PATCHES[sizes.preset])
            said.append(
                f"{row.name}: for a patient with {PATCHES[sizes.preset]} patches the same run costs {price}."
            )
    return tuple(said)

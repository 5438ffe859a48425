"""Stroke lesions on diffusion-weighted images: what drawn patients are worth (Platscher et al., 2020).

A lesion generator and a translator are trained at the hospitals; lesions put into public heads are drawn by the
translator, and a U-Net is trained on patients, on drawn cases, or on both. The paper's are not private. Beside
them stand a private pair of runs, and what is free: the public simulator, and a translator that saw it alone.
"""

from collections.abc import Mapping, Sequence
from math import ceil

from server.run.folder import RunFolder
from shared.imaging.patches import Patches
from shared.privacy.accounting import cost
from shared.recipes.catalogue import load
from shared.recipes.settings import Setting
from simulations.studies.bench import Bench, Findings
from simulations.studies.cells import Cell, Done
from simulations.studies.cohorts import Hospitals
from simulations.studies.figures import dots
from simulations.studies.platscher_tables import (
    NAME,
    PASSES,
    PATIENTS,
    UPDATES,
    Found,
    bars_table,
    contrast_table,
    cost_table,
    segmentation_table,
)
from simulations.studies.rows import PUBLIC, Row, Sizes
from simulations.studies.runs import DELTA, FOLDER, Training, train
from simulations.studies.samples import kept_samples
from simulations.studies.stroke_drawing import Drawing, Pair, Pretrained, draw
from simulations.studies.stroke_figures import intensities, slices_side_by_side
from simulations.studies.stroke_judging import Outlining, Tuning, outline
from simulations.studies.stroke_looks import MAPS, Viewing, view

SIZES = {
    "small": Sizes(
        Hospitals(4, 50, 20, (64, 64, 16), kind="dwi", test_draw=1000),  # 0 was seen when the U-Net was chosen
        seeds=3,
        pairs=200,
        size=(64, 64, 16),
        steps=400,
        recipe="translate-2d",
    ),
    "paper": Sizes(
        Hospitals(4, 100, 40, (128, 128, 32), kind="dwi"),
        seeds=3,
        pairs=2027,
        size=(128, 128, 32),
        steps=36_500,  # 500 epochs of 365 volumes, five at a time
        preset="paper",
        recipe="translate-2d",
    ),
}
LESIONS = "lesions-3d"
TUNING = 0.5  # updates of fine-tuning, of those from scratch on as many patients (the paper's epochs: 150 of 300)
JOINT = 8.0
SHARES = (7.0, 3.0)  # most that translator and lesion generator may cost, so that both together cost at most JOINT
# Of a small preset, which learns most of what it learns from public phantoms: fewer rounds and smaller draws.
ROUNDS: dict[str, tuple[int | None, int | None]] = {
    "small": (20, 10),
    "paper": (None, None),
}  # translator, lesions
DRAWS: dict[str, dict[str, Setting]] = {"small": {"sampling_rate": 0.06}, "paper": {}}
PRIVATE_DRAWS: dict[str, dict[str, Setting]] = {"small": {"sampling_rate": 0.1, "records": 2}, "paper": {}}
LESION_DRAWS: dict[str, dict[str, Setting]] = {"small": {"sampling_rate": 0.1}, "paper": {}}

PRICED = f"ε of both runs composed; δ = {DELTA:g}; unit: patient; add/remove; PLD"  # wherever ε is only in a name

# What a private run must beat, where it begins with what public phantoms taught: that, and no patient.
PRETRAINED = Row("pretrained", "public translator (free)", "pix2pix")

Runs = Mapping[tuple[str, int], Pair]  # by key of a row and seed


def rows(preset: str) -> tuple[Row, ...]:
    """Return the translators; each with a lesion generator that is private as it is."""
    rounds, draws = ROUNDS[preset][0], DRAWS[preset]
    return (
        Row("pix2pix-10", "pix2pix, λ = 10", "pix2pix", None, rounds, {**draws, "reconstruction": 10.0}),
        Row("pix2pix-100", "pix2pix, λ = 100", "pix2pix", None, rounds, {**draws, "reconstruction": 100.0}),
        Row("spade", "spade", "spade", None, rounds, draws),
        Row("cyclegan", "cyclegan", "cyclegan", None, rounds, draws),
        Row("private", f"private pix2pix, ε at most {JOINT:g}", "pix2pix", JOINT, rounds, PRIVATE_DRAWS[preset]),
    )


def run(bench: Bench, sizes: Sizes, chosen: Sequence[Row]) -> tuple[Findings, list[Done]]:
    """Compute the study, or what is missing of it; return what was found, and the cells it came from."""
    tests = bench.phantoms("held-out", sizes.hospitals.to_test())
    cohorts = {seed: bench.phantoms("cohorts", sizes.hospitals.to_train(seed)) for seed in sizes.draws}
    runs = {(row.key, seed): _pair(row, seed, cohorts[seed], sizes) for row in chosen for seed in sizes.draws}
    trainings = {pair.translator: pair.translator_of for pair in runs.values()}
    trainings |= {pair.lesions: pair.lesions_of for pair in runs.values()}
    trained = bench.compute("training", [one.cell(name) for name, one in trainings.items()], train)

    kinds = [PUBLIC, *_pretrained(sizes), *chosen]
    drawings = {
        (row.key, seed): _drawing(row, runs.get((row.key, seed)), seed, sizes)
        for row in kinds
        for seed in sizes.draws
    }
    cells = [drawing.cell(_drawn(key, seed)) for (key, seed), drawing in drawings.items()]
    drawn = bench.compute("drawing", cells, draw)
    looks = bench.compute("looking", _viewings(drawings, cohorts), view)
    outlines = bench.compute("outlining", _outlinings(drawings, cohorts, tests, sizes), outline)

    found = Found(sizes, kinds, outlines, looks, _claims(bench, chosen, runs))
    figures = {
        f"{NAME}.png": dots(
            {found.name_of(use, row): found.dice(use, row) for use, row in found.lines()},
            "DSC",
            f"DSC on {found.positives} test patients with a lesion; a dot a training\n{PRICED}",
        ),
        f"{NAME}-samples.png": slices_side_by_side(_pictures(bench, kinds, chosen), PRICED),
        f"{NAME}-intensities.png": intensities({n: found.histograms(n) for n in found.names}, found.names, PRICED),
    }
    tables = (segmentation_table(found), bars_table(found), contrast_table(found), cost_table(found))
    return Findings(tables, figures), [*trained.values(), *drawn.values(), *looks.values(), *outlines.values()]


def _pair(row: Row, seed: int, cohort: str, sizes: Sizes) -> Pair:
    private = row.epsilon is not None
    return Pair(
        translator=f"train-{row.key}-{seed}",
        translator_of=Training(
            cohort=cohort,
            seed=seed,
            preset=sizes.preset,
            recipe=sizes.recipe,
            variant=row.variant,
            epsilon=SHARES[0] if private else None,
            rounds=row.rounds,
            settings=dict(row.settings),
        ),
        lesions=f"train-lesions{'-private' if private else ''}-{seed}",
        lesions_of=Training(
            cohort=cohort,
            seed=seed,
            preset=sizes.preset,
            recipe=LESIONS,
            variant="wgan-gp",
            epsilon=SHARES[1] if private else None,
            rounds=ROUNDS[sizes.preset][1],
            settings=LESION_DRAWS[sizes.preset],
        ),
    )


def _pretrained(sizes: Sizes) -> tuple[Row, ...]:
    """Return the public translator; none in the paper preset, whose runs begin with untrained networks."""
    return (PRETRAINED,) if load(sizes.recipe, PRETRAINED.variant, sizes.preset).pretrains else ()


def _drawing(row: Row, runs: Pair | None, seed: int, sizes: Sizes) -> Drawing:
    before = Pretrained(recipe=sizes.recipe, variant=row.variant, preset=sizes.preset)
    pretrained = before if row is PRETRAINED else None
    return Drawing(runs=runs, pretrained=pretrained, cases=sizes.pairs, shape=sizes.size, seed=seed)


def _drawn(key: str, seed: int) -> str:
    return f"draw-{key}-{seed}"


def _viewings(drawings: Mapping[tuple[str, int], Drawing], cohorts: Mapping[int, str]) -> list[Cell]:
    mine = [
        Viewing(drawing=_drawn(key, seed), drawing_of=drawing).cell(f"view-{key}-{seed}")
        for (key, seed), drawing in drawings.items()
    ]
    return mine + [Viewing(cohort=where).cell(f"view-{PATIENTS}-{seed}") for seed, where in cohorts.items()]


def _outlinings(
    drawings: Mapping[tuple[str, int], Drawing], cohorts: Mapping[int, str], tests: str, sizes: Sizes
) -> list[Cell]:
    """Return the trainings: on patients, on few of them, and on each kind of drawn cases with them and without."""

    everyone = sizes.hospitals.sites * sizes.hospitals.patients
    few = {stage: (n, ceil(sizes.steps * n / everyone)) for stage, n in PASSES.items()}  # patients, updates
    few |= {stage: (n, sizes.steps) for stage, n in UPDATES.items()}
    tunings = {stage: Tuning(patients=n, steps=ceil(TUNING * updates)) for stage, (n, updates) in few.items()}

    def cell(name: str, seed: int, clinical: int | None, updates: int = sizes.steps, key: str = "") -> Cell:
        return Outlining(
            cohort=cohorts[seed],
            clinical=clinical,
            drawing=_drawn(key, seed) if key else "",
            drawing_of=drawings.get((key, seed)),
            tunings=tunings if clinical == 0 else {},
            steps=updates,
            preset=sizes.preset,
            tests=tests,
            seed=seed,
        ).cell(f"outline-{name}-{seed}")

    mine = [cell(PATIENTS, seed, None) for seed in cohorts]
    mine += [cell(f"{PATIENTS}-{stage}", seed, *how) for seed in cohorts for stage, how in few.items()]
    for key, seed in drawings:
        mine += [cell(f"{key}-with", seed, None, key=key), cell(f"{key}-alone", seed, 0, key=key)]
    return mine


def _pictures(bench: Bench, kinds: Sequence[Row], chosen: Sequence[Row]) -> dict[str, Patches]:
    """Return slices of patients, of what is free, of the maps that runs translated, and of them drawn."""
    of = {row.key: kept_samples(bench.out, f"view-{row.key}-1") for row in kinds}
    free = [row for row in kinds if row not in chosen]
    return {
        "patients (others)": kept_samples(bench.out, f"view-{PATIENTS}-1"),
        **{row.name: of[row.key] for row in free},
        "map": kept_samples(bench.out, f"view-{chosen[0].key}-1{MAPS}"),
        **{row.name: of[row.key] for row in chosen},
    }


def _claims(bench: Bench, chosen: Sequence[Row], runs: Runs) -> dict[str, tuple[str, str, str]]:
    """Return what translator, lesion generator, and both together cost a patient, by key of a row."""
    claims = {}
    for row in chosen:
        pair = runs[row.key, 1]
        folders = (bench.out / FOLDER / name / "run" for name in (pair.translator, pair.lesions))
        one, other = (RunFolder(folder).plan().spending for folder in folders)
        claims[row.key] = str(cost([one], DELTA)), str(cost([other], DELTA)), str(cost([one, other], DELTA))
    return claims

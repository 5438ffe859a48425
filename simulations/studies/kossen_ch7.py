"""Perfusion maps by networks (Kossen et al., 2023): two architectures, first site and second, private and not.

Trained on a teacher's maps, as the paper's are, and on phantoms' truth, with which a network can become better
than its teacher. Beside the networks stand the teacher, a constant, and a network that has only seen public
phantoms, which is free: what does not beat it learnt nothing from patients.
"""

from collections.abc import Sequence

from shared.recipes.settings import Setting
from simulations.studies.bench import Bench, Findings
from simulations.studies.cells import Done
from simulations.studies.cohorts import Hospitals
from simulations.studies.kossen_ch7_tables import (
    CONSTANT,
    FIRST,
    NAME,
    PUBLIC,
    SECOND,
    SMOOTHED,
    TUNED,
    UNSMOOTHED,
    Found,
    apart_table,
    late_table,
    published_table,
    second_table,
    truth_table,
)
from simulations.studies.perfusion_figures import accuracy, maps_side_by_side
from simulations.studies.perfusion_mapping import Mapping, Way, kept_slices, make_maps, marks, true_slices
from simulations.studies.perfusion_teaching import TAUGHT, Teaching, teach
from simulations.studies.rows import Row, Scale
from simulations.studies.runs import Training, train

RECIPE = "perfusion-2d"
PIX2PIX, TEMPORAL = "pix2pix", "temp-pix2pix"
EPSILON = 8.0


SIZES = {
    "small": Scale(Hospitals(4, 50, 10, (64, 64, 8), 10, 10, kind="dsc"), 1, "small", RECIPE),
    "paper": Scale(Hospitals(4, 50, 20, (128, 128, 21), 25, 20, kind="dsc"), 3, "paper", RECIPE),
}
# Of a small preset, which learns most of what it learns from public phantoms: fewer rounds and smaller draws.
ROUNDS: dict[str, int | None] = {"small": 40, "paper": None}
DRAWS: dict[str, dict[str, Setting]] = {"small": {"sampling_rate": 0.06, "records": 2}, "paper": {"map": "all"}}
PRIVATE_DRAWS = {"small": {**DRAWS["small"], "sampling_rate": 0.1}, "paper": DRAWS["paper"]}
TUNING = {"small": 10, "paper": 131}  # rounds at the second site; the paper: 50 epochs of its 50 patients
TUNING_RATE = {"small": 0.25, "paper": 4 / 50}  # of its patients at a time: there are fewer


def rows(preset: str) -> tuple[Row, ...]:
    """Return the networks: of the teacher's maps, as in the paper, of the truth, and a private one."""
    rounds, draws = ROUNDS[preset], DRAWS[preset]
    return (
        Row("taught-pix2pix", "pix2pix, of the teacher's maps", PIX2PIX, None, rounds, draws),
        Row("taught-temporal", "temp-pix2pix, of the teacher's maps", TEMPORAL, None, rounds, draws),
        Row("pix2pix", "pix2pix", PIX2PIX, None, rounds, draws),
        Row("temporal", "temp-pix2pix", TEMPORAL, None, rounds, draws),
        Row("private", "private temp-pix2pix", TEMPORAL, EPSILON, rounds, PRIVATE_DRAWS[preset]),
    )


def run(bench: Bench, sizes: Scale, chosen: Sequence[Row]) -> tuple[Findings, list[Done]]:
    """Compute the study, or what is missing of it; return what was found, and the cells it came from."""
    people = sizes.hospitals
    first = {seed: bench.phantoms("cohorts", people.to_train(seed)) for seed in sizes.draws}
    second = bench.phantoms("second-site", people.second_site(to_test=False))
    tests = {
        FIRST: bench.phantoms("held-out", people.to_test()),
        SECOND: bench.phantoms("second-site", people.second_site(to_test=True)),
    }
    folders = {**{f"train-{seed}": where for seed, where in first.items()}, "learn": second, **tests}
    lessons = {name: Teaching(cohort=where).cell(f"teach-{name}") for name, where in folders.items()}
    taught = bench.compute("the teacher's maps", list(lessons.values()), teach)

    def patients(row: Row, name: str) -> str:
        """Return a cohort with the maps a row learns from, or is compared with as the paper does."""
        return f"{TAUGHT}/{lessons[name].name}" if row.key.startswith(TAUGHT) else folders[name]

    trainings = {
        (row.key, seed): _training(sizes, row, seed, patients(row, f"train-{seed}"))
        for row in chosen
        for seed in sizes.draws
    }
    done = bench.compute("training", [one.cell(_run(*at)) for at, one in trainings.items()], train)
    later = {
        (TUNED + row.key, seed): _tuning(sizes, row, seed, patients(row, "learn"), trainings[row.key, seed])
        for row in chosen
        for seed in sizes.draws
    }
    done |= bench.compute("tuning", [one.cell(_run(*at)) for at, one in later.items()], train)

    cells: dict[tuple[str, str, int], Mapping] = {}
    for site, where in tests.items():
        for seed in sizes.draws:
            cells |= {
                (CONSTANT, site, seed): Mapping(way=Way.CONSTANT, cohort=first[seed], tests=where),
                (UNSMOOTHED, site, seed): Mapping(way=Way.CLASSICAL, tests=where),
                (SMOOTHED, site, seed): Mapping(way=Way.CLASSICAL, smoothing_px=1.0, tests=where),
                (PUBLIC, site, seed): Mapping(
                    way=Way.PRETRAINED, variant=TEMPORAL, preset=sizes.preset, seed=seed, tests=where
                ),
            }
        for row in chosen:
            for seed in sizes.draws:
                mapping = Mapping(
                    way=Way.NETWORK,
                    run=_run(row.key, seed),
                    run_of=trainings[row.key, seed],
                    tests=patients(row, site),
                )
                cells[row.key, site, seed] = mapping
                if site == SECOND:
                    key = TUNED + row.key
                    moved = {"run": _run(key, seed), "run_of": later[key, seed]}
                    cells[key, site, seed] = mapping.model_copy(update=moved)
    named = {at: mapping.cell("-".join(("map", *map(str, at)))) for at, mapping in cells.items()}
    compared = bench.compute("mapping", list(named.values()), make_maps)

    found = Found(
        sizes.seeds,
        chosen,
        {at: compared[cell.name] for at, cell in named.items()},
        {site: marks(bench.out, where) for site, where in tests.items()},
        {key: str(done[_run(key, 1)].result["claim"]) for row in chosen for key in (row.key, TUNED + row.key)},
        {name: len(done.result["failed"]) for name, done in zip(lessons, taught.values(), strict=True)},
    )
    tables = (
        published_table(found),
        truth_table(found),
        second_table(found),
        late_table(found),
        apart_table(found),
    )
    shown = {row.key: row.name for row in chosen if not row.key.startswith(TAUGHT)}
    slices = {
        "truth": true_slices(bench.out, tests[FIRST]),
        "deconvolution": kept_slices(bench.out, named[SMOOTHED, FIRST, 1].name),
        **{name: kept_slices(bench.out, named[key, FIRST, 1].name) for key, name in shown.items()},
    }
    figures = {
        f"{NAME}.png": accuracy(found),
        **{
            f"{NAME}-{what}.png": maps_side_by_side(
                {name: of[patient] for name, of in slices.items() if patient in of}, title
            )
            for what, (patient, title) in found.notable().items()
        },
    }
    return Findings(tables, figures), [*taught.values(), *done.values(), *compared.values()]


def _run(key: str, seed: int) -> str:
    return f"train-{key}-{seed}"


def _training(sizes: Scale, row: Row, seed: int, cohort: str) -> Training:
    return Training(
        cohort=cohort,
        seed=seed,
        preset=sizes.preset,
        recipe=RECIPE,
        variant=row.variant,
        epsilon=row.epsilon,
        rounds=row.rounds,
        settings=dict(row.settings),
    )


def _tuning(sizes: Scale, row: Row, seed: int, cohort: str, before: Training) -> Training:
    """Return a run at the second site that goes on from the first site's network."""
    tuned = {
        "cohort": cohort,
        "rounds": TUNING[sizes.preset],
        "settings": {**before.settings, "sampling_rate": TUNING_RATE[sizes.preset]},
        "start": _run(row.key, seed),
        "start_of": before,
    }
    return before.model_copy(update=tuned)

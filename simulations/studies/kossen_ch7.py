"""Perfusion maps by networks (Kossen et al., 2023): two architectures and ours, at two sites, one private.

Trained on a teacher's maps, as the paper's are, and on phantoms' truth, with which a network can become better
than its teacher. Beside the networks stand the teacher, a constant, and a network that has only seen public
phantoms, which is free: what does not beat it learnt nothing from patients.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from shared.recipes.settings import Setting
from simulations.studies.bench import Bench, Findings
from simulations.studies.cells import Done
from simulations.studies.cohorts import Hospitals
from simulations.studies.kossen_ch7_tables import (
    CONSTANT,
    FIRST,
    NAME,
    PUBLIC,
    PUBLIC_FINE,
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
from simulations.studies.perfusion_mapping import MapMaking, Way, kept_slices, make_maps, marks, true_slices
from simulations.studies.perfusion_teaching import TAUGHT, Teaching, teach
from simulations.studies.rows import Row, Scale
from simulations.studies.runs import Training, train

RECIPE = "perfusion-2d"
PIX2PIX, TEMPORAL, FINE, FEW = "pix2pix", "temp-pix2pix", "temp-pix2pix-fine", "private"
EPSILON = 8.0

Mappings = dict[tuple[str, str, int], MapMaking]  # by key of a way, site of the test patients, and seed


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
        Row("fine", "temp-pix2pix-fine, ours", FINE, None, rounds, draws),
        Row("private", "private temp-pix2pix", TEMPORAL, EPSILON, rounds, PRIVATE_DRAWS[preset]),
        *((Row("few", "private, few weights moved", FEW, EPSILON),) if preset == "small" else ()),
    )


@dataclass(frozen=True)
class _Cohorts:
    """Where patients are: `train-SEED`, `learn` at the second site, and test patients of both."""

    own: Mapping[str, str]  # folders with true maps, by name
    taught: Mapping[str, str]  # the same with the teacher's

    def of(self, row: Row, name: str) -> str:
        """Return the patients with the maps a row learns from, or is compared with."""
        return (self.taught if row.key.startswith(TAUGHT) else self.own)[name]


def run(bench: Bench, sizes: Scale, chosen: Sequence[Row]) -> tuple[Findings, list[Done]]:
    """Compute the study, or what is missing of it; return what was found, and the cells it came from."""
    own = _patients(bench, sizes)
    lessons = {name: Teaching(cohort=where).cell(f"teach-{name}") for name, where in own.items()}
    taught = bench.compute("the teacher's maps", list(lessons.values()), teach)
    cohorts = _Cohorts(own, {name: f"{TAUGHT}/{cell.name}" for name, cell in lessons.items()})
    at = [(row, seed) for row in chosen for seed in sizes.draws]
    first = {(row.key, seed): _training(sizes, row, seed, cohorts.of(row, f"train-{seed}")) for row, seed in at}
    second = {
        (TUNED + row.key, seed): _tuning(sizes, row, seed, cohorts.of(row, "learn"), first[row.key, seed])
        for row, seed in at
    }
    done = bench.compute("training", [one.cell(_run(*key)) for key, one in first.items()], train)
    done |= bench.compute("tuning", [one.cell(_run(*key)) for key, one in second.items()], train)
    mappings = _yardsticks(sizes, own) | _mappings(chosen, cohorts, first | second)
    cells = {key: mapping.cell("-".join(("map", *map(str, key)))) for key, mapping in mappings.items()}
    compared = bench.compute("mapping", list(cells.values()), make_maps)
    found = Found(
        sizes.seeds,
        chosen,
        {key: compared[cell.name] for key, cell in cells.items()},
        {site: marks(bench.out, own[site]) for site in (FIRST, SECOND)},
        {key: str(done[_run(key, 1)].result["claim"]) for row in chosen for key in (row.key, TUNED + row.key)},
        {name: len(taught[cell.name].result["failed"]) for name, cell in lessons.items()},
    )
    slices = {"truth": true_slices(bench.out, own[FIRST])}
    shown = [(SMOOTHED, "deconvolution"), *((key, name) for key, name in found.of_truth() if (key, 1) in first)]
    slices |= {name: kept_slices(bench.out, cells[key, FIRST, 1].name) for key, name in shown}
    figures = {f"{NAME}.png": accuracy(found)} | {
        f"{NAME}-{what}.png": maps_side_by_side({n: of[who] for n, of in slices.items() if who in of}, title)
        for what, (who, title) in found.notable().items()
    }
    tables = tuple(table(found) for table in (published_table, truth_table, second_table, late_table, apart_table))
    return Findings(tables, figures), [*taught.values(), *done.values(), *compared.values()]


def _patients(bench: Bench, sizes: Scale) -> dict[str, str]:
    people = sizes.hospitals
    own = {f"train-{seed}": bench.phantoms("cohorts", people.to_train(seed)) for seed in sizes.draws}
    own["learn"] = bench.phantoms("second-site", people.second_site(to_test=False))
    own[FIRST] = bench.phantoms("held-out", people.to_test())
    own[SECOND] = bench.phantoms("second-site", people.second_site(to_test=True))
    return own


def _yardsticks(sizes: Scale, own: Mapping[str, str]) -> Mappings:
    """Return the ways that need no run."""
    found: Mappings = {}
    for site in (FIRST, SECOND):
        tests = own[site]
        for seed in sizes.draws:
            network = {"preset": sizes.preset, "seed": seed}
            found |= {
                (CONSTANT, site, seed): MapMaking(way=Way.CONSTANT, cohort=own[f"train-{seed}"], tests=tests),
                (UNSMOOTHED, site, seed): MapMaking(way=Way.CLASSICAL, tests=tests),
                (SMOOTHED, site, seed): MapMaking(way=Way.CLASSICAL, smoothing_px=1.0, tests=tests),
                (PUBLIC, site, seed): MapMaking(way=Way.PRETRAINED, variant=TEMPORAL, tests=tests, **network),
                (PUBLIC_FINE, site, seed): MapMaking(way=Way.PRETRAINED, variant=FINE, tests=tests, **network),
            }
    return found


def _mappings(chosen: Sequence[Row], cohorts: _Cohorts, trainings: Mapping[tuple[str, int], Training]) -> Mappings:
    """Return what every network draws: of test patients of both sites, and, once tuned, of the second."""
    rows = {prefix + row.key: row for row in chosen for prefix in ("", TUNED)}
    return {
        (key, site, seed): MapMaking(
            way=Way.NETWORK, run=_run(key, seed), run_of=training, tests=cohorts.of(rows[key], site)
        )
        for (key, seed), training in trainings.items()
        for site in ((SECOND,) if key.startswith(TUNED) else (FIRST, SECOND))
    }


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

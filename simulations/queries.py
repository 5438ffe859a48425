"""Federated queries on one machine, from their question to their answer."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from client.cohort import find_cohort
from client.site import Site
from server.query.answers import write_answer
from server.query.asking import Budget, ask_dice, ask_distance
from server.query.comparing import compare, lines_of
from server.query.data_set import DataSet, find_data_set
from server.query.groups import different
from server.query.kept import ANSWER
from server.run.asked import Asked
from server.run.folder import RunFolder
from shared.bars import bars
from shared.errors import CohortError
from shared.imaging.scan import Role
from shared.privacy.randomness import derive_seed
from shared.recipes.catalogue import load
from simulations.federation import check_empty, check_run, find_sites, train_run

TRAINED, HELD_OUT = "trained", "held-out"  # folders of the two queries


def query_dice(out: Path, of: Path, cohorts: Path, budget: Budget, preset: str, steps: int) -> list[str]:
    """Train a network on a published data set, have the sites score it, write OUT/answer.json; return lines.

    Raises:
        UsageError: the data set has no vessels, or patches of another size than the preset's.
        WillisError: as `simulations.federation.train_run`.
    """
    check_empty(out)
    with bars() as progress:
        asked, initial = ask_dice(of, preset, steps, budget, progress)
    return _ask(out, cohorts, asked, initial)


def query_distance(
    out: Path, of: Path, cohorts: Path, held_out: Path, budget: Budget, run: Path | None
) -> list[str]:
    """Ask both groups how near they lie to a data set, write OUT/answer.json; return lines.

    Those held out are asked first: should they refuse, the others have paid nothing.

    Raises:
        UsageError: there is no such data set or run, or its cases cannot be compared with patients.
        CohortError: the cohorts are not those trained on, or somebody is in both groups.
        WillisError: as `simulations.federation.train_run`.
    """
    check_empty(out)
    data_set = find_data_set(of, run)
    home = data_set.folders[-1].home
    budget = replace(budget, delta=home.agree(budget.delta, None)[0])
    with bars() as progress:
        asked, initial = ask_distance(data_set, replace(budget, federation=home.path), progress)
    _check_groups(data_set, cohorts, held_out, load(asked.recipe, asked.variant, asked.preset).roles)
    # Two plans with one seed would have one noise, and their difference none.
    seed = None if budget.seed is None else derive_seed(budget.seed, HELD_OUT)
    others = replace(asked, federation=None, seed=seed)
    check_run(cohorts, asked, initial)
    _ask(out / HELD_OUT, held_out, others, initial)
    _ask(out / TRAINED, cohorts, asked, initial)
    return lines_of(compare(out / ANSWER, data_set, out / TRAINED, out / HELD_OUT))


def _ask(out: Path, cohorts: Path, asked: Asked, initial: bytes) -> list[str]:
    """Take one query to its answer; return it as lines."""
    train_run(out, cohorts, asked, "embedded", initial)
    return [*write_answer(RunFolder(out)), f"report    {out / 'report' / 'index.html'}"]


def _check_groups(data_set: DataSet, cohorts: Path, held_out: Path, roles: Sequence[Role]) -> None:
    """Check, before anybody pays, that the one group was trained on by the ledger, and that nobody is in both."""
    sites = {path.name: Site(path) for path in find_sites(cohorts)}
    found = {name: site.cohort(roles) for name, site in sites.items()}
    commitments = {name: sites[name].commitment(cohort) for name, cohort in found.items()}
    for run in data_set.views():
        if why := different(run, commitments):
            raise CohortError(f"{cohorts}: {why}")
    trained = {patient for cohort in found.values() for patient in cohort.ids}
    for path in find_sites(held_out):
        if both := trained.intersection(find_cohort(path, roles).ids):
            raise CohortError(f"{path}: {min(both)} was trained on; hold out other patients")

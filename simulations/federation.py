"""A simulated federation from start to data set: check the cohorts, run the engine, publish, report."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel
from rich.console import Console

from client.app import records_of
from client.cohort import find_cohort, is_site
from client.policy import POLICY_FILE, read_policy
from client.site import Site
from server.dataset.publication import publish
from server.ledger.home import Home
from server.report.build import write_report
from server.run.coordinator import load_model
from server.run.folder import RunFolder
from server.run.job import Job
from server.run.planning import plan
from shared.canonical import digest
from shared.errors import CohortError, PolicyRefusal, UsageError
from shared.files import write_durably
from shared.ledger.events import QUERY_PREFIX
from shared.ledger.view import views
from shared.privacy.events import NoiseSource
from shared.privacy.randomness import derive_seed
from shared.recipes.base import Progress, Recipe
from shared.recipes.catalogue import load
from shared.recipes.settings import Setting
from simulations.bars import bars
from simulations.engines import Engine, run_engine

HOME = ".federation"  # the coordinator's home beside the cohorts of a simulation
MAX_EPSILON = 100.0  # more protects nobody, and takes the accountant gigabytes to say so
POLICY = """\
# What this site allows; edit freely, it wins over anything a coordinator asks.
# Written by `willis simulate`: generous, because everything stays on one machine.
max_epsilon = 20.0          # most for one patient over all runs: the first by PLD, later ones by a Renyi filter
delta = {delta:g}               # at this delta; runs with another are refused
min_noise_multiplier = 0.3
min_patients = 3
recipes = []                # empty: any; likewise the next three
presets = []
queries = []                # what may be measured on these patients, such as "query-dice"
code = []                   # digests of reviewed code; the coordinator must in any case run the same as the site
allow_seeded_noise = true   # a real hospital says false
allow_non_private = true    # a real hospital says false
allow_patch_unit = true     # a real hospital says false
"""


@dataclass(frozen=True)
class Asked:
    """What `willis simulate` was asked for."""

    recipe: str
    variant: str | None
    preset: str
    settings: Mapping[str, Setting]
    epsilon: float | None
    delta: float | None  # None: the federation's
    rounds: int | None
    seed: int | None
    pretrain: str | None
    count: int
    unsafe_non_private: bool
    overlap: int | None  # None: the federation's
    federation: Path | None  # None: beside the cohorts


class _Simulation(BaseModel):
    """What only a simulation knows, kept beside the run for `--resume`: never part of what is published."""

    cohorts: Path
    seed: int | None


def start_run(out: Path, cohorts: Path, asked: Asked, engine: Engine, initial: bytes = b"") -> None:
    """Start a run in the empty folder `out` and take it to its data set and report.

    `initial` are weights to start from (safetensors), which a query scores.
    """
    private = asked.epsilon is not None
    recipe = load(asked.recipe, asked.variant, asked.preset, private=private, settings=asked.settings)
    folder = RunFolder(out)
    _check_empty(out)
    sites = find_sites(cohorts)
    home = Home(asked.federation or cohorts / HOME)
    if asked.delta is not None and not 0 < asked.delta < 1:
        raise UsageError(f"--delta {asked.delta:g}: choose a number between 0 and 1, such as 1e-5")
    delta, overlap = home.agree(asked.delta, asked.overlap)
    job = _job(asked, recipe, sites=len(sites), delta=delta, initial=digest(initial) if initial else "")
    plan(job, recipe, [])  # a target out of reach is refused before anything is read or written
    with bars() as progress:
        _check_cohorts(sites, recipe, job, overlap, progress)
        folder.begin(job, home.path)
        home.found(delta, overlap)
        if initial:
            write_durably(folder.initial_file, initial)
        kept = _Simulation(cohorts=cohorts.resolve(), seed=asked.seed)
        write_durably(_kept_file(out), kept.model_dump_json(indent=2).encode() + b"\n")
        _conduct(folder, job, kept, engine, progress)
    if not initial:
        _say_what_next(out, job)


def resume_run(out: Path, engine: Engine) -> None:
    """Continue the run in `out`, with the settings it was started with."""
    folder = RunFolder(out)
    job = folder.job()
    try:
        kept = _Simulation.model_validate_json(_kept_file(out).read_bytes())
    except (OSError, ValueError) as err:
        raise UsageError(f"{_kept_file(out)}: missing or damaged; restore it, it holds the seed") from err
    _check_resumable(folder, job, kept)
    _, overlap = folder.home.agree(None, None)
    with bars() as progress:
        _check_cohorts(find_sites(kept.cohorts), load(job.recipe, job.variant, job.preset), job, overlap, progress)
        _conduct(folder, job, kept, engine, progress)
    _say_what_next(out, job)


def find_sites(cohorts: Path) -> list[Path]:
    """Return the site folders under `cohorts`, in order of name; hidden folders are none.

    Raises:
        CohortError: there are none, or a folder holds no cohort (left out in silence, it would be missed late).
    """
    expected = f"expected {cohorts.name}/<site>/sub-<patient>/anat/..."
    if not cohorts.is_dir():
        raise CohortError(f"{cohorts}: no such folder; bring the cohorts back, {expected}")
    sites = [path for path in sorted(cohorts.iterdir()) if path.is_dir() and not path.name.startswith(".")]
    if not sites:
        raise CohortError(f"{cohorts}: no sites here; {expected}")
    for site in sites:
        if not is_site(site):
            raise CohortError(f"{site}: no patients here; {expected}, or move the folder away")
    return sites


def _check_empty(out: Path) -> None:
    """Refuse a folder with something in it before anything is read (`RunFolder.begin` refuses it too)."""
    if out.exists() and any(out.iterdir()):
        raise UsageError(f"{out}: not empty; give --resume to continue its run, or another folder")


def _check_resumable(folder: RunFolder, job: Job, kept: _Simulation) -> None:
    """Check that a run still has its key, its ledger and the patients it began with.

    Raises:
        WillisError: naming what is missing or has changed; nothing has been written.
    """
    sites = {path.name: Site(path) for path in find_sites(kept.cohorts)}
    folder.home.terms()
    if not folder.plan_file.exists():
        return  # interrupted before any site was asked to reserve
    run = folder.plan()
    ledger = folder.home.open_ledger()
    seen = views(ledger.events).get(run.run)
    ledger.close()
    enrolled = seen.enrolled if seen else {}  # those that answered the call to reserve
    if len(sites) != job.sites or not enrolled.keys() <= sites.keys():
        began = ", ".join(sorted(enrolled))
        raise CohortError(
            f"{kept.cohorts}: {len(sites)} sites, and the run began with {job.sites} ({began}); restore them"
        )
    roles = load(run.recipe, run.variant, run.preset).roles
    for name, event in enrolled.items():
        cohort = sites[name].cohort(roles)
        if sites[name].commitment(cohort) != event.cohort:
            msg = f"{len(cohort.ids)} patients, and not the {event.patients} that the run began with"
            raise CohortError(f"{cohort.folder}: {msg}; restore them, or start another run")


def _job(asked: Asked, recipe: Recipe, sites: int, delta: float, initial: str) -> Job:
    if recipe.name.startswith(QUERY_PREFIX) and not initial:
        raise UsageError(f"{recipe.name} measures a given network; use `willis query`")
    if asked.unsafe_non_private == (asked.epsilon is not None):
        raise UsageError("give either --epsilon or --unsafe-non-private: noise is a choice made by name")
    if asked.epsilon is not None and not 0 < asked.epsilon <= MAX_EPSILON:
        remedy = f"choose a number above 0 and at most {MAX_EPSILON:g}, or --unsafe-non-private by name"
        raise UsageError(f"--epsilon {asked.epsilon:g}: {remedy}")
    seeded = asked.seed is not None
    pretrain = {"phantoms": True, "none": False, None: recipe.pretrains}[asked.pretrain]
    return Job(
        recipe=recipe.name,
        variant=recipe.variant,
        preset=recipe.preset,
        settings=recipe.schedule.only(asked.settings),
        epsilon=asked.epsilon,
        delta=delta,
        rounds=asked.rounds or recipe.schedule.rounds,
        sites=sites,
        noise_source=NoiseSource.SEEDED if seeded else NoiseSource.SYSTEM,
        # Derived, so that what the ledger publishes is not the seed of the noise.
        public_seed=derive_seed(asked.seed, "public") if asked.seed is not None else secrets.randbits(63),
        pretrain=pretrain,
        initial=initial,
        cases=asked.count,
        nonce="" if seeded else secrets.token_hex(16),
    )


def _check_cohorts(sites: Sequence[Path], recipe: Recipe, job: Job, overlap: int, progress: Progress) -> None:
    """Read every cohort before anything starts, so that errors name files here, where a person may see them."""
    seen: dict[str, list[Path]] = {}
    for done, site in enumerate(sites):
        progress("reading cohorts", done, len(sites))
        for patient in find_cohort(site, recipe.roles).ids:
            at = seen.setdefault(patient, [])
            at.append(site)
            if len(at) > overlap:
                raise CohortError(
                    f"patient {patient} is at {len(at)} sites, {' and '.join(map(str, at))}, and the federation "
                    f"counts on {overlap}; keep it at one, or found a federation with --overlap {len(at)}"
                )
        if not (site / POLICY_FILE).exists():
            write_durably(site / POLICY_FILE, POLICY.format(delta=job.delta).encode())
        read_policy(site / POLICY_FILE)
        Site(site).check_state()
        records_of(site, job.recipe, job.variant, job.preset, job.public_seed)
    progress("reading cohorts", len(sites), len(sites))


def _conduct(folder: RunFolder, job: Job, kept: _Simulation, engine: Engine, progress: Progress) -> None:
    try:
        run_engine(engine, folder.path, find_sites(kept.cohorts), kept.seed, progress)
    except PolicyRefusal:
        write_report(folder.path)
        raise
    progress("report", 0, 1)
    write_report(folder.path)
    run = folder.plan()
    if run.spending.protects_patients and not run.is_query and not (folder.path / "dataset").exists():
        recipe, model, _ = load_model(folder)
        cases = recipe.sample(model, job.cases, derive_seed(run.public_seed, "dataset"))
        ledger = folder.home.open_ledger()
        publish(folder, folder.path / "dataset", cases, store=ledger)
        ledger.close()
    progress("report", 1, 1)


def _kept_file(out: Path) -> Path:
    return out / "simulation.json"


def _say_what_next(out: Path, job: Job) -> None:
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"report    {out / 'report' / 'index.html'}")
    spending = RunFolder(out).plan().spending
    if not spending.protects_patients:
        why = f"whose unit is the {spending.unit.value}" if spending.is_private else "without noise"
        console.print(f"data set  none: a run {why} may not be published")
        console.print(f"next      willis sample {out} SAMPLES --count 50 --unsafe-non-private   # to look at")
        return
    console.print(f"data set  {out / 'dataset'} ({job.cases} cases; see contact-sheet.png, README.md)")
    console.print(f"ledger    {out / 'ledger'}")
    console.print(f"next      willis audit verify {out}")
    console.print(f"          willis sample {out} MORE --count 1000   # free: post-processing")

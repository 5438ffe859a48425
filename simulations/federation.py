"""A simulated federation from start to data set: check the cohorts, run the engine, publish, report."""

from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel
from rich.console import Console

from client.app import records_of
from client.cohort import find_cohort, is_site
from client.policy import POLICY_FILE, read_policy
from client.site import Site
from server.dataset.commands.publishing import outcome_lines
from server.dataset.releasing.candidate import GateShut
from server.dataset.releasing.release import Outcome
from server.report.build import write_report
from server.run.asked import Asked
from server.run.coordinator import Extent
from server.run.drawing import drawer_of
from server.run.folder import RunFolder
from server.run.job import Job
from server.run.planning import plan
from server.run.sampling import publish_asked
from shared.bars import bars
from shared.canonical import digest
from shared.errors import CohortError, PolicyRefusal, UsageError
from shared.files import write_durably
from shared.ledger.view import views
from shared.recipes.base import Progress, Recipe
from shared.recipes.catalogue import load
from simulations.engines import Engine, run_engine

HOME = ".federation"  # the coordinator's home beside the cohorts
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


class _Simulation(BaseModel):
    """What only a simulation knows, kept beside the run for `--resume`: never part of what is published."""

    cohorts: Path
    seed: int | None


def start_run(out: Path, cohorts: Path, asked: Asked, engine: Engine, initial: bytes = b"") -> None:
    """Start a run in the empty folder `out` and take it to its data set and report; `initial` as `train_run`."""
    train_run(out, cohorts, asked, engine, initial)
    finish(out)


def resume_run(out: Path, engine: Engine) -> None:
    """Continue the run in `out`, with the settings it was started with, to its data set and report."""
    check_resumable(out)
    conduct_run(out, engine)
    finish(out)


def train_run(out: Path, cohorts: Path, asked: Asked, engine: Engine, initial: bytes = b"") -> None:
    """Start a run in the empty folder `out` and take it to settlement and report.

    `initial` are weights to start from (safetensors): a query scores them, any other run goes on from them.
    """
    check_empty(out)
    begin_run(out, cohorts, asked, check_run(cohorts, asked, initial), initial)
    conduct_run(out, engine)


def begin_run(out: Path, cohorts: Path, asked: Asked, job: Job, initial: bytes = b"") -> None:
    """Make the folder `out` of a run that `check_run` returned; nobody is asked anything yet."""
    folder = RunFolder(out)
    home, delta, overlap = asked.federation_of(cohorts / HOME)
    folder.begin(job, home.path)
    home.found(delta, overlap)
    if initial:
        write_durably(folder.initial_file, initial)
    kept = _Simulation(cohorts=cohorts.resolve(), seed=asked.seed)
    write_durably(_kept_file(out), kept.model_dump_json(indent=2).encode() + b"\n")


def conduct_run(out: Path, engine: Engine, extent: Extent = Extent.TRAIN) -> None:
    """Take the run begun in `out`, from wherever it stands, to settlement and report, or as far as asked."""
    folder, kept = RunFolder(out), _kept(out)
    with bars() as progress:
        try:
            run_engine(engine, folder.path, find_sites(kept.cohorts), kept.seed, progress, extent)
        except PolicyRefusal:
            write_report(folder.path)
            raise
        progress("report", 0, 1)
        write_report(folder.path)
        progress("report", 1, 1)


def check_run(cohorts: Path, asked: Asked, initial: bytes = b"") -> Job:
    """Return the run that was asked for, after reading every cohort; nothing of the run is written.

    Raises:
        UsageError: what is asked does not exist, or is out of reach.
        CohortError: a cohort cannot be read, or is not what the recipe needs.
    """
    recipe = asked.load()
    sites = find_sites(cohorts)
    _, delta, overlap = asked.federation_of(cohorts / HOME)
    job = asked.job(recipe, sites=len(sites), delta=delta, initial=digest(initial) if initial else "")
    plan(job, recipe, [])  # a target out of reach is refused before anything is read
    with bars() as progress:
        _check_cohorts(sites, recipe, job, overlap, progress)
    return job


def check_resumable(out: Path) -> None:
    """Check that the run in `out` can go on as it began, after reading every cohort; nothing is written.

    Raises:
        WillisError: naming what is missing or has changed.
    """
    folder = RunFolder(out)
    job, kept = folder.job(), _kept(out)
    _check_unchanged(folder, job, kept)
    _, overlap = folder.home.agree(None, None)
    with bars() as progress:
        _check_cohorts(find_sites(kept.cohorts), load(job.recipe, job.variant, job.preset), job, overlap, progress)


def finish(out: Path) -> None:
    """Publish the data set of the trained run, or chain of runs, in `out`, if it may be, and say what is next."""
    drawer = drawer_of(out)
    run = drawer.run
    unfit = run.is_query or run.begins_with_weights or drawer.worse_than_public
    publishes = run.spending.protects_patients and not unfit
    shut: GateShut | None = None
    done: Outcome | None = None
    if publishes and not (out / "dataset").exists():
        with bars() as progress:
            progress("data set", 0, 1)
            try:
                done = publish_asked(out)
            except GateShut as err:  # the run itself is whole, so it ends well
                shut = err
            progress("data set", 1, 1)
    _say_what_next(out, drawer.folder, drawer.worse_than_public, done, shut)


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


def check_empty(out: Path) -> None:
    """Refuse a folder with something in it before anything is read (`RunFolder.begin` refuses it too).

    Raises:
        UsageError: it has.
    """
    if out.exists() and any(out.iterdir()):
        raise UsageError(f"{out}: not empty; give --resume to continue its run, or another folder")


def _check_unchanged(folder: RunFolder, job: Job, kept: _Simulation) -> None:
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


def _kept(out: Path) -> _Simulation:
    try:
        return _Simulation.model_validate_json(_kept_file(out).read_bytes())
    except (OSError, ValueError) as err:
        raise UsageError(f"{_kept_file(out)}: missing or damaged; restore it, it holds the seed") from err


def _kept_file(out: Path) -> Path:
    return out / "simulation.json"


def _say_what_next(
    out: Path, folder: RunFolder, worse_than_public: str, done: Outcome | None, shut: GateShut | None
) -> None:
    console = Console(highlight=False, soft_wrap=True, markup=False)
    console.print(f"report    {folder.path / 'report' / 'index.html'}")
    if shut is not None:
        console.print(f"data set  none: {shut}")
        console.print(f"next      look at {shut.kept}; no budget is lost, and another draw costs none")
        return
    for line in outcome_lines(done, out, out / "dataset") if done else ():
        console.print(line)
    if done and done.missing:
        return
    spending = folder.plan().spending
    if not spending.protects_patients:
        why = f"whose unit is the {spending.unit.value}" if spending.is_private else "without noise"
        console.print(f"data set  none: a run {why} may not be published")
        console.print(f"next      willis sample {out} SAMPLES --count 50 --unsafe-non-private   # to look at")
        return
    if folder.plan().begins_with_weights:
        console.print(
            "data set  none: it began with another run's weights, whose patients its claim may not cover"
        )
        return
    if worse_than_public:
        console.print(f"data set  none: worth less than the free public simulator ({worse_than_public})")
        console.print(f"next      willis dataset publish {out} MORE --count 50 --publish-anyway   # if it must be")
        return
    console.print(f"data set  {out / 'dataset'} ({folder.job().cases} cases; see contact-sheet.png, README.md)")
    console.print(f"ledger    {folder.ledger}")
    apart = "" if folder.path == out else f" --dataset {out / 'dataset'}"
    console.print(f"next      willis audit verify {folder.path}{apart}")
    console.print(f"          willis dataset publish {out} MORE --count 1000   # free: post-processing")

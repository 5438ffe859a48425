"""What becomes of a request for a run before Flower has it: checks, the run's folder, the app bundle."""

import re
from collections.abc import Sequence
from pathlib import Path

from deploy import flower
from deploy.bundle import build_bundle
from deploy.coordinator.home import CoordinatorHome
from deploy.coordinator.sites import all_sites
from deploy.processes import answers
from server.run.asked import Asked
from server.run.folder import RunFolder
from server.run.patience import Patience
from server.run.patience import quorum as usual_quorum
from server.run.planning import plan
from server.run.status import Status
from shared.canonical import digest
from shared.errors import UsageError
from shared.files import write_durably

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_PAUSE_SECONDS = 5.0  # before a hospital whose answer was lost is asked again
_ALIVE = ("pending", "starting", "running")


def begin(
    home: CoordinatorHome,
    name: str,
    asked: Asked,
    sites: int | None,
    quorum: int | None,
    *,
    initial: bytes = b"",
    among: Sequence[str] = (),
) -> list[str]:
    """Prepare the folder of a new run; return what a person should know of it, as lines.

    `initial` are weights it begins with (safetensors): a query's. `among` are the hospitals that may take part,
    all that are approved if none is named.

    Raises:
        UsageError: the name or what is asked for is no good, or too few hospitals are approved.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(f"{name}: name a run by letters, digits, dots and hyphens, such as first or tof-2026")
    approved = _approved(home, among)
    wanted = sites or len(approved)
    if not approved or wanted > len(approved):
        raise UsageError(f"{wanted or 'no'} hospitals wanted and {len(approved)} approved; approve their requests")
    fewest = usual_quorum(wanted) if quorum is None else quorum
    if fewest > wanted:
        raise UsageError(f"--quorum {fewest} of {wanted} hospitals; ask for at most as many")
    recipe = asked.load()
    federation, delta, _ = asked.federation_of(home.federation.path)
    job = asked.job(recipe, sites=wanted, delta=delta, initial=digest(initial) if initial else "")
    agreed = plan(job, recipe, [])  # a target out of reach is refused before anything is written
    folder = home.run(name)
    folder.begin(job, federation.path)
    if initial:
        write_durably(folder.initial_file, initial)
    folder.keep_terms(patience_of(home, fewest), approved)
    return [
        f"run       {name}: {agreed.system}; {job.rounds} rounds of {agreed.steps_per_round} steps",
        f"sites     {wanted} of {len(approved)} approved; goes on with {fewest}",
    ]


def _approved(home: CoordinatorHome, among: Sequence[str]) -> dict[str, str]:
    """Return the signing keys of the approved hospitals, of all or of those named."""
    approved = {site.name: site.signing_key for site in all_sites(home) if not site.revoked}
    if unknown := sorted(set(among) - approved.keys()):
        raise UsageError(f"{', '.join(unknown)}: not approved here; see `willis coordinator sites`")
    return {name: key for name, key in approved.items() if not among or name in among}


def patience_of(home: CoordinatorHome, quorum: int) -> Patience:
    """Return how long to wait for hospitals, as the settings have it."""
    settings = home.settings
    return Patience(
        arrival_seconds=settings.arrival_seconds,
        answer_seconds=settings.answer_seconds,
        round_seconds=settings.round_seconds,
        grace_seconds=settings.grace_seconds,
        pause_seconds=_PAUSE_SECONDS,
        quorum=quorum,
    )


def submit(home: CoordinatorHome, name: str) -> None:
    """Hand a prepared or interrupted run to Flower.

    Raises:
        UsageError: there is no such run, it runs or has finished, or the centre is not up.
    """
    folder = home.run(name)
    folder.job()
    port = home.settings.superlink_port
    if not answers(port):
        raise UsageError(f"nothing answers at loopback port {port}; start `willis coordinator up` first")
    status = Status.read(folder)
    if status is not None and status.state in ("running", "finished"):
        doing = "is running" if status.state == "running" else "has finished"
        raise UsageError(f"{name} {doing}; see `willis coordinator status {name}`")
    _stop_last(home, folder)
    bundle = build_bundle(home.bundles)
    number = flower.submit(home.flower, bundle.app, folder.path)
    write_durably(_number_file(folder), f"{number}\n".encode())


def _stop_last(home: CoordinatorHome, folder: RunFolder) -> None:
    """Have a SuperLink that was killed forget the attempt before, which it takes for running still."""
    file = _number_file(folder)
    last = int(file.read_text(encoding="ascii")) if file.exists() else None
    for other in flower.runs(home.flower):
        if other.id == last and other.status in _ALIVE:
            flower.stop(home.flower, other.id)


def _number_file(folder: RunFolder) -> Path:
    """Return the file that keeps Flower's number of a run."""
    return folder.path / "flower-run"

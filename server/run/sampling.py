"""Draws from finished runs: post-processing of what their mechanisms released."""

from contextlib import closing
from pathlib import Path

from server.dataset.network import publish_network, write_unsafe_network
from server.dataset.publication import publish, write_unsafe_samples
from server.dataset.releasing.release import Outcome
from server.run.coordinator import recipe_of
from server.run.drawing import Drawer, drawer_of
from server.run.folder import RunFolder
from shared.errors import PublicationRefused, UsageError
from shared.ledger.events import Run
from shared.privacy.randomness import derive_seed


def publish_asked(path: Path) -> Outcome:
    """Publish the data set that the run (or chain of runs) in `path` was asked for, in `path`/dataset.

    Raises:
        UsageError: a run is not finished.
        PublicationRefused, GateShut: as `server.dataset.publication.publish`.
    """
    drawer = drawer_of(path)
    cases = drawer.draw(drawer.folder.job().cases, derive_seed(drawer.run.public_seed, "dataset"), "")
    with closing(drawer.folder.home.open_ledger()) as ledger:
        return publish(drawer.folder, path / "dataset", cases, store=ledger, origin=drawer.origin)


def publish_more(run_dir: Path, out: Path, *, count: int, seed: int, source: str, anyway: bool = False) -> Outcome:
    """Publish `count` further cases of a run (or chain of runs) in the new folder `out`.

    Raises:
        UsageError: the run is not finished, or has no such source.
        PublicationRefused: the run may not be published; or its recipe is worse than the public simulator, and
            `anyway` was not said.
        GateShut: the gate found the cases broken.
    """
    drawer = _drawer(run_dir, source, unsafe=False)
    _check_worth(run_dir, drawer.worse_than_public, insisted=anyway)
    cases = drawer.draw(count, derive_seed(drawer.run.public_seed, "sample", seed), source)
    with closing(drawer.folder.home.open_ledger()) as ledger:
        return publish(drawer.folder, out, cases, store=ledger, origin=drawer.origin)


def draw_to_look_at(run_dir: Path, out: Path, *, count: int, seed: int, source: str, unsafe: bool) -> None:
    """Write `count` cases of a run that may not be published in the new folder `out`, marked so.

    Raises:
        UsageError: the run is not finished, or has no such source.
        PublicationRefused: `unsafe` was not said by name, or the run protects its patients.
    """
    drawer = _drawer(run_dir, source, unsafe=unsafe)
    if not unsafe:
        raise PublicationRefused(f"{run_dir}: the run protects patients; use `willis dataset publish`")
    cases = drawer.draw(count, derive_seed(drawer.run.public_seed, "sample", seed), source)
    with closing(drawer.folder.home.open_ledger()) as ledger:
        write_unsafe_samples(drawer.folder, out, cases, store=ledger)


def _drawer(run_dir: Path, source: str, *, unsafe: bool) -> Drawer:
    drawer = drawer_of(run_dir)
    if source and source not in drawer.sources:
        raise UsageError(f"source {source!r} is unknown; this run has: {', '.join(drawer.sources)}")
    check_said(run_dir, drawer.run, unsafe=unsafe)
    return drawer


def hand_over(run_dir: Path, out: Path, *, unsafe: bool, anyway: bool = False) -> Outcome | None:
    """Publish the trained generator of a run in the new file `out`; None of one that is `unsafe`, just written.

    Raises:
        UsageError, PublicationRefused: as `server.dataset.network.publish_network` and `check_said`; or its recipe
            is worse than what is free, and `anyway` was not said.
    """
    folder = RunFolder(run_dir)
    check_said(run_dir, folder.plan(), unsafe=unsafe)
    _check_worth(run_dir, recipe_of(folder.job()).worse_than_public, insisted=unsafe or anyway)
    with closing(folder.home.open_ledger()) as ledger:
        if not unsafe:
            return publish_network(folder, out, store=ledger)
        write_unsafe_network(folder, out, store=ledger)
        return None


def check_said(run_dir: Path, run: Run, *, unsafe: bool) -> None:
    """Check that `--unsafe-non-private` was given for a run that protects no patient, and for no other.

    Raises:
        PublicationRefused: it was not, or it was.
    """
    if unsafe == run.spending.protects_patients:
        look = "say --unsafe-non-private to draw samples to look at (with `willis sample`)"
        remedy = "drop --unsafe-non-private" if unsafe else look
        kind = "protects patients" if unsafe else "does not protect patients and may not be published"
        raise PublicationRefused(f"{run_dir}: the run {kind}; {remedy}")


def _check_worth(run_dir: Path, worse_than_public: str, *, insisted: bool) -> None:
    if worse_than_public and not insisted:
        raise PublicationRefused(
            f"{run_dir}: not known to be worth more than what is free and public ({worse_than_public}), so "
            "publishing it spends trust for nothing; say --publish-anyway, or take another variant"
        )

"""Draws from a finished run: post-processing of what its mechanism released."""

from pathlib import Path

from server.dataset.publication import publish, write_unsafe_samples
from server.run.coordinator import load_model
from server.run.folder import RunFolder
from shared.errors import PublicationRefused, UsageError
from shared.privacy.randomness import derive_seed


def draw_more(run_dir: Path, out: Path, *, count: int, seed: int, source: str, unsafe: bool) -> None:
    """Publish `count` further cases of a run in the new folder `out`.

    Raises:
        UsageError: the run is not finished, or has no such source.
        PublicationRefused: the run protects no patient and `unsafe` was not said by name, or it does and was.
    """
    folder = RunFolder(run_dir)
    recipe, model, run = load_model(folder)
    if source and source not in recipe.sources:
        raise UsageError(f"source {source!r} is unknown; this run has: {', '.join(recipe.sources)}")
    if unsafe == run.spending.protects_patients:
        remedy = "drop --unsafe-non-private" if unsafe else "say --unsafe-non-private to draw samples to look at"
        kind = "protects patients" if unsafe else "does not protect patients and may not be published"
        raise PublicationRefused(f"{run_dir}: the run {kind}; {remedy}")
    cases = recipe.sample(model, count, derive_seed(run.public_seed, "sample", seed), source)
    ledger = folder.home.open_ledger()
    try:
        if unsafe:
            write_unsafe_samples(folder, out, cases, store=ledger)
        else:
            publish(folder, out, cases, store=ledger)
    finally:
        ledger.close()

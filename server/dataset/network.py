"""A trained generator handed to hospitals, in one file: gated and recorded as a data set is.

Written to a sibling file, recorded, renamed: a crash leaves no file without its record in the ledger.
"""

import os
from pathlib import Path

from server.dataset.claims import claim_in_words
from server.dataset.gate import reasons_not_to_publish
from server.ledger.export import export_ledger
from server.ledger.recorder import Recorder
from server.report.build import write_report
from server.run.coordinator import load_model
from server.run.folder import RunFolder
from shared.canonical import digest
from shared.errors import PublicationRefused, UsageError
from shared.files import write_durably
from shared.ledger.events import Event, Release
from shared.ledger.log import NOTHING
from shared.ledger.release_rules import kind_of
from shared.ledger.store import LedgerStore
from shared.ledger.verify import reasons_against
from shared.ledger.view import first_release, head_of, view
from shared.recipes.network_file import About, network_bytes
from shared.recipes.translator_recipe import TranslatorRecipe
from shared.recipes.wasserstein import SMOOTHED


def publish_network(folder: RunFolder, out: Path, *, store: LedgerStore) -> None:
    """Write the generator of a run to the new file `out`, and record it.

    Raises:
        PublicationRefused: the run may not be published, or `out` exists; says what to do.
        UsageError: the run is not finished, or draws images of nothing given, which a data set publishes.
    """
    run = folder.plan().run
    seen = view(store.events, run)
    if reasons := reasons_not_to_publish(seen):
        raise PublicationRefused(f"run {run[:12]} may not be published: {'; '.join(reasons)}")
    size = first_release(seen, len(store.lines))  # as data sets do: published again, the same bytes
    head = head_of(store.lines[:size])
    claim = claim_in_words(view(store.events[:size], run), head)
    content = _content(folder, private=True, claim=claim, ledger={"size": head.size, "root": head.root})
    partial = _partial(out)
    write_durably(partial, content)
    release = Release(run=run, kind=kind_of(seen), what="network", cases=0, manifest=digest(content))

    def same(known: Event) -> bool:
        return isinstance(known, Release) and (known.run, known.manifest) == (run, release.manifest)

    Recorder(store, folder.home.identity)(release, same)
    export_ledger(store, folder.ledger, folder.home.identity)
    write_report(folder.path)
    os.rename(partial, out)


def write_unsafe_network(folder: RunFolder, out: Path, *, store: LedgerStore) -> None:
    """Write the generator of a run that may not be published, which the file says, to the new file `out`.

    Raises:
        PublicationRefused: `out` exists.
        UsageError: as `publish_network`.
    """
    reasons = reasons_against(view(store.events, folder.plan().run))
    claim = f"NOT PRIVATE - NOT FOR PUBLICATION: {'; '.join(reasons)}"
    content = _content(folder, private=False, claim=claim, ledger={"size": NOTHING.size, "root": NOTHING.root})
    partial = _partial(out)
    write_durably(partial, content)
    os.rename(partial, out)


def _content(folder: RunFolder, *, private: bool, claim: str, ledger: dict[str, int | str]) -> bytes:
    recipe, model, run = load_model(folder)
    if not isinstance(recipe, TranslatorRecipe):
        raise UsageError(f"{folder.path}: {recipe.name} draws images of nothing given; publish a data set instead")
    about = About(
        run=run.run,
        recipe=recipe.name,
        variant=recipe.variant,
        preset=recipe.preset,
        settings=run.settings,
        private=private,
        claim=claim,
        ledger=ledger,
    )
    return network_bytes(model[SMOOTHED], about)


def _partial(out: Path) -> Path:
    if out.exists():
        raise PublicationRefused(f"{out}: exists already; remove it or name another file")
    return out.with_name(f".{out.name}.partial")

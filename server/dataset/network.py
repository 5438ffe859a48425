"""A trained generator handed to hospitals, in one file: gated, approved and recorded as a data set is.

It has no images, so its gate asks about the run, the weights and, of perfusion maps, whether they follow from
public series; stewards approve it by the file's SHA-256.
"""

from pathlib import Path

import torch
from safetensors.torch import load_file

from server.dataset.files.claims import claim_in_words
from server.dataset.gate.drawn_maps import maps_follow
from server.dataset.gate.rules import check_run
from server.dataset.releasing.candidate import NETWORK, Candidate, drawing_place, place
from server.dataset.releasing.release import Outcome, record_gate, refuse_existing, settle
from server.run.coordinator import load_model
from server.run.folder import RunFolder
from shared.canonical import digest
from shared.errors import PublicationRefused, UsageError
from shared.files import write_durably
from shared.ledger.events import Check, Gate
from shared.ledger.log import NOTHING
from shared.ledger.store import LedgerStore
from shared.ledger.verify import reasons_against
from shared.ledger.view import first_release, head_of, view
from shared.recipes.network_file import About, about_of, network_bytes
from shared.recipes.perfusion_2d import Perfusion
from shared.recipes.translator_recipe import TranslatorRecipe
from shared.recipes.wasserstein import SMOOTHED


def publish_network(folder: RunFolder, out: Path, *, store: LedgerStore) -> Outcome:
    """Write the generator of a run, record what the gate found, and release it as the file `out` if it may be.

    Raises:
        PublicationRefused: the run may not be published, or `out` exists; says what to do.
        UsageError: the run is not finished, or draws images of nothing given, which a data set publishes.
    """
    refuse_existing(out)
    run = folder.plan().run
    seen = view(store.events, run)
    of_run = check_run(seen, {}, ())
    if reasons := [check.words for check in of_run if not check.passed]:
        raise PublicationRefused(f"run {run[:12]} may not be published: {'; '.join(reasons)}")
    size = first_release(seen, len(store.lines))  # as data sets do: published again, the same bytes
    head = head_of(store.lines[:size])
    claim = claim_in_words(view(store.events[:size], run), head)
    content = _content(folder, private=True, claim=claim, ledger={"size": head.size, "root": head.root})
    with drawing_place(folder, out) as partial:
        file = partial / f"network{NETWORK}"
        write_durably(file, content)
        gate = Gate(run=run, manifest=digest(content), checks=(*of_run, *_check_network(file)))
        record_gate(store, folder.home.identity, gate)
        candidate = place(folder, file, gate)
    return settle(folder, Candidate.at(candidate), out, store=store)


def write_unsafe_network(folder: RunFolder, out: Path, *, store: LedgerStore) -> None:
    """Write the generator of a run that may not be published, which the file says, to the new file `out`.

    Raises:
        PublicationRefused: `out` exists.
        UsageError: as `publish_network`.
    """
    reasons = reasons_against(view(store.events, folder.plan().run))
    claim = f"NOT PRIVATE - NOT FOR PUBLICATION: {'; '.join(reasons)}"
    content = _content(folder, private=False, claim=claim, ledger={"size": NOTHING.size, "root": NOTHING.root})
    refuse_existing(out)
    write_durably(out, content)


def _check_network(file: Path) -> tuple[Check, ...]:
    """Check what a network has in place of images: weights that are finite, and maps that are no accident."""
    broken = sorted(name for name, value in load_file(file).items() if not torch.isfinite(value).all())
    words = f"not finite: {', '.join(broken[:3])}; train again" if broken else "every one"
    finite = Check(name="weights are finite", passed=not broken, words=words)
    draws_maps = not broken and about_of(file).recipe == Perfusion.name
    return (finite, maps_follow(file)) if draws_maps else (finite,)


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

"""The small files around the cases, in the order in which they build on each other."""

from pathlib import Path

from server.dataset.files.bids import write_bids
from server.dataset.files.card import CARD, card
from server.dataset.files.contents import LICENCE, LICENCE_PAGE, Contents
from server.dataset.files.croissant import write_croissant
from server.dataset.files.deposit import write_deposit
from server.dataset.files.manifest import write_manifest
from server.dataset.files.origin import Origin
from server.dataset.files.training import write_training
from server.dataset.viewer.page import write_viewer
from server.ledger.export import CHECKPOINT, LINES, jsonl
from shared.identity import Identity

_LICENCE_TEXT = (
    "These synthetic images and labels are offered under Creative Commons Attribution 4.0 International\n"
    f"({LICENCE}, {LICENCE_PAGE}). When you use them, name the run given in\n"
    "dataset_description.json. The publishing hospitals may choose another licence before they pass them on.\n"
)


def write_files(folder: Path, made: Contents, signer: Identity, origin: Origin) -> None:
    """Write every small file but what belongs to the seal."""
    (folder / LINES).write_bytes(jsonl(made.lines))
    (folder / CHECKPOINT).write_text(made.checkpoint.text, encoding="utf-8")
    (folder / "LICENSE").write_text(_LICENCE_TEXT)
    (folder / CARD).write_text(card(made, signer, origin), encoding="utf-8")
    write_bids(folder, made)
    write_manifest(folder, made.cases)
    write_training(folder, made)
    write_croissant(folder, made, origin)
    write_deposit(folder, made)
    write_viewer(folder)
